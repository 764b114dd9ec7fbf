"""TLS: one loader of the certificate for both network stacks, replaced while the server runs.

Promises: until a real certificate is given, a self-signed one (EC P-256; host name, localhost, 127.0.0.1, ::1) is made
and renewed. `server_context` serves asyncio and `twisted_factory` serves Twisted from the same bytes, read once; both
stay valid for the life of the process, and `reload` changes what new connections are shown. A new pair that is broken
(unreadable, not a pair, an encrypted key) is logged and the old one stays. TLS 1.2 and 1.3 only, forward secret
suites, the server's preference, no compression, no renegotiation (RFC 8996, RFC 9325).

May not: decide who must use TLS. Session tickets are on; ALPN names the protocol (RFC 7301) where one is registered.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from appliance.config import Config
from appliance.log import Log
from appliance.net.keypair import Pair, TlsError, new_key, parse_key, read, read_pair, self_signed, write_private

__all__ = ["Certificates", "TlsError", "TlsProtocol", "opportunistic_context", "verifying_context"]

TlsProtocol = Literal["smtp", "imap", "pop3", "managesieve", "http"]

_ALPN: Final[dict[str, list[str]]] = {
    "smtp": [],  # no protocol id is registered for SMTP
    "imap": ["imap"],
    "pop3": ["pop3"],
    "managesieve": ["managesieve"],
    "http": ["http/1.1"],
}
_CIPHERS_12: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
_RENEW_DAYS: Final = 30
WATCH_SECONDS: Final = 60.0


class Certificates:
    """The server's certificate for both stacks. Blocks on files: construct and `reload` off the loop, or at start."""

    def __init__(
        self, directory: Path, hostname: str, log: Log, *, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        """`directory` holds cert.pem and key.pem unless other paths are given. Raises TlsError."""
        self._log = log
        self._hostname = hostname
        self._own = certificate is None and key is None
        self._certificate_path = certificate or directory / "cert.pem"
        self._key_path = key or directory / "key.pem"
        if self._own:
            self._ensure()
        self._stamp = self._look()
        self.pair = read_pair(self._certificate_path, self._key_path)
        self._outer: dict[str, ssl.SSLContext] = {}
        self._inner: dict[str, ssl.SSLContext] = {}
        self._open_ssl: dict[str, SSL.Context] = {}
        self._note("certificate.loaded")

    @classmethod
    def configured(cls, config: Config, state: Path, log: Log) -> Certificates:
        """As the configuration says: DIR/tls/cert.pem and key.pem, or the files it names."""
        certificate, key = config.certificate_paths(state)
        given = bool(config.tls.certificate or config.tls.key)
        paths = {"certificate": certificate, "key": key} if given else {}
        return cls(state / "tls", config.hostname, log, **paths)

    # --- what the faces take ------------------------------------------------------------------------------------------

    def server_context(self, protocol: TlsProtocol) -> ssl.SSLContext:
        """The context for asyncio's servers and STARTTLS; always the same object, showing the current certificate."""
        outer = self._outer.get(protocol)
        if outer is None:
            outer = _server_context(self.pair, protocol)
            # Called for every handshake, also without SNI: the place where per-host certificates would be chosen.
            outer.sni_callback = lambda conn, name, context: self._choose(conn, protocol)
            self._outer[protocol] = outer
            self._inner[protocol] = outer
        return outer

    def _choose(self, connection: Any, protocol: str) -> None:
        inner = self._inner[protocol]
        if connection.context is not inner:
            connection.context = inner

    def twisted_factory(self, protocol: TlsProtocol) -> TwistedContexts:
        """What Twisted's startTLS and TLS endpoints take; asks for the current certificate at each connection."""
        self._open_ssl.setdefault(protocol, _open_ssl_context(self.pair, protocol))
        return TwistedContexts(lambda: self._open_ssl[protocol])

    # --- reload --------------------------------------------------------------------------------------------------------

    def reload(self, *, force: bool = False) -> bool:
        """Look at the files; when they changed (or `force`), show the new pair to new connections.

        Returns whether a new pair is in use. A broken one is logged, and looked at again when the files change.
        """
        if self._own and self._renewal_due():
            self._make()
        stamp = self._look()
        if stamp == self._stamp and not force:
            return False
        self._stamp = stamp
        try:
            pair = read_pair(self._certificate_path, self._key_path)
            inner = {name: _server_context(pair, name) for name in self._outer}
            open_ssl = {name: _open_ssl_context(pair, name) for name in self._open_ssl}
        except TlsError as error:
            self._log.error("certificate.broken", why=str(error), kept=self.pair.fingerprint)
            return False
        changed = pair.leaf != self.pair.leaf
        self.pair = pair
        self._inner.update(inner)
        self._open_ssl.update(open_ssl)
        self._note("certificate.loaded")
        return changed

    async def watch(self, off_loop: Callable[[Callable[[], bool]], Awaitable[bool]]) -> None:
        """Look at the files every minute, for ever; `off_loop` is Workers.blocking."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await off_loop(self.reload)

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What tells one state of the two files from another; a link that points elsewhere changes it too."""
        stamps = []
        for path in (self._certificate_path, self._key_path):
            try:
                facts = path.stat()
            except OSError:
                stamps.append((0, 0, 0))
            else:
                stamps.append((facts.st_mtime_ns, facts.st_size, facts.st_ino))
        return tuple(stamps)

    # --- our own certificate -------------------------------------------------------------------------------------------

    def _ensure(self) -> None:
        if not self._certificate_path.exists():
            self._make()
        elif not self._key_path.exists():
            raise TlsError(f"{self._key_path} is missing beside its certificate; give both files or remove both")
        elif self._renewal_due():
            self._make()

    def _renewal_due(self) -> bool:
        """Only our own certificate is renewed: when it ends soon or the host got another name."""
        try:
            pair = read_pair(self._certificate_path, self._key_path)
        except TlsError:
            return False
        left = pair.expires - datetime.datetime.now(datetime.UTC)
        return pair.self_made and (left.days < _RENEW_DAYS or self._hostname not in pair.names())

    def _make(self) -> None:
        """A certificate for the key that is there, or for a new one: whatever is interrupted, the two fit together."""
        self._key_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._key_path.exists():
            write_private(self._key_path, new_key())
        write_private(
            self._certificate_path, self_signed(self._hostname, parse_key(read(self._key_path), self._key_path))
        )
        self._log.info("certificate.made", host=self._hostname, file=self._certificate_path)

    def _note(self, verb: Literal["certificate.loaded"]) -> None:
        self._log.info(
            verb, fingerprint=self.pair.fingerprint, expires=self.pair.expires.date(), self_made=self.pair.self_made
        )
        if self.pair.expires < datetime.datetime.now(datetime.UTC):
            self._log.warning("certificate.broken", why="the certificate has expired", file=self._certificate_path)


@implementer(IOpenSSLServerConnectionCreator)
class TwistedContexts:
    """What Twisted asks, at each connection, for an OpenSSL connection of the certificate that is current now."""

    def __init__(self, current: Callable[[], SSL.Context]) -> None:
        self._current = current

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """A connection for Twisted's TLS `protocol`, over memory buffers."""
        return SSL.Connection(self._current(), None)


# --- reading and building ---------------------------------------------------------------------------------------------------


def _server_context(pair: Pair, protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS_12)
    if _ALPN[protocol]:
        context.set_alpn_protocols(_ALPN[protocol])
    try:
        with _as_file(pair.certificate_pem) as certificate, _as_file(pair.key_pem) as key:
            context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise TlsError(f"the certificate cannot be used: {error.reason or 'refused by OpenSSL'}")
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """`data` under a name for a library that takes names only; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name


def _open_ssl_context(pair: Pair, protocol: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection keeps no TLS buffers
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # tickets are kept by the client
    context.set_cipher_list(_CIPHERS_12.encode())
    offered = [name.encode() for name in _ALPN[protocol]]
    if offered:
        context.set_alpn_select_callback(lambda connection, wanted: _select(offered, wanted))
    try:
        context.use_certificate(pair.leaf)
        for one in pair.certificates[1:]:
            context.add_extra_chain_cert(one)
        context.use_privatekey(pair.key)  # type: ignore[arg-type] # key kinds a certificate cannot hold were refused above
        context.check_privatekey()
    except (SSL.Error, TypeError):
        raise TlsError("the certificate cannot be used by OpenSSL")
    return context


def _select(offered: list[bytes], wanted: list[bytes]) -> Any:
    for name in offered:
        if name in wanted:
            return name
    return SSL.NO_OVERLAPPING_PROTOCOLS


# --- client contexts ---------------------------------------------------------------------------------------------------------


def opportunistic_context() -> ssl.SSLContext:
    """For mail to whoever offers STARTTLS: encrypted, nobody verified (RFC 7435, RFC 3207 §4.1)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verifying_context(authorities: Path | None = None) -> ssl.SSLContext:
    """For a host that must prove its name; `authorities` is a PEM file instead of the system's store."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
