"""T1, T2, T4, T5, R3 on the live listeners: TLS, signing in, and who may write as whom."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from appliance.ops import people
from appliance.ops.state import Ground
from data.directory.facts import Status
from data.store.intake import Intake
from smtp.policy.limits import Limits
from tests.smtp_rig import PASSWORD, Rig, message, rig


def roles(ground: Ground) -> None:
    people.add_alias(ground, "sales@example.test", ["ann@example.test"], group=False, send_as=True, actor="test")
    people.add_alias(
        ground, "all@example.test", ["ann@example.test", "bob@example.test"], group=True, send_as=False, actor="test"
    )
    people.add_account(ground, "gone@example.test", password=PASSWORD, actor="test")
    people.set_status(ground, "gone@example.test", Status.SUSPENDED, "test")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    bounds = Limits(sign_ins=0, errors=0, disk_floor=0)
    with rig(tmp_path_factory.mktemp("tls"), limits=bounds, prepare=roles) as made:
        yield made


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("bench"), bench=True) as made:
        yield made


def plain(user: str, password: str, authzid: str = "") -> bytes:
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode())


# --- T1, T2 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["mx", "submission"])
@pytest.mark.parametrize("injected", [b"NOOP\r\nRSET\r\n", b"MAIL FROM:<a@b.test>\r\n", b"\r\n", b"X"])
def test_T1_what_follows_starttls_in_the_clear_is_never_answered(one: Rig, listener: str, injected: bytes) -> None:
    with one.client(listener) as client:
        client.ehlo()
        client.send(b"STARTTLS\r\n" + injected)
        said = client.rest()
    assert said.startswith(b"503 5.5.1") and said.count(b"\r\n") == 1


@pytest.mark.parametrize("injected", [b"NOOP\r\nRSET\r\n", b"\x16\x03\x01\x00\x05NOOP\r\n"])
def test_T1_what_follows_the_220_in_the_clear_ends_the_handshake(one: Rig, injected: bytes) -> None:
    with one.client() as client:
        client.ehlo()
        assert client.cmd("STARTTLS").startswith(b"220")
        client.send(injected)
        assert b"250" not in client.rest()


def test_T1_what_comes_while_starttls_is_being_answered_is_dropped(one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a message has to be forgotten first: what is said meanwhile is in the clear as well."""
    entered, go = threading.Event(), threading.Event()
    forget = Intake.discard

    def slow(self: Intake) -> None:
        entered.set()
        assert go.wait(20)
        forget(self)

    monkeypatch.setattr(Intake, "discard", slow)
    with one.client() as client:
        client.ehlo()
        client.cmd("MAIL FROM:<a@example.org>")
        client.cmd("RCPT TO:<ann@example.test>")
        half = message() + b"x" * 200_000
        client.send(b"BDAT %d\r\n" % len(half) + half)
        assert client.reply().startswith(b"250")
        client.send(b"STARTTLS\r\n")
        assert entered.wait(20)
        (wire,) = one.listeners["mx"]._open
        client.send(b"NOOP\r\n")
        while not wire.unread():
            time.sleep(0.01)
        go.set()
        assert client.reply().startswith(b"220")
        client._wrap()
        assert client.ehlo().startswith(b"250-mail.example.test")


@pytest.mark.parametrize("listener", ["mx", "submission"])
def test_T2_everything_before_tls_is_forgotten_and_tls_begins_once(one: Rig, listener: str) -> None:
    with one.client(listener) as client:
        client.ehlo()
        client.cmd("MAIL FROM:<a@example.org>")
        client.cmd("RCPT TO:<ann@example.test>")
        client.starttls()
        assert client.cmd("DATA").startswith(b"503 5.5.1")
        assert client.cmd("MAIL FROM:<a@example.org>").startswith((b"503 5.5.1", b"530 5.7.0"))
        assert b"STARTTLS" not in client.ehlo()
        assert client.cmd("STARTTLS").startswith(b"503 5.5.1")


@pytest.mark.parametrize("fast", [True, False], ids=["uvloop", "asyncio"])
def test_T2_a_command_in_the_segment_that_ends_the_handshake_is_answered(
    tmp_path_factory: pytest.TempPathFactory, fast: bool
) -> None:
    """What comes under TLS belongs to the session, however early; only what came before it does not."""
    with rig(tmp_path_factory.mktemp("early"), uvloop=fast) as made, made.client() as client:
        client.ehlo()
        assert client.cmd("STARTTLS").startswith(b"220")
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tunnel = context.wrap_bio(coming, going)
        while True:
            try:
                tunnel.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.send(going.read())
                coming.write(client.sock.recv(65536))
        tunnel.write(b"EHLO early.example.org\r\nNOOP\r\n")
        client.send(going.read())  # the Finished message and the commands, in one
        said = b""
        while b"250 2.0.0" not in said:
            coming.write(client.sock.recv(65536))
            try:
                said += tunnel.read(65536)
            except ssl.SSLWantReadError:
                continue
        assert said.startswith(b"250-mail.example.test\r\n")


