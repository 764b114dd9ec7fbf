r"""The one log of the process: logfmt, one line per event, to standard error.

Promises: a line is one line: control bytes, ANSI escapes, line separators and bidirectional marks in a value are
written as escapes (`\n`, `\x1b`, `\u202e`). A verb is one of `VERBS`, so that a reader can search for it and a test can
count it; an unknown one is an error of ours. Fields whose names speak of secrets are never written, values are cut at
512 characters. A reader that stopped reading costs lines, never the loop: lines go out by a thread of their own, the
oldest are dropped beyond 20 000 waiting, and their number is logged.

May not: hold mail content or secrets. The text of an unknown exception may quote what it choked on, so `failure` writes
its type and place, and its text at level debug only.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from typing import Final, Literal, TextIO, get_args

from data.errors import StoreError

Verb = Literal[
    # life of the process
    "start", "ready", "reload", "drain", "stop", "stopped", "signal", "crashpoint",
    # parts of it
    "listen", "service.start", "service.stop", "service.failed", "task.failed", "task.ended", "task.late",
    "loop.lag", "workers.full", "config", "dropped", "library", "failure",
    # connections and TLS
    "connect", "disconnect", "refused", "timeout", "tls", "tls.failed", "certificate.made", "certificate.loaded",
    "certificate.broken", "limit",
    # names
    "dns.failed", "dns.slow",
    # storage
    "open", "recover", "migrate", "sweep", "verify", "corrupt", "disk.full", "disk.low", "quota",
    # mail: what happened to a message is said by appliance.maillog with the first group
    "received", "rejected", "deferred", "delivered", "submitted", "queued", "held", "released", "sent", "bounced",
    "expired", "cancelled", "looped", "appended",
    "mail", "queue", "attempt", "sign", "screen", "import", "resync",
    "index",
    # people and administration
    "login", "login.failed", "login.slowed", "account", "domain", "alias", "control", "audit", "settings", "web",
]  # fmt: skip
"""The closed list of verbs; whoever needs a new one adds it here, in its group."""

VERBS: Final[frozenset[str]] = frozenset(get_args(Verb))

_ROOT = "mailstead"
_VALUE_MAX = 512
_LINES_MAX = 20_000
_LINGER = 0.02
_SECRET = re.compile(r"pass(word|wd|phrase)?$|secret|token|verifier|authorization|cookie|private|(^|_)key$", re.I)
_LIBRARY_SECRET = re.compile(r"(?i)\b(AUTH(?:ENTICATE)?\s+\S+|LOGIN\s+\S+|PASS|Bearer|Basic)\s+\S+")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+,<>()\[\]{}*#%&!?;~^$|-]+\Z")
_UNSAFE = re.compile(
    '[\\x00-\\x1f"\\\\\\x7f-\\x9f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f'
    "\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}

type_of_level = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class UnknownVerb(ValueError):
    """A line with a verb outside the closed list: an error of the house, not of a peer."""


def new_id() -> str:
    """A correlation id for a connection or a message: 10 hexadecimal digits (40 random bits)."""
    return secrets.token_hex(5)


def escape(text: str) -> str:
    """`text` with everything that could break a line, colour a terminal or reverse reading written as an escape."""
    return _UNSAFE.sub(_escape_one, text)


def _escape_one(match: re.Match[str]) -> str:
    char = match.group()
    named = _NAMED.get(char)
    if named is not None:
        return named
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: _VALUE_MAX * 4]).decode("utf-8", "backslashreplace")
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(_text(part) for part in list(value)[:64])
    return str(value)


@cache
def _secret(name: str) -> bool:
    """Whether a field of this name is never written; names come from our code, so they are few."""
    return _SECRET.search(name) is not None


def render(name: str, value: object) -> str:
    """One `name=value`, quoted where needed; a secret by its name becomes `***`."""
    if _secret(name):
        return f"{name}=***"
    text = _text(value)
    if len(text) > _VALUE_MAX:
        text = text[:_VALUE_MAX] + "…"
    if _PLAIN.match(text):
        return f"{name}={text}"
    return f'{name}="{escape(text)}"'


def place(error: BaseException) -> str:
    """Where it happened: the last five frames as `file:line`, innermost first; holds no values."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    return ",".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))


def why(error: BaseException) -> str | None:
    """The part of an exception's text that is safe to write: ours, or the system's word for an errno."""
    if isinstance(error, StoreError):
        return error.private or error.public
    private = getattr(error, "private", None)
    if isinstance(private, str):
        return private
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror} (errno {error.errno})"
    return None


