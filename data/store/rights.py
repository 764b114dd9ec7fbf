"""Who may do what with a mailbox: the one place that decides (RFC 4314 §2.1).

The owner of an account has every right in its mailboxes; others have what a `mailbox_right` row gives them. A mailbox
that a principal may not look up does not exist for them: they are told NotFound, whatever its name.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select

from data.disk import tables as t
from data.disk.db import Reader
from data.errors import NotFound, Refused
from data.ids import AccountId, MailboxId
from data.principal import Principal, Role

LOOKUP, READ, SEEN, WRITE, INSERT, POST = "l", "r", "s", "w", "i", "p"
CREATE, DELETE, MARK, EXPUNGE, ADMINISTER = "k", "x", "t", "e", "a"
EVERYTHING = frozenset("lrswipkxtea")

_GRANTED = select(t.mailbox_right.c.rights).where(
    t.mailbox_right.c.mailbox_id == bindparam("mailbox"), t.mailbox_right.c.account_id == bindparam("account")
)
_OWNER = select(t.mailbox.c.account_id).where(t.mailbox.c.id == bindparam("mailbox"))


def of_mailbox(reader: Reader, principal: Principal, mailbox: MailboxId, owner: AccountId) -> frozenset[str]:
    """The rights of a principal in a mailbox of `owner`."""
    if principal.account == owner or principal.role is Role.SYSTEM:
        return EVERYTHING
    granted = reader.value(_GRANTED, {"mailbox": mailbox, "account": principal.account})
    return frozenset(granted or "")


def require(reader: Reader, principal: Principal, mailbox: MailboxId, right: str) -> AccountId:
    """The owner of a mailbox, if the principal has `right` in it; raises NotFound or Refused."""
    owner = reader.value(_OWNER, {"mailbox": mailbox})
    if owner is None:
        raise NotFound(f"mailbox {mailbox} is not there")
    held = of_mailbox(reader, principal, mailbox, AccountId(owner))
    if right not in held:
        if LOOKUP not in held:
            raise NotFound(f"mailbox {mailbox} is not for account {principal.account}")
        raise Refused(f"account {principal.account} lacks {right!r} in mailbox {mailbox}")
    return AccountId(owner)


def require_account(principal: Principal, account: AccountId) -> None:
    """Only the owner (and the system) may change the tree of an account's mailboxes."""
    if principal.account != account and principal.role is not Role.SYSTEM:
        raise NotFound(f"account {account} is not for account {principal.account}")
