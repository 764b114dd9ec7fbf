"""Rules at delivery: filed, flagged, sent on, refused, answered; over the MX and submission of one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from data.directory.facts import Status
from data.disk import tables as t
from data.ids import AccountId
from data.mime.facts import facts_of
from data.mime.headers import find, split
from data.rules.model import Away, Personal
from data.spool.oversight import Listed
from tests.smtp_rig import Rig, message, rig


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("rules")) as one:
        yield one


@pytest.fixture
def one(shared: Rig) -> Iterator[Rig]:
    """The rig, with nobody's rules and an empty spool."""
    yield shared
    for who in ("ann", "bob", "eve"):
        account = _account(shared, who)
        shared.ground.scripts.activate(account, None)
        shared.ground.scripts.set_personal(account, Personal())
    for item in {waiting.item for waiting in shared.spooled()}:
        shared.ground.db.write(lambda tx, item=item: shared.ground.spool.drop_in(tx, item, "test"))


def _account(rig: Rig, who: str = "ann") -> AccountId:
    return rig.ground.directory.account(f"{who}@example.test").id


def _script(rig: Rig, text: str, who: str = "ann") -> None:
    account = _account(rig, who)
    rig.ground.scripts.put(account, "mine", text.encode())
    rig.ground.scripts.activate(account, "mine")


def _sent(rig: Rig, subject: str = "Hello", to: tuple[str, ...] = ("ann@example.test",), **fields: str) -> bytes:
    with rig.client() as client:
        client.ehlo()
        return client.mail(message(subject, **fields), to=to, sender="dora@example.org")


def _box(rig: Rig, mailbox: str, who: str = "ann") -> list[str]:
    """The subjects in a mailbox."""
    return [facts_of(octets).subject for octets in rig.inbox(who, mailbox)]


def _flags(rig: Rig, mailbox: str, who: str = "ann") -> list[tuple[int, str]]:
    principal = rig.principal(who)
    box = rig.ground.store.mailboxes.get(principal, principal.account, mailbox).id
    return [
        (row[1], row[2])
        for row in rig.ground.store.messages.rows(principal, box, ((1, 2**32 - 1),), ("flags", "keywords"))
    ]


def _hops(rig: Rig, answer: bytes) -> list[tuple[str, str]]:
    trail = answer.decode().split()[-1]
    hops = [one for one in rig.ground.story.of(trail) if one.event != "judged"]
    return [(hop.event, hop.reason.code if hop.reason else "") for hop in hops]


def _waiting(rig: Rig) -> list[Listed]:
    return list(rig.spooled())


def test_filed_with_flags_and_why(one: Rig) -> None:
    _script(
        one,
        'require ["fileinto","mailbox","imap4flags"];\n# rule:[Shop]\nif true { addflag "\\\\Seen $shop"; fileinto :create "Shop/2026"; }',
    )
    answer = _sent(one, "filed")
    assert answer.startswith(b"250")
    assert _box(one, "Shop/2026") == ["filed"]
    assert "filed" not in _box(one, "INBOX")
    assert _flags(one, "Shop/2026") == [(1, "$shop")]
    assert _hops(one, answer) == [("delivered", "rules.filed")]
    hop = one.ground.story.of(answer.decode().split()[-1])[-1]
    assert hop.reason is not None
    assert dict(hop.reason.params) == {"mailbox": "Shop/2026", "rule": "Shop", "line": 3}


def test_a_mailbox_that_is_not_there_is_the_inbox(one: Rig) -> None:
    _script(one, 'require "fileinto"; fileinto "Nowhere";')
    answer = _sent(one, "lost?")
    assert "lost?" in _box(one, "INBOX")
    assert _hops(one, answer) == [("delivered", "rules.nomailbox")]


def test_a_name_that_cannot_be_made_is_the_inbox(one: Rig) -> None:
    _script(one, 'require ["fileinto","mailbox"]; fileinto :create "a/../*b";')
    assert _sent(one, "bad name").startswith(b"250")
    assert "bad name" in _box(one, "INBOX")


def test_special_use(one: Rig) -> None:
    _script(one, 'require ["fileinto","special-use"]; fileinto :specialuse "\\\\junk" "Elsewhere";')
    _sent(one, "for junk")
    assert "for junk" in _box(one, "Junk")


