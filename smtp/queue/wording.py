"""Why mail was not delivered, in words for its sender: what happened, and what to do about it.

Every reason of the queue (data.reason) has a Cause here, and so has every kind of refusal a remote server can name by
an enhanced status code (RFC 3463, RFC 7505, RFC 8689). Texts are marked for translation and put into the reader's
language where they are shown. They speak to the person who wrote the message, not to a postmaster.
"""

from __future__ import annotations

import re
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
    "queue.tls.certificate": Cause(
        N_("The mail server of %(domain)s did not prove that it is the right one, so it was not given the message."),
        N_("Please tell the recipient's administrator: the certificate of their mail server is not in order."),
        "4.7.5",
    ),
    "queue.tls.missing": Cause(
        N_("The domain %(domain)s asks for encryption, and its mail server does not offer any."),
        N_("Please tell the recipient's administrator: their mail server does not do what their domain promises."),
        "4.7.4",
    ),
    "queue.tls.mx": Cause(
        N_("The mail server in DNS is not one that the domain %(domain)s names in its own policy."),
        N_("Please tell the recipient's administrator: their mail server does not do what their domain promises."),
        "4.7.5",
    ),
    "queue.tls.tlsa": Cause(N_("What proves the mail server of %(domain)s could not be looked up."), _WAIT, "4.7.5"),
    "queue.auth": Cause(N_("This server could not sign in at the host that passes its mail on."), _OURS, "4.7.8"),
    "queue": Cause(N_("The message could not be handed over to the mail server of %(domain)s."), _WAIT, "4.0.0"),
}
"""By the reason's code; a code that is not here counts as the part before its last dot."""

_FEWER = N_("Send it to fewer people at once.")
_UNPROVEN = Cause(
    N_("The mail server of %(domain)s could not confirm that the message comes from your domain (SPF, DKIM or DMARC)."),
    N_("Please show this message to your administrator: the DNS records of your domain need a look."),
    "5.7.26",
)
_NO_NAME = Cause(
    N_("The mail server of %(domain)s expects the address of this server to have a name in DNS, and found none."),
    _OURS,
    "5.7.25",
)
_TOO_MUCH = Cause(N_("The mail server of %(domain)s has had too much mail from here for now."), _LATER, "5.7.28")
_LISTED = Cause(
    N_("The mail server of %(domain)s refuses mail from this server because its address is on a blocklist."),
    N_("Please show this message to your administrator: they can ask the keeper of the list to take the address off."),
    "5.7.1",
)
_GREYLISTED = Cause(
    N_("The mail server of %(domain)s lets senders wait whom it does not know yet; that is usual."), _LATER, "4.7.1"
)
_SPAM = Cause(
    N_("The mail server of %(domain)s took the message for spam."),
    N_("Write it in other words and with fewer links, or reach the recipient in another way."),
    "5.7.1",
)
_INFECTED = Cause(
    N_("The mail server of %(domain)s does not take something that is attached to the message."),
    N_("Send a link to the file in its place, and look at whether the file is safe."),
    "5.7.1",
)
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
    "4.7": Cause(N_("The mail server of %(domain)s kept the message for too long and gave up."), _LATER, "5.4.7"),
    "5.3": Cause(N_("The message has more recipients than the mail server of %(domain)s takes."), _FEWER, "5.5.3"),
    "6.7": Cause(
        N_("The mail server of %(domain)s does not accept addresses or headers in other scripts than ASCII."),
        N_("Use an address of Latin letters for yourself and for the recipient."),
        "5.6.7",
    ),
    "4": Cause(N_("The mail server of %(domain)s cannot pass the message on."), _ASK, "5.4.0"),
    "6": Cause(N_("The mail server of %(domain)s cannot work with the form of the message."), _OURS, "5.6.0"),
    "7.10": Cause(N_("The mail server of %(domain)s takes mail over encrypted connections only."), _OURS, "5.7.10"),
    "7.20": _UNPROVEN,
    "7.21": _UNPROVEN,
    "7.22": _UNPROVEN,
    "7.23": _UNPROVEN,
    "7.24": _UNPROVEN,
    "7.25": _NO_NAME,
    "7.26": _UNPROVEN,
    "7.27": Cause(
        N_("The mail server of %(domain)s refused the message because your own domain receives no mail."),
        _OURS,
        "5.7.27",
    ),
    "7.28": _TOO_MUCH,
    "7.30": Cause(
        N_("You asked for an encrypted way only, and the mail server of %(domain)s does not promise one."),
        _ASK,
        "5.7.30",
    ),
    "7": Cause(
        N_("The mail server of %(domain)s refused the message by its own rules (as spam, for example)."),
        N_("Read its answer below; if it seems wrong, show this message to your administrator."),
        "5.7.0",
    ),
}
"""By subject and detail of the remote's enhanced status code, or by its subject alone."""
_HINTS: tuple[tuple[re.Pattern[str], Cause], ...] = tuple(
    (re.compile(pattern, re.I), cause)
    for pattern, cause in (
        (r"gr[ea]y.?list", _GREYLISTED),
        (r"block ?list|black ?list|deny ?list|dnsbl|\brbl\b|spamhaus|spamcop|barracuda(central|networks)|\blisted (at|by|in|on)\b",
         _LISTED),
        (r"\bdmarc\b|\bspf\b|\bdkim\b|unauthenticated|sender policy framework", _UNPROVEN),
        (r"reverse dns|\brdns\b|\bptr\b|reverse hostname", _NO_NAME),
        (r"rate.?limit|too many (messages|mails|connections|emails)|throttl|temporarily rate", _TOO_MUCH),
        (r"virus|malware|infected|executable|attachment (type|not)", _INFECTED),
        (r"\bspam\b|\bjunk\b|unsolicited|\bphish", _SPAM),
        (r"over ?quota|quota exceeded|exceeded .*quota|mailbox (is )?full", _REFUSALS["2.2"]),
        (r"(no such|unknown|invalid|nonexistent|unrouteable) (user|recipient|mailbox|address|account|local)"
         r"|(user|recipient|mailbox|address|account) (is )?(unknown|not found|does ?n.t exist|does not exist|unavailable)",
         _REFUSALS["1.1"]),
    )
)  # fmt: skip
"""What a server's own words say where its code says little; the first that fits."""
_VAGUE = frozenset({"", "0.0", "1.0", "7.0", "7.1", "5.0", "6.0"})
"""Enhanced codes that leave open what happened."""
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
    detail = found[2:] if found else ""
    if detail in _VAGUE:
        hint = next((cause for pattern, cause in _HINTS if pattern.search(reply)), None)
        if hint is not None:
            return hint
    detail = detail or _BY_CODE.get(reply[:3], "")
    return _REFUSALS.get(detail) or _REFUSALS.get(detail.partition(".")[0]) or _REFUSED