class Log:
    """The log of one room. Each call is one line: `log.info("listen", id=..., host=..., port=...)`."""

    __slots__ = ("_fields", "_logger", "room")

    def __init__(self, room: str, fields: Mapping[str, object] | None = None) -> None:
        self.room = room
        self._fields = dict(fields or {})
        self._logger = logging.getLogger(f"{_ROOT}.{room}")

    def bind(self, **fields: object) -> Log:
        """A log that adds `fields` to each of its lines (the correlation id of a connection, say)."""
        return Log(self.room, {**self._fields, **fields})

    def debug(self, verb: Verb, **fields: object) -> None:
        """Something for whoever looks for a fault."""
        self._write(logging.DEBUG, verb, fields)

    def info(self, verb: Verb, **fields: object) -> None:
        """Something that happened as it should."""
        self._write(logging.INFO, verb, fields)

    def warning(self, verb: Verb, **fields: object) -> None:
        """Something the administrator may want to look at."""
        self._write(logging.WARNING, verb, fields)

    def error(self, verb: Verb, **fields: object) -> None:
        """Something that went wrong and was not a peer's fault."""
        self._write(logging.ERROR, verb, fields)

    def failure(self, error: BaseException, verb: Verb = "failure", **fields: object) -> None:
        """An exception: its type, where, and its text when that is safe to write (or at level debug)."""
        told = why(error)
        if told is None and self._logger.isEnabledFor(logging.DEBUG):
            told = str(error)
        note = {} if told is None else {"why": told}
        self._write(logging.ERROR, verb, {**fields, "error": type(error).__name__, **note, "at": place(error)})

    def _write(self, level: int, verb: str, fields: dict[str, object]) -> None:
        if verb not in VERBS:
            raise UnknownVerb(verb)
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        record = logger.makeRecord(logger.name, level, "", 0, verb, (), None)
        record.__dict__["fields"] = {**self._fields, **fields} if self._fields else fields
        logger.handle(record)


def get(room: str) -> Log:
    """The log of `room` ("smtp", "imap", "queue", ...)."""
    return Log(room)


class Logfmt(logging.Formatter):
    """Log records to lines; what a library says is one field of a `library` line, scrubbed of credentials."""

    def format(self, record: logging.LogRecord) -> str:
        """`ts=... level=... room=... verb=... name=value ...` without a line end."""
        seconds = int(record.created)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        head = f"ts={stamp}.{int((record.created - seconds) * 1000):03d}Z level={record.levelname.lower()}"
        fields = record.__dict__.get("fields")
        if isinstance(fields, dict):
            room = record.name.removeprefix(_ROOT + ".")
            tail = "".join(" " + render(name, value) for name, value in fields.items() if value is not None)
            return f"{head} room={room} verb={record.msg}{tail}"
        return f"{head} room={render('r', record.name)[2:]} verb=library{_library_fields(record)}"


def _library_fields(record: logging.LogRecord) -> str:
    """What a library logged. Arguments may hold content: below debug only the text without them is written."""
    detail = logging.getLogger().isEnabledFor(logging.DEBUG)
    text = record.getMessage() if detail or not record.args else str(record.msg)
    parts = " " + render("text", _LIBRARY_SECRET.sub(r"\1 ***", text))
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        told = why(error) or (str(error) if detail else None)
        parts += f" error={type(error).__name__}" + (f" {render('why', told)}" if told else "")
        parts += " " + render("at", place(error))
    return parts


class LineWriter(logging.Handler):
    """Writes lines from a thread of its own, in batches, so that a slow reader never stops the loop."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closing = False
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line (never blocks); the writer picks it up within 20 ms."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        if len(self._lines) >= _LINES_MAX:
            self._lines.popleft()
            self._dropped += 1
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Write everything that waits; returns when it is with the system."""
        with self._writing:
            self._write_waiting()

    def close(self) -> None:
        """Write the rest and end the thread."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=2)
        super().close()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            if not self._closing:
                time.sleep(_LINGER)
            self._wake.clear()
            self.flush()

    def _write_waiting(self) -> None:
        lines: list[str] = []
        while self._lines:
            lines.append(self._lines.popleft())
        if self._dropped:
            lines.append(f"level=warning room=log verb=dropped lines={self._dropped}")
            self._dropped = 0
        if not lines:
            return
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The reader is gone or the stream is closed: there is nobody left to tell.
            return


_QUIET = {"mail.log": logging.ERROR, "asyncio": logging.WARNING, "alembic": logging.WARNING, "twisted": logging.WARNING}
"""Libraries that say too much: aiosmtpd's log writes each DATA line at debug."""


def setup(level: str = "info", stream: TextIO | None = None) -> LineWriter:
    """Send the process's log to `stream` (standard error) from `level` up; call once, at the start.

    The returned writer's `flush()` is for whoever is about to end the process at once.
    """
    number = type_of_level[level]
    writer = LineWriter(sys.stderr if stream is None else stream)
    writer.setFormatter(Logfmt())
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, LineWriter):
            root.removeHandler(old)
            old.close()
    root.addHandler(writer)
    root.setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
    logging.getLogger(_ROOT).setLevel(number)
    for name, floor in _QUIET.items():
        logging.getLogger(name).setLevel(floor)
    logging.raiseExceptions = False
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # never shown, and not free
    logging.captureWarnings(True)
    return writer


def flush_and_exit(code: int) -> None:
    """Write what waits in the log, then end the process at once, without anything else."""
    for attached in logging.getLogger().handlers:
        attached.flush()
    os._exit(code)
