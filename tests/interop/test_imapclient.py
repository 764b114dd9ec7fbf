"""IMAPClient: the extensions a modern client uses, read by a parser that is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import decode_header, make_header
from socket import IPPROTO_TCP, TCP_NODELAY

import pytest
from imapclient import IMAPClient as Client  # type: ignore[import-untyped]
from imapclient import SocketTimeout
from imapclient.exceptions import IMAPClientError, InvalidCriteriaError, LoginError  # type: ignore[import-untyped]
from imapclient.response_types import Address, Envelope  # type: ignore[import-untyped]

from tests.interop.outside import Person, compose


@pytest.fixture
def client(ann: Person) -> Iterator[Client]:
    """Ann, signed in."""
    with ann.client() as signed_in:
        yield signed_in


def plain(octets: bytes) -> str:
    """A field's text without its encoded-words."""
    return str(make_header(decode_header(octets.decode("ascii"))))


def deliver(to: Person, *subjects: str) -> None:
    """Messages from outside."""
    for subject in subjects:
        to.house.deliver(compose("Dora <dora@example.net>", to.address, subject), to.address)


def test_starttls_and_both_ways_to_sign_in(ann: Person) -> None:
    with Client("localhost", ann.house.imap_port, ssl=False, timeout=SocketTimeout(20, 20)) as plain:
        assert b"LOGINDISABLED" in plain.capabilities()
        with pytest.raises(LoginError):
            plain.login(ann.address, ann.password)
        plain.starttls(ann.house.tls())
        assert b"LOGINDISABLED" not in plain.capabilities()
        assert b"AUTH=PLAIN" in plain.capabilities()
        plain.plain_login(ann.address, ann.password)
        assert plain.select_folder("INBOX")[b"EXISTS"] == 0


def test_special_mailboxes_namespace_and_id(client: Client) -> None:
    for use, name in {b"\\Sent": "Sent", b"\\Drafts": "Drafts", b"\\Junk": "Junk", b"\\Trash": "Trash"}.items():
        assert client.find_special_folder(use) == name
    assert client.namespace().personal == (("", "/"),)
    assert b"name" in [word.lower() for word in client.id_({"name": "a client"})[0][::2]]


def test_names_of_mailboxes_in_any_script(client: Client) -> None:
    names = ["Grüße & Küsse", "工作/二〇二六", 'a "quoted" \\ name', "Ends with *"]
    for name in names[:3]:
        client.create_folder(name)
        client.subscribe_folder(name)
    with pytest.raises(IMAPClientError):
        client.create_folder(names[3])
    listed = {name for _, _, name in client.list_folders()}
    assert set(names[:3]) | {"工作"} <= listed
    assert set(names[:3]) <= {name for _, _, name in client.list_sub_folders()}
    client.rename_folder("工作/二〇二六", "Grüße & Küsse/二〇二六")
    assert client.folder_exists("Grüße & Küsse/二〇二六")
    assert client.select_folder("Grüße & Küsse/二〇二六")[b"EXISTS"] == 0


def test_envelope_and_structure(client: Client, ann: Person) -> None:
    octets = compose('"Zoë, the second" <zoe@example.net>', ann.address, "Déjà vu", "text\n", {"Cc": "c@example.net"})
    uid = client.append("INBOX", octets, (), datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC))
    assert b"APPENDUID" in uid
    client.select_folder("INBOX", readonly=True)
    (row,) = client.fetch("1:*", ["ENVELOPE", "BODYSTRUCTURE", "BODY", "INTERNALDATE", "RFC822.SIZE"]).values()
    envelope = row[b"ENVELOPE"]
    assert isinstance(envelope, Envelope)
    assert plain(envelope.subject) == "Déjà vu"
    assert [(plain(one.name), one.mailbox, one.host) for one in envelope.from_] == [
        ("Zoë, the second", b"zoe", b"example.net")
    ]
    assert envelope.cc == (Address(None, None, b"c", b"example.net"),)
    assert envelope.bcc is None
    assert envelope.message_id == b"<Dj.vu@client.example.org>"
    assert row[b"RFC822.SIZE"] == len(octets)
    structure = row[b"BODYSTRUCTURE"]
    assert structure[:2] == (b"text", b"plain")
    assert not structure.is_multipart
    assert row[b"BODY"][:7] == structure[:7]
    assert row[b"INTERNALDATE"].astimezone(UTC).replace(tzinfo=None) == datetime(2024, 5, 6, 7, 8, 9)


