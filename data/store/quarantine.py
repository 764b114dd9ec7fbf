"""Mail that is kept back: put there by a verdict, released or deleted by its owner or an administrator, named in a digest.

Promises: what was kept back is a row that refers to its blob until it is released (then it lies in INBOX, in the same
transaction) or deleted. A principal sees its own; administrators see all. May not: judge.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select, update

from data.clock import DAY
from data.disk import tables as t
from data.disk.blobs import Staged
from data.disk.db import Database, Reader, Tx
from data.errors import NotFound, Refused
from data.ids import AccountId, BlobId, Millis, OrganisationId
from data.mime.facts import facts
from data.mime.scanner import Scanner
from data.principal import ADMINISTRATORS, Principal, Role
from data.reason import Reason
from data.store.intake import Prepared
from data.store.mailboxes import Mailboxes
from data.store.messages import Messages
from data.store.quota import require_room
from data.story import Story

LIFE = 30 * DAY
"""How long mail is kept back before it is deleted."""
_PIECE = 65_536
_b = bindparam
_q = t.quarantine.c
_COLUMNS = (
    _q.id,
    _q.organisation_id,
    _q.account_id,
    _q.blob_id,
    _q.trail,
    _q.return_path,
    _q.prefix,
    _q.size,
    _q.subject,
    _q.from_text,
    _q.verdict,
    _q.at,
)
_PUT = (
    insert(t.quarantine)
    .values(
        organisation_id=_b("organisation"),
        account_id=_b("account"),
        blob_id=_b("blob"),
        trail=_b("trail"),
        return_path=_b("return_path"),
        prefix=_b("prefix"),
        size=_b("size"),
        subject=_b("subject"),
        from_text=_b("from_text"),
        verdict=_b("verdict"),
        at=_b("now"),
    )
    .returning(_q.id)
)
_ONE = select(*_COLUMNS).where(_q.id == _b("p_id"))
_LIST = select(*_COLUMNS).where(_q.id < _b("before")).order_by(_q.id.desc()).limit(_b("most"))
_OWN = _LIST.where(_q.account_id == _b("account"))
_UNTOLD = (
    select(*_COLUMNS).where(_q.account_id == _b("account"), _q.told_at.is_(None)).order_by(_q.id).limit(_b("most"))
)
_ACCOUNTS = select(_q.account_id, func.min(_q.at)).where(_q.told_at.is_(None)).group_by(_q.account_id)
_TOLD = update(t.quarantine).where(_q.id == _b("p_id")).values(told_at=_b("now"))
_DROP = delete(t.quarantine).where(_q.id == _b("p_id"))
_OLD = select(*_COLUMNS).where(_q.at < _b("before")).order_by(_q.id).limit(200)
_END = 2**62


@dataclass(frozen=True, slots=True)
class Kept:
    """One message that is kept back."""

    id: int
    organisation: OrganisationId
    account: AccountId
    blob: BlobId
    trail: str
    return_path: str
    prefix: bytes
    size: int
    subject: str
    sender: str
    verdict: str
    at: Millis


class Quarantine:
    """What is kept back, of every account."""

    def __init__(self, db: Database, messages: Messages, mailboxes: Mailboxes, story: Story) -> None:
        self._db = db
        self._messages = messages
        self._mailboxes = mailboxes
        self._story = story

    def put_in(
        self,
        tx: Tx,
        organisation: OrganisationId,
        account: AccountId,
        prepared: Prepared,
        *,
        trail: str,
        return_path: str,
        prefix: bytes,
        verdict: str,
    ) -> int:
        """Keep a message back instead of delivering it."""
        blob = self._messages.put_in(tx, organisation, prepared)
        self._messages.blobs.refer_in(tx, blob, 1)
        row = {
            "organisation": organisation,
            "account": account,
            "blob": blob,
            "trail": trail,
            "return_path": return_path,
            "prefix": prefix,
            "size": len(prefix) + prepared.size,
            "subject": prepared.facts.subject,
            "from_text": prepared.facts.from_,
            "verdict": verdict,
            "now": tx.now,
        }
        return int(tx.value(_PUT, row))

    def seen_by(self, principal: Principal, most: int = 200, before: int = _END) -> tuple[Kept, ...]:
        """What a principal may see, newest first, with an id below `before`."""
        with self._db.read() as reader:
            if _sees_all(principal):
                return tuple(Kept(*row) for row in reader.all(_LIST, {"before": before, "most": most}))
            row = {"before": before, "most": most, "account": principal.account}
            return tuple(Kept(*row) for row in reader.all(_OWN, row))

    def release_in(self, tx: Tx, principal: Principal, ident: int) -> Kept:
        """Into INBOX with it. Raises NotFound, OverQuota."""
        kept = self._require(tx, principal, ident)
        require_room(tx, kept.account, kept.size)
        prepared = self._reopened(tx, kept)
        tx.memo[prepared.staged] = kept.blob
        inbox = self._mailboxes.inbox_in(tx, kept.account)
        self._messages.append_in(tx, inbox, prepared, prefix=kept.prefix, verdict=kept.verdict)
        self._drop_in(tx, kept, "delivered", "quarantine.released")
        return kept

    def delete_in(self, tx: Tx, principal: Principal, ident: int) -> Kept:
        """Away with it. Raises NotFound."""
        kept = self._require(tx, principal, ident)
        self._drop_in(tx, kept, "discarded", "quarantine.deleted")
        return kept

    def sweep(self) -> int:
        """Delete what was kept back for too long. Returns how many."""

        def op(tx: Tx) -> int:
            old = [Kept(*row) for row in tx.all(_OLD, {"before": tx.now - LIFE})]
            for kept in old:
                self._drop_in(tx, kept, "discarded", "quarantine.expired")
            return len(old)

        return self._db.write(op)

    # --- digests ----------------------------------------------------------------------------------------------------

    def untold(self, reader: Reader) -> list[tuple[AccountId, Millis]]:
        """The accounts that have mail here which no digest named, and since when."""
        return [(AccountId(account), Millis(at)) for account, at in reader.all(_ACCOUNTS)]

    def untold_in(self, reader: Reader, account: AccountId, most: int = 100) -> tuple[Kept, ...]:
        """That mail, oldest first."""
        return tuple(Kept(*row) for row in reader.all(_UNTOLD, {"account": account, "most": most}))

    def told_in(self, tx: Tx, kept: tuple[Kept, ...]) -> None:
        """A digest names these."""
        tx.many(_TOLD, [{"p_id": one.id, "now": tx.now} for one in kept])

    # --- inside -----------------------------------------------------------------------------------------------------

    def _require(self, reader: Reader, principal: Principal, ident: int) -> Kept:
        row = reader.first(_ONE, {"p_id": ident})
        if row is None:
            raise NotFound(f"quarantine {ident}", public="There is no such message in quarantine")
        kept = Kept(*row)
        if kept.account != principal.account and not _sees_all(principal):
            raise Refused(f"quarantine {ident}", public="There is no such message in quarantine")
        return kept

    def _drop_in(self, tx: Tx, kept: Kept, event: str, code: str) -> None:
        tx.run(_DROP, {"p_id": kept.id})
        self._messages.blobs.refer_in(tx, kept.blob, -1)
        self._story.record_in(
            tx,
            organisation=kept.organisation,
            account=kept.account,
            trail=kept.trail,
            event=event,
            sender=kept.return_path,
            reason=Reason(code),
        )

    def _reopened(self, reader: Reader, kept: Kept) -> Prepared:
        """As delivery wants it: scanned again, its blob not made again."""
        content = self._messages.blobs.content_in(reader, kept.blob)
        scanner = Scanner()
        for piece in content.pieces(0, content.size, _PIECE):
            scanner.feed(piece)
        scanned = scanner.finish()
        stored = Staged("", 0, b"", content.size, 0, b"", None)
        return Prepared(facts(scanned, content.read), stored, scanned, content.read)


def _sees_all(principal: Principal) -> bool:
    return principal.role in ADMINISTRATORS or principal.role is Role.SYSTEM
