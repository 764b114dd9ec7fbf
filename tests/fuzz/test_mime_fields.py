"""Random fields: addresses, words, parameters, dates, ids and transfer-encodings take anything and agree with themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data.mime import date, headers, threads
from data.mime.address import (
    Address,
    AddressError,
    Group,
    domain_to_ascii,
    domain_to_unicode,
    mailboxes,
    normal,
    parse_list,
)
from data.mime.content import content
from data.mime.decode import CODECS, KNOWN, to_text, transfer_decode
from data.mime.plaintext import preview, strip_html
from data.mime.structure import envelope, string

_SIGNS = [
    *(
        "<",
        ">",
        "@",
        ",",
        ";",
        ":",
        "(",
        ")",
        '"',
        "\\",
        "[",
        "]",
        ".",
        " ",
        "\t",
        "\r\n ",
        "a",
        "b.c",
        "ä",
        "\x85",
        "\xa0",
    ),
    *(
        "=?utf-8?q?=C3=A4?=",
        "=?utf-8?b?",
        "?=",
        "example.org",
        "=",
        "*0*",
        "*",
        "'",
        "%",
        "%41",
        "charset",
        "utf-8",
        "\0",
    ),
]
signs = st.lists(st.sampled_from(_SIGNS), max_size=40).map("".join)
anything = st.one_of(st.binary(max_size=120), signs.map(lambda text: text.encode("utf-8")))


@given(anything)
def test_address_lists(raw: bytes) -> None:
    for form in (raw, raw.decode("latin-1")):
        for item in parse_list(form):
            assert isinstance(item, Address | Group)
    assert len(list(mailboxes(parse_list(raw, 3)))) <= 3


@given(signs)
def test_a_list_of_simple_mailboxes_is_read_alike_on_both_ways(rest: str) -> None:
    """The short way for frequent forms gives what the general one gives."""
    text = "ann@example.org, Bob B. <b@example.org>"
    short = parse_list(text)
    general = parse_list(text + ", (c)")
    assert short == general
    assert parse_list(text + "," + rest)[:2] == short


@given(st.text(max_size=80) | signs.map(lambda text: text + "@example.org"))
def test_normal_is_stable_or_refuses(text: str) -> None:
    try:
        found = normal(text)
    except AddressError as error:
        assert error.public
        return
    again = normal(found.address)
    assert again == found
    assert normal(found.key_address).key == found.key
    assert found.address.count("@") == 1 or found.local.startswith('"')
    found.address.encode("utf-8")
    assert not set(found.address) & set("\r\n\0\t")


@given(st.text(max_size=80))
def test_domains(text: str) -> None:
    domain_to_unicode(text)
    try:
        domain = domain_to_ascii(text)
    except AddressError:
        return
    assert domain.isascii()
    assert domain == domain.lower()
    assert domain_to_ascii(domain) == domain


@given(anything)
def test_words(raw: bytes) -> None:
    text = headers.decode_words(raw)
    text.encode("utf-8")
    assert not any(ord(char) < 32 for char in text)
    assert threads.base_subject(text) == threads.base_subject(threads.base_subject(text)) or threads.is_reply(text)


@given(anything)
def test_parameters_and_content(raw: bytes) -> None:
    _, params = headers.parameters(raw)
    assert len(params) <= 50
    assert len({name for name, _ in params}) == len(params)
    fields = {
        name: [raw] for name in (b"content-type", b"content-disposition", b"content-transfer-encoding", b"content-id")
    }
    assert content(fields).type


@given(anything)
def test_dates_and_ids(raw: bytes) -> None:
    found = date.parse(raw)
    if found is not None:
        assert date.parse(date.format_date(*found)) == (found[0] // 1000 * 1000, found[1])
    for each in threads.message_ids(raw):
        assert each.isprintable()
        assert "<" not in each


@given(anything)
def test_header_blocks(raw: bytes) -> None:
    block = b"To: " + raw + b"\r\nSubject: " + raw + b"\r\n\r\n"
    assert headers.split(block)[0][0] == b"To"
    assert envelope(block).startswith(b"(")


@given(st.binary(max_size=200))
def test_strings_on_the_wire(value: bytes) -> None:
    wire = string(value)
    clean = value.replace(b"\0", b"")
    if wire.startswith(b"{"):
        assert wire == b"{%d}\r\n%b" % (len(clean), clean)
    else:
        assert wire[1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\") == clean or b"\\" in clean
        assert b"\r" not in wire
        assert b"\n" not in wire
        assert wire.isascii()


@given(st.binary(max_size=200), st.sampled_from(sorted(KNOWN)), st.sampled_from(sorted(CODECS)))
def test_bodies(data: bytes, encoding: str, charset: str) -> None:
    to_text(transfer_decode(data, encoding), charset).encode("utf-8")


@given(
    st.lists(
        st.sampled_from(["<", ">", "</", "<!--", "-->", "script", "p", " ", "=", '"', "'", "&#", "x", ";", "9"])
    ).map("".join)
)
def test_html(source: str) -> None:
    strip_html(source).encode("utf-8")
    assert len(preview(source)) <= 200
