"""The form of the webmail as Sieve: it compiles whatever a form holds, and does what the form says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import Invalid
from data.ids import Millis
from data.rules.generate import ATTACHMENT, away_script, blocked_script, rules_script
from data.rules.model import (
    HOWS,
    Away,
    Condition,
    Personal,
    Rule,
    RuleAction,
    check_personal,
    check_rules,
    personal_from_json,
    personal_to_json,
    rules_from_json,
    rules_to_json,
)
from data.rules.sieve.actions import FileInto
from data.rules.sieve.check import compile_script
from data.rules.sieve.message import Envelope, of_octets
from data.rules.sieve.run import run
from tests.sieve_cases import NOW, RECIPIENT, SENDER, House, octets, written

STOP = RuleAction("stop")


def _done(
    script: str | None, name: str = "plain", *, sender: str = SENDER, now: int = NOW, attached: str = "no"
) -> list[str]:
    assert script is not None
    message = of_octets(octets(name), Envelope(sender, RECIPIENT), Millis(now))
    message.environment[ATTACHMENT] = attached
    done = run(compile_script(script.encode()), message, House())
    assert done.failure is None
    return written(done)


def _rule(*conditions: Condition, does: tuple[RuleAction, ...] = (RuleAction("move", "X"),), every: bool = True) -> str:
    return rules_script(check_rules((Rule("r", conditions, does, every),)))


@pytest.mark.parametrize(
    ("condition", "name", "holds"),
    [
        (Condition("from", "contains", "DORA@"), "plain", True),
        (Condition("from", "not_contains", "dora@"), "plain", False),
        (Condition("from", "contains", "Jürgen"), "words", True),
        (Condition("to", "contains", "carl@example.net"), "plain", True),
        (Condition("subject", "is", "minutes of the *meeting*"), "plain", True),
        (Condition("subject", "is_not", "minutes of the *meeting*"), "plain", False),
        (Condition("subject", "starts", "minutes"), "plain", True),
        (Condition("subject", "starts", "*"), "plain", False),
        (Condition("subject", "ends", "*meeting*"), "plain", True),
        (Condition("subject", "ends", "*minutes*"), "plain", False),
        (Condition("subject", "ends", 'say "no" \\'), "plain", False),
        (Condition("body", "contains", "the minutes"), "plain", True),
        (Condition("list", "contains", "walkers.lists"), "list", True),
        (Condition("list", "contains", "walkers.lists"), "plain", False),
        (Condition("size", "over", "100"), "plain", True),
        (Condition("size", "under", "100"), "plain", False),
        (Condition("attachment", "no"), "plain", True),
        (Condition("attachment", "yes"), "plain", False),
    ],
)
def test_conditions(condition: Condition, name: str, holds: bool) -> None:
    assert _done(_rule(condition), name) == (["fileinto X +create"] if holds else ["keep"])


def test_all_or_any() -> None:
    yes, no = Condition("subject", "contains", "minutes"), Condition("subject", "contains", "nothing")
    assert _done(_rule(yes, no)) == ["keep"]
    assert _done(_rule(yes, no, every=False)) == ["fileinto X +create"]
    assert _done(_rule()) == ["fileinto X +create"], "a rule without conditions is for all mail"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (RuleAction("move", "A/B"), ["fileinto A/B +create"]),
        (RuleAction("copy", "A"), ["fileinto A +create", "keep"]),
        (RuleAction("label", "$Work"), ["keep $work"]),
        (RuleAction("seen"), ["keep \\seen"]),
        (RuleAction("star"), ["keep \\flagged"]),
        (RuleAction("delete"), ["fileinto Trash +create special \\Trash"]),
        (RuleAction("forward", "carl@example.net"), ["keep", "redirect carl@example.net"]),
        (RuleAction("reject", "Not\nthis."), ["reject Not|this."]),
        (STOP, ["keep"]),
    ],
)
def test_actions(action: RuleAction, expected: list[str]) -> None:
    assert _done(_rule(does=(action,))) == expected


def test_flags_are_on_what_is_moved_and_stop_is_last() -> None:
    does = (STOP, RuleAction("move", "X"), RuleAction("seen"))
    first, second = Rule("a", (), does), Rule("b", (), (RuleAction("move", "Y"),))
    assert _done(rules_script((first, second))) == ["fileinto X \\seen +create"]


def test_a_rule_that_is_off_is_not_written() -> None:
    off = Rule("off", (), (RuleAction("move", "Y"),), enabled=False)
    assert _done(rules_script((off,))) == ["keep"]


def test_the_name_of_a_rule_comes_out_again() -> None:
    script = rules_script((Rule("From [the] shop", (), (RuleAction("move", "X"),)),))
    message = of_octets(octets("plain"), Envelope(SENDER, RECIPIENT), NOW)
    (filed,) = run(compile_script(script.encode()), message, House()).actions
    assert isinstance(filed, FileInto)
    assert filed.label == "From [the) shop"


# --- senders and absence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocked", "allowed", "sender", "junk"),
    [
        (("dora@example.org",), (), SENDER, True),
        (("@example.org",), (), SENDER, True),
        (("@org",), (), SENDER, True),
        (("@ample.org",), (), SENDER, False),
        (("eve@example.net",), (), "eve@example.net", True),
        (("eve@example.net",), (), SENDER, False),
        (("@example.org",), ("dora@example.org",), SENDER, False),
        (("@example.org",), ("eve@example.org",), SENDER, True),
    ],
)
def test_blocked_senders(blocked: tuple[str, ...], allowed: tuple[str, ...], sender: str, junk: bool) -> None:
    script = blocked_script(check_personal(Personal(blocked, allowed)))
    assert _done(script, sender=sender) == (["fileinto Junk +create special \\Junk"] if junk else ["keep"])


@pytest.mark.parametrize(
    ("begins", "ends", "answers"),
    [("", "", True), ("2026-01-05", "2026-01-05", True), ("2026-01-06", "", False), ("", "2026-01-04", False)],
)
def test_away(begins: str, ends: str, answers: bool) -> None:
    away = Away('Back "soon".\n.\nAnn', "Away: me", begins, ends, ("info@example.test",))
    script = away_script(away)
    answered = any(one.startswith('vacation Back "soon".|.|Ann every 604800 subject Away: me') for one in _done(script))
    assert answered is answers


def test_away_that_is_off_says_nothing() -> None:
    assert away_script(Away("x", enabled=False)) is None
    assert away_script(None) is None


# --- anything -------------------------------------------------------------------------------------------------------------

_text = st.text(max_size=60)
_conditions = st.sampled_from(sorted(HOWS)).flatmap(
    lambda field: st.builds(Condition, st.just(field), st.sampled_from(sorted(HOWS[field])), _text | st.just("12"))
)
_actions = st.builds(
    RuleAction,
    st.sampled_from(["move", "copy", "label", "forward", "reject", "seen", "star", "delete", "stop"]),
    _text | st.just("") | st.just("a@example.org"),
)
_rules = st.lists(
    st.builds(Rule, _text, st.lists(_conditions, max_size=4).map(tuple), st.lists(_actions, max_size=4).map(tuple)),
    max_size=3,
).map(tuple)


@given(_rules)
def test_whatever_passes_the_checks_compiles(rules: tuple[Rule, ...]) -> None:
    try:
        checked = check_rules(rules)
    except Invalid:
        return
    compile_script(rules_script(checked).encode())
    assert rules_from_json(rules_to_json(checked)) == checked


@given(st.lists(_text, max_size=3).map(tuple), st.builds(Away, _text, _text))
def test_whatever_is_personal_and_passes_compiles(blocked: tuple[str, ...], away: Away) -> None:
    try:
        checked = check_personal(Personal(blocked, (), away))
    except Invalid:
        return
    for script in (blocked_script(checked), away_script(checked.away)):
        compile_script((script or "").encode())
    assert personal_from_json(personal_to_json(checked)) == checked


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '[{"name": 1}]', '{"blocked": 1}'])
def test_a_row_that_is_damaged_is_named(text: str) -> None:
    with pytest.raises(Invalid):
        rules_from_json(text)
    with pytest.raises(Invalid):
        personal_from_json(text)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("", (), (STOP,)),
        Rule("a\nb", (), (STOP,)),
        Rule("a", (), ()),
        Rule("a", (Condition("from", "over", "1"),), (STOP,)),
        Rule("a", (Condition("nose", "is", "x"),), (STOP,)),
        Rule("a", (Condition("size", "over", "many"),), (STOP,)),
        Rule("a", (Condition("from", "is", ""),), (STOP,)),
        Rule("a", (Condition("from", "is", 'x"\r\n; discard;'),), (STOP,)),
        Rule("a", (), (RuleAction("forward", "carl at home"),)),
        Rule("a", (), (RuleAction("forward", 'x@example.org"; discard; #'),)),
        Rule("a", (), (RuleAction("label", "two words"),)),
        Rule("a", (), (RuleAction("move", ""),)),
        Rule("a", (), (RuleAction("fly", ""),)),
        Rule("a", (), (RuleAction("stop", "x"),)),
    ],
)
def test_I8_forms_that_are_refused(rule: Rule) -> None:
    with pytest.raises(Invalid):
        check_rules((rule,))
