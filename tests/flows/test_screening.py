"""Mail through port 25 with the screen on: Junk, quarantine, refusal, putting off, training by moves, mail of ours held."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.directory.settings import Scope
from data.store.quarantine import Quarantine
from data.story import Hop
from smtp.policy.verdict import Action, decode
from smtp.screening.training import Trainer
from tests.smtp_rig import Rig, knowledge_of, message, rig

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
PROGRAM = base64.b64encode(b"MZ" + b"\0" * 58 + b"\x40\0\0\0" + b"PE\0\0" + b"x" * 200).decode()
ODD = "The list is here: http://203.0.113.9/list and also http://bit.ly/x\r\n"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(Path(tmp_path_factory.mktemp("screen")), screen=True) as made:
        yield made


def _attached(name: str, data: str) -> str:
    return (
        "--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\n"
        f'Content-Type: application/octet-stream; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}\r\n--b--\r\n'
    )


def _mixed(subject: str, name: str, data: str) -> bytes:
    return message(subject, _attached(name, data), MIME_Version="1.0", Content_Type='multipart/mixed; boundary="b"')


def _send(one: Rig, octets: bytes, to: str = "ann", sender: str = "x@example.org") -> bytes:
    with one.client() as client:
        client.ehlo()
        return client.mail(octets, to=(f"{to}@example.test",), sender=sender)


def _holds(one: Rig, subject: str, mailbox: str, who: str = "ann") -> bool:
    return any(f"Subject: {subject}\r\n".encode() in found for found in one.inbox(who, mailbox))


def _hops(one: Rig, event: str) -> list[Hop]:
    return [hop for hop in one.ground.story.recent(50) if hop.event == event]


def test_a_plain_message_of_a_stranger_lies_in_the_inbox(one: Rig) -> None:
    assert _send(one, message("Plain words", "Shall we meet on Thursday at ten?\r\n")).startswith(b"250")
    assert _holds(one, "Plain words", "INBOX")


def test_gtube_is_junked_and_says_why(one: Rig) -> None:
    assert _send(one, message("Gtube", GTUBE)).startswith(b"250")
    assert _holds(one, "Gtube", "Junk") and not _holds(one, "Gtube", "INBOX")
    ann, store = one.principal(), one.ground.store
    junk = store.mailboxes.get(ann, ann.account, "Junk").id
    kept = [decode(row[1]) for row in store.messages.rows(ann, junk, ((1, 999),), ("verdict",))]
    assert kept[-1] is not None and kept[-1].action is Action.JUNK
    assert "content.gtube" in [reason.code for reason in kept[-1].reasons]
    assert _hops(one, "delivered")[0].reason is not None
    assert "content.gtube:100" in str(_hops(one, "delivered")[0].reason.params["why"])  # type: ignore[union-attr]


def test_a_program_is_kept_back_and_can_be_released(one: Rig) -> None:
    assert _send(one, _mixed("Program", "invoice.pdf.exe", PROGRAM)).startswith(b"250")
    assert not _holds(one, "Program", "INBOX") and not _holds(one, "Program", "Junk")
    ground = one.ground
    quarantine = Quarantine(ground.db, ground.store.messages, ground.store.mailboxes, ground.story)
    (kept,) = [row for row in quarantine.seen_by(one.principal()) if row.subject == "Program"]
    assert {"file.program", "file.double"} <= {why.code for why in decode(kept.verdict).reasons}  # type: ignore[union-attr]
    ground.db.write(lambda tx: quarantine.release_in(tx, one.principal(), kept.id))
    assert _holds(one, "Program", "INBOX")


def test_with_a_limit_for_refusing_junk_is_refused(one: Rig) -> None:
    scope, settings = Scope.organisation(one.ground.directory.organisation().id), one.ground.settings
    one.ground.db.write(lambda tx: settings.set_in(tx, scope, "spam.reject-at", 100))
    try:
        assert _send(one, message("Refused", GTUBE)).startswith(b"550 5.7.1")
    finally:
        one.ground.db.write(lambda tx: settings.clear_in(tx, scope, "spam.reject-at"))
    assert not _holds(one, "Refused", "Junk")
    assert _hops(one, "rejected")[0].reason.code == "spam.reject"  # type: ignore[union-attr]


def test_what_is_nearly_junk_is_put_off_once(one: Rig) -> None:
    odd = message("Odd", ODD, sender="q@example.net")
    assert _send(one, odd, sender="q@example.net").startswith(b"451 4.7.1")
    assert _send(one, odd, sender="q@example.net").startswith(b"451 4.7.1")
    assert _hops(one, "put-off")
    assert not _holds(one, "Odd", "INBOX")


def test_moves_train_and_the_same_words_are_junk_afterwards(one: Rig) -> None:
    ground, bob = one.ground, one.principal("bob")
    trainer = Trainer(knowledge_of(ground), ground.store.messages)
    boxes = {box.name: box.id for box in ground.store.mailboxes.list(bob, bob.account)}
    text = "Tulip bulbs from our greenhouse, wholesale crates, frost hardy seedlings, ask for samples.\r\n"
    for number in range(12):
        plain = f"Protocol {number} of the board, agenda for Monday, budget table, minutes of the meeting.\r\n"
        assert _send(one, message(f"Bulbs {number}", text), to="bob", sender=f"b{number}@example.org").startswith(
            b"250"
        )
        assert _send(one, message(f"Board {number}", plain), to="bob").startswith(b"250")
    rows = ground.store.messages.rows(bob, boxes["INBOX"], ((1, 999),), ("subject",))
    for uid, subject in rows:
        target = boxes["Junk"] if subject.startswith("Bulbs") else boxes["Archive"]
        ground.store.messages.move(bob, boxes["INBOX"], ((uid, uid),), target)
    while trainer.step():
        pass
    late = message("Bulbs again", text, sender="new@tulips.example.net")
    assert _send(one, late, to="bob", sender="new@tulips.example.net")[:3] in (b"250", b"451")
    assert _holds(one, "Bulbs again", "Junk", "bob") or _hops(one, "put-off")
    with ground.db.read() as reader:
        from smtp.policy.content import look

        prepared = ground.store.messages.prepare(late)
        seen = look(prepared.header, prepared.scan.root, prepared.read)
        knowledge = knowledge_of(ground)
        assert knowledge.words(reader, seen, bob.account).value > 0.95
        assert knowledge.words(reader, seen, one.principal("ann").account).value < 0.85, "trained for bob alone"


def test_harmful_mail_of_ours_is_held_not_lost(one: Rig) -> None:
    octets = _mixed("Outgoing", "tool.exe", PROGRAM).replace(b"From: x@example.org", b"From: ann@example.test")
    with one.signed_in() as client:
        answer = client.mail(octets, to=("friend@example.org", "bob@example.test"), sender="ann@example.test")
    assert answer.startswith(b"250")
    assert len(one.spooled()) == 2 and all(row.state.value == "frozen" for row in one.spooled())
    assert not _holds(one, "Outgoing", "INBOX", "bob")
    assert _hops(one, "held")[0].reason.code == "spam.held"  # type: ignore[union-attr]


def test_in_the_bench_profile_everything_is_asked_and_nothing_follows(tmp_path: Path) -> None:
    with rig(tmp_path, screen=True, bench=True) as bench:
        assert _send(bench, message("Gtube", GTUBE)).startswith(b"250")
        assert _send(bench, _mixed("Program", "a.exe", PROGRAM)).startswith(b"250")
        assert _holds(bench, "Gtube", "INBOX") and _holds(bench, "Program", "INBOX")
        assert [hop.reason.code for hop in _hops(bench, "delivered") if hop.reason] == ["spam.quarantine", "spam.junk"]
