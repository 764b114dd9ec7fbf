"""What happened, in words: hops of a message, causes of waiting, rows of the audit log.

Promises: tables of marked texts; a code that no table knows is shown as it is, never hidden. May not: read anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.i18n import N_
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


_CAUSES: Final[Mapping[str, str]] = {
    "queue.held": N_("An administrator holds it."),
    "queue.cancelled": N_("Its sender took it back."),
    "queue.dropped": N_("An administrator dropped it."),
    "queue.interrupted": N_("The server was stopped while it was being sent; it is tried again."),
    "queue.nodomain": N_("The domain %(domain)s does not exist."),
    "queue.nullmx": N_("The domain %(domain)s does not receive mail."),
    "queue.nohost": N_("The domain %(domain)s has no mail server."),
    "queue.loop": N_("Mail for %(domain)s leads back to this server, which does not serve that domain."),
    "queue.literal": N_("%(domain)s is not a network address that mail can be sent to."),
    "queue.unknown": N_("There is no such address at %(domain)s."),
    "queue.smtputf8": N_(
        "The mail server of %(domain)s does not accept addresses or headers in other scripts than ASCII."
    ),
    "queue.8bitmime": N_(
        "The mail server of %(domain)s takes seven-bit text only, and the message is written in eight bits."
    ),
    "queue.size": N_("The message is larger than the mail server of %(domain)s accepts."),
    "queue.requiretls": N_(
        "You asked for an encrypted way only, and the mail server of %(domain)s does not promise one."
    ),
    "queue.envelope": N_("The address cannot be used."),
    "queue.bare": N_("The message holds broken line ends and cannot be sent safely."),
    "queue.corrupt": N_("The message is damaged on our disk."),
    "queue.local": N_("The mailbox cannot take the message at the moment."),
    "queue.full": N_("The recipient's mailbox is full."),
    "dns.off": N_("This server has been told not to look up other domains."),
    "dns.unconfigured": N_("This machine has no name server to ask for other domains."),
    "dns": N_("The mail server of %(domain)s could not be looked up."),
    "queue.connect": N_("The mail server of %(domain)s could not be reached."),
    "queue.resting": N_("The mail server of %(domain)s could not be reached."),
    "queue.timeout": N_("The mail server of %(domain)s did not answer in time."),
    "queue.lost": N_("The mail server of %(domain)s broke the connection off."),
    "queue.closing": N_("The mail server of %(domain)s is not taking mail at the moment."),
    "queue.greeting": N_("The mail server of %(domain)s does not accept mail from this server."),
    "queue.ehlo": N_("The mail server of %(domain)s does not accept mail from this server."),
    "queue.malformed": N_("The mail server of %(domain)s gave an answer that makes no sense."),
    "queue.tls": N_("No safe connection to the mail server of %(domain)s could be made."),
    "queue.sent": N_("The mail server of %(domain)s took it."),
    "queue.mail": N_("The mail server of %(domain)s did not accept the message."),
    "queue.rcpt": N_("The mail server of %(domain)s did not accept the recipient."),
    "queue.data": N_("The mail server of %(domain)s did not accept the message."),
    "queue.final": N_("The mail server of %(domain)s did not accept the message."),
    "delivery.loop": N_("It had been here before: it goes round in circles."),
    "delivery.repeated": N_("The same message was delivered a moment ago; it is kept once."),
    "rules.filed": N_("Rule %(rule)s: into %(mailbox)s."),
    "rules.nomailbox": N_("Rule %(rule)s: into the inbox, for there is no mailbox %(mailbox)s."),
    "rules.redirected": N_("Rule %(rule)s: sent on to %(address)s."),
    "rules.discarded": N_("Rule %(rule)s throws it away."),
    "rules.rejected": N_("A rule of the recipient refuses it."),
    "rules.answered": N_("Rule %(rule)s: the sender was told of the absence."),
    "rules.unanswered": N_("The sender was not told of the absence."),
    "rules.unanswered.again": N_("The sender has been told of the absence before."),
    "rules.unanswered.many": N_("Too many senders were told of the absence today."),
    "rules.loop": N_("Not sent on: it had been there before."),
    "rules.nobody": N_("Not sent on: the address does not exist."),
    "rules": N_("The rules of the recipient went wrong (%(code)s), so the message was kept."),
    "queue": N_("The message could not be handed over to the mail server of %(domain)s."),
}
"""By code; one that is not here counts as the part before its last dot."""


def cause(reason: Reason | None, domain: str) -> Said | None:
    """Why, in words; None where no reason is known."""
    if reason is None:
        return None
    code = reason.code
    while code not in _CAUSES and "." in code:
        code = code.rpartition(".")[0]
    if code not in _CAUSES:
        return Said("%(code)s", {"code": reason.code})
    rule = str(reason.params.get("rule") or reason.params.get("line", ""))
    return Said(_CAUSES[code], {"domain": domain, **reason.params, "code": reason.code, "rule": rule})


_HOPS: Final[Mapping[str, Said]] = {
    "submitted": Said(N_("%(sender)s handed the message in"), mark="send"),
    "delivered": Said(N_("Stored in the inbox of %(recipient)s"), tone="ok", mark="inbox"),
    "filed": Said(N_("Stored in a mailbox of %(recipient)s"), tone="ok", mark="inbox"),
    "redirected": Said(N_("Sent on by a rule of %(recipient)s"), mark="send"),
    "answered": Said(N_("%(recipient)s was told of the absence of %(sender)s"), mark="send"),
    "rejected": Said(N_("Refused by a rule of %(recipient)s"), tone="bad", mark="x"),
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


def _ruled(one: Hop) -> str | None:
    """What a rule made of a delivery."""
    code = one.reason.code if one.reason is not None else ""
    return {("delivered", "rules.filed"): "filed", ("discarded", "rules.discarded"): "thrown"}.get((one.event, code))


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
    "account.import": Said(N_("imported mail for %(object)s"), mark="download"),
    "domain.add": Said(N_("added the domain %(object)s"), mark="globe"),
    "domain.catch-all": Said(N_("changed the catch-all of %(object)s"), mark="globe"),
    "alias.add": Said(N_("added the address %(object)s"), mark="at-sign"),
    "alias.edit": Said(N_("changed where %(object)s leads"), mark="at-sign"),
    "alias.delete": Said(N_("took the address %(object)s away"), mark="at-sign"),
    "setting": Said(N_("changed the setting %(object)s"), mark="settings"),
    "queue.retry": Said(N_("had waiting mail tried again (%(object)s)"), mark="refresh-cw"),
    "queue.hold": Said(N_("held waiting mail (%(object)s)"), mark="pause"),
    "queue.release": Said(N_("released waiting mail (%(object)s)"), mark="play"),
    "queue.drop": Said(N_("dropped waiting mail (%(object)s)"), tone="bad", mark="trash-2"),
}


def action(one: Entry) -> Said:
    """What an administrator did, as the rest of a sentence that begins with who."""
    known = _ACTIONS.get(one.action, Said("%(action)s %(object)s"))
    return Said(known.text, {"object": one.object, "action": one.action}, known.tone, known.mark)
