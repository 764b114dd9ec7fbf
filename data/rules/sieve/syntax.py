"""The grammar of a script (RFC 5228 §8.2): commands, arguments, tests and blocks, whatever they are called.

Promises: one pass, a nesting of at most 32, at most 500 commands; what is refused is refused with its place. May not:
know which commands and tests there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.rules.sieve.errors import N_, SieveError, shown
from data.rules.sieve.lexer import Kind, Source, Token, tokens

NESTING_MOST = 32
COMMANDS_MOST = 500


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged argument's tag."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: int
    at: int


@dataclass(frozen=True, slots=True)
class Strings:
    """A string, or a list of them in brackets (`listed`)."""

    values: tuple[str, ...]
    at: int
    listed: bool = False


Argument = Tag | Number | Strings


@dataclass(frozen=True, slots=True)
class Test:
    """A test as written."""

    name: str
    at: int
    arguments: tuple[Argument, ...]
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command as written; `block` is None where it ended in a semicolon."""

    name: str
    at: int
    arguments: tuple[Argument, ...]
    tests: tuple[Test, ...]
    block: tuple[Command, ...] | None
    label: str


def parse(source: Source) -> tuple[Command, ...]:
    """The commands of a script. Raises SieveError."""
    return _Parser(source).script()


class _Parser:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._token = next(self._tokens)
        self._commands = 0

    def script(self) -> tuple[Command, ...]:
        found = self._several(0)
        if self._token.kind is not Kind.END:
            raise self._unexpected()
        return found

    def _several(self, depth: int) -> tuple[Command, ...]:
        found = []
        while self._token.kind is Kind.IDENTIFIER:
            found.append(self._command(depth))
        return tuple(found)

    def _command(self, depth: int) -> Command:
        start = self._next()
        self._commands += 1
        if self._commands > COMMANDS_MOST:
            raise self._source.error(start.at, N_("The script has more than %(most)s commands"), most=COMMANDS_MOST)
        arguments, tests = self._arguments(depth)
        block: tuple[Command, ...] | None = None
        if self._is("{"):
            self._deeper(depth)
            self._next()
            block = self._several(depth + 1)
            self._expect("}")
        else:
            self._expect(";", missing=True)
        return Command(start.text, start.at, arguments, tests, block, start.label)

    def _arguments(self, depth: int) -> tuple[tuple[Argument, ...], tuple[Test, ...]]:
        found: list[Argument] = []
        while (argument := self._argument()) is not None:
            found.append(argument)
        if self._token.kind is Kind.IDENTIFIER:
            return tuple(found), (self._test(depth),)
        if self._is("("):
            return tuple(found), self._test_list(depth)
        return tuple(found), ()

    def _argument(self) -> Argument | None:
        token = self._token
        if token.kind is Kind.TAG:
            self._next()
            return Tag(token.text, token.at)
        if token.kind is Kind.NUMBER:
            self._next()
            return Number(token.number, token.at)
        if token.kind is Kind.STRING:
            self._next()
            return Strings((token.text,), token.at)
        return self._string_list() if self._is("[") else None

    def _string_list(self) -> Strings:
        at = self._next().at
        values = [self._string()]
        while self._is(","):
            self._next()
            values.append(self._string())
        self._expect("]")
        return Strings(tuple(values), at, listed=True)

    def _string(self) -> str:
        if self._token.kind is not Kind.STRING:
            raise self._unexpected()
        return self._next().text

    def _test(self, depth: int) -> Test:
        self._deeper(depth)
        if self._token.kind is not Kind.IDENTIFIER:
            raise self._unexpected()
        start = self._next()
        arguments, tests = self._arguments(depth + 1)
        return Test(start.text, start.at, arguments, tests)

    def _test_list(self, depth: int) -> tuple[Test, ...]:
        self._next()
        found = [self._test(depth)]
        while self._is(","):
            self._next()
            found.append(self._test(depth))
        self._expect(")")
        return tuple(found)

    # --- tokens -----------------------------------------------------------------------------------------------------

    def _next(self) -> Token:
        token = self._token
        if token.kind is not Kind.END:
            self._token = next(self._tokens)
        return token

    def _is(self, sign: str) -> bool:
        return self._token.kind is Kind.SIGN and self._token.text == sign

    def _expect(self, sign: str, *, missing: bool = False) -> None:
        if not self._is(sign):
            if missing and self._token.kind is not Kind.SIGN:
                raise self._source.error(self._token.at, N_('"%(sign)s" is missing before this'), sign=sign)
            raise self._unexpected()
        self._next()

    def _deeper(self, depth: int) -> None:
        if depth >= NESTING_MOST:
            raise self._source.error(self._token.at, N_("Nested more than %(most)s deep"), most=NESTING_MOST)

    def _unexpected(self) -> SieveError:
        token = self._token
        if token.kind is Kind.END:
            return self._source.error(token.at, N_("The script ends too early"))
        word = str(token.number) if token.kind is Kind.NUMBER else token.text
        return self._source.error(token.at, N_('"%(word)s" does not belong here'), word=shown(word))
