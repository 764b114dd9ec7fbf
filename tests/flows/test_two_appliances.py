"""Two appliances mail each other, each with its own keys and names: what one signs, the other believes, and nothing else."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.house import House, house
from tests.instruments.dnsserver import DnsServer


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[House, House, DnsServer]]:
    with DnsServer({}) as names, ExitStack() as stack:
        built = [
            stack.enter_context(
                house(tmp_path / name, start=False, profile="development", domain=f"{name}.example", dns=names.address)
            )
            for name in ("one", "two")
        ]
        for here, there in (built, built[::-1]):
            here.env["MAILSTEAD_ROUTE_ALL"] = f"127.0.0.1:{there.smtp_port}"
            here.start()
            here.add_account("ann")
        yield built[0], built[1], names


def publish(names: DnsServer, one: House, *, spf: str = "v=spf1 ip4:127.0.0.1 -all") -> None:
    """The records of an appliance, as its own list says them."""
    (listed,) = one.ask("domain.list")["domains"]
    names.set(one.domain, {"TXT": [f'"{spf}"']})
    names.set(f"_dmarc.{one.domain}", {"TXT": ['"v=DMARC1; p=reject"']})
    for name, text in listed["records"]:
        names.set(name, {"TXT": [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))]})


def send(source: House, target: House, subject: str) -> None:
    text = f"From: ann@{source.domain}\r\nTo: ann@{target.domain}\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8"
    with source.submission(f"ann@{source.domain}") as client:
        client.sendmail(f"ann@{source.domain}", [f"ann@{target.domain}"], f"{text}\r\n\r\nGrüße aus Köln\r\n".encode())


def received(target: House, subject: str) -> str:
    """The message once it is there."""
    with target.imap(f"ann@{target.domain}") as client:
        client.select("INBOX")
        end = time.monotonic() + 40
        while not (found := client.search(None, "SUBJECT", subject)[1][0].split()) and time.monotonic() < end:
            client.noop()
            time.sleep(0.2)
        answer: Any = client.fetch(found[0], "(BODY[])")[1]
        return bytes(answer[0][1]).decode()


def results(text: str) -> str:
    return re.sub(r"\s+", " ", re.findall(r"^Authentication-Results: ((?:.|\r\n\t)*?)\r\n(?!\t)", text, re.M)[0])


@pytest.mark.long
def test_they_believe_each_other_and_see_a_wrong_key(pair: tuple[House, House, DnsServer]) -> None:
    """SPF, both DKIM signatures and DMARC pass both ways; with another key in DNS the signatures fail, and where SPF does not
    speak for the message either, it is refused and its author told."""
    one, two, names = pair
    for each in pair[:2]:
        publish(names, each)
    for source, target in ((one, two), (two, one)):
        send(source, target, "hello")
        text = received(target, "hello")
        told = results(text)
        assert told.startswith(f"mail.{target.domain}; spf=pass smtp.mailfrom={source.domain}; dkim=pass")
        assert told.count("dkim=pass") == 2 and "a=rsa-sha256" in told and "a=ed25519-sha256" in told
        assert f"dmarc=pass header.from={source.domain} policy.dmarc=reject" in told
        assert "Content-Transfer-Encoding: base64" in text and text.isascii()
    publish(names, one, spf="v=spf1 -all")
    for name, _ in one.ask("domain.list")["domains"][0]["records"]:
        names.set(name, {"TXT": ['"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="']})
    names.set("two.example", {"TXT": ['"v=spf1 ip4:127.0.0.1 -all"']})
    two.stop()
    two.start()  # forgets the answers it had
    send(one, two, "forged")
    notice = received(one, "not")
    assert "DMARC" in notice and "5.7.1" in notice
