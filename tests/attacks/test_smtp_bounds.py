"""O1-O3, F1, F2 on the live listeners: nothing a client sends, or does not send, takes more than its share."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtp.listener import conversation
from smtp.policy.limits import MIB, Limits
from tests.smtp_rig import Client, Rig, message, rig

TIGHT = Limits(
    message=2 * MIB,
    disk_floor=0,
    errors=0,
    grace=0.5,
    rate=200_000,
    begin=2.0,
    line=1.0,
    idle=2.0,
    linger=1.0,
    per_head=5,
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("bounds"), limits=Limits(disk_floor=0, errors=0, unknown=0)) as made:
        yield made


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("tight"), limits=TIGHT) as made:
        yield made


def resident() -> int:
    """Octets of memory in use now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def begin(one: Rig, *to: str) -> Client:
    client = one.client()
    client.ehlo()
    assert client.cmd("MAIL FROM:<a@example.org>").startswith(b"250")
    for name in to or ("ann@example.test",):
        assert client.cmd(f"RCPT TO:<{name}>").startswith(b"250")
    return client


def pour(client: Client, octets: bytes, times: int) -> None:
    """Send as long as the other side takes it."""
    with contextlib.suppress(OSError):
        for _ in range(times):
            client.send(octets)


# --- O: too much --------------------------------------------------------------------------------------------------------


def test_O1_a_command_of_two_megabytes(one: Rig) -> None:
    with one.client() as client:
        before, begun = resident(), time.monotonic()
        pour(client, b"A" * 65536, 32)
        assert client.reply().startswith(b"500 5.5.6")
        assert time.monotonic() - begun < 1
        assert client.rest() == b""
        assert resident() - before < 10 * MIB


def test_O1_a_command_just_within_and_just_beyond(one: Rig) -> None:
    with one.client() as client:
        assert client.cmd(b"NOOP " + b"x" * (4096 - 5)).startswith(b"250")
        assert client.cmd(b"NOOP " + b"x" * (4096 - 4)).startswith(b"500 5.5.6")


def test_O1_a_header_line_of_a_megabyte(one: Rig) -> None:
    with begin(one) as client:
        assert client.cmd("DATA").startswith(b"354")
        client.send(b"Subject: " + b"x" * MIB + b"\r\n\r\nbody\r\n.\r\n")
        assert client.reply().startswith(b"552 5.3.4")
        assert client.cmd("NOOP").startswith(b"250")


def test_O1_a_hundred_thousand_header_fields(one: Rig) -> None:
    with begin(one) as client:
        assert client.cmd("DATA").startswith(b"354")
        client.send(b"X: y\r\n" * 100_000 + b"\r\nbody\r\n.\r\n")
        assert client.reply().startswith(b"552 5.3.4")
        assert client.mail(message()).startswith(b"250")


def test_O1_a_body_line_of_five_megabytes_is_mail(one: Rig) -> None:
    before, memory = len(one.inbox()), resident()
    with begin(one) as client:
        assert client.cmd("DATA").startswith(b"354")
        client.send(b"Subject: long\r\n\r\n")
        pour(client, b"y" * 65536, 80)
        client.send(b"\r\n.\r\n")
        assert client.reply().startswith(b"250")
    assert resident() - memory < 40 * MIB
    found = one.inbox()
    assert len(found) == before + 1
    assert found[-1].endswith(b"\r\n\r\n" + b"y" * (80 * 65536) + b"\r\n")


def test_O2_twenty_thousand_recipients(one: Rig) -> None:
    with one.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<a@example.org>")
        memory = resident()
        taken = refused = 0
        for _ in range(200):
            client.send(b"RCPT TO:<ann@example.test>\r\n" * 100)
            for answer in client.replies(100):
                taken += answer.startswith(b"250 2.1.5")
                refused += answer.startswith(b"452 4.5.3")
        assert (taken, refused) == (100, 19_900)
        assert resident() - memory < 10 * MIB
        assert client.cmd("DATA").startswith(b"354")
        client.send(message() + b".\r\n")
        assert client.reply().startswith(b"250")


def test_O3_a_size_that_is_too_large_is_refused_at_mail(one: Rig) -> None:
    with one.client() as client:
        client.ehlo()
        assert client.cmd("MAIL FROM:<a@example.org> SIZE=999999999").startswith(b"552 5.3.4")
        assert client.cmd("MAIL FROM:<a@example.org> SIZE=52428800").startswith(b"250")


def test_O3_a_size_that_was_a_lie(tight: Rig) -> None:
    """Beyond the limit a little more is read, then the session goes on."""
    with tight.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<a@example.org> SIZE=10")
        client.cmd("RCPT TO:<ann@example.test>")
        client.cmd("DATA")
        client.send(b"Subject: x\r\n\r\n" + b"z" * (2 * MIB + 1000) + b"\r\n.\r\n")
        assert client.reply().startswith(b"552 5.3.4")
        assert client.cmd("NOOP").startswith(b"250")


