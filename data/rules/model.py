"""The rules of the webmail as a form: conditions and actions, who is blocked, what is said while away. Pure values, as JSON.

Promises: `check` refuses (Invalid) what could not be written as a script or shown in a form; what passed becomes a script
that compiles (data.rules.generate). One rule is one line of the form, in the order in which they are tried.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from data.errors import Invalid
from data.mime.address import AddressError, domain_to_ascii, normal

RULES_MOST, CONDITIONS_MOST, ACTIONS_MOST = 100, 20, 10
VALUE_MOST, NAME_MOST, TEXT_MOST = 500, 100, 8000
SENDERS_MOST, ADDRESSES_MOST = 1000, 20

TEXT_FIELDS = frozenset({"from", "to", "subject", "body", "list"})
TEXT_HOWS = frozenset({"contains", "not_contains", "is", "is_not", "starts", "ends"})
HOWS = {
    **dict.fromkeys(TEXT_FIELDS, TEXT_HOWS),
    "size": frozenset({"over", "under"}),
    "attachment": frozenset({"yes", "no"}),
}
"""What may be asked of each field of a condition."""
WITH_VALUE = frozenset({"move", "copy", "label", "forward", "reject"})
PLAIN = frozenset({"seen", "star", "delete", "stop"})
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,100}\Z")
_DAY = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\Z")


@dataclass(frozen=True, slots=True)
class Condition:
    """One question. `value` is text, or for `size` a number of octets; for `attachment` it is empty."""

    field: str
    how: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class RuleAction:
    """One thing to do; `value` is the mailbox, label, address or text that belongs to it."""

    kind: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `every`: all conditions must hold, else one is enough; without conditions it is for all mail."""

    name: str
    conditions: tuple[Condition, ...]
    actions: tuple[RuleAction, ...]
    every: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Away:
    """What senders are told while somebody is away; days as YYYY-MM-DD, both included, empty for no bound."""

    text: str
    subject: str = ""
    begins: str = ""
    ends: str = ""
    addresses: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Personal:
    """What holds beside the rules: senders blocked and allowed (`name@domain`, or `@domain` with all below it)."""

    blocked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    away: Away | None = None


# --- checking ---------------------------------------------------------------------------------------------------------


def check_rules(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules if they can be kept. Raises Invalid."""
    _require(len(rules) <= RULES_MOST, f"At most {RULES_MOST} rules can be kept")
    for rule in rules:
        _line(rule.name, NAME_MOST, "A rule needs a name on one line")
        _require(bool(rule.name.strip()), "A rule needs a name on one line")
        _require(len(rule.conditions) <= CONDITIONS_MOST, f"A rule has at most {CONDITIONS_MOST} conditions")
        _require(1 <= len(rule.actions) <= ACTIONS_MOST, f"A rule does between 1 and {ACTIONS_MOST} things")
        for condition in rule.conditions:
            _check_condition(condition)
        for action in rule.actions:
            _check_action(action)
    return rules


def _check_condition(condition: Condition) -> None:
    _require(condition.how in HOWS.get(condition.field, ()), "There is no such condition")
    _line(condition.value, VALUE_MOST, "The value of a condition is one line")
    if condition.field == "size":
        _require(
            condition.value.isascii() and condition.value.isdigit() and len(condition.value) < 13, "A size is a number"
        )
    elif condition.field != "attachment":
        _require(bool(condition.value), "A condition needs a value")


def _check_action(action: RuleAction) -> None:
    _require(action.kind in WITH_VALUE or (action.kind in PLAIN and not action.value), "There is no such action")
    match action.kind:
        case "forward":
            _address(action.value)
        case "label":
            _require(_KEYWORD.match(action.value) is not None, "A label is one word of plain letters")
        case "reject":
            _require(0 < len(action.value) <= TEXT_MOST and "\0" not in action.value, "A refusal needs a text")
        case "move" | "copy":
            _require(bool(action.value), "A mailbox is missing")
            _line(action.value, VALUE_MOST, "A mailbox is missing")


def check_personal(personal: Personal) -> Personal:
    """The same with its senders and addresses in their normal form. Raises Invalid."""
    _require(
        len(personal.blocked) + len(personal.allowed) <= SENDERS_MOST, f"At most {SENDERS_MOST} senders can be kept"
    )
    return Personal(
        tuple(dict.fromkeys(map(_sender, personal.blocked))),
        tuple(dict.fromkeys(map(_sender, personal.allowed))),
        _check_away(personal.away) if personal.away is not None else None,
    )


def _check_away(away: Away) -> Away:
    _require(0 < len(away.text) <= TEXT_MOST and "\0" not in away.text, "The answer needs a text")
    _line(away.subject, VALUE_MOST, "The subject is one line")
    for day in filter(None, (away.begins, away.ends)):
        _require(_DAY.match(day) is not None, "A day is written as 2026-12-31")
    _require(not (away.begins and away.ends) or away.begins <= away.ends, "The end lies before the beginning")
    _require(len(away.addresses) <= ADDRESSES_MOST, f"At most {ADDRESSES_MOST} addresses can be kept")
    addresses = tuple(map(_address, away.addresses))
    return Away(away.text, away.subject, away.begins, away.ends, addresses, away.enabled)


def _sender(text: str) -> str:
    """`name@domain` or `@domain`, lower-cased, the domain as A-labels."""
    text = text.strip()
    try:
        if text.startswith("@") or "@" not in text:
            return "@" + domain_to_ascii(text.removeprefix("@"))
        return normal(text).key_address
    except AddressError as error:
        raise Invalid(text[:200], public=error.public) from None


def _address(text: str) -> str:
    try:
        return normal(text.strip()).address
    except AddressError as error:
        raise Invalid(text[:200], public=error.public) from None


def _line(text: str, most: int, public: str) -> None:
    """One line of text that can be seen."""
    _require(len(text) <= most and text.isprintable(), public)


def _require(holds: bool, public: str) -> None:
    if not holds:
        raise Invalid(public, public=public)


# --- JSON -------------------------------------------------------------------------------------------------------------


def rules_to_json(rules: tuple[Rule, ...]) -> str:
    """The rules for a row."""
    return json.dumps([asdict(rule) for rule in rules], ensure_ascii=False, separators=(",", ":"))


def rules_from_json(text: str) -> tuple[Rule, ...]:
    """The rules of a row. Raises Invalid."""
    try:
        return tuple(_rule(one) for one in json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid(repr(error), public="The rules cannot be read") from None


def _rule(one: dict[str, Any]) -> Rule:
    conditions = tuple(Condition(**each) for each in one["conditions"])
    actions = tuple(RuleAction(**each) for each in one["actions"])
    return Rule(str(one["name"]), conditions, actions, bool(one["every"]), bool(one["enabled"]))


def personal_to_json(personal: Personal) -> str:
    """The rest for a row."""
    return json.dumps(asdict(personal), ensure_ascii=False, separators=(",", ":"))


def personal_from_json(text: str) -> Personal:
    """The rest of a row. Raises Invalid."""
    try:
        one = json.loads(text)
        away = one["away"]
        if away is not None:
            away = Away(**{**away, "addresses": tuple(away["addresses"])})
        return Personal(tuple(one["blocked"]), tuple(one["allowed"]), away)
    except (ValueError, TypeError, KeyError) as error:
        raise Invalid(repr(error), public="The rules cannot be read") from None
