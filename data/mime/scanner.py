"""The sans-io push scanner: message bytes in, a tree of Parts with byte offsets out (RFC 2046 §5.1).

    scanner = Scanner(); scanner.feed(chunk) ...; scanner.finish() -> Scan

Promises: the result does not depend on how the message was cut into chunks; a message of any size is read in bounded
memory (a header up to its bound, and a look-behind of one boundary); work is linear in the message; nothing a message
says is an error. Beyond a bound of Limits the rest is kept as one opaque part.

How boundaries are read: a delimiter is a line that begins with `--` and an open multipart's boundary; the rest of the
line does not count (RFC 2046 §5.1.1 compares the beginning). Where several open boundaries fit, the longest wins, then
the innermost. An outer delimiter ends every inner part (§5.1.2). What precedes the first delimiter and what follows the
closing one belongs to no part. A multipart without a usable boundary is text/plain (RFC 2045 §5.2); one whose
delimiter never comes has one text/plain part, so that its content can still be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from data.mime.content import DIGEST, OPAQUE, PLAIN, Content, content
from data.mime.decode import IDENTITY
from data.mime.headers import Index, index
from data.mime.octets import Measures
from data.mime.part import Part


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a message is looked into. `header` and `boundary` are bytes."""

    nesting: int = 100
    parts: int = 10_000
    header: int = 100 * 1024
    parameters: int = 50
    boundary: int = 998


DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over a message found.

    `header` is the top-level header block, blank line included, as far as it is parsed; `fields` is its index. `bare`:
    some CR or LF stood alone. `longest_line` is in octets without the line end, and 998 (RFC 5322 §2.1.1) when none is longer.
    """

    root: Part
    header: bytes
    size: int
    eightbit: bool
    nul: bool
    bare: bool
    longest_line: int
    fields: Index = field(repr=False, compare=False)


_BLANK_LINE = re.compile(rb"\n\r?\n")
_WINDOW = 64 * 1024
_HEADER, _BODY, _DELIMITER = range(3)


class _Node:
    """A part whose end is not known yet."""

    __slots__ = (
        "body_start",
        "boundary",
        "children",
        "content",
        "default",
        "found",
        "header_start",
        "lines_before",
        "needle",
        "opaque",
        "searched",
    )

    def __init__(self, header_start: int, default: Content) -> None:
        self.header_start = header_start
        self.body_start = header_start
        self.default = default
        self.content = default
        self.children: list[Part] = []
        self.boundary: bytes | None = None
        self.needle = b""
        self.found = False
        self.searched = 0
        self.lines_before = 0
        self.opaque = False


class Scanner:
    """Reads one message. `window` is how many bytes are gathered before they are looked at."""

    def __init__(self, limits: Limits = DEFAULT, *, window: int = _WINDOW) -> None:
        self._limits = limits
        self._window = window
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._data = b""
        self._base = 0
        self._end = 0
        self._at = 0
        self._mode = _HEADER
        self._top = _Node(0, PLAIN)
        self._stack = [self._top]
        self._open: list[_Node] = []
        self._reach = 0
        self._parts = 1
        self._saved: bytes | None = None
        self._header = b""
        self._fields: Index = {}
        self._counted = 0
        self._lines = 0
        self._measures = Measures()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the message."""
        self._waiting.append(chunk)
        self._waiting_size += len(chunk)
        if self._waiting_size >= self._window:
            self._take(b"".join(self._waiting))
            self._waiting.clear()
            self._waiting_size = 0

    def finish(self) -> Scan:
        """The message is complete: what it is made of. To be called once."""
        self._take(b"".join(self._waiting), final=True)
        measures = self._measures
        measures.finish(self._end)
        while self._mode == _HEADER:
            self._header_done(self._end, self._end)
        return Scan(
            self._close_down_to(0, self._end),
            self._header,
            self._end,
            measures.eightbit,
            measures.nul,
            measures.bare,
            measures.longest_line,
            self._fields,
        )

    def _take(self, fresh: bytes, *, final: bool = False) -> None:
        self._measures.add(fresh, self._end)
        self._data = self._data + fresh if self._data else fresh
        self._end += len(fresh)
        while self._step(final=final):
            pass
        if not final:
            self._forget()

    def _step(self, *, final: bool) -> bool:
        """Do what can be done from `_at` on; False when more bytes are needed."""
        if self._mode == _DELIMITER:
            return self._rest_of_delimiter()
        # A delimiter counts only when a longer boundary, or the closing `--`, can no longer follow. Five bytes cover
        # a blank line.
        end = self._end if final else self._end - self._reach - 5
        if self._at >= end:
            return False
        stop = min(end, self._at + _WINDOW)
        moved = self._in_header(stop, final=final) if self._mode == _HEADER else self._in_body(stop)
        return moved or stop < end

    def _forget(self) -> None:
        """Drop the bytes that no later step looks at."""
        keep = max(self._at - 2, 0)
        if self._mode == _HEADER:
            start = self._top.header_start
            if self._saved is None and self._at - start > self._limits.header + 2:
                self._saved = self._header_bytes(start, self._end)
            if self._saved is None:
                keep = min(keep, start)
        if keep > self._base:
            self._count_lines(keep)
            self._data = self._data[keep - self._base :]
            self._base = keep

    def _header_bytes(self, start: int, end: int) -> bytes:
        """At most the parsed bound of a header block, cut after a whole line."""
        bound = self._limits.header
        block = self._data[start - self._base : min(end, start + bound) - self._base]
        if end - start > bound:
            block = block[: block.rfind(b"\n") + 1] or block
        return block

    def _in_header(self, stop: int, *, final: bool) -> bool:
        base, data = self._base, self._data
        start = self._at
        if start == self._top.header_start == 0:
            # Nothing precedes the first line of a message: it may itself be the blank one.
            blank = 1 if data[:1] == b"\n" else 2 if data[:2] == b"\r\n" else 0
            if blank:
                return self._header_done(blank, blank)
        match = _BLANK_LINE.search(data, start - base, stop - base + 2)
        if match is not None and match.start() + base < stop:
            stop = match.start() + base
        else:
            match = None
        if self._open and self._delimiter(start, stop):
            return True
        if match is None:
            self._at = stop
            return False
        end = match.end() + base
        return self._header_done(end, end)

    def _header_done(self, end: int, body_start: int) -> bool:
        """The header block of the top node is [header_start, end): learn what its body is."""
        node = self._top
        block = self._saved if self._saved is not None else self._header_bytes(node.header_start, end)
        self._saved = None
        fields = index(block)
        if node.header_start == 0 and len(self._stack) == 1:
            self._header, self._fields = block, fields
        node.content = content(fields, node.default, self._limits.parameters)
        node.body_start = body_start
        node.lines_before = self._count_lines(body_start)
        # The line end before the body may belong to a delimiter in its first line.
        self._at = max(body_start - 1, 0)
        self._mode = _BODY
        kind = node.content.type
        if kind == "multipart":
            self._open_multipart(node)
        elif kind == "message" and node.content.subtype in ("rfc822", "global"):
            self._open_message(node)
        return True

    def _open_multipart(self, node: _Node) -> None:
        boundary = next((value for name, value in node.content.params if name == "boundary"), "").rstrip()
        octets = boundary.encode("utf-8", "replace")
        if not octets or len(octets) > self._limits.boundary:
            node.content = node.content._replace(type="text", subtype="plain", params=())
        elif len(self._stack) >= self._limits.nesting:
            node.opaque = True
        else:
            node.boundary = octets
            node.needle = b"\n--" + octets
            node.searched = self._at
            self._open.append(node)
            self._reach = max(self._reach, len(octets))

    def _open_message(self, node: _Node) -> None:
        if node.content.encoding not in IDENTITY or len(self._stack) >= self._limits.nesting:
            # RFC 2046 §5.2.1: no encoding but 7bit, 8bit and binary; another hides the message from us.
            node.opaque = True
        else:
            self._push(node.body_start, PLAIN)

    def _push(self, start: int, default: Content) -> None:
        """A new part or message begins at `start`."""
        self._top = _Node(start, default)
        self._stack.append(self._top)
        self._mode = _HEADER
        self._at = max(start - 1, 0)
        self._parts += 1
        if self._parts >= self._limits.parts:
            self._stop_looking()

    def _stop_looking(self) -> None:
        """Too many parts: from here on everything is one opaque part."""
        node = self._top
        node.content = OPAQUE
        node.opaque = True
        node.lines_before = self._count_lines(node.body_start)
        self._open.clear()
        self._reach = 0
        self._mode = _BODY

    def _in_body(self, stop: int) -> bool:
        if self._open and self._delimiter(self._at, stop):
            return True
        self._at = stop
        return False

    def _delimiter(self, start: int, stop: int) -> bool:
        """Act on the first delimiter line whose line end before it lies in [start, stop), if there is one."""
        owner: _Node | None = None
        best = stop
        for node in reversed(self._open):
            at = self._next(node, start, best if owner is None else best + 1)
            if at is None:
                continue
            if owner is None or at < best or len(node.needle) > len(owner.needle):
                owner, best = node, at
        if owner is None:
            return False
        self._at_delimiter(owner, best)
        return True

    def _next(self, node: _Node, start: int, stop: int) -> int | None:
        """Where the node's boundary next follows a line end in [start, stop); remembers how far it has looked."""
        if node.found and node.searched >= start:
            return node.searched if node.searched < stop else None
        start = start if node.found else max(start, node.searched)
        if start >= stop:
            return None
        base = self._base
        at = self._data.find(node.needle, start - base, stop - base + len(node.needle) - 1)
        node.found = at >= 0
        node.searched = at + base if at >= 0 else stop
        return node.searched if node.found else None

    def _at_delimiter(self, owner: _Node, line_end: int) -> None:
        """A delimiter of `owner` follows the line end at `line_end`, which belongs to it (RFC 2046 §5.1.1)."""
        data, base = self._data, self._base
        cut = line_end - 1 if data[line_end - base - 1 : line_end - base] == b"\r" else line_end
        if self._mode == _HEADER:
            end = max(self._top.header_start, cut)
            self._header_cut(end)
        depth = self._stack.index(owner) + 1
        if len(self._stack) > depth:
            owner.children.append(self._close_down_to(depth, cut))
        after = line_end + len(owner.needle)
        self._at = after
        if data[after - base : after - base + 2] == b"--":
            owner.boundary = None
            self._open.pop()
            self._reach = max((len(node.needle) - 3 for node in self._open), default=0)
            self._mode = _BODY
        else:
            self._mode = _DELIMITER

    def _header_cut(self, end: int) -> None:
        """A delimiter came before the blank line: the part is a header block alone, and is not looked into."""
        node = self._top
        block = self._saved if self._saved is not None else self._header_bytes(node.header_start, end)
        self._saved = None
        node.content = content(index(block), node.default, self._limits.parameters)
        node.body_start = end
        node.lines_before = self._count_lines(end)
        node.opaque = node.content.type in ("multipart", "message")

    def _rest_of_delimiter(self) -> bool:
        """Pass over what follows the boundary on its line; the next line begins a part."""
        at = self._data.find(b"\n", self._at - self._base)
        if at < 0:
            self._at = self._end
            return False
        digest = self._top.content.subtype == "digest"
        self._push(self._base + at + 1, DIGEST if digest else PLAIN)
        return True

    def _close_down_to(self, depth: int, cut: int) -> Part:
        """End the nodes of the stack from `depth` on at `cut`; returns the Part of the lowest of them."""
        part: Part | None = None
        while len(self._stack) > depth:
            node = self._stack.pop()
            if part is not None:
                node.children.append(part)
            if self._open and self._open[-1] is node:
                self._open.pop()
            # A blank line ends a header even where its line end also belongs to the delimiter that follows: such a
            # part ends behind the cut, and so do those around it.
            part = self._part(node, max(node.body_start, cut, node.children[-1].body_end if node.children else 0))
        assert part is not None
        self._top = self._stack[-1] if self._stack else self._top
        self._reach = max((len(node.needle) - 3 for node in self._open), default=0)
        return part

    def _part(self, node: _Node, end: int) -> Part:
        lines = self._count_lines(end) - node.lines_before
        start = node.body_start
        if node.content.type == "multipart" and not node.children and not node.opaque:
            # Closed without ever being opened (then `boundary` is gone): empty. Never opened at all: all of it.
            last = start if node.boundary is None else end
            node.children.append(Part(start, start, last, lines=lines if last == end else 0))
        return Part(node.header_start, start, end, *node.content, lines, tuple(node.children), node.opaque)

    def _count_lines(self, upto: int) -> int:
        """Line ends before `upto`; asked with rising offsets."""
        if upto > self._counted:
            self._lines += self._data.count(b"\n", self._counted - self._base, upto - self._base)
            self._counted = upto
        return self._lines


def scan(message: bytes, limits: Limits = DEFAULT) -> Scan:
    """Scan a message that lies in memory, without copying it."""
    scanner = Scanner(limits)
    scanner.feed(message)
    return scanner.finish()
