"""The spool's statements, built once: SQLAlchemy Core on spool_item and spool_rcpt.

A recipient is open while done_at is null; next_at of an open one says when it is due. Accounts are compared through
coalesce(account_id, 0), because forwards and notifications have none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from data.disk import tables as t
from data.spool.envelope import NEVER_DUE, State

_b = bindparam
_i = t.spool_item.c
_r = t.spool_rcpt.c
_account = func.coalesce(_i.account_id, literal_column("0"))
OPEN = _r.done_at.is_(None)
READY = and_(OPEN, or_(_r.state == State.QUEUED.value, _r.state == State.DEFERRED.value))
DUE = and_(READY, _r.next_at <= _b("now"))
JOINED = t.spool_rcpt.join(t.spool_item, _r.item_id == _i.id)

BY_KEY = select(_i.id).where(_account == _b("account"), _i.idempotency_key == _b("key"))
NEW_ITEM = (
    insert(t.spool_item)
    .values(
        organisation_id=_b("organisation"),
        account_id=_b("account"),
        blob_id=_b("blob"),
        trail=_b("trail"),
        kind=_b("kind"),
        return_path=_b("return_path"),
        prefix=_b("prefix"),
        size=_b("size"),
        envid=_b("envid"),
        ret=_b("ret"),
        requiretls=_b("requiretls"),
        smtputf8=_b("smtputf8"),
        eightbit=_b("eightbit"),
        not_before=_b("not_before"),
        hold=_b("hold"),
        hold_params=_b("hold_params"),
        idempotency_key=_b("key"),
        created_at=_b("now"),
        done_at=_b("done_at"),
        forwarded_by=_b("forwarded_by"),
    )
    .returning(_i.id)
)
NEW_RECIPIENT = insert(t.spool_rcpt).values(
    organisation_id=_b("organisation"),
    item_id=_b("item"),
    address=_b("address"),
    domain=_b("domain"),
    orcpt=_b("orcpt"),
    notify=_b("notify"),
    state=_b("state"),
    next_at=_b("next_at"),
    reason_params="",
    done_at=_b("done_at"),
)

# --- claiming and settling ------------------------------------------------------------------------------------------

FIRST_DUE = (
    select(_r.item_id)
    .select_from(JOINED)
    .where(DUE, _r.domain == _b("domain"), _account == _b("account"))
    .order_by(_r.next_at, _r.id)
    .limit(1)
)
DUE_OF_ITEM = (
    select(_r.id, _r.address, _r.domain, _r.orcpt, _r.notify, _r.attempts, _r.warned_at)
    .where(DUE, _r.item_id == _b("item"))
    .order_by(_r.id)
)
ITEM = select(
    _i.id,
    _i.organisation_id,
    _i.account_id,
    _i.blob_id,
    _i.trail,
    _i.kind,
    _i.return_path,
    _i.prefix,
    _i.prefix_done,
    _i.size,
    _i.envid,
    _i.ret,
    _i.requiretls,
    _i.smtputf8,
    _i.eightbit,
    _i.not_before,
    _i.created_at,
    _i.forwarded_by,
).where(_i.id == _b("p_id"))
LEASE = (
    update(t.spool_rcpt)
    .where(_r.id == _b("p_id"))
    .values(state=State.SENDING.value, lease=_b("new_lease"), lease_until=_b("until"))
)
SIGNED = (
    update(t.spool_item).where(_i.id == _b("p_id"), _i.prefix_done == 0).values(prefix=_b("new_prefix"), prefix_done=1)
)
REMADE = (
    update(t.spool_item)
    .where(_i.id == _b("p_id"))
    .values(blob_id=_b("new_blob"), size=_b("new_size"), eightbit=_b("new_eightbit"))
)
HOLD_OF = select(_i.hold).where(_i.id == _b("p_id"))
_HELD = and_(_r.state == State.SENDING.value, _r.lease == _b("p_lease"))
SETTLE = (
    update(t.spool_rcpt)
    .where(_r.id == _b("p_id"), _HELD)
    .values(
        state=_b("new_state"),
        next_at=_b("new_next"),
        attempts=_r.attempts + 1,
        attempted_at=_b("now"),
        warned_at=_b("new_warned"),
        remote=_b("new_remote"),
        reply=_b("new_reply"),
        reason=_b("code"),
        reason_params=_b("params"),
        lease=null(),
        lease_until=null(),
        done_at=_b("new_done"),
    )
)
BOUNCED = (
    update(t.spool_rcpt)
    .where(_r.id == _b("p_id"), or_(_r.state == State.FAILED.value, _r.state == State.EXPIRED.value))
    .values(state=State.BOUNCED.value)
)
_RELEASED = {"state": State.DEFERRED.value, "lease": null(), "lease_until": null()}
GIVE_BACK = update(t.spool_rcpt).where(_HELD, _r.item_id == _b("item")).values(**_RELEASED, next_at=_b("now"))
RECOVER = (
    update(t.spool_rcpt)
    .where(OPEN, _r.state == State.SENDING.value)
    .values(
        **_RELEASED,
        next_at=_b("now"),
        attempts=_r.attempts + 1,
        attempted_at=_b("now"),
        reason=_b("code"),
        reason_params=_b("params"),
    )
)
AGAIN_FOR_NAMES = (
    update(t.spool_rcpt)
    .where(OPEN, _r.state == State.DEFERRED.value, _r.next_at > _b("now"), _r.reason.like("dns.%"))
    .values(next_at=_b("now"))
)
OPEN_LEFT = select(func.count()).select_from(t.spool_rcpt).where(_r.item_id == _b("p_id"), OPEN)
DONE = update(t.spool_item).where(_i.id == _b("p_id")).values(done_at=_b("now"))

# --- looking on -----------------------------------------------------------------------------------------------------

DUE_PAIRS = (
    select(_r.domain, _account)
    .select_from(JOINED)
    .where(DUE)
    .group_by(_r.domain, _account)
    .order_by(func.min(_r.next_at))
    .limit(_b("most"))
)
NEXT_DUE = select(func.min(_r.next_at)).where(READY)
COUNTS = select(_r.state, func.count()).group_by(_r.state)
_LISTED = (
    select(
        _r.id,
        _r.item_id,
        _i.account_id,
        _i.trail,
        _i.kind,
        _i.return_path,
        _r.address,
        _r.domain,
        _r.state,
        _r.attempts,
        _r.next_at,
        _r.attempted_at,
        _i.created_at,
        _i.size,
        _r.remote,
        _r.reply,
        func.coalesce(_i.hold, _r.reason),
        case((_i.hold.is_not(None), _i.hold_params), else_=_r.reason_params),
    )
    .select_from(JOINED)
    .where(OPEN)
    .order_by(_r.id)
)
LISTED = _LISTED.where(_r.id > _b("after")).limit(_b("most"))


def listed(after: int, most: int, *, domain: str, state: str, text: str) -> Select[Any]:
    """Waiting recipients that fit whatever is not empty; `text` is part of an address of either side."""
    chosen = _LISTED.where(_r.id > after).limit(most)
    if domain:
        chosen = chosen.where(_r.domain == domain)
    if state:
        chosen = chosen.where(_r.state == state)
    if text:
        holds = f"%{''.join(f'!{c}' if c in '!%_' else c for c in text.lower())}%"
        chosen = chosen.where(
            or_(func.lower(_r.address).like(holds, escape="!"), func.lower(_i.return_path).like(holds, escape="!"))
        )
    return chosen


LISTED_OF = _LISTED.where(_i.id == _b("p_item")).limit(_b("most"))
FAILING = (
    select(_r.domain, func.count(), func.min(_i.created_at), func.min(_r.next_at), func.max(_r.id))
    .select_from(JOINED)
    .where(OPEN, _r.state == State.DEFERRED.value)
    .group_by(_r.domain)
    .order_by(func.min(_i.created_at))
    .limit(_b("most"))
)
LISTED_TRAIL = _LISTED.where(_i.trail == _b("trail")).limit(1)
LISTED_ONE = _LISTED.where(_r.id == _b("p_id"))

# --- changing by hand -----------------------------------------------------------------------------------------------

STATES_OF = select(_r.id, _r.address, _r.state, _r.attempts).where(_r.item_id == _b("p_item"), OPEN).order_by(_r.id)
WHOSE = select(_i.organisation_id, _i.account_id, _i.trail, _i.return_path, _i.not_before).where(_i.id == _b("p_id"))
SET_HOLD = update(t.spool_item).where(_i.id == _b("p_id")).values(hold=_b("new_hold"), hold_params=_b("new_params"))
FREEZE = (
    update(t.spool_rcpt).where(_r.item_id == _b("p_item"), READY).values(state=State.FROZEN.value, next_at=NEVER_DUE)
)
THAW = (
    update(t.spool_rcpt)
    .where(_r.item_id == _b("p_item"), OPEN, _r.state == State.FROZEN.value)
    .values(state=State.QUEUED.value, next_at=_b("at"))
)
RETRY = (
    update(t.spool_rcpt)
    .where(_r.item_id == _b("p_item"), OPEN, _r.state == State.DEFERRED.value, _r.next_at > _b("now"))
    .values(next_at=_b("now"))
)
RETRY_ALL = (
    update(t.spool_rcpt).where(OPEN, _r.state == State.DEFERRED.value, _r.next_at > _b("now")).values(next_at=_b("now"))
)
CANCEL = (
    update(t.spool_rcpt)
    .where(_r.id == _b("p_id"), OPEN, _r.state != State.SENDING.value)
    .values(
        state=State.CANCELLED.value,
        next_at=NEVER_DUE,
        reason=_b("code"),
        reason_params=_b("params"),
        done_at=_b("now"),
    )
)
GIVE_UP = (
    update(t.spool_rcpt)
    .where(_r.id == _b("p_id"), OPEN, _r.state != State.SENDING.value)
    .values(
        state=State.FAILED.value,
        next_at=NEVER_DUE,
        reason=_b("code"),
        reason_params=_b("params"),
        done_at=_b("now"),
    )
)
OPEN_OF_ITEM = (
    select(_r.id, _r.address, _r.domain, _r.orcpt, _r.notify, _r.attempts, _r.warned_at, _r.state)
    .where(OPEN, _r.item_id == _b("p_item"))
    .order_by(_r.id)
)

# --- keeping house --------------------------------------------------------------------------------------------------

_UNREACHED = or_(*(_r.reason == code for code in ("queue.connect", "queue.resting", "queue.timeout", "queue.lost")))
_WAITS_FOR_HOST = and_(OPEN, _r.state == State.DEFERRED.value, _r.next_at > _b("now"), _UNREACHED)
AGAIN_FOR_HOST = update(t.spool_rcpt).where(_WAITS_FOR_HOST, _r.domain == _b("p_domain")).values(next_at=_b("now"))
AGAIN_FOR_ALL = update(t.spool_rcpt).where(_WAITS_FOR_HOST).values(next_at=_b("now"))
_SCHEDULED = select(_i.id).where(_i.id == _r.item_id, _i.not_before > _b("now"), _r.attempts == 0).exists()
PULL_IN = update(t.spool_rcpt).where(READY, _r.next_at > _b("limit"), ~_SCHEDULED).values(next_at=_b("now"))
LATE_LEASES = (
    update(t.spool_rcpt)
    .where(OPEN, _r.state == State.SENDING.value, _r.lease_until < _b("now"))
    .values(**_RELEASED, next_at=_b("now"))
)
_KEPT_UNTIL = case((_i.idempotency_key.is_(None), _b("before")), else_=_b("before_keyed"))
FINISHED = select(_i.id, _i.blob_id).where(_i.done_at.is_not(None), _i.done_at < _KEPT_UNTIL).limit(_b("most"))
DROP_RECIPIENTS = delete(t.spool_rcpt).where(_r.item_id == _b("p_id"))
DROP_ITEM = delete(t.spool_item).where(_i.id == _b("p_id"))
