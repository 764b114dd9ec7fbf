"""Style of a message: declarations filtered against a closed list, sheets matched against elements within a budget.

Promises: a declaration stays only when its property is listed and every token of its value is a plain word, number,
colour, quoted font name or an rgb()/hsl() function; any url(, image-set, var(), other function, @, backslash, expression,
or number out of bounds drops the whole declaration, and position, z-index, transform, animation and the like are not on
the list. What is written back is made of those tokens anew and holds none of & < > " \\ @. Sheets: type, class and id
selectors, joined by descendant and child combinators; other rules and all at-rules are left out; rules, selectors and
matching steps are bounded, and `Sheet.cut` says when a bound was reached.

May not: raise for any input. CSS Syntax 3 through tinycss2; CSS Cascade 4 §6 (specificity, order, importance).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import tinycss2

from appliance.web import allow

RULES: Final = 2_000
COMPOUNDS: Final = 8
STEPS: Final = 500_000
_STYLE_SIZE: Final = 8_000
_DECLARATIONS: Final = 64
_LARGEST: Final = 5_000
_UNITS: Final = frozenset({"px", "em", "rem", "pt", "pc", "cm", "mm", "in", "ex", "ch"})
_SIGNED: Final = frozenset({"letter-spacing", "text-indent", "word-spacing"})
_IDENT = re.compile(r"-{0,2}[A-Za-z][A-Za-z0-9-]{0,60}\Z")
_FAMILY = re.compile(r"[\w][\w .-]{0,80}\Z")
_HASH = re.compile(r"[0-9A-Fa-f]{3,8}\Z")
_PIECES = re.compile(r"([;{}])")
_REFUSED = re.compile(r"[\\@<>]|expression|javascript|-moz-binding|behavior", re.IGNORECASE)
_BACKGROUND_WORDS = frozenset(
    {"none", "repeat", "no-repeat", "repeat-x", "repeat-y", "scroll", "fixed", "local", "center", "top", "bottom",
     "left", "right", "cover", "contain", "initial", "inherit", "unset", "auto"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declaration:
    """One property with a value that may be shown."""

    name: str
    value: str
    important: bool


Declarations = tuple[Declaration, ...]


class _Unfit(Exception):
    """A value holds something that is not on the list."""


# --- declarations -----------------------------------------------------------------------------------------------------


def declarations(style: str) -> Declarations:
    """The declarations of a style attribute that may stay, in order."""
    if len(style) > _STYLE_SIZE:
        return ()
    return tuple(_kept(tinycss2.parse_declaration_list(_unescaped(style), skip_comments=True, skip_whitespace=True)))


def _unescaped(text: str) -> str:
    """Without the declarations, selectors and strings that hold a backslash: nobody needs one to write a mail."""
    if "\\" not in text:
        return text
    return "".join("" if "\\" in piece else piece for piece in _PIECES.split(text))


def _kept(nodes: Iterable[Any]) -> Iterator[Declaration]:
    for node in islice(nodes, _DECLARATIONS):
        if node.type == "declaration":
            found = _declaration(node.lower_name, node.value, bool(node.important))
            if found is not None:
                yield found


def _declaration(name: str, tokens: Sequence[Any], important: bool) -> Declaration | None:
    try:
        if name == "background":
            name, value = "background-color", _background(tokens)
        elif name in allow.CSS_PROPERTIES:
            value = _value(name, tokens)
        else:
            return None
    except _Unfit:
        return None
    if not value or len(value) > 400 or _REFUSED.search(value):
        return None
    if name == "display" and value.lower() not in allow.CSS_DISPLAY:
        return None
    return Declaration(name, value, important)


def _value(name: str, tokens: Sequence[Any]) -> str:
    return " ".join("".join(_token(name, token) for token in tokens).split())


def _background(tokens: Sequence[Any]) -> str:
    """The colour in a `background` shorthand; one that also names a picture is refused whole."""
    written = [_token("background-color", token) for token in tokens if token.type != "whitespace"]
    colours = [
        text
        for token, text in zip((t for t in tokens if t.type != "whitespace"), written, strict=True)
        if token.type in {"hash", "function"} or (token.type == "ident" and text.lower() not in _BACKGROUND_WORDS)
    ]
    return colours[0] if len(colours) == 1 else ""


def _token(name: str, token: Any) -> str:
    """One token of a value, written anew; raises _Unfit for anything that is not on the list."""
    kind = token.type
    if kind == "whitespace":
        return " "
    if kind == "ident" and (_IDENT.match(token.value) or (name == "font-family" and _FAMILY.match(token.value))):
        return str(token.value)
    if kind in {"number", "percentage", "dimension"}:
        return _number(name, token)
    if kind == "hash" and _HASH.match(token.value):
        return f"#{token.value}"
    if kind == "string" and name in {"font-family", "font"} and _FAMILY.match(token.value):
        return f"'{token.value}'"
    if kind == "literal" and token.value in {",", "/"}:
        return str(token.value)
    if kind == "function" and token.lower_name in allow.CSS_FUNCTIONS:
        return f"{token.lower_name}({_arguments(token.arguments)})"
    raise _Unfit


def _number(name: str, token: Any) -> str:
    value = token.value
    if not -_LARGEST <= value <= _LARGEST or (value < 0 and (name not in _SIGNED or value < -100)):
        raise _Unfit
    unit = "" if token.type == "number" else "%" if token.type == "percentage" else token.lower_unit
    if token.type == "dimension" and unit not in _UNITS:
        raise _Unfit
    return f"{value:.4f}".rstrip("0").rstrip(".") + unit


def _arguments(tokens: Sequence[Any]) -> str:
    """Numbers and separators of rgb() and hsl(); nothing nested."""
    if len(tokens) > 16 or any(t.type not in {"number", "percentage", "literal", "whitespace"} for t in tokens):
        raise _Unfit
    return _value("color", tokens).replace(" ,", ",").replace(", ", ",")


def written(kept: Iterable[Declaration]) -> str:
    """Declarations as the value of a style attribute; of one property the last stays, in its place."""
    merged: dict[str, str] = {}
    for one in kept:
        merged.pop(one.name, None)
        merged[one.name] = one.value
    return ";".join(f"{name}:{value}" for name, value in merged.items())


class MailCss:
    """The CSS sanitiser that is handed to bleach: the same filter once more, with what it said before remembered."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def sanitize_css(self, style: str) -> str:
        """The style with what is listed alone; one that still holds a character reference is dropped."""
        if style not in self._known:
            self._known[style] = "" if "&" in style else written(declarations(style))
        return self._known[style]


