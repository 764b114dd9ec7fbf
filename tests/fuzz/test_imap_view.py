"""What several clients are told, in any order of commands and commits, ends in what the mailbox holds."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from data.ids import AccountId, MailboxId
from data.store.changes import Added, Change, ChangeBus, Expunged, FlagsChanged
from data.store.messages import Known
from imap.hub import Hub
from imap.response import flags as flag_list
from imap.view import Shape, View

ACCOUNT, BOX = AccountId(1), MailboxId(7)
_LINE = re.compile(
    rb"\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH \(UID (\d+)(?: MODSEQ \((\d+)\))?(?: FLAGS (\([^)]*\)))?\))\Z"
)


@dataclass
class Truth:
    """The mailbox as the database has it."""

    bus: ChangeBus
    flags: dict[int, int] = field(default_factory=dict)
    modseq: int = 1
    uidnext: int = 1

    def commit(self, *changes: Change) -> None:
        self.bus.publish(changes)

    def add(self, count: int) -> None:
        self.modseq += 1
        uids = range(self.uidnext, self.uidnext + count)
        self.uidnext += count
        self.flags.update(dict.fromkeys(uids, 0))
        self.commit(Added(ACCOUNT, BOX, self.modseq, tuple((uid, 0, "") for uid in uids)))

    def expunge(self, picks: list[int]) -> None:
        gone = sorted({uid for n, uid in enumerate(sorted(self.flags)) if n in picks})
        if gone:
            self.modseq += 1
            for uid in gone:
                del self.flags[uid]
            self.commit(Expunged(ACCOUNT, BOX, self.modseq, tuple(gone)))

    def store(self, picks: list[int], mask: int) -> list[tuple[int, int, str, int]]:
        """Add the flags of `mask` to some messages."""
        touched = [uid for n, uid in enumerate(sorted(self.flags)) if n in picks and ~self.flags[uid] & mask]
        if not touched:
            return []
        self.modseq += 1
        for uid in touched:
            self.flags[uid] |= mask
        rows = tuple((uid, self.flags[uid], "") for uid in touched)
        self.commit(FlagsChanged(ACCOUNT, BOX, self.modseq, rows))
        return [(*row, self.modseq) for row in rows]


class Client:
    """What a client believes, from nothing but what it was told."""

    def __init__(self, truth: Truth, hub: Hub, known: Known | None) -> None:
        opening = hub.opening()
        uids = array("I", sorted(truth.flags)) if known is None or known[0] != truth.modseq else known[1]
        assert list(uids) == sorted(truth.flags)
        self.view = View(ACCOUNT, BOX, uids, truth.modseq)
        hub.join(opening, self.view)
        self.uids: list[int | None] = list(uids)
        self.flags = dict(truth.flags)

    def hear(self, renumber: bool, shape: Shape = Shape()) -> None:  # noqa: B008
        for line in b"".join(self.view.flush(renumber, shape)).split(b"\r\n")[:-1]:
            if line.startswith((b"* FLAGS", b"* OK")):
                continue
            found = _LINE.match(line)
            assert found, line
            number = int(found[1])
            if found[2] == b"EXPUNGE":
                assert renumber
                assert 1 <= number <= len(self.uids)
                del self.uids[number - 1]
            elif found[2] == b"EXISTS":
                assert number >= len(self.uids)
                self.uids += [None] * (number - len(self.uids))
            elif found[3]:
                self._fetched(number, int(found[3]), found[5])

    def _fetched(self, number: int, uid: int, told: bytes | None) -> None:
        believed = self.uids[number - 1]
        assert believed in (None, uid)
        self.uids[number - 1] = uid
        if told is not None:
            mask = next(
                m for m in range(32) if set(flag_list(m, "")[1:-1].split()) == set(told[1:-1].split()) - {b"\\Recent"}
            )
            self.flags[uid] = mask

    def agree(self, truth: Truth) -> None:
        """Every number stands for the right message, and all flags are known."""
        self.hear(True)
        assert list(self.view.uids) == sorted(truth.flags)
        assert len(self.uids) == len(truth.flags)
        for believed, uid in zip(self.uids, self.view.uids, strict=True):
            assert believed in (None, uid)
            assert self.flags.get(uid, 0) == truth.flags[uid]


_picks = st.lists(st.integers(0, 3), min_size=1, max_size=3)
_flag = st.sampled_from([1, 2, 8])
_which = st.integers(0, 1)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("store"), _picks, _flag, st.booleans()),
        st.tuples(st.just("store"), _picks, _flag, st.booleans()),
        st.tuples(st.just("add"), st.integers(1, 3)),
        st.tuples(st.just("expunge"), _picks),
        st.tuples(st.just("open")),
        st.tuples(st.just("hear"), _which, st.booleans()),
        st.tuples(st.just("leave"), _which),
        st.tuples(st.just("lose"), _which),
    ),
    max_size=30,
)


@given(_steps, st.booleans())
def test_clients_end_up_with_the_truth(steps: list[tuple], condstore: bool) -> None:  # type: ignore[type-arg]
    """Additions, expunges and flags by anybody, silent or not, told sooner or later."""
    truth = Truth(ChangeBus())
    hub = Hub(truth.bus, lambda fn: None)
    truth.add(2)
    clients = [Client(truth, hub, None)]
    shape = Shape(condstore=condstore)
    for step in steps:
        match step:
            case ("add", count):
                truth.add(count)
            case ("expunge", picks):
                truth.expunge(picks)
            case ("store", picks, mask, silent):
                _store(truth, hub, clients, picks, mask, silent, shape)
            case ("open",):
                hub.catch_up()
                clients.append(Client(truth, hub, hub.known(BOX)))
            case ("hear", which, renumber) if which < len(clients):
                hub.catch_up()
                clients[which].hear(renumber, shape)
            case ("leave", which) if which < len(clients):
                hub.leave(clients.pop(which).view)
            case ("lose", which) if which < len(clients):
                _lose(truth, hub, clients[which])
    hub.catch_up()
    for client in clients:
        client.agree(truth)


def _store(
    truth: Truth, hub: Hub, clients: list[Client], picks: list[int], mask: int, silent: bool, shape: Shape
) -> None:
    """A STORE of the first client, which knows what it asked for; of somebody else when there is none."""
    states = truth.store(picks, mask)
    if not clients or not silent:
        return
    actor = clients[0]
    hub.catch_up()
    actor.view.silence(states)
    # A client that asked for silence adds the flags to what it believes, and then hears what others did.
    for uid, _, _, _ in states:
        actor.flags[uid] = actor.flags.get(uid, 0) | mask
    actor.hear(False, shape)


def _lose(truth: Truth, hub: Hub, client: Client) -> None:
    """Changes were lost: the mailbox is read again."""
    client.view.lose()
    opening = hub.opening()
    hub.leave(client.view)
    states = [(uid, flags, "", truth.modseq) for uid, flags in truth.flags.items()]
    client.view.recover(array("I", sorted(truth.flags)), truth.modseq, states)
    hub.join(opening, client.view)
