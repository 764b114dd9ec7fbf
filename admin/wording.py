"""What happened, in words: hops of a message, causes of waiting, rows of the audit log.

Promises: tables of marked texts; a code that no table knows is shown as it is, never hidden. May not: read anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.i18n import N_
from appliance.web.causes import cause_of
from data.audit import Entry
from data.reason import Reason
from data.spool.envelope import State, domain_of
from data.spool.oversight import Listed
from data.story import Hop


@dataclass(frozen=True, slots=True)
class Said:
    """A marked text with its parameters; `tone` is ok, warn, bad or empty, `mark` an icon."""

    text: str
    params: Mapping[str, object] = field(default_factory=dict)
    tone: str = ""
    mark: str = "info"


def cause(reason: Reason | None, domain: str) -> Said | None:
    """Why, in words; None where no reason is known."""
    return None if reason is None else Said(*cause_of(reason, domain))


_HOPS: Final[Mapping[str, Said]] = {
    "submitted": Said(N_("%(sender)s handed the message in"), mark="send"),
    "delivered": Said(N_("Stored in the inbox of %(recipient)s"), tone="ok", mark="inbox"),
    "filed": Said(N_("Stored in a mailbox of %(recipient)s"), tone="ok", mark="inbox"),
    "redirected": Said(N_("Sent on by a rule of %(recipient)s"), mark="send"),
    "answered": Said(N_("%(recipient)s was told of the absence of %(sender)s"), mark="send"),
    "rejected": Said(N_("Refused by a rule of %(recipient)s"), tone="bad", mark="x"),
    "refused": Said(N_("Refused for %(recipient)s"), tone="bad", mark="x"),
    "judged": Said(N_("It was checked who sent it"), mark="info"),
    "put-off": Said(N_("Put off because it looks unusual"), tone="warn", mark="clock"),
    "quarantined": Said(N_("Kept back from %(recipient)s"), tone="warn", mark="pause"),
    "thrown": Said(N_("Thrown away by a rule of %(recipient)s"), mark="ban"),
    "noted": Said(N_("The rules of %(recipient)s were looked at"), mark="clock"),
    "sent": Said(N_("The mail server of %(domain)s took it for %(recipient)s"), tone="ok", mark="circle-check"),
    "deferred": Said(N_("Not delivered to %(recipient)s yet; it is tried again"), tone="warn", mark="clock"),
    "failed": Said(N_("Could not be delivered to %(recipient)s"), tone="bad", mark="x"),
    "expired": Said(N_("Given up for %(recipient)s after the last attempt"), tone="bad", mark="x"),
    "held": Said(N_("Held by an administrator"), tone="warn", mark="pause"),
    "released": Said(N_("Released by an administrator"), mark="play"),
    "cancelled": Said(N_("Taken out of the queue for %(recipient)s"), mark="ban"),
    "discarded": Said(N_("Not stored once more for %(recipient)s"), mark="ban"),
}


OUTCOMES: Final[Mapping[str, str]] = {
    "stored": N_("Stored here"),
    "sent": N_("Sent to another server"),
    "deferred": N_("Delayed"),
    "failed": N_("Not delivered"),
    "held": N_("Held or released"),
    "dropped": N_("Taken out"),
}
"""What the log may be asked for, by data.story's names."""


def hop(one: Hop) -> Said:
    """What happened, as a sentence."""
    event = "sent" if sent_out(one) else _ruled(one) or one.event
    known = _HOPS.get(event, Said("%(event)s"))
    params = {
        "event": one.event,
        "sender": one.sender or "<>",
        "recipient": one.recipient or "?",
        "domain": domain_of(one.recipient) or one.recipient,
    }
    return Said(known.text, params, known.tone, known.mark)


_RULED: Final[Mapping[tuple[str, str], str]] = {
    ("delivered", "rules.filed"): "filed",
    ("delivered", "dmarc.junk"): "filed",
    ("discarded", "rules.discarded"): "thrown",
    ("rejected", "dmarc.rejected"): "refused",
}


def _ruled(one: Hop) -> str | None:
    """What a rule made of a delivery."""
    code = one.reason.code if one.reason is not None else ""
    return _RULED.get((one.event, code))


def sent_out(one: Hop) -> bool:
    """Did a server elsewhere take it?"""
    return one.event == "delivered" and one.reason is not None and one.reason.code.startswith("queue.sent")


