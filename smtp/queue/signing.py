"""What happens to an item once, when it is first due: its line ends are checked, it is made fit for every server, and signed.

Promises: the message is read piece by piece; one that is fit already in one pass. Signatures are those of the domain in From, if it is ours; the
result is the header prefix that every attempt sends, so that a retry sends the same octets. A message with a CR or LF of
its own is never sent (Unfit). Blocking and CPU-bound: run it in a worker.
May not: write rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from data.disk.blobs import Content
from data.ids import Millis
from data.mime.address import AddressError, domain_to_ascii, mailboxes, parse_list
from data.mime.headers import find_all, split
from data.mime.scanner import Scanner
from data.reason import Reason
from data.spool.envelope import Item, Work
from data.store.intake import Intake, Prepared
from smtp.mailauth.body import BodyHash
from smtp.mailauth.dkim import SigningKey, signatures
from smtp.queue.reencode import Measure, edits, rewritten
from smtp.queue.stuffing import BareLineEnd, Stuffer

HEADER_MOST = 256 * 1024
PIECE = 65_536
_BLANK = b"\r\n\r\n"

KeysOf = Callable[[str], Sequence[SigningKey]]


class Unfit(Exception):
    """The message cannot be sent by anybody; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ready:
    """What every attempt sends: `prefix` above the message, and the message itself where it is another one now."""

    prefix: bytes
    message: Prepared | None = None


class Octets(Protocol):
    """A message in the store, read by ranges."""

    @property
    def size(self) -> int: ...

    def pieces(self, start: int, stop: int, size: int = PIECE) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class _Made:
    """A prepared message as `Octets`."""

    size: int
    read: Callable[[int, int], bytes]

    def pieces(self, start: int, stop: int, size: int = PIECE) -> Iterator[bytes]:
        for at in range(start, min(stop, self.size), size):
            yield self.read(at, min(at + size, stop, self.size))


def made_ready(item: Item, content: Content, keys_of: KeysOf, now: Millis, intake: Callable[[], Intake]) -> Ready:
    """The item as it will be sent: of ours that is not fit for every server, another message is made first, so that no
    server on its way has a reason to change what we signed. Raises Unfit, Corrupt, DiskFull."""
    header, digest, fit = _looked_at(item, content)
    keys = _keys(item.prefix + header, keys_of)
    if fit or not keys or find_all(split(header), b"dkim-signature"):
        return Ready(_signed(item, header, digest, keys, now))
    made = _remade(content, intake)
    if made is None:
        return Ready(_signed(item, header, digest, keys, now))
    header, digest, _ = _looked_at(item, _Made(made.size, made.read))
    return Ready(_signed(item, header, digest, keys, now), made)


def signed_prefix(item: Item, content: Content, keys_of: KeysOf, now: Millis) -> bytes:
    """The item's prefix with its signatures in front, for the message as it is. Raises Unfit, Corrupt."""
    header, digest, _ = _looked_at(item, content)
    return _signed(item, header, digest, _keys(item.prefix + header, keys_of), now)


def _keys(header: bytes, keys_of: KeysOf) -> Sequence[SigningKey]:
    domain = author_domain(header)
    return keys_of(domain) if domain else ()


def _signed(item: Item, header: bytes, digest: bytes, keys: Sequence[SigningKey], now: Millis) -> bytes:
    return signatures(item.prefix + header, digest, keys, now) + item.prefix if keys else item.prefix


def _looked_at(item: Item, content: Octets) -> tuple[bytes, bytes, bool]:
    """One pass: the header, the hash of the body, and whether every server can take the message. Raises Unfit."""
    header, body_start = header_of(content)
    hashed, check, measure = BodyHash(), Stuffer(), Measure()
    measure.feed(header)
    try:
        check.feed(item.prefix + header)
        for piece in content.pieces(body_start, content.size, PIECE):
            check.feed(piece)
            hashed.feed(piece)
            measure.feed(piece)
        check.finish()
    except BareLineEnd:
        raise Unfit(Reason("queue.bare")) from None
    return header, hashed.digest(), measure.plain


def _remade(content: Content, intake: Callable[[], Intake]) -> Prepared | None:
    """The message with its parts re-encoded; None where nothing can be done."""
    scanner = Scanner()
    for piece in content.pieces(0, content.size, PIECE):
        scanner.feed(piece)
    changes = edits(scanner.finish().root, content.read)
    if not changes:
        return None
    taking = intake()
    try:
        for piece in rewritten(content.size, changes, content.read):
            taking.feed(piece)
        return taking.finish()
    except BaseException:
        taking.discard()
        raise


def header_of(content: Octets) -> tuple[bytes, int]:
    """The message's own header block with its empty line, and where the body begins; at most HEADER_MOST octets."""
    head = b""
    for piece in content.pieces(0, min(content.size, HEADER_MOST), PIECE):
        head += piece
        if head.startswith(b"\r\n"):
            return b"\r\n", 2
        end = head.find(_BLANK)
        if end >= 0:
            return head[: end + len(_BLANK)], end + len(_BLANK)
    return head, len(head)


def author_domain(header: bytes) -> str | None:
    """The one domain in From, as A-labels, lower-cased; None where there is not exactly one."""
    values = find_all(split(header), b"from")
    if len(values) != 1:
        return None
    domains = {one.domain or "" for one in mailboxes(parse_list(values[0], 50))}
    if len(domains) != 1:
        return None
    try:
        return domain_to_ascii(domains.pop()).lower()
    except AddressError:
        return None


def needs_utf8(work: Work, content: Content) -> bool:
    """Whether the next server must know SMTPUTF8: it was asked for, and an address or the header is not ASCII
    (RFC 6531 §3.4)."""
    if not work.item.smtputf8:
        return False
    texts = (work.item.return_path, *(one.address for one in work.recipients))
    return not (all(map(str.isascii, texts)) and (work.item.prefix + header_of(content)[0]).isascii())
