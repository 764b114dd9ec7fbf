"""Why mail waits or was not delivered, in words both faces use. Codes are data.reason's.

Promises: a table of marked texts; a code that it does not know is shown as it is, never hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from appliance.i18n import N_
from data.reason import Reason

_CAUSES: Final[Mapping[str, str]] = {
    "queue.held": N_("An administrator holds it."),
    "queue.cancelled": N_("Its sender took it back."),
    "queue.dropped": N_("An administrator dropped it."),
    "queue.returned": N_("An administrator took it out, and its sender was told."),
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
    "auth.results": N_("SPF: %(spf)s, DKIM: %(dkim)s, DMARC: %(dmarc)s."),
    "dmarc.rejected": N_("%(domain)s wants mail refused that it does not vouch for (DMARC)."),
    "dmarc.junk": N_("%(domain)s does not vouch for it (DMARC), so it lies in Junk."),
    "spam.accept": N_("Nothing much speaks against it (%(score)s points)."),
    "spam.junk": N_("It looks like junk (%(score)s points: %(why)s)."),
    "spam.quarantine": N_("It may do harm (%(score)s points: %(why)s)."),
    "spam.reject": N_("It is harmful or junk (%(score)s points: %(why)s)."),
    "spam.put-off": N_("It looks unusual (%(score)s points: %(why)s); a mail server sends it again."),
    "spam.held": N_(
        "It would look harmful to others (%(score)s points: %(why)s), so somebody has to look at it first."
    ),
    "quarantine.released": N_("It had been kept back, and was released."),
    "quarantine.deleted": N_("It had been kept back, and was deleted."),
    "quarantine.expired": N_("It had been kept back for 30 days, and was deleted."),
    "queue": N_("The message could not be handed over to the mail server of %(domain)s."),
}
"""By code; one that is not here counts as the part before its last dot."""


def cause_of(reason: Reason, domain: str) -> tuple[str, Mapping[str, object]]:
    """Why, as a marked text with its parameters; `domain` where the reason names none."""
    code = reason.code
    while code not in _CAUSES and "." in code:
        code = code.rpartition(".")[0]
    if code not in _CAUSES:
        return "%(code)s", {"code": reason.code}
    rule = str(reason.params.get("rule") or reason.params.get("line", ""))
    return _CAUSES[code], {"domain": domain, **reason.params, "code": reason.code, "rule": rule}