def test_O3_endless_data_is_cut_off(tight: Rig) -> None:
    memory = resident()
    with begin(tight) as client:
        client.cmd("DATA")
        client.send(b"Subject: x\r\n\r\n")
        pour(client, b"z" * 65536, 200)
        assert client.rest().startswith(b"552 5.3.4")
    assert resident() - memory < 20 * MIB
    assert not any((tight.ground.state / "blobs" / "tmp").glob("*"))


def test_O3_chunks_beyond_the_limit(tight: Rig) -> None:
    half = b"\r\n" + (b"w" * 98 + b"\r\n") * 15_728
    with begin(tight) as client:
        for expected in (b"250 2.6.0", b"552 5.3.4"):
            client.send(b"BDAT %d\r\n" % len(half) + half)
            assert client.reply().startswith(expected)
        assert client.cmd("NOOP").startswith(b"250")
        client.send(b"BDAT %d\r\n" % len(half))
        pour(client, half, 1)
        said = client.rest()
        assert said.startswith(b"552 5.3.4") and said.count(b"\r\n") == 1, "beyond a little more nothing is read"
    with begin(tight) as client:
        client.send(b"BDAT 999999999999 LAST\r\n")
        assert client.reply().startswith(b"552 5.3.4")
        assert client.rest() == b""


def test_many_hops_are_a_loop(one: Rig) -> None:
    with one.client() as client:
        client.ehlo()
        sent = b"Received: from a by b; Mon, 5 Jan 2026 10:11:12 +0100\r\n" * 50 + message()
        assert client.mail(sent).startswith(b"554 5.4.6")
        sent = b"Delivered-To: ann@example.test\r\n" + message()
        assert client.mail(sent).startswith(b"554 5.4.6")


# --- F: too many, too slow ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["mx", "submission", "submissions"])
def test_F1_connections_of_one_machine_are_bounded(tight: Rig, listener: str) -> None:
    """Beyond the bound 421 (or, before TLS, a close); one that leaves makes room."""
    held = [tight.client(listener) for _ in range(5)]
    try:
        for _ in range(20):
            sock = socket.create_connection(("127.0.0.1", tight.ports[listener]), timeout=10)
            with sock:
                said = sock.recv(1000)
                assert said == b"" if listener == "submissions" else said.startswith(b"421 4.7.0")
        held[0].cmd("QUIT")
        held.pop(0).sock.close()
        for _ in range(100):
            try:
                held.append(tight.client(listener))
                if held[-1].greeting.startswith(b"220"):
                    break
                held.pop().sock.close()
            except OSError:
                time.sleep(0.02)
        assert held[-1].greeting.startswith(b"220")
    finally:
        for client in held:
            client.sock.close()


def test_F1_the_bound_counts_handshakes(tight: Rig) -> None:
    """Who connects to the TLS port and says nothing holds a place as well."""
    held = [socket.create_connection(("127.0.0.1", tight.ports["submissions"]), timeout=10) for _ in range(5)]
    try:
        with socket.create_connection(("127.0.0.1", tight.ports["submissions"]), timeout=10) as extra:
            assert extra.recv(10) == b""
    finally:
        for sock in held:
            sock.close()


def test_F1_others_are_served_meanwhile(one: Rig) -> None:
    """A flood of connections does not keep a known client waiting."""
    flood = [socket.create_connection(("127.0.0.1", one.ports["mx"]), timeout=10) for _ in range(29)]
    try:
        with one.client() as client:
            client.ehlo()
            for _ in range(10):
                begun = time.monotonic()
                assert client.cmd("NOOP").startswith(b"250")
                assert time.monotonic() - begun < 0.25
            refused = [socket.create_connection(("127.0.0.1", one.ports["mx"]), timeout=10) for _ in range(200)]
            begun = time.monotonic()
            assert client.mail(message()).startswith(b"250")
            assert time.monotonic() - begun < 1
            for sock in refused:
                sock.close()
    finally:
        for sock in flood:
            sock.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="127.0.0.0/8 is one machine's only on Linux")
