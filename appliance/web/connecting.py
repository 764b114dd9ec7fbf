"""What a phone or a mail program is told to reach this server: host, ports, kind of security. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.config import Config


@dataclass(frozen=True, slots=True)
class Way:
    """One way for a program to connect."""

    imap: int
    smtp: int
    security: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What somebody types into a mail program. `local` on a trial, whose certificate nobody else signed."""

    host: str
    ways: tuple[Way, ...]
    local: bool


def settings_of(config: Config) -> Settings:
    """As this server is configured; a trial is reached on this machine alone."""
    local = config.profile != "production"
    ways = (
        Way(config.port("imaps"), config.port("submissions"), "SSL/TLS"),
        Way(config.port("imap"), config.port("submission"), "STARTTLS"),
    )
    return Settings("localhost" if local else config.hostname, ways, local)
