"""TLS on both stacks with real clients: the self-signed certificate, reload without a restart, what is refused."""

from __future__ import annotations

import asyncio
import datetime
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from appliance import log
from appliance.config import load
from appliance.net import keypair, tls
from appliance.net.tls import Certificates, TlsError

ROOT = Path(__file__).parents[3]
HOST = "mail.example.test"


def _certificates(directory: Path, hostname: str = HOST) -> Certificates:
    return Certificates(directory, hostname, log.get("tls"))


def _issue(directory: Path, hostname: str = HOST, *, key: rsa.RSAPrivateKey | None = None) -> bytes:
    """Put a pair from an authority of our own in `directory`; returns the authority's PEM."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])

    def build(subject: x509.Name, public: object, *, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority_name)
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
            .sign(authority_key, hashes.SHA256())
        )

    server_key = key or ec.generate_private_key(ec.SECP256R1())
    authority = build(authority_name, authority_key.public_key(), ca=True)
    server = build(x509.Name([]), server_key.public_key(), ca=False)
    pem = serialization.Encoding.PEM
    (directory / "key.pem").write_bytes(
        server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (directory / "cert.pem").write_bytes(server.public_bytes(pem) + authority.public_bytes(pem))
    return authority.public_bytes(pem)


def _client(**wanted: object) -> ssl.SSLContext:
    context = tls.opportunistic_context()
    for name, value in wanted.items():
        setattr(context, name, value)
    return context


class Server:
    """An asyncio TLS server that says one line."""

    def __init__(self, certificates: Certificates, protocol: tls.TlsProtocol = "smtp") -> None:
        self.context = certificates.server_context(protocol)

    async def __aenter__(self) -> Server:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 hello\r\n")
            await reader.read()
            writer.close()

        self.server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def shown(self, context: ssl.SSLContext | None = None, name: str | None = None) -> ssl.SSLObject:
        """Shake hands as a client; what was agreed."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context or _client(), server_hostname=name or HOST
        )
        try:
            assert await reader.readline() == b"220 hello\r\n"
            found: ssl.SSLObject = writer.get_extra_info("ssl_object")
            return found
        finally:
            writer.close()
            await writer.wait_closed()


