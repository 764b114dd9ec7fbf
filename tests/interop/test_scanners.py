"""clamd and rspamd from Debian's packages: EICAR is refused, GTUBE is junk; when they are down, mail is taken and marked."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.directory.settings import Scope
from smtp.policy.verdict import decode
from tests.interop.scanners import EICAR, GTUBE, clamd, rspamd
from tests.smtp_rig import Rig, message, rig


@pytest.fixture
def root() -> Iterator[Path]:
    """A short path that daemons under another user may enter."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(Path(tmp_path_factory.mktemp("scanners")), screen=True) as made:
        yield made


def _asked(one: Rig, name: str, place: str) -> None:
    ground = one.ground
    scope = Scope.organisation(ground.directory.organisation().id)
    ground.db.write(lambda tx: ground.settings.set_in(tx, scope, name, place))


def _send(one: Rig, octets: bytes) -> bytes:
    with one.client() as client:
        client.ehlo()
        return client.mail(octets)


def _last_codes(one: Rig, mailbox: str) -> set[str]:
    ann, store = one.principal(), one.ground.store
    box = store.mailboxes.get(ann, ann.account, mailbox).id
    found = decode(store.messages.rows(ann, box, ((1, 999),), ("verdict",))[-1][1])
    return {why.code for why in found.reasons} if found is not None else set()


def test_eicar_is_refused_and_a_silent_clamd_holds_nothing_up(one: Rig, root: Path) -> None:
    with clamd(root) as place:
        _asked(one, "spam.clamd", place)
        assert _send(one, message("Eicar", EICAR.decode() + "\r\n")).startswith(b"550 5.7.1")
        assert _send(one, message("Clean", "Nothing in here.\r\n")).startswith(b"250")
        assert "check.clamd-silent" not in _last_codes(one, "INBOX")
    assert _send(one, message("Later", "Nothing in here either.\r\n")).startswith(b"250")
    assert "check.clamd-silent" in _last_codes(one, "INBOX")
    _asked(one, "spam.clamd", "")


@pytest.mark.long
def test_gtube_is_junk_for_rspamd(one: Rig, root: Path) -> None:
    with rspamd(root) as place:
        _asked(one, "spam.rspamd", place)
        assert _send(one, message("Gtube", GTUBE + "\r\n")).startswith(b"250")
        assert "rspamd" in _last_codes(one, "Junk")
    _asked(one, "spam.rspamd", "")


def test_a_scanner_that_says_nothing_is_given_up_on(one: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtp.screening.scanners.SECONDS", 0.3)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        _asked(one, "spam.rspamd", f"127.0.0.1:{silent.getsockname()[1]}")
        assert _send(one, message("Slow", "Nothing in here as well.\r\n")).startswith(b"250")
        assert "check.rspamd-silent" in _last_codes(one, "INBOX")
    _asked(one, "spam.rspamd", "")