def test_F1_a_flood_from_many_machines(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Forty machines with ten connections each, all silent: one more is served, and at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    flood: list[socket.socket] = []
    with rig(tmp_path_factory.mktemp("flood"), limits=Limits(disk_floor=0)) as made:
        try:
            memory = resident()
            for machine in range(2, 42):
                for _ in range(10):
                    source = (f"127.0.{machine}.1", 0)
                    where = ("127.0.0.1", made.ports["mx"])
                    flood.append(socket.create_connection(where, timeout=10, source_address=source))
            begun = time.monotonic()
            with made.client() as client:
                client.ehlo()
                assert client.mail(message()).startswith(b"250")
            assert time.monotonic() - begun < 1
            assert resident() - memory < 60 * MIB
        finally:
            for sock in flood:
                sock.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def slow(client: Client, octets: bytes, every: float, stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        for octet in octets:
            client.send(bytes([octet]))
            if stop.wait(every):
                return


@pytest.mark.parametrize(
    ("before", "what"),
    [
        ([], b"EHLO " + b"x" * 200),
        (["EHLO a"], b"MAIL FROM:<" + b"x" * 200),
        (["EHLO a", "MAIL FROM:<a@b.test>"], b"RCPT TO:<" + b"x" * 200),
        (["EHLO a", "MAIL FROM:<a@b.test>", "RCPT TO:<ann@example.test>", "DATA"], b"Subject: " + b"x" * 200),
    ],
    ids=["hello", "mail", "rcpt", "data"],
)
def test_F2_slowloris(tight: Rig, before: list[str], what: bytes) -> None:
    """One octet now and then: the deadline is for the whole, not for the octet."""
    stop = threading.Event()
    with tight.client() as client:
        for command in before:
            client.cmd(command)
        begun = time.monotonic()
        sender = threading.Thread(target=slow, args=(client, what, 0.1, stop))
        sender.start()
        try:
            assert client.rest().startswith(b"421 4.4.2")
            assert time.monotonic() - begun < 8
        finally:
            stop.set()
            sender.join()


def test_F2_who_says_nothing_is_sent_away(tight: Rig) -> None:
    with tight.client() as client:
        begun = time.monotonic()
        assert client.rest().startswith(b"421 4.4.2")
        assert time.monotonic() - begun < 8


def test_F2_noop_does_not_put_the_first_deadline_off(tight: Rig) -> None:
    """Until mail begins, the time is for all of it: talking does not buy more."""
    with tight.client() as client:
        begun = time.monotonic()
        answer = b"250"
        while answer.startswith(b"250"):
            answer = client.cmd("NOOP")
            time.sleep(0.05)
            assert time.monotonic() - begun < 8
        assert answer.startswith(b"421 4.4.2") or answer == b""


def test_F2_a_handshake_that_never_comes(tight: Rig) -> None:
    with socket.create_connection(("127.0.0.1", tight.ports["submissions"]), timeout=10) as sock:
        begun = time.monotonic()
        assert sock.recv(10) == b""
        assert time.monotonic() - begun < 8
    with tight.client("submission") as client:
        client.ehlo()
        client.cmd("STARTTLS")
        begun = time.monotonic()
        assert client.rest() == b""
        assert time.monotonic() - begun < 8


def test_F2_a_reader_that_never_reads(tight: Rig) -> None:
    """Answers that nobody takes stop the commands, and the connection ends."""
    with tight.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.ehlo()
        client.cmd("MAIL FROM:<a@b.test>")
        memory = resident()
        client.sock.settimeout(15)
        with pytest.raises(ConnectionError):  # not our own patience: the server ends it
            for _ in range(5000):
                client.send(b"RCPT TO:<ann@example.test>\r\n" * 1000)
        assert resident() - memory < 10 * MIB


def test_errors_end_a_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    bounds = Limits(disk_floor=0, errors=5, talk=6)
    with rig(tmp_path_factory.mktemp("errors"), limits=bounds) as made:
        with made.client() as client:
            answers = [client.cmd("WHAT")[:3] for _ in range(5)]
            assert answers == [b"500"] * 5
            assert client.reply().startswith(b"421 4.7.0")
            assert client.rest() == b""
        with made.client() as client:
            client.ehlo()
            answers = [client.cmd("NOOP")[:3] for _ in range(6)]
            assert answers == [b"250"] * 5 + [b"421"]


def test_F1_a_long_pipeline_lets_others_have_the_loop(one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of commands in one segment: between two turns of the loop few of them are answered."""
    verify = conversation._VERBS["VRFY"]
    turns = [0]
    over = threading.Event()

    async def counted(talk: conversation.Conversation, arg: str) -> None:
        turns[-1] += 1
        await verify(talk, arg)

    async def turn() -> None:
        while not over.is_set():
            turns.append(0)
            await asyncio.sleep(0)

    monkeypatch.setitem(conversation._VERBS, "VRFY", counted)
    with one.client() as busy:
        busy.ehlo()
        turning = asyncio.run_coroutine_threadsafe(turn(), one.loop)
        busy.send(b"VRFY x\r\n" * 400)
        assert len(busy.replies(400)) == 400
        over.set()
        turning.result(10)
    assert sum(turns) == 400
    assert max(turns) <= 100


def test_F4_no_room_on_the_disk_is_said_at_rcpt(tmp_path_factory: pytest.TempPathFactory) -> None:
    """452 before the message comes; a sign-in and its recipients get the same answer."""
    with rig(tmp_path_factory.mktemp("full"), full=True) as made:
        with made.client() as client:
            client.ehlo()
            assert client.cmd("MAIL FROM:<a@example.org>").startswith(b"250")
            assert client.cmd("RCPT TO:<ann@example.test>").startswith(b"452 4.3.1")
        with made.signed_in() as client:
            client.cmd("MAIL FROM:<ann@example.test>")
            for name in ("bob@example.test", "x@example.org"):
                assert client.cmd(f"RCPT TO:<{name}>").startswith(b"452 4.3.1")
