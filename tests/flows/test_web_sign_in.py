"""Signing in on the web: sessions (N1), cookies (N3), the second factor (N6), against the running appliance."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from tests.house import House, house
from tests.web_rig import Browser

ANN, ADMIN = "ann@example.test", "root@example.test"


@pytest.fixture(scope="module")
def running() -> Iterator[House]:
    with house() as h:
        h.add_account(ANN)
        h.add_account(ADMIN, admin=True)
        yield h


def secret_of(page: str) -> str:
    found = re.search(r'enrol__key mono">([A-Z2-7 ]+)<', page)
    assert found
    return found[1].replace(" ", "")


def signed_in(browser: Browser, face: str = "/webmail") -> bool:
    return browser.get(f"{face}/security").status == 200


def test_N1_a_new_id_at_sign_in_and_the_old_one_is_worth_nothing(running: House) -> None:
    browser = Browser(running)
    browser.get("/webmail/login")
    before = browser.cookies["__Host-mail"]
    answer = browser.sign_in(ANN)
    assert (answer.status, answer.location) == (303, "/webmail/")
    after = browser.cookies["__Host-mail"]
    assert before != after
    assert signed_in(browser)
    assert not signed_in(Browser(running, cookies={"__Host-mail": before}))
    again = browser.sign_in(ANN)
    assert again.status in {303, 403}, "a form of before the sign-in"


def test_N1_an_id_of_the_clients_own_choice_is_never_taken_over(running: House) -> None:
    chosen = "A" * 43
    browser = Browser(running, cookies={"__Host-mail": chosen})
    browser.sign_in(ANN)
    assert browser.cookies["__Host-mail"] != chosen
    assert not signed_in(Browser(running, cookies={"__Host-mail": chosen}))


def test_N1_signing_out_ends_the_session_on_the_server(running: House) -> None:
    browser = Browser(running)
    browser.sign_in(ANN)
    browser.get("/webmail/security")
    kept = dict(browser.cookies)
    answer = browser.post("/webmail/logout")
    assert (answer.status, answer.location) == (303, "/webmail/login")
    assert "__Host-mail" not in browser.cookies
    assert not signed_in(Browser(running, cookies=kept))


def test_N1_a_new_password_ends_all_other_sessions_and_renews_this_one(running: House) -> None:
    address = running.add_account("carol")
    here, there = Browser(running), Browser(running)
    here.sign_in(address)
    there.sign_in(address)
    here.get("/webmail/security")
    before = dict(here.cookies)
    fields = {"old": "secret", "new": "ten letters and more", "again": "ten letters and more"}
    wrong = here.post("/webmail/security/password", {**fields, "old": "not it"})
    assert wrong.status == 422
    assert signed_in(there)
    assert here.post("/webmail/security/password", {**fields, "again": "other"}).status == 422
    assert here.post("/webmail/security/password", {**fields, "new": "short", "again": "short"}).status == 422
    changed = here.post("/webmail/security/password", fields)
    assert (changed.status, changed.location) == (303, "/webmail/security?done=password")
    assert signed_in(here)
    assert not signed_in(there)
    assert not signed_in(Browser(running, cookies=before))
    assert Browser(running).sign_in(address, "secret").status == 403
    assert Browser(running).sign_in(address, "ten letters and more").status == 303


def test_N1_signing_in_again_ends_the_session_this_browser_had(running: House) -> None:
    browser = Browser(running)
    browser.sign_in(ANN)
    assert signed_in(browser)
    before = dict(browser.cookies)
    assert signed_in(Browser(running, cookies=dict(before)))
    fields = {"identity": ANN, "password": "secret"}
    assert browser.post("/webmail/login", fields).status == 303
    assert browser.cookies != before and signed_in(browser)
    assert not signed_in(Browser(running, cookies=before))


def test_N1_a_second_factor_ends_the_sessions_that_had_none(running: House) -> None:
    address = running.add_account("edda")
    here, elsewhere = Browser(running), Browser(running)
    here.sign_in(address)
    elsewhere.sign_in(address)
    enrol(here)
    assert signed_in(here) and not signed_in(elsewhere)


def test_N1_a_password_set_by_the_administrator_ends_every_session(running: House) -> None:
    address = running.add_account("dora")
    browser = Browser(running)
    browser.sign_in(address)
    assert signed_in(browser)
    running.ask("account.passwd", address=address, password="another secret")
    assert not signed_in(browser)


def test_suspension_ends_every_session(running: House) -> None:
    address = running.add_account("emil")
    browser = Browser(running)
    browser.sign_in(address)
    running.ask("account.suspend", address=address)
    assert not signed_in(browser)
    assert Browser(running).sign_in(address).status == 403


def test_N3_cookies_have_every_flag(running: House) -> None:
    lines = Browser(running).sign_in(ANN).cookies()
    parts = {part.strip() for part in lines["__Host-mail"].split(";")[1:]}
    assert parts == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}
    lines = Browser(running).sign_in(ADMIN, face="/admin").cookies()
    parts = {part.strip() for part in lines["__Host-admin"].split(";")[1:]}
    assert parts == {"Path=/", "HttpOnly", "SameSite=Strict", "Secure"}


def test_N3_on_plain_loopback_of_a_trial_they_have_no_prefix(running: House) -> None:
    browser = Browser(running, secure=False)
    line = browser.sign_in(ANN).cookies()["mail"]
    assert {part.strip() for part in line.split(";")[1:]} == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert signed_in(browser)
    # the one is nothing where the other is asked for
    assert not signed_in(Browser(running, cookies=dict(browser.cookies)))


def test_a_wrong_password_and_an_unknown_name_get_one_answer(running: House) -> None:
    answers = [Browser(running).sign_in(name, "wrong") for name in (ANN, "nobody@example.test")]
    assert [answer.status for answer in answers] == [403, 403]
    texts = {re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}
    assert len(texts) == 1
    assert "Wrong user name or password" in texts.pop()


def test_the_panel_is_for_administrators(running: House) -> None:
    answer = Browser(running).sign_in(ANN, face="/admin")
    assert answer.status == 403
    assert "does not administer" in answer.text
    browser = Browser(running)
    assert browser.sign_in(ADMIN, face="/admin").status == 303
    assert signed_in(browser, "/admin")
    assert not signed_in(browser, "/webmail")
    mail = Browser(running)
    mail.sign_in(ADMIN)
    stolen = Browser(running, cookies={"__Host-admin": mail.cookies["__Host-mail"]})
    assert not signed_in(stolen, "/admin")


def test_no_way_leads_elsewhere_after_signing_in(running: House) -> None:
    for target in ("//evil.test/", "https://evil.test/", "/\\evil.test", "/admin/", "/webmail/../admin", "/webmail//x"):
        browser = Browser(running)
        browser.get("/webmail/login")
        answer = browser.post(
            f"/webmail/login?next={target.replace('/', '%2F')}", {"identity": ANN, "password": "secret"}
        )
        assert (answer.status, answer.location) == (303, "/webmail/"), target
    browser = Browser(running)
    first = browser.get("/webmail/security?x=1")
    assert first.status == 303
    browser.get(first.location)
    answer = browser.post(first.location, {"identity": ANN, "password": "secret"})
    assert answer.location == "/webmail/security?x=1"


# --- the second factor ---------------------------------------------------------------------------------------------------


def enrol(browser: Browser) -> tuple[str, list[str], int]:
    """Set a factor up; returns the secret, the recovery codes and the step of the code that was used."""
    page = browser.get("/webmail/security/code")
    secret = secret_of(page.text)
    assert "<svg" in page.text
    step = int(time.time()) // 30
    answer = browser.post("/webmail/security/code", {"code": pyotp.TOTP(secret).generate_otp(step)})
    assert answer.status == 200
    codes = re.findall(r"<li>([a-z2-7-]+)</li>", answer.text)
    assert len(codes) == 10
    return secret, codes, step


def at_the_second_step(running: House, address: str) -> Browser:
    browser = Browser(running)
    answer = browser.sign_in(address)
    assert (answer.status, answer.location) == (303, "/webmail/login/code")
    browser.get("/webmail/login/code")
    return browser


def code_of(secret: str, after: int) -> str:
    """A code of a step that was not used yet, within the window."""
    step = max(after + 1, int(time.time()) // 30)
    return pyotp.TOTP(secret).generate_otp(step)


def test_N6_a_code_is_asked_for_and_accepted_once(running: House) -> None:
    address = running.add_account("frida")
    first = Browser(running)
    first.sign_in(address)
    secret, _, step = enrol(first)
    browser = at_the_second_step(running, address)
    half = dict(browser.cookies)
    assert browser.get("/webmail/security").location == "/webmail/login/code"
    spent = browser.post("/webmail/login/code", {"code": pyotp.TOTP(secret).generate_otp(step)})
    assert spent.status == 403
    code = code_of(secret, step)
    answer = browser.post("/webmail/login/code", {"code": code})
    assert (answer.status, answer.location) == (303, "/webmail/")
    assert browser.cookies["__Host-mail"] != half["__Host-mail"]
    assert signed_in(browser)
    assert not signed_in(Browser(running, cookies=half))
    replay = at_the_second_step(running, address)
    assert replay.post("/webmail/login/code", {"code": code}).status == 403
    assert not signed_in(replay)


def test_N6_ten_at_once_with_one_code_one_gets_in(running: House) -> None:
    address = running.add_account("gerd")
    first = Browser(running)
    first.sign_in(address)
    secret, _, step = enrol(first)
    browsers = [at_the_second_step(running, address) for _ in range(10)]
    code = code_of(secret, step)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda one: one.post("/webmail/login/code", {"code": code}), browsers))
    assert sorted(answer.status for answer in answers).count(303) == 1
    assert sum(signed_in(browser) for browser in browsers) == 1


def test_N6_twenty_guesses_are_stopped_and_a_recovery_code_lets_the_owner_in(running: House) -> None:
    address = running.add_account("hanna")
    first = Browser(running)
    first.sign_in(address)
    secret, codes, step = enrol(first)
    good = {pyotp.TOTP(secret).generate_otp(step + n) for n in range(-2, 4)}
    guesses = [f"{n:06}" for n in range(40) if f"{n:06}" not in good][:20]
    browser = at_the_second_step(running, address)
    statuses = [browser.post("/webmail/login/code", {"code": guess}).status for guess in guesses]
    assert statuses == [403] * 5 + [429] * 15
    other = at_the_second_step(running, address)
    assert other.post("/webmail/login/code", {"code": code_of(secret, step)}).status == 429
    assert other.post("/webmail/login/code", {"code": codes[0].upper()}).status == 303
    assert signed_in(other)
    again = at_the_second_step(running, address)
    assert again.post("/webmail/login/code", {"code": codes[0]}).status == 403


def test_turning_it_off_takes_a_code(running: House) -> None:
    address = running.add_account("ida")
    browser = Browser(running)
    browser.sign_in(address)
    _, codes, _ = enrol(browser)
    browser.get("/webmail/security")
    assert browser.post("/webmail/security/code/remove", {"code": "000000"}).status == 403
    assert Browser(running).sign_in(address).location == "/webmail/login/code"
    done = browser.post("/webmail/security/code/remove", {"code": codes[0]})
    assert done.location == "/webmail/security?done=off"
    assert Browser(running).sign_in(address).location == "/webmail/"


def test_the_page_lists_sessions_and_ends_them(running: House) -> None:
    address = running.add_account("jan")
    here, there = Browser(running), Browser(running, headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
    here.sign_in(address)
    there.sign_in(address)
    page = html.unescape(here.get("/webmail/security").text)
    assert "Firefox, Linux" in page
    assert "This browser" in page
    assert here.post("/webmail/security/sessions/end").status == 303
    assert signed_in(here)
    assert not signed_in(there)


def test_language_and_theme(running: House) -> None:
    browser = Browser(running, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    page = browser.get("/webmail/login").text
    assert '<html lang="zh-Hans"' in page
    assert "登录" in page
    browser.get("/webmail/login?lang=en")
    assert '<html lang="en"' in browser.get("/webmail/login").text
    browser.sign_in(ANN)
    browser.get("/webmail/security")
    browser.post("/webmail/preferences", {"language": "zh_CN", "theme": "dark"})
    assert '<html lang="zh-Hans" data-theme="dark">' in browser.get("/webmail/security").text
    browser.post("/webmail/preferences", {"language": "auto", "theme": "system"})
    assert '<html lang="en">' in browser.get("/webmail/security").text
