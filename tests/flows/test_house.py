"""The appliance as a process: it starts, says so, carries mail, reloads, stops; whatever is in its way is one line."""

from __future__ import annotations

import imaplib
import os
import re
import signal
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ops.errors import LOCKED, WRONG_KEY
from tests.house import HOST, House, house

NOTE = b"Subject: note\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def h() -> Iterator[House]:
    with house() as served:
        served.add_account("ann", admin=True)
        yield served


def test_ready_means_that_every_listener_answers() -> None:
    with house() as h:
        for port, tls in ((h.smtp_port, False), (h.submission_port, False), (h.smtps_port, True)):
            with h.connect(port, tls=tls) as sock:
                assert sock.recv(200).startswith(b"220 mail.example.test ESMTP")
        for port, tls in ((h.imap_port, False), (h.imaps_port, True)):
            with h.connect(port, tls=tls) as sock:
                assert sock.recv(500).startswith(b"* OK")
        # generous: what is measured is the machine as well
        assert h.ready_after < 10


def test_mail_comes_in_and_is_read(h: House) -> None:
    h.deliver(NOTE, "ann@example.test")
    client = h.imap("ann")
    assert client.select("INBOX")[0] == "OK"
    _, found = client.search(None, "SUBJECT", "note")
    assert len(found[0].split()) == 1
    _, fetched = client.fetch(found[0].split()[0].decode(), "(BODY.PEEK[])")
    assert fetched[0][1].endswith(NOTE)  # type: ignore[index]
    client.logout()


