"""What one stranger, or one signed-in person, can take from everybody: connections, places for events, memory."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from tests.house import House, house
from tests.web_rig import Browser

ANN = "ann@example.test"
MEGABYTE = 1024 * 1024
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def limited() -> Iterator[House]:
    """A house whose limits hold for loopback too."""
    with house(profile="development") as h:
        h.add_account(ANN)
        yield h


@pytest.fixture(scope="module")
def ann(limited: House) -> Browser:
    browser = Browser(limited)
    assert browser.sign_in(ANN).status == 303
    return browser


def descriptors(running: House) -> int:
    return len(os.listdir(f"/proc/{running.pid}/fd"))


def comes_true(what: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("listener", ["https", "http"])
def test_F2_connections_beyond_the_limit_are_let_go_though_nothing_is_ever_said(limited: House, listener: str) -> None:
    """Whoever never begins the handshake cannot be told no; they held a descriptor for good."""
    before = descriptors(limited)
    with contextlib.ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(socket.create_connection(("127.0.0.1", limited.port(listener))))
        assert comes_true(lambda: descriptors(limited) - before <= 36, 20), descriptors(limited) - before
    assert comes_true(lambda: descriptors(limited) <= before + 2, 20), descriptors(limited) - before


def test_F2_who_is_beyond_the_limit_is_told(limited: House) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(("127.0.0.1", limited.port("http"))))
        late = stack.enter_context(limited.connect(limited.port("http")))
        assert late.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_asking_for_the_head_of_events_takes_no_place(limited: House, ann: Browser) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in ann.cookies.items())
    rest = f" /webmail/events HTTP/1.1\r\nHost: localhost:{limited.port('https')}\r\nCookie: {cookies}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for method in [b"HEAD"] * 25 + [b"GET"]:
            one = stack.enter_context(limited.connect(limited.port("https"), tls=True))
            one.sendall(method + rest)
            assert one.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_many_large_uploads_at_once_are_put_together_a_few_at_a_time(limited: House, ann: Browser) -> None:
    ann.get("/webmail/compose")
    head = {"Content-Type": FORM, "Origin": ann.origin, "HX-Request": "true"}
    places = []
    for number in range(8):
        fields = {"csrf": ann.token, "key": f"{number + 1:032x}", "do": "save", "text": "x"}
        answer = ann.ask("POST", "/webmail/compose", urlencode(fields), head)
        places.append((fields["key"], re.search(r'"version": (\d+)', answer.text)[1]))  # type: ignore[index]
    data = b"x" * (12 * MEGABYTE)

    def upload(place: tuple[str, str]) -> int:
        other = Browser(limited, cookies=dict(ann.cookies))
        wanted = {"Content-Type": "application/octet-stream", "Origin": ann.origin, "X-CSRF-Token": ann.token}
        return other.ask("POST", f"/webmail/upload?key={place[0]}&version={place[1]}&name=f", data, wanted).status

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(upload, places)) == {200}
    with open(f"/proc/{limited.pid}/status", encoding="ascii") as status:
        peak = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])  # type: ignore[index]
    assert peak < 400 * 1024, f"{peak // 1024} MB"
