"""What a refusal means, from its code and from the server's own words."""

from __future__ import annotations

import pytest

from data.reason import Reason
from smtp.queue.wording import cause_of, status_of


@pytest.mark.parametrize(
    ("reply", "words", "status"),
    [
        ("550 5.1.1 nobody here", "There is no such address", "5.1.1"),
        ("550 No such user", "There is no such address", "5.1.1"),
        ("550 5.7.1 recipient address does not exist", "There is no such address", "5.7.1"),
        ("452 4.2.2 mailbox full", "The recipient's mailbox is full", "4.2.2"),
        ("552 user is over quota", "The recipient's mailbox is full", "5.2.2"),
        ("552 5.3.4 too big", "The message is larger", "5.3.4"),
        ("552 message size exceeds", "The message is larger", "5.3.4"),
        ("554 5.7.1 Service unavailable; host [192.0.2.1] blocked using zen.spamhaus.org", "on a blocklist", "5.7.1"),
        ("550 5.7.0 You are on our deny list", "on a blocklist", "5.7.0"),
        ("451 4.7.1 Greylisting in action, please come back later", "lets senders wait", "4.7.1"),
        ("450 Greylisted", "lets senders wait", "4.7.1"),
        ("550 5.7.26 unauthenticated mail", "SPF, DKIM or DMARC", "5.7.26"),
        ("550 5.7.1 rejected by the DMARC policy of example.test", "SPF, DKIM or DMARC", "5.7.1"),
        ("550 SPF check failed", "SPF, DKIM or DMARC", "5.7.26"),
        ("550 5.7.25 no PTR", "have a name in DNS", "5.7.25"),
        ("450 cannot find your reverse hostname", "have a name in DNS", "4.7.25"),
        ("421 4.7.28 slow down", "too much mail", "4.7.28"),
        ("451 4.7.0 Too many messages from your address", "too much mail", "4.7.0"),
        ("554 5.7.1 message looks like spam", "for spam", "5.7.1"),
        ("550 5.7.0 contains a virus", "attached to the message", "5.7.0"),
        ("550 5.7.10 encryption needed", "encrypted connections only", "5.7.10"),
        ("550 5.7.30 REQUIRETLS support required", "encrypted way only", "5.7.30"),
        ("550 5.6.7 no SMTPUTF8", "other scripts than ASCII", "5.6.7"),
        ("452 4.5.3 too many recipients", "more recipients", "4.5.3"),
        ("554 5.4.7 expired", "for too long", "5.4.7"),
        ("550 5.4.6 loop", "in circles", "5.4.6"),
        ("550 5.7.1 policy", "by its own rules", "5.7.1"),
        ("550 go away", "refused the message", "5.0.0"),
        # a clear code counts more than what the text might be taken for
        ("550 5.1.1 see https://example.org/spam", "There is no such address", "5.1.1"),
        ("550 5.2.1 blocklist of example.org", "switched off", "5.2.1"),
    ],
)
def test_refusals(reply: str, words: str, status: str) -> None:
    reason = Reason("queue.rcpt", {"code": int(reply[:3])})
    assert words in cause_of(reason, reply).text
    assert status_of(reason, reply) == status
    assert cause_of(Reason("queue.timeout"), reply).text != cause_of(reason, reply).text
