"""RELIABILITY T5, A4 and A5 over the wire: SMTP AUTH and IMAP of the whole appliance."""

from __future__ import annotations

import base64
import contextlib
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house import HOST, PASSWORD, House, house

PROTOCOLS = ("smtp", "imap")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """ann and bob, and sue who is suspended; production rules would slow 1200 guesses down, so the profile is bench."""
    state: Path = tmp_path_factory.mktemp("auth") / "state"
    with house(state, profile="bench") as h:
        for name in ("ann", "bob", "sue"):
            h.add_account(name)
        h.run("account", "suspend", "sue@example.test")
        yield h


def b64(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


class Line:
    """A client that says lines and reads answers: one SMTP or IMAP connection over TLS."""

    def __init__(self, h: House, protocol: str, source: str = "127.0.0.1") -> None:
        self.protocol = protocol
        port = h.smtps_port if protocol == "smtp" else h.imaps_port
        plain = socket.create_connection((HOST, port), timeout=30, source_address=(source, 0))
        self.sock = h.tls().wrap_socket(plain, server_hostname="localhost")
        self.file = self.sock.makefile("rwb")
        self.file.readline()
        if protocol == "smtp":
            self.say(b"EHLO client.example.org")

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.file.close()
        self.sock.close()

    def send(self, line: bytes) -> None:
        self.file.write(line + b"\r\n")
        self.file.flush()

    def say(self, line: bytes) -> bytes:
        """Send a line; the last line of the answer (SMTP: `NNN `, IMAP: tagged or a continuation)."""
        self.send(line)
        while True:
            got = self.file.readline()
            if not got:
                raise ConnectionError("closed")
            done = got[3:4] != b"-" if self.protocol == "smtp" else not got.startswith(b"* ")
            if done:
                return got.rstrip(b"\r\n")

    def sasl(self, *lines: bytes) -> bytes:
        """AUTH/AUTHENTICATE PLAIN, each further line in answer to a challenge."""
        answer = self.say(b"AUTH PLAIN" if self.protocol == "smtp" else b"a AUTHENTICATE PLAIN")
        for line in lines:
            assert answer.startswith(b"334 " if self.protocol == "smtp" else b"+"), answer
            answer = self.say(line)
        return answer

    def guess(self, name: str, password: str) -> bytes:
        return self.sasl(b64(f"\0{name}\0{password}"))


def no(answer: bytes) -> bool:
    """A permanent refusal: 5xx, or a tagged NO or BAD."""
    return answer[:1] == b"5" or answer.startswith((b"a NO", b"a BAD"))


def yes(answer: bytes) -> bool:
    return answer.startswith((b"235", b"a OK"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "line",
    [
        b"*",
        b"!!!",
        b"AAA",
        b64("\0ann\0" + PASSWORD)[:-3],
        b64("\0a\0nn\0" + PASSWORD),
        b64("ann\0" + PASSWORD),
        b64(b"\0ann\xff\0x"),
        b64("bob\0ann\0" + PASSWORD),
        b64("\0ann\0"),
        b64("\0\0" + PASSWORD),
        b64("\0nobody\0" + PASSWORD),
        b64("\0sue\0" + PASSWORD),
    ],
)
def test_T5_what_is_not_right_is_refused_and_the_connection_lives(office: House, protocol: str, line: bytes) -> None:
    with Line(office, protocol) as client:
        assert no(client.sasl(line))
        assert client.say(b"NOOP" if protocol == "smtp" else b"n NOOP")[:3] in {b"250", b"n O"}
        assert yes(client.guess("ann", PASSWORD))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_T5_64_kib_of_base64(office: House, protocol: str) -> None:
    with Line(office, protocol) as client:
        try:
            answer = client.sasl(b"A" * 65_536)
        except ConnectionError:
            answer = b"5 closed"
        assert no(answer) or answer.startswith((b"421", b"* BYE"))
    with Line(office, protocol) as client:
        assert yes(client.guess("ann", PASSWORD)), "others are served"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_T5_authzid_of_oneself_is_no_pretence(office: House, protocol: str) -> None:
    with Line(office, protocol) as client:
        assert yes(client.sasl(b64(f"ann@example.test\0ann@example.test\0{PASSWORD}")))


def _answers(office: House, protocol: str, name: str, password: str) -> bytes:
    with Line(office, protocol) as client:
        return client.guess(name, password)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_A4_same_answer_for_all(office: House, protocol: str) -> None:
    said = {
        _answers(office, protocol, "ann@example.test", "wrong"),
        _answers(office, protocol, "nobody@example.test", "wrong"),
        _answers(office, protocol, "nobody@elsewhere.test", "wrong"),
        _answers(office, protocol, "sue@example.test", "wrong"),
        _answers(office, protocol, "sue@example.test", PASSWORD),
        _answers(office, protocol, "a" * 900 + "@example.test", "wrong"),
        _answers(office, protocol, "sue", "x" * 900),
    }
    assert len(said) == 1 and no(said.pop())


@pytest.mark.long
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_A4_same_time_for_all(office: House, protocol: str) -> None:
    """200 timings each for existing, missing and suspended users."""
    times: dict[str, list[float]] = {"ann": [], "nobody": [], "sue": []}
    for n in range(200):
        for name, taken in times.items():
            with Line(office, protocol) as client:
                begun = time.perf_counter()
                assert no(client.guess(f"{name}@example.test", f"wrong {n}"))
                taken.append(time.perf_counter() - begun)
    medians = [statistics.median(taken) for taken in times.values()]
    apart = max(medians) - min(medians)
    assert apart < 0.002 or apart < 0.05 * min(medians), medians


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_A5_a_flood_of_logins_leaves_others_alone(office: House, protocol: str) -> None:
    """50 logins at once; the p99 of another client's IMAP commands stays under half a second."""
    answers: list[bytes] = []
    go = threading.Event()

    def guess(n: int) -> None:
        with Line(office, protocol) as client:
            go.wait(30)
            answers.append(client.guess("bob", f"wrong {n}"))

    with Line(office, "imap") as other:
        assert yes(other.guess("ann", PASSWORD))
        flood = [threading.Thread(target=guess, args=(n,)) for n in range(50)]
        for thread in flood:
            thread.start()
        go.set()
        waits = _noops(other, lambda: any(thread.is_alive() for thread in flood))
    for thread in flood:
        thread.join()
    assert len(answers) == 50 and all(no(answer) for answer in answers)
    assert waits[int(len(waits) * 0.99)] < 0.5, waits[-5:]


def _noops(client: Line, more: Callable[[], bool]) -> list[float]:
    """How long NOOPs took while `more()`, ascending."""
    waits: list[float] = []
    while more() or not waits:
        begun = time.perf_counter()
        assert client.say(b"n NOOP").startswith(b"n OK")
        waits.append(time.perf_counter() - begun)
    return sorted(waits)


def test_A1_production_slows_guesses_and_locks_nobody(tmp_path: Path) -> None:
    """The sixth distinct wrong password of an address waits; the owner gets in meanwhile from elsewhere, and from there."""
    with house(tmp_path / "state", profile="production") as h:
        h.add_account("ann")
        h.add_account("bob")
        with Line(h, "imap") as client:
            assert yes(client.guess("ann", PASSWORD))
        begun = time.perf_counter()
        for n in range(7):
            with Line(h, "imap", source="127.0.0.9") as client:
                assert no(client.guess("ann", f"guess {n}"))
        assert time.perf_counter() - begun > 2
        begun = time.perf_counter()
        for source in ("127.0.0.9", "127.0.0.1"):  # remembered: an owner's client does not wait
            with Line(h, "imap", source=source) as client:
                assert yes(client.guess("ann", PASSWORD))
        assert time.perf_counter() - begun < 2
        with Line(h, "imap", source="127.0.0.8") as client:
            assert yes(client.guess("bob", PASSWORD)), "other networks do not wait"