def test_T2_a_sign_in_before_tls_is_forgotten(bench: Rig) -> None:
    """Profile bench lets loopback sign in without TLS: the TLS that follows begins with nobody."""
    with bench.client("submission") as client:
        client.ehlo()
        assert client.cmd(b"AUTH PLAIN " + plain("ann@example.test", PASSWORD)).startswith(b"235")
        assert client.cmd("MAIL FROM:<ann@example.test>").startswith(b"250")
        client.starttls()
        client.ehlo()
        assert client.cmd("MAIL FROM:<ann@example.test>").startswith(b"530 5.7.0")


def test_bench_on_loopback_offers_a_sign_in_without_tls(bench: Rig) -> None:
    with bench.client("submission") as client:
        assert b"AUTH PLAIN LOGIN" in client.ehlo()
    with bench.client("mx") as client:
        assert b"AUTH" not in client.ehlo()


def test_bench_on_loopback_has_no_limits(bench: Rig) -> None:
    """Connections, errors, unknown names, talk: what a load test does all day."""
    held = [bench.client() for _ in range(Limits().per_head + 5)]
    client = held[-1]
    client.ehlo()
    client.cmd("MAIL FROM:<a@example.org>")
    for command, answer in (("WHAT", b"500"), ("RCPT TO:<nobody@example.test>", b"550"), ("NOOP", b"250")):
        client.send(f"{command}\r\n".encode() * 600)
        assert {one[:3] for one in client.replies(600)} == {answer}
    for client in held:
        client.sock.close()


# --- T4, T5 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["mx", "submission"])
def test_T4_no_password_is_looked_at_without_tls(one: Rig, listener: str) -> None:
    """The right and the wrong one get the same answer, also as pipelined responses."""
    answers = []
    for password in (PASSWORD, "wrong"):
        with one.client(listener) as client:
            assert b"AUTH" not in client.ehlo()
            name, word = base64.b64encode(b"ann@example.test"), base64.b64encode(password.encode())
            client.send(b"AUTH PLAIN " + plain("ann@example.test", password) + b"\r\n")
            client.send(b"AUTH LOGIN\r\n" + name + b"\r\n" + word + b"\r\nQUIT\r\n")
            answers.append(client.rest())
    assert answers[0] == answers[1]
    lines = answers[0].splitlines()
    assert [line[:3] for line in lines] == [b"538", b"538", b"500", b"500", b"221"]


RESPONSES = [
    (b"AUTH PLAIN " + plain("ann@example.test", "wrong"), b"535 5.7.8"),
    (b"AUTH PLAIN " + plain("nobody@example.test", PASSWORD), b"535 5.7.8"),
    (b"AUTH PLAIN " + plain("gone@example.test", PASSWORD), b"535 5.7.8"),
    (b"AUTH PLAIN " + plain("ann@example.test", PASSWORD, "bob@example.test"), b"535 5.7.8"),
    (b"AUTH PLAIN " + plain("ann\0@example.test", PASSWORD), b"535 5.7.8"),
    (b"AUTH PLAIN " + base64.b64encode(b"no nul at all"), b"535 5.7.8"),
    (b"AUTH PLAIN " + base64.b64encode(b"\0\xff\0\xfe"), b"535 5.7.8"),
    (b"AUTH PLAIN " + base64.b64encode(b"\0\0"), b"535 5.7.8"),
    (b"AUTH PLAIN " + plain("a" * 2000, "b"), b"535 5.7.8"),
    (b"AUTH PLAIN =", b"535 5.7.8"),
    (b"AUTH PLAIN !!!!", b"501 5.5.2"),
    (b"AUTH PLAIN YQ", b"501 5.5.2"),
    (b"AUTH PLAIN *", b"501 5.7.0"),
    (b"AUTH PLAIN a b", b"501 5.5.4"),
    (b"AUTH SCRAM-SHA-256 biwsbj1hbm4=", b"504 5.5.4"),
]


@pytest.mark.parametrize(("line", "expected"), RESPONSES, ids=lambda value: repr(value)[:40])
def test_T5_hostile_exchanges(one: Rig, line: bytes, expected: bytes) -> None:
    with one.client("submissions") as client:
        client.ehlo()
        assert client.cmd(line).startswith(expected)
        assert client.cmd("MAIL FROM:<ann@example.test>").startswith(b"530")
        assert client.cmd("NOOP").startswith(b"250")


def test_T5_a_response_of_64_kib(one: Rig) -> None:
    with one.client("submissions") as client:
        client.ehlo()
        client.send(b"AUTH PLAIN " + b"A" * 65536 + b"\r\n")
        assert client.reply().startswith(b"500 5.5.6")
        assert client.rest() == b""
    with one.client("submissions") as client:
        client.ehlo()
        assert client.cmd("AUTH LOGIN").startswith(b"334")
        client.send(b"A" * 65536 + b"\r\n")
        assert client.reply().startswith(b"500 5.5.6")


