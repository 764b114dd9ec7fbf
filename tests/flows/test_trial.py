"""The trial's mail: every kind is there, search finds it, a second start adds nothing, and `init` stays empty."""

from __future__ import annotations

import email
import email.policy
import imaplib
import re
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from appliance.ops import init, trial
from appliance.ops import state as ground_floor
from appliance.ops.samples import fill as samples
from appliance.ops.samples.letter import ADDRESSES, PEOPLE, STAFF
from data.clock import DAY, SystemClock
from tests.house import House, house
from tests.web_rig import Browser

pytestmark = pytest.mark.filterwarnings("error")


class Trial:
    """A prepared trial that is served, and the passwords it printed."""

    def __init__(self, served: House, passwords: dict[str, str]) -> None:
        self.house, self.passwords = served, passwords

    def imap(self, person: str) -> imaplib.IMAP4:
        address = ADDRESSES[person]
        return self.house.imap(address, self.passwords[address])

    def all(self, person: str) -> dict[str, list[tuple[str, EmailMessage]]]:
        """Every message by mailbox, each with its flags and date as FETCH tells them."""
        client = self.imap(person)
        names = [re.sub(rb'^.*" "?|"$', b"", line).decode() for line in client.list()[1] if isinstance(line, bytes)]
        found: dict[str, list[tuple[str, EmailMessage]]] = {}
        for name in names:
            if client.select(f'"{name}"', readonly=True)[1] == [b"0"]:
                continue
            pairs = client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
            found[name] = [
                (str(one[0]), email.message_from_bytes(one[1], policy=email.policy.default))
                for one in pairs
                if isinstance(one, tuple)
            ]
        client.logout()
        return found


def prepare(state: Path) -> dict[str, str]:
    trial.prepare(state)
    return dict(line.split() for line in (state / trial.LOGINS).read_text("utf-8").splitlines())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    state = tmp_path_factory.mktemp("trial") / "var"
    passwords = prepare(state)
    with house(state, prepared=True) as h:
        yield Trial(h, passwords)


@pytest.fixture(scope="module")
def mail(served: Trial) -> dict[str, dict[str, list[tuple[str, EmailMessage]]]]:
    return {person: served.all(person) for person in STAFF}


def every(mail: dict[str, dict[str, list[tuple[str, EmailMessage]]]]) -> list[EmailMessage]:
    return [message for boxes in mail.values() for found in boxes.values() for _, message in found]


def test_a_few_dozen_messages_in_three_accounts(mail: dict[str, dict[str, list[tuple[str, EmailMessage]]]]) -> None:
    distinct = {str(message["Message-ID"]) for message in every(mail)}
    assert 36 <= len(distinct) <= 72
    for person in STAFF:
        assert len(mail[person]["INBOX"]) >= 8, person
        assert len(mail[person]["Sent"]) >= 4, person
    assert len(mail["ann"]["Drafts"]) == 1
    filled = {name for boxes in mail.values() for name in boxes}
    assert {"Archive", "Junk", "Trash", "Invoices", "Projects/Caf&AOk- Winter", "&T5telFVG-"} <= filled


def test_every_kind_is_there(mail: dict[str, dict[str, list[tuple[str, EmailMessage]]]]) -> None:
    def of(kind: str) -> list[EmailMessage]:
        return [m for m in every(mail) for part in m.walk() if part.get_content_type() == kind]

    pages = [part.get_content() for m in every(mail) for part in m.walk() if part.get_content_type() == "text/html"]
    assert any("<table" in page and "<style" in page and 'src="https://' in page for page in pages), "a newsletter"
    assert any('src="cid:' in page for page in pages), "a picture inside the text"
    for kind in ("application/pdf", "image/png", "text/calendar", "text/csv", "message/delivery-status"):
        assert of(kind), kind
    texts = [m.get_body(("plain",)).get_content() for m in every(mail) if m.get_body(("plain",))]  # type: ignore[union-attr]
    assert any("\n>> " in text for text in texts), "quotes in two levels"
    assert max(map(len, texts)) > 3_000, "a long one"
    chinese = [m for m in every(mail) if re.search("[\u4e00-\u9fff]", str(m["Subject"]))]
    assert len({str(m["Message-ID"]) for m in chinese}) >= 5
    assert len({str(m["Subject"]) for m in chinese if "滑轨询价" in str(m["Subject"])}) == 2


def test_papers_open(mail: dict[str, dict[str, list[tuple[str, EmailMessage]]]]) -> None:
    for message in every(mail):
        for part in message.iter_attachments():
            data = part.get_content()
            if part.get_content_type() == "application/pdf":
                offset = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
                assert data.startswith(b"%PDF-1.4") and data[offset:].startswith(b"xref")
                first = int(data[offset:].split(b"\n")[3].split()[0])
                assert data[first:].startswith(b"1 0 obj")
            if part.get_content_type() == "image/png":
                assert data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")