def test_certificate_is_for_the_host_and_loopback(h: House) -> None:
    for name in ("mail.example.test", "localhost", "127.0.0.1"):
        raw = socket.create_connection((HOST, h.imaps_port), timeout=10)
        with h.tls().wrap_socket(raw, server_hostname=name) as sock:
            assert sock.version() in {"TLSv1.2", "TLSv1.3"}
    assert (h.state / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_everything_in_the_state_directory_is_private_N16(h: House) -> None:
    assert h.state.stat().st_mode & 0o777 == 0o700
    for path in h.state.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    limits = Path(f"/proc/{h.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    environment = Path(f"/proc/{h.pid}/environ").read_bytes()
    key = (h.state / "master.key").read_bytes().strip()
    assert key not in environment and key not in h.log().encode()
    assert b"secret" not in Path(f"/proc/{h.pid}/cmdline").read_bytes()


def test_subcommands_speak_to_the_running_server(h: House) -> None:
    h.await_log("command=account.add outcome=done")
    out = h.run("account", "list").stdout
    assert "ann@example.test" in out
    assert h.run("account", "add", "carl@example.test", "--password-stdin", text="pw\n").returncode == 0
    h.imap("carl", "pw").logout()
    assert h.run("verify").stdout == "everything agrees\n"
    h.await_log("command=verify outcome=done")


def test_a_suspension_holds_at_once(h: House) -> None:
    h.add_account("dora", "pw")
    h.imap("dora", "pw").logout()
    h.ask("account.suspend", address="dora@example.test")
    with pytest.raises(Exception, match="Wrong user name or password"):
        h.imap("dora", "pw")
    h.deliver(NOTE, "dora@example.test")
    h.ask("account.resume", address="dora@example.test")
    client = h.imap("dora", "pw")
    assert client.select("INBOX")[1] == [b"1"]
    client.logout()
    h.ask("account.passwd", address="dora@example.test", password="new")
    with pytest.raises(Exception, match="Wrong user name or password"):
        h.imap("dora", "pw")
    h.imap("dora", "new").logout()


def test_a_second_server_on_the_same_state_is_one_line(h: House) -> None:
    done = subprocess.run(
        h.command("serve"), capture_output=True, text=True, env=h.environment(), check=False, timeout=60
    )
    assert done.returncode == LOCKED
    assert done.stderr == f"mailstead: {h.state} is in use by process {h.pid}\n"
    assert done.stdout == ""


def test_a_taken_port_is_one_line_before_anything_listens(tmp_path: Path) -> None:
    with house(tmp_path / "s", start=False) as h:
        with socket.socket() as taken:
            taken.bind((HOST, h.imaps_port))
            taken.listen()
            done = subprocess.run(
                h.command("serve"), capture_output=True, text=True, env=h.environment(), check=False, timeout=60
            )
        assert done.returncode == 1
        line = done.stderr.splitlines()[-1]
        assert str(h.imaps_port) in line and "in use" in line
        assert "Traceback" not in done.stderr and "ready" not in done.stdout
        h.start()


@pytest.mark.parametrize("key", [None, "ab" * 32])
def test_a_wrong_or_missing_key_is_one_line(tmp_path: Path, key: str | None) -> None:
    with house(tmp_path / "s", start=False) as h:
        kept = (h.state / "master.key").read_text()
        (h.state / "master.key").unlink()
        if key is not None:
            (h.state / "master.key").write_text(key)
        before = _written(h.state)
        done = subprocess.run(
            h.command("serve"), capture_output=True, text=True, env=h.environment(), check=False, timeout=60
        )
        assert done.returncode == WRONG_KEY
        assert len(done.stderr.splitlines()) == 1 and "master" in done.stderr
        assert _written(h.state) == before, "nothing is written"
        (h.state / "master.key").write_text(kept)
        h.start()


def _written(state: Path) -> dict[Path, int]:
    """When each file and directory changed last, but for the lock, which names whoever looked."""
    return {path: path.stat().st_mtime_ns for path in (state, *state.rglob("*")) if path.name != "lock"}


def test_TERM_drains_with_421_and_BYE() -> None:
    with house() as h:
        h.add_account("ann")
        smtp = h.connect(h.smtp_port)
        imap = h.connect(h.imap_port)
        signed_in = h.imap("ann")
        signed_in.select("INBOX")
        assert smtp.recv(500).startswith(b"220") and imap.recv(500).startswith(b"* OK")
        begun = time.monotonic()
        assert h.stop() == 0
        assert time.monotonic() - begun < 10
        assert _all(smtp).startswith(b"421 4.3.2")
        assert _all(imap).startswith(b"* BYE")
        assert b"BYE" in _all(signed_in.sock)


def _all(sock: socket.socket) -> bytes:
    got = b""
    while piece := sock.recv(4096):
        got += piece
    sock.close()
    return got


def test_INT_ends_clean_and_what_was_taken_is_there_afterwards() -> None:
    with house() as h:
        h.add_account("ann")
        h.deliver(NOTE, "ann@example.test")
        assert h.stop(signal.SIGINT) == 0
        assert not (h.state / "control").exists()
        h.start()
        client = h.imap("ann")
        assert client.select("INBOX")[1] == [b"1"]
        client.logout()


def test_a_second_TERM_ends_at_once() -> None:
    with house(trouble=True) as h:
        h.add_account("ann")
        smtp = h.smtp()
        smtp.ehlo()
        smtp.mail("a@example.org")
        smtp.rcpt("ann@example.test")
        smtp.docmd("DATA")
        smtp.send(b"Subject: half\r\n")
        # a message is under way: the drain waits for it
        os.kill(h.pid, signal.SIGTERM)
        h.await_log("verb=drain")
        begun = time.monotonic()
        os.kill(h.pid, signal.SIGTERM)
        assert h.ended() in {128 + signal.SIGTERM, -signal.SIGTERM}
        assert time.monotonic() - begun < 3
        smtp.close()
        h.start()
        client = h.imap("ann")
        assert client.select("INBOX")[1] == [b"0"]
        client.logout()


def test_killed_and_started_again_recovers() -> None:
    with house(trouble=True) as h:
        h.add_account("ann")
        (h.state / "blobs" / "tmp" / "left-over").write_bytes(b"x")
        h.deliver(NOTE, "ann@example.test")
        h.kill()
        assert (h.state / "control").exists()
        h.start()
        assert not (h.state / "blobs" / "tmp" / "left-over").exists()
        assert "verb=recover" in h.log() and "swept=1" in h.log()
        client = h.imap("ann")
        assert client.select("INBOX")[1] == [b"1"]
        client.logout()
        assert h.run("verify").returncode == 0


def test_both_families_are_served() -> None:
    with house(env={"MAILSTEAD_BIND": "127.0.0.1,::1"}) as h:
        h.add_account("ann")
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, h.smtp_port), timeout=15) as sock:
                assert sock.recv(200).startswith(b"220")
            with smtplib.SMTP(host, h.smtp_port, "client.example.org", timeout=15) as client:
                client.sendmail("someone@example.org", ["ann@example.test"], NOTE)
            with imaplib.IMAP4(host, h.imap_port, timeout=15) as reader:
                reader.login("ann", "secret")
                assert reader.select("INBOX")[0] == "OK"
        assert "peer=::1" in h.await_log("peer=::1") and "::ffff:" not in h.log()


def test_a_long_state_path_has_a_control_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with house(deep / "state") as h:
        assert h.add_account("ann") == "ann@example.test"


def test_serve_options_and_environment_override_the_file(tmp_path: Path) -> None:
    with house(tmp_path / "s", start=False, env={"MAILSTEAD_LOG_LEVEL": "debug"}) as h:
        h.start()
        h.await_log("level=debug")
        h.stop()
        before = h.log().count("level=debug")
        h.start("--log-level", "warning")
        h.stop()
        assert h.log().count("level=debug") == before
        bad = subprocess.run(
            h.command("serve"),
            capture_output=True,
            text=True,
            env=h.environment({"MAILSTEAD_LIMITS_THREDS": "4"}),
            check=False,
            timeout=60,
        )
        assert bad.returncode == 1
        assert "MAILSTEAD_LIMITS_THREDS" in bad.stderr and "MAILSTEAD_LIMITS_THREADS" in bad.stderr
