"""Fields of a form: read once, bounded, with what is wrong in words.

    form = Form(request.form)
    name = form.text("name", most=200, required=True)
    if form.good: ...
    return page("admin/account.html", form=form), 422

Promises: a field is text without control characters and within its bound, or it has an error; errors are texts marked for
translation with their parameters. What was typed is shown again, passwords never. Templates draw a field by `parts.field`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.i18n import N_
from data.errors import StoreError

_LINES: Final = frozenset("\n\r\t")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a field: a text marked by `N_` and its parameters."""

    text: str
    params: Mapping[str, object] = field(default_factory=dict)


class Form:
    """The fields of one submitted form, or of an empty one."""

    def __init__(self, given: Mapping[str, str] | None = None, **defaults: str) -> None:
        """`given` is what was submitted; `defaults` what an empty form shows."""
        self._given = given
        self.values: dict[str, str] = dict(defaults)
        self.errors: dict[str, Wrong] = {}

    @property
    def good(self) -> bool:
        """Nothing is wrong so far."""
        return not self.errors

    def text(self, name: str, *, most: int = 200, required: bool = False, lines: bool = False) -> str:
        """A field as it was typed, blanks around it taken away."""
        value = self._raw(name).replace("\r\n", "\n").strip()
        self.values[name] = value[:most]
        if len(value) > most:
            self.refuse(name, N_("At most %(most)s characters."), most=most)
        elif any((c < " " or c == "\x7f") and not (lines and c in _LINES) for c in value):
            self.refuse(name, N_("Control characters are not allowed here."))
        elif required and not value:
            self.refuse(name, N_("This is needed."))
        return value if name not in self.errors else ""

    def secret(self, name: str, *, most: int = 1024) -> str:
        """A password, exactly as it was typed; never shown again."""
        value = self._raw(name)
        if not value:
            self.refuse(name, N_("This is needed."))
        elif len(value) > most:
            self.refuse(name, N_("At most %(most)s characters."), most=most)
        return value if name not in self.errors else ""

    def choice(self, name: str, *options: str) -> str:
        """One of the options; the first where nothing (or something else) was chosen."""
        value = self._raw(name)
        self.values[name] = value if value in options else options[0]
        return self.values[name]

    def flag(self, name: str) -> bool:
        """A box that was ticked."""
        on = self._raw(name) in {"1", "on", "true", "yes"}
        self.values[name] = "1" if on else ""
        return on

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.text(name, most=20, required=True)
        digits = value if value.isascii() and value.isdigit() else ""
        if name not in self.errors and not (digits and least <= int(digits) <= most):
            self.refuse(name, N_("A whole number from %(least)s to %(most)s."), least=least, most=most)
        return int(digits) if name not in self.errors else least

    def refuse(self, name: str, text: str, **params: object) -> None:
        """Say what is wrong with a field; the first word stands."""
        self.errors.setdefault(name, Wrong(text, params))

    def refused(self, name: str, error: StoreError) -> None:
        """The store said no: its public text stands at a field."""
        self.refuse(name, error.public)

    def _raw(self, name: str) -> str:
        return (self._given.get(name) or "") if self._given is not None else ""