def test_flags_are_mixed_and_dates_lie_in_the_last_sixty_days(
    mail: dict[str, dict[str, list[tuple[str, EmailMessage]]]],
) -> None:
    heads = [head for boxes in mail.values() for found in boxes.values() for head, _ in found]
    for flag in ("\\Seen", "\\Flagged", "\\Answered", "\\Draft"):
        assert sum(flag in head for head in heads), flag
    unread = [sum("\\Seen" not in head for head, _ in mail[person]["INBOX"]) for person in STAFF]
    assert all(2 <= count < len(mail[person]["INBOX"]) for count, person in zip(unread, STAFF, strict=True))
    dates = [time.mktime(imaplib.Internaldate2tuple(head.encode()) or time.gmtime(0)) for head in heads]
    now = time.time()
    assert all(now - 60 * DAY / 1000 < date <= now for date in dates)
    assert max(dates) - min(dates) > 45 * DAY / 1000


def test_conversations_hang_together(served: Trial) -> None:
    browser = Browser(served.house, secure=False)
    address = ADDRESSES["ann"]
    assert browser.sign_in(address, served.passwords[address]).status == 303
    page = browser.get("/webmail/mail/inbox").text
    row = next(row for row in page.split("<li")[1:] if "Café Winter: who measures?" in row and "Welcome" not in row)
    where = re.search(r'href="(/webmail/mail/inbox/t\d+)', row)
    assert where
    conversation = browser.get(where[1]).text
    assert 1 + conversation.count('"msg msg--fold') == 6, "six in one conversation"


def test_search_finds_them(served: Trial) -> None:
    client = served.imap("bob")
    client.select("INBOX")
    assert client.search(None, "TEXT", '"hardboard"')[1] == [b""], "Bob wrote that himself"
    assert client.search(None, "TEXT", '"Kettle"')[1] != [b""]
    client.select("Sent")
    assert len(client.search(None, "TEXT", '"hardboard"')[1][0].split()) == 1
    client.literal = "滑轨".encode()
    assert len(client.search("UTF-8", "TEXT")[1][0].split()) >= 2
    client.logout()


def test_nobody_in_it_exists() -> None:
    assert all(
        address.split("@")[1].endswith(("example.test", ".example.org", ".example.net"))
        for address in ADDRESSES.values()
    )
    letters = samples.written(SystemClock().now())
    assert set(ADDRESSES) == set(PEOPLE)
    for letter in letters:
        for host in re.findall(r"https?://([^/\"\s<]+)", letter.text + (letter.html or "")):
            assert host.endswith((".example.org", ".example.net")), (letter.key, host)
        for one in re.findall(r"[\w.]+@[\w.-]+\w", letter.text + (letter.html or "")):
            assert one.rpartition("@")[2].endswith(("example.test", ".example.org", ".example.net")), (letter.key, one)


def test_a_second_start_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, spent = tmp_path / "var", []
    real = samples.fill

    def timed(ground: ground_floor.Ground) -> int:
        begun = time.thread_time()
        done = real(ground)
        spent.append((done, time.thread_time() - begun))
        return done

    monkeypatch.setattr(samples, "fill", timed)
    prepare(state)
    assert spent[0][0] > 60 and spent[0][1] < 2.0
    held = count(state)
    assert held == spent[0][0]
    prepare(state)
    assert (len(spent), count(state)) == (1, held)
    # broken off between the mail and the file with the logins: new passwords, no second set of mail
    (state / trial.LOGINS).unlink()
    prepare(state)
    assert (spent[1][0], count(state)) == (0, held)


def test_nobodys_own_mail_gets_company(tmp_path: Path) -> None:
    state = tmp_path / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "fill", lambda ground: 0)
        prepare(state)
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, ground_floor.load_config(state), SystemClock())
        ann = ground.directory.account(ADDRESSES["ann"])
        inbox = ground.store.mailboxes.get(ann.principal(), ann.id, "INBOX")
        ground.store.messages.append(ann.principal(), inbox.id, ground.store.messages.prepare(b"Subject: mine\r\n\r\n"))
        ground.close()
    (state / trial.LOGINS).unlink()
    prepare(state)
    assert count(state) == 1


def test_init_stays_empty(tmp_path: Path) -> None:
    state = tmp_path / "real"
    init.initialise(state, init.Choices("example.test", "Firm", {"hostname": "mail.example.test"}), SystemClock())
    assert count(state) == 0


def count(state: Path) -> int:
    """The messages of every account."""
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, ground_floor.load_config(state), SystemClock())
        try:
            mailboxes = ground.store.mailboxes
            return sum(
                len(ground.store.messages.snapshot(one.principal(), mailbox.id, take_recent=False).uids)
                for one in ground.directory.accounts()
                for mailbox in mailboxes.list(one.principal(), one.id)
            )
        finally:
            ground.close()
