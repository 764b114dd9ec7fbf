"""The standard library's IMAP client, on 143 with STARTTLS and on 993."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.interop.outside import Person, compose


@contextmanager
def imap(person: Person, listener: str = "imaps", *, login: bool = True) -> Iterator[imaplib.IMAP4]:
    """A connection under TLS."""
    house = person.house
    client: imaplib.IMAP4
    if listener == "imaps":
        client = imaplib.IMAP4_SSL("localhost", house.imaps_port, ssl_context=house.tls(), timeout=20)
    else:
        client = imaplib.IMAP4("localhost", house.imap_port, timeout=20)
    with client:
        if listener == "imap":
            assert "LOGINDISABLED" in client.capabilities
            client.starttls(house.tls())
        assert "LOGINDISABLED" not in client.capabilities
        if login:
            client.login(person.address, person.password)
        yield client


def done(answer: tuple[str, Any]) -> Any:
    """The data of an answer that must be OK."""
    assert answer[0] == "OK", answer
    return answer[1]


@pytest.mark.parametrize("listener", ["imap", "imaps"])
def test_signs_in(ann: Person, listener: str) -> None:
    with imap(ann, listener) as client:
        assert done(client.noop())
    with imap(ann, listener, login=False) as client:
        done(client.authenticate("PLAIN", lambda _: f"\0{ann.address}\0{ann.password}".encode()))
        assert done(client.select()) == [b"0"]
    with imap(ann, listener, login=False) as client:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(ann.address, "not this")
        client.login(ann.address, ann.password)


def test_login_is_refused_in_the_clear(ann: Person) -> None:
    with imaplib.IMAP4("localhost", ann.house.imap_port, timeout=20) as client:
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            client.login(ann.address, ann.password)


def test_appends_and_fetches(ann: Person) -> None:
    octets = compose(ann.address, "dora@example.net", "kept", "Grüße\n" * 500)
    when = '"17-Jul-2024 02:44:25 -0700"'
    with imap(ann) as client:
        (text,) = done(client.append("Drafts", r"(\Draft \Seen $Later)", when, octets))
        assert re.search(rb"\[APPENDUID \d+ 1\]", text)
        assert done(client.select("Drafts")) == [b"1"]
        data = done(client.uid("FETCH", "1", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
        head, whole = data[0]
        assert whole == octets
        assert f"RFC822.SIZE {len(octets)}".encode() in head
        assert imaplib.Internaldate2tuple(head) == imaplib.Internaldate2tuple(b"INTERNALDATE " + when.encode())
        flags = {flag.lower() for flag in imaplib.ParseFlags(head + data[1])}
        assert {rb"\draft", rb"\seen", b"$later"} <= flags
        (_, part), _ = done(client.fetch("1", "(BODY.PEEK[TEXT]<2.10>)"))
        assert part == octets.partition(b"\r\n\r\n")[2][2:12]


def test_flags_expunge_copy_and_move(ann: Person) -> None:
    for number in range(1, 6):
        ann.house.deliver(compose("dora@example.net", ann.address, f"n{number}"), ann.address)
    with imap(ann) as client:
        assert done(client.select()) == [b"5"]
        stored = done(client.store("2,4", "+FLAGS", r"(\Deleted)"))
        assert [re.sub(rb" ?(UID \d+|\\Recent) ?", b"", row) for row in stored] == [
            rb"2 (FLAGS (\Deleted))",
            rb"4 (FLAGS (\Deleted))",
        ]
        left = [1, 2, 3, 4, 5]
        for number in done(client.expunge()):
            # each is the number at that moment (RFC 9051 §7.5.1)
            left.pop(int(number) - 1)
        assert left == [1, 3, 5]
        assert done(client.search(None, "ALL")) == [b"1 2 3"]
        assert done(client.uid("SEARCH", "ALL")) == [b"1 3 5"]
        done(client.copy("1", "Archive"))
        assert client.response("COPYUID")[1][0] is not None
        done(client.uid("MOVE", "5", "Trash"))
        assert done(client.uid("SEARCH", "SUBJECT", "n")) == [b"1 3"]
        done(client.uid("STORE", "3", "FLAGS", r"(\Answered)"))
        assert done(client.search(None, "ANSWERED")) == [b"2"]
        done(client.close())
    assert ann.counts() == {"INBOX": 2, "Archive": 1, "Trash": 1, "Drafts": 0, "Junk": 0, "Sent": 0}


def test_mailboxes(ann: Person) -> None:
    with imap(ann) as client:
        done(client.create('"Work/Offers &- Orders"'))
        assert client.create('"Work/Offers &- Orders"')[0] == "NO"
        done(client.subscribe('"Work/Offers &- Orders"'))
        (subscribed,) = done(client.lsub('""', "Work/*"))
        assert subscribed.endswith(b'"Work/Offers &- Orders"')
        done(client.rename("Work", "Play"))
        listed = done(client.list('""', "*Offers*"))
        assert len(listed) == 1
        assert b"Play/Offers &- Orders" in listed[0]
        (status,) = done(client.status('"Play/Offers &- Orders"', "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)"))
        assert re.search(rb"MESSAGES 0 UIDNEXT 1 UIDVALIDITY \d+ UNSEEN 0 RECENT 0", status)
        done(client.delete('"Play/Offers &- Orders"'))
        assert client.select('"Play/Offers &- Orders"')[0] == "NO"
        assert done(client.namespace()) == [b'(("" "/")) NIL NIL']
        done(client.enable("CONDSTORE"))
        done(client.select())
        done(client.unselect())


def test_mail_that_comes_is_told(ann: Person) -> None:
    with imap(ann) as client:
        done(client.select())
        ann.house.deliver(compose("dora@example.net", ann.address, "news"), ann.address)
        done(client.noop())
        assert client.response("EXISTS")[1][-1] == b"1"
        done(client.select("INBOX", readonly=True))
        assert client.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"


def test_two_clients_see_the_same(ann: Person) -> None:
    with imap(ann) as first, imap(ann) as second:
        done(first.select())
        done(second.select())
        done(first.append("INBOX", r"(\Seen)", None, compose(ann.address, ann.address, "shared")))
        done(second.noop())
        assert second.response("EXISTS")[1][-1] == b"1"
        done(second.store("1", "+FLAGS", r"(\Deleted)"))
        done(second.expunge())
        done(first.noop())
        assert first.response("EXPUNGE")[1] == [b"1"]
