"""Framing: whatever comes, however it is cut, the events are the same, memory is bounded, and nothing is taken twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imap.wire import Event, Limits, Literal, Lost, Octets, Overlong, Text, Wire

LIMITS = Limits(line=64, literal=16, command=96, waste=400)

_bits = st.sampled_from(
    [
        *(b"a", b"FETCH", b" ", b"\r\n", b"\n", b"\r", b"{", b"}", b"{3}\r\n", b"{3+}\r\n", b"~{2}\r\n", b"{0}\r\n"),
        *(b"{99+}\r\n", b"{99}\r\n", b"{18446744073709551616+}\r\n", b"{x}\r\n", b"abc", b"\0", b"\xff" * 30, b"+}"),
    ]
)
_streams = st.lists(_bits, max_size=60).map(b"".join) | st.binary(max_size=300)


def _decide(wire: Wire, event: Literal) -> None:
    """A fixed owner: collect what fits, stream what is small, skip or refuse the rest."""
    if wire.admits(event):
        wire.collect()
    elif event.size <= 120:
        wire.stream()
    elif event.sync:
        wire.refuse()
    elif event.size <= 1000:
        wire.skip()
    else:
        wire.kill()


def _events(pieces: list[bytes]) -> list[Event]:
    wire = Wire(LIMITS)
    found: list[Event] = []
    for piece in pieces:
        wire.feed(piece)
        while (event := wire.next()) is not None:
            if isinstance(event, Octets) and found and isinstance(found[-1], Octets) and not found[-1].last:
                found[-1] = Octets(found[-1].data + event.data, event.last)
            else:
                found.append(event)
            if isinstance(event, Literal):
                _decide(wire, event)
    return found


def _heads_cut(events: list[Event]) -> list[Event]:
    """How an overlong line began is told as far as it had come."""
    return [Overlong(b"") if isinstance(event, Overlong) else event for event in events]


@given(_streams)
def test_whole_is_octet_by_octet(stream: bytes) -> None:
    """However the stream is cut, the same events come."""
    whole = _events([stream])
    single = _events([stream[at : at + 1] for at in range(len(stream))])
    assert _heads_cut(whole) == _heads_cut(single)


@given(_streams, st.data())
def test_any_cut(stream: bytes, data: st.DataObject) -> None:
    """The same for cuts anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert _heads_cut(_events(pieces)) == _heads_cut(_events([stream]))


@given(_streams)
def test_bounds(stream: bytes) -> None:
    """No text, head or collected command is beyond its limit; after Lost nothing comes."""
    events = _events([stream])
    for event in events:
        if isinstance(event, Text):
            assert len(event.data) <= LIMITS.command + LIMITS.line
        elif isinstance(event, Literal):
            assert len(event.head) <= LIMITS.command + LIMITS.line + 2
        elif isinstance(event, Overlong):
            assert len(event.head) <= 256
    lost = [at for at, event in enumerate(events) if isinstance(event, Lost)]
    assert lost in ([], [len(events) - 1])


@given(st.lists(st.tuples(st.binary(max_size=12), st.booleans()), min_size=1, max_size=4))
def test_literals_keep_their_octets(literals: list[tuple[bytes, bool]]) -> None:
    """What a client sent in literals stands in the command as it was sent, behind its count."""
    sent = b"a X"
    for value, sync in literals:
        sent += b" {%d%b}\r\n" % (len(value), b"" if sync else b"+") + value
    wire = Wire(Limits(line=100, literal=100, command=1000))
    wire.feed(sent + b"\r\n")
    while not isinstance(event := wire.next(), Text):
        assert isinstance(event, Literal)
        wire.collect()
    assert event.data == sent