def test_two_actions_into_one_mailbox_are_one_copy(one: Rig) -> None:
    _script(one, 'require ["fileinto","imap4flags"]; keep :flags "a"; fileinto :flags "\\\\Flagged" "inbox";')
    _sent(one, "once")
    assert _box(one, "INBOX").count("once") == 1
    assert _flags(one, "INBOX")[-1] == (4, "a")


def test_discarded(one: Rig) -> None:
    _script(one, "discard;")
    answer = _sent(one, "gone")
    assert answer.startswith(b"250")
    assert all(b"gone" not in octets for octets in one.everything())
    assert _hops(one, answer) == [("discarded", "rules.discarded")]


def test_a_script_that_goes_wrong_keeps_the_message(one: Rig) -> None:
    _script(one, 'require ["reject", "fileinto"]; fileinto "Trash"; reject "no";')
    answer = _sent(one, "kept")
    assert "kept" in _box(one, "INBOX")
    assert _hops(one, answer) == [("delivered", ""), ("noted", "rules.conflict")]


def test_sees_our_trace_the_recipient_and_what_is_attached(one: Rig) -> None:
    _script(
        one,
        'require ["envelope","subaddress","environment","fileinto","mailbox"];\n'
        'if allof (header :contains "received" "by mail.example.test", envelope :detail "to" "shop",\n'
        '  envelope "from" "dora@example.org", environment "vnd.mailstead.attachment" "no", size :over 10)\n'
        '{ fileinto :create "Seen"; }',
    )
    _sent(one, "traced", ("ann+shop@example.test",))
    assert _box(one, "Seen") == ["traced"]


def test_duplicates(one: Rig) -> None:
    _script(one, 'require "duplicate"; if duplicate :header "subject" { discard; }')
    _sent(one, "twice")
    _sent(one, "twice")
    assert _box(one, "INBOX").count("twice") == 1


# --- sent on ------------------------------------------------------------------------------------------------------------


def test_redirected_with_the_sender_it_had(one: Rig) -> None:
    _script(one, 'redirect "carl@example.net";')
    answer = _sent(one, "on")
    assert "on" not in _box(one, "INBOX")
    (item,) = _waiting(one)
    assert (item.address, item.return_path) == ("carl@example.net", "dora@example.org")
    assert _hops(one, answer) == [("redirected", "rules.redirected")]
    with one.ground.db.read() as reader:
        prefix, by, account = reader.all(
            select(t.spool_item.c.prefix, t.spool_item.c.forwarded_by, t.spool_item.c.account_id)
        )[-1]
    fields = [line.split(b":")[0] for line in bytes(prefix).split(b"\r\n") if line[:1].isalpha()]
    assert fields[0] == b"Delivered-To" and b"Received" in fields, fields
    assert bytes(prefix).startswith(b"Delivered-To: ann@example.test\r\n")
    assert (by, account) == (_account(one), None)


def test_redirected_and_kept(one: Rig) -> None:
    _script(one, 'require "copy"; redirect :copy "carl@example.net"; redirect :copy "dan@example.net";')
    _sent(one, "both")
    assert "both" in _box(one, "INBOX")
    assert sorted(item.address for item in _waiting(one)) == ["carl@example.net", "dan@example.net"]


@pytest.mark.parametrize(
    ("address", "note"),
    [("ann@example.test", None), ("ann+tag@example.test", None), ("nobody@example.test", "rules.nobody")],
)
def test_redirected_to_oneself_or_nobody_is_kept(one: Rig, address: str, note: str | None) -> None:
    _script(one, f'redirect "{address}";')
    answer = _sent(one, f"home {address}")
    assert f"home {address}" in _box(one, "INBOX")
    assert _waiting(one) == []
    assert _hops(one, answer) == [("delivered", ""), *([("noted", note)] if note else [])]


def test_N13_a_message_that_was_there_is_not_sent_there_again(one: Rig) -> None:
    _script(one, 'redirect "carl@example.net";')
    answer = _sent(one, "round", Delivered_To="carl@example.net")
    assert "round" in _box(one, "INBOX")
    assert _waiting(one) == []
    assert _hops(one, answer) == [("delivered", ""), ("noted", "rules.loop")]


def test_N13_a_message_that_comes_back_is_refused(one: Rig) -> None:
    _script(one, 'redirect "carl@example.net";')
    assert _sent(one, "back", Delivered_To="ann@example.test").startswith(b"554 5.4.6")
    assert _waiting(one) == []


# --- refused ------------------------------------------------------------------------------------------------------------


