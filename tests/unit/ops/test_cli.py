"""What is typed and what is shown."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import update

from appliance.config import Config
from appliance.ops import cli, commands, people, shown, trial
from appliance.ops import state as ground_floor
from appliance.ops.errors import ALREADY_SET_UP, LOCKED, USAGE
from appliance.ops.state import Ground
from appliance.ops.version import VERSION
from data.clock import FakeClock
from data.disk import tables as t
from data.errors import Invalid, NotFound
from data.principal import Role

ROOT = Path(__file__).parents[3]


def run(*words: str) -> int:
    return cli.main(list(words), lambda state, given: 0)


def test_serve_is_the_default() -> None:
    seen: list[tuple[Path, dict[str, object]]] = []

    def serve(state: Path, given: object) -> int:
        seen.append((state, dict(given)))  # type: ignore[call-overload]
        return 7

    assert cli.main(["--state", "/tmp/x"], serve) == 7
    assert cli.main(["--state", "/tmp/x", "serve", "--base-port", "25000"], serve) == 7
    assert seen == [(Path("/tmp/x"), {}), (Path("/tmp/x"), {"base_port": 25000})]


def test_every_command_that_can_be_typed_exists() -> None:
    def leaves(parser) -> list[str]:  # type: ignore[no-untyped-def]
        found = [parser.get_default("command")] if parser.get_default("command") else []
        for action in parser._subparsers._group_actions if parser._subparsers else []:
            for below in action.choices.values():
                found += leaves(below)
        return found

    assert set(leaves(cli.parser())) == set(commands.COMMANDS) - {"version"}


def test_version_is_the_project_s(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION
    assert run("version") == 0
    assert capsys.readouterr().out == f"Mailstead {VERSION}\n"


def test_commands_take_the_lock_when_nothing_runs(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = ("--state", str(state))
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\n"))
    assert run(*at, "account", "add", "ann@example.test", "--admin", "--name", "Ann", "--password-stdin") == 0
    assert run(*at, "domain", "add", "example.org") == 0
    assert run(*at, "alias", "add", "info@example.org", "ann@example.test", "bob@example.net") == 0
    assert run(*at, "domain", "catch-all", "example.org", "ann@example.test") == 0
    capsys.readouterr()
    assert run(*at, "account", "list") == 0
    assert "ann@example.test  administrator  active" in capsys.readouterr().out
    assert run(*at, "alias", "list") == 0
    assert "info@example.org  group  yes      ann@example.test, bob@example.net" in capsys.readouterr().out
    assert run(*at, "domain", "list") == 0
    assert "._domainkey.example.org TXT v=DKIM1; k=rsa; p=" in capsys.readouterr().out
    assert run(*at, "account", "suspend", "ann@example.test") == 0
    assert run(*at, "verify") == 0
    assert "everything agrees" in capsys.readouterr().out
    assert run(*at, "alias", "delete", "nobody@example.org") == 1
    assert capsys.readouterr().err == "mailstead: There is no alias nobody@example.org\n"
    assert run(*at, "account", "add", "ann@example.test", "--password-stdin") == 1


def test_passwords_lose_one_newline(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(cli, "perform", lambda state, command, args, tell: seen.append(args["password"]) or {})
    for text in ("secret\n", "secret", "secret\n\n", " secret \n", "secret\r\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert run("account", "passwd", "ann@example.test", "--password-stdin") == 0
    assert seen == ["secret", "secret", "secret\n", " secret ", "secret"]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("account", "passwd", "ann@example.test") == USAGE


def test_init_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--state", str(tmp_path / "s"), "init", "--domain", "example.test", "--hostname", "mail.example.test"]
    assert run(*words, "--base-port", "20000", "--profile", "bench") == 0
    assert run(*words) == ALREADY_SET_UP
    assert "nothing was changed" in capsys.readouterr().err
    assert run("--state", str(tmp_path / "t"), "init", "--domain", "example.test") == USAGE


def test_unknown_and_incomplete_commands(ground: Ground) -> None:
    for command, args in (("nonsense", {}), ("account.add", {"address": "x@example.test"})):
        with pytest.raises(Invalid):
            commands.run(ground, command, args, lambda done, total: None, "test")


def test_results_are_json(ground: Ground, ann: str) -> None:
    for command in ("account.list", "domain.list", "alias.list", "setting.list", "verify", "version", "queue.list"):
        json.dumps(commands.run(ground, command, {}, lambda done, total: None, "test"))


def test_every_change_leaves_an_audit_row(ground: Ground, ann: str) -> None:
    def do(command: str, **args: object) -> None:
        commands.run(ground, command, args, lambda done, total: None, "console:7")

    do("account.passwd", address=ann, password="other")
    do("account.suspend", address=ann)
    do("account.resume", address=ann)
    do("domain.add", domain="example.org")
    do("alias.add", address="a@example.org", targets=[ann])
    do("alias.delete", address="a@example.org")
    do("account.delete", address=ann)
    entries = ground.audit.recent()
    assert [entry.action for entry in reversed(entries)] == [
        "init", "account.add", "account.password", "account.suspended", "account.active", "domain.add", "alias.add",
        "alias.delete", "account.delete",
    ]  # fmt: skip
    assert entries[0].actor == "console:7"
    assert "other" not in repr(entries) and "secret" not in repr(entries)
    assert ground.audit.verify() == []


def test_settings_are_typed_and_audited(ground: Ground, ann: str, capsys: pytest.CaptureFixture[str]) -> None:
    def do(command: str, **args: object) -> commands.Result:
        return commands.run(ground, command, args, lambda done, total: None, "console:7")

    do("setting.set", name="queue.delay-notices", value="off", account=ann)
    do("setting.set", name="account.quota", value="1000")
    do("setting.set", name="queue.routes", value="example.org mx.example.net:25\n* [::1]:2525 # the rest\n")
    assert shown.settings(do("setting.list", account=ann)) == 0
    assert "queue.delay-notices = off\n" in capsys.readouterr().out
    assert shown.settings(do("setting.list")) == 0
    out = capsys.readouterr().out
    assert "queue.delay-notices = on\n" in out and "account.quota = 1000\n" in out and "    * [::1]:2525" in out
    do("setting.clear", name="account.quota")
    for name, value in (
        ("queue.delay-notices", "yes"),
        ("account.quota", "-1"),
        ("account.quota", "lots"),
        ("queue.routes", "example.org"),
        ("queue.routes", "example.org host:25 more"),
        ("queue.routes", "ex ample.org host:25"),
        ("no.such", "1"),
    ):
        with pytest.raises((Invalid, NotFound)):
            do("setting.set", name=name, value=value)
    assert [entry.action for entry in ground.audit.recent(4)] == ["setting"] * 4


def test_an_account_is_changed(ground: Ground, ann: str) -> None:
    def change(**args: object) -> None:
        commands.run(ground, "account.change", {"address": ann, **args}, lambda done, total: None, "console:7")

    change(quota="2G", admin=True, name="Ann A.")
    (shown_account,) = commands.run(ground, "account.list", {}, lambda done, total: None, "test")["accounts"]
    assert (shown_account["quota"], shown_account["role"], shown_account["name"]) == (
        2 << 30,
        "administrator",
        "Ann A.",
    )
    change(admin=False)
    change(quota="0")
    account = ground.directory.account(ann)
    assert (account.quota, account.role, account.name) == (0, Role.USER, "Ann A.")
    for args in ({}, {"quota": "much"}, {"quota": "-1"}, {"quota": "1.5G"}):
        with pytest.raises(Invalid):
            change(**args)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1000", 1000), ("10k", 10240), ("500M", 500 << 20), ("1GB", 1 << 30), ("2TiB", 2 << 40)],
)
def test_sizes_as_they_are_typed(text: str, size: int) -> None:
    assert commands.octets(text) == commands.typed("account.quota", text) == size


def test_a_target_that_is_not_there(ground: Ground, ann: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An alias may come before its account, with a note; a catch-all may not: unknown names would lead in a circle."""
    made = commands.run(
        ground,
        "alias.add",
        {"address": "all@example.test", "targets": ["ann+news@example.test", "bbo@example.test", "x@example.org"]},
        lambda done, total: None,
        "test",
    )
    assert made == {"unknown": ["bbo@example.test"]}
    assert shown.led(made) == 0
    assert capsys.readouterr().err == "mailstead: note: there is no bbo@example.test yet\n"

    def catch(address: str | None) -> None:
        args = {"domain": "example.test", "address": address}
        commands.run(ground, "domain.catch-all", args, lambda done, total: None, "test")

    for address in ("ann@example.test", "all@example.test", "postmaster@example.test", "someone@example.org"):
        catch(address)
    with pytest.raises(NotFound) as caught:
        catch("bbo@example.test")
    assert caught.value.public == "There is no bbo@example.test"
    catch(None)


