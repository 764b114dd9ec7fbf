"""The DNS records that a domain needs, as its owner sets them where the domain is registered.

Pure: the same facts give the same records. MX, A (RFC 1035), SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489), reports on
TLS (RFC 8460), and how mail programs find the servers (RFC 6186, RFC 8314). May not: look anything up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.i18n import N_

TTL: Final = 3600
_CHUNK: Final = 255
"""Octets of one character-string of a TXT record (RFC 1035 §3.3)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `name` is whole, without a final dot; `value` as most providers take it, or empty where only the owner
    knows it; `why` a marked text; `needed`: without it mail suffers; `kind` what it is for."""

    type: str
    name: str
    value: str
    why: str
    needed: bool = True
    priority: int | None = None
    kind: str = ""

    @property
    def line(self) -> str:
        """The record in a zone file (RFC 1035 §5); one that only the owner can complete is a comment."""
        if not self.value:
            return f"; {self.name}. {TTL} IN {self.type} (the public address of this server)"
        if self.type == "PTR":
            return f"; {TTL} IN PTR {self.value}. (at the reverse name of that address)"
        if self.type == "TXT":
            return f"{self.name}. {TTL} IN TXT {_strings(self.value)}"
        priority = "" if self.priority is None else f"{self.priority} "
        return f"{self.name}. {TTL} IN {self.type} {priority}{self.value}."


@dataclass(frozen=True, slots=True)
class Ports:
    """Where mail programs connect."""

    submissions: int
    imaps: int


def records(domain: str, host: str, keys: Sequence[tuple[str, str]], ports: Ports) -> tuple[Record, ...]:
    """What to set for `domain`, whose mail `host` serves; `keys` are names and texts of its DKIM records."""
    postmaster = f"postmaster@{domain}"
    sends = _service("_submissions", domain, host, ports.submissions, N_("Mail programs find the server they send by."))
    reads = _service("_imaps", domain, host, ports.imaps, N_("Mail programs find the server they read from."))
    return (
        Record("MX", domain, host, N_("Other servers bring mail for the domain here."), priority=10, kind="mx"),
        Record("A", host, "", N_("Where this server is: its public IPv4 address (AAAA for IPv6)."), kind="a"),
        Record(
            "PTR",
            "",
            host,
            N_(
                "The address's name backwards; whoever gives the server its address sets it. Many refuse mail without it."
            ),
            kind="ptr",
        ),
        Record("TXT", domain, "v=spf1 mx -all", N_("SPF: only this server sends mail of the domain."), kind="spf"),
        *(
            Record("TXT", name, text, N_("DKIM: the key that others check our signatures with."), kind="dkim")
            for name, text in keys
        ),
        Record(
            "TXT",
            f"_dmarc.{domain}",
            f"v=DMARC1; p=none; rua=mailto:{postmaster}",
            N_("DMARC: what others do with mail that only pretends to be yours. Begin with none, go on to quarantine."),
            kind="dmarc",
        ),
        Record(
            "TXT",
            f"_smtp._tls.{domain}",
            f"v=TLSRPTv1; rua=mailto:{postmaster}",
            N_("Others report here when they could not connect safely."),
            needed=False,
            kind="tlsrpt",
        ),
        sends,
        reads,
    )


def _service(name: str, domain: str, host: str, port: int, why: str) -> Record:
    return Record("SRV", f"{name}._tcp.{domain}", f"0 1 {port} {host}", why, needed=False, kind="srv")


def zone(domain: str, found: Sequence[Record]) -> str:
    """All of them as the lines of a zone file."""
    return "\n".join([f"; {domain}", *(record.line for record in found), ""])


def _strings(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{plain[at : at + _CHUNK]}"' for at in range(0, len(plain), _CHUNK))
