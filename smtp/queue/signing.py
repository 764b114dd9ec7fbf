"""What happens to an item once, when it is first due: its line ends are checked and it is signed.

Promises: the message is read piece by piece in one pass. Signatures are those of the domain in From, if it is ours; the
result is the header prefix that every attempt sends, so that a retry sends the same octets. A message with a CR or LF of
its own is never sent (Unfit). Blocking and CPU-bound: run it in a worker.
May not: write rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data.disk.blobs import Content
from data.ids import Millis
from data.mime.address import AddressError, domain_to_ascii, mailboxes, parse_list
from data.mime.headers import find_all, split
from data.reason import Reason
from data.spool.envelope import Item, Work
from smtp.mailauth.body import BodyHash
from smtp.mailauth.dkim import SigningKey, signatures
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


def signed_prefix(item: Item, content: Content, keys_of: KeysOf, now: Millis) -> bytes:
    """The item's prefix with its signatures in front. Raises Unfit, Corrupt."""
    header, body_start = header_of(content)
    hashed, check = BodyHash(), Stuffer()
    try:
        check.feed(item.prefix + header)
        for piece in content.pieces(body_start, content.size, PIECE):
            check.feed(piece)
            hashed.feed(piece)
        check.finish()
    except BareLineEnd:
        raise Unfit(Reason("queue.bare")) from None
    whole = item.prefix + header
    domain = author_domain(whole)
    keys = keys_of(domain) if domain else ()
    return signatures(whole, hashed.digest(), keys, now) + item.prefix if keys else item.prefix


def header_of(content: Content) -> tuple[bytes, int]:
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
