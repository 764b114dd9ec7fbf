"""Pigeonhole's sieve-test (Debian's dovecot-sieve) over the same scripts and messages: the two agree.

A row of the tables that says `pigeonhole = "..."` is one where it differs, and why; everything else must come out alike,
and what we refuse it refuses.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.outside import Ran, call
from tests.sieve_cases import NOW, RECIPIENT, Case, cases, errors, octets

FAILED = 89
_CONF = """\
base_dir = {base}/run
log_path = /dev/stderr
mail_home = {base}
mail_location = maildir:{base}/mail
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
plugin {{
  sieve_extensions = +vacation-seconds +special-use +duplicate
  sieve_vacation_min_period = 0
}}
"""
_NOBODY = 65534
_STORE = re.compile(r" \* store message in folder: (.*)")
_LINES = {
    re.compile(r" \* redirect message to: <(.*)>"): "redirect {}",
    re.compile(r" \* discard()"): "discard",
}

Asked = Callable[[Case], Ran]


@pytest.fixture(autouse=True)
def untroubled() -> None:
    """No house is asked here."""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that whoever sieve-test becomes can use."""
    root = os.geteuid() == 0
    uid, gid = (_NOBODY, _NOBODY) if root else (os.geteuid(), os.getegid())
    with tempfile.TemporaryDirectory(prefix="sieve-") as name:
        base = Path(name)
        if root:
            os.chown(base, uid, gid)
        (base / "dovecot.conf").write_text(_CONF.format(base=base, uid=uid, gid=gid))
        yield base


@pytest.fixture
def asked(program: Callable[[str], str], place: Path) -> Asked:
    """`asked(case)`: what sieve-test says of it."""
    path = program("sieve-test")

    def ask(case: Case) -> Ran:
        script, mail = place / "case.sieve", place / "case.eml"
        script.write_bytes(case.script.encode())
        mail.write_bytes(octets(case.message))
        words = [path, "-c", place / "dovecot.conf", "-C", "-r", RECIPIENT, "-a", RECIPIENT, "-f", case.sender]
        return call([*words, script, mail], expect=None, env={"HOME": str(place), "TZ": "UTC"})

    return ask


AGREED = [case for case in cases() if case.pigeonhole is None]


@pytest.mark.parametrize("case", AGREED, ids=lambda case: case.id)
def test_the_same_comes_of_it(asked: Asked, case: Case) -> None:
    ran = asked(case)
    assert ran.status == 0, ran.said
    assert _outcome(ran.out) == sorted(_plain(one) for one in case.expect), ran.said


@pytest.mark.parametrize("case", [one for one in errors() if one.pigeonhole is None], ids=lambda case: case.id)
def test_the_same_is_refused(asked: Asked, case: Case) -> None:
    ran = asked(case)
    assert ran.status == FAILED, ran.said
    assert "error" in ran.said


def test_most_cases_are_held_against_it() -> None:
    assert len(AGREED) > 0.85 * len(cases())
    assert NOW


def _plain(expected: str) -> str:
    """An outcome of ours in the words that sieve-test has for it: it shows nothing of how to answer but the text."""
    return re.sub(r" every \d+.*| special .*", "", expected)


def _outcome(said: str) -> list[str]:
    found: list[str] = []
    lines = iter(said.split("\n"))
    for line in lines:
        if stored := _STORE.match(line):
            name = stored[1]
            found.append("keep" if name == "INBOX" else f"fileinto {name}")
        elif added := re.match(r" +\+ add IMAP flags: (.*)", line):
            found[-1] += "".join(f" {flag}" for flag in sorted(added[1].lower().split()))
        elif "create mailbox if it does not exist" in line:
            found[-1] += " +create"
        elif line.startswith(" * send vacation message"):
            found.append(f"vacation {_block(lines)}")
        elif line.startswith(" * reject message"):
            found.append(f"reject {_rest(line, lines)}")
        for pattern, words in _LINES.items():
            if met := pattern.match(line):
                found.append(words.format(met[1]))
    return sorted(_ordered(one) for one in found)


def _ordered(one: str) -> str:
    """Flags stand before what comes after them in ours."""
    head, plus, tail = one.partition(" +create")
    return head + tail + plus


def _block(lines: Iterator[str]) -> str:
    for line in lines:
        if line == "START MESSAGE":
            break
    out = []
    for line in lines:
        if line == "END MESSAGE":
            break
        out.append(line)
    return "|".join(one.rstrip("\r") for one in out)


def _rest(line: str, lines: Iterator[str]) -> str:
    """The words of a refusal, up to the empty line behind it; a line end is shown as two question marks."""
    out = [line.partition("reason: ")[2]]
    for more in lines:
        if not more.strip():
            break
        out.append(more)
    return "|".join(out).replace("??", "|")
