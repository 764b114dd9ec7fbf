"""Search: each key against messages that have it and messages that do not, and trees against a brute reference."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.store import keys as k
from data.store.keys import Flag, When

if TYPE_CHECKING:
    from tests.unit.data.conftest import Kit

DAY = 86_400_000


def day(y: int, m: int, d: int) -> int:
    return date(y, m, d).toordinal() - 719163


MESSAGES: list[tuple[bytes, dict[str, object]]] = [
    (
        b"From: Bob Green <bob@example.org>\r\nTo: ann@example.test\r\nSubject: Invoice 2026-17\r\n"
        b"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nX-Tag: Alpha\r\nMessage-ID: <1@x>\r\n\r\nPlease pay the bill.\r\n",
        {"flags": Flag.SEEN, "internal_date": day(2026, 1, 5) * DAY + 1},
    ),
    (
        b"From: =?utf-8?q?J=C3=B6rg_M=C3=BCller?= <joerg@example.net>\r\nTo: Team <team@example.test>\r\n"
        b"Cc: carol@example.org\r\nSubject: =?utf-8?b?5pyI5bqm5oql5ZGK?=\r\nDate: Tue, 06 Jan 2026 23:59:00 -0500\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Gr=C3=BC=C3=9Fe aus K=C3=B6ln\r\n",
        {"keywords": ["Work"], "internal_date": day(2026, 1, 7) * DAY},
    ),
    (
        b"From: news@example.org\r\nTo: ann@example.test\r\nBcc: hidden@example.test\r\nSubject: bill of the week\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>Buy <b>now</b></p>\r\n" + b"<!-- x -->" * 300,
        {"flags": Flag.FLAGGED | Flag.DELETED, "keywords": ["$Junk"], "internal_date": day(2025, 12, 31) * DAY},
    ),
]

CASES: list[tuple[k.SearchKey, list[int]]] = [
    (k.All(), [1, 2, 3]),
    (k.HasFlag(Flag.SEEN), [1]),
    (k.Not(k.HasFlag(Flag.SEEN)), [2, 3]),
    (k.HasKeyword("work"), [2]),
    (k.HasKeyword("wor"), []),
    (k.HasKeyword("$junk"), [3]),
    (k.Stored(k.Field.FROM, "GREEN"), [1]),
    (k.Stored(k.Field.FROM, "müller"), [2]),
    (k.Stored(k.Field.FROM, "joerg@example.net"), [2]),
    (k.Stored(k.Field.TO, "ann"), [1, 3]),
    (k.Stored(k.Field.CC, "CAROL"), [2]),
    (k.Stored(k.Field.BCC, "hidden"), [3]),
    (k.Stored(k.Field.SUBJECT, "月度"), [2]),
    (k.Stored(k.Field.SUBJECT, "BILL"), [3]),
    (k.Header("x-tag", "alpha"), [1]),
    (k.Header("X-TAG", ""), [1]),
    (k.Header("x-tag", "beta"), []),
    (k.Body("bill"), [1]),
    (k.Body("GRÜSSE"), [2]),
    (k.Body("buy now"), [3]),
    (k.AnyText("bill"), [1, 3]),
    (k.AnyText("köln"), [2]),
    (k.Not(k.AnyText("bill")), [2]),
    (k.Internal(When.ON, day(2026, 1, 5)), [1]),
    (k.Internal(When.BEFORE, day(2026, 1, 5)), [3]),
    (k.Internal(When.SINCE, day(2026, 1, 5)), [1, 2]),
    (k.Sent(When.ON, day(2026, 1, 5)), [1]),
    (k.Sent(When.SINCE, day(2026, 1, 1)), [1, 2]),
    (k.Larger(2000), [3]),
    (k.Smaller(2000), [1, 2]),
    (k.Uids(((2, 9),)), [2, 3]),
    (k.Uids(()), []),
    (k.Or(k.HasFlag(Flag.SEEN), k.Body("now")), [1, 3]),
    (k.And((k.HasFlag(Flag.FLAGGED), k.AnyText("bill"))), [3]),
    (k.And(()), [1, 2, 3]),
    (k.EmailId("e999"), []),
    (k.EmailId("' or 1=1"), []),
    (k.ThreadKey("t"), []),
    (k.ModSeqSince(1), [1, 2, 3]),
    (k.ModSeqSince(10_000), []),
]


@pytest.fixture
def filled(kit: Kit) -> Kit:
    for data, options in MESSAGES:
        kit.add(data, **options)
    return kit


def test_each_key(filled: Kit) -> None:
    wrong = []
    for key, expected in CASES:
        found = filled.store.search.find(filled.ann, filled.box(), key)
        if found != expected:
            wrong.append((key, expected, found))
    assert wrong == []


def test_a_key_means_the_same_beside_a_text_key(filled: Kit) -> None:
    """SQL and Python answer alike: `key AND TEXT ""` forces the Python way."""
    for key, expected in CASES:
        both = k.And((key, k.AnyText("")))
        assert filled.store.search.find(filled.ann, filled.box(), both) == expected, key
        assert filled.store.search.find(filled.ann, filled.box(), k.Not(both)) == sorted({1, 2, 3} - set(expected)), key


def test_dates_relative_to_now(filled: Kit) -> None:
    filled.clock.wall = day(2026, 1, 8) * DAY
    find = filled.store.search.find
    assert find(filled.ann, filled.box(), k.Within(86_400 * 2, younger=True)) == [2]
    assert find(filled.ann, filled.box(), k.Within(86_400 * 2, younger=False)) == [1, 3]


_LEAF = st.sampled_from([key for key, _ in CASES])
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.builds(k.Not, inner),
        st.builds(k.Or, inner, inner),
        st.builds(lambda ks: k.And(tuple(ks)), st.lists(inner, max_size=3)),
    ),
    max_leaves=8,
)


def _reference(key: k.SearchKey, table: dict[k.SearchKey, set[int]]) -> set[int]:
    if key in table:
        return table[key]
    match key:
        case k.Not(inner):
            return {1, 2, 3} - _reference(inner, table)
        case k.Or(a, b):
            return _reference(a, table) | _reference(b, table)
        case k.And(found):
            out = {1, 2, 3}
            for one in found:
                out &= _reference(one, table)
            return out
    raise AssertionError(key)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(tree=_TREE)
def test_trees_agree_with_the_sets_of_their_leaves(filled: Kit, tree: k.SearchKey) -> None:
    table = {key: set(expected) for key, expected in CASES}
    assert filled.store.search.find(filled.ann, filled.box(), tree) == sorted(_reference(tree, table))
