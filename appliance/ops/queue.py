"""Waiting mail, as an administrator sees and changes it: list, retry, hold, release, drop.

Promises: a change and its audit row are one transaction. May not: deliver; the queue hears of changes by the ChangeBus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from appliance.ops import waiting
from appliance.ops.control import Result, Tell
from appliance.ops.people import Office
from data.disk.db import Tx
from data.errors import Conflict, Invalid, NotFound
from data.ids import ItemId
from data.reason import Reason
from data.spool.envelope import NEVER_DUE
from data.spool.items import Spool
from data.spool.oversight import Listed

HELD = Reason("queue.held")
_PAGE = 500
_MOST = 10_000


class Sorting(Office, Protocol):
    """An office that can see the waiting mail."""

    @property
    def spool(self) -> Spool: ...


Change = Callable[[Sorting, Tx, ItemId, str], int]


def _list(ground: Sorting, args: Result, tell: Tell, actor: str) -> Result:
    """Waiting recipients, oldest first, at most 10 000."""
    rows: list[Result] = []
    after = 0
    while len(rows) < _MOST:
        page = ground.spool.waiting(_PAGE, after)
        rows += map(_row, page)
        if len(page) < _PAGE:
            break
        after = page[-1].id
    return {"recipients": rows}


def _row(one: Listed) -> Result:
    said = f"{one.remote or ''} {one.reply or ''}".strip()
    code = "" if one.reason is None else waiting.plain(one.reason)
    return {
        "item": one.item,
        "state": one.state.value,
        "attempts": one.attempts,
        "next_at": one.next_at,
        "sender": one.return_path,
        "recipient": one.address,
        "why": " ".join(part for part in (code, said) if part),
        "words": waiting.words(one.reason, one.remote, one.reply),
    }


def _changing(action: str, change: Change) -> Callable[[Sorting, Result, Tell, str], Result]:
    """A command that changes the items it names, all of them or none."""

    def command(ground: Sorting, args: Result, tell: Tell, actor: str) -> Result:
        items = args["item"]
        if not isinstance(items, list) or not all(isinstance(item, int) and 0 < item < NEVER_DUE for item in items):
            raise Invalid("items", public="Items are named by their numbers")

        def op(tx: Tx) -> int:
            if not items and action == "queue.retry":
                changed = ground.spool.retry_all_in(tx)
            else:
                changed = sum(change(ground, tx, ItemId(item), actor) for item in items)
            named = ",".join(map(str, items)) or "all"
            _record(ground, tx, actor, action, named, changed)
            return changed

        return {"changed": ground.db.write(op)}

    return command


def change_all(ground: Sorting, action: str, items: Sequence[ItemId], actor: str) -> tuple[int, int]:
    """The same change for many items: (how many were changed, how many were left alone because they do not wait any more
    or are on the wire right now)."""

    def op(tx: Tx) -> tuple[int, int]:
        done, changed = [], 0
        for item in items:
            try:
                changed += _CHANGES[action](ground, tx, item, actor)
                done.append(item)
            except (NotFound, Conflict):
                continue  # both are raised before anything is written
        if done:
            _record(ground, tx, actor, action, ",".join(map(str, done)), changed)
        return len(done), len(items) - len(done)

    return ground.db.write(op)


def _record(ground: Sorting, tx: Tx, actor: str, action: str, object: str, changed: int) -> None:
    organisation = ground.directory.organisation().id
    detail = {"recipients": changed}
    ground.audit.record_in(tx, organisation=organisation, actor=actor, action=action, object=object, detail=detail)


_CHANGES: Mapping[str, Change] = {
    "queue.retry": lambda ground, tx, item, actor: ground.spool.retry_in(tx, item),
    "queue.hold": lambda ground, tx, item, actor: ground.spool.hold_in(tx, item, HELD),
    "queue.release": lambda ground, tx, item, actor: ground.spool.release_in(tx, item),
    "queue.drop": lambda ground, tx, item, actor: ground.spool.drop_in(tx, item, actor),
}
COMMANDS: Mapping[str, Callable[[Sorting, Result, Tell, str], Result]] = {
    "queue.list": _list,
    **{action: _changing(action, change) for action, change in _CHANGES.items()},
}
