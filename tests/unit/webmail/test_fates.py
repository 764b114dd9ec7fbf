"""What the story of a sending says when the queue has forgotten it, and in which words."""

from __future__ import annotations

from data.ids import AccountId, Millis, OrganisationId
from data.reason import Reason
from data.story import Hop
from webmail.fates import key_of, told, trail_of

ANN, BOB = AccountId(1), AccountId(2)


def hop(event: str, recipient: str = "", reason: Reason | None = None, account: AccountId = ANN) -> Hop:
    return Hop(1, OrganisationId(1), account, "t", Millis(1), event, "ann@example.test", recipient, reason)


def test_the_last_word_on_each_recipient_counts() -> None:
    found = told(
        [
            hop("submitted"),
            hop("deferred", "x@example.org", Reason("queue.connect", {"domain": "example.org"})),
            hop("delivered", "x@example.org", Reason("queue.sent", {"domain": "example.org"})),
            hop("delivered", "bob@example.test", account=BOB),
            hop("failed", "y@example.net", Reason("queue.rcpt", {"remote": "mx.example.net", "reply": "550 no"})),
            hop("expired", "z@example.net", Reason("dns.off")),
        ],
        ANN,
        trial=True,
    )
    assert [(one.address, one.tone, one.text % one.params) for one in found] == [
        ("x@example.org", "ok", "Accepted by the mail server of example.org"),
        ("bob@example.test", "ok", "Delivered"),
        ("y@example.net", "bad", "Not delivered"),
        ("z@example.net", "bad", "Not delivered"),
    ]
    assert found[2].why % found[2].why_params == "The mail server of example.net did not accept the recipient."
    assert found[2].answer == "mx.example.net 550 no" and not found[2].outside
    assert found[3].why == "Trial domain: mail to other domains waits." and found[3].outside


def test_the_story_of_somebody_else_is_not_told() -> None:
    hops = [hop("submitted", account=BOB), hop("delivered", "secret@example.org", Reason("queue.sent"), BOB)]
    assert told(hops, ANN, trial=False) == ()
    assert told(hops[1:], BOB, trial=False) == ()
    assert len(told(hops, BOB, trial=False)) == 1


def test_a_trail_is_one_accounts_and_one_keys() -> None:
    key = "a" * 32
    assert len({trail_of(ANN, key), trail_of(BOB, key), trail_of(ANN, "b" * 32)}) == 3
    assert key_of(f"{key}@example.test") == key
    assert key_of("a@example.test") == key_of(f"<{key}@example.test>") == key_of(key) == ""
