"""What must be known before the database is open: one TOML file, environment variables above it.

The file is `mailstead.toml` in the state directory. Precedence, lowest first: built-in default (some depend on the
profile) < file < environment variable `MAILSTEAD_<FIELD>` < command line. A field inside a table is written
`[limits] message_size` in the file and `MAILSTEAD_LIMITS_MESSAGE_SIZE` in the environment; a list in the environment is
separated by commas. Everything else lives in the database and is changed while the server runs.

Promises: an unknown key or variable is an error that names the nearest known one; every value is checked, and the error
says where the value came from. Each field carries its documentation, from which the README's table and the file that
`init` writes are made. May not: read anything but the file and the mapping it is given.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

FILE_NAME: Final = "mailstead.toml"
PREFIX: Final = "MAILSTEAD_"
RESERVED: Final = frozenset({"MAILSTEAD_CRASHPOINT", "MAILSTEAD_STATE"})
"""Variables with our prefix that are not fields: the test-only crash switch and the command line's --state."""

PROFILES: Final = ("production", "development", "bench")
LEVELS: Final = ("debug", "info", "warning", "error")
LOOPS: Final = ("auto", "uvloop", "asyncio")

PORTS: Final[Mapping[str, int]] = {
    "mx": 25,
    "submission": 587,
    "submissions": 465,
    "imap": 143,
    "imaps": 993,
    "pop3": 110,
    "pop3s": 995,
    "managesieve": 4190,
    "http": 80,
    "https": 443,
}
"""The listeners by name and their registered ports; `base_port` is added to each."""

Check = Callable[[Any], Any]


class ConfigError(ValueError):
    """The configuration cannot be used; the text is one line for whoever edits it."""


# The checks: a value as it was read -> the value to keep, or ValueError with what is expected.

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")


def _flag(value: object) -> bool:
    """true or false; from the environment as the words."""
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError("expected true or false")


def _number(low: int, high: int) -> Check:
    def check(value: object) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value.strip()) else value
        if isinstance(number, bool) or not isinstance(number, int):
            raise ValueError("expected a whole number")
        if not low <= number <= high:
            raise ValueError(f"expected a number from {low} to {high}")
        return number

    return check


def _string(value: object) -> str:
    if not isinstance(value, str) or any(ord(char) < 0x20 for char in value):
        raise ValueError("expected text")
    return value.strip()


def _choice(*options: str) -> Check:
    def check(value: object) -> str:
        text = _string(value).lower()
        if text not in options:
            raise ValueError(f"expected one of {', '.join(options)}")
        return text

    return check


def _host_name(value: object) -> str:
    text = _string(value).rstrip(".").lower()
    if len(text) > 253 or not all(_LABEL.match(label) for label in text.split(".")):
        raise ValueError("expected a host name of letters, digits and hyphens (an A-label for other scripts)")
    return text


def _addresses(value: object) -> tuple[str, ...]:
    given = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        raise ValueError("expected a list of IP addresses")
    return tuple(str(ipaddress.ip_address(_string(one))) for one in given)