def test_octets_that_are_no_text_are_one_line(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--state", str(state), "account", "suspend", "\udcff@example.test") == USAGE
    assert capsys.readouterr().err == "mailstead: What was typed is not UTF-8\n"


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_no_answer_is_an_interruption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    def answer(prompt: str) -> str:
        raise end

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    assert run("--state", str(tmp_path / "state"), "init") == cli.INTERRUPTED
    assert capsys.readouterr() == ("", "")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_password_that_is_no_text_is_one_line(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, errors: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"pass\xff\n"), "utf-8", errors))
    assert run("--state", str(state), "account", "add", "eve@example.test", "--password-stdin") == USAGE
    assert capsys.readouterr().err == "mailstead: What came on standard input is not UTF-8\n"


def test_sizes_and_text_from_outside(capsys: pytest.CaptureFixture[str]) -> None:
    assert [shown.size(n) for n in (0, 1023, 1024, 1536, 200 << 20, 3 << 40)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "200 MiB", "3.0 TiB",
    ]  # fmt: skip
    shown.table(("a", "b"), [("x\x1b[2J", "y")])
    assert "\x1b" not in capsys.readouterr().out


def test_bar_only_where_somebody_sees_it() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    quiet, seen = io.StringIO(), Terminal()
    for stream in (quiet, seen):
        bar = shown.Bar(stream)
        bar.tell(5, 10)
        bar.tell(10, 10)
        bar.end()
    assert quiet.getvalue() == ""
    assert "] 10/10" in seen.getvalue() and seen.getvalue().endswith("\n")


