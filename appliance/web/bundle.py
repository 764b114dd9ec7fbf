"""Our script modules put together, so that a page asks for one file and not for a dozen one after the other.

    owners(texts)                        which module goes into which: those that one page script alone reaches
    bundle(name, texts, owned, address)  the text of a page script with its own modules in it

Promises: the parts keep their order (what is imported runs first, once) and their own names: each becomes a function that
returns what it exports. A module that two page scripts reach stays a file of its own, for its state must be there once.
What this does not understand is an error at start, never a script that fails in a browser: our modules write
`import { a, b as c } from "./x.js";`, `import * as x from "./x.js";` or `import "./x.js";` on one line, and export
functions, classes and constants where they declare them.
May not: read files, or touch what is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from posixpath import dirname, join, normpath
from typing import Final

_IMPORT: Final = re.compile(
    r'^import (?:(?P<names>\{[^}\n]*\}|\* as [\w$]+) from )?"(?P<path>\.{1,2}/[^"\n]+)";[ \t]*$', re.M
)
_EXPORT: Final = re.compile(r"^export (?=(?:(?:async )?function\*?|class|const) ([A-Za-z_$][\w$]*))", re.M)
_LEFT: Final = re.compile(r"^[ \t]*(?:import\b[^(.\n]|export\b).*", re.M)
_AS: Final = re.compile(r"\bas\b")


class BundleError(RuntimeError):
    """A module is written in a way that cannot be put together, or modules import each other in a circle."""


def imports(name: str, text: str) -> tuple[str, ...]:
    """The modules that a module imports, in the order in which it does."""
    return tuple(_place(name, found["path"]) for found in _IMPORT.finditer(text))


def owners(texts: Mapping[str, str]) -> Mapping[str, str]:
    """For each module that goes into another: the one that holds it."""
    inner = {one for name, text in texts.items() for one in imports(name, text)}
    reached: dict[str, set[str]] = {}
    for root in sorted(set(texts) - inner):
        for name in _order(root, texts):
            reached.setdefault(name, set()).add(root)
    return {name: next(iter(roots)) for name, roots in reached.items() if len(roots) == 1 and name not in roots}


def bundle(name: str, texts: Mapping[str, str], owned: Mapping[str, str], address: Callable[[str], str]) -> str:
    """`address` gives the path of a module that stays outside. Raises BundleError."""
    inside = [one for one in _order(name, texts) if owned.get(one) == name]
    outside = sorted({two for one in (*inside, name) for two in imports(one, texts[one]) if owned.get(two) != name})
    names = {one: f"$m{number}" for number, one in enumerate((*outside, *inside))}
    parts = [f'import * as {names[one]} from "{address(one)}";' for one in outside]
    parts += [_wrapped(one, texts[one], names) for one in inside]
    return "\n".join((*parts, _bound(name, texts[name], names)))


def _wrapped(name: str, text: str, names: Mapping[str, str]) -> str:
    exported = ", ".join(found[1] for found in _EXPORT.finditer(text))
    body = _bound(name, _EXPORT.sub("", text), names)
    return f"const {names[name]} = (() => {{\n{body.rstrip()}\nreturn {{ {exported} }};\n}})();"


def _bound(name: str, text: str, names: Mapping[str, str]) -> str:
    """The text with its imports as constants."""

    def constant(found: re.Match[str]) -> str:
        given = found["names"]
        if given is None:
            return ""
        pattern = given.removeprefix("* as ") if given.startswith("*") else _AS.sub(":", given)
        return f"const {pattern} = {names[_place(name, found['path'])]};"

    body = _IMPORT.sub(constant, text)
    left = _LEFT.search(_EXPORT.sub("", body))
    if left:
        raise BundleError(f"{name}: cannot put together: {left[0].strip()[:80]}")
    return body


def _order(name: str, texts: Mapping[str, str]) -> Iterator[str]:
    """A module behind everything it imports; each once."""
    seen: set[str] = set()

    def walk(one: str, above: tuple[str, ...]) -> Iterator[str]:
        if one in above:
            raise BundleError(f"modules import each other in a circle: {one}")
        if one in seen or one not in texts:
            return
        for two in imports(one, texts[one]):
            yield from walk(two, (*above, one))
        seen.add(one)
        yield one

    return walk(name, ())


def _place(origin: str, target: str) -> str:
    return normpath(join(dirname(origin), target))
