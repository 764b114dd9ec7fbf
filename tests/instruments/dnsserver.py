"""A real DNS responder on loopback: serves a dictionary of records and rcodes over UDP and TCP.

    records = {
        "example.org": {"MX": ["10 mx1.example.org.", "20 mx2.example.org."], "TXT": ['"v=spf1 -all"']},
        "mx1.example.org": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
        "www.example.org": {"CNAME": ["mx1.example.org."]},
        "*.wild.example.org": {"A": ["127.0.0.1"]},
        "broken.example.org": "SERVFAIL",      # any rcode: NXDOMAIN REFUSED FORMERR NOTIMP ...
        "slow.example.org": "TIMEOUT",         # never answered
        "cut.example.org": "TRUNCATE",         # UDP answers are empty with TC; TCP gives {"A": ["127.0.0.1"]}
        "bent.example.org": "GARBAGE",         # octets that are no DNS message
    }
    with DnsServer(records) as server:         # a thread; server.address is "127.0.0.1:PORT"
        server.set("example.org", "SERVFAIL")  # changes at once
        server.count("example.org", "MX")      # how often it was asked

A name that is not there is NXDOMAIN (or what `default` says), a type that is not there is NOERROR without an answer; both
carry a SOA with `negative_ttl`. Record data is in master-file form; names in it end with a dot.

As a program: dnsserver.py [--port N] FILE.json prints `listening 127.0.0.1:N` and serves until it is ended; HUP reads the
file again.
"""

from __future__ import annotations

import argparse
import json
import signal
import socketserver
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Entry = Mapping[str, list[str]] | str


