"""Listening sockets: all or nothing, IPv4 and IPv6 apart, systemd's taken as they are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.net import sockets
from appliance.net.sockets import Listen, ListenError, TakenPort, open_all

ROOT = Path(__file__).parents[3]


def _close(opened: dict[str, list[socket.socket]]) -> None:
    for group in opened.values():
        for sock in group:
            sock.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_both_families_on_one_port() -> None:
    port = _free_port()
    opened = open_all(sockets.plan([("mx", port)], ["127.0.0.1", "::1"]))
    try:
        four, six = opened["mx"]
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        assert four.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()
    finally:
        _close(opened)


def test_one_taken_port_is_one_line_and_nothing_stays_open() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken, free = other.getsockname()[1], _free_port()
        with pytest.raises(TakenPort) as caught:
            open_all([Listen("mx", "127.0.0.1", free), Listen("imap", "127.0.0.1", taken)])
        assert str(caught.value) == f"cannot listen for imap (127.0.0.1:{taken}): the port is in use by another process"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free), timeout=5)
    _close(open_all([Listen("mx", "127.0.0.1", free), Listen("imap", "127.0.0.1", taken)]))


def test_a_restart_gets_its_port_back_at_once() -> None:
    opened = open_all([Listen("mx", "127.0.0.1", 0)])
    port = opened["mx"][0].getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    opened["mx"][0].setblocking(True)
    server, _ = opened["mx"][0].accept()
    server.close()  # our side closes first: its end waits in TIME_WAIT
    client.close()
    _close(opened)
    _close(open_all([Listen("mx", "127.0.0.1", port)]))


def test_an_address_that_is_not_ours_is_named() -> None:
    # 192.0.2.1 is for documentation (RFC 5737); the guard of the tests would refuse it first.
    program = (
        "from appliance.net.sockets import *\n"
        "try:\n open_all([Listen('mx', '192.0.2.1', 20025)])\nexcept ListenError as e:\n print(e)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "cannot listen for mx (192.0.2.1:20025): Cannot assign requested address\n"


@pytest.mark.parametrize(
    ("given", "normal", "network", "loopback"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1", False),
        ("::FFFF:127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.7", "127.0.0.7", "127.0.0.7", True),
        ("::1", "::1", "::/64", True),
        ("fe80::1%eth0", "fe80::1", "fe80::/64", False),
        ("2001:DB8:0:1::5", "2001:db8:0:1::5", "2001:db8:0:1::/64", False),
        ("/run/socket", "/run/socket", "/run/socket", False),
    ],
)
def test_peers_have_one_form(given: str, normal: str, network: str, loopback: bool) -> None:
    assert sockets.normal_peer(given) == normal
    assert sockets.network_of(given) == network
    assert sockets.is_loopback(given) is loopback


SYSTEMD = """
import os, socket, sys
from appliance.net.sockets import *
first = socket.socket(); first.bind(("127.0.0.1", 0)); first.listen()
second = socket.socket(); second.bind(("127.0.0.1", 0)); second.listen()
ports = [first.getsockname()[1], second.getsockname()[1]]
a, b = os.dup(first.fileno()), os.dup(second.fileno())
first.close(); second.close()
os.dup2(a, 13); os.dup2(b, 14)
os.dup2(13, 3); os.dup2(14, 4)
environ = {{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": {names!r}}}
try:
    opened = open_all([Listen("mx", "127.0.0.1", ports[0] if {by_port} else 1), Listen("imap", "127.0.0.1", ports[1] if {by_port} else 2)], environ)
except ListenError as error:
    print(str(error).replace(str(ports[1]), "PORT"))
else:
    assert [opened[n][0].getsockname()[1] for n in ("mx", "imap")] == ports, (opened, ports)
    assert opened["mx"][0].fileno() == 3 and not os.get_inheritable(3)
    print("taken")
"""


@pytest.mark.parametrize(
    ("names", "by_port", "said"),
    [
        ("mx:imap", False, "taken"),
        ("unknown:unknown", True, "taken"),
        ("mx:odd", False, "cannot listen for imap (127.0.0.1:2)"),
    ],
)
def test_systemd_activation(names: str, by_port: bool, said: str) -> None:
    program = SYSTEMD.format(names=names, by_port=by_port)
    done = subprocess.run([sys.executable, "-c", program], check=False, cwd=ROOT, capture_output=True, text=True)
    if os.geteuid() == 0 and said.startswith("cannot"):
        said = "systemd handed over a socket 'odd' on 127.0.0.1:PORT that no listener is named for"
    assert done.stdout.startswith(said), done.stderr


def test_sockets_meant_for_another_process_are_left_alone() -> None:
    port = _free_port()
    opened = open_all([Listen("mx", "127.0.0.1", port)], {"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    assert opened["mx"][0].getsockname()[1] == port
    _close(opened)


TWISTED = """
import asyncio
from appliance import loop
the_loop = loop.make_loop()
from twisted.internet.protocol import Factory, Protocol
from appliance.net.sockets import *
class Hello(Protocol):
    def connectionMade(self):
        self.transport.write(b"* OK " + normal_peer(self.transport.getPeer().host).encode() + b"\\r\\n")
        self.transport.loseConnection()
async def main():
    sock = open_all([Listen("imap", "127.0.0.1", 0)])["imap"][0]
    where = sock.getsockname()
    port = adopt(sock, Factory.forProtocol(Hello))
    reader, writer = await asyncio.open_connection(*where)
    print((await reader.read()).decode().strip())
    writer.close()
    port.stopListening()
loop.run(the_loop, main())
"""


def test_twisted_accepts_on_an_adopted_socket() -> None:
    done = subprocess.run([sys.executable, "-c", TWISTED], check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("* OK 127.0.0.1\n", "")


def test_low_ports_say_what_is_missing() -> None:
    refusal = sockets._refusal(PermissionError(13, "Permission denied"), Listen("mx", "127.0.0.1", 25))
    assert isinstance(refusal, ListenError) and "CAP_NET_BIND_SERVICE" in str(refusal)
