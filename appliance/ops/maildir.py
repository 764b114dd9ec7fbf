"""Import of a Maildir: files in the order of their names, each once, however often the import is run.

Promises: INTERNALDATE is the file's mtime, flags come from the name (`:2,`), LF becomes CRLF. A group of messages and
the note that their files are imported are one transaction, so that a break loses and doubles nothing. Two threads
read, scan and seal, the writer appends. Nothing in the Maildir is changed. May not: know where progress is shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from appliance.ops.state import Ground
from data.directory import installation
from data.directory.facts import Account
from data.disk.db import Tx
from data.errors import Conflict, Invalid, NotFound, StoreError
from data.ids import MailboxId
from data.store.intake import Prepared
from data.store.keys import Flag

GROUP = 100
GROUP_OCTETS = 4 << 20
_AHEAD = 3
_PREPARE_THREADS = 2
_STREAMED = 1 << 20
_PIECE = 1 << 18
_LONE_LF = re.compile(rb"(?<!\r)\n")
_FLAGS = {"S": Flag.SEEN, "R": Flag.ANSWERED, "F": Flag.FLAGGED, "T": Flag.DELETED, "D": Flag.DRAFT}
_PASSED = "$Forwarded"
_SHIFTED = re.compile(r"&([^-]*)-")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Found:
    """One file: `key` is its name without the flags, which is what makes it the same message next time."""

    path: Path
    key: str
    flags: Flag
    keywords: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What an import did: messages taken, known from an earlier run, and refused (file name, why)."""

    imported: int = 0
    known: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ready:
    found: Found
    prepared: Prepared
    internal_date: int


def import_maildir(ground: Ground, account: Account, root: Path, mailbox: str | None, tell: Progress) -> Report:
    """Import `root` into one mailbox, or (None) with its Maildir++ subfolders into mailboxes of their names.

    Raises Invalid for what is no Maildir. Missing mailboxes are made.
    """
    folders = [(root, mailbox)] if mailbox is not None else list(subfolders(root))
    work = [(name, list(messages(folder))) for folder, name in folders]
    total, report = sum(len(found) for _, found in work), Report()
    tell(0, total)
    for name, found in work:
        _Folder(ground, _mailbox(ground, account, name), report, lambda done: tell(done, total)).run(found)
    return report


def subfolders(root: Path) -> Iterator[tuple[Path, str]]:
    """The Maildir itself as INBOX, and each `.Name.Sub` below it as Name/Sub (Maildir++)."""
    if not is_maildir(root):
        raise Invalid(str(root), public=f"{root} is not a Maildir: it needs cur and new")
    yield root, "INBOX"
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") and is_maildir(path):
            yield path, "/".join(decoded(level) for level in path.name[1:].split("."))


def is_maildir(path: Path) -> bool:
    """Does it have `cur` and `new`?"""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def decoded(name: str) -> str:
    """A folder's name out of modified UTF-7 (RFC 3501 §5.1.3); as it is where it is none."""
    try:
        return _SHIFTED.sub(lambda m: _base64(m[1]) if m[1] else "&", name)
    except UnicodeDecodeError:
        return name


def _base64(text: str) -> str:
    return f"+{text.replace(',', '/')}-".encode("ascii").decode("utf-7")


def messages(folder: Path) -> Iterator[Found]:
    """The files of `new` and `cur` in the order of their names."""
    if not is_maildir(folder):
        raise Invalid(str(folder), public=f"{folder} is not a Maildir: it needs cur and new")
    names = [(name, part) for part in ("cur", "new") for name in os.listdir(folder / part) if name[0] != "."]
    for name, part in sorted(names):
        yield found_in(folder / part, name)


def found_in(folder: Path, name: str) -> Found:
    """One file by its name; `\\Recent` is nobody's to give."""
    key, _, letters = name.partition(":2,")
    flags = Flag(0)
    for letter in letters:
        flags |= _FLAGS.get(letter, Flag(0))
    return Found(folder / name, key, flags, (_PASSED,) if "P" in letters else ())


def _mailbox(ground: Ground, account: Account, name: str) -> MailboxId:
    principal = account.principal()
    try:
        return ground.store.mailboxes.get(principal, account.id, name).id
    except NotFound:
        pass
    try:
        made = ground.store.mailboxes.create(principal, account.id, name)
        ground.store.mailboxes.subscribe(principal, account.id, made.name, True)
        return made.id
    except Conflict:
        return ground.store.mailboxes.get(principal, account.id, name).id