# --- sheets -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element:
    """What a selector can ask of an element; class and id in lower case, as mail without a doctype is matched."""

    tag: str
    id: str = ""
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Compound:
    """One simple selector sequence, and how it stands to the one on its left: inside it, or its child."""

    tag: str
    id: str
    classes: frozenset[str]
    child: bool

    def fits(self, element: Element) -> bool:
        return (
            (not self.tag or self.tag == element.tag)
            and (not self.id or self.id == element.id)
            and self.classes <= element.classes
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A selector, right to left, its weight (ids, classes, types; then its place), and what it declares."""

    selector: tuple[Compound, ...]
    weight: tuple[int, int, int, int]
    declarations: Declarations


class Sheet:
    """The rules of a message, ready to be asked for one element after the other."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.cut = False
        self._steps = STEPS
        self._by_key: dict[str, list[Rule]] = {}
        self._merged: dict[tuple[tuple[int, ...], str], str] = {}
        self._inline: dict[str, Declarations] = {}
        self.count = 0
        for text in texts:
            self._add(text)

    def _add(self, text: str) -> None:
        text = _unescaped(text.replace("<!--", " ").replace("-->", " "))
        for node in tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True):
            if node.type != "qualified-rule":
                continue
            kept = tuple(_kept(tinycss2.parse_declaration_list(node.content, skip_comments=True, skip_whitespace=True)))
            for selector in _selectors(node.prelude) if kept else ():
                if self.count >= RULES:
                    self.cut = True
                    return
                self._index(selector, kept)

    def _index(self, selector: tuple[Compound, ...], kept: Declarations) -> None:
        self.count += 1
        weight = (
            sum(bool(one.id) for one in selector),
            sum(len(one.classes) for one in selector),
            sum(bool(one.tag) for one in selector),
            self.count,
        )
        last = selector[0]
        key = f"#{last.id}" if last.id else f".{min(last.classes)}" if last.classes else last.tag
        self._by_key.setdefault(key, []).append(Rule(selector, weight, kept))

    def style(self, element: Element, above: Sequence[Element], own: str) -> str:
        """The value of the style attribute for an element: what the sheets say of it, then what it says itself."""
        rules = tuple(rule for rule in self._candidates(element) if self._matches(rule.selector, element, above))
        key = (tuple(rule.weight[3] for rule in rules), own)
        if key not in self._merged:
            self._merged[key] = self._cascade(sorted(rules, key=lambda rule: rule.weight), own)
        return self._merged[key]

    def _candidates(self, element: Element) -> Iterator[Rule]:
        if not self._by_key:
            return
        keys = ["", element.tag, *(f".{name}" for name in element.classes)]
        if element.id:
            keys.append(f"#{element.id}")
        for key in keys:
            yield from self._by_key.get(key, ())

    def _cascade(self, rules: Sequence[Rule], own: str) -> str:
        if own not in self._inline:
            self._inline[own] = declarations(own)
        every = [one for rule in rules for one in rule.declarations] + list(self._inline[own])
        return written([one for one in every if not one.important] + [one for one in every if one.important])

    def _matches(self, selector: tuple[Compound, ...], element: Element, above: Sequence[Element]) -> bool:
        self._steps -= 1
        if self._steps < 0:
            self.cut = True
            return False
        return selector[0].fits(element) and self._matches_above(selector, 1, above, len(above))

    def _matches_above(self, selector: tuple[Compound, ...], at: int, above: Sequence[Element], depth: int) -> bool:
        """Whether the rest of a selector, from `at`, fits the `depth` outermost elements around."""
        if at == len(selector):
            return True
        nearest = selector[at - 1].child
        for index in range(depth - 1, -1, -1):
            self._steps -= 1
            if self._steps < 0:
                self.cut = True
                return False
            if selector[at].fits(above[index]) and self._matches_above(selector, at + 1, above, index):
                return True
            if nearest:
                return False
        return False


