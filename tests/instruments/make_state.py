"""Make the small state directory of this version that every later version must open.

    python -m tests.instruments.make_state        writes tests/fixtures/states/VERSION.tar.gz

It is made once for a release and then never again: tests/flows/test_states.py opens each of them. `expected.json` in the
archive says what must be found.
"""

from __future__ import annotations

import json
import random
import re
import tarfile
import tempfile
from pathlib import Path

from appliance.ops.version import VERSION
from tests.house import ROOT, House, house

STATES = ROOT / "tests" / "fixtures" / "states"
ANN = "ann@example.test"
LARGE = 140_000


def main() -> None:
    """Fill a house, write down what is in it, pack it."""
    with tempfile.TemporaryDirectory() as parent:
        state = Path(parent) / "state"
        with house(state) as h:
            fill(h)
            expected = read(h)
        (state / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True))
        (state / "lock").unlink()
        target = STATES / f"{VERSION}.tar.gz"
        with tarfile.open(target, "w:gz") as archive:
            archive.add(state, arcname=".")
        print(f"{target}: {target.stat().st_size} octets")


def fill(h: House) -> None:
    """A little of everything that is kept."""
    h.add_account("ann", admin=True)
    h.add_account("bob")
    h.ask("domain.add", domain="example.org")
    h.ask("alias.add", address="info@example.org", targets=[ANN])
    h.ask("alias.add", address="team@example.test", targets=[ANN, "bob@example.test", "eve@example.net"])
    h.ask("setting.set", name="queue.delay-notices", value="off")
    h.deliver(message("one", "inline"), ANN)
    h.deliver(message("two", "Grüße".encode().decode("latin-1")).encode("latin-1"), "info@example.org")
    h.deliver(message("large", "\r\n".join(noise(LARGE))), ANN, "bob@example.test")
    with h.submission(ANN) as client:
        client.sendmail(ANN, ["x@example.net"], message("waiting", "out", sender=ANN))
    client = h.imap(ANN)
    client.create("Projects/Alpha")
    client.append("Projects/Alpha", r"(\Seen \Flagged $Forwarded custom)", '"01-Jan-2024 10:00:00 +0100"',
                  message("kept", "in a folder").encode())  # fmt: skip
    client.select("INBOX")
    client.store("1", "+FLAGS", r"(\Answered)")
    client.copy("1", "Archive")
    client.logout()
    h.ask("account.suspend", address="bob@example.test")


def message(subject: str, body: str, sender: str = "someone@example.net") -> str:
    """A message with its own Message-ID."""
    return f"From: {sender}\r\nTo: {ANN}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.net>\r\n\r\n{body}\r\n"


def noise(octets: int) -> list[str]:
    """Lines that do not compress to nothing, the same every time."""
    draw = random.Random(1)
    return [f"{draw.getrandbits(280):070x}" for _ in range(octets // 72)]


def _told(attributes: bytes, octets: bytes) -> dict[str, object]:
    """What a FETCH response says, whatever the order in which it does."""
    found: dict[str, object] = {"flags": sorted(re.search(rb"FLAGS \(([^)]*)\)", attributes)[1].decode().split())}  # type: ignore[index]
    for name, pattern in (("uid", rb"UID (\d+)"), ("date", rb'INTERNALDATE "([^"]*)"'), ("size", rb"SIZE (\d+)")):
        found[name] = re.search(pattern, attributes)[1].decode()  # type: ignore[index]
    return {**found, "octets": octets.decode("latin-1")}


def read(h: House) -> dict[str, object]:
    """What the house holds, as a client and an administrator see it."""
    client = h.imap(ANN)
    mailboxes: dict[str, object] = {}
    for line in sorted(client.list()[1]):
        assert isinstance(line, bytes)
        name = line.decode().split('"/" ')[1].strip('"')
        client.select(f'"{name}"', readonly=True)
        _, fetched = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
        mailboxes[name] = [_told(*item) for item in fetched if isinstance(item, tuple)]
        validity = client.response("UIDVALIDITY")[1][0]
        mailboxes[name + " UIDVALIDITY"] = validity.decode() if isinstance(validity, bytes) else None
    client.logout()
    waiting = [
        {name: row[name] for name in ("item", "sender", "recipient")} for row in h.ask("queue.list")["recipients"]
    ]
    return {
        "mailboxes": mailboxes,
        "accounts": h.ask("account.list")["accounts"],
        "aliases": h.ask("alias.list")["aliases"],
        "domains": h.ask("domain.list")["domains"],
        "settings": h.ask("setting.list")["settings"],
        "waiting": waiting,
    }


if __name__ == "__main__":
    main()
