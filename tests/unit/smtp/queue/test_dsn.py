"""Notifications: a person understands them, a machine parses them, and they return no more than they may."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import cast

import pytest

from appliance.i18n import Catalogue
from data.clock import DAY
from data.ids import Millis
from data.reason import Reason
from smtp.queue import dsn, wording
from smtp.queue.dsn import Action, Fate, Report

CATALOGUE = Catalogue.load()
NOW = Millis(1_767_225_600_000)
HEADER = (
    b"From: Ann <ann@example.test>\r\nTo: bob@example.org\r\nSubject: Hello\r\nMessage-ID: <1@example.test>\r\n\r\n"
)
UNKNOWN = Fate(
    "bob@example.org",
    "example.org",
    Action.FAILED,
    Reason("queue.rcpt", {"code": 550}),
    "550 5.1.1 no such user",
    "mx.example.org",
)


def report(*fates: Fate, **changes: object) -> Report:
    values: dict[str, object] = {
        "hostname": "mail.example.test",
        "sender": "postmaster@example.test",
        "return_path": "ann@example.test",
        "fates": fates or (UNKNOWN,),
        "header": HEADER,
        "subject": "Hello",
        "arrived": Millis(NOW - 6 * DAY),
        "now": NOW,
        "message_id": "<1@example.test>",
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def parsed(made: Report) -> EmailMessage:
    octets = dsn.build(made, CATALOGUE)
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    assert max(len(line) for line in octets.split(b"\r\n")) <= 998
    message = cast(EmailMessage, email.message_from_bytes(octets, policy=email.policy.default))
    assert not message.defects
    return message


def words(made: Report) -> str:
    return str(cast(EmailMessage, next(parsed(made).iter_parts())).get_content()).replace("\r\n", "\n")


def groups(made: Report) -> list[dict[str, str]]:
    part = list(parsed(made).iter_parts())[1]
    assert part.get_content_type() == "message/delivery-status"
    return [{k: str(v).replace("\n", "") for k, v in group.items()} for group in part.get_payload()]  # type: ignore[union-attr]


def test_shape() -> None:
    """RFC 6522: three parts; RFC 3834: nobody answers it."""
    message = parsed(report())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["From"] == "Mail delivery <postmaster@example.test>"
    assert message["To"] == "ann@example.test"
    assert message["In-Reply-To"] == "<1@example.test>"
    assert message["Subject"] == "Not delivered: Hello"


def test_the_words_say_who_why_what_next_and_quote() -> None:
    """No code without its meaning."""
    text = words(report())
    assert "bob@example.org" in text
    assert "There is no such address at example.org." in text
    assert "Check the address for typing mistakes" in text
    assert "mx.example.org answered:\n        550 5.1.1 no such user" in text
    assert max(len(line) for line in text.splitlines()) <= 76


def test_the_machines_part() -> None:
    """RFC 3464 §2: per-message and per-recipient fields."""
    about, bob = groups(report(envid="QQ+2B1"))
    assert about["Reporting-MTA"] == "dns; mail.example.test"
    assert about["Original-Envelope-Id"] == "QQ+1"
    assert about["Arrival-Date"].startswith("Fri, 26 Dec 2025")
    assert bob["Final-Recipient"] == "rfc822; bob@example.org"
    assert (bob["Action"], bob["Status"]) == ("failed", "5.1.1")
    assert bob["Remote-MTA"] == "dns; mx.example.org"
    assert bob["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"


def test_original_recipient_is_decoded() -> None:
    """ORCPT is xtext on the wire, not in the report (RFC 3464 §2.3.1)."""
    fate = Fate(
        "b@example.org", "example.org", Action.FAILED, Reason("queue.nodomain"), orcpt="rfc822;Bob+2Bx@example.org"
    )
    assert groups(report(fate))[1]["Original-Recipient"] == "rfc822;Bob+x@example.org"


def test_expiry() -> None:
    """Given up after days: the status says so, and the last cause is told."""
    fate = Fate("b@example.org", "example.org", Action.FAILED, Reason("queue.timeout"), expired=True)
    text = words(report(fate))
    assert "did not answer in time" in text
    assert "tried for 6 days and has given up" in " ".join(text.split())
    assert groups(report(fate))[1]["Status"] == "4.4.7"


def test_delay() -> None:
    """A delay asks for nothing and says how long we go on."""
    fate = Fate("b@example.org", "example.org", Action.DELAYED, Reason("dns.timeout", {"name": "example.org"}))
    made = report(fate, retry_until=Millis(NOW + DAY))
    text = " ".join(words(made).split())
    assert "There is nothing you have to do" in text
    assert "until 2026-01-02 00:00 UTC" in text
    recipient = groups(made)[1]
    assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.4.3")
    assert recipient["Will-Retry-Until"].startswith("Fri, 02 Jan 2026")
    assert parsed(made)["Subject"] == "Not delivered yet: Hello"


@pytest.mark.parametrize(
    ("action", "title"), [(Action.DELIVERED, "Delivered: Hello"), (Action.RELAYED, "Handed on: Hello")]
)
def test_success(action: Action, title: str) -> None:
    """NOTIFY=SUCCESS: delivered here, or handed to a server without DSN (RFC 3461 §5.2.2)."""
    made = report(Fate("b@example.org", "example.org", action, Reason("queue.sent")))
    assert parsed(made)["Subject"] == title
    assert groups(made)[1]["Status"] == "2.0.0"
    assert "could not" not in words(made)


def test_several_recipients_are_grouped_by_what_happened() -> None:
    """Failures first under one opening; the title is the gravest."""
    late = Fate("c@example.net", "example.net", Action.DELAYED, Reason("queue.connect"))
    other = Fate("d@example.org", "example.org", Action.FAILED, Reason("queue.nullmx"))
    made = report(late, UNKNOWN, other)
    assert parsed(made)["Subject"] == "Not delivered: Hello"
    text = words(made)
    assert text.count("Your message could not be delivered to:") == 1
    assert text.count("has not been delivered yet to:") == 1
    assert len(groups(made)) == 4


def test_simplified_chinese() -> None:
    """Every text of the human part is in the reader's language; the machine's part stays as it is."""
    made = report(language="zh_CN", subject="你好")
    message = parsed(made)
    assert "你好" in message["Subject"]
    assert "Not delivered" not in message["Subject"]
    text = words(made)
    assert "could not" not in text
    assert "typing" not in text
    assert "550 5.1.1 no such user" in text
    assert any("\u4e00" <= char <= "\u9fff" for char in text)
    assert groups(made)[1]["Action"] == "failed"


def test_every_reason_and_refusal_is_worded_in_both_languages() -> None:
    """No cause falls back to English in the other catalogue, and each has a status of its own form."""
    for cause in [*wording._CAUSES.values(), *wording._REFUSALS.values(), wording._REFUSED]:
        for text in filter(None, (cause.text, cause.advice)):
            assert CATALOGUE.text("zh_CN", text, domain="example.org") != text % {"domain": "example.org"}, text
        assert cause.status[0] in "45"


def test_only_the_header_comes_back() -> None:
    """At most 50 KiB of it, whole lines, nothing of the body."""
    long = b"X-Long: " + b"y" * 60 + b"\r\n"
    part = list(parsed(report(header=HEADER[:-2] + long * 2000 + b"\r\n")).iter_parts())[2]
    returned = part.get_payload(decode=True)
    assert isinstance(returned, bytes)
    assert 49 * 1024 < len(returned) <= dsn.HEADER_MOST
    assert returned.startswith(b"From: Ann")
    assert set(returned.split(b"\r\n")[5:-1]) == {long[:-2]}


def test_eight_bit_and_endless_header_lines_are_encoded() -> None:
    """The report stays seven-bit and within 998 octets a line."""
    for header in (HEADER.replace(b"Hello", "Grüße".encode()), b"Subject: " + b"x" * 5000 + b"\r\n\r\n"):
        made = report(header=header)
        assert dsn.build(made, CATALOGUE).isascii()
        returned = list(parsed(made).iter_parts())[2].get_payload(decode=True)
        assert returned == header[:-2]


@pytest.mark.parametrize(
    ("whole", "kind"),
    [
        (HEADER + b"body\r\n", "message/rfc822"),
        (HEADER + "grün\r\n".encode(), "message/rfc822"),
        (HEADER + b"x\r\n" * 20_000, "text/rfc822-headers"),
        (HEADER + b"x" * 1000 + b"\r\n", "text/rfc822-headers"),
    ],
)
def test_ret_full(whole: bytes, kind: str) -> None:
    """The whole comes back when it is small and can travel."""
    message = parsed(report(whole=whole))
    assert list(message.iter_parts())[2].get_content_type() == kind


def test_hostile_words_stay_words() -> None:
    """A remote's reply cannot add fields, parts or control characters; a boundary cannot be guessed."""
    fate = Fate(
        "b@example.org",
        "example.org",
        Action.FAILED,
        Reason("queue.final"),
        "554 5.7.1 \x1b[2J --=_ Content-Type: text/html " + "é" * 300,
        "mx\r\nX-Evil: 1",
    )
    made = report(fate, subject="a\r\nBcc: x@example.org")
    message = parsed(made)
    assert message["Bcc"] is None
    assert len(list(message.iter_parts())) == 3
    assert all("X-Evil" not in group for group in groups(made))
    assert dsn.build(made, CATALOGUE) != dsn.build(made, CATALOGUE)


def test_utf8_addresses() -> None:
    """RFC 6533: a recipient in another script is written in ASCII for machines."""
    fate = Fate("用户@example.org", "example.org", Action.FAILED, Reason("queue.smtputf8"))
    assert groups(report(fate))[1]["Final-Recipient"] == "utf-8; \\x{7528}\\x{6237}@example.org"
    assert "用户@example.org" in words(report(fate))
