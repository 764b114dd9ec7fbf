"""How the appliance is: disk, certificate, queue, people, and what of it needs somebody.

Promises: every problem is a sentence that says what is wrong, one that says what it means for the mail and what to do,
and one button. What is worst comes first. May not: change anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from admin.desk import Desk
from appliance.config import Config
from appliance.i18n import N_, NN_
from appliance.net.keypair import TlsError, read_pair
from appliance.web.parts import WebParts
from data.clock import DAY
from data.ids import Millis
from data.spool.envelope import State
from data.spool.oversight import Failing
from data.store.quota import Usage, near

SOON: Final = 14
"""Days before the end of a certificate in which somebody should act."""
NEAR: Final = 90
"""Hundredths of a quota from which on an account is near it."""
SHOWN: Final = 5
_RESERVED: Final = (".test", ".example", ".invalid", ".localhost", "example.com", "example.net", "example.org")
"""Names that nobody can register (RFC 6761, RFC 2606): mail from them goes nowhere."""

Params = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that needs somebody. `what` may be counted: (singular, plural) with `count` in its parameters."""

    what: str | tuple[str, str]
    why: str
    button: str
    path: str
    mark: str
    bad: bool = False
    params: Params = field(default_factory=dict)
    said: str = ""
    since: Millis | None = None
    again: Millis | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """The filesystem of the state directory, in octets; below `floor` free ones no mail is taken."""

    size: int
    free: int
    floor: int

    @property
    def used(self) -> int:
        """Octets in use, whoever uses them."""
        return self.size - self.free

    @property
    def full(self) -> bool:
        """Is mail refused for want of room?"""
        return self.free <= self.floor

    @property
    def low(self) -> bool:
        """Will it be soon?"""
        return self.free <= 2 * self.floor


