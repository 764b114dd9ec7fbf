"""Running the appliance from outside: subcommands beside a server and without one, imports, the trial."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ops import control
from appliance.ops.errors import ALREADY_SET_UP, LOCKED, USAGE
from tests.house import ROOT, House, house
from tests.instruments.sinkmx import SinkMx

RUN = [sys.executable, str(ROOT / "run.py")]


@pytest.fixture(scope="module")
def h() -> Iterator[House]:
    with house() as served:
        served.add_account("ann", admin=True)
        yield served


def maildir(root: Path, count: int) -> Path:
    """A Maildir of small messages; the one numbered n is n hours old."""
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    for n in range(count):
        path = root / "cur" / f"{n:06}.m:2,{'S' if n % 2 else ''}"
        path.write_bytes(f"From: someone@example.org\nSubject: number {n}\n\nbody {n}\n".encode())
        os.utime(path, (1_700_000_000 + 3600 * n, 1_700_000_000 + 3600 * n))
    return root


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """A subcommand with nothing on its standard input."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
    return subprocess.run(
        [*RUN, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=120, env=clean
    )


def test_import_beside_a_running_server_is_read_over_imap(h: House, tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir", 250)
    out = h.run("import-maildir", "ann", str(root), "--mailbox", "Old").stdout
    assert out == "250 imported, 0 known from before, 0 refused\n"
    client = h.imap("ann")
    assert client.select("Old")[1] == [b"250"]
    _, found = client.search(None, "UNSEEN")
    assert len(found[0].split()) == 125
    _, fetched = client.fetch("3", "(INTERNALDATE BODY.PEEK[])")
    assert b'"15-Nov-2023 00:13:20 +0000"' in fetched[0][0]  # type: ignore[index]
    assert fetched[0][1] == b"From: someone@example.org\r\nSubject: number 2\r\n\r\nbody 2\r\n"  # type: ignore[index]
    again = h.run("import-maildir", "ann@example.test", str(root), "--mailbox", "Old").stdout
    assert again == "0 imported, 250 known from before, 0 refused\n"
    client.logout()


def test_import_says_what_is_wrong(h: House, tmp_path: Path) -> None:
    done = h.run("import-maildir", "ann", str(tmp_path), check=False)
    assert done.returncode == 1 and "is not a Maildir" in done.stderr
    done = h.run("import-maildir", "nobody", str(tmp_path), check=False)
    assert done.returncode == 1 and done.stderr == "mailstead: There is no such account\n"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_import_that_ends_with_the_server_loses_and_doubles_nothing(tmp_path: Path, how: signal.Signals) -> None:
    root = maildir(tmp_path / "Maildir", 3000)
    with house(trouble=True) as h:
        h.add_account("ann")
        words = h.command("import-maildir", "ann", str(root), "--mailbox", "Old")
        importing = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=h.environment())
        watcher = h.imap("ann")
        seen = 0
        while not seen:
            status = watcher.status("Old", "(MESSAGES)")
            found = re.search(rb"MESSAGES (\d+)", status[1][0] or b"") if status[0] == "OK" else None
            seen = int(found[1]) if found else 0
        assert h.stop(how) == (0 if how == signal.SIGTERM else -how)
        watcher.shutdown()
        _, complaint = importing.communicate(timeout=60)
        # a drain may have been long enough for all of it
        broken_off = importing.returncode == 1 and complaint == b"mailstead: The server ended before it answered\n"
        assert broken_off or (how == signal.SIGTERM and importing.returncode == 0)
        h.start()
        out = h.run("import-maildir", "ann", str(root), "--mailbox", "Old").stdout
        counts = [int(word) for word in re.findall(r"\d+", out)]
        assert sum(counts[:2]) == 3000 and counts[1] >= seen and counts[2] == 0
        client = h.imap("ann")
        assert client.select("Old")[1] == [b"3000"]
        _, fetched = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        subjects = [item[1] for item in fetched if isinstance(item, tuple)]
        assert subjects == [f"Subject: number {n}\r\n\r\n".encode() for n in range(3000)]
        client.logout()
        assert h.run("verify").returncode == 0


def test_never_two_writers(h: House) -> None:
    """While somebody holds the directory and does not answer, a subcommand waits, then gives up and writes nothing."""
    h.stop()
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD.format(path=str(h.state))], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        done = h.run("account", "list", check=False)
        assert done.returncode == LOCKED
        assert done.stderr == f"mailstead: {h.state} is in use by process {holder.pid}\n"
    finally:
        holder.kill()
        holder.communicate()
        h.start()


_HOLD = """
import time
from pathlib import Path
from appliance.statedir import StateDirectory
held = StateDirectory.hold(Path({path!r}))
print("held", flush=True)
time.sleep(60)
"""


def test_a_subcommand_waits_for_a_server_that_is_starting(h: House) -> None:
    h.stop()
    h.start(wait=False)
    assert "ann@example.test" in h.run("account", "list").stdout
    h.await_ready()


def test_metrics_tell_of_the_loop(h: House) -> None:
    text = h.run("metrics").stdout
    for name in ("mailstead_loop_lag_seconds", "mailstead_queue_busy", "mailstead_workers_waiting"):
        assert re.search(rf"^{name}", text, re.MULTILINE), name


def test_socket_for_others_refuses_them(h: House) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can try as another user")
    program = f"import socket; socket.socket(socket.AF_UNIX).connect({str(h.state / 'control')!r})"
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-S", "-c", program],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and "Permission" in done.stderr


