"""What no test may do: reach the network beyond loopback, or be skipped without an agreement.

Processes that a test starts are not watched; they are told to listen on 127.0.0.1.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import socket
from typing import Any


class NetworkForbidden(RuntimeError):
    """A test reached for the network beyond loopback."""


def _literal_is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _refuse_foreign(host: object, what: str) -> None:
    name = _text(host)
    if name != "localhost" and not _literal_is_loopback(name):
        raise NetworkForbidden(f"{what} {name!r}: tests may use loopback only")


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: it sees every socket of this process, also those of libraries."""
    if event in {"socket.connect", "socket.bind", "socket.sendto"}:
        sock, address = arguments[0], arguments[1]
        if sock.family in {socket.AF_INET, socket.AF_INET6} and address:
            _refuse_foreign(address[0], event)
    elif event == "socket.getaddrinfo" and arguments[0] and not _is_numeric(_text(arguments[0])):
        _refuse_foreign(arguments[0], event)


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    return True


def guard_uvloop() -> None:
    """uvloop connects by libuv, beneath the audit events, so its two doors are watched as well."""
    try:
        import uvloop
    except ImportError:
        return

    def watched(name: str) -> None:
        inner = getattr(uvloop.Loop, name)

        async def outer(self: Any, factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
            if options.get("sock") is None:
                for one in host if isinstance(host, list | tuple) else [host]:
                    _refuse_foreign(one, name)
            return await inner(self, factory, host, port, **options)

        setattr(uvloop.Loop, name, outer)

    watched("create_connection")
    watched("create_server")


def unexpected_skips(skipped: dict[str, str], patterns: list[str]) -> list[str]:
    """The ids that no pattern of tests/allowed_skips.txt covers; a pattern is an id, a prefix of one, or a glob."""
    return [
        test
        for test in skipped
        if not any(
            test == pattern or test.startswith(pattern) or fnmatch.fnmatch(test, pattern) for pattern in patterns
        )
    ]
