"""A certificate and its key: read and proved to belong together, or made by ourselves.

Promises: `read_pair` reads each file once and says in one line what is wrong with it; an encrypted key is refused, for
nobody is there to type its passphrase. What we make is for EC P-256 and names the host, localhost, 127.0.0.1 and ::1;
files are 0600 and whole or not there. May not: serve; appliance.net.tls does.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_OURS: Final = "Mailstead (self-signed)"
_DAYS: Final = 820
"""Clients refuse server certificates that are valid for longer than 825 days."""


class TlsError(RuntimeError):
    """The certificate cannot be used; the text is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain and its private key, as read in one go."""

    certificates: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes
    certificate_pem: bytes
    key_pem: bytes

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own certificate."""
        return self.certificates[0]

    @property
    def expires(self) -> datetime.datetime:
        """End of validity, UTC."""
        return self.leaf.not_valid_after_utc

    @property
    def self_made(self) -> bool:
        """Whether this is our own self-signed one."""
        names = self.leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return self.leaf.issuer == self.leaf.subject and [name.value for name in names] == [_OURS]

    @property
    def fingerprint(self) -> str:
        """Which certificate it is, for the log: the beginning of its SHA-256."""
        return self.leaf.fingerprint(hashes.SHA256()).hex()[:16]

    @property
    def der(self) -> bytes:
        """The server's own certificate as clients see it."""
        return self.leaf.public_bytes(serialization.Encoding.DER)

    def names(self) -> frozenset[str]:
        """The DNS names the certificate is for."""
        try:
            san = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return frozenset()
        return frozenset(name.lower() for name in san.value.get_values_for_type(x509.DNSName))


# --- reading ------------------------------------------------------------------------------------------------------------


def read_pair(certificate: Path, key: Path) -> Pair:
    """Read and check a certificate (leaf first, then its chain) and its key. Raises TlsError with one line."""
    certificate_pem, key_pem = read(certificate), read(key)
    try:
        chain = tuple(x509.load_pem_x509_certificates(certificate_pem))
    except ValueError:
        raise TlsError(f"{certificate} holds no PEM certificate")
    private = parse_key(key_pem, key)
    if _public(private.public_key()) != _public(chain[0].public_key()):
        raise TlsError(f"{key} is not the key of the first certificate in {certificate}")
    return Pair(chain, private, certificate_pem, key_pem)


def parse_key(pem: bytes, path: Path) -> PrivateKeyTypes:
    """The private key in `pem`, which was read from `path`. Raises TlsError."""
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise TlsError(f"{path} is encrypted; the key must be readable without a passphrase")
    except ValueError:
        raise TlsError(f"{path} holds no PEM private key")


def read(path: Path) -> bytes:
    """The file. Raises TlsError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {error.strerror}")


def _public(key: Any) -> bytes:
    der: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


# --- making -------------------------------------------------------------------------------------------------------------


def new_key() -> bytes:
    """A new EC P-256 private key, PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def self_signed(hostname: str, key: PrivateKeyTypes) -> bytes:
    """A certificate for `hostname`, localhost, 127.0.0.1 and ::1 by `key` (EC or RSA), PEM. Raises TlsError."""
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise TlsError("a certificate of our own is made for an EC or RSA key only")
    now = datetime.datetime.now(datetime.UTC)
    # The common name has room for 64 characters; what counts is the alternative name.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _OURS),
            x509.NameAttribute(NameOID.COMMON_NAME, hostname if len(hostname) <= 64 else "mail"),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )
    for extension, critical in _extensions(hostname, key.public_key()):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _extensions(
    hostname: str, public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> list[tuple[x509.ExtensionType, bool]]:
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dict.fromkeys((hostname, "localhost"))]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1")]
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return [
        (x509.SubjectAlternativeName(names), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.KeyUsage(digital_signature=True, **usage), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]


def write_private(path: Path, data: bytes) -> None:
    """A file of mode 0600, whole or not at all, on disk when this returns."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
