"""The records of a domain: what is named, how a zone file says it."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import cast

import pytest
from dns import rdatatype, zone

from admin.health import Certificate, Disk, Health, problems, reserved
from admin.names import Finding, ask, judge
from admin.records import Ports, Record, records
from admin.records import zone as zone_text
from appliance.net.resolver import OffResolver
from data.ids import Millis
from data.reason import Reason
from data.spool.oversight import Failing, Listed
from data.store.quota import Usage

KEY = "v=DKIM1; k=rsa; p=" + "A" * 400
FOUND = records("example.org", "mail.example.org", [("m1r._domainkey.example.org", KEY)], Ports(465, 993))


def test_a_zone_file_that_a_name_server_reads() -> None:
    text = zone_text("example.org", FOUND)
    head = "@ 3600 IN SOA mail.example.org. postmaster.example.org. 1 1 1 1 1\n@ 3600 IN NS mail.example.org.\n"
    read = zone.from_text(head + text, origin="example.org.", relativize=False)
    mx = read.get_rdataset("example.org.", rdatatype.MX)
    assert mx is not None and str(mx[0]) == "10 mail.example.org."
    key = read.get_rdataset("m1r._domainkey.example.org.", rdatatype.TXT)
    assert key is not None and b"".join(key[0].strings).decode() == KEY
    service = read.get_rdataset("_imaps._tcp.example.org.", rdatatype.SRV)
    assert service is not None and str(service[0]) == "0 1 993 mail.example.org."


def test_what_only_the_owner_knows_is_a_comment() -> None:
    line = next(one.line for one in FOUND if one.type == "A")
    assert line.startswith("; mail.example.org.")
    assert not re.search(r"\d+\.\d+\.\d+\.\d+", line)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("example.test", True), ("a.example.com", True), ("example.com", True), ("firm.de", False), ("myexample.com", False), ("test", True), ("contest", False)],
)  # fmt: skip
def test_reserved_names(name: str, expected: bool) -> None:
    assert reserved(name) is expected


def healthy(**other: object) -> Health:
    facts: dict[str, object] = {
        "disk": Disk(1000, 500, 50), "certificate": Certificate(True, days=60), "counts": {}, "failing": (), "near": (),
        "trial": (), "dns_off": False, "routed": False,
    }  # fmt: skip
    return Health(**{**facts, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "told", "bad"),
    [
        ({}, None, False),
        ({"disk": Disk(1000, 90, 50)}, "The disk is nearly full", False),
        ({"disk": Disk(1000, 50, 50)}, "The disk is full: new mail is put off", True),
        ({"certificate": Certificate(False)}, "The certificate cannot be read", True),
        ({"certificate": Certificate(True, days=-1)}, "The certificate has expired", True),
        ({"certificate": Certificate(True, days=3)}, "The certificate ends in %(count)s day", False),
        ({"certificate": Certificate(True, True, days=800)}, "The certificate is self-signed", False),
        ({"near": (("a@b.example", 7, Usage(95, 1, 100)),)}, "The mailbox of %(address)s is nearly full", False),
        ({"near": (("a@b.example", 7, Usage(100, 1, 100)),)}, "The mailbox of %(address)s is full", True),
        ({"wrong": (("firm.example", 2),)}, "%(count)s record of %(domain)s is not right", True),
        ({"dns_off": True}, "Looking up other domains is switched off", False),
        ({"dns_off": True, "trial": ("x.test",), "routed": True}, None, False),
        ({"trial": ("x.test",)}, "%(domain)s is a trial domain", False),
    ],
)
def test_what_needs_somebody(other: dict[str, object], told: str | None, bad: bool) -> None:
    found = problems(healthy(**other))
    assert [one.what if isinstance(one.what, str) else one.what[0] for one in found] == ([told] if told else [])
    assert [one.bad for one in found] == ([bad] if told else [])


def failing(code: str, count: int) -> Failing:
    """Mail that waits for that reason."""
    listed = SimpleNamespace(reason=Reason(code), remote="mx.example.org", reply="450 4.7.1 later")
    return Failing("example.org", count, Millis(0), Millis(1), cast(Listed, listed))


def test_one_cause_is_one_problem() -> None:
    waits = (failing("dns.off", 2), failing("queue.rcpt", 1))
    found = problems(healthy(dns_off=True, trial=("x.test",), failing=waits))
    assert [(one.what[1], one.params["count"]) for one in found] == [
        ("%(count)s messages to %(domain)s are delayed", 1),
        ("%(count)s messages to other servers wait", 2),
    ]
    assert found[0].said == "mx.example.org 450 4.7.1 later"


def finding(kind: str, *said: str) -> Finding:
    return judge(next(one for one in FOUND if one.kind == kind), said)


@pytest.mark.parametrize(
    ("kind", "said", "state"),
    [
        ("mx", (), "missing"),
        ("mx", ("10 mail.example.org",), "ok"),
        ("mx", ("20 mail.example.org", "10 other.example"), "different"),
        ("mx", ("10 other.example",), "different"),
        ("mx", ("0 ",), "different"),
        ("a", ("192.0.2.1",), "ok"),
        ("ptr", ("192.0.2.1 mail.example.org",), "ok"),
        ("ptr", ("192.0.2.1 a.example, mail.example.org", "2001:db8::1 b.example"), "different"),
        ("spf", ("hello", "v=spf1 mx ~all"), "ok"),
        ("spf", ("v=spf1 ip4:192.0.2.9 -all",), "different"),
        ("spf", ("v=spf1 mx -all", "v=spf1 -all"), "different"),
        ("dkim", (KEY.replace("p=", "p= "),), "ok"),
        ("dkim", ("v=DKIM1; p=other",), "different"),
        ("dmarc", ("v=DMARC1; p=reject; rua=mailto:x@example.net",), "ok"),
        ("dmarc", ("v=DMARC1; p=maybe",), "different"),
        ("dmarc", ("v=DMARC1; p=none", "v=DMARC1; p=none"), "different"),
        ("tlsrpt", ("v=TLSRPTv1; rua=mailto:x@example.net",), "ok"),
        ("srv", ("0 1 465 mail.example.org.",), "ok"),
        ("srv", ("0 1 587 mail.example.org.",), "different"),
    ],
)
def test_what_was_found_is_judged_by_what_it_does(kind: str, said: tuple[str, ...], state: str) -> None:
    assert finding(kind, *said).state == state


def test_a_name_server_without_an_answer_is_no_missing_record() -> None:
    assert judge(FOUND[0], None).state == "unknown"


@pytest.mark.parametrize("record", FOUND, ids=lambda one: one.kind)
def test_nobody_to_ask_is_no_answer(record: Record) -> None:
    assert asyncio.run(ask(OffResolver(), record, "mail.example.org")) is None


def test_the_senders_that_are_there_stay() -> None:
    found = finding("spf", "v=spf1 include:other.example ~all")
    assert found.wanted == "v=spf1 mx include:other.example ~all" and found.note
    assert finding("spf", "v=spf1 -all").wanted == "v=spf1 mx -all"


def test_the_worst_comes_first() -> None:
    found = problems(healthy(trial=("x.test",), certificate=Certificate(True, days=-2)))
    assert [one.bad for one in found] == [True, False]
