"""FETCH items that are stored values: which columns they need, and their octets (RFC 9051 §7.5.2).

Promises: rows are rendered column by column, so that ten thousand of them cost a few milliseconds; nothing of a message
is opened. Runs in a worker thread against values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from imap import response
from imap.command import Att
from imap.grammar.structure import without_extension
from imap.view import View

Row = tuple[Any, ...]


class _Spec(NamedTuple):
    """How one item is made: its columns, its format, and what turns the columns into the format's one value."""

    columns: tuple[str, ...]
    format: bytes
    make: Callable[..., object] | None = None


def _preview(text: str) -> bytes:
    return response.string(text.encode("utf-8", "replace"))


_SPECS: dict[Att, _Spec] = {
    Att.FLAGS: _Spec(("flags", "keywords"), b"FLAGS %b", response.flags),
    Att.UID: _Spec(("uid",), b"UID %d"),
    Att.INTERNALDATE: _Spec(("internal_date",), b"INTERNALDATE %b", response.date_time),
    Att.SIZE: _Spec(("size",), b"RFC822.SIZE %d"),
    Att.ENVELOPE: _Spec(("envelope",), b"ENVELOPE %b"),
    Att.BODYSTRUCTURE: _Spec(("structure",), b"BODYSTRUCTURE %b"),
    Att.BODY: _Spec(("structure",), b"BODY %b", without_extension),
    Att.MODSEQ: _Spec(("modseq",), b"MODSEQ (%d)"),
    Att.EMAILID: _Spec(("message_id",), b"EMAILID (e%d)"),
    Att.THREADID: _Spec(("thread_id",), b"THREADID (t%d)"),
    Att.SAVEDATE: _Spec(("save_date",), b"SAVEDATE %b", response.date_time),
    Att.PREVIEW: _Spec(("preview",), b"PREVIEW %b", _preview),
}


class Items:
    """The stored values of one FETCH."""

    __slots__ = ("_atts", "_format", "_recent", "columns")

    def __init__(self, atts: Iterable[Att], view: View, *, recent: bool, columns: Iterable[str] = ()) -> None:
        r"""`recent`: \Recent is told; `columns`: what else the rows hold, before what the items need."""
        self._atts = tuple(atts)
        self._recent = view if recent and view.recent else None
        needed = (c for att in self._atts for c in _SPECS[att].columns if c != "uid")
        self.columns = tuple(dict.fromkeys((*columns, *needed)))
        self._format = b"* %d FETCH (" + b" ".join(_SPECS[att].format for att in self._atts)

    def lines(self, numbers: Sequence[int], rows: Sequence[Row], tail: bytes = b")\r\n") -> list[bytes]:
        """One FETCH response for each row (uid, *columns), with `tail` at its end."""
        if not rows:
            return []
        by_name = dict(zip(("uid", *self.columns), zip(*rows, strict=True), strict=False))
        values: list[Iterable[object]] = [numbers]
        for att in self._atts:
            columns = [by_name[name] for name in _SPECS[att].columns]
            make = _SPECS[att].make
            if att is Att.FLAGS and self._recent is not None:
                columns.append(tuple(map(self._recent.is_recent, by_name["uid"])))
            values.append(columns[0] if make is None else map(make, *columns))
        template = self._format + tail.replace(b"%", b"%%")
        return [template % each for each in zip(*values, strict=True)]


def numbers_of(view: View, uids: Sequence[int]) -> Sequence[int]:
    """The sequence numbers of ascending UIDs of this view; at once where they are neighbours."""
    if not uids:
        return ()
    first, last = view.number(uids[0]), view.number(uids[-1])
    if first and last - first + 1 == len(uids):
        return range(first, last + 1)
    return [view.number(uid) for uid in uids]


def pieces(lines: Sequence[bytes], size: int) -> list[bytes]:
    """Lines joined into pieces of about `size` octets."""
    if not lines:
        return []
    total = sum(map(len, lines))
    each = max(1, len(lines) * size // max(1, total))
    return [b"".join(lines[at : at + each]) for at in range(0, len(lines), each)]
