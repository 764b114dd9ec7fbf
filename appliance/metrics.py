"""Counters and gauges of the process, in a registry of its own (prometheus-client's door).

Promises: names and labels are a closed set, so that no stranger can make a new series; nothing here blocks. `render`
gives the text exposition format for whoever asks (the control socket now, /metrics later).

May not: hold an address, an account or anything else that says who.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_LAG_BUCKETS: Final = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_LOGIN_BUCKETS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 20.0)


class Metrics:
    """The numbers of one process; handed to whoever counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters()
        self._gauges()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def _counters(self) -> None:
        self._connections = self._counter("connections", "Connections accepted", "listener")
        self._refused = self._counter("connections_refused", "Connections refused", "listener", "reason")
        self._mail = self._counter("mail_events", "What happened to messages", "event")
        self._logins = self._counter("logins", "Sign-ins by outcome", "protocol", "outcome")
        self._login_seconds = Histogram(
            "mailstead_login_seconds", "Time a sign-in took", registry=self.registry, buckets=_LOGIN_BUCKETS
        )
        self._dns = self._counter("dns_answers", "DNS answers by kind", "kind")

    def _gauges(self) -> None:
        self._open = Gauge("mailstead_connections_open", "Connections open", ["listener"], registry=self.registry)
        self._lag = Gauge("mailstead_loop_lag_seconds", "How late the loop was last", registry=self.registry)
        self._worst = Gauge("mailstead_loop_lag_worst_seconds", "How late it was at worst", registry=self.registry)
        self._lags = Histogram(
            "mailstead_loop_lag", "How late the loop was", registry=self.registry, buckets=_LAG_BUCKETS
        )
        self._most_late = 0.0

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        return Counter(f"mailstead_{name}", doc, labels, registry=self.registry)

    def connected(self, listener: str) -> None:
        """A connection of a listener (mx, submission, submissions, imap, imaps, ...) was accepted."""
        self._connections.labels(listener).inc()
        self._open.labels(listener).inc()

    def disconnected(self, listener: str) -> None:
        """One that was accepted is gone."""
        self._open.labels(listener).dec()

    def refused(self, listener: str, reason: str) -> None:
        """A connection was turned away; `reason` is a word of ours (limit, tls, drain, ...)."""
        self._refused.labels(listener, reason).inc()

    def mail(self, event: str) -> None:
        """Something happened to a message; appliance.maillog calls this."""
        self._mail.labels(event).inc()

    def login(self, protocol: str, outcome: str, seconds: float) -> None:
        """A sign-in ended (ok, wrong, suspended, busy, ...) after `seconds`."""
        self._logins.labels(protocol, outcome).inc()
        self._login_seconds.observe(seconds)

    def dns(self, kind: str) -> None:
        """A DNS question was answered: found, nodata, nosuchname or temporary."""
        self._dns.labels(kind).inc()

    def lag(self, seconds: float) -> None:
        """The loop was so late; appliance.loop.LagProbe calls this."""
        self._lag.set(seconds)
        self._lags.observe(seconds)
        if seconds > self._most_late:
            self._most_late = seconds
            self._worst.set(seconds)

    def watch(self, name: str, doc: str, value: Callable[[], float]) -> None:
        """A gauge that asks `value()` when it is read (queue length, waiting jobs); `name` without our prefix."""
        Gauge(f"mailstead_{name}", doc, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """Everything in the text exposition format."""
        return generate_latest(self.registry)
