"""Why mail was not delivered, in words for its sender: what happened, and what to do about it.

Every reason of the queue (data.reason) has a Cause here, and so has every kind of refusal a remote server can name by
an enhanced status code (RFC 3463, RFC 7505, RFC 8689). Texts are marked for translation and put into the reader's
language where they are shown. They speak to the person who wrote the message, not to a postmaster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.i18n import N_
from data.reason import Reason
from smtp.queue.replies import enhanced_of


@dataclass(frozen=True, slots=True)
class Cause:
    """`status` is the enhanced status code where the remote named none; `advice` may be empty."""

    text: str
    advice: str
    status: str


_TYPO = N_("Check the address for typing mistakes, then send the message again.")
_ASK = N_("If it is important, ask the recipient in another way, or their administrator.")
_OURS = N_("Please show this message to your administrator.")
_WAIT = N_("The fault is most likely at the recipient's end and temporary.")
_SMALLER = N_("Send a smaller message, for example with a link in place of the attachment.")
_ADMIN = N_("If it is important, ask your administrator why.")
_LATER = N_("Try again later, or reach the recipient in another way.")

_CAUSES: Mapping[str, Cause] = {
    "queue.nodomain": Cause(N_("The domain %(domain)s does not exist."), _TYPO, "5.1.2"),
    "queue.nullmx": Cause(N_("The domain %(domain)s does not receive mail."), _TYPO, "5.1.10"),
    "queue.nohost": Cause(N_("The domain %(domain)s has no mail server."), _TYPO, "5.4.4"),
    "queue.loop": Cause(
        N_("Mail for %(domain)s leads back to this server, which does not serve that domain."), _OURS, "5.4.6"
    ),
    "queue.literal": Cause(N_("%(domain)s is not a network address that mail can be sent to."), _TYPO, "5.1.2"),
    "queue.unknown": Cause(N_("There is no such address at %(domain)s."), _TYPO, "5.1.1"),
    "queue.smtputf8": Cause(
        N_("The mail server of %(domain)s does not accept addresses or headers in other scripts than ASCII."),
        N_("Use an address of Latin letters for yourself and for the recipient."),
        "5.6.7",
    ),
    "queue.8bitmime": Cause(
        N_("The mail server of %(domain)s takes seven-bit text only, and the message is written in eight bits."),
        N_("Send it from a program that encodes its text as quoted-printable or base64."),
        "5.6.3",
    ),
    "queue.size": Cause(N_("The message is larger than the mail server of %(domain)s accepts."), _SMALLER, "5.3.4"),
    "queue.requiretls": Cause(
        N_("You asked for an encrypted way only, and the mail server of %(domain)s does not promise one."),
        _ASK,
        "5.7.30",
    ),
    "queue.envelope": Cause(N_("The address cannot be used."), _TYPO, "5.1.3"),
    "queue.bare": Cause(N_("The message holds broken line ends and cannot be sent safely."), _OURS, "5.6.0"),
    "queue.corrupt": Cause(N_("The message is damaged on our disk."), _OURS, "4.3.0"),
    "queue.local": Cause(N_("The mailbox cannot take the message at the moment."), _LATER, "4.2.0"),
    "queue.returned": Cause(
        N_("Your administrator took the message out of the queue before it was sent."), _ADMIN, "5.7.0"
    ),
    "queue.full": Cause(N_("The recipient's mailbox is full."), _LATER, "4.2.2"),
    "rules.rejected": Cause(
        N_("The recipient does not want the message."),
        N_("Read their words below, or reach them in another way."),
        "5.7.1",
    ),
    "dns": Cause(N_("The mail server of %(domain)s could not be looked up."), _WAIT, "4.4.3"),
    "dns.off": Cause(N_("This server has been told not to look up other domains."), _OURS, "4.4.3"),
    "queue.connect": Cause(N_("The mail server of %(domain)s could not be reached."), _WAIT, "4.4.1"),
    "queue.resting": Cause(N_("The mail server of %(domain)s could not be reached."), _WAIT, "4.4.1"),
    "queue.timeout": Cause(N_("The mail server of %(domain)s did not answer in time."), _WAIT, "4.4.2"),
    "queue.lost": Cause(N_("The mail server of %(domain)s broke the connection off."), _WAIT, "4.4.2"),
    "queue.closing": Cause(N_("The mail server of %(domain)s is not taking mail at the moment."), _WAIT, "4.3.2"),
    "queue.greeting": Cause(N_("The mail server of %(domain)s does not accept mail from this server."), _OURS, "4.3.2"),
    "queue.ehlo": Cause(N_("The mail server of %(domain)s does not accept mail from this server."), _OURS, "4.3.2"),
    "queue.malformed": Cause(N_("The mail server of %(domain)s gave an answer that makes no sense."), _WAIT, "4.5.0"),
    "queue.tls": Cause(N_("No safe connection to the mail server of %(domain)s could be made."), _WAIT, "4.7.5"),
    "queue": Cause(N_("The message could not be handed over to the mail server of %(domain)s."), _WAIT, "4.0.0"),
}
"""By the reason's code; a code that is not here counts as the part before its last dot."""

