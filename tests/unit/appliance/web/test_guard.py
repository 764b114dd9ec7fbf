"""The guard alone: hosts, origins, tokens, where to go."""

from __future__ import annotations

import pytest

from appliance.config import ConfigError, build, load
from appliance.web.guard import Asked, Hosts, Tokens, from_here, local_path
from data.disk.seal import Keys


def asked(**headers: str) -> Asked:
    known = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    return Asked(
        "POST", "/webmail/x", "https://mail.example.test", True, "192.0.2.1", lambda name: known.get(name.lower())
    )


def test_the_canonical_address_is_the_configurations() -> None:
    plain = Hosts.configured(build({"hostname": "mail.example.test"}))
    assert plain.canonical == "https://mail.example.test"
    assert plain.knows("mail.example.test") and plain.knows("mail.example.test:443")
    assert not plain.knows("localhost") and not plain.knows("127.0.0.1") and not plain.knows("mail.example.test:8443")
    moved = Hosts.configured(build({"hostname": "mail.example.test", "base_port": 20_000}))
    assert moved.canonical == "https://mail.example.test:20443"
    front = Hosts.configured(build({"hostname": "in.example.test", "url": "https://mail.example.org"}))
    assert front.canonical == "https://mail.example.org"
    assert front.knows("mail.example.org") and front.knows("in.example.test") and not front.knows("example.org")
    trial = Hosts.configured(build({"profile": "development", "base_port": 20_000}))
    assert trial.canonical == "http://localhost:20080"
    assert all(trial.knows(name) for name in ("localhost:1", "127.0.0.1:20080", "[::1]:9", "127.9.9.9"))


@pytest.mark.parametrize(
    "host", ["", None, "a b", "x" * 300, "[::1", "mail.example.test:999999", "mail.example.test@x", "ｍail"]
)
def test_strange_hosts_are_not_ours(host: str | None) -> None:
    assert not Hosts.configured(build({"hostname": "mail.example.test", "profile": "development"})).knows(host)


def test_the_url_is_checked(tmp_path) -> None:
    for wrong in ("http://x.test", "https://x.test/path", "x.test", "https://u@x.test"):
        with pytest.raises(ConfigError):
            load(tmp_path, {"MAILSTEAD_URL": wrong})
    assert load(tmp_path, {"MAILSTEAD_URL": "https://Mail.example.org/"}).url == "https://mail.example.org"


def test_a_request_says_where_it_comes_from() -> None:
    assert from_here(asked(Origin="https://mail.example.test"))
    assert from_here(asked(Sec_Fetch_Site="same-origin"))
    assert from_here(asked(Referer="https://mail.example.test/webmail/login"))
    for wrong in (
        {"Origin": "null"}, {"Origin": "https://mail.example.test.evil.test"}, {"Origin": "http://mail.example.test"},
        {"Origin": "https://evil.test", "Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"}, {"Referer": "https://mail.example.test.evil.test/"}, {},
    ):  # fmt: skip
        assert not from_here(asked(**wrong)), wrong


def test_tokens_belong_to_one_cookie_and_never_look_alike() -> None:
    tokens = Tokens(Keys(bytes(32)).digest)
    shown = {tokens.show("mail", "cookie") for _ in range(50)}
    assert len(shown) == 50
    assert all(tokens.fits("mail", "cookie", token) for token in shown)
    one = shown.pop()
    assert not tokens.fits("admin", "cookie", one)
    assert not tokens.fits("mail", "other", one)
    assert not tokens.fits("mail", "", one)
    assert not Tokens(Keys(b"x" * 32).digest).fits("mail", "cookie", one)
    for wrong in (None, "", "x", one[:-4], one + "AAAA", "é" * 10, "=" * 44, "A" * 44):
        assert not tokens.fits("mail", "cookie", wrong)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/webmail/mail/inbox", True),
        ("/webmail/search?q=a//b", True),
        ("/webmail", False),
        ("/admin/", False),
        ("//evil.test/webmail/", False),
        ("/webmail//evil.test", False),
        ("/webmail/../admin/", False),
        ("/webmail/\\evil.test", False),
        ("/webmail/\r\nSet-Cookie: a=b", False),
        ("https://evil.test/webmail/", False),
        ("javascript:alert(1)", False),
        ("", False),
        (None, False),
        ("/webmail/" + "x" * 3_000, False),
    ],
)
def test_where_to_go_afterwards(text: str | None, kept: bool) -> None:
    assert local_path(text, "/webmail", "/webmail/") == (text if kept else "/webmail/")