class DnsServer:
    """The responder; start() and stop(), or use it in a `with`."""

    def __init__(
        self,
        records: Mapping[str, Entry] | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        default: str = "NXDOMAIN",
        ttl: int = 60,
        negative_ttl: int = 30,
        authenticated: bool = False,
    ) -> None:
        self.default, self.ttl, self.negative_ttl, self.authenticated = default, ttl, negative_ttl, authenticated
        self.asked: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()
        self._records: dict[str, Entry] = {}
        self._delays: dict[str, float] = {}
        self._stopping = threading.Event()
        for name, entry in (records or {}).items():
            self.set(name, entry)
        self._udp, self._tcp = _pair(host, port, self)
        self.host, self.port = host, self._udp.server_address[1]
        self._threads = [
            threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.05}, name="dns", daemon=True)
            for one in (self._udp, self._tcp)
        ]

    @property
    def address(self) -> str:
        """HOST:PORT, as --dns takes it."""
        return f"{self.host}:{self.port}"

    def set(self, name: str, entry: Entry, *, delay: float = 0.0) -> None:
        """Replace everything known about `name`; `delay` seconds pass before each answer."""
        with self._lock:
            self._records[_key(name)] = entry
            self._delays[_key(name)] = delay

    def remove(self, name: str) -> None:
        """`name` is not there any more."""
        with self._lock:
            self._records.pop(_key(name), None)

    def replace(self, records: Mapping[str, Entry]) -> None:
        """Serve these records and no others."""
        with self._lock:
            self._records = {_key(name): entry for name, entry in records.items()}

    def count(self, name: str, rdtype: str | None = None) -> int:
        """How many questions for `name` (of a type) arrived."""
        with self._lock:
            return sum(asked == _key(name) and rdtype in {None, kind} for asked, kind, _ in self.asked)

    def start(self) -> DnsServer:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        for one in (self._udp, self._tcp):
            one.shutdown()
            one.server_close()

    def __enter__(self) -> DnsServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- answering ---------------------------------------------------------------------------------------------------

    def respond(self, wire: bytes, transport: str) -> bytes | None:
        """The octets that answer a question, None for no answer."""
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return None
        name, kind = _key(question.name.to_text()), dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            self.asked.append((name, kind, transport))
            delay = self._delays.get(name, 0.0)
        if delay:
            self._stopping.wait(delay)
        entry = self._lookup(name)
        if entry == "TIMEOUT":
            return None
        if entry == "GARBAGE":
            return wire[:2] + b"\xff" * 5
        response = dns.message.make_response(query, recursion_available=True, our_payload=1232)
        if self.authenticated:
            response.flags |= dns.flags.AD
        if entry == "TRUNCATE":
            if transport == "udp":
                response.flags |= dns.flags.TC
                return response.to_wire()
            entry = {"A": ["127.0.0.1"]}
        self._fill(response, question.name, kind, entry)
        return self._to_wire(response, query, transport)

    def _lookup(self, name: str) -> Entry:
        with self._lock:
            if name in self._records:
                return self._records[name]
            labels = name.split(".")
            for at in range(1, len(labels)):
                wild = ".".join(["*", *labels[at:]])
                if wild in self._records:
                    return self._records[wild]
            if any(known.endswith("." + name) for known in self._records):
                return {}  # an empty non-terminal: the name is there (RFC 8020)
            return self.default

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: str, entry: Entry) -> None:
        for _ in range(16):  # follows CNAMEs, a loop of them ends
            if isinstance(entry, str):
                response.set_rcode(dns.rcode.from_text(entry))
                break
            if "CNAME" in entry and kind != "CNAME":
                response.answer.append(dns.rrset.from_text_list(name, self.ttl, "IN", "CNAME", entry["CNAME"]))
                name = dns.name.from_text(entry["CNAME"][0])
                entry = self._lookup(_key(name.to_text()))
                continue
            if entry.get(kind):
                response.answer.append(dns.rrset.from_text_list(name, self.ttl, "IN", kind, entry[kind]))
                return
            break
        if response.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            soa = f"ns.test. hostmaster.test. 1 3600 600 86400 {self.negative_ttl}"
            zone = name.parent() if name != dns.name.root else name
            response.authority.append(dns.rrset.from_text(zone, self.negative_ttl, "IN", "SOA", soa))

    def _to_wire(self, response: dns.message.Message, query: dns.message.Message, transport: str) -> bytes:
        if transport == "tcp":
            return response.to_wire(max_size=65535)
        room = max(512, query.payload if query.edns >= 0 else 512)
        try:
            return response.to_wire(max_size=room)
        except dns.exception.TooBig:
            cut = dns.message.make_response(query, recursion_available=True)
            cut.flags |= dns.flags.TC
            return cut.to_wire()


def _key(name: str) -> str:
    return name.rstrip(".").lower()


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _pair(host: str, port: int, responder: DnsServer) -> tuple[_Udp, _Tcp]:
    """Both servers on one port; when the system chooses it, a few tries until it is free for both."""

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            answer = responder.respond(wire, "udp")
            if answer is not None:
                sock.sendto(answer, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while len(head := self.rfile.read(2)) == 2:
                (size,) = struct.unpack("!H", head)
                answer = responder.respond(self.rfile.read(size), "tcp")
                if answer is None:
                    responder._stopping.wait()
                    return
                self.wfile.write(struct.pack("!H", len(answer)) + answer)

    for attempt in range(20):
        udp = _Udp((host, port), Datagram)
        try:
            return udp, _Tcp((host, udp.server_address[1]), Stream)
        except OSError:
            udp.server_close()
            if port or attempt == 19:
                raise
    raise OSError("no port is free for both UDP and TCP")


def main() -> None:
    parser = argparse.ArgumentParser(description="serve DNS records from a JSON file on loopback")
    parser.add_argument("file", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = DnsServer(json.loads(options.file.read_text("utf-8")), port=options.port)
    ended = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: server.replace(json.loads(options.file.read_text("utf-8"))))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with server:
        print(f"listening {server.address}", flush=True)
        while not ended.wait(0.2):
            pass


if __name__ == "__main__":
    main()