def test_T5_an_authzid_that_is_oneself(one: Rig) -> None:
    with one.client("submissions") as client:
        client.ehlo()
        assert client.cmd(b"AUTH PLAIN " + plain("ann@example.test", PASSWORD, "ann@example.test")).startswith(b"235")


def test_T5_failed_sign_ins_end_the_connection(tmp_path_factory: pytest.TempPathFactory) -> None:
    with rig(tmp_path_factory.mktemp("tries"), limits=Limits(sign_ins=3, disk_floor=0)) as made:
        with made.client("submissions") as client:
            client.ehlo()
            wrong = [client.cmd(b"AUTH PLAIN " + plain("ann@example.test", f"no{n}"))[:9] for n in range(3)]
            assert wrong == [b"535 5.7.8", b"535 5.7.8", b"421 4.7.0"]
            assert client.rest() == b""


def test_implicit_tls_takes_no_plain_text(one: Rig) -> None:
    with socket.create_connection(("127.0.0.1", one.ports["submissions"]), timeout=10) as sock:
        sock.sendall(b"EHLO x\r\nAUTH PLAIN AGEAYg==\r\n")
        try:
            said = sock.recv(1000)
        except ConnectionResetError:
            said = b""
    assert b"250" not in said and b"334" not in said


def test_many_handshakes_at_once_all_succeed(one: Rig) -> None:
    """Octets that come in the same moment as the connection are the handshake's."""
    from concurrent.futures import ThreadPoolExecutor

    def greet(_: int) -> bytes:
        with one.client("submissions") as client:
            return client.greeting

    with ThreadPoolExecutor(8) as pool:
        assert {reply[:3] for reply in pool.map(greet, range(24))} == {b"220"}


# --- R3 -----------------------------------------------------------------------------------------------------------------

FOREIGN = [
    "From: bob@example.test",
    "From: ann@ext.org",
    "From: ann@example.test, bob@example.test",
    "From: ann@example.test\r\nFrom: bob@example.test",
    "From : bob@example.test",
    "From: ann@example.test\r\nFrom : bob@example.test",
    "From\r\n : bob@example.test",
    "From: ann@example.test\r\nSender: bob@example.test",
    "From: ann@example.test\r\nResent-From: bob@example.test",
    "From: group: bob@example.test;",
    "From: =?utf-8?q?=3Cbob=40example=2Etest=3E?= <ann@example.test>",
    "From: аnn@example.test",
    "From: all@example.test",
    "Subject: nobody wrote this",
]


@pytest.mark.parametrize("header", FOREIGN)
@pytest.mark.parametrize("size", [0, 200_000])
def test_R3_nobody_writes_as_somebody_else(one: Rig, header: str, size: int) -> None:
    """In the header, whether the message stays in memory or goes to the store as it comes."""
    body = "x" * 70 + "\r\n"
    sent = f"{header}\r\nTo: x@ext.org\r\n\r\n{body * (size // 72 + 1)}".encode()
    before = len(one.everything())
    with one.signed_in() as client:
        answer = client.mail(sent, to=["x@ext.org", "bob@example.test"], sender="ann@example.test")
        assert answer.startswith(b"550 5.7.1"), answer
        assert client.cmd("NOOP").startswith(b"250")
    assert one.spooled() == ()
    assert len(one.everything()) == before


@pytest.mark.parametrize(
    "sender", ["bob@example.test", "ann@ext.org", "all@example.test", "postmaster@example.test", "аnn@example.test"]
)
def test_R3_nobody_sends_as_somebody_else(one: Rig, sender: str) -> None:
    with one.signed_in() as client:
        assert client.cmd(f"MAIL FROM:<{sender}> SMTPUTF8").startswith(b"550 5.7.1")


@pytest.mark.parametrize("sender", ["ann@example.test", "Ann+x@EXAMPLE.test", "sales@example.test", ""])
def test_R3_ones_own_addresses_are_fine(one: Rig, sender: str) -> None:
    writer = sender or "ann@example.test"
    before = len(one.inbox("bob"))
    with one.signed_in() as client:
        sent = message(sender=f"Ann <{writer}>")
        assert client.mail(sent, to=["bob@example.test"], sender=sender).startswith(b"250")
    assert len(one.inbox("bob")) == before + 1


def test_R3_nul_in_from(one: Rig) -> None:
    with one.signed_in() as client:
        assert client.cmd("MAIL FROM:<ann@example.test>").startswith(b"250")
        assert client.cmd("RCPT TO:<bob@example.test>").startswith(b"250")
        assert client.cmd("DATA").startswith(b"354")
        client.send(b"From: ann@example.test\0<bob@example.test>\r\n\r\nx\r\n.\r\n")
        assert client.rest().startswith(b"550 5.5.2")
