"""What became of a message one sent, for each recipient, in words; and why mail to the outside waits on a trial.

    GET /help/outside       what a trial domain is, and how an administrator sets a route

Promises: told of one's own sendings from the webmail alone (what a mail program sent is not known by its copy in Sent).
The queue's rows tell for a day, the story of the message after that. A message in Sent is known as a sending by its
Message-ID, which anybody could have copied: whose sending it is, the queue and the story say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flask import Response

from appliance.i18n import N_
from appliance.web.access import Access, Routes
from appliance.web.apps import Here, here, page
from appliance.web.causes import cause_of
from data.ids import AccountId, Millis
from data.principal import ADMINISTRATORS
from data.reason import Reason
from data.spool import fates
from data.spool.envelope import State, domain_of
from data.story import Hop, Story

_KEY: Final = re.compile(r"([0-9a-f]{32})@")
_NO_NAMES: Final = frozenset({"dns.off", "dns.unconfigured"})
_TRIAL: Final = N_("Trial domain: mail to other domains waits.")


@dataclass(frozen=True, slots=True)
class Said:
    """What became of it for one recipient: `tone` is ok, warn, bad or empty, `mark` an icon; `why` the cause, `answer`
    the other server's words, `next_at` the next attempt. `outside`: it waits since nothing goes out from here."""

    address: str
    text: str
    tone: str
    mark: str
    params: Mapping[str, object] = field(default_factory=dict)
    why: str = ""
    why_params: Mapping[str, object] = field(default_factory=dict)
    answer: str = ""
    next_at: Millis | None = None
    outside: bool = False


_STATES: Final[Mapping[State, tuple[str, str, str]]] = {
    State.QUEUED: (N_("On its way"), "", "send"),
    State.SENDING: (N_("Being sent"), "", "send"),
    State.DEFERRED: (N_("Waiting"), "warn", "clock"),
    State.FROZEN: (N_("Held by an administrator"), "warn", "pause"),
    State.DELIVERED: (N_("Delivered"), "ok", "circle-check"),
    State.FAILED: (N_("Not delivered"), "bad", "x"),
    State.EXPIRED: (N_("Not delivered"), "bad", "x"),
    State.BOUNCED: (N_("Not delivered"), "bad", "x"),
    State.CANCELLED: (N_("Not sent"), "bad", "ban"),
}
_ACCEPTED: Final = N_("Accepted by the mail server of %(domain)s")
_EVENTS: Final[Mapping[str, State]] = {
    "delivered": State.DELIVERED,
    "deferred": State.DEFERRED,
    "failed": State.FAILED,
    "expired": State.EXPIRED,
    "cancelled": State.CANCELLED,
}


def item_key(key: str) -> str:
    """The idempotency key under which the queue knows a sending of the webmail."""
    return f"web.{key}"


def trail_of(account: AccountId, key: str) -> str:
    """The trail of a sending: nobody else's sending can have it, whatever key their browser says."""
    return hashlib.sha256(f"web sending 1\0{account}\0{key}".encode()).hexdigest()[:24]


def key_of(message_id: str) -> str:
    """The key of a sending by the Message-ID of its copy; empty for any other message."""
    found = _KEY.match(message_id)
    return found[1] if found else ""


def fates_of(current: Here, message_id: str) -> tuple[Said, ...]:
    """What became of a message that lies in Sent, for each recipient."""
    key, account = key_of(message_id), current.account.id
    if not key:
        return ()
    found = fates.Fates(current.parts.db).of(account, item_key(key))
    trial = current.parts.config.profile != "production"
    if found:
        now = current.parts.clock.now()
        return tuple(_said(one, now, trial=trial) for one in found)
    return told(Story(current.parts.db).of(trail_of(account, key)), account, trial=trial)


def marks_of(current: Here) -> Callable[[str], str]:
    """For rows of Sent: makes `waiting`, `failed` or nothing of a Message-ID."""
    troubled = fates.Fates(current.parts.db).troubled(current.account.id, current.parts.clock.now())

    def mark(message_id: str) -> str:
        failed = troubled.get(item_key(key_of(message_id)))
        return "" if failed is None else "failed" if failed else "waiting"

    return mark


def _said(one: fates.Fate, now: Millis, *, trial: bool) -> Said:
    due = one.next_at if one.next_at is not None and one.next_at > now else None
    if one.state is State.QUEUED and one.attempts == 0:
        due = None
    return _worded(one.address, one.domain, one.state, one.reason, one.reply, due, trial=trial)


def _worded(
    address: str, domain: str, state: State, reason: Reason | None, answer: str, due: Millis | None, *, trial: bool
) -> Said:
    text, tone, mark = _STATES[state]
    if state is State.DELIVERED:
        if reason is not None and reason.code.startswith("queue.sent"):
            text = _ACCEPTED
        return Said(address, text, tone, mark, {"domain": domain})
    if reason is None or state in {State.QUEUED, State.SENDING, State.FROZEN}:
        return Said(address, text, tone, mark)
    outside = reason.code in _NO_NAMES
    why, params = (_TRIAL, dict[str, object]()) if outside and trial else cause_of(reason, domain)
    return Said(address, text, tone, mark, {}, why, params, answer, due, outside)


def told(hops: Iterable[Hop], account: AccountId, *, trial: bool) -> tuple[Said, ...]:
    """What the story of a sending says of each recipient, when the queue has forgotten it. Of a story that does not
    begin with this account's sending, nothing."""
    latest: dict[str, Hop] = {}
    begun = False
    for one in hops:
        begun = begun or (one.event == "submitted" and one.account == account)
        if one.event in _EVENTS and one.recipient:
            latest[one.recipient] = one
    if not begun:
        return ()
    found = []
    for one in latest.values():
        params = one.reason.params if one.reason is not None else {}
        answer = " ".join(str(params[name]) for name in ("remote", "reply") if params.get(name))
        domain = domain_of(one.recipient)
        found.append(_worded(one.recipient, domain, _EVENTS[one.event], one.reason, answer, None, trial=trial))
    return tuple(found)


def routes_of_fates() -> Routes:
    """The routes."""
    routes = Routes("fates")

    @routes.get("/help/outside", Access.USER)
    def outside() -> Response:
        config, admin = here().parts.config, here().account.role in ADMINISTRATORS
        return page("mail/outside.html", trial=config.profile != "production", off=config.dns == "off", admin=admin)

    return routes
