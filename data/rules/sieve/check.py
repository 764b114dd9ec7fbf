"""From the grammar to a script that can run: every command, test, tag and argument is one that exists and fits.

Promises: what compiles does not fail for its form later; every refusal has its place. The compiled script is frozen and
may run in many threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data.mime.address import AddressError, mailboxes, normal, parse_list
from data.rules.sieve import words
from data.rules.sieve.errors import N_, SieveError, shown
from data.rules.sieve.lexer import Source
from data.rules.sieve.syntax import Argument, Command, Number, Strings, Tag, Test, parse
from data.rules.sieve.text import BadCharacter, Text, decoded, foreign, template
from data.rules.sieve.words import COMMANDS, NUMBER, STRING, STRINGS, TESTS, Spec, TagSpec

_WANTED = {
    NUMBER: N_('"%(name)s" needs a number here'),
    STRING: N_('"%(name)s" needs a string here'),
    STRINGS: N_('"%(name)s" needs a string or a list of strings here'),
}
Value = None | int | Text | tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """A command or test that fits its Spec. `tags` by name; `arguments` in order, those left out as None."""

    name: str
    line: int
    tags: Mapping[str, Value] = field(default_factory=dict)
    arguments: tuple[Value, ...] = ()
    tests: tuple[Op, ...] = ()
    branches: tuple[tuple[Op | None, tuple[Op, ...]], ...] = ()
    """Of `if`: each test with its block; None is `else`."""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A compiled script. `requires` is what it asked for; `rejects`: it may refuse a message."""

    commands: tuple[Op, ...]
    requires: frozenset[str]
    rejects: bool = False


def compile_script(data: bytes) -> Script:
    """Compile a script. Raises SieveError."""
    source = Source(data)
    return _Checker(source).script(parse(source))


