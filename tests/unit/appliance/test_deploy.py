"""appliance.deploy: the licence check and the wording check can fail."""

from __future__ import annotations

import pytest

from appliance.deploy import licences, wording


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-2.0-only", True),
        ("Apache-2.0 AND BSD-2-Clause", True),
        ("MIT AND AGPL-3.0-or-later", False),
        ("GPL-3.0-only", False),
        ("LGPL-3.0-only", False),
        ("unknown: Freeware", False),
    ],
)
def test_licence_expressions(expression: str, allowed: bool) -> None:
    assert licences.permitted(expression) is allowed


def test_the_packages_installed_here_are_allowed() -> None:
    names = licences.closure()
    assert {"twisted", "aiosmtpd", "sqlalchemy"} <= set(names)
    assert licences.verdict(names)[1] == []


def test_a_package_under_the_lgpl_is_refused() -> None:
    assert licences.verdict(["psycopg"])[1] == ["psycopg"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("see /ro" + "ot/notes for more", "path"),
        ("in /ho" + "me/ann/mail", "path"),
        ("/var/lib/mailstead and /etc/hosts", ""),
        ("read DESIGN_NOTES" + ".md first", "document"),
        ("read README.md first", ""),
        ("index at py" + "pi.org", "word"),
        ("made with A" + "I", "word"),
        ("WAIT, AIM and ai are words", ""),
    ],
)
def test_wording(line: str, found: str) -> None:
    said = [what for _, what in wording.complaints(line, frozenset({"README.md"}))]
    assert (found in said[0]) if found else not said
