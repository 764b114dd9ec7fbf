"""The whole appliance as a process of its own, on free ports of 127.0.0.1, with a fresh state directory.

    with house(profile="bench") as h:
        h.add_account("ann@example.test", "secret")
        client = h.imap("ann@example.test", "secret")

`init`, `serve` and the subcommands are the real ones. `h.stop()`, `h.kill()` and `h.start()` end and begin the server on
the same state; leaving the block stops it and fails when it wrote a traceback or a `failure` line that was not expected.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance.config import PORTS
from appliance.ops import control

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
DOMAIN = "example.test"
PASSWORD = "secret"
START_SECONDS = 40.0
STOP_SECONDS = 20.0
TROUBLE = ("Traceback (most recent call last)", "verb=failure", "verb=service.failed", "verb=task.failed")

# below the range from which clients' ports are taken, so that a base port that is free stays free
_BASES = range(10_000, 28_000)
_IN_USE = tuple(PORTS.values())


def free_base() -> tuple[int, socket.socket]:
    """A base port whose listeners' ports are all free, and a socket on the base itself that keeps other houses off."""
    for base in random.sample(_BASES, 500):
        guard = _taken(base)
        if guard is None:
            continue
        probes = [_taken(base + port) for port in _IN_USE]
        for probe in probes:
            if probe is not None:
                probe.close()
        if None not in probes:
            return base, guard
        guard.close()
    raise RuntimeError("no free block of ports")


def _taken(port: int) -> socket.socket | None:
    probe = socket.socket()
    try:
        probe.bind((HOST, port))
        probe.listen(1)
    except OSError:
        probe.close()
        return None
    return probe


class HouseError(AssertionError):
    """The server did not do what every test may expect of it; the text ends with its log."""


