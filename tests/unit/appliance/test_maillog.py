"""The mail log and the metrics: closed vocabularies, counted."""

from __future__ import annotations

import logging

import pytest

from appliance import log
from appliance.loop import LagProbe
from appliance.maillog import Event, MailLog, UnknownField
from appliance.metrics import Metrics


def test_every_event_is_a_verb_of_the_log() -> None:
    assert {event.value for event in Event} <= log.VERBS


def test_an_event_is_one_line_and_one_count(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    with caplog.at_level(logging.INFO, logger="mailstead.mail"):
        MailLog(log.get("mail"), metrics).event(
            Event.REJECTED, id="abc", peer="192.0.2.1", recipient="x@example.test\r\nfake", reason="rcpt.unknown"
        )
    (record,) = caplog.records
    line = log.Logfmt().format(record)
    assert line.endswith(
        r'room=mail verb=rejected id=abc peer=192.0.2.1 recipient="x@example.test\r\nfake" reason=rcpt.unknown'
    )
    assert b'mailstead_mail_events_total{event="rejected"} 1.0' in metrics.render()


def test_content_has_no_way_in() -> None:
    mail = MailLog(log.get("mail"), Metrics())
    with pytest.raises(UnknownField, match="subject"):
        mail.event(Event.RECEIVED, id="abc", subject="canary")
    with pytest.raises(ValueError, match="not a valid Event"):
        mail.event("opened", id="abc")  # type: ignore[arg-type]


def test_metrics_are_read_as_text() -> None:
    metrics = Metrics()
    metrics.connected("mx")
    metrics.connected("mx")
    metrics.disconnected("mx")
    metrics.refused("imap", "limit")
    metrics.login("imap", "ok", 0.04)
    metrics.dns("found")
    metrics.lag(0.3)
    metrics.lag(0.1)
    metrics.watch("queue_items", "Items in the queue", lambda: 7)
    text = metrics.render().decode()
    for line in (
        'mailstead_connections_open{listener="mx"} 1.0',
        'mailstead_connections_total{listener="mx"} 2.0',
        'mailstead_connections_refused_total{listener="imap",reason="limit"} 1.0',
        'mailstead_logins_total{outcome="ok",protocol="imap"} 1.0',
        'mailstead_dns_answers_total{kind="found"} 1.0',
        "mailstead_loop_lag_seconds 0.1",
        "mailstead_loop_lag_worst_seconds 0.3",
        "mailstead_queue_items 7.0",
        "process_open_fds",
    ):
        assert line in text, line


def test_two_registries_are_apart() -> None:
    first, second = Metrics(), Metrics()
    first.mail("sent")
    assert b'event="sent"' not in second.render()
    assert LagProbe(first.lag, log.get("loop")).worst == 0
