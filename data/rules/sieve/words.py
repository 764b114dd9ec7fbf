"""Which commands and tests there are, what they take, and which extension each of it needs: tables.

RFC 5228 (base, fileinto, envelope, encoded-character), RFC 3894 (copy), RFC 5173 (body), RFC 5229 (variables), RFC 5230
and RFC 6131 (vacation), RFC 5231 (relational), RFC 5232 (imap4flags), RFC 5233 (subaddress), RFC 5260 (date, index),
RFC 5183 (environment), RFC 5429 (reject, ereject), RFC 5490 (mailbox), RFC 7352 (duplicate), RFC 8579 (special-use).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STRING, STRINGS, NUMBER = "string", "strings", "number"


@dataclass(frozen=True, slots=True)
class TagSpec:
    """A tag: the kind of value that follows it, the extension it needs, and the group of which one tag may stand."""

    value: str | None = None
    needs: str | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A command or test. `optional`: how many of the first positional arguments may be left out; `tests`: how many
    tests it takes (-1: a list); `block`: it has one.
    """

    arguments: tuple[str, ...] = ()
    tags: Mapping[str, TagSpec] = field(default_factory=dict)
    needs: str | None = None
    optional: int = 0
    tests: int = 0
    block: bool = False


_MATCH: Mapping[str, TagSpec] = {
    "is": TagSpec(group="match type"),
    "contains": TagSpec(group="match type"),
    "matches": TagSpec(group="match type"),
    "count": TagSpec(STRING, "relational", "match type"),
    "value": TagSpec(STRING, "relational", "match type"),
    "comparator": TagSpec(STRING, group="comparator"),
}
_PART: Mapping[str, TagSpec] = {
    "all": TagSpec(group="address part"),
    "localpart": TagSpec(group="address part"),
    "domain": TagSpec(group="address part"),
    "user": TagSpec(needs="subaddress", group="address part"),
    "detail": TagSpec(needs="subaddress", group="address part"),
}
_INDEX: Mapping[str, TagSpec] = {
    "index": TagSpec(NUMBER, "index", "index"),
    "last": TagSpec(needs="index", group="last"),
}
_ZONE: Mapping[str, TagSpec] = {"zone": TagSpec(STRING, group="zone")}
_COPY: Mapping[str, TagSpec] = {"copy": TagSpec(needs="copy", group="copy")}
_FLAGS: Mapping[str, TagSpec] = {"flags": TagSpec(STRINGS, "imap4flags", "flags")}

TESTS: Mapping[str, Spec] = {
    "address": Spec((STRINGS, STRINGS), {**_MATCH, **_PART, **_INDEX}),
    "allof": Spec(tests=-1),
    "anyof": Spec(tests=-1),
    "body": Spec(
        (STRINGS,),
        {
            **_MATCH,
            "raw": TagSpec(group="body transform"),
            "content": TagSpec(STRINGS, group="body transform"),
            "text": TagSpec(group="body transform"),
        },
        "body",
    ),
    "currentdate": Spec((STRING, STRINGS), {**_MATCH, **_ZONE}, "date"),
    "date": Spec(
        (STRING, STRING, STRINGS), {**_MATCH, **_INDEX, **_ZONE, "originalzone": TagSpec(group="zone")}, "date"
    ),
    "duplicate": Spec(
        (),
        {
            "handle": TagSpec(STRING, group="handle"),
            "header": TagSpec(STRING, group="unique id"),
            "uniqueid": TagSpec(STRING, group="unique id"),
            "seconds": TagSpec(NUMBER, group="seconds"),
            "last": TagSpec(group="last"),
        },
        "duplicate",
    ),
    "envelope": Spec((STRINGS, STRINGS), {**_MATCH, **_PART}, "envelope"),
    "environment": Spec((STRING, STRINGS), _MATCH, "environment"),
    "exists": Spec((STRINGS,)),
    "false": Spec(),
    "hasflag": Spec((STRINGS, STRINGS), _MATCH, "imap4flags", optional=1),
    "header": Spec((STRINGS, STRINGS), {**_MATCH, **_INDEX}),
    "mailboxexists": Spec((STRINGS,), needs="mailbox"),
    "not": Spec(tests=1),
    "size": Spec((), {"over": TagSpec(NUMBER, group="limit"), "under": TagSpec(NUMBER, group="limit")}),
    "specialuse_exists": Spec((STRING, STRINGS), needs="special-use", optional=1),
    "string": Spec((STRINGS, STRINGS), _MATCH, "variables"),
    "true": Spec(),
}