class UpgradingServer:
    """An asyncio server that begins TLS after a line, as STARTTLS does."""

    def __init__(self, certificates: Certificates) -> None:
        self.context = certificates.server_context("smtp")

    async def __aenter__(self) -> UpgradingServer:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"STARTTLS\r\n"
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(self.context)
            writer.write(b"220 hello\r\n")
            await reader.read()
            writer.close()

        self.server = await asyncio.start_server(greet, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def shown(self, context: ssl.SSLContext) -> ssl.SSLObject:
        """Ask for TLS and shake hands; what was agreed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"STARTTLS\r\n")
        assert await reader.readline() == b"220 go ahead\r\n"
        await writer.start_tls(context, server_hostname=HOST)
        assert await reader.readline() == b"220 hello\r\n"
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        writer.close()
        return found


def test_a_self_signed_certificate_is_made_once(tmp_path: Path) -> None:
    first = _certificates(tmp_path / "tls")
    for name in ("cert.pem", "key.pem"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600
    assert first.pair.self_made and isinstance(first.pair.key, ec.EllipticCurvePrivateKey)
    san = first.pair.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == [HOST, "localhost"]
    assert [str(one) for one in san.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert _certificates(tmp_path / "tls").pair.leaf == first.pair.leaf


@pytest.mark.parametrize("name", [HOST, "localhost", "127.0.0.1", "::1"])
def test_a_client_that_pins_it_is_content(tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with Server(_certificates(tmp_path)) as server:
            context = tls.verifying_context(tmp_path / "cert.pem")
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            await server.shown(context, name)
            with pytest.raises(ssl.SSLCertVerificationError):
                await server.shown(context, "other.example.test")
            with pytest.raises(ssl.SSLCertVerificationError):
                await server.shown(tls.verifying_context(), name)

    asyncio.run(main())


def test_only_modern_tls_with_forward_secrecy(tmp_path: Path) -> None:
    async def main() -> None:
        async with Server(_certificates(tmp_path), "imap") as server:
            context = _client()
            context.set_alpn_protocols(["imap"])
            new = await server.shown(context)
            assert (new.version(), new.selected_alpn_protocol()) == ("TLSv1.3", "imap")
            context = _client(maximum_version=ssl.TLSVersion.TLSv1_2)
            context.set_alpn_protocols(["http/1.1"])
            old = await server.shown(context)
            assert old.version() == "TLSv1.2" and (old.cipher() or ("",))[0].startswith("ECDHE-")
            assert old.selected_alpn_protocol() is None
            ancient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ancient.check_hostname, ancient.verify_mode = False, ssl.CERT_NONE
            ancient.set_ciphers("ALL:@SECLEVEL=0")
            ancient.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await server.shown(ancient)

    with pytest.warns(DeprecationWarning):
        asyncio.run(main())


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_reload_shows_the_new_certificate_to_new_connections(
    tmp_path: Path, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        certificates = _certificates(tmp_path)
        own = certificates.pair.leaf.public_bytes(serialization.Encoding.DER)
        async with Server(certificates) as server, UpgradingServer(certificates) as upgrading:
            assert (await server.shown()).getpeercert(binary_form=True) == own
            assert (await upgrading.shown(_client())).getpeercert(binary_form=True) == own
            assert certificates.reload() is False
            authority = _issue(tmp_path)
            assert certificates.reload() is True
            (tmp_path / "authority.pem").write_bytes(authority)
            trusting = tls.verifying_context(tmp_path / "authority.pem")
            for found in (await server.shown(trusting), await upgrading.shown(trusting)):
                assert found.getpeercert(binary_form=True) != own
            assert not certificates.pair.self_made

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("damage", ["cert", "key", "other key", "encrypted", "gone", "half"])
def test_a_broken_pair_keeps_the_old_one(tmp_path: Path, damage: str) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    async def main() -> None:
        certificates = _certificates(tmp_path)
        own = certificates.pair.leaf
        whole = (certificate.read_bytes(), key.read_bytes())
        pem = serialization.Encoding.PEM
        async with Server(certificates) as server:
            if damage == "cert":
                certificate.write_bytes(b"no certificate")
            elif damage == "key":
                key.write_bytes(b"no key")
            elif damage == "other key":
                key.write_bytes(keypair.new_key())
            elif damage == "encrypted":
                sealed = serialization.BestAvailableEncryption(b"passphrase")
                key.write_bytes(certificates.pair.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, sealed))
            elif damage == "gone":
                key.unlink()
            else:
                certificate.write_bytes(whole[0][: len(whole[0]) // 2])
            assert certificates.reload() is False
            assert certificates.pair.leaf == own
            der = own.public_bytes(serialization.Encoding.DER)
            assert (await server.shown()).getpeercert(binary_form=True) == der
            with pytest.raises(TlsError) as caught:
                keypair.read_pair(certificate, key)
            assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
            _issue(tmp_path)
            assert certificates.reload() is True

    asyncio.run(main())


def test_an_rsa_certificate_serves_too(tmp_path: Path) -> None:
    async def main() -> None:
        _issue(tmp_path, key=rsa.generate_private_key(65537, 2048))
        async with Server(_certificates(tmp_path)) as server:
            assert ((await server.shown()).cipher() or ("",))[0]

    asyncio.run(main())


def test_ours_is_renewed_and_others_are_not(tmp_path: Path) -> None:
    first = _certificates(tmp_path)
    renamed = Certificates(tmp_path, "new.example.test", log.get("tls"))
    assert "new.example.test" in renamed.pair.names() and renamed.pair.leaf != first.pair.leaf
    assert renamed.pair.key_pem == first.pair.key_pem
    _issue(tmp_path, "third.example.test")
    given = Certificates(tmp_path, "fourth.example.test", log.get("tls"))
    assert given.pair.names() == {"third.example.test"}


def test_an_interrupted_making_is_completed(tmp_path: Path) -> None:
    _certificates(tmp_path)
    (tmp_path / "cert.pem").unlink()
    assert _certificates(tmp_path).pair.self_made
    (tmp_path / "key.pem").unlink()
    with pytest.raises(TlsError, match=r"key\.pem is missing beside its certificate"):
        _certificates(tmp_path)


def test_configured_paths_are_never_written(tmp_path: Path) -> None:
    given = {"tls.certificate": str(tmp_path / "live.pem"), "tls.key": str(tmp_path / "live.key")}
    config = load(tmp_path, {}, given)
    with pytest.raises(TlsError, match=r"live\.pem cannot be read: No such file"):
        Certificates.configured(config, tmp_path, log.get("tls"))
    assert list(tmp_path.iterdir()) == []
    _issue(tmp_path)
    shutil.move(tmp_path / "cert.pem", tmp_path / "live.pem")
    shutil.move(tmp_path / "key.pem", tmp_path / "live.key")
    assert Certificates.configured(config, tmp_path, log.get("tls")).pair.names() == {HOST}
    assert Certificates.configured(load(tmp_path, {}), tmp_path, log.get("tls")).pair.self_made
    assert (tmp_path / "tls" / "cert.pem").exists()


PROGRAM = """
import asyncio, ssl, sys
from pathlib import Path
from appliance import log, loop
the_loop = loop.make_loop({kind!r})
from twisted.internet.protocol import Factory
from twisted.internet import protocol
from appliance.net import keypair, tls
from appliance.net.sockets import *

certificates = tls.Certificates(Path({directory!r}), "mail.example.test", log.get("tls"))

class Imap(protocol.Protocol):
    def __init__(self, implicit): self.implicit = implicit
    def connectionMade(self):
        self.transport.write(b"* OK\\r\\n")
    def dataReceived(self, data):
        if b"STARTTLS" in data:
            self.transport.write(b"a OK\\r\\n")
            self.transport.startTLS(certificates.twisted_factory("imap"))
        else:
            self.transport.write(b"b OK\\r\\n")

class Imaps(Factory):
    def __init__(self, implicit): self.implicit = implicit
    def buildProtocol(self, addr): return Imap(self.implicit)

def client():
    context = tls.opportunistic_context()
    context.set_alpn_protocols(["imap"])
    return context

async def implicit(where):
    reader, writer = await asyncio.open_connection(*where, ssl=client(), server_hostname="mail.example.test")
    assert await reader.readline() == b"* OK\\r\\n"
    return reader, writer

async def explicit(where):
    reader, writer = await asyncio.open_connection(*where)
    assert await reader.readline() == b"* OK\\r\\n"
    writer.write(b"a STARTTLS\\r\\n")
    assert await reader.readline() == b"a OK\\r\\n"
    await writer.start_tls(client(), server_hostname="mail.example.test")
    writer.write(b"b NOOP\\r\\n")
    assert await reader.readline() == b"b OK\\r\\n"
    return reader, writer

def shown(writer):
    found = writer.get_extra_info("ssl_object")
    assert found.version() == "TLSv1.3" and found.selected_alpn_protocol() == "imap", (found.version(), found.selected_alpn_protocol())
    return found.getpeercert(binary_form=True)

async def main():
    opened = open_all([Listen("imap", "127.0.0.1", 0), Listen("imaps", "127.0.0.1", 0)])
    plain, secure = opened["imap"][0].getsockname(), opened["imaps"][0].getsockname()
    ports = [adopt(opened["imap"][0], Imaps(False)), adopt(opened["imaps"][0], Imaps(True), certificates.twisted_factory("imap"))]
    old = certificates.pair
    first = [await implicit(secure), await explicit(plain)]
    for _, writer in first:
        assert shown(writer) == old.der
    (Path({directory!r}) / "cert.pem").write_bytes(b"broken")
    assert not certificates.reload()
    reader, writer = await implicit(secure)
    assert shown(writer) == old.der
    writer.close()
    (Path({directory!r}) / "cert.pem").write_bytes(keypair.self_signed("mail.example.test", certificates.pair.key))
    assert certificates.reload() and certificates.pair.leaf != old.leaf
    for opener, where in ((implicit, secure), (explicit, plain)):
        reader, writer = await opener(where)
        assert shown(writer) == certificates.pair.der
        writer.close()
    for reader, writer in first:  # connections from before the reload go on
        writer.write(b"b NOOP\\r\\n")
        assert await reader.readline() == b"b OK\\r\\n"
        writer.close()
    for port in ports:
        port.stopListening()
    await asyncio.sleep(0)
    print("served")

loop.run(the_loop, main())
"""


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
def test_twisted_reloads_too(tmp_path: Path, kind: str) -> None:
    program = PROGRAM.format(kind=kind, directory=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "served\n", done.stderr
    assert "Traceback" not in done.stderr


def test_no_key_is_left_in_the_open(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        _certificates(tmp_path / "tls")
    finally:
        os.umask(before)
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["cert.pem", "key.pem"]
