"""The form of the webmail written as Sieve: what runs is what a person can read, and what another program can take over.

Promises: whatever passed the checks of data.rules.model compiles; no value can leave its string. Each rule stands behind a
comment with its name (`# rule:[Name]`), which other programs write and read as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from data.rules.model import Away, Condition, Personal, Rule, RuleAction

ATTACHMENT = "vnd.mailstead.attachment"
"""The item of `environment` that says whether something is attached: "yes" or "no"."""
_HEADER = "# Written by the webmail. Changes made elsewhere take the place of the rules shown there.\r\n"


def rules_script(rules: Iterable[Rule]) -> str:
    """The script of the rules that are switched on."""
    pieces = [_rule(rule) for rule in rules if rule.enabled]
    return _script("".join(pieces))


def blocked_script(personal: Personal) -> str | None:
    """The script that puts blocked senders into Junk; None when nobody is blocked."""
    if not personal.blocked:
        return None
    test = _senders(personal.blocked, ("address", "envelope"))
    if personal.allowed:
        test = f"allof (not {_senders(personal.allowed, ('address',))}, {test})"
    return _script(
        f"# rule:[Blocked senders]\r\nif {test}\r\n{{\r\n"
        '    fileinto :create :specialuse "\\\\Junk" "Junk";\r\n    stop;\r\n}\r\n'
    )


def away_script(away: Away | None) -> str | None:
    """The script that answers; None when it is switched off."""
    if away is None or not away.enabled:
        return None
    subject = f":subject {quoted(away.subject)} " if away.subject else ""
    others = f":addresses {_list(away.addresses)} " if away.addresses else ""
    answer = f"vacation :days 7 {subject}{others}{quoted(away.text)};\r\n"
    bounds = [("ge", away.begins), ("le", away.ends)]
    tests = [f'currentdate :value "{relation}" "date" "{day}"' for relation, day in bounds if day]
    body = f"if allof ({', '.join(tests)})\r\n{{\r\n    {answer}}}\r\n" if tests else answer
    return _script("# rule:[Away]\r\n" + body)


def quoted(text: str) -> str:
    """A string of the script."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(quoted, texts)) + "]"


def _pattern(text: str) -> str:
    """A text that stands for itself in :matches."""
    return "".join(f"\\{char}" if char in "*?\\" else char for char in text)


# --- rules ------------------------------------------------------------------------------------------------------------


def _rule(rule: Rule) -> str:
    label = rule.name.replace("]", ")")
    lines = "".join(f"    {line}\r\n" for line in _commands(rule.actions))
    tests = [_condition(one) for one in rule.conditions]
    word = "allof" if rule.every else "anyof"
    test = f"{word} ({', '.join(tests)})" if len(tests) > 1 else (tests or ["true"])[0]
    return f"# rule:[{label}]\r\nif {test}\r\n{{\r\n{lines}}}\r\n"


def _condition(one: Condition) -> str:
    if one.field == "size":
        return f"size :{one.how} {int(one.value)}"
    if one.field == "attachment":
        return f'environment :is "{ATTACHMENT}" "{one.how}"'
    negated = "not " if one.how in ("not_contains", "is_not") else ""
    match, key = _MATCHES[one.how.removeprefix("not_").removesuffix("_not")](one.value)
    return f"{negated}{_TESTS[one.field].format(match)} {quoted(key)}"


_MATCHES: Mapping[str, Callable[[str], tuple[str, str]]] = {
    "contains": lambda value: (":contains", value),
    "is": lambda value: (":is", value),
    "starts": lambda value: (":matches", _pattern(value) + "*"),
    "ends": lambda value: (":matches", "*" + _pattern(value)),
}
_TESTS: Mapping[str, str] = {
    "from": 'header {} "from"',
    "to": 'header {} ["to", "cc"]',
    "subject": 'header {} "subject"',
    "list": 'header {} "list-id"',
    "body": "body :text {}",
}


def _commands(actions: Iterable[RuleAction]) -> list[str]:
    """Flags first, so that they are on whatever is filed; what ends the rules last."""
    ordered = sorted(actions, key=lambda one: _ORDER.index(one.kind))
    return [_ACTIONS[one.kind].format(quoted(one.value)) for one in ordered]


_ORDER = ("seen", "star", "label", "copy", "forward", "move", "delete", "reject", "stop")
_ACTIONS: Mapping[str, str] = {
    "seen": 'addflag "\\\\Seen";',
    "star": 'addflag "\\\\Flagged";',
    "label": "addflag {};",
    "copy": "fileinto :copy :create {};",
    "forward": "redirect :copy {};",
    "move": "fileinto :create {};",
    "delete": 'fileinto :create :specialuse "\\\\Trash" "Trash";',
    "reject": "reject {};",
    "stop": "stop;",
}


# --- senders ----------------------------------------------------------------------------------------------------------


def _senders(entries: Iterable[str], tests: Iterable[str]) -> str:
    """A test whether one of the senders wrote it; `@domain` is the domain and all below it."""
    addresses = [one for one in entries if not one.startswith("@")]
    domains = [one[1:] for one in entries if one.startswith("@")]
    found = []
    for test in tests:
        if addresses:
            found.append(f'{test} :is "from" {_list(addresses)}')
        if domains:
            found.append(f'{test} :domain :is "from" {_list(domains)}')
            found.append(f'{test} :domain :matches "from" {_list("*." + _pattern(one) for one in domains)}')
    return f"anyof ({', '.join(found)})"


# --- the frame --------------------------------------------------------------------------------------------------------

_NEEDS: Mapping[str, str] = {
    "fileinto ": "fileinto",
    ":copy ": "copy",
    ":create ": "mailbox",
    ":specialuse ": "special-use",
    "addflag ": "imap4flags",
    "body :text ": "body",
    "environment ": "environment",
    "envelope ": "envelope",
    "reject ": "reject",
    "vacation ": "vacation",
    "currentdate ": "date",
    ":value ": "relational",
}


def _script(body: str) -> str:
    """The script with what it requires; a word that only stands in a string costs nothing but a name in the list."""
    needs = sorted({name for word, name in _NEEDS.items() if word in body})
    require = f"require {_list(needs)};\r\n" if needs else ""
    return _HEADER + require + body
