"""What can be wrong with a script: a text that may be told to anybody, where it is, and what it is about.

`text` is a template marked for translation, `params` what goes into it; `public` is the English sentence. Words of the
script that appear in a text are cut short and hold no control characters.
"""

from __future__ import annotations

from collections.abc import Mapping

_SHOWN = 60


def N_(message: str) -> str:
    """Mark `message` for translation where it is written; it is looked up where it is shown."""
    return message


def shown(word: str) -> str:
    """A word of the script, fit to be shown in a sentence."""
    plain = "".join(char if char.isprintable() else " " for char in word[: _SHOWN + 1])
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"


class SieveError(Exception):
    """A script that cannot be taken. `line` and `column` count from 1; both are 0 where there is no one place."""

    def __init__(
        self, text: str, params: Mapping[str, str | int] | None = None, *, line: int = 0, column: int = 0
    ) -> None:
        self.text = text
        self.params = dict(params or {})
        self.line = line
        self.column = column
        super().__init__(self.public)

    @property
    def public(self) -> str:
        """What is wrong, in English, without the place."""
        return self.text % self.params if self.params else self.text

    @property
    def placed(self) -> str:
        """What is wrong and where, in English."""
        return f"line {self.line}, column {self.column}: {self.public}" if self.line else self.public


class RunError(Exception):
    """A script that went wrong while it ran: the message is kept. `code` goes into a Reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