def test_trial_makes_people_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "var"
    trial.prepare(state)
    first = capsys.readouterr().out
    logins = (state / "logins.txt").read_text("utf-8")
    assert (state / "logins.txt").stat().st_mode & 0o777 == 0o600
    assert len(logins.splitlines()) == 3 and "admin@example.test" in logins
    assert all(line.split()[1] in first for line in logins.splitlines())
    trial.prepare(state)
    assert capsys.readouterr().out == first
    assert (state / "logins.txt").read_text("utf-8") == logins


def test_a_trial_that_is_served_already_is_not_announced_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.prepare(tmp_path / "var")
    capsys.readouterr()
    with ground_floor.hold(tmp_path / "var"):
        assert run("--state", str(tmp_path / "var"), "trial") == LOCKED
    told = capsys.readouterr()
    assert told.out == "" and "is in use by" in told.err


def test_greeting_names_the_ports() -> None:
    text = trial.greeting(Config(base_port=20000), "a  b\nc  d\n", Path("var/logins.txt"))
    assert "20143" in text and "20587" in text and "    a  b\n    c  d\n" in text


def test_verify_ends_with_1_when_something_is_wrong(
    state: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, ground_floor.load_config(state), clock)
        people.add_account(ground, "ann@example.test", password="secret", actor="test")
        ground.db.write(lambda tx: tx.run(update(t.counter).values(octets=5)))
        ground.close()
    assert run("--state", str(state), "verify") == 1
    assert "account.octets" in capsys.readouterr().out


def test_routes_are_typed_and_shown_without_passwords(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = ("--state", str(state))
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret-word\n"))
    assert run(*here, "route", "add", "*", "smart.example.net:587", "--user", "house", "--password-stdin") == 0
    assert run(*here, "route", "add", ".example.org", "mx.example.org:25") == 0
    assert run(*here, "route", "list") == 0
    shown = capsys.readouterr().out
    assert "smart.example.net:587" in shown and "house" in shown and "s3cret-word" not in shown
    assert run(*here, "route", "add", "example.org", "nowhere") == 1
    assert run(*here, "route", "delete", ".example.org") == 0
    assert run(*here, "route", "delete", ".example.org") == 1
    assert "There is no such route" in capsys.readouterr().err
    assert b"s3cret-word" not in b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