COMMANDS: Mapping[str, Spec] = {
    "addflag": Spec((STRING, STRINGS), needs="imap4flags", optional=1),
    "discard": Spec(),
    "else": Spec(block=True),
    "elsif": Spec(tests=1, block=True),
    "ereject": Spec((STRING,), needs="ereject"),
    "fileinto": Spec(
        (STRING,),
        {
            **_COPY,
            **_FLAGS,
            "create": TagSpec(needs="mailbox", group="create"),
            "specialuse": TagSpec(STRING, "special-use", "specialuse"),
        },
        "fileinto",
    ),
    "if": Spec(tests=1, block=True),
    "keep": Spec((), _FLAGS),
    "redirect": Spec((STRING,), _COPY),
    "reject": Spec((STRING,), needs="reject"),
    "removeflag": Spec((STRING, STRINGS), needs="imap4flags", optional=1),
    "require": Spec((STRINGS,)),
    "set": Spec(
        (STRING, STRING),
        {
            "lower": TagSpec(group="case"),
            "upper": TagSpec(group="case"),
            "lowerfirst": TagSpec(group="first letter"),
            "upperfirst": TagSpec(group="first letter"),
            "quotewildcard": TagSpec(group="wildcards"),
            "length": TagSpec(group="length"),
        },
        "variables",
    ),
    "setflag": Spec((STRING, STRINGS), needs="imap4flags", optional=1),
    "stop": Spec(),
    "vacation": Spec(
        (STRING,),
        {
            "days": TagSpec(NUMBER, group="period"),
            "seconds": TagSpec(NUMBER, "vacation-seconds", "period"),
            "subject": TagSpec(STRING, group="subject"),
            "from": TagSpec(STRING, group="from"),
            "addresses": TagSpec(STRINGS, group="addresses"),
            "mime": TagSpec(group="mime"),
            "handle": TagSpec(STRING, group="handle"),
        },
        "vacation",
    ),
}

EXTENSIONS = (
    "body", "comparator-i;ascii-numeric", "comparator-i;unicode-casemap", "copy", "date", "duplicate",
    "encoded-character", "envelope", "environment", "ereject", "fileinto", "imap4flags", "index", "mailbox", "reject",
    "relational", "special-use", "subaddress", "vacation", "vacation-seconds", "variables",
)  # fmt: skip
"""What `require` may name, in the order in which ManageSieve announces it (RFC 5804 §1.7)."""
BUILT_IN = frozenset({"comparator-i;octet", "comparator-i;ascii-casemap"})
"""What may be named and needs not be (RFC 5228 §2.7.3)."""
IMPLIED: Mapping[str, tuple[str, ...]] = {"vacation-seconds": ("vacation",)}
COMPARATORS: Mapping[str, str | None] = {
    "i;octet": None,
    "i;ascii-casemap": None,
    "i;ascii-numeric": "comparator-i;ascii-numeric",
    "i;unicode-casemap": "comparator-i;unicode-casemap",
}
RELATIONS = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})
ENVELOPE_PARTS = frozenset({"from", "to"})
DATE_PARTS = frozenset(
    {
        "year",
        "month",
        "day",
        "date",
        "julian",
        "hour",
        "minute",
        "second",
        "time",
        "iso8601",
        "std11",
        "zone",
        "weekday",
    }
)
