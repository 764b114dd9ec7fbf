"""What an attempt means for each recipient: delivered, another time, or failed for good. Pure.

The one place that turns an answer into an Outcome: by the answer alone where it is final, else by age and number of
attempts (smtp.queue.backoff).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.ids import Millis
from data.reason import Reason
from data.spool.envelope import Outcome, Recipient, Verdict, Work, wants
from smtp.queue import backoff
from smtp.queue.events import Problem, Result

SENT = "queue.sent"
_NOTHING: Mapping[str, str | int] = {}


@dataclass(frozen=True, slots=True)
class Judge:
    """The moment an attempt ended. `draw` in [0, 1) moves the next one; `warn`: senders are told of delays."""

    now: Millis
    draw: float
    warn: bool = True

    def results(
        self, work: Work, results: Sequence[Result], host: str, secured: Mapping[str, str | int] = _NOTHING
    ) -> list[Outcome]:
        """After a transaction with `host`; `secured` says how the way there was protected."""
        pairs = zip(work.recipients, results, strict=True)
        return [self._one(work, recipient, result, host, secured) for recipient, result in pairs]

    def all(self, work: Work, problem: Problem, host: str | None = None) -> list[Outcome]:
        """When there was no transaction at all."""
        return [self.problem(work, recipient, problem, host) for recipient in work.recipients]

    def _one(
        self, work: Work, recipient: Recipient, result: Result, host: str, secured: Mapping[str, str | int]
    ) -> Outcome:
        if result.problem is not None:
            return self.problem(work, recipient, result.problem, host)
        reason = Reason(SENT if result.dsn else f"{SENT}.plain", dict(secured))
        return Outcome(recipient, Verdict.DELIVERED, reason, result.reply.text if result.reply else None, host)

    def problem(self, work: Work, recipient: Recipient, problem: Problem, host: str | None) -> Outcome:
        """One recipient who was not reached."""
        reply = problem.reply.text if problem.reply else None
        if problem.permanent:
            return Outcome(recipient, Verdict.FAILED, problem.reason, reply, host)
        item = work.item
        born = Millis(max(item.created_at, item.not_before))
        attempts = recipient.attempts + 1
        if backoff.gives_up(born, self.now, attempts):
            return Outcome(recipient, Verdict.EXPIRED, problem.reason, reply, host)
        # names are asked for again soon: the fault is ours or our provider's, and everybody waits for it
        cap = backoff.NAMES_AT_MOST if problem.reason.code.startswith("dns.") else None
        due = backoff.next_at(self.now, attempts, self.draw, at_most=cap)
        warned = (
            self.warn
            and bool(item.return_path)
            and wants(recipient.notify, "DELAY")
            and backoff.warns(born, self.now, attempts, recipient.warned_at)
        )
        return Outcome(recipient, Verdict.DEFERRED, problem.reason, reply, host, due, warned)
