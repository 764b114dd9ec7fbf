"""What a script knows while it runs: the message, the house around it, variables, flags, and what it may still cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from data.rules.sieve.actions import Action, Mark
from data.rules.sieve.check import Op, Value
from data.rules.sieve.errors import RunError
from data.rules.sieve.matching import Matcher, Purse
from data.rules.sieve.message import Message
from data.rules.sieve.text import Template

STEPS_MOST = 10_000
WORK_MOST = 20_000_000
"""Characters that the comparisons of one run may look at."""
VARIABLES_MOST = 128
VARIABLE_MOST = 4096
"""Characters one variable holds; the rest is cut off (RFC 5229 §4)."""
FLAGS_MOST = 100

_SYSTEM = {flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
_KEYWORD = re.compile(r"[!#$&\'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,100}\Z")


class World(Protocol):
    """The house as a script may ask it."""

    def mailbox_exists(self, name: str) -> bool:
        """Whether there is such a mailbox, and it may be filed into."""
        ...

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        """Whether a mailbox (that one) has the special use."""
        ...

    def seen(self, key: str) -> bool:
        """Whether a message was marked with this key, and still is."""
        ...


class Nowhere:
    """A house with INBOX alone that has seen nothing."""

    def mailbox_exists(self, name: str) -> bool:
        return name.upper() == "INBOX"

    def special_use_exists(self, use: str, mailbox: str | None) -> bool:
        return False

    def seen(self, key: str) -> bool:
        return False


class Running:
    """The state of one run."""

    __slots__ = ("actions", "flags", "keep", "label", "marks", "matched", "message", "purse", "variables", "world")

    def __init__(self, message: Message, world: World) -> None:
        self.message = message
        self.world = world
        self.purse = Purse(STEPS_MOST, WORK_MOST)
        self.variables: dict[str, str] = {}
        self.matched: tuple[str, ...] = ()
        self.flags: tuple[str, ...] = ()
        self.actions: list[Action] = []
        self.marks: list[Mark] = []
        self.keep = True
        self.label = ""

    # --- strings ------------------------------------------------------------------------------------------------------

    def text(self, value: Value) -> str:
        """A string with its variables put in."""
        if isinstance(value, Template):
            text = value.expand(self._variable)
            self.purse.look(len(text))
            return text
        assert isinstance(value, str)
        return value

    def texts(self, value: Value) -> list[str]:
        """A list of them."""
        assert isinstance(value, tuple)
        return [self.text(one) for one in value]

    def _variable(self, name: str) -> str:
        if name.isdigit():
            number = int(name)
            return self.matched[number] if number < len(self.matched) else ""
        return self.variables.get(name, "")

    def set_variable(self, name: str, value: str) -> None:
        """Remember a value."""
        if name not in self.variables and len(self.variables) >= VARIABLES_MOST:
            raise RunError("rules.variables")
        self.variables[name] = value[:VARIABLE_MOST]

    # --- comparing ------------------------------------------------------------------------------------------------------

    def matches(self, op: Op, values: Sequence[str], keys: Value, *, keeps: bool = True) -> bool:
        """Whether a value matches a key as the test's tags say; `keeps`: what wildcards stood for is remembered."""
        matcher = matcher_of(self, op)
        found = matcher.first(values, self.texts(keys), self.purse)
        if found is None:
            return False
        if keeps and matcher.kind == "matches":
            self.matched = found
        return True

    # --- flags ----------------------------------------------------------------------------------------------------------

    def flags_of(self, value: Value) -> tuple[str, ...]:
        """The flags in a list of strings, each once; what is no flag is left out (RFC 5232 §2)."""
        return flags_in(self.texts(value))


def matcher_of(run: Running, op: Op) -> Matcher:
    """How a test compares."""
    kind = next((tag for tag in ("contains", "matches", "count", "value") if tag in op.tags), "is")
    relation = run.text(op.tags[kind]).lower() if kind in ("count", "value") else ""
    given = op.tags.get("comparator")
    return Matcher(kind, given if isinstance(given, str) else "i;ascii-casemap", relation)


def flags_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Flags and keywords out of strings that may hold several each."""
    found: dict[str, str] = {}
    for text in texts:
        for word in text.split():
            flag = _SYSTEM.get(word.lower()) or (word if _KEYWORD.match(word) else None)
            if flag is not None and len(found) < FLAGS_MOST:
                found.setdefault(flag.lower(), flag)
    return tuple(found.values())
