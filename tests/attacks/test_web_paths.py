"""Paths, queries and forms that no page of ours made: they are refused in words, never a fault, never a silence."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.house import House, house
from tests.web_rig import Browser

ANN, ROOT = "ann@example.test", "root@example.test"
FORM = "application/x-www-form-urlencoded"
BIG = "9" * 30
HUGE = "9" * 4_000
NUMBERS = (
    "/webmail/mail/inbox/t{}",
    "/webmail/mail/search/t{}?q=a",
    "/webmail/mail/starred/t{}",
    "/webmail/headers/{}/1",
    "/webmail/headers/1/{}",
    "/webmail/compose/reply/{}/1",
    "/webmail/compose/draft/{}/1",
    "/webmail/body/{}/1",
    "/webmail/part/1/{}/0",
    "/admin/accounts/{}",
    "/admin/accounts/{}/delete",
    "/admin/queue/{}",
)
NEXT = (
    "/webmail/%e4%b8%ad%e6%96%87",
    "/webmail/%f0%9f%98%80?a=%e4%b8%ad",
    "/webmail/%c2%85x",
    "/webmail/%0d%0aSet-Cookie:x=y",
    "//evil.example.net/",
    "/webmail/%5c%5cevil.example.net",
    "https://evil.example.net/webmail/",
)


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(ROOT, admin=True)
        yield h


@pytest.fixture(scope="module")
def people(running: House) -> dict[str, Browser]:
    ann, root = Browser(running), Browser(running)
    assert ann.sign_in(ANN).status == 303
    assert root.sign_in(ROOT, face="/admin").status == 303
    return {"/webmail": ann, "/admin": root}


@pytest.mark.parametrize(
    "number", [BIG, HUGE, "%d9%a3", "-1", "+1", "1_0"], ids=["big", "huge", "arabic", "-", "+", "_"]
)
@pytest.mark.parametrize("path", NUMBERS)
def test_a_number_that_no_database_knows_is_no_page(people: dict[str, Browser], path: str, number: str) -> None:
    browser = people["/" + path.split("/")[1]]
    for fragment in ("", "true"):
        assert browser.get(path.format(number), HX_Request=fragment).status == 404


@pytest.mark.parametrize("before", [f"-{BIG}.1", f"{BIG}.{BIG}", "-.1", "1.-1"])
def test_a_cursor_beyond_all_numbers_is_an_end(people: dict[str, Browser], before: str) -> None:
    assert people["/webmail"].get(f"/webmail/mail/inbox?before={before}").status == 200


@pytest.mark.parametrize("path", NEXT)
@pytest.mark.parametrize("fragment", ["", "true"])
def test_wherever_one_is_to_go_on_the_answer_comes_and_leads_nowhere_else(
    people: dict[str, Browser], path: str, fragment: str
) -> None:
    """A character beyond Latin-1 in an address for our scripts left the request without any answer."""
    answer = people["/webmail"].get(f"/webmail/login?next={path}", HX_Request=fragment)
    target = answer.headers["HX-Location"] if fragment else answer.location
    assert target.startswith("/webmail/") and target.isascii() and target.isprintable()
    assert not answer.headers.get("Set-Cookie")


@pytest.mark.parametrize("slug", ["%e4%b8%ad", "%0d%0aSet-Cookie:%20x=y", "%00", "%f0%9f%98%80"])
@pytest.mark.parametrize("fragment", ["", "true"])
def test_the_name_of_a_folder_breaks_no_header(people: dict[str, Browser], slug: str, fragment: str) -> None:
    ann = people["/webmail"]
    ann.get("/webmail/security")
    head = {"Content-Type": FORM, "Origin": ann.origin, **({"HX-Request": "true"} if fragment else {})}
    answer = ann.ask("POST", f"/webmail/mail/{slug}/act", urlencode({"csrf": ann.token, "do": "move:1"}), head)
    assert answer.status in {200, 303, 404}
    assert not answer.headers.get("Set-Cookie")


@pytest.mark.parametrize("session", ["²", "٣", BIG, "1e3"])
def test_a_session_is_named_by_plain_digits(people: dict[str, Browser], session: str) -> None:
    ann = people["/webmail"]
    ann.get("/webmail/security")
    assert ann.post("/webmail/security/sessions/end", {"session": session}).status == 303
    assert ann.get("/webmail/security").status == 200