def split_host_port(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `1.2.3.4:53` or `[::1]:53` as a pair. Raises ValueError."""
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:53")
    if not colon or not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("expected HOST:PORT")
    return host, int(port)


def _dns(value: object) -> str:
    text = _string(value)
    if text in {"system", "off"}:
        return text
    try:
        host, _ = split_host_port(text)
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("expected system, off or ADDRESS:PORT")
    return text


def _route(value: object) -> str:
    text = _string(value)
    if text:
        host, port = split_host_port(text)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""


def _database(value: object) -> str:
    text = _string(value)
    if text and not text.startswith("postgresql://"):
        raise ValueError("expected a postgresql:// URL (or nothing, for SQLite in the state directory)")
    return text


def _url(value: object) -> str:
    text = _string(value).rstrip("/")
    if text and not re.fullmatch(r"https://[a-z0-9.-]+(:[0-9]{1,5})?", text.lower()):
        raise ValueError("expected https://HOST or https://HOST:PORT")
    return text.lower()


def _known(default: Any, doc: str, check: Check) -> Any:
    return field(default=default, metadata={"doc": doc, "check": check})


@dataclass(frozen=True, slots=True)
class Tls:
    """Where a certificate other than the self-signed one is kept."""

    certificate: str = _known(
        "", "PEM file with the certificate and its chain; empty: tls/cert.pem in the state directory", _string
    )
    key: str = _known("", "PEM file with its private key; empty: tls/key.pem in the state directory", _string)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold before anybody has signed in."""

    message_size: int = _known(
        52_428_800, "largest message in octets, for SMTP SIZE and IMAP APPENDLIMIT", _number(65_536, 1 << 30)
    )
    connections: int = _known(2_000, "connections at one time on one listener", _number(10, 1_000_000))
    connections_per_ip: int = _known(
        30, "connections at one time from one IPv4 address or IPv6 /64; 0 is no limit", _number(0, 1_000_000)
    )
    login_seconds: int = _known(60, "seconds a connection may take, in all, until it has signed in", _number(5, 3_600))
    threads: int = _known(8, "threads for work that waits on storage", _number(2, 64))
    open_files: int = _known(
        65_536, "open files to ask the system for (raised towards the hard limit at start)", _number(256, 1_048_576)
    )
    disk_floor: int = _known(
        268_435_456,
        "octets of free disk below which no new mail is taken; reading and deleting still work",
        _number(0, 1 << 50),
    )


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is known before the database is open."""

    hostname: str = _known(
        "localhost", "the name this server calls itself in greetings, Received lines and certificates", _host_name
    )
    profile: str = _known(
        "production",
        "one of production, development, and bench (no limits and no TLS demanded on loopback)",
        _choice(*PROFILES),
    )
    bind: tuple[str, ...] = _known(
        (),
        "addresses to listen on; by default all of them, with a base port or another profile 127.0.0.1 only",
        _addresses,
    )
    base_port: int = _known(0, "added to every listener's port: 20000 moves 25 to 20025", _number(0, 60_000))
    url: str = _known(
        "", "address of the web pages as people type it; empty: https:// and the host name (trial: localhost)", _url
    )
    dns: str = _known(
        "system", "who answers DNS questions: system, ADDRESS:PORT, or off (each is a temporary error)", _dns
    )
    dns_trusted: bool = _known(
        False, "whether its word that it validated an answer (DNSSEC) counts, though it is not on this machine", _flag
    )
    route_all: str = _known("", "HOST:PORT that takes all outgoing mail, without a look at MX records", _route)
    key_file: str = _known("", "file of the master key; empty: master.key in the state directory", _string)
    database: str = _known("", "a postgresql:// URL; empty: SQLite in the state directory", _database)
    log_level: str = _known("info", "least level that is logged: debug, info, warning, error", _choice(*LEVELS))
    loop: str = _known("auto", "event loop: uvloop, asyncio, or auto (uvloop where it is installed)", _choice(*LOOPS))
    tls: Tls = field(default_factory=Tls)
    limits: Limits = field(default_factory=Limits)

    def port(self, listener: str) -> int:
        """The port of a listener named in PORTS."""
        return PORTS[listener] + self.base_port

    @property
    def bench(self) -> bool:
        """Whether limits are off for peers on loopback."""
        return self.profile == "bench"

    def key_path(self, state: Path) -> Path:
        """The master key's file."""
        return state / self.key_file if self.key_file else state / "master.key"

    def certificate_paths(self, state: Path) -> tuple[Path, Path]:
        """The certificate's file and its key's."""
        certificate, key = self.tls.certificate, self.tls.key
        return state / (certificate or "tls/cert.pem"), state / (key or "tls/key.pem")

    def route(self) -> tuple[str, int] | None:
        """The one host that takes all outgoing mail, if there is one."""
        return split_host_port(self.route_all) if self.route_all else None


_TABLES: Final[Mapping[str, type[Any]]] = {"tls": Tls, "limits": Limits}


@dataclass(frozen=True, slots=True)
class Field:
    """One field as documented. `key` is its dotted name in the file."""

    key: str
    variable: str
    default: Any
    doc: str
    check: Check


def documented() -> tuple[Field, ...]:
    """Every field, in the order of the file."""
    return tuple(_FIELDS.values())


def _collect() -> dict[str, Field]:
    found: dict[str, Field] = {}
    for table, owner in [("", Config), *_TABLES.items()]:
        for one in fields(owner):
            if one.name in _TABLES and not table:
                continue
            key = f"{table}.{one.name}" if table else one.name
            assert one.default is not MISSING
            found[key] = Field(
                key, PREFIX + key.replace(".", "_").upper(), one.default, one.metadata["doc"], one.metadata["check"]
            )
    return found


_FIELDS: Final = _collect()
_BY_VARIABLE: Final = {one.variable: one for one in _FIELDS.values()}


def table() -> str:
    """The README's table of fields, in Markdown."""
    rows = [f"| `{one.key}` | `{one.variable}` | `{_toml(one.default)}` | {one.doc} |" for one in documented()]
    return "\n".join(["| field | environment | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def render(values: Mapping[str, Any]) -> str:
    """The text of a configuration file that sets `values` (dotted keys) and documents all the rest. Raises ConfigError."""
    kept = {key: _checked(key, value, "init") for key, value in values.items()}
    lines = [
        "# Mailstead: what must be known before the database is open. Everything else is set while the server runs.",
        "# An environment variable (MAILSTEAD_HOSTNAME, MAILSTEAD_LIMITS_THREADS, ...) overrides the line here.",
    ]
    section = ""
    for one in documented():
        name, _, inner = one.key.rpartition(".")
        if name != section:
            lines += ["", f"[{name}]"]
            section = name
        set_here = one.key in kept
        line = f"{inner} = {_toml(kept[one.key] if set_here else one.default)}"
        lines += ["", f"# {one.doc[0].upper()}{one.doc[1:]}.", line if set_here else f"#{line}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


# --- reading and writing ---------------------------------------------------------------------------------------------------


def load(state: Path, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration of a state directory. `overrides` come from the command line (dotted keys, None is not given).

    A missing file is an empty one. Raises ConfigError with one line.
    """
    values: dict[str, Any] = {}
    values.update(_from_file(state / FILE_NAME))
    values.update(from_environment(environ))
    for key, value in (overrides or {}).items():
        if value is not None:
            values[key] = _checked(key, value, "the command line")
    return build(values)


def build(values: Mapping[str, Any]) -> Config:
    """A Config of checked values by dotted key, with the defaults that depend on the profile."""
    merged = {**_profile_defaults(values), **values}
    nested: dict[str, dict[str, Any]] = {name: {} for name in ("", *_TABLES)}
    for key, value in merged.items():
        name, _, inner = key.rpartition(".")
        nested[name][inner] = value
    tables = {name: owner(**nested[name]) for name, owner in _TABLES.items()}
    return Config(**nested[""], **tables)


def _profile_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    profile = values.get("profile", "production")
    everywhere = profile == "production" and not values.get("base_port")
    return {
        "bind": ("0.0.0.0", "::") if everywhere else ("127.0.0.1",),  # noqa: S104 - a mail server listens to the world
        "dns": "off" if profile == "bench" else "system",
    }


def _from_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}")
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if key in _TABLES:
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {key} is a table: [{key}]")
            flat.update({f"{key}.{inner}": each for inner, each in value.items()})
        else:
            flat[key] = value
    return {key: _checked(key, value, str(path)) for key, value in flat.items()}


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the environment sets, by dotted key. Raises ConfigError."""
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in RESERVED:
            continue
        one = _BY_VARIABLE.get(name)
        if one is None:
            raise ConfigError(f"environment: unknown variable {name}{_nearest(name, _BY_VARIABLE)}")
        values[one.key] = _checked(one.key, text, f"environment variable {name}")
    return values


def _checked(key: str, value: Any, source: str) -> Any:
    one = _FIELDS.get(key)
    if one is None:
        raise ConfigError(f"{source}: unknown key {key!r}{_nearest(key, _FIELDS)}")
    try:
        return one.check(value)
    except ValueError as error:
        raise ConfigError(f"{source}: {key}: {error}")


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def write(state: Path, values: Mapping[str, Any]) -> Path:
    """Write `mailstead.toml` with `values` (dotted keys): a new file of mode 0600, durable when this returns."""
    text = render(values)
    descriptor, temporary = tempfile.mkstemp(dir=state, prefix=f".{FILE_NAME}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    target = state / FILE_NAME
    os.replace(temporary, target)
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return target
