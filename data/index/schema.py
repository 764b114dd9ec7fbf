"""What a Whoosh segment of ours holds: one field of words with their positions, and the message ids as a column.

The message's fields are told apart by position (data.index.match), so a word has one posting list. Weights, lengths and
stored values are not kept: order is by date, and the rows hold everything that is shown.
"""

from __future__ import annotations

from array import array

from whoosh import columns, fields, formats
from whoosh.codec.whoosh3 import W3Codec

VERSION = 1
"""Of words, sections and format together: an index of another version is rebuilt."""
TEXT = "text"
ID = "id"
ID_COLUMN = columns.NumericColumn("q")
LARGE = 1000
"""From so many messages on a segment is worth compressing: it is read often and written seldom."""


class Positions(formats.Format):  # type: ignore[misc]  # Whoosh publishes no types
    """A posting's value: positions as 32-bit integers, little-endian."""

    def decode_positions(self, value: bytes) -> array[int]:
        """The positions of a word in one message."""
        return unpacked(value)


class Text(fields.FieldType):  # type: ignore[misc]
    """The field that holds every word of a message."""

    indexed = True
    stored = False
    scorable = False
    unique = False
    vector = None
    column_type = None
    analyzer = None
    format = Positions()

    def __init__(self) -> None:
        """All its properties are those of the class."""


def schema() -> fields.Schema:
    """The schema that is kept in the table of contents."""
    return fields.Schema(text=Text(), id=fields.COLUMN(ID_COLUMN))


def codec(documents: int) -> W3Codec:
    """The codec that writes a segment of so many messages; any of them reads every segment."""
    return W3Codec(compression=3 if documents >= LARGE else 0)


def packed(positions: list[int]) -> bytes:
    """Positions as a posting keeps them."""
    return array("I", positions).tobytes()


def unpacked(value: bytes) -> array[int]:
    """The positions of a posting."""
    found = array("I")
    found.frombytes(value)
    return found
