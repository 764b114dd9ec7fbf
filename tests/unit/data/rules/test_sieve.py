"""The Sieve interpreter held against its case tables; its bounds; its errors."""

from __future__ import annotations

import dataclasses
import time

import pytest

from data.rules.sieve import words
from data.rules.sieve.actions import Actions, FileInto, Keep
from data.rules.sieve.check import compile_script
from data.rules.sieve.errors import SieveError
from data.rules.sieve.run import run
from tests.sieve_cases import Case, House, cases, errors, message, written


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_case(case: Case) -> None:
    done = run(compile_script(case.script.encode()), message(case), House())
    assert written(done) == sorted(case.expect)
    assert done.failure == case.failure


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_case_with_crlf(case: Case) -> None:
    """Line ends of a script are the same however they are written."""
    done = run(compile_script(case.script.replace("\n", "\r\n").encode()), message(case), House())
    assert written(done) == sorted(case.expect)


@pytest.mark.parametrize("case", errors(), ids=lambda case: case.id)
def test_refused(case: Case) -> None:
    with pytest.raises(SieveError) as caught:
        compile_script(case.script.encode())
    assert (caught.value.line, caught.value.column) == case.at
    assert case.says in caught.value.public


def test_white_space_of_no_kind_that_is_known_is_named() -> None:
    with pytest.raises(SieveError) as caught:
        compile_script(b"\x0b")
    assert (caught.value.line, caught.value.column) == (1, 1)


def test_every_command_test_and_extension_has_a_case() -> None:
    texts = " ".join(case.script.lower() for case in cases())
    for name in (*words.COMMANDS, *words.TESTS, *words.EXTENSIONS):
        assert name in texts, name
    for spec in (*words.COMMANDS.values(), *words.TESTS.values()):
        for tag in spec.tags:
            assert f":{tag}" in texts, tag


def _runs(script: str, case: Case | None = None) -> Actions:
    return run(compile_script(script.encode()), message(case or Case("", "", script)), House())


def _refused(script: bytes) -> str:
    with pytest.raises(SieveError) as caught:
        compile_script(script)
    return caught.value.public


def test_bounds_of_a_script() -> None:
    assert "65536 octets" in _refused(b"#" * 65_537)
    compile_script(b"#" * 65_536)
    deep = "if true { " * 32 + "keep;" + "}" * 32
    assert written(_runs(deep)) == ["keep"]
    assert "32 deep" in _refused(("if true { " * 33 + "}" * 33).encode())
    assert "32 deep" in _refused(b"if " + b"not " * 5_000 + b"true {}")
    assert "32 deep" in _refused(b"if " + b"anyof (" * 5_000)
    assert "500 commands" in _refused(b"keep;" * 501)
    compile_script(b"keep;" * 500)
    assert "UTF-8" in _refused(b'redirect "\xff";')
    assert "NUL" in _refused(b"keep;\0")


def test_the_place_of_bad_octets() -> None:
    with pytest.raises(SieveError) as caught:
        compile_script(b'keep;\r\n  "\xff"')
    assert (caught.value.line, caught.value.column) == (2, 4)


def test_a_run_ends_within_its_steps() -> None:
    tests = ",".join(["false"] * 5_000)
    heavy = f"if anyof ({tests}) {{ discard; }}" * 2
    # more than 10 000 tests: the message is kept, whatever was said before
    done = _runs("discard;" + heavy)
    assert done.failure == "rules.steps"
    assert written(done) == ["keep"]
    # as many as are allowed
    assert _runs(f"if anyof ({tests}) {{ discard; }}").failure is None


def test_matching_is_linear_and_paid_for() -> None:
    """Patterns that make a matcher go back and forth end soon, or end the script."""
    began = time.process_time()
    text = "a" * 4096
    stars = "*a" * 1500
    blown = (
        'require "variables"; set "t" "' + text + '"; '
        + "".join(f'if string :matches "${{t}}" "{stars}b" {{ discard; }}' for _ in range(10))
    )  # fmt: skip
    assert _runs(blown).failure is None
    marks = '"' + "*?a?b" * 700 + 'c"'
    blown = (
        'require "variables"; set "t" "'
        + text
        + f'"; if string :matches "${{t}}" [{",".join([marks] * 16)}] {{ discard; }}'
    )
    assert _runs(blown).failure == "rules.work"
    keys = ",".join(f'"{number}x"' for number in range(6_000))
    body = dataclasses.replace(Case("", "", ""), message="plain")
    many = f'require "variables"; set "t" "{text}"; if string :contains "${{t}}" [{keys}] {{ discard; }}'
    assert _runs(many, body).failure == "rules.work"
    # generous: the work that was allowed is well below a second
    assert time.process_time() - began < 10


def test_variables_are_bounded() -> None:
    grow = 'require ["variables", "fileinto"]; set "a" "0123456789";' + 'set "a" "${a}${a}${a}${a}";' * 20
    done = _runs(grow + 'fileinto "${a}";')
    (filed,) = done.actions
    assert isinstance(filed, FileInto)
    assert len(filed.mailbox) == 4096
    many = 'require "variables";' + "".join(f'set "v{n}" "x";' for n in range(129))
    assert _runs(many).failure == "rules.variables"
    # many references to a large value: the string is cut, the script goes on
    wide = 'require ["variables", "fileinto"]; set "a" "' + "x" * 4000 + '"; fileinto "' + "${a}" * 5_000 + '";'
    (filed,) = _runs(wide).actions
    assert isinstance(filed, FileInto)
    assert len(filed.mailbox) == 32 * 1024


def test_many_mailboxes_are_too_many() -> None:
    script = 'require "fileinto";' + "".join(f'fileinto "b{n}";' for n in range(21))
    done = _runs(script)
    assert done.failure == "rules.filed.many"
    assert done.actions == (Keep(implicit=True),)


def test_a_rule_has_a_name_and_a_line() -> None:
    script = """require "fileinto";
# rule:[From the shop]
if header :contains "subject" "minutes" {
    fileinto "Shop";
}
# rule:[Never]
if false { discard; }
"""
    (filed,) = _runs(script).actions
    assert isinstance(filed, FileInto)
    assert (filed.label, filed.line) == ("From the shop", 4)


def test_the_text_of_an_error_is_a_template() -> None:
    with pytest.raises(SieveError) as caught:
        compile_script(b"\r\nlevitate;")
    assert caught.value.text == 'There is no command "%(name)s"'
    assert caught.value.params == {"name": "levitate"}
    assert caught.value.placed == 'line 2, column 1: There is no command "levitate"'


def test_words_of_the_script_are_cut_before_they_are_shown() -> None:
    assert len(_refused(b"x" * 5_000 + b";")) < 150
    assert "\r" not in _refused(b'require "a\r\nb";')


def test_a_compiled_script_knows_whether_it_rejects() -> None:
    assert compile_script(b'require "reject"; if false { reject "x"; }').rejects
    assert not compile_script(b"keep;").rejects