def disk(state: Path, config: Config) -> Disk:
    """Room on the disk; the floor as deliveries reckon with it: on a small disk its twentieth part is enough."""
    found = os.statvfs(state)
    size = found.f_blocks * found.f_frsize
    return Disk(size, found.f_bavail * found.f_frsize, min(config.limits.disk_floor, size // 20))


@dataclass(frozen=True, slots=True)
class Certificate:
    """The server's certificate. `days` are left until it ends; `names` are those it is for."""

    readable: bool
    self_made: bool = False
    days: int = 0
    expires: int = 0
    names: tuple[str, ...] = ()
    fingerprint: str = ""
    file: str = ""


def certificate(state: Path, config: Config, now: Millis) -> Certificate:
    """The certificate as it lies on the disk."""
    path, key = config.certificate_paths(state)
    try:
        pair = read_pair(path, key)
    except TlsError:
        return Certificate(False, file=path.name)
    expires = Millis(int(pair.expires.timestamp() * 1000))
    names = tuple(sorted(pair.names()))
    return Certificate(True, pair.self_made, (expires - now) // DAY, expires, names, pair.fingerprint, path.name)


@dataclass(frozen=True, slots=True)
class Health:
    """Everything the dashboard tells."""

    disk: Disk
    certificate: Certificate
    counts: Mapping[State, int]
    failing: tuple[Failing, ...]
    near: tuple[tuple[str, int, Usage], ...]
    trial: tuple[str, ...]
    dns_off: bool
    routed: bool
    wrong: tuple[tuple[str, int], ...] = ()
    """Domains with records that were not right when somebody looked last, and how many."""


def look(parts: WebParts, office: Desk, routes: str) -> Health:
    """Look at everything once."""
    with office.db.read() as reader:
        held = near(reader, NEAR, SHOWN)
    known = {account.id: account.address for account in office.directory.accounts()}
    trial = tuple(one.name for one in office.directory.domains() if reserved(one.name))
    config = parts.config
    return Health(
        disk=disk(parts.state, config),
        certificate=certificate(parts.state, config, office.clock.now()),
        counts=office.spool.counts(),
        failing=office.spool.failing(SHOWN),
        near=tuple((known[account], account, usage) for account, usage in held if account in known),
        trial=trial,
        dns_off=config.dns == "off",
        routed=bool(config.route_all or routes.strip()),
        wrong=tuple(_wrong(office)),
    )


def _wrong(office: Desk) -> Iterator[tuple[str, int]]:
    for one in office.directory.domains():
        check = office.helpers.names.known(one.name) if office.helpers else None
        if check is not None and check.wrong and not reserved(one.name):
            yield one.name, check.wrong


def reserved(domain: str) -> bool:
    """Is it a name that nobody can register?"""
    return any(domain == name.lstrip(".") or domain.endswith("." + name.lstrip(".")) for name in _RESERVED)


def problems(health: Health) -> list[Problem]:
    """What needs somebody, worst first."""
    found = [
        *_disk(health.disk),
        *_certificate(health.certificate),
        *_queue(health),
        *_people(health),
        *_records(health),
        *_names(health),
    ]
    return sorted(found, key=lambda one: not one.bad)


def _disk(disk: Disk) -> Iterator[Problem]:
    if not disk.low:
        return
    if disk.full:
        what = N_("The disk is full: new mail is put off")
        why = N_("Other servers keep their messages and try again. Free some room, or give the server a larger disk.")
    else:
        what = N_("The disk is nearly full")
        why = N_("Soon new mail is put off. Free some room, or give the server a larger disk.")
    yield Problem(what, why, N_("Show storage"), "/system#storage", "hard-drive", disk.full)


def _certificate(one: Certificate) -> Iterator[Problem]:
    button, path = N_("Show the certificate"), "/system#certificate"
    if not one.readable:
        why = N_("The server goes on with the one it read before; after a restart nobody could connect safely.")
        yield Problem(N_("The certificate cannot be read"), why, button, path, "lock", True)
    elif one.days < 0:
        why = N_("Mail programs and browsers warn, and many refuse to connect. Put a new one in its place.")
        yield Problem(N_("The certificate has expired"), why, button, path, "lock", True)
    elif one.days < SOON:
        what = NN_("The certificate ends in %(count)s day", "The certificate ends in %(count)s days")
        why = N_("After that, mail programs and browsers warn. Put a new one in its place before.")
        yield Problem(what, why, button, path, "lock", False, {"count": one.days})
    elif one.self_made:
        why = N_("Mail is encrypted, but browsers and mail programs warn, for nobody else vouches for the certificate.")
        yield Problem(N_("The certificate is self-signed"), why, button, path, "lock")


def _queue(health: Health) -> Iterator[Problem]:
    for one in health.failing:
        what = NN_("%(count)s message to %(domain)s is delayed", "%(count)s messages to %(domain)s are delayed")
        said = " ".join(part for part in (one.last.remote, one.last.reply) if part)
        if _unasked(one):
            continue  # that look-ups are off is a problem of its own
        why = N_("It is tried again by itself; nothing is lost.")
        params = {"count": one.count, "domain": one.domain}
        yield Problem(
            what, why, N_("Open queue"), f"/queue?domain={one.domain}", "arrow-left-right", False, params, said,
            one.since, one.next_at,
        )  # fmt: skip
    held = health.counts.get(State.FROZEN, 0)
    if held:
        what = NN_("%(count)s message is held", "%(count)s messages are held")
        why = N_("Held mail waits until somebody releases or drops it.")
        yield Problem(what, why, N_("Open queue"), "/queue", "pause", False, {"count": held})


def _people(health: Health) -> Iterator[Problem]:
    for address, ident, usage in health.near:
        full = usage.octets >= usage.limit
        what = N_("The mailbox of %(address)s is full") if full else N_("The mailbox of %(address)s is nearly full")
        why = N_(
            "When it is full, new mail for it is put off or refused. Raise its limit, or ask its owner to tidy up."
        )
        yield Problem(
            what, why, N_("Open account"), f"/accounts/{ident}", "users", full, {"address": address}
        )  # fmt: skip


def _records(health: Health) -> Iterator[Problem]:
    for domain, count in health.wrong:
        what = NN_("%(count)s record of %(domain)s is not right", "%(count)s records of %(domain)s are not right")
        why = N_("Mail to the domain may go astray, or mail from it land in junk folders, until they are set.")
        params = {"count": count, "domain": domain}
        yield Problem(what, why, N_("Show the records"), f"/domains/{domain}", "globe", True, params)


def _names(health: Health) -> Iterator[Problem]:
    """Why mail to the outside would wait; when some waits for that already, it is what the sentence begins with."""
    if health.routed or not (health.dns_off or health.trial):
        return
    waiting = sum(one.count for one in health.failing if _unasked(one))
    params: dict[str, object] = {"count": waiting, "domain": health.trial[0] if health.trial else ""}
    counted = NN_("%(count)s message to another server waits", "%(count)s messages to other servers wait")
    if health.trial:
        why = N_(
            "Mail between people here works. Nobody else can answer, and mail to the outside waits until a route is set."
        )
        if waiting:
            why = N_("%(domain)s is a trial domain: mail to the outside waits until a route is set. Nothing is lost.")
        what = counted if waiting else N_("%(domain)s is a trial domain")
        yield Problem(what, why, N_("How to set a route"), "/system#route", "route", False, params)
    else:
        why = N_(
            "Mail to other servers waits until look-ups are allowed again in the configuration, or a route is set."
        )
        what = counted if waiting else N_("Looking up other domains is switched off")
        if waiting:
            why = N_("Looking up other domains is switched off in the configuration. Switch it on, or set a route.")
        yield Problem(what, why, N_("Show how"), "/system#dns", "globe", False, params)


def _unasked(one: Failing) -> bool:
    """Does it wait because nobody is asked for names?"""
    return one.last.reason is not None and one.last.reason.code == "dns.off"