class _Checker:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._requires: set[str] = set()
        self._rejects = False

    def script(self, commands: Sequence[Command]) -> Script:
        start = 0
        while start < len(commands) and commands[start].name == "require":
            self._require(commands[start])
            start += 1
        ops = self._block(commands[start:])
        return Script(ops, frozenset(self._requires), self._rejects)

    def _require(self, command: Command) -> None:
        self._shape(command, COMMANDS["require"])
        _, arguments = self._arguments(command.name, command.at, command.arguments, COMMANDS["require"])
        names = arguments[0]
        assert isinstance(names, tuple)
        for name in names:
            assert isinstance(name, str)
            if name not in words.EXTENSIONS and name not in words.BUILT_IN:
                raise self._error(command.at, N_('The extension "%(name)s" is not supported'), name=shown(name))
            self._requires.update((name, *words.IMPLIED.get(name, ())))

    def _block(self, commands: Sequence[Command]) -> tuple[Op, ...]:
        found: list[Op] = []
        at = 0
        while at < len(commands):
            command = commands[at]
            if command.name == "if":
                op, at = self._if(commands, at)
                found.append(op)
                continue
            found.append(self._command(command))
            at += 1
        return tuple(found)

    def _if(self, commands: Sequence[Command], at: int) -> tuple[Op, int]:
        first = commands[at]
        branches: list[tuple[Op | None, tuple[Op, ...]]] = []
        while at < len(commands):
            command = commands[at]
            if command.name not in (("elsif", "else") if branches else ("if",)):
                break
            self._shape(command, COMMANDS[command.name])
            self._arguments(command.name, command.at, command.arguments, COMMANDS[command.name])
            test = self._test(command.tests[0]) if command.tests else None
            branches.append((test, self._block(command.block or ())))
            at += 1
            if command.name == "else":
                break
        return Op("if", self._line(first.at), branches=tuple(branches), label=first.label), at

    def _command(self, command: Command) -> Op:
        if command.name in ("elsif", "else"):
            raise self._error(command.at, N_('"%(name)s" must follow "if" or "elsif"'), name=command.name)
        if command.name == "require":
            raise self._error(command.at, N_('"require" must come before everything else'))
        spec = COMMANDS.get(command.name)
        if spec is None:
            raise self._error(command.at, N_('There is no command "%(name)s"'), name=shown(command.name))
        self._shape(command, spec)
        self._needs(command.at, command.name, spec.needs)
        tags, arguments = self._arguments(command.name, command.at, command.arguments, spec)
        self._rejects = self._rejects or command.name in ("reject", "ereject")
        op = Op(command.name, self._line(command.at), tags, arguments, label=command.label)
        self._command_values(command, op)
        return op

    def _test(self, test: Test) -> Op:
        spec = TESTS.get(test.name)
        if spec is None:
            raise self._error(test.at, N_('There is no test "%(name)s"'), name=shown(test.name))
        self._needs(test.at, test.name, spec.needs)
        if (spec.tests >= 0 and len(test.tests) != spec.tests) or (spec.tests < 0 and not test.tests):
            raise self._error(test.at, N_('The tests that follow "%(name)s" are not as it wants them'), name=test.name)
        tags, arguments = self._arguments(test.name, test.at, test.arguments, spec)
        op = Op(test.name, self._line(test.at), tags, arguments, tuple(self._test(one) for one in test.tests))
        self._test_values(test, op)
        return op

    # --- shape ------------------------------------------------------------------------------------------------------

    def _shape(self, command: Command, spec: Spec) -> None:
        if spec.block and command.block is None:
            raise self._error(command.at, N_('"%(name)s" needs a block in braces'), name=command.name)
        if not spec.block and command.block is not None:
            raise self._error(command.at, N_('"%(name)s" takes no block'), name=command.name)
        if command.tests and not spec.tests:
            raise self._error(command.tests[0].at, N_('"%(sign)s" is missing before this'), sign=";")
        if len(command.tests) != spec.tests:
            raise self._error(
                command.at, N_('The tests that follow "%(name)s" are not as it wants them'), name=command.name
            )

    def _arguments(
        self, name: str, at: int, given: Sequence[Argument], spec: Spec
    ) -> tuple[dict[str, Value], tuple[Value, ...]]:
        tags: dict[str, Value] = {}
        groups: set[str] = set()
        rest: list[Number | Strings] = []
        position = 0
        while position < len(given):
            one = given[position]
            position += 1
            if not isinstance(one, Tag):
                rest.append(one)
                continue
            if rest:
                raise self._error(one.at, N_('":%(tag)s" must stand before the other arguments'), tag=shown(one.name))
            tag = self._tag(name, one, spec, groups)
            tags[one.name] = None
            if tag.value is not None:
                following = given[position] if position < len(given) else None
                tags[one.name] = self._value(f":{one.name}", one.at, following, tag.value)
                position += 1
        return tags, self._positional(name, at, rest, spec)

    def _tag(self, name: str, one: Tag, spec: Spec, groups: set[str]) -> TagSpec:
        tag = spec.tags.get(one.name)
        if tag is None:
            raise self._error(one.at, N_('"%(name)s" does not know ":%(tag)s"'), name=name, tag=shown(one.name))
        self._needs(one.at, f":{one.name}", tag.needs)
        if tag.group in groups:
            raise self._error(one.at, N_('":%(tag)s" does not go with a tag before it'), tag=one.name)
        groups.add(tag.group)
        return tag

    def _positional(self, name: str, at: int, given: Sequence[Number | Strings], spec: Spec) -> tuple[Value, ...]:
        missing = len(spec.arguments) - len(given)
        if missing < 0 or missing > spec.optional:
            raise self._error(
                at, N_('"%(name)s" takes %(count)s arguments'), name=name, count=len(spec.arguments) - spec.optional
            )
        kinds = spec.arguments[missing:]
        values = [self._value(name, at, one, kind) for one, kind in zip(given, kinds, strict=True)]
        return (*(None for _ in range(missing)), *values)

    def _value(self, name: str, at: int, given: Argument | None, kind: str) -> Value:
        if kind == NUMBER and isinstance(given, Number):
            return given.value
        if isinstance(given, Strings):
            if kind == STRING and not given.listed:
                return self._text(given.at, given.values[0])
            if kind == STRINGS:
                return tuple(self._text(given.at, one) for one in given.values)
        raise self._error(given.at if given is not None else at, _WANTED[kind], name=name)

    def _text(self, at: int, text: str) -> Text:
        if "${" not in text:
            return text
        if "encoded-character" in self._requires:
            try:
                text = decoded(text)
            except BadCharacter as error:
                raise self._error(at, N_('"%(word)s" is not a character'), word=shown(str(error))) from None
        if "variables" not in self._requires:
            return text
        if (name := foreign(text)) is not None:
            raise self._error(at, N_('There is no variable "%(name)s"'), name=shown(name))
        return template(text)

    # --- values -----------------------------------------------------------------------------------------------------

    def _command_values(self, command: Command, op: Op) -> None:
        match op.name:
            case "redirect":
                self._require_address(command.at, op.arguments[0])
            case "vacation" if isinstance(op.tags.get("from"), str):
                self._require_from(command.at, op.tags["from"])
            case "set" | "setflag" | "addflag" | "removeflag":
                self._require_name(command, op.arguments[0])

    def _require_address(self, at: int, address: Value) -> None:
        if isinstance(address, str):
            try:
                normal(address)
            except AddressError as error:
                raise self._error(
                    at, N_('"%(address)s" is not an address that mail can be sent to'), address=shown(address)
                ) from error

    def _require_from(self, at: int, given: Value) -> None:
        assert isinstance(given, str)
        found = list(mailboxes(parse_list(given, 2)))
        self._require_address(at, found[0].spec if len(found) == 1 else given)

    def _require_name(self, command: Command, name: Value) -> None:
        if name is None:
            return
        self._needs(command.at, command.name, "variables")
        if not isinstance(name, str) or not _is_name(name):
            raise self._error(command.at, N_("That is not the name of a variable"))

    def _test_values(self, test: Test, op: Op) -> None:
        self._comparator(test, op)
        for tag in ("count", "value"):
            relation = op.tags.get(tag)
            if tag in op.tags and not (isinstance(relation, str) and relation.lower() in words.RELATIONS):
                raise self._error(test.at, N_('":%(tag)s" needs gt, ge, lt, le, eq or ne'), tag=tag)
        if "last" in op.tags and op.name != "duplicate" and "index" not in op.tags:
            raise self._error(test.at, N_('":last" needs ":index"'))
        if op.name == "size" and not op.tags:
            raise self._error(test.at, N_('"size" needs ":over" or ":under"'))
        if op.name == "hasflag" and op.arguments[0] is not None:
            self._needs(test.at, test.name, "variables")
        if op.name in ("date", "currentdate"):
            self._one_of(test.at, op.arguments[-2], words.DATE_PARTS, N_('"%(word)s" is not a part of a date'))
        if op.name == "envelope":
            parts = op.arguments[0]
            for part in parts if isinstance(parts, tuple) else ():
                self._one_of(test.at, part, words.ENVELOPE_PARTS, N_('"%(word)s" is not a part of the envelope'))

    def _one_of(self, at: int, given: Value, known: frozenset[str], text: str) -> None:
        """A constant must be known now; what a variable brings is seen when it runs."""
        if isinstance(given, str) and given.lower() not in known:
            raise self._error(at, text, word=shown(given))

    def _comparator(self, test: Test, op: Op) -> None:
        if "comparator" not in op.tags:
            return
        name = op.tags["comparator"]
        if not isinstance(name, str) or name not in words.COMPARATORS:
            text = name if isinstance(name, str) else "${}"
            raise self._error(test.at, N_('The comparator "%(name)s" is not supported'), name=shown(text))
        self._needs(test.at, name, words.COMPARATORS[name])
        if name == "i;ascii-numeric" and ("contains" in op.tags or "matches" in op.tags):
            raise self._error(test.at, N_("Numbers cannot be compared by :contains or :matches"))

    # --- errors -----------------------------------------------------------------------------------------------------

    def _needs(self, at: int, name: str, extension: str | None) -> None:
        if extension is not None and extension not in self._requires:
            raise self._error(
                at, N_('"%(name)s" needs: require "%(extension)s";'), name=shown(name), extension=extension
            )

    def _error(self, at: int, text: str, **params: str | int) -> SieveError:
        return self._source.error(at, text, **params)

    def _line(self, at: int) -> int:
        return self._source.place(at)[0]


def _is_name(text: str) -> bool:
    """RFC 5229 §3: an identifier."""
    return text.isascii() and text.isidentifier()
