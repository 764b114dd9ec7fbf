"""What an answer means for a recipient, by answer, age and number of attempts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data.clock import DAY, HOUR, MINUTE
from data.ids import BlobId, ItemId, Millis, OrganisationId, RecipientId
from data.reason import Reason
from data.spool.envelope import Item, Kind, Recipient, Verdict, Work
from smtp.queue.events import Problem, Result
from smtp.queue.judge import Judge
from smtp.queue.replies import Reply

NOW = Millis(1_767_225_600_000)
OK = Result(None, Reply(250, ("2.0.0 ok",)), dsn=True)
LATER = Problem(Reason("queue.rcpt", {"code": 450}), False, Reply(450, ("4.2.0 later",)))
NEVER = Problem(Reason("queue.rcpt", {"code": 550}), True, Reply(550, ("5.1.1 no",)))
NO_DNS = Problem(Reason("dns.timeout"), permanent=False)


def work(age: int = 0, attempts: int = 0, **changes: object) -> Work:
    recipient = Recipient(RecipientId(1), "b@example.org", "example.org", None, None, attempts, None)
    item = Item(
        id=ItemId(1),
        organisation=OrganisationId(1),
        account=None,
        blob=BlobId(1),
        trail="t",
        kind=Kind.MESSAGE,
        return_path="ann@example.test",
        prefix=b"",
        prefix_done=True,
        size=1,
        envid=None,
        ret=None,
        requiretls=False,
        smtputf8=False,
        eightbit=False,
        not_before=Millis(NOW - age),
        created_at=Millis(NOW - age),
    )
    rcpt = {name: value for name, value in changes.items() if name in ("notify", "warned_at")}
    rest = {name: value for name, value in changes.items() if name not in rcpt}
    return Work(replace(item, **rest), (replace(recipient, **rcpt),), "l")  # type: ignore[arg-type]


def judge(warn: bool = True) -> Judge:
    return Judge(NOW, 0.5, warn)


def test_delivered() -> None:
    """With the host's words; a hop that reports itself is told from one that does not."""
    (one,) = judge().results(work(), [OK], "mx")
    assert (one.verdict, one.reply, one.remote, one.reason.code) == (
        Verdict.DELIVERED,
        "250 2.0.0 ok",
        "mx",
        "queue.sent",
    )
    (plain,) = judge().results(work(), [replace(OK, dsn=False)], "mx")
    assert plain.reason.code == "queue.sent.plain"


def test_refused_for_good() -> None:
    """Whatever the age."""
    (one,) = judge().results(work(), [Result(NEVER, NEVER.reply)], "mx")
    assert (one.verdict, one.reply) == (Verdict.FAILED, "550 5.1.1 no")


@pytest.mark.parametrize(("attempts", "minutes"), [(0, 1), (1, 5), (4, 60), (5, 120)])
def test_deferred(attempts: int, minutes: int) -> None:
    """By the schedule, counting this attempt."""
    (one,) = judge().all(work(attempts=attempts), LATER, "mx")
    assert (one.verdict, one.next_at) == (Verdict.DEFERRED, NOW + minutes * MINUTE)


def test_names_are_asked_for_again_soon() -> None:
    """At most 20 minutes later, however often."""
    (one,) = judge().all(work(attempts=30), NO_DNS)
    assert one.next_at == NOW + 20 * MINUTE


@pytest.mark.parametrize(
    ("age", "attempts", "verdict"),
    [
        (6 * DAY, 11, Verdict.EXPIRED),
        (6 * DAY, 10, Verdict.DEFERRED),
        (5 * DAY - 1, 90, Verdict.DEFERRED),
        (5 * DAY, 90, Verdict.EXPIRED),
    ],
)
def test_given_up(age: int, attempts: int, verdict: Verdict) -> None:
    """Five days and twelve attempts, this one included."""
    assert judge().all(work(age, attempts), LATER)[0].verdict is verdict
    assert judge().all(work(age, attempts), NO_DNS)[0].verdict is verdict


def test_age_counts_from_the_hour_it_was_due() -> None:
    """A message that was scheduled a week ahead is not late when it leaves."""
    late = work(7 * DAY, 20, not_before=Millis(NOW - MINUTE))
    assert judge().all(late, LATER)[0].verdict is Verdict.DEFERRED


@pytest.mark.parametrize(
    ("changes", "warn", "warned"),
    [
        ({}, True, True),
        ({"warned_at": Millis(NOW - HOUR)}, True, False),
        ({"notify": "FAILURE"}, True, False),
        ({"notify": "DELAY"}, True, True),
        ({"notify": "NEVER"}, True, False),
        ({"return_path": ""}, True, False),
        ({}, False, False),
    ],
)
def test_delay_notices(changes: dict[str, object], warn: bool, warned: bool) -> None:
    """Once, after four hours, where they are wanted, never for the null return-path."""
    assert judge(warn).all(work(5 * HOUR, 8, **changes), LATER)[0].warned is warned
    assert not judge(warn).all(work(3 * HOUR, 8, **changes), LATER)[0].warned
