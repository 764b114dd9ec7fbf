"""The architecture as a test: floors, doors, the order of rooms, circles, and rooms without sockets.

What stands in the tables here is what ARCHITECTURE.md says in words. A module that is not in the order yet is a
failure: whoever adds a room says where it stands.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("data", "appliance", "smtp", "imap", "webmail", "admin")

# What each package may import of the others; run.py may import everything.
FLOORS = {
    "data": (),
    "appliance": ("data",),
    "smtp": ("appliance", "data"),
    "imap": ("appliance", "data"),
    "webmail": ("appliance", "data", "smtp.submission"),
    "admin": ("appliance", "data", "smtp.queue.scheduler"),
}

# The rooms of a package, lowest first: a module imports from its own line or from lines above it, never from below.
ORDER = {
    "data": (
        "ids clock errors principal reason",
        "disk mime rules",
        "audit story",
        "directory",
        "store",
        "spool",
        "index",
    ),
    "appliance": (
        "config log loop lifecycle statedir metrics ratelimit sasl i18n space",
        "net maillog",
        "auth dns",
        "web office",
        "ops deploy",
    ),
    "smtp": (
        "reply",
        "transaction",
        "policy mailauth",
        "screening",
        "delivery",
        "submission",
        "queue mx msa",
        "listener",
        "managesieve",
    ),
    "imap": (
        "command errors wire response",
        "grammar view",
        "session hub",
        "actions",
        "table",
        "dispatch",
        "protocol",
        "factory",
        "pop3",
    ),
    "webmail": (),
    "admin": (),
}

# Third-party modules (and two of the standard library) and the only places that may import them.
DOORS = {
    "OpenSSL": ("appliance.net.tls",),
    "aiosmtpd": ("smtp.listener",),
    "alembic": ("data.disk.migrate", "data.disk.revisions"),
    "argon2": ("data.directory.credentials",),
    "babel": ("appliance.i18n", "appliance.deploy", "appliance.web.pages"),
    "bleach": ("appliance.web.sanitize",),
    "cryptography": ("appliance.net.chain", "appliance.net.keypair", "data.directory.dkim", "data.disk.seal"),
    "dkim": ("smtp.mailauth",),
    "dns": ("appliance.net.resolver",),
    "flask": ("appliance.web", "webmail", "admin"),
    "h11": ("appliance.net.fetch",),
    "idna": ("data.mime.address",),
    "jinja2": ("appliance.web.pages",),
    "markupsafe": ("appliance.web", "webmail", "admin"),
    "nh3": ("appliance.web.sanitize",),
    "prometheus_client": ("appliance.metrics",),
    "psycopg": ("data.disk.db",),
    "publicsuffixlist": ("smtp.mailauth.suffixes",),
    "pyotp": ("data.directory.totp",),
    "segno": ("appliance.web.pages",),
    "service_identity": ("appliance.net.tls",),
    "spf": ("smtp.mailauth.spf",),
    "sqlalchemy": ("data",),
    "sqlite3": ("data.disk",),
    "tinycss2": ("appliance.web.styles",),
    "twisted": (
        "appliance.loop",
        "appliance.net.sockets",
        "appliance.net.tls",
        "appliance.web.channel",
        "appliance.web.native",
        "appliance.web.service",
        "appliance.web.site",
        "imap.factory",
        "imap.protocol",
        "imap.pop3",
        "smtp.managesieve.factory",
        "smtp.managesieve.protocol",
        "run",
    ),
    "uvloop": ("appliance.loop",),
    "werkzeug": ("appliance.web.apps",),
    "whoosh": ("data.index",),
    "zope": ("appliance.net.tls", "appliance.web.native", "imap.factory", "imap.protocol", "smtp.managesieve.protocol"),
}

# No socket, no loop, the clock injected: what such a room does can be tested one octet at a time.
SANS_IO = (
    *("data.mime", "data.rules", "appliance.sasl", "appliance.ratelimit"),
    *("imap.wire", "imap.grammar", "imap.command", "imap.session", "imap.view", "imap.response"),
    *("smtp.reply", "smtp.transaction", "smtp.policy", "smtp.queue.backoff", "smtp.queue.dialogue"),
    *("smtp.delivery.answering", "smtp.managesieve.response", "smtp.managesieve.session", "smtp.managesieve.wire"),
)
LOOPS = ("socket", "asyncio", "twisted", "ssl", "select", "selectors", "uvloop")


def below(module: str, places: Iterable[str]) -> bool:
    """Whether `module` is one of `places` or lies inside one."""
    return any(module == place or module.startswith(place + ".") for place in places)


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    files += [path for path in [ROOT / "run.py"] if path.exists()]
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in sorted(files)}


@cache
def imports(module: str) -> frozenset[str]:
    """What `module` imports, by full name: a module of ours where the name is one, wherever the statement stands."""
    tree = ast.parse(modules()[module].read_text("utf-8"))
    return frozenset(name for node in ast.walk(tree) for name in _names(node, module))


def _names(node: ast.AST, module: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module.split(".") if modules()[module].name == "__init__.py" else module.split(".")[:-1]
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [base])])
        inside = [f"{base}.{alias.name}" for alias in node.names]
        yield from (name if name in modules() else base for name in inside)


def ours(module: str) -> frozenset[str]:
    """The modules of ours that `module` imports."""
    return frozenset(name for name in imports(module) if name in modules())


def test_floors() -> None:
    """A package imports only from floors beneath it; run.py alone imports everything."""
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        if module != "run"
        for name in ours(module)
        if name.split(".")[0] != module.split(".")[0] and not below(name, FLOORS[module.split(".")[0]])
    ]
    assert not wrong, "\n".join(wrong)


def _place(module: str) -> int:
    package, _, rest = module.partition(".")
    lines = ORDER[package]
    return next((at for at, line in enumerate(lines) if rest.split(".")[0] in line.split()), -1)


def test_every_room_has_its_place() -> None:
    """A new room says where it stands before it is used."""
    lost = [name for name in modules() if "." in name and ORDER.get(name.split(".")[0]) and _place(name) < 0]
    assert not lost, f"add to ORDER: {lost}"


def test_order_of_rooms() -> None:
    """Inside a package, nothing imports upwards."""
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        for name in ours(module)
        if "." in module
        and "." in name
        and module.split(".")[0] == name.split(".")[0]
        and _place(name) > _place(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_doors() -> None:
    """A library enters by its door only, and every library has one."""
    wrong = []
    for module in modules():
        for name in imports(module):
            top = name.split(".")[0]
            if top in DOORS and not below(module, DOORS[top]):
                wrong.append(f"{module} imports {name}: its door is {', '.join(DOORS[top])}")
            elif top not in DOORS and top not in sys.stdlib_module_names and top not in PACKAGES:
                wrong.append(f"{module} imports {name}, which has no door")
    assert not wrong, "\n".join(wrong)


def test_sans_io() -> None:
    """The parsers and state machines touch no socket, loop or thread; the whole of data knows no loop."""
    wrong = [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(module)
        if (below(module, SANS_IO) and below(name, (*LOOPS, "threading")))
        or (below(module, ["data"]) and below(name, LOOPS))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_circles() -> None:
    """No module reaches itself through its imports."""
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for name in sorted(ours(module) - {module}):
                walk(name, (*path, module))
            done.add(module)

    for module in modules():
        walk(module, ())