class _Folder:
    """One Maildir folder on its way into one mailbox."""

    def __init__(self, ground: Ground, mailbox: MailboxId, report: Report, tell: Callable[[int], None]) -> None:
        self._ground, self._mailbox, self._report, self._tell = ground, mailbox, report, tell

    def run(self, found: Sequence[Found]) -> None:
        with self._ground.db.read() as reader:
            known = installation.imported(reader, self._mailbox)
        fresh = [one for one in found if one.key not in known]
        self._report.known += len(found) - len(fresh)
        with ThreadPoolExecutor(_PREPARE_THREADS, thread_name_prefix="import") as pool:
            self._append(pool, fresh)

    def _append(self, pool: ThreadPoolExecutor, fresh: Sequence[Found]) -> None:
        """Keep a few groups ahead in preparation while the writer commits the one before."""
        waiting: list[Future[list[_Ready]]] = []
        committed: Future[None] | None = None
        todo = iter(groups(fresh))
        try:
            while True:
                waiting += [pool.submit(self._prepare, group) for group in islice(todo, _AHEAD - len(waiting))]
                if not waiting:
                    break
                ready = waiting.pop(0).result()
                self._settle(committed)
                committed = self._submit(ready) if ready else None
                self._report.imported += len(ready)
            self._settle(committed)
        except BaseException:
            for future in waiting:
                future.cancel()
                future.add_done_callback(self._forget)
            raise

    def _submit(self, ready: list[_Ready]) -> Future[None]:
        def op(tx: Tx) -> None:
            self._append_in(tx, ready)

        return self._ground.db.submit(op)

    def _settle(self, committed: Future[None] | None) -> None:
        if committed is not None:
            committed.result()
        self._tell(self._report.imported + self._report.known + len(self._report.refused))

    def _forget(self, future: Future[list[_Ready]]) -> None:
        if not future.cancelled() and future.exception() is None:
            for ready in future.result():
                self._ground.store.messages.discard(ready.prepared)

    def _append_in(self, tx: Tx, group: Sequence[_Ready]) -> None:
        uids = [
            self._ground.store.messages.append_in(
                tx,
                self._mailbox,
                ready.prepared,
                flags=ready.found.flags,
                keywords=ready.found.keywords,
                internal_date=ready.internal_date,
            ).uid
            for ready in group
        ]
        installation.mark_imported_in(tx, self._mailbox, uids[0], [ready.found.key for ready in group])

    def _prepare(self, group: Iterable[Found]) -> list[_Ready]:
        """Read, scan and seal; a file that cannot be taken is noted and left out."""
        ready: list[_Ready] = []
        for one in group:
            try:
                ready.append(self._prepare_one(one))
            except StoreError as error:
                self._report.refused.append((one.path.name, error.public))
            except OSError as error:
                self._report.refused.append((one.path.name, error.strerror or "cannot be read"))
        return ready

    def _prepare_one(self, one: Found) -> _Ready:
        with open(one.path, "rb") as stream:
            facts = os.fstat(stream.fileno())
            if facts.st_size <= _STREAMED:
                prepared = self._ground.store.messages.prepare(with_crlf(stream.read()))
            else:
                prepared = self._stream(iter(lambda: stream.read(_PIECE), b""))
        return _Ready(one, prepared, facts.st_mtime_ns // 1_000_000)

    def _stream(self, pieces: Iterator[bytes]) -> Prepared:
        intake, limit = self._ground.store.messages.intake(), self._ground.config.limits.message_size
        try:
            before = b""
            for piece in pieces:
                # a CR that ends one piece belongs to the LF that begins the next
                text = with_crlf(before + piece)
                before = b"\r" if text.endswith(b"\r") else b""
                intake.feed(text[: len(text) - len(before)])
                if intake.size > limit:
                    raise Invalid("too large to import", public=f"larger than {limit} octets")
            intake.feed(before)
            return intake.finish()
        except BaseException:
            intake.discard()
            raise


def groups(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Files by transaction: at most GROUP of them and about GROUP_OCTETS."""
    group: list[Found] = []
    octets = 0
    for one in found:
        group.append(one)
        octets += _size(one.path)
        if len(group) >= GROUP or octets >= GROUP_OCTETS:
            yield group
            group, octets = [], 0
    if group:
        yield group


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def with_crlf(data: bytes) -> bytes:
    """Every lone LF as CRLF."""
    if b"\r" not in data:
        return data.replace(b"\n", b"\r\n")
    return _LONE_LF.sub(b"\r\n", data)