def test_rejected_while_the_sender_still_has_it(one: Rig) -> None:
    _script(one, 'require "reject"; reject "Not today.\r\nReally.";')
    assert _sent(one, "refused") == b"550 5.7.1 Not today. Really.\r\n"
    assert "refused" not in _box(one, "INBOX")
    assert _waiting(one) == []
    assert one.ground.story.recent(1)[0].event == "rejected"


def test_words_that_do_not_fit_a_reply_are_replaced(one: Rig) -> None:
    _script(one, 'require "ereject"; ereject "Heute nicht, Grüße";')
    assert _sent(one, "refused").startswith(b"550 5.7.1 The recipient does not want")


def test_who_may_refuse_gets_the_message_alone(one: Rig) -> None:
    _script(one, 'require "reject"; if header :contains "subject" "no" { reject "No."; }')
    with one.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<dora@example.org>")
        assert client.cmd("RCPT TO:<ann@example.test>").startswith(b"250")
        assert client.cmd("RCPT TO:<bob@example.test>").startswith(b"452 4.5.3")
        client.cmd("RSET")
        client.cmd("MAIL FROM:<dora@example.org>")
        assert client.cmd("RCPT TO:<bob@example.test>").startswith(b"250")
        assert client.cmd("RCPT TO:<ann@example.test>").startswith(b"452 4.5.3")
        assert client.cmd("RCPT TO:<eve@example.test>").startswith(b"250")


def test_a_colleague_who_is_refused_is_told_by_the_queue(one: Rig) -> None:
    """Submission does not deliver it at once: the row stays open for the queue, which writes the notification."""
    _script(one, 'require "reject"; reject "No.";')
    with one.signed_in("bob") as client:
        answer = client.mail(
            message("internal", sender="bob@example.test"),
            to=("ann@example.test", "eve@example.test"),
            sender="bob@example.test",
        )
    assert answer.startswith(b"250")
    assert "internal" in _box(one, "INBOX", "eve")
    assert "internal" not in _box(one, "INBOX")
    assert [item.address for item in _waiting(one)] == ["ann@example.test"]


# --- answered -----------------------------------------------------------------------------------------------------------


def _answer(rig: Rig) -> tuple[Listed, bytes]:
    (item,) = _waiting(rig)
    with rig.ground.db.read() as reader:
        blob = reader.value(select(t.spool_item.c.blob_id).order_by(t.spool_item.c.id.desc()))
    content = rig.ground.store.messages.content(blob)
    return item, content.read(0, content.size)


