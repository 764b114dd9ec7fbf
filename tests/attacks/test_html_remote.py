"""N9: the picture proxy cannot be made to ask anybody inside, nor to fetch what the message did not name.

Real resolver, real DNS answers, real HTTP over loopback: the address of the test's own server is allowed for its port
alone; every other address is judged as in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from appliance import log
from appliance.net import egress
from appliance.net.fetch import Fetched, Fetcher
from appliance.net.keypair import new_key, parse_key, self_signed
from appliance.net.resolver import HostResolver, OffResolver
from appliance.web.images import Picture, Seals, load, picture_type
from data.clock import SystemClock
from tests.instruments.dnsserver import DnsServer

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
OURS = "127.0.0.1"


@dataclass
class Web:
    """A server on loopback: what it does by path, and what it was asked."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    moves: dict[str, str] = field(default_factory=dict)


def _serve(web: Web, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    stopped = threading.Event()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append(self.path)
            web.headers.append({name.lower(): value for name, value in self.headers.items()})
            with contextlib.suppress(OSError):
                getattr(self, "do_" + self.path.strip("/").split("?")[0].split("/")[0], self.do_image)()

        def answer(self, body: bytes, kind: str = "image/png", **fields: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            for name, value in ({"Content_Length": str(len(body))} | fields).items():
                if value:
                    self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_image(self) -> None:
            if self.path in web.moves:
                self.send_response(302)
                self.send_header("Location", web.moves[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.answer(PNG)

        def do_html(self) -> None:
            self.answer(b"<script>alert(1)</script>", "image/png")

        def do_svg(self) -> None:
            self.answer(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml")

        def do_gone(self) -> None:
            self.send_error(404)

        def do_large(self) -> None:
            self.answer(PNG, Content_Length=str(6 * 1024 * 1024))

        def do_endless(self) -> None:
            self.answer(PNG, Content_Length="")
            while not stopped.is_set():
                self.wfile.write(b"\0" * 65536)

        def do_slow(self) -> None:
            self.answer(PNG[:8], Content_Length="48")
            stopped.wait(30)

        def do_silent(self) -> None:
            stopped.wait(30)

        def do_packed(self) -> None:
            self.answer(PNG, Content_Encoding="gzip")

        def do_noise(self) -> None:
            self.wfile.write(b"+OK this is no HTTP\r\n" * 10)

        def do_headers(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((OURS, 0), Answer)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    web.port = server.server_address[1]
    web.stop = stopped.set  # type: ignore[attr-defined]
    return server


@contextlib.contextmanager
def running(web: Web, context: ssl.SSLContext | None = None) -> Iterator[Web]:
    server = _serve(web, context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        web.stop()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    with running(Web()) as found:
        yield found


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    records = {
        "pictures.test": {"A": [OURS]},
        "mixed.test": {"A": ["192.0.2.1", OURS]},
        "alias.test": {"CNAME": ["inside.test."]},
        "inside.test": {"A": ["10.0.0.7"]},
        "six.test": {"AAAA": ["fe80::1"]},
        "mapped.test": {"AAAA": ["::ffff:7f00:1"]},
        "ula.test": {"AAAA": ["fd00::1"]},
        "*.nip.test": {"A": ["127.0.0.2"]},
        "metadata.test": {"A": ["169.254.169.254"]},
        "shared.test": {"A": ["100.64.0.1"]},
        "zero.test": {"A": ["0.0.0.0"]},
        "broken.test": "SERVFAIL",
    }
    with DnsServer(records, ttl=0) as server:
        yield server


def fetched(dns: DnsServer, web: Web, url: str, **options: Any) -> Fetched:
    """Fetch with the test's server allowed, by its address and port, and nothing else."""

    def may(address: egress.Address, port: int) -> bool:
        return (str(address) == OURS and port == web.port) or egress.permitted(address, port)

    async def run() -> Fetched:
        resolver = HostResolver("127.0.0.1", dns.port, SystemClock(), log.get("test"))
        return await Fetcher(resolver, may=may, **options).get(url)

    return asyncio.run(run())


def refused(dns: DnsServer, web: Web, url: str, **options: Any) -> str:
    with pytest.raises(egress.FetchError) as caught:
        fetched(dns, web, url, **options)
    return caught.value.why


def test_N9_the_instrument_fetches(dns: DnsServer, web: Web) -> None:
    """Control: the allowed server is reached by name; the request tells nothing of the reader."""
    found = fetched(dns, web, f"http://pictures.test:{web.port}/a.png?u=1")
    assert found.body == PNG
    assert web.asked == ["/a.png?u=1"]
    assert set(web.headers[0]) == {"host", "user-agent", "accept", "accept-encoding", "connection"}


URLS = [
    ("http://127.0.0.1:{port2}/", "address"),
    ("http://127.0.0.1/", "address"),
    ("http://localhost/", "name"),
    ("http://localhost.localdomain/", "dns"),
    ("http://a.localhost/", "address"),
    ("http://0/", "name"),
    ("http://0.0.0.0/", "address"),
    ("http://2130706433/", "name"),
    ("http://0x7f000001/", "name"),
    ("http://0x7f.0.0.1/", "name"),
    ("http://0177.0.0.1/", "name"),
    ("http://017700000001/", "name"),
    ("http://127.1/", "name"),
    ("http://127.0.1/", "name"),
    ("http://127.0.0.1./", "address"),
    ("http://127.0.0.256/", "name"),
    ("http://①②⑦.⓪.⓪.①/", "name"),
    ("http://１２７.0.0.1/", "name"),
    ("http://127。0。0。1/", "name"),
    ("http://[::1]/", "address"),
    ("http://[::]/", "address"),
    ("http://[::ffff:127.0.0.1]/", "address"),
    ("http://[::ffff:7f00:1]/", "address"),
    ("http://[::127.0.0.1]/", "address"),
    ("http://[64:ff9b::7f00:1]/", "address"),
    ("http://[64:ff9b:1::7f00:1]/", "address"),
    ("http://[2002:7f00:1::]/", "address"),
    ("http://[2001:0:7f00:1::]/", "address"),
    ("http://[2001:db8::1]/", "address"),
    ("http://[fe80::1]/", "address"),
    ("http://[fe80::1%25eth0]/", "name"),
    ("http://[fec0::1]/", "address"),
    ("http://[fc00::1]/", "address"),
    ("http://[ff02::1]/", "address"),
    ("http://10.1.2.3/", "address"),
    ("http://172.16.0.1/", "address"),
    ("http://172.31.255.255/", "address"),
    ("http://192.168.1.1/", "address"),
    ("http://169.254.169.254/latest/meta-data/", "address"),
    ("http://100.64.0.1/", "address"),
    ("http://100.127.255.254/", "address"),
    ("http://192.0.0.1/", "address"),
    ("http://198.18.0.1/", "address"),
    ("http://198.51.100.1/", "address"),
    ("http://224.0.0.1/", "address"),
    ("http://255.255.255.255/", "address"),
    ("http://240.0.0.1/", "address"),
    ("http://inside.test/", "address"),
    ("http://alias.test/", "address"),
    ("http://six.test/", "address"),
    ("http://mapped.test/", "address"),
    ("http://ula.test/", "address"),
    ("http://127-0-0-1.nip.test/", "address"),
    ("http://10.0.0.1.nip.test/", "address"),
    ("http://metadata.test/", "address"),
    ("http://shared.test/", "address"),
    ("http://zero.test/", "address"),
    ("http://mixed.test:{port}/", "address"),
    ("http://broken.test/", "dns"),
    ("http://missing.test/", "dns"),
    ("http://pictures.test:25/", "address"),
    ("http://pictures.test:6379/", "address"),
    ("http://8.8.8.8:22/", "address"),
    ("http://8.8.8.8:0/", "address"),
    ("http://8.8.8.8:99999/", "url"),
    ("https://pictures.test/", "address"),
    ("file:///etc/passwd", "scheme"),
    ("gopher://pictures.test/_x", "scheme"),
    ("ftp://pictures.test/", "scheme"),
    ("dict://pictures.test:11211/stat", "scheme"),
    ("data:image/png;base64,AAAA", "scheme"),
    ("//pictures.test/", "scheme"),
    ("/etc/passwd", "scheme"),
    ("http://user:pass@pictures.test/", "url"),
    ("http://pictures.test@127.0.0.1/", "url"),
    ("http://pictures.test\\@127.0.0.1/", "url"),
    ("http://pictures.test/\r\nX: y", "url"),
    ("http://pictures.test\x00.evil.test/", "url"),
    ("http://", "name"),
    ("http://" + "a" * 2_000 + ".test/", "url"),
    ("http://[::1/", "url"),
    ("http://exa mple.test/", "url"),
]


@pytest.mark.parametrize(("url", "why"), URLS)
def test_N9_nobody_inside_is_asked(dns: DnsServer, web: Web, url: str, why: str) -> None:
    other = web.port + 1 if web.port < 65535 else web.port - 1
    assert refused(dns, web, url.format(port=web.port, port2=other)) == why
    assert web.asked == []


MOVES = [
    row for row in URLS if row[1] != "dns" and "{port}" not in row[0] and row[0].isprintable() and row[0].isascii()
    and "//" in row[0] and row[0] not in {"http://", "//pictures.test/"}
]  # fmt: skip


@pytest.mark.parametrize(("url", "why"), MOVES)
def test_N9_a_redirect_leads_nobody_inside(dns: DnsServer, web: Web, url: str, why: str) -> None:
    web.moves["/go"] = url.format(port2=web.port + 1 if web.port < 65535 else 1)
    assert refused(dns, web, f"http://pictures.test:{web.port}/go") == why
    assert web.asked == ["/go"]


def test_N9_redirects_within_the_permitted_are_followed_and_counted(dns: DnsServer, web: Web) -> None:
    base = f"http://pictures.test:{web.port}"
    web.moves |= {"/1": "/2", "/2": f"{base}/3", "/3": "picture"}
    assert fetched(dns, web, f"{base}/1").url == f"{base}/picture"
    web.moves |= {"/loop": "/loop"}
    web.asked.clear()
    assert refused(dns, web, f"{base}/loop") == "redirects"
    assert len(web.asked) == 4


def test_N9_a_name_that_changes_its_address_is_connected_where_it_was_checked(dns: DnsServer, web: Web) -> None:
    """DNS rebinding: the second answer is inside; the connection goes to the first, and the next fetch is refused."""
    dns.set("rebind.test", {"A": [OURS]})
    looks = 0
    inner = dns.respond

    def respond(wire: bytes, transport: str) -> bytes | None:
        nonlocal looks
        answer = inner(wire, transport)
        if dns.asked[-1][:2] == ("rebind.test", "A"):
            looks += 1
            dns.set("rebind.test", {"A": ["127.0.0.9"]})
        return answer

    dns.respond = respond  # type: ignore[method-assign]
    found = fetched(dns, web, f"http://rebind.test:{web.port}/a.png")
    assert found.body == PNG
    assert looks == 1
    assert refused(dns, web, f"http://rebind.test:{web.port}/a.png") == "address"
    assert web.asked == ["/a.png"]


@pytest.mark.parametrize(
    ("path", "why"),
    [("gone", "status"), ("large", "size"), ("endless", "size"), ("packed", "encoding"), ("noise", "protocol"), ("headers", "protocol")],
)  # fmt: skip
def test_N9_answers_are_bounded(dns: DnsServer, web: Web, path: str, why: str) -> None:
    assert refused(dns, web, f"http://pictures.test:{web.port}/{path}") == why


@pytest.mark.parametrize("path", ["slow", "silent"])
def test_N9_time_is_bounded(dns: DnsServer, web: Web, path: str) -> None:
    started = time.monotonic()
    assert refused(dns, web, f"http://pictures.test:{web.port}/{path}", seconds=0.5) == "timeout"
    assert time.monotonic() - started < 5


def test_N9_a_slow_resolver_is_within_the_time(dns: DnsServer, web: Web) -> None:
    dns.set("late.test", "TIMEOUT")
    assert refused(dns, web, "http://late.test/", seconds=0.5) == "timeout"


def test_N9_without_dns_nothing_is_fetched() -> None:
    async def run() -> None:
        await Fetcher(OffResolver()).get("http://pictures.test/")

    with pytest.raises(egress.FetchError) as caught:
        asyncio.run(run())
    assert caught.value.why == "dns"


def test_N9_tls_is_verified(dns: DnsServer, tmp_path: Path) -> None:
    """A certificate nobody vouches for is refused; one for the name is taken; one for another name is refused."""
    key = new_key()
    (tmp_path / "cert.pem").write_bytes(self_signed("pictures.test", parse_key(key, tmp_path)))
    (tmp_path / "key.pem").write_bytes(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    dns.set("other.test", {"A": [OURS]})
    with running(Web(), server) as web:
        assert refused(dns, web, f"https://pictures.test:{web.port}/a.png") == "tls"
        trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        assert fetched(dns, web, f"https://pictures.test:{web.port}/a.png", context=trusting).body == PNG
        assert refused(dns, web, f"https://other.test:{web.port}/a.png", context=trusting) == "tls"


def test_N9_production_allows_the_public_alone() -> None:
    """The judge itself, without a network: every special range, and that public addresses pass."""
    for text in ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:800::200e"):
        assert egress.permitted(ipaddress.ip_address(text), 443)
        assert not egress.permitted(ipaddress.ip_address(text), 8080)
    for network in ipaddress.ip_network("0.0.0.0/0").subnets(new_prefix=8):
        address = network.network_address + 1
        if not address.is_global or address.is_multicast:
            assert not egress.permitted(address, 80), address


# --- the proxy ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "kind"), [("a.png", "image/png"), ("html", None), ("svg", None)])
def test_N9_pictures_by_their_first_octets(dns: DnsServer, web: Web, path: str, kind: str | None) -> None:
    async def run() -> Picture:
        resolver = HostResolver("127.0.0.1", dns.port, SystemClock(), log.get("test"))
        return await load(Fetcher(resolver, may=lambda address, port: str(address) == OURS), url)

    url = f"http://pictures.test:{web.port}/{path}"
    if kind is None:
        with pytest.raises(egress.FetchError) as caught:
            asyncio.run(run())
        assert caught.value.why == "content"
    else:
        assert asyncio.run(run()) == Picture(kind, PNG)


MAGIC: list[tuple[bytes, str | None]] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"GIF87a", "image/gif"),
    (b"RIFF\0\0\0\0WEBP", "image/webp"), (b"RIFF\0\0\0\0WAVE", None), (b"<svg", None), (b"<html", None), (b"%PDF", None), (b"", None),
    (b"BM", None), (b"GIF8", None), (b"\0\0\0\x20ftypavif", None),
]  # fmt: skip


@pytest.mark.parametrize(("head", "kind"), MAGIC)
def test_W3_a_picture_is_what_its_octets_say(head: bytes, kind: str | None) -> None:
    assert picture_type(head) == kind


def test_N9_the_proxy_serves_only_what_was_sealed() -> None:
    seals = Seals(b"k" * 32)
    url = "https://news.example.test/p.png?u=1&v=中"
    token = seals.token(7, 41, url)
    assert seals.url(7, 41, token) == url
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert seals.url(8, 41, token) is None
    assert seals.url(7, 42, token) is None
    assert Seals(b"l" * 32).url(7, 41, token) is None
    body, _, seal = token.partition(".")
    other = seals.token(7, 41, "http://10.0.0.1/").partition(".")[0]
    for forged in (
        f"{other}.{seal}",
        body,
        f"{body}.",
        f"{body}.{seal[:-4]}",
        "",
        ".",
        "x.y",
        f"{body}.{seal}x" * 2,
        "中.中",
    ):
        assert seals.url(7, 41, forged) is None
    with pytest.raises(ValueError, match="32"):
        Seals(b"short")