def test_searches(client: Client, ann: Person) -> None:
    deliver(ann, "Grüße aus Köln", "apples", "oranges and apples")
    client.select_folder("INBOX")
    assert client.search(["SUBJECT", "Köln"], "UTF-8") == [1]
    assert client.search(["SUBJECT", "apples"]) == [2, 3]
    assert client.search(["NOT", ["SUBJECT", "apples"]]) == [1]
    assert client.search(["OR", "SUBJECT", "oranges", "SUBJECT", "Köln"], "UTF-8") == [1, 3]
    assert client.search(["BODY", "good morning", "FROM", "dora", "UNSEEN", "SMALLER", 100_000]) == [1, 2, 3]
    client.add_flags([2], [b"\\Flagged", b"$Work"])
    assert client.search(["KEYWORD", "$Work"]) == client.search("FLAGGED") == [2]
    found = client.search(["ALL", "MODSEQ", "1"])
    assert list(found) == [1, 2, 3]
    assert found.modseq == client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"]
    with pytest.raises(InvalidCriteriaError):
        client.search(["NOSUCHKEY", "x"])


def test_only_what_changed(client: Client, ann: Person) -> None:
    deliver(ann, "one", "two", "three")
    before = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
    client.set_flags([2], [b"\\Seen"])
    changed = client.fetch("1:*", ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert list(changed) == [2]
    assert changed[2][b"MODSEQ"][0] > before
    assert client.fetch("1:*", ["FLAGS"], [f"CHANGEDSINCE {changed[2][b'MODSEQ'][0]}"]) == {}


def test_idle_tells_of_mail_flags_and_expunge(client: Client, ann: Person) -> None:
    client.select_folder("INBOX")
    told: list[tuple[object, ...]] = []

    def await_word(word: bytes) -> None:
        while not any(word in line for line in told):
            heard = client.idle_check(timeout=20)
            assert heard, f"{word!r} was not told: {told}"
            told.extend(heard)

    client.idle()
    deliver(ann, "news")
    await_word(b"EXISTS")
    with ann.client() as other:
        other.select_folder("INBOX")
        other.add_flags([1], [b"\\Flagged"])
        await_word(b"FETCH")
        other.delete_messages([1])
        other.expunge()
    await_word(b"EXPUNGE")
    client.idle_done()
    assert (1, b"EXISTS") in told
    assert (1, b"EXPUNGE") in told
    assert client.search() == []


def test_copy_move_and_expunge_by_uid(client: Client, ann: Person) -> None:
    deliver(ann, *(f"n{number}" for number in range(5)))
    client.select_folder("INBOX")
    client.copy([1, 2, 3], "Archive")
    client.move([4], "Trash")
    client.delete_messages([1, 2])
    client.expunge([2])
    assert client.search() == [1, 3, 5]
    assert client.get_flags([1])[1] == (b"\\Deleted",) or b"\\Deleted" in client.get_flags([1])[1]
    client.close_folder()
    assert ann.counts() == {"INBOX": 2, "Archive": 3, "Trash": 1, "Drafts": 0, "Junk": 0, "Sent": 0}
    client.select_folder("Archive")
    client.unselect_folder()
    with pytest.raises(IMAPClientError):
        client.search()


def test_reads_all_of_a_larger_mailbox(client: Client, ann: Person) -> None:
    # the client writes a literal and its line end apart, which Nagle would make 300 waits
    client.socket().setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    octets = compose("dora@example.net", ann.address, "many", "A line of text, and another.\n" * 40)
    for number in range(300):
        client.append("Archive", octets.replace(b"many", b"many %d" % number))
    assert client.select_folder("Archive")[b"EXISTS"] == 300
    rows = client.fetch("1:*", ["FLAGS", "ENVELOPE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "BODY.PEEK[]"])
    assert [row[b"ENVELOPE"].subject for row in rows.values()] == [b"many %d" % number for number in range(300)]
    assert rows[300][b"BODY[]"] == octets.replace(b"many", b"many 299")
    assert rows[7][b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: many 6\r\n\r\n"
    client.delete_messages(list(range(1, 300)))
    client.expunge()
    assert client.search() == [300]
