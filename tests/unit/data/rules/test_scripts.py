"""Scripts as rows: names, the active one, the form of the webmail beside them, what runs; marks that rules leave."""

from __future__ import annotations

from typing import Any

import pytest

from data.clock import DAY
from data.errors import Conflict, Invalid, NotFound
from data.ids import Millis
from data.rules import marks
from data.rules.generate import away_script, blocked_script
from data.rules.marks import ANSWERED, SEEN, RuleMarks, digest_of
from data.rules.model import Away, Condition, Personal, Rule, RuleAction
from data.rules.scripts import SCRIPTS_MOST, WEBMAIL, Active, Programs, Scripts, TooMany
from data.rules.sieve.errors import SieveError

KEEP = b"keep;"
RULE = Rule("Shop", (Condition("from", "contains", "shop"),), (RuleAction("move", "Shop"),))


@pytest.fixture
def scripts(kit: Any) -> Scripts:
    return Scripts(kit.db)


def test_a_script_is_kept_listed_and_replaced(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    scripts.put(ann, "b", KEEP)
    scripts.put(ann, "a", "# Büro\r\nkeep;".encode())
    assert [(one.name, one.active) for one in scripts.list(ann)] == [("a", False), ("b", False)]
    scripts.put(ann, "b", b"discard;")
    assert scripts.get(ann, "b").text == "discard;"
    assert scripts.list(kit.bob.account) == ()
    with pytest.raises(NotFound):
        scripts.get(kit.bob.account, "b")


def test_what_does_not_compile_is_not_kept(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    scripts.put(ann, "a", KEEP)
    with pytest.raises(SieveError):
        scripts.put(ann, "a", b"levitate;")
    assert scripts.get(ann, "a").text == "keep;"


@pytest.mark.parametrize("name", ["", "x" * 129, "a\nb", "a\0b", "a\u2028b", "a\u202eb"])
def test_names_that_are_none(kit: Any, scripts: Scripts, name: str) -> None:
    with pytest.raises(Invalid):
        scripts.put(kit.ann.account, name, KEEP)
    with pytest.raises(Invalid):
        scripts.has_room(kit.ann.account, name, 1)


def test_at_most_twenty(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    for number in range(SCRIPTS_MOST):
        scripts.put(ann, f"s{number}", KEEP)
    with pytest.raises(TooMany):
        scripts.put(ann, "one more", KEEP)
    with pytest.raises(TooMany):
        scripts.has_room(ann, "one more", 10)
    scripts.has_room(ann, "s3", 10)
    scripts.put(ann, "s3", b"discard;")
    with pytest.raises(Invalid):
        scripts.has_room(ann, "s3", 65_537)


def test_one_is_active(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    scripts.put(ann, "a", KEEP)
    scripts.put(ann, "b", KEEP)
    scripts.put(kit.bob.account, "a", KEEP)
    scripts.activate(kit.bob.account, "a")
    scripts.activate(ann, "a")
    scripts.activate(ann, "b")
    assert [(one.name, one.active) for one in scripts.list(ann)] == [("a", False), ("b", True)]
    with pytest.raises(NotFound):
        scripts.activate(ann, "c")
    assert scripts.get(ann, "b").active, "what fails changes nothing"
    with pytest.raises(Active):
        scripts.delete(ann, "b")
    scripts.activate(ann, None)
    scripts.delete(ann, "b")
    assert scripts.get(kit.bob.account, "a").active
    with pytest.raises(NotFound):
        scripts.delete(ann, "b")


def test_renamed(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    scripts.put(ann, "a", KEEP)
    scripts.put(ann, "b", b"discard;")
    scripts.activate(ann, "a")
    with pytest.raises(Conflict):
        scripts.rename(ann, "a", "b")
    with pytest.raises(NotFound):
        scripts.rename(ann, "x", "y")
    with pytest.raises(Invalid):
        scripts.rename(ann, "a", "a\r\nb")
    scripts.rename(ann, "a", "c")
    assert [(one.name, one.active) for one in scripts.list(ann)] == [("b", False), ("c", True)]


def test_the_form_and_the_script_are_one(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    assert scripts.rules(ann) == ()
    scripts.set_rules(ann, [RULE])
    assert scripts.rules(ann) == (RULE,)
    stored = scripts.get(ann, WEBMAIL)
    assert stored.active
    assert 'fileinto :create "Shop"' in stored.text


def test_a_script_of_ones_own_replaces_the_rules(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    scripts.set_rules(ann, [RULE])
    scripts.put(ann, "mine", KEEP)
    assert scripts.rules(ann) == (RULE,), "not before it is active"
    scripts.activate(ann, "mine")
    assert scripts.rules(ann) is None
    # the rules are still there, and come back when they are made active again
    scripts.activate(ann, WEBMAIL)
    assert scripts.rules(ann) == (RULE,)
    # whoever writes over the form's script makes it their own
    scripts.put(ann, WEBMAIL, KEEP)
    assert scripts.rules(ann) is None
    scripts.set_rules(ann, [])
    assert scripts.rules(ann) == ()


def test_what_runs(kit: Any, scripts: Scripts) -> None:
    ann, bob = kit.ann.account, kit.bob.account
    assert not scripts.quiet([ann]), "nothing is known before it was looked at"
    assert scripts.programs(ann) == Programs()
    assert scripts.quiet([ann, bob])
    scripts.put(ann, "a", b'require "reject"; reject "no";')
    assert scripts.programs(ann) == Programs(), "a script that is not active does not run"
    scripts.activate(ann, "a")
    assert not scripts.quiet([ann])
    assert scripts.programs(ann).rejects
    assert scripts.programs(ann) is scripts.programs(ann), "compiled once"
    assert scripts.programs(bob) == Programs()
    assert scripts.quiet([bob])
    assert not scripts.quiet([bob, ann])
    scripts.activate(ann, None)
    assert scripts.programs(ann).active is None
    scripts.set_personal(bob, Personal(blocked=("@spam.example.net",), away=Away("Soon.")))
    programs = scripts.programs(bob)
    assert programs.blocked is not None
    assert programs.away is not None
    scripts.set_personal(bob, Personal())
    assert scripts.programs(bob) == Programs()


def test_personal_is_kept_in_its_normal_form(kit: Any, scripts: Scripts) -> None:
    ann = kit.ann.account
    assert scripts.personal(ann) == Personal()
    scripts.set_personal(ann, Personal((" Eve@Example.ORG ", "bücher.example", "eve@example.org"), ("@example.net",)))
    found = scripts.personal(ann)
    assert found.blocked == ("eve@example.org", "@xn--bcher-kva.example")
    assert found.allowed == ("@example.net",)
    with pytest.raises(Invalid):
        scripts.set_personal(ann, Personal(("not an address @@",)))
    assert scripts.personal(ann) == found
    assert blocked_script(found)
    assert away_script(found.away) is None


def test_the_master_database_says_what_a_stale_script_is(kit: Any, scripts: Scripts) -> None:
    """A script that an older version took and this one does not is not run, and loses no mail."""
    ann = kit.ann.account
    kit.db.write(lambda tx: scripts.put_in(tx, ann, "old", "levitate;", None))
    scripts.activate(ann, "old")
    assert scripts.programs(ann) == Programs()


def test_marks_hold_for_their_time(kit: Any) -> None:
    ann, bob, clock = kit.ann.account, kit.bob.account, kit.clock
    rule_marks, digest = RuleMarks(), digest_of("dora@example.org", "handle")

    def put(account: Any, kind: str, days: int) -> None:
        kit.db.write(lambda tx: rule_marks.put_in(tx, account, kind, digest, Millis(tx.now + days * DAY)))

    def there(account: Any, kind: str) -> bool:
        with kit.db.read() as reader:
            return marks.holds(reader, account, kind, digest, clock.now())

    put(ann, ANSWERED, 7)
    assert there(ann, ANSWERED)
    assert not there(ann, SEEN)
    assert not there(bob, ANSWERED)
    clock.advance(6 * DAY)
    assert there(ann, ANSWERED)
    clock.advance(DAY)
    assert not there(ann, ANSWERED)
    put(ann, ANSWERED, 7)
    assert there(ann, ANSWERED)


def test_answers_of_a_day_are_counted(kit: Any) -> None:
    ann, rule_marks = kit.ann.account, RuleMarks()
    for number in range(5):
        digest = digest_of(f"dora{number}@example.org")
        kit.db.write(lambda tx, digest=digest: rule_marks.put_in(tx, ann, ANSWERED, digest, Millis(tx.now + 1)))
    with kit.db.read() as reader:
        assert marks.answers(reader, ann, kit.clock.now()) == 5
        assert marks.answers(reader, kit.bob.account, kit.clock.now()) == 0
    kit.clock.advance(2 * DAY)
    kit.db.write(lambda tx: rule_marks.put_in(tx, ann, ANSWERED, b"x" * 16, Millis(tx.now + 1)))
    with kit.db.read() as reader:
        assert marks.answers(reader, ann, kit.clock.now()) == 1
