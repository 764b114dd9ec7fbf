"""The bounds of a connection and of a message (RELIABILITY: receive path), and budgets per network.

Promises: every number the listeners hold a client to stands here, with its unit. May not: change while a connection
runs; a connection is given one Limits when it begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.config import Config
from appliance.ratelimit import TokenBuckets
from data.clock import Clock
from data.ids import AccountId

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets and seconds; 0 means no bound where it says so."""

    message: int = 50 * MIB
    header: int = 256 * 1024
    header_line: int = 100 * 1024
    command: int = 4096
    sasl_line: int = 12_288
    """RFC 4954 §4 asks for 12288 octets."""
    recipients: int = 100
    hops: int = 50
    small: int = 64 * 1024
    """Messages up to here stay in memory on their way; larger ones go to the store as they come."""
    drain: int = MIB
    """How much of a refused message is still read, so that its sender sees the answer."""
    rate: int = 500
    """Octets per second that message data must reach in the long run."""
    grace: float = 60.0
    """Seconds before the rate is looked at."""
    begin: float = 60.0
    """Seconds, in all, until the first MAIL (MX) or until the sign-in (submission)."""
    line: float = 60.0
    """Seconds a command line may take from its first octet."""
    idle: float = 300.0
    """Seconds between commands (RFC 5321 §4.5.3.2.7)."""
    linger: float = 2.0
    """Seconds a closing connection is read, so that the last answer arrives."""
    errors: int = 20
    """Refused commands in a connection; 0 is no bound."""
    talk: int = 500
    """Commands in a connection that are no mail, between two messages; 0 is no bound."""
    unknown: int = 10
    """Unknown recipients in a connection, and of a network in ten minutes; 0 is no bound."""
    sign_ins: int = 5
    """Failed sign-ins in a connection; 0 is no bound."""
    per_head: int = 30
    """Connections at once from one IPv4 address or IPv6 /64, on all our listeners; 0 is no bound."""
    connections: int = 1000
    """Connections at once of one listener; 0 is no bound."""
    disk_floor: int = 256 * MIB

    def unbounded(self) -> Limits:
        """For loopback in profile bench: what a message may be stays, how often one may ask does not."""
        return replace(self, errors=0, talk=0, unknown=0, sign_ins=0, per_head=0, connections=0, begin=self.idle)


def limits_of(config: Config) -> Limits:
    """The bounds as configured."""
    given = config.limits
    return Limits(
        message=given.message_size,
        begin=float(given.login_seconds),
        per_head=given.connections_per_ip,
        connections=given.connections,
        disk_floor=given.disk_floor,
    )


class Outflow:
    """How many recipients an account may write to: what protects the one address a small firm sends from."""

    def __init__(self, clock: Clock, *, per_day: int = 1000) -> None:
        """`per_day` recipients at most, all at once or spread; 0 is no bound."""
        self._buckets = TokenBuckets(clock, rate=per_day / 86_400, burst=per_day) if per_day else None

    def takes(self, account: AccountId, recipients: int) -> bool:
        """May the account send to so many more now?"""
        return self._buckets is None or self._buckets.take(account, recipients)