def why(one: Hop) -> Said | None:
    """The cause of a hop, where the hop itself does not say it already."""
    if one.event in {"held", "released"} or sent_out(one):
        return None
    return cause(one.reason, domain_of(one.recipient))


def answer(reason: Reason | None) -> str:
    """What the remote server said, as the story keeps it."""
    if reason is None:
        return ""
    return " ".join(str(reason.params[name]) for name in ("remote", "reply") if reason.params.get(name))


STATES: Final[Mapping[State, Said]] = {
    State.QUEUED: Said(N_("Waiting"), tone="accent", mark="clock"),
    State.SENDING: Said(N_("Being sent"), tone="accent", mark="send"),
    State.DEFERRED: Said(N_("Delayed"), tone="warn", mark="triangle-alert"),
    State.FROZEN: Said(N_("Held"), tone="", mark="pause"),
}


def waits(one: Listed) -> Said:
    """Why a recipient waits, in words."""
    if one.state is State.SENDING:
        return Said(N_("It is on the wire right now."))
    if one.state is State.QUEUED and one.attempts == 0:
        return Said(N_("It has not been tried yet."))
    return cause(one.reason, one.domain) or Said(N_("It is tried again at its time."))


_ACTIONS: Final[Mapping[str, Said]] = {
    "init": Said(N_("set the server up for %(object)s"), mark="server"),
    "account.add": Said(N_("added the account %(object)s"), mark="user-plus"),
    "account.edit": Said(N_("changed the account %(object)s"), mark="user"),
    "account.password": Said(N_("set a new password for %(object)s"), mark="key-round"),
    "account.suspended": Said(N_("suspended %(object)s"), tone="warn", mark="pause"),
    "account.active": Said(N_("let %(object)s sign in again"), mark="play"),
    "account.delete": Said(N_("deleted the account %(object)s"), tone="bad", mark="trash-2"),
    "account.restore": Said(N_("restored the account %(object)s"), mark="undo-2"),
    "account.second-factor": Said(N_("turned two-step sign-in on for %(object)s"), mark="smartphone"),
    "account.second-factor.removed": Said(N_("turned two-step sign-in off for %(object)s"), mark="smartphone"),
    "account.second-factor.codes": Said(N_("made new recovery codes for %(object)s"), mark="key-round"),
    "account.second-factor.reset": Said(N_("took two-step sign-in from %(object)s"), tone="warn", mark="smartphone"),
    "account.sign-out": Said(N_("signed %(object)s out"), mark="log-out"),
    "account.change": Said(N_("changed the account %(object)s"), mark="user"),
    "account.app-password": Said(N_("made an app password for %(object)s"), mark="key-round"),
    "account.app-password.revoked": Said(N_("revoked an app password of %(object)s"), mark="key-round"),
    "account.import": Said(N_("imported mail for %(object)s"), mark="download"),
    "domain.add": Said(N_("added the domain %(object)s"), mark="globe"),
    "domain.check": Said(N_("looked up the records of %(object)s"), mark="globe"),
    "domain.catch-all": Said(N_("changed the catch-all of %(object)s"), mark="globe"),
    "alias.add": Said(N_("added the address %(object)s"), mark="at-sign"),
    "alias.edit": Said(N_("changed where %(object)s leads"), mark="at-sign"),
    "alias.delete": Said(N_("took the address %(object)s away"), mark="at-sign"),
    "setting": Said(N_("changed the setting %(object)s"), mark="settings"),
    "queue.retry": Said(N_("had waiting mail tried again (%(object)s)"), mark="refresh-cw"),
    "queue.hold": Said(N_("held waiting mail (%(object)s)"), mark="pause"),
    "queue.release": Said(N_("released waiting mail (%(object)s)"), mark="play"),
    "queue.drop": Said(N_("dropped waiting mail (%(object)s)"), tone="bad", mark="trash-2"),
    "queue.return": Said(N_("sent waiting mail back to its sender (%(object)s)"), tone="warn", mark="undo-2"),
}
KINDS: Final[Mapping[str, str]] = {
    "account": N_("Users"),
    "alias": N_("Groups and aliases"),
    "domain": N_("Domains"),
    "queue": N_("Queue"),
    "setting": N_("Settings"),
}
"""What the audit log may be asked for, by the first word of an action."""


def action(one: Entry) -> Said:
    """What an administrator did, as the rest of a sentence that begins with who."""
    known = _ACTIONS.get(one.action, Said("%(action)s %(object)s"))
    return Said(known.text, {"object": one.object, "action": one.action}, known.tone, known.mark)