class House:
    """One state directory and, between `start` and `stop`, the process that serves it."""

    def __init__(
        self,
        state: Path,
        *,
        profile: str = "bench",
        domain: str = DOMAIN,
        dns: str | None = None,
        route_all: str | None = None,
        key_file: Path | None = None,
        env: Mapping[str, str] | None = None,
        prepared: bool = False,
    ) -> None:
        """Prepare by `init`, unless the state is `prepared` already; nothing is served yet.

        `env` holds MAILSTEAD_... variables (and others) for every run.
        """
        self.state, self.domain, self.profile = state, domain, profile
        self.base, self._guard = free_base()
        self.env = dict(env or {})
        if prepared:
            self.env["MAILSTEAD_BASE_PORT"] = str(self.base)
        self.process: subprocess.Popen[str] | None = None
        self.stderr = state.with_name(state.name + ".log")
        self.ready_after = 0.0
        if prepared:
            return
        options = {"--dns": dns, "--route-all": route_all, "--key-file": key_file}
        given = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
        names = ["--domain", domain, "--hostname", f"mail.{domain}", "--profile", profile]
        self.run("init", *names, "--base-port", str(self.base), *given)

    # --- where it answers -------------------------------------------------------------------------------------------

    def port(self, listener: str) -> int:
        """The port of a listener by its name in appliance.config.PORTS."""
        return self.base + PORTS[listener]

    @property
    def smtp_port(self) -> int:
        """MX."""
        return self.port("mx")

    @property
    def submission_port(self) -> int:
        """Submission with STARTTLS."""
        return self.port("submission")

    @property
    def smtps_port(self) -> int:
        """Submission with TLS from the first octet."""
        return self.port("submissions")

    @property
    def imap_port(self) -> int:
        """IMAP with STARTTLS."""
        return self.port("imap")

    @property
    def imaps_port(self) -> int:
        """IMAP with TLS from the first octet."""
        return self.port("imaps")

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self.process is not None
        return self.process.pid

    # --- its life ---------------------------------------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        """The command line of a subcommand."""
        return [sys.executable, str(ROOT / "run.py"), "--state", str(self.state), *words]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of every process of this house: nothing of ours leaks in from outside."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSTEAD_")}
        return {**clean, **self.env, **(more or {})}

    def start(self, *words: str, env: Mapping[str, str] | None = None, wait: bool = True) -> House:
        """Serve; returns when `ready` was said (or at once). `env` is for this run alone."""
        with open(self.stderr, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command("serve", *words),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=self.environment(env),
                start_new_session=True,
            )
        if wait:
            self.await_ready()
        return self

    def await_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait for the line `ready`; raises HouseError when the process ends instead, or takes too long."""
        process, begun = self.process, time.monotonic()
        assert process is not None and process.stdout is not None
        # a process that hangs is ended from another thread, which ends the reading below
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                if line == "ready\n":
                    self.ready_after = time.monotonic() - begun
                    return
        finally:
            timer.cancel()
        raise HouseError(f"the server did not become ready (exit {process.wait()})\n{self.log()[-4000:]}")

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """Send a signal and wait for the end; returns the exit status (negative: ended by that signal)."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(number)
        return self.ended(seconds)

    def kill(self) -> int:
        """End it at once, as a power cut would end the process."""
        return self.stop(signal.SIGKILL)

    def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until the server has ended by itself; returns the exit status."""
        process = self.process
        assert process is not None
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise HouseError(f"the server did not end within {seconds} s\n{self.log()[-4000:]}") from None
        finally:
            if process.stdout is not None:
                process.stdout.close()
        self.process = None
        return status

    def close(self) -> None:
        """Stop it if it runs, and give the ports back."""
        try:
            self.stop()
        finally:
            self._guard.close()

    def log(self) -> str:
        """Everything the server has written to standard error."""
        return self.stderr.read_text("utf-8", "replace") if self.stderr.exists() else ""

    def await_log(self, text: str, seconds: float = 15.0) -> str:
        """Wait until the log holds `text` (it is written by a thread of its own, a little later); the whole log."""
        end = time.monotonic() + seconds
        while text not in (log := self.log()):
            if time.monotonic() > end:
                raise HouseError(f"{text!r} did not come into the log\n{log[-4000:]}")
            time.sleep(0.02)
        return log

    def trouble(self) -> list[str]:
        """Lines of the log that no test should cause."""
        return [line for line in self.log().splitlines() if any(word in line for word in TROUBLE)]

    # --- what is done to it -----------------------------------------------------------------------------------------

    def run(self, *words: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a subcommand, as a person would, with `text` on its standard input."""
        done = subprocess.run(
            self.command(*words), input=text or "", capture_output=True, text=True, cwd=ROOT, env=self.environment(),
            check=False, timeout=120,
        )  # fmt: skip
        if check and done.returncode:
            raise HouseError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
        return done

    def ask(self, command: str, **args: Any) -> Mapping[str, Any]:
        """A command over the control socket of the running server, without the cost of a process."""
        return control.ask(self.state, command, args)

    def add_account(self, address: str, password: str = PASSWORD, *, admin: bool = False) -> str:
        """A new account on the running server; returns its address. A bare local part gets the house's domain."""
        full = address if "@" in address else f"{address}@{self.domain}"
        self.ask("account.add", address=full, password=password, admin=admin)
        return full

    # --- who talks to it --------------------------------------------------------------------------------------------

    def tls(self) -> ssl.SSLContext:
        """A client's context that trusts this server's self-signed certificate, and checks its name."""
        return ssl.create_default_context(cafile=str(self.state / "tls" / "cert.pem"))

    def connect(self, port: int, *, tls: bool = False, timeout: float = 15.0) -> socket.socket:
        """A plain (or TLS) connection."""
        sock = socket.create_connection((HOST, port), timeout=timeout)
        return self.tls().wrap_socket(sock, server_hostname="localhost") if tls else sock

    def smtp(self, port: int | None = None, timeout: float = 15.0) -> smtplib.SMTP:
        """A client of the MX (or of another SMTP port)."""
        return smtplib.SMTP(HOST, port or self.smtp_port, local_hostname="client.example.org", timeout=timeout)

    def submission(self, user: str, password: str = PASSWORD, timeout: float = 15.0) -> smtplib.SMTP:
        """A client that is signed in on the submission port, over STARTTLS."""
        client = smtplib.SMTP("localhost", self.submission_port, local_hostname="client.example.org", timeout=timeout)
        try:
            client.starttls(context=self.tls())
            client.login(user, password)
        except BaseException:
            client.close()
            raise
        return client

    def imap(self, user: str, password: str = PASSWORD, timeout: float = 15.0) -> imaplib.IMAP4:
        """A client that is signed in over TLS."""
        client = imaplib.IMAP4_SSL("localhost", self.imaps_port, ssl_context=self.tls(), timeout=timeout)
        try:
            client.login(user, password)
        except BaseException:
            client.shutdown()
            raise
        return client

    def deliver(self, message: str | bytes, *recipients: str, sender: str = "someone@example.org") -> None:
        """Hand a message to the MX as another server would; raises smtplib's errors."""
        with self.smtp() as client:
            refused = client.sendmail(sender, list(recipients), message)
        assert not refused, refused


@contextmanager
def house(state: Path | None = None, *, start: bool = True, trouble: bool = False, **options: Any) -> Iterator[House]:
    """A House for the length of a block; `trouble=True` for tests that make the server log a failure.

    Without `state` it lies in a temporary directory, which goes at the end.
    """
    parent = Path(tempfile.mkdtemp(prefix="house-")) if state is None else None
    built = House(state if state is not None else parent / "state", **options)  # type: ignore[operator]
    try:
        if start:
            built.start()
        yield built
    except BaseException:
        with contextlib.suppress(Exception):
            built.close()
        sys.stderr.write(built.log()[-4000:])
        raise
    else:
        built.close()
        if not trouble and built.trouble():
            raise HouseError("the server's log shows trouble:\n" + "\n".join(built.trouble()[:20]))
    finally:
        if parent is not None:
            shutil.rmtree(parent, ignore_errors=True)
