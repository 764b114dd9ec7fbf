"""Who is told of what: from the outcomes of an attempt to the one notification they cause, if any.

Promises: a message with a null return-path never causes one; NOTIFY decides (RFC 3461 §4.1); all recipients of one
attempt are in one notification. It is from postmaster, in the language of the sender's account.
May not: write rows; the caller puts the notification into the transaction of the outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.i18n import Catalogue
from data.directory.directory import Directory
from data.directory.settings import Scope, Settings
from data.disk.blobs import Content
from data.errors import NotFound, StoreError
from data.ids import Millis, RecipientId
from data.mime.headers import decode_words, find, split
from data.spool.envelope import Outcome, Verdict, Work, wants
from smtp.queue import backoff, dsn
from smtp.queue.signing import header_of

_SUBJECT_MOST = 2000


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification: its octets, and the failed recipients it reports."""

    octets: bytes
    bounced: tuple[RecipientId, ...]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes notifications. `open` gives the octets of a work's message; it blocks."""

    hostname: str
    directory: Directory
    settings: Settings
    catalogue: Catalogue
    open: Callable[[Work], Content]

    @staticmethod
    def concerns(work: Work, outcomes: Sequence[Outcome]) -> bool:
        """Whether these outcomes cause a notification."""
        return any(_action(work, outcome) is not None for outcome in outcomes)

    def notice(self, work: Work, outcomes: Sequence[Outcome], now: Millis) -> Notice:
        """The notification that outcomes of concern cause. Blocks."""
        told = [(outcome, action) for outcome in outcomes if (action := _action(work, outcome)) is not None]
        fates = tuple(_fate(outcome, action) for outcome, action in told)
        bounced = tuple(outcome.recipient.id for outcome, action in told if action is dsn.Action.FAILED)
        return Notice(dsn.build(self._report(work, fates, now), self.catalogue), bounced)

    def _report(self, work: Work, fates: tuple[dsn.Fate, ...], now: Millis) -> dsn.Report:
        item = work.item
        header, whole = self._original(work, fates)
        fields = split(header)
        message_id = (find(fields, b"message-id") or b"").decode("ascii", "replace").strip()
        born = Millis(max(item.created_at, item.not_before))
        return dsn.Report(
            hostname=self.hostname,
            sender=f"postmaster@{self._domain(item.return_path)}",
            return_path=item.return_path,
            fates=fates,
            header=header,
            subject=decode_words((find(fields, b"subject") or b"")[:_SUBJECT_MOST]),
            arrived=item.created_at,
            now=now,
            retry_until=backoff.gives_up_at(born),
            envid=item.envid,
            message_id=message_id if _is_id(message_id) else None,
            whole=whole,
            language=self._language(item.return_path),
        )

    def _original(self, work: Work, fates: tuple[dsn.Fate, ...]) -> tuple[bytes, bytes | None]:
        """The header as sent, and the whole for RET=FULL when something failed; nothing of it if it is damaged."""
        item = work.item
        try:
            content = self.open(work)
            header = item.prefix + header_of(content)[0]
            failed = any(fate.action is dsn.Action.FAILED for fate in fates)
            if item.ret == "FULL" and failed and item.total <= dsn.HEADER_MOST:
                return header, item.prefix + content.read(0, content.size)
            return header, None
        except StoreError:
            return item.prefix, None

    def _domain(self, return_path: str) -> str:
        """A domain of ours whose postmaster can be answered: the sender's, or our first."""
        domain = return_path.rpartition("@")[2].lower()
        if self.directory.is_local(domain):
            return domain
        ours = self.directory.domains()
        return ours[0].name if ours else self.hostname

    def _language(self, return_path: str) -> str:
        try:
            scope = Scope.account(self.directory.account(return_path).id)
        except NotFound:
            scope = Scope.organisation(self.directory.organisation().id)
        return self.settings.text(scope, "account.language")


def _action(work: Work, outcome: Outcome) -> dsn.Action | None:
    if not work.item.return_path:
        return None
    notify = outcome.recipient.notify
    if outcome.verdict in (Verdict.FAILED, Verdict.EXPIRED):
        return dsn.Action.FAILED if wants(notify, "FAILURE") else None
    if outcome.verdict is Verdict.DEFERRED:
        return dsn.Action.DELAYED if outcome.warned else None
    if not wants(notify, "SUCCESS"):
        return None
    if outcome.reason.code == "queue.sent.plain":
        # RFC 3461 §5.2.2: the next server will not report, so we say how far we saw it go
        return dsn.Action.RELAYED
    return dsn.Action.DELIVERED if outcome.reason.code == "queue.delivered" else None


def _fate(outcome: Outcome, action: dsn.Action) -> dsn.Fate:
    return dsn.Fate(
        address=outcome.recipient.address,
        domain=outcome.recipient.domain,
        action=action,
        reason=outcome.reason,
        reply=outcome.reply,
        remote=outcome.remote,
        orcpt=outcome.recipient.orcpt,
        expired=outcome.verdict is Verdict.EXPIRED,
    )


def _is_id(text: str) -> bool:
    return text.startswith("<") and text.endswith(">") and text.isascii() and text.isprintable() and len(text) < 500