def test_mail_to_elsewhere_leaves_and_the_queue_is_seen() -> None:
    with SinkMx() as sink, house(route_all=f"127.0.0.1:{sink.port}") as h:
        h.add_account("ann")
        with h.submission("ann") as client:
            client.sendmail(
                "ann@example.test", ["x@example.org"], "From: ann@example.test\r\nSubject: out\r\n\r\nhello\r\n"
            )
        sink.wait(1)
        message = sink.messages[0]
        assert message.recipients == ["x@example.org"] and message.bare_line_ends == 0
        assert b"DKIM-Signature:" in message.data and message.data.endswith(b"\r\nhello\r\n")
        h.await_log("verb=sent")
        assert h.ask("queue.list") == {"recipients": []}


def test_mail_waits_and_says_why_and_can_be_held_and_dropped(h: House) -> None:
    with h.submission("ann") as client:
        client.sendmail("ann@example.test", ["x@example.org"], "From: ann@example.test\r\n\r\nhello\r\n")
    waiting = _until_tried(h)
    assert "dns.off" in waiting["why"] and waiting["state"] == "deferred"
    listed = h.run("queue", "list").stdout
    assert "looking up other domains is switched off on this server" in listed and "dns.off" not in listed
    item = waiting["item"]
    assert h.run("queue", "hold", str(item)).stdout == "1 recipient\n"
    assert h.ask("queue.list")["recipients"][0]["state"] == "frozen"
    assert h.run("queue", "release", str(item)).stdout == "1 recipient\n"
    assert h.run("queue", "drop", "99999", check=False).returncode == 1
    end = time.monotonic() + 15
    while h.run("queue", "drop", str(item), check=False).returncode and time.monotonic() < end:
        pass  # it may be on the wire at this very moment
    assert h.ask("queue.list") == {"recipients": []}


def _until_tried(h: House) -> dict[str, object]:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        for row in h.ask("queue.list")["recipients"]:
            if row["attempts"]:
                return dict(row)
    raise AssertionError("the queue tried nothing")


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    state = tmp_path / "state"
    out, status = _on_a_terminal(
        [*RUN, "--state", str(state), "init", "--profile", "bench"],
        [("First mail domain: ", "example.net"), ("Name of this host [mail.example.net]: ", ""),
         ("Name of the organisation [example.net]: ", "Example Ltd")],
    )  # fmt: skip
    assert status == 0 and "is ready for example.net" in out
    assert 'hostname = "mail.example.net"' in (state / "mailstead.toml").read_text()
    assert run("--state", str(state), "init").returncode == ALREADY_SET_UP
    again = run("--state", str(tmp_path / "other"), "init")
    assert again.returncode == USAGE and "--domain and --hostname" in again.stderr
    out, status = _on_a_terminal(
        [*RUN, "--state", str(state), "account", "add", "ann@example.net"],
        [("Password: ", "geheim"), ("Again: ", "geheim")],
    )
    assert status == 0 and "geheim" not in out


def _on_a_terminal(words: list[str], dialogue: list[tuple[str, str]]) -> tuple[str, int]:
    """Run a program on a terminal of its own and answer its questions; what it showed, and its exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(words[0], words)
    shown, at, end = "", 0, time.monotonic() + 60
    try:
        while time.monotonic() < end:
            ready, _, _ = select.select([terminal], [], [], 1)
            if not ready:
                continue
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece.decode()
            if dialogue and dialogue[0][0] in shown[at:]:
                at = len(shown)
                os.write(terminal, dialogue.pop(0)[1].encode() + b"\n")
        assert not dialogue, f"never asked for {dialogue[0][0]!r}: {shown}"
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(terminal)


def test_trial_serves_prints_its_logins_and_is_found_again(tmp_path: Path) -> None:
    state = tmp_path / "var"
    first = _trial(state)
    assert first == _trial(state)
    address, password = first[0]
    assert address == "admin@example.test" and len(password) > 20


def _trial(state: Path) -> list[tuple[str, str]]:
    """Start a trial, sign in with what it prints, end it with Ctrl-C; the logins."""
    process = subprocess.Popen(
        [*RUN, "--state", str(state), "trial"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        shown: list[str] = []
        for line in process.stdout:
            if line == "ready\n":
                break
            shown.append(line)
        text = "".join(shown)
        logins = re.findall(r"(\S+@example\.test)  (\S+)", text)
        assert len(logins) == 3
        imaps = int(re.search(r"IMAP +\d+ \(STARTTLS\) +(\d+) \(TLS\)", text)[1])  # type: ignore[index]
        with socket.create_connection(("127.0.0.1", imaps), timeout=10):
            pass
        assert control.ask(state, "account.list", {})["accounts"][0]["role"] == "administrator"
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=15)
        assert process.returncode == 0 and "Traceback" not in log
        return logins
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.postgres
def test_the_whole_appliance_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    root = maildir(tmp_path / "Maildir", 120)
    with house(tmp_path / "state", env={"MAILSTEAD_DATABASE": postgres_url}) as h:
        h.add_account("ann", admin=True)
        h.deliver(b"Subject: note\r\n\r\nhello\r\n", "postmaster@example.test")
        h.run("import-maildir", "ann", str(root), "--mailbox", "Old")
        client = h.imap("ann")
        assert client.select("INBOX")[1] == [b"1"]
        assert client.select("Old")[1] == [b"120"]
        client.logout()
        h.kill()
        h.start()
        again = h.run("import-maildir", "ann", str(root), "--mailbox", "Old").stdout
        assert again.startswith("0 imported, 120 known")
        assert h.run("verify").returncode == 0
        assert not (h.state / "mail.db").exists()
