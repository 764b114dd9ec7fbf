"""Sieve: a script compiles or is a SieveError; what compiles ends within its bounds, whatever the message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data.rules.sieve import state
from data.rules.sieve.check import Script, compile_script
from data.rules.sieve.errors import SieveError
from data.rules.sieve.matching import Matcher, Pattern, Purse
from data.rules.sieve.message import Envelope, of_octets
from data.rules.sieve.run import run
from data.rules.sieve.words import COMMANDS, EXTENSIONS, TESTS
from tests.sieve_cases import NOW, House, cases, octets

_REQUIRE = "require [" + ", ".join(f'"{name}"' for name in EXTENSIONS) + "];\n"
_TAGS = sorted({tag for spec in (*COMMANDS.values(), *TESTS.values()) for tag in spec.tags})
_words = st.sampled_from(
    [
        *COMMANDS, *TESTS, *(f":{tag}" for tag in _TAGS), "{", "}", "(", ")", "[", "]", ",", ";", ";", "true", "3", "1K",
        '"a"', '"${a}"', '"${1}"', '"*?*"', '"subject"', '"gt"', '"i;octet"', '["from", "to"]', "text:\r\nx\r\n.\r\n",
        "/* x */", "# x\r\n", '"a@example.org"', '"date"', '"year"',
    ]
)  # fmt: skip
_soup = st.lists(_words, max_size=40).map(lambda words: _REQUIRE + " ".join(words))
_mutated = st.builds(
    lambda script, at, piece: script[: at % (len(script) + 1)] + piece + script[at % (len(script) + 1) :],
    st.sampled_from([case.script for case in cases()]),
    st.integers(0, 400),
    st.sampled_from(["", '"', "\\", "{", "}", ";", "\r\n.\r\n", ":", "${", "\0", "9" * 30]) | st.text(max_size=5),
)


def _compiled(data: bytes) -> Script | None:
    try:
        return compile_script(data)
    except SieveError as error:
        assert error.public
        assert error.line >= 0
        assert "\n" not in error.public
        return None


def _run(script: Script, name: str = "plain") -> None:
    message = of_octets(octets(name), Envelope("dora@example.org", "ann@example.test"), NOW)
    done = run(script, message, House())
    assert done.actions


@given(st.binary(max_size=400))
def test_octets(data: bytes) -> None:
    _compiled(data)


@given(_soup)
def test_words_in_any_order(script: str) -> None:
    compiled = _compiled(script.encode())
    if compiled is not None:
        _run(compiled)


@given(_mutated, st.sampled_from(["plain", "words", "parts", "bare"]))
def test_scripts_with_an_accident(script: str, name: str) -> None:
    compiled = _compiled(script.encode("utf-8", "replace"))
    if compiled is not None:
        _run(compiled, name)


@given(st.sampled_from([case.script for case in cases()]), st.binary(max_size=500))
def test_any_message(script: str, octets_: bytes) -> None:
    message = of_octets(octets_, Envelope("", "ann@example.test"), NOW)
    assert run(compile_script(script.encode()), message, House()).actions


_kinds = st.sampled_from(
    ["false", 'header :contains "a" "b"', 'not header :matches "subject" "*"', "anyof (false, false)"]
)


@given(st.lists(st.tuples(_kinds, st.integers(1, 3000)), min_size=1, max_size=8))
def test_never_more_steps_than_the_bound(tests: list[tuple[str, int]]) -> None:
    script = "".join(f"if anyof ({', '.join([kind] * count)}) {{ keep; }}" for kind, count in tests)
    compiled = _compiled(script.encode())
    if compiled is None:
        return
    counted: list[int] = []

    class Counting(Purse):
        def step(self) -> None:
            counted.append(1)
            super().step()

    before, state.Purse = state.Purse, Counting  # type: ignore[misc]
    try:
        _run(compiled)
    finally:
        state.Purse = before  # type: ignore[misc]
    assert len(counted) <= state.STEPS_MOST + 1


_pieces = st.lists(st.sampled_from(["*", "?", "a", "b", "\\*", "\\?", "\\\\"]), max_size=8).map("".join)


@given(_pieces, st.text(alphabet="ab*?\\", max_size=12))
def test_matches_agrees_with_the_plain_definition(pattern: str, text: str) -> None:
    """Against the definition, which goes back and forth."""
    assert (Pattern.of(pattern).spans(text) is not None) == _matches(pattern, text)


@given(_pieces, st.text(alphabet="ab", max_size=12))
def test_what_wildcards_stand_for_makes_the_text_again(pattern: str, text: str) -> None:
    found = Matcher("matches", "i;octet").first([text], [pattern], Purse(1, 10_000))
    if found is None:
        return
    stood = iter(found[1:])
    out, at = "", 0
    while at < len(pattern) and pattern.count("*") + pattern.count("?") < 9:
        if pattern[at] in "*?":
            out += next(stood)
        else:
            at += pattern[at] == "\\"
            out += pattern[at]
        at += 1
    assert at < len(pattern) or out == text


def _matches(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_matches(pattern[1:], text[at:]) for at in range(len(text) + 1))
    if pattern[0] == "?":
        return bool(text) and _matches(pattern[1:], text[1:])
    skip = 2 if pattern[0] == "\\" and len(pattern) > 1 else 1
    return text[:1] == pattern[skip - 1] and _matches(pattern[skip:], text[1:])