_REFUSED = Cause(N_("The mail server of %(domain)s refused the message."), _ASK, "5.0.0")
_REFUSALS: Mapping[str, Cause] = {
    "1.1": Cause(N_("There is no such address at %(domain)s."), _TYPO, "5.1.1"),
    "1.2": Cause(N_("The mail server does not know the domain %(domain)s."), _TYPO, "5.1.2"),
    "1.3": Cause(N_("The mail server of %(domain)s does not understand the address."), _TYPO, "5.1.3"),
    "1.6": Cause(N_("The recipient has moved and left no new address."), _ASK, "5.1.6"),
    "1.10": Cause(N_("The domain %(domain)s does not receive mail."), _TYPO, "5.1.10"),
    "1": Cause(N_("The mail server of %(domain)s does not accept the address."), _TYPO, "5.1.0"),
    "2.1": Cause(N_("The recipient's mailbox is switched off."), _ASK, "5.2.1"),
    "2.2": Cause(N_("The recipient's mailbox is full."), _LATER, "5.2.2"),
    "2.3": Cause(N_("The message is larger than the recipient may receive."), _SMALLER, "5.2.3"),
    "2": Cause(N_("The recipient's mailbox does not take the message."), _LATER, "5.2.0"),
    "3.4": Cause(N_("The message is larger than the mail server of %(domain)s accepts."), _SMALLER, "5.3.4"),
    "3": Cause(N_("The mail server of %(domain)s has a fault."), _LATER, "5.3.0"),
    "4.6": Cause(N_("The message goes round in circles on its way to %(domain)s."), _OURS, "5.4.6"),
    "4": Cause(N_("The mail server of %(domain)s cannot pass the message on."), _ASK, "5.4.0"),
    "6": Cause(N_("The mail server of %(domain)s cannot work with the form of the message."), _OURS, "5.6.0"),
    "7": Cause(
        N_("The mail server of %(domain)s refused the message by its own rules (as spam, for example)."),
        N_("Read its answer below; if it seems wrong, show this message to your administrator."),
        "5.7.0",
    ),
}
"""By subject and detail of the remote's enhanced status code, or by its subject alone."""
_BY_CODE: Mapping[str, str] = {"552": "3.4", "553": "1.3", "551": "1.6", "452": "2", "521": "1.10"}
"""What a bare code means where there is no enhanced one (RFC 5321 §4.2.3)."""

_REMOTE = frozenset({"queue.mail", "queue.rcpt", "queue.data", "queue.final"})


def cause_of(reason: Reason, reply: str | None) -> Cause:
    """What to tell the sender; `reply` is the remote's own text, where it decided."""
    if reason.code in _REMOTE and reply:
        return _refusal(reply)
    code = reason.code
    while code not in _CAUSES and "." in code:
        code = code.rpartition(".")[0]
    return _CAUSES.get(code, _CAUSES["queue"])


def status_of(reason: Reason, reply: str | None) -> str:
    """The enhanced status code for Status: (RFC 3464 §2.3.4): the remote's own, or that of the cause."""
    if reply and (found := enhanced_of(reply)):
        return found
    status = cause_of(reason, reply).status
    if reply and reason.code in _REMOTE:
        return reply[0] + status[1:]
    return status


def _refusal(reply: str) -> Cause:
    found = enhanced_of(reply)
    detail = found[2:] if found else _BY_CODE.get(reply[:3], "")
    return _REFUSALS.get(detail) or _REFUSALS.get(detail.partition(".")[0]) or _REFUSED
