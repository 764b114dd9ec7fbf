"""Address lists, normal forms and domains."""

from __future__ import annotations

import pytest

from data.mime.address import (
    Address,
    AddressError,
    Group,
    domain_to_ascii,
    domain_to_unicode,
    mailboxes,
    normal,
    parse_list,
    quote_local,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"ann@example.org", [Address(None, "ann", "example.org")]),
        (b" <ann@example.org> ", [Address(None, "ann", "example.org")]),
        (b"Ann B. <ann@example.org>", [Address("Ann B.", "ann", "example.org")]),
        (b'"B, Ann" <ann@example.org>', [Address("B, Ann", "ann", "example.org")]),
        (b'"A \\"B\\"" <a@example.org>', [Address('A "B"', "a", "example.org")]),
        (b"a@example.org,b@example.org", [Address(None, "a", "example.org"), Address(None, "b", "example.org")]),
        (b"a@example.org,\r\n\tB <b@example.org>,,", [Address(None, "a", "example.org"), Address("B", "b", "example.org")]),
        (b"ann@example.org (Ann (of X))", [Address("Ann (of X)", "ann", "example.org")]),
        (b'"john doe"@example.org', [Address(None, "john doe", "example.org")]),
        (b'"a@b"@example.org', [Address(None, "a@b", "example.org")]),
        (b"ann . b @ example . org", [Address(None, "ann.b", "example.org")]),
        (b"<@a.example,@b.example:ann@example.org>", [Address(None, "ann", "example.org", "@a.example,@b.example")]),
        (b"ann", [Address(None, "ann", None)]),
        (b"ann@", [Address(None, "ann", "")]),
        (b"ann@[192.0.2.1]", [Address(None, "ann", "[192.0.2.1]")]),
        (b"=?utf-8?q?=C3=84?= <a@example.org>", [Address("=?utf-8?q?=C3=84?=", "a", "example.org")]),
        ("Ä <ä@exämple.org>".encode(), [Address("Ä", "ä", "exämple.org")]),
        (b"J\xf6rg <j@example.org>", [Address("Jörg", "j", "example.org")]),
        (b"Group: a@example.org, B <b@example.org>;", [Group("Group", (Address(None, "a", "example.org"), Address("B", "b", "example.org")))]),
        (b"undisclosed-recipients:;", [Group("undisclosed-recipients", ())]),
        (b"x: a@example.org", [Group("x", (Address(None, "a", "example.org"),))]),
        (b"", []),
        (b" , ; > ) ", [Address(None, ">)", None)]),
        (b"(only a comment)", []),
        (b"<>", []),
        (b"\"never ends <a@example.org>", [Address(None, "never ends <a@example.org>", None)]),
        (b"Ann <ann@example.org", [Address("Ann", "ann", "example.org")]),
        (b"Ann <ann@example.org>, <bob@example.org", [Address("Ann", "ann", "example.org"), Address(None, "bob", "example.org")]),
        (b"Ann\r\n B <ann@example.org>", [Address("Ann B", "ann", "example.org")]),
    ],
)  # fmt: skip
def test_parse_list(raw: bytes, expected: list[Address | Group]) -> None:
    assert parse_list(raw) == expected


def test_the_limit_counts_members_and_groups() -> None:
    assert len(parse_list(b"a@x, " * 10, 4)) == 4
    assert len(list(mailboxes(parse_list(b"g: " + b"a@x, " * 10 + b";", 4)))) == 4
    assert len(parse_list(b"g:;" * 10, 4)) == 4


def test_octets_as_latin_1_lose_nothing() -> None:
    name = "à\x85Ã\xa0 b"
    assert parse_list(f"{name} <a@example.org>") == [Address(name, "a", "example.org")]
    assert parse_list(f"{name}(c) <a@example.org>") == [Address(name, "a", "example.org")]


def test_spec_quotes_where_it_must() -> None:
    assert Address(None, "john doe", "example.org").spec == '"john doe"@example.org'
    assert Address(None, "j.d", None).spec == "j.d"
    assert quote_local('a"b\\') == '"a\\"b\\\\"'
    assert quote_local("a..b") == '"a..b"'
    assert quote_local("") == '""'


