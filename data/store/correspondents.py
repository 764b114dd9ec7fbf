"""Who an account writes with: the ground for "first time", "answered before", "moved to Junk before".

Promises: counts move in the transaction of what they count; an address is kept as its normal form. Bounded for each
account: the longest silent go. May not: judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from data.disk import tables as t
from data.disk.db import Reader, Tx
from data.ids import AccountId, OrganisationId

KEPT = 20_000
"""Addresses that an account knows."""
_ADDRESS_MOST = 320
_b = bindparam
_k = t.correspondent.c
_ONE = select(_k.sent, _k.received, _k.junked, _k.wanted).where(
    _k.account_id == _b("account"), _k.address == _b("p_address")
)
_OTHERS = select(
    func.coalesce(func.sum(_k.sent), 0), func.coalesce(func.sum(_k.junked), 0), func.coalesce(func.sum(_k.wanted), 0)
).where(_k.organisation_id == _b("organisation"), _k.address == _b("p_address"), _k.account_id != _b("account"))
_ADD = insert(t.correspondent).values(
    account_id=_b("account"),
    organisation_id=_b("organisation"),
    address=_b("p_address"),
    domain=_b("domain"),
    sent=_b("sent"),
    received=_b("received"),
    junked=_b("junked"),
    wanted=_b("wanted"),
    at=_b("now"),
)
_MORE = (
    update(t.correspondent)
    .where(_k.account_id == _b("account"), _k.address == _b("p_address"))
    .values(
        sent=_k.sent + _b("by_sent"),
        received=_k.received + _b("by_received"),
        junked=_k.junked + _b("by_junked"),
        wanted=_k.wanted + _b("by_wanted"),
        at=_b("now"),
    )
)
_DOMAINS = (
    select(_k.domain)
    .where(_k.account_id == _b("account"), _k.sent + _k.wanted > 0)
    .group_by(_k.domain)
    .order_by(func.max(_k.at).desc())
    .limit(_b("most"))
)
_COUNT = select(func.count()).select_from(t.correspondent).where(_k.account_id == _b("account"))
_OLDEST_KEPT = select(_k.at).where(_k.account_id == _b("account")).order_by(_k.at.desc()).limit(1).offset(_b("kept"))
_DROP = delete(t.correspondent).where(_k.account_id == _b("account"), _k.at <= _b("before"), _k.sent == 0)


@dataclass(frozen=True, slots=True)
class Relation:
    """Messages between an account and an address: sent to it, received from it, and moved into Junk or out of it. The
    `others_` are those of the rest of the organisation."""

    sent: int = 0
    received: int = 0
    junked: int = 0
    wanted: int = 0
    others_sent: int = 0
    others_junked: int = 0
    others_wanted: int = 0


STRANGER = Relation()


def relation(reader: Reader, account: AccountId, organisation: OrganisationId, address: str) -> Relation:
    """What an account and its colleagues have with an address."""
    key = {"account": account, "organisation": organisation, "p_address": _key(address)}
    own = reader.first(_ONE, {"account": account, "p_address": key["p_address"]}) or (0, 0, 0, 0)
    others = reader.first(_OTHERS, key) or (0, 0, 0)
    return Relation(*map(int, own), *map(int, others))


def domains(reader: Reader, account: AccountId, most: int = 300) -> tuple[str, ...]:
    """The domains an account writes to, latest first."""
    return tuple(domain for (domain,) in reader.all(_DOMAINS, {"account": account, "most": most}) if domain)


def count_in(
    tx: Tx,
    account: AccountId,
    organisation: OrganisationId,
    addresses: Iterable[str],
    *,
    sent: int = 0,
    received: int = 0,
    junked: int = 0,
    wanted: int = 0,
) -> None:
    """Count messages with these addresses."""
    for address in dict.fromkeys(filter(None, map(_key, addresses))):
        row = {"account": account, "p_address": address, "now": tx.now}
        by = {"by_sent": sent, "by_received": received, "by_junked": junked, "by_wanted": wanted}
        if tx.run(_MORE, {**row, **by}):
            continue
        tx.run(
            _ADD,
            {
                **row,
                "organisation": organisation,
                "domain": address.rpartition("@")[2],
                "sent": max(sent, 0),
                "received": max(received, 0),
                "junked": max(junked, 0),
                "wanted": max(wanted, 0),
            },
        )


def prune_in(tx: Tx, account: AccountId) -> None:
    """Forget those that were silent longest, of whom an account never wrote to."""
    if int(tx.value(_COUNT, {"account": account}) or 0) > KEPT:
        before = tx.value(_OLDEST_KEPT, {"account": account, "kept": KEPT * 9 // 10})
        if before is not None:
            tx.run(_DROP, {"account": account, "before": before})


def _key(address: str) -> str:
    """An address as it is compared: folded, bounded, without a tag."""
    local, at, domain = address.strip().lower()[:_ADDRESS_MOST].rpartition("@")
    return f"{local.partition('+')[0] or local}{at}{domain}" if at else ""
