"""The records of a domain: what is named, how a zone file says it."""

from __future__ import annotations

import re

import pytest
from dns import rdatatype, zone

from admin.health import Certificate, Disk, Health, problems, reserved
from admin.records import Ports, records
from admin.records import zone as zone_text
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
        ({"dns_off": True}, "Looking up other domains is switched off", False),
        ({"dns_off": True, "trial": ("x.test",), "routed": True}, None, False),
        ({"trial": ("x.test",)}, "%(domain)s is a trial domain", False),
    ],
)
def test_what_needs_somebody(other: dict[str, object], told: str | None, bad: bool) -> None:
    found = problems(healthy(**other))
    assert [one.what if isinstance(one.what, str) else one.what[0] for one in found] == ([told] if told else [])
    assert [one.bad for one in found] == ([bad] if told else [])


def test_the_worst_comes_first() -> None:
    found = problems(healthy(trial=("x.test",), certificate=Certificate(True, days=-2)))
    assert [one.bad for one in found] == [True, False]
