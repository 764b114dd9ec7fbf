"""Static files: read once at start, under names that hold their content's hash, compressed once, never changing.

Promises: `/static/app.1a2b3c4d5e.css` is one content for ever, so that browsers keep it (`immutable`); references between
files (`url(...)` in style sheets, `import` in our modules) are written with the hashed names before the hash is taken.
A page asks for few files: `@import "x.css";` puts that style sheet in its place, and the modules of one page script are
put together in it (appliance.web.bundle).
What shrinks is kept gzipped beside its plain form. A name that is not there is an error at start, not a 404 later.
May not: read anything but the folders it is given, or look at the disk after the start.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.web.bundle import BundleError, bundle, owners

PREFIX: Final = "/static/"
IMMUTABLE: Final = "public, max-age=31536000, immutable"

TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
"""What is served; other files in the folders (licences, lists) are not."""

_SHRINKS: Final = frozenset({".css", ".js", ".json", ".svg", ".webmanifest"})
_CSS_URL: Final = re.compile(r'url\("(?!data:)([^"]+)"\)')
_SHEET: Final = re.compile(r'(?m)^@import "([^"\n]+)";$')
_DIGITS: Final = 10


def _ours(name: str) -> bool:
    return not name.startswith("vendor/")


class StaticError(RuntimeError):
    """A static file refers to one that is not there, or two folders hold one name."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. `packed` is its gzipped form where that is smaller."""

    name: str
    type: str
    plain: bytes
    packed: bytes | None

    @property
    def etag(self) -> str:
        """The content's name for caches (RFC 9110 §8.8.3)."""
        return f'"{hashlib.sha256(self.plain).hexdigest()[:16]}"'


class Statics:
    """All static files of the process."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """`folders` are laid over each other; a name may stand in one of them only. Raises StaticError."""
        self._sources: dict[str, Path] = {}
        self._hashed: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        self._open: set[str] = set()
        for folder in folders:
            self._collect(folder)
        self._scripts = {n: p.read_text("utf-8") for n, p in self._sources.items() if p.suffix == ".js" and _ours(n)}
        try:
            self._owned = owners(self._scripts)
            for name in sorted(self._sources.keys() - self._owned.keys()):
                self._load(name)
        except BundleError as error:
            raise StaticError(str(error)) from None
        self._scripts.clear()

    def url(self, name: str) -> str:
        """The path of a file by its plain name. Raises StaticError."""
        if name in self._owned:
            raise StaticError(f"{name} is a part of {self._owned[name]}")
        try:
            return PREFIX + self._hashed[name]
        except KeyError:
            raise StaticError(f"there is no static file {name}") from None

    def find(self, hashed: str) -> Asset | None:
        """The file of a hashed name."""
        return self._assets.get(hashed)

    def text(self, name: str) -> str:
        """What a file says. Raises StaticError."""
        return self._assets[self.url(name).removeprefix(PREFIX)].plain.decode()

    def names(self) -> tuple[str, ...]:
        """Every file by its plain name."""
        return tuple(sorted(self._hashed))

    def map_of(self, names: Sequence[str]) -> str:
        """Paths by plain name, as JSON for a data attribute."""
        return json.dumps({name: self.url(name) for name in names}, separators=(",", ":"))

    def _collect(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.suffix not in TYPES or not path.is_file():
                continue
            name = path.relative_to(folder).as_posix()
            if name in self._sources:
                raise StaticError(f"two static files are called {name}")
            self._sources[name] = path

    def _load(self, name: str) -> str:
        """Read a file and those it refers to; returns its hashed name."""
        if name in self._hashed:
            return self._hashed[name]
        path = self._sources.get(name)
        if path is None:
            raise StaticError(f"there is no static file {name}")
        if name in self._open:
            raise StaticError(f"static files refer to each other in a circle: {name}")
        self._open.add(name)
        data = self._resolved(name, path.read_bytes())
        self._open.discard(name)
        stem, suffix = name.rsplit(".", 1)
        hashed = f"{stem}.{hashlib.sha256(data).hexdigest()[:_DIGITS]}.{suffix}"
        packed = gzip.compress(data, 9, mtime=0) if path.suffix in _SHRINKS else None
        if packed is not None and len(packed) >= len(data):
            packed = None
        self._assets[hashed] = Asset(name, TYPES[path.suffix], data, packed)
        self._hashed[name] = hashed
        return hashed

    def _resolved(self, name: str, data: bytes) -> bytes:
        """The file with what belongs into it, and with hashed names where it names others."""
        if not _ours(name):
            return data
        if name.endswith(".css"):
            return self._sheet(name, data.decode()).encode()
        if name.endswith(".js"):
            return bundle(name, self._scripts, self._owned, lambda one: PREFIX + self._load(one)).encode()
        return data

    def _sheet(self, name: str, text: str) -> str:
        text = _CSS_URL.sub(lambda m: f'url("{self._reference(name, m[1])}")', text)
        return _SHEET.sub(lambda m: self._inlined(name, m[1]), text)

    def _inlined(self, origin: str, target: str) -> str:
        """The text of a style sheet that another one takes in."""
        return self._assets[self._reference(origin, target).removeprefix(PREFIX)].plain.decode()

    def _reference(self, origin: str, target: str) -> str:
        parts = [*origin.split("/")[:-1]]
        for step in target.split("/"):
            if step == "..":
                if not parts:
                    raise StaticError(f"{origin} refers to {target}")
                parts.pop()
            elif step != ".":
                parts.append(step)
        return PREFIX + self._load("/".join(parts))
