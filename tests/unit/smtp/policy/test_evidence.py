"""What links, files, names and words are worth: a table for each rule, with what must not be held against anybody."""

from __future__ import annotations

import io
import time
import zipfile

import pytest

from appliance.net.answers import Found, NoSuchName, Temporary
from data.mime.scanner import scan
from data.reason import Reason
from data.store.correspondents import STRANGER, Relation
from smtp.policy import bayes, dnsbl, files, links, reputation
from smtp.policy.bayes import NO_PRIOR, Totals
from smtp.policy.content import PARTS_MOST, TEXT_MOST, Look, look
from smtp.policy.dnsbl import Zone
from smtp.policy.files import File
from smtp.policy.likeness import likeness, mixed_script, near, skeleton
from smtp.policy.links import Link
from smtp.policy.verdict import UNPROVED, Action, Proofs, Thresholds, Weighed, authentication, decode, judge

PE = b"MZ" + b"\0" * 58 + b"\x40\0\0\0" + b"PE\0\0"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100


def _zip(*names: str, stored: bytes = b"x", encrypted: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as box:
        for name in names:
            box.writestr(name, stored)
    data = bytearray(out.getvalue())
    if encrypted:
        data[6] |= 1
    return bytes(data)


FILES: list[tuple[str, bytes, set[str]]] = [
    ("report.pdf", b"%PDF-1.5", set()),
    ("photo.jpg", b"\xff\xd8\xff", set()),
    ("MZ notes.txt", b"MZ is how programs begin", set()),
    ("report.docx", _zip("[Content_Types].xml", "word/document.xml"), set()),
    ("papers.zip", _zip("a.pdf", "b.txt"), set()),
    ("v1.2.final.pdf", b"%PDF-1.5", set()),
    ("tool.exe", PE, {"file.program"}),
    ("invoice.pdf.exe", PE, {"file.program", "file.double"}),
    ("invoice.pdf", PE, {"file.program", "file.disguised"}),
    ("link.lnk", b"L\x00\x00\x00\x01\x14\x02\x00", {"file.program"}),
    ("disk.iso", b"\0" * 64, {"file.program"}),
    ("run.js", b"var a", {"file.program"}),
    ("ann\u202efdp.exe", PE, {"file.program", "file.override"}),
    ("ann\u202egpj.scr ", b"", {"file.program", "file.override"}),
    ("doc.pdf" + " " * 40 + ".exe", b"", {"file.program", "file.wide", "file.double"}),
    ("old.doc", OLE + "_VBA_PROJECT".encode("utf-16-le") + "VBA".encode("utf-16-le"), {"file.macros"}),
    ("old.doc", OLE, set()),
    ("new.docm", _zip("[Content_Types].xml", "word/vbaProject.bin"), {"file.macros"}),
    ("new.docx", _zip("[Content_Types].xml", "word/vbaProject.bin"), {"file.macros"}),
    ("a.html", b"<script>new Blob([atob('eA==')])</script>", {"file.smuggling"}),
    ("a.html", b"<form><input type='password'></form>", {"file.password-form"}),
    ("a.html", b"<p>plain page</p>", set()),
    ("box.zip", _zip("a.pdf.exe"), {"file.program-inside"}),
    ("box.zip", _zip("inner.zip", stored=_zip("deep.js")), {"file.nested", "file.program-inside"}),
    ("box.zip", _zip("letter.pdf", encrypted=True), {"file.encrypted"}),
    ("note.rtf", b"{\\rtf1 {\\object\\objdata 0105}}", {"file.object"}),
]


@pytest.mark.parametrize(("name", "data", "codes"), FILES)
def test_files(name: str, data: bytes, codes: set[str]) -> None:
    assert {one.code for one in files.weigh([File(name, "application/octet-stream", data)])} == codes


def test_a_program_is_kept_back_whatever_the_score() -> None:
    found = judge([*files.weigh([File("a.exe", "", PE)]), Weighed("sender.wanted", -500)], Thresholds())
    assert found.action is Action.QUARANTINE


LINKS: list[tuple[str, str, set[str]]] = [
    ("https://www.shop.example/x", "www.shop.example", set()),
    ("https://shop.example/x", "Read more", set()),
    ("https://click.list.example/?u=https%3A%2F%2Fgarden.example%2F", "garden.example", set()),
    ("https://evil.example/", "https://bank.example.org/login", {"link.mismatch"}),
    ("http://192.0.2.7/login", "Sign in", {"link.address"}),
    ("http://3221225985/", "Sign in", {"link.address"}),
    ("http://bank.example@evil.example/", "Sign in", {"link.userinfo"}),
    ("https://bit.ly/abc", "Here", {"link.shortener"}),
    ("https://a.example/r?u=https%3A%2F%2Fb.example%2Fr%3Fu%3Dhttps%253A%252F%252Fc.example", "x", {"link.redirects"}),
    ("https://\u0430pple.example/", "x", {"link.mixed"}),
    ("https://xn--pple-43d.example/", "x", {"link.mixed"}),
    ("https://xn--bcher-kva.example/", "x", {"link.punycode"}),
    ("javascript:alert(1)", "x", {"link.script"}),
    ("mailto:ann@example.test", "ann@example.test", set()),
    ("https://[::1", "broken", set()),
]


@pytest.mark.parametrize(("url", "shown", "codes"), LINKS)
def test_links(url: str, shown: str, codes: set[str]) -> None:
    assert {one.code for one in links.weigh([Link(url, shown)])} == codes


def test_links_are_found_in_html_and_in_text_and_are_bounded() -> None:
    found = links.links_of('<a class="x" href="https://a.example/?a=1&amp;b">A</a>', "see https://b.example/x.")
    assert found == [Link("https://a.example/?a=1&b", "A"), Link("https://b.example/x")]
    assert len(links.links_of("<a href=http://x.example>" * 10_000 + "</a>", "http://y.example/ " * 50_000)) <= 200


def test_N12_names_that_are_made_to_look_like_others() -> None:
    known = ["example.test", "paypal.example", "bookshop.example"]
    assert likeness("examp1e.test", known) == "example.test"
    assert likeness("exarnple.test", known) == "example.test"
    assert likeness("p\u0430ypal.example", known) == "paypal.example"
    assert likeness("paypal-support.example", known) == "paypal.example"
    assert likeness("bookshops.example", known) == "bookshop.example"
    for fine in ("example.test", "mail.example.test", "example.org", "garden.example", "books.example"):
        assert likeness(fine, known) is None, fine
    assert (
        mixed_script("\u0430pple")
        and not mixed_script("\u044f\u0431\u043b\u043e\u043a\u043e")
        and not mixed_script("Lin \u674e")
    )
    assert near("paypal", "paypl") and near("paypal", "papyal") and not near("paypal", "paypal")
    assert skeleton("\u0440\u0430\u0443") == skeleton("pay")


def test_N12_a_name_that_holds_another_address_or_a_colleague() -> None:
    octets = b'From: "ceo@example.test" <x@evil.example>\r\nDate: x\r\nMessage-ID: <a@b>\r\n\r\nhi\r\n'
    scanned = scan(octets)
    seen = look(scanned.header, scanned.root, lambda a, b: octets[a:b])
    assert "sender.name-address" in {one.code for one in seen.evidence}
    people = {reputation.plain_name("Ann Brown")}
    stranger = Look(author="x@evil.example", name="Brown, \u0410nn")
    told = reputation.impersonation(stranger, {"example.test"}, (), people, UNPROVED)
    assert {one.code for one in told} == {"sender.name-colleague"}
    own = Look(author="ann@example.test", name="Ann Brown")
    forged = reputation.impersonation(own, {"example.test"}, (), people, Proofs(spf="fail", dmarc="fail"))
    assert {one.code for one in forged} == {"sender.forged-own"}
    assert reputation.impersonation(own, {"example.test"}, (), people, Proofs(dmarc="pass")) == []


def test_only_a_proved_author_gains_by_what_was_before() -> None:
    seen, friend = Look(author="pat@example.org"), Relation(sent=3, received=1)
    assert reputation.weigh(seen, friend, Proofs(dmarc="pass"))[0].weight == -60
    assert reputation.weigh(seen, friend, Proofs(spf="fail", dmarc="fail")) == []
    assert reputation.weigh(seen, STRANGER, UNPROVED)[0].code == "sender.first"
    assert reputation.weigh(seen, Relation(junked=2), Proofs(dmarc="pass"))[0].weight == 60


def test_bayes_learns_and_says_nothing_without_ground() -> None:
    counts = {"pills": (20, 0), "cheap": (15, 1), "meeting": (0, 18), "agenda": (0, 12)}
    totals = Totals(20, 20)
    assert bayes.spamminess(["pills", "cheap"], counts.get, totals, NO_PRIOR).value > 0.95
    assert bayes.spamminess(["meeting", "agenda"], counts.get, totals, NO_PRIOR).value < 0.05
    assert bayes.spamminess(["unseen"], counts.get, totals, NO_PRIOR).value == 0.5
    assert bayes.spamminess(
        ["pills", "cheap", "meeting", "agenda"], counts.get, totals, NO_PRIOR
    ).value == pytest.approx(0.5, abs=0.3)


def test_words_are_bounded_and_know_cjk() -> None:
    assert "代开" in bayes.words("", "长期代开发票") and "开发" in bayes.words("", "长期代开发票")
    assert len(bayes.words("", " ".join(f"word{chr(97 + n % 26)}{n:x}" for n in range(90_000)))) <= bayes.WORDS_MOST
    assert bayes.hashed("a", b"k" * 32) != bayes.hashed("a", b"l" * 32)


def test_authentication_temporary_errors_say_nothing() -> None:
    late = Proofs("temperror", "temperror", "temperror", "temperror")
    assert authentication(late) == [] and not late.known
    assert {one.code for one in authentication(Proofs(spf="fail", dmarc="fail"))} == {
        "auth.spf-fail",
        "auth.dmarc-fail",
    }


def test_a_judgement_survives_its_row() -> None:
    found = judge([Weighed("a.b", 90, {"name": "x" * 500}), Weighed("c", 20)], Thresholds())
    assert found.action is Action.JUNK and found.score == 110
    again = decode(found.encode())
    assert again is not None and again.action is found.action
    assert [(one.code, one.weight) for one in again.reasons] == [("a.b", 90), ("c", 20)]
    assert len(str(again.reasons[0].params["name"])) == 120
    assert decode("") is None and decode("[1]") is None
    watched = judge([Weighed("virus.found", 500, least=Action.REJECT)], Thresholds(watch=True))
    assert (watched.action, watched.meant) == (Action.ACCEPT, Action.REJECT)


def test_dnsbl_errors_say_nothing_and_private_addresses_are_not_asked() -> None:
    zone = Zone("bl.example.org", 60)
    assert dnsbl.name_of("8.8.4.4", zone) == "4.4.8.8.bl.example.org"
    assert dnsbl.name_of("10.0.0.1", zone) is None and dnsbl.name_of("nonsense", zone) is None
    assert (dnsbl.name_of("2606:4700::1", zone) or "").endswith("0.0.7.4.6.0.6.2.bl.example.org")
    listed, blocked = Found(("127.0.0.2",), 60), Found(("127.255.255.254",), 60)
    assert dnsbl.is_listed(listed) and not dnsbl.is_listed(blocked)
    assert not dnsbl.is_listed(Temporary(Reason("dns.servfail"))) and not dnsbl.is_listed(NoSuchName())
    assert dnsbl.is_sound(listed, NoSuchName()) and not dnsbl.is_sound(listed, listed)
    assert [one.weight for one in dnsbl.weigh([zone, Zone("b.example", 40)], "8.8.4.4")] == [60, 20]
    assert dnsbl.zones("zen.example.org 70 # note\n\nb.example\n") == (
        Zone("zen.example.org", 70),
        Zone("b.example", 60),
    )


def test_a_hostile_message_is_bounded() -> None:
    many = b"".join(b"--b\r\n\r\n%d http://x%d.example/ <a href=\r\n" % (n, n) for n in range(3000))
    page = b"--b\r\nContent-Type: text/html\r\n\r\n" + b"<a style='" * 40_000 + b"\r\n"
    octets = b'Content-Type: multipart/mixed; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n' + page + many
    scanned, read = scan(octets), []

    def fetch(start: int, stop: int) -> bytes:
        read.append(stop - start)
        return octets[start:stop]

    begun = time.thread_time()
    seen = look(scanned.header, scanned.root, fetch)
    assert time.thread_time() - begun < 6
    assert seen.cut and len(read) <= 2 * PARTS_MOST and sum(read) <= 2 * TEXT_MOST + (8 << 20)


def test_no_cpu_left_ends_the_look() -> None:
    octets = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 20 + b"--b--\r\n"
    scanned, ticks = scan(octets), iter(range(1000))
    seen = look(scanned.header, scanned.root, lambda a, b: octets[a:b], lambda: float(next(ticks)))
    assert seen.cut and "content.cut" in {one.code for one in seen.evidence}