def _selectors(prelude: Sequence[Any]) -> Iterator[tuple[Compound, ...]]:
    """The selectors of a rule that are understood, right to left."""
    group: list[Any] = []
    for token in [*prelude, None]:
        if token is None or (token.type == "literal" and token.value == ","):
            found = _selector(group)
            if found:
                yield found
            group = []
        elif token.type != "comment":
            group.append(token)


def _selector(tokens: Sequence[Any]) -> tuple[Compound, ...]:
    """One selector, right to left; empty when it holds anything but types, classes, ids, spaces and `>`."""
    compounds: list[Compound] = []
    at, child, size = 0, False, len(tokens)
    while at < size:
        if tokens[at].type == "whitespace" or (_sign(tokens[at], ">") and compounds and not child):
            child = child or tokens[at].type == "literal"
            at += 1
            continue
        compound, end = _compound(tokens, at, child)
        if compound is None or len(compounds) >= COMPOUNDS:
            return ()
        compounds.append(compound)
        at, child = end, False
    return () if child else tuple(reversed(compounds))


def _sign(token: Any, value: str) -> bool:
    return bool(token.type == "literal" and token.value == value)


def _compound(tokens: Sequence[Any], at: int, child: bool) -> tuple[Compound | None, int]:
    tag, name, classes, start = "", "", set(), at
    while at < len(tokens):
        token = tokens[at]
        if at == start and (token.type == "ident" or _sign(token, "*")):
            tag = token.lower_value if token.type == "ident" else ""
        elif token.type == "hash" and not name:
            name = token.value.lower()
        elif _sign(token, ".") and at + 1 < len(tokens) and tokens[at + 1].type == "ident":
            at += 1
            classes.add(tokens[at].lower_value)
        elif token.type == "whitespace" or _sign(token, ">"):
            break
        else:
            return None, at
        at += 1
    return Compound(tag, name, frozenset(classes), child), at
