"""What rules send: messages that go on to another address, and answers; put into the spool with the delivery they belong to.

Promises: what was accepted and sent on is either kept or in the spool, in one transaction. A forward keeps the original
sender as its return-path and says whose rule sent it (`forwarded_by`); it carries our Delivered-To, by which it is known
when it comes round. An answer is sent with the null return-path, and asks for no report. Whoever was answered is remembered
in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.log import new_id
from data.disk.db import Tx
from data.ids import AccountId, Millis
from data.reason import Reason
from data.rules import marks
from data.rules.marks import ANSWERED, ANSWERS_A_DAY
from data.spool.envelope import NewItem, NewRecipient
from smtp.delivery.ruling import Answer
from smtp.delivery.trace import delivered_to

if TYPE_CHECKING:
    from smtp.delivery.deliver import Delivered, DeliveryParts, Letter, Redirected

NEVER = "NEVER"


def send_on_in(tx: Tx, parts: DeliveryParts, letter: Letter, done: Delivered) -> None:
    """Spool what the delivery of a letter brought forth."""
    for redirected in done.redirected:
        _forward_in(tx, parts, letter, redirected)
    for account, answer in done.answers:
        _answer_in(tx, parts, letter, account, answer)


def _forward_in(tx: Tx, parts: DeliveryParts, letter: Letter, redirected: Redirected) -> None:
    account = parts.directory.account_by_id(redirected.account)
    prepared = letter.prepared
    parts.spool.put_in(
        tx,
        NewItem(
            organisation=account.organisation,
            account=None,
            blob=parts.store.messages.put_in(tx, account.organisation, prepared),
            size=prepared.size,
            return_path=letter.return_path,
            recipients=tuple(NewRecipient(address) for address in redirected.addresses),
            trail=letter.trail,
            prefix=delivered_to(account.address) + letter.received,
            envid=letter.envid,
            ret=letter.ret,
            requiretls=letter.requiretls,
            smtputf8=letter.smtputf8,
            eightbit=prepared.eightbit,
            forwarded_by=account.id,
        ),
    )


def _answer_in(tx: Tx, parts: DeliveryParts, letter: Letter, ident: AccountId, answer: Answer) -> None:
    account = parts.directory.account_by_id(ident)
    if marks.holds(tx, ident, ANSWERED, answer.digest, tx.now) or marks.answers(tx, ident, tx.now) >= ANSWERS_A_DAY:
        return  # another message of the same sender was quicker
    parts.rule_marks.put_in(tx, ident, ANSWERED, answer.digest, Millis(tx.now + answer.seconds * 1000))
    trail = new_id()
    parts.spool.put_in(
        tx,
        NewItem(
            organisation=account.organisation,
            account=ident,
            blob=parts.store.messages.put_in(tx, account.organisation, answer.prepared),
            size=answer.prepared.size,
            return_path="",
            recipients=(NewRecipient(answer.to, notify=NEVER),),
            trail=trail,
            smtputf8=not (answer.to.isascii() and answer.prepared.header.isascii()),
            eightbit=answer.prepared.eightbit,
        ),
    )
    for of, reason in ((letter.trail, Reason("rules.answered", {"rule": answer.label, "trail": trail})), (trail, None)):
        parts.story.record_in(
            tx,
            organisation=account.organisation,
            account=ident,
            trail=of,
            event="answered",
            sender=account.address,
            recipient=answer.to,
            reason=reason,
        )