def test_answered_once(one: Rig) -> None:
    one.ground.scripts.set_personal(_account(one), Personal(away=Away("Back on Monday.\nAnn")))
    answer = _sent(one, "Where are you?", References="<a@example.org>")
    assert "Where are you?" in _box(one, "INBOX")
    item, octets = _answer(one)
    assert (item.address, item.return_path) == ("dora@example.org", "")
    fields = dict(split(octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"))
    got = {name.decode().lower(): value.strip().decode() for name, value in fields.items()}
    assert got["to"] == "dora@example.org"
    assert got["from"].endswith("ann@example.test") or "<ann@example.test>" in got["from"]
    assert got["subject"] == "Auto: Where are you?"
    assert got["auto-submitted"] == "auto-replied"
    asked = one.inbox("ann")[-1]
    ident = find(split(asked), b"message-id")
    assert ident is not None
    assert got["in-reply-to"] == ident.strip().decode()
    assert got["references"] == f"<a@example.org> {ident.strip().decode()}"
    assert b"Back on Monday.\r\nAnn\r\n" in octets
    assert ("answered", "rules.answered") in _hops(one, answer)
    # the same sender again: not answered for a week
    again = _sent(one, "And now?")
    assert len(_waiting(one)) == 1
    assert ("noted", "rules.unanswered.again") in _hops(one, again)


@pytest.mark.parametrize(
    ("why", "sender", "fields"),
    [
        ("null", "", {}),
        ("machine", "no-reply@example.org", {}),
        ("machine", "MAILER-DAEMON@example.org", {}),
        ("machine", "owner-walkers@example.org", {}),
        ("machine", "walkers-request@example.org", {}),
        ("machine", "bounces+ann=example.test@example.org", {}),
        ("self", "ann@example.test", {}),
        ("automatic", "x1@example.org", {"Auto_Submitted": "auto-replied"}),
        ("automatic", "x2@example.org", {"Auto_Submitted": "auto-generated; owner-email=x"}),
        ("automatic", "x3@example.org", {"X_Auto_Response_Suppress": "All"}),
        ("automatic", "x4@example.org", {"Content_Type": "multipart/report; boundary=b"}),
        ("list", "x5@example.org", {"Precedence": "bulk"}),
        ("list", "x6@example.org", {"Precedence": "Junk"}),
        ("list", "x7@example.org", {"List_Id": "<walkers.example.org>"}),
        ("list", "x8@example.org", {"List_Unsubscribe": "<mailto:x@example.org>"}),
        ("not-addressed", "x9@example.org", {"To": "undisclosed-recipients:;"}),
        ("not-addressed", "x10@example.org", {"To": "bob@example.test"}),
    ],
)
def test_N13_who_is_not_answered(one: Rig, why: str, sender: str, fields: dict[str, str]) -> None:
    one.ground.scripts.set_personal(_account(one), Personal(away=Away("Away.")))
    with one.client() as client:
        client.ehlo()
        answer = client.mail(message("hello", **fields), sender=sender)
    assert answer.startswith(b"250")
    assert _waiting(one) == []
    assert ("noted", f"rules.unanswered.{why}") in _hops(one, answer)


@pytest.mark.parametrize(
    "fields",
    [{"Auto_Submitted": "no"}, {"To": "Ann <ann+x@example.test>"}, {"To": "x@example.org", "Cc": "ANN@example.test"}],
)
def test_who_is_answered(one: Rig, fields: dict[str, str]) -> None:
    one.ground.scripts.set_personal(_account(one), Personal(away=Away(f"Away: {fields}")))
    with one.client() as client:
        client.ehlo()
        client.mail(message("hello", **fields), sender="human@example.org")
    assert [item.address for item in _waiting(one)] == ["human@example.org"]


def test_an_address_the_script_names_counts_as_own(one: Rig) -> None:
    _script(one, 'require "vacation"; vacation :addresses ["info@example.org"] :from "Info <info@example.org>" "Away";')
    _sent(one, "hello", To="info@example.org")
    _, octets = _answer(one)
    # it is known as mine, but that does not let me write as it
    assert b"From: ann@example.test\r\n" in octets or b"<ann@example.test>" in octets


def test_a_body_part_of_ones_own(one: Rig) -> None:
    part = "Content-Type: text/html\r\nSubject: forged\r\nX-Evil: yes\r\n\r\n<p>Gr\u00fc\u00dfe</p>"
    _script(one, f'require "vacation"; vacation :mime "{part}";')
    _sent(one, "mime")
    _, octets = _answer(one)
    head, _, body = octets.partition(b"\r\n\r\n")
    assert head.count(b"Subject:") == 1
    assert b"X-Evil" not in head
    assert b"Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit" in head
    assert body == "<p>Grüße</p>\r\n".encode()


def test_at_most_a_hundred_answers_a_day(one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtp.delivery.ruling.ANSWERS_A_DAY", 3)
    one.ground.scripts.set_personal(_account(one, "eve"), Personal(away=Away("Away.")))
    for number in range(5):
        with one.client() as client:
            client.ehlo()
            client.mail(message("hi", To="eve@example.test"), to=("eve@example.test",), sender=f"p{number}@example.org")
    assert [item.address for item in _waiting(one)] == [f"p{number}@example.org" for number in range(3)]


def test_what_is_thrown_away_or_blocked_is_not_answered(one: Rig) -> None:
    account = _account(one)
    one.ground.scripts.set_personal(account, Personal(blocked=("dora@example.org",), away=Away("Away!")))
    _sent(one, "blocked")
    assert "blocked" in _box(one, "Junk")
    assert _waiting(one) == []
    one.ground.scripts.set_personal(account, Personal(away=Away("Away!")))
    _script(one, "discard;")
    _sent(one, "thrown")
    assert _waiting(one) == []


def test_nothing_is_sent_for_a_suspended_account(one: Rig) -> None:
    account = _account(one)
    _script(one, 'redirect "carl@example.net";')
    one.ground.db.write(lambda tx: one.ground.directory.set_status_in(tx, account, Status.SUSPENDED))
    try:
        _sent(one, "frozen")
        assert _waiting(one) == []
    finally:
        one.ground.db.write(lambda tx: one.ground.directory.set_status_in(tx, account, Status.ACTIVE))
    assert "frozen" in _box(one, "INBOX")