@pytest.mark.parametrize(
    ("address", "local", "domain", "key", "base", "tag"),
    [
        ("ann@example.org", "ann", "example.org", "ann", "ann", None),
        ("Ann.B@EXAMPLE.org", "Ann.B", "example.org", "ann.b", "ann.b", None),
        ("ann+shop+x@example.org", "ann+shop+x", "example.org", "ann+shop+x", "ann", "shop+x"),
        ("+x@example.org", "+x", "example.org", "+x", "+x", None),
        ("ann+@example.org", "ann+", "example.org", "ann+", "ann", ""),
        ('"Ann"@example.org', '"Ann"', "example.org", "ann", "ann", None),
        ('"a b+c"@example.org', '"a b+c"', "example.org", '"a b+c"', '"a b"', "c"),
        ('"a@b"@example.org', '"a@b"', "example.org", '"a@b"', '"a@b"', None),
        ('"a\\"b"@example.org', '"a\\"b"', "example.org", '"a\\"b"', '"a\\"b"', None),
        ("Ä@bücher.example", "Ä", "xn--bcher-kva.example", "ä", "ä", None),
        ("A\u0308@example.org", "A\u0308", "example.org", "ä", "ä", None),
        ("a@straße.example", "a", "xn--strae-oqa.example", "a", "a", None),
        ("a@XN--BCHER-KVA.example", "a", "xn--bcher-kva.example", "a", "a", None),
        ("a%b@example.org", "a%b", "example.org", "a%b", "a%b", None),
        ("a@localhost", "a", "localhost", "a", "a", None),
    ],
)
def test_normal(address: str, local: str, domain: str, key: str, base: str, tag: str | None) -> None:
    found = normal(address)
    assert (found.local, found.domain, found.key, found.base_key, found.tag) == (local, domain, key, base, tag)
    assert found.key_address == f"{key}@{domain}"
    assert found.base_address == f"{base}@{domain}"
    assert normal(found.address) == found


@pytest.mark.parametrize(
    "address",
    [
        "", "ann", "@example.org", "ann@", "ann@example.org.", "ann@.example", "ann@exa mple.org", "ann@-a.example",
        "ann@a_b.example", "ann@192.0.2.1", "ann@[192.0.2.1]", "a b@example.org", ".a@example.org", "a.@example.org",
        "a..b@example.org", 'a"b@example.org', '"a@example.org', '"a"b@example.org', '"a\x00"@example.org', "a\n@example.org",
        "a\x7f@example.org", "<a@example.org>", "a@b@example.org", "@x:a@example.org", "a(c)@example.org",
        "x" * 65 + "@example.org", "ä" * 33 + "@example.org", "a@" + "b" * 64 + ".example", "a@" + "b." * 126 + "example",
        "a@xn--.example", "a@xn--zzzzzz.example", "a\u202eb@example.org", "a\u00a0b@example.org", "a\u200bb@example.org",
        "a@exam\u200bple.org\u0000", "\ud800@example.org", "a@example\u3002", "a@ex\u2044ample.org", "a,b@example.org",
    ],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(AddressError) as caught:
        normal(address)
    assert caught.value.public
    assert address not in caught.value.public or not address


@pytest.mark.parametrize(
    ("address", "domain"),
    [("a@[192.0.2.1]", "[192.0.2.1]"), ("a@[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]")],
)
def test_literals_only_where_they_are_asked_for(address: str, domain: str) -> None:
    assert normal(address, literals=True).domain == domain
    with pytest.raises(AddressError):
        normal(address)


@pytest.mark.parametrize("domain", ["[192.0.2.256]", "[ipv6:zz]", "[x]", "[", "[192.0.2.1", "[]"])
def test_false_literals(domain: str) -> None:
    with pytest.raises(AddressError):
        normal("a@" + domain, literals=True)


def test_domains_for_people() -> None:
    assert domain_to_unicode("xn--bcher-kva.example") == "bücher.example"
    assert domain_to_unicode("example.org") == "example.org"
    assert domain_to_unicode("xn--.example") == "xn--.example"
    assert domain_to_ascii("EXAMPLE.org") == "example.org"
