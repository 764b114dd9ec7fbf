"""What certificates say of each other: digests for TLSA records, and whether a chain leads from a host to one of its own.

Promises: pure; certificates are DER, a host's own first, as they were shown in a handshake. Whatever cannot be read is a
fault in words, never an exception. May not: know authorities (appliance.net.tls does), or ask anybody.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHAIN_MOST = 10
_UNREADABLE = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion)


def key_info(certificate: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo of a certificate; None when it cannot be read."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _UNREADABLE:
        return None


def fault(chain: Sequence[bytes], anchor: int, names: Sequence[str], now: datetime.datetime) -> str | None:
    """What is wrong with a chain that has to end at its certificate number `anchor`: somebody else's signature, a time that is
    not now, or a name that is none of `names`."""
    try:
        shown = [x509.load_der_x509_certificate(one) for one in chain[: min(anchor + 1, CHAIN_MOST)]]
        for one, issuer in pairwise(shown):
            _require_authority(issuer)
            one.verify_directly_issued_by(issuer)
    except _UNREADABLE:
        return "the certificates do not lead to the one that DNS names"
    if any(not one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in shown):
        return "a certificate is not valid now"
    if not any(_fits(pattern, name) for pattern in _names(shown[0]) for name in names):
        return f"the certificate is not for {names[0] if names else 'that host'}"
    return None


def _require_authority(certificate: x509.Certificate) -> None:
    """Raises ValueError unless it may sign others (RFC 5280 §4.2.1.9)."""
    try:
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return
    except x509.ExtensionNotFound:
        pass
    raise ValueError("not an authority")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [name.lower() for name in found.get_values_for_type(x509.DNSName)]


def _fits(pattern: str, name: str) -> bool:
    """RFC 6125 §6.4.3: a star stands for the whole first label."""
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:] != ""
    return name.lower() == pattern
