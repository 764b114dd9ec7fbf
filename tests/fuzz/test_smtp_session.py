"""Generated sessions: in every state of a conversation, whatever is said is answered by SMTP or by a close.

Each example speaks to a live listener. No example may leave a traceback in the log, a message that was not finished, or
a listener that does not answer the next client.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp.policy.limits import Limits
from tests.smtp_rig import Rig, rig

REPLY = re.compile(rb"(?:[2-5]\d\d-[^\r\n]*\r\n)*[2-5]\d\d [^\r\n]*\r\n")
STATES: dict[str, tuple[bytes, ...]] = {
    "greeted": (),
    "hello": (b"EHLO fuzz.example.org",),
    "mail": (b"EHLO fuzz.example.org", b"MAIL FROM:<a@b.test>"),
    "rcpt": (b"EHLO fuzz.example.org", b"MAIL FROM:<a@b.test>", b"RCPT TO:<ann@example.test>"),
    "data": (b"EHLO fuzz.example.org", b"MAIL FROM:<a@b.test>", b"RCPT TO:<ann@example.test>", b"DATA"),
    "chunks": (b"EHLO fuzz.example.org", b"MAIL FROM:<a@b.test>", b"RCPT TO:<ann@example.test>", b"BDAT 0"),
}
WORDS = st.sampled_from(
    [
        *(b"HELO", b"EHLO", b"MAIL FROM:", b"RCPT TO:", b"DATA", b"BDAT", b"RSET", b"NOOP", b"VRFY", b"EXPN", b"HELP"),
        *(b"AUTH", b"PLAIN", b"LOGIN", b"LAST", b"XCLIENT", b"SIZE=", b"BODY=8BITMIME", b"SMTPUTF8", b"NOTIFY=NEVER"),
        *(
            b"ORCPT=rfc822;",
            b"RET=FULL",
            b"ENVID=",
            b"<>",
            b"<ann@example.test>",
            b"<a@b.test>",
            b"<",
            b">",
            b"@",
            b":",
        ),
        *(
            b"\r\n",
            b"\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b"\0",
            b".",
            b"\r\n.\r\n",
            b" ",
            b"\t",
            b"=",
            b"%",
            b"\xff",
            b"\xc3\xbc",
        ),
        *(b"0", b"7", b"99999999999", b"-1", b"A" * 300, b"AAAA====", b"*", b"Received: x", b"Subject: y", b'"', b"\\"),
    ]
)
SPOKEN = st.lists(st.one_of(WORDS, WORDS, st.binary(max_size=12)), max_size=24).map(b" ".join)


class Trouble(logging.Handler):
    """Counts what the server would call a failure of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.seen.append(f"{record.name} {record.getMessage()} {record.__dict__.get('fields')}")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    bounds = Limits(disk_floor=0, unknown=0, message=100_000, per_head=0, errors=50)
    with rig(tmp_path_factory.mktemp("fuzz"), limits=bounds) as made:
        yield made


@pytest.fixture(scope="module")
def trouble() -> Iterator[Trouble]:
    watching = Trouble()
    for name in ("mailstead", "asyncio"):
        logging.getLogger(name).addHandler(watching)
    yield watching
    for name in ("mailstead", "asyncio"):
        logging.getLogger(name).removeHandler(watching)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("listener", ["mx", "submission"])
@given(spoken=SPOKEN, cut=st.integers(0, 200))
def test_whatever_is_said(one: Rig, trouble: Trouble, listener: str, state: str, spoken: bytes, cut: int) -> None:
    with one.client(listener) as client:
        client.send(b"".join(line + b"\r\n" for line in STATES[state]))
        client.send(spoken[:cut])
        client.send(spoken[cut:])
        import socket

        client.sock.shutdown(socket.SHUT_WR)
        said = client.greeting + client.rest()
    assert REPLY.sub(b"", said) == b"", said
    assert not trouble.seen
    with one.client(listener) as client:
        assert client.cmd("NOOP").startswith(b"250")
