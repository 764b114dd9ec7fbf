"""The configuration: precedence, errors that help, documentation of every field."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from appliance import config
from appliance.config import Config, ConfigError, load


def _write(state: Path, text: str) -> None:
    (state / config.FILE_NAME).write_text(text, "utf-8")


def test_defaults_by_profile(tmp_path: Path) -> None:
    production = load(tmp_path, {})
    assert (production.bind, production.dns, production.port("mx")) == (("0.0.0.0", "::"), "system", 25)
    moved = load(tmp_path, {}, {"base_port": 20000})
    assert (moved.bind, moved.port("imaps")) == (("127.0.0.1",), 20993)
    bench = load(tmp_path, {}, {"profile": "bench"})
    assert (bench.bind, bench.dns, bench.bench) == (("127.0.0.1",), "off", True)


def test_precedence_file_environment_command_line(tmp_path: Path) -> None:
    _write(tmp_path, 'hostname = "file.example.test"\nlog_level = "debug"\n[limits]\nthreads = 4\nlogin_seconds = 30\n')
    environ = {"MAILSTEAD_HOSTNAME": "env.example.test", "MAILSTEAD_LIMITS_THREADS": "6", "HOME": "/"}
    found = load(tmp_path, environ, {"hostname": "cli.example.test", "dns": None})
    assert found.hostname == "cli.example.test"
    assert (found.limits.threads, found.limits.login_seconds, found.log_level) == (6, 30, "debug")
    assert load(tmp_path, environ).hostname == "env.example.test"
    assert load(tmp_path, {}).hostname == "file.example.test"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('hostnam = "x"', "did you mean 'hostname'?"),
        ("[limits]\nmesage_size = 1", "did you mean 'limits.message_size'?"),
        ("zzzzzz = 1", "unknown key 'zzzzzz'"),
        ("[limit]\nthreads = 1", "unknown key 'limit'; did you mean 'limits"),
        ("limits = 3", "limits is a table"),
        ('base_port = "many"', "base_port: expected a whole number"),
        ("base_port = true", "expected a whole number"),
        ("base_port = 70000", "expected a number from 0 to 60000"),
        ('hostname = "bad name"', "expected a host name"),
        ('bind = ["nowhere"]', "bind: 'nowhere' does not appear to be"),
        ("bind = []", "expected a list of IP addresses"),
        ('dns = "example.org:53"', "expected system, off or ADDRESS:PORT"),
        ('dns = "::1:53"', "expected system, off or ADDRESS:PORT"),
        ('route_all = "host"', "expected HOST:PORT"),
        ('profile = "trial"', "expected one of production, development, bench"),
        ('database = "mysql://x"', "postgresql://"),
        ("hostname = ", "not a TOML file"),
    ],
)
def test_errors_are_one_line_that_helps(tmp_path: Path, text: str, told: str) -> None:
    _write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    line = str(caught.value)
    assert told in line and "\n" not in line and config.FILE_NAME in line


def test_unknown_variable_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown variable MAILSTEAD_HOST_NAME; did you mean 'MAILSTEAD_HOSTNAME'\?"):
        load(tmp_path, {"MAILSTEAD_HOST_NAME": "x"})
    assert load(tmp_path, {"MAILSTEAD_CRASHPOINT": "C7"}) == load(tmp_path, {})


def test_values_are_made_uniform(tmp_path: Path) -> None:
    environ = {
        "MAILSTEAD_BIND": "127.0.0.1, ::1",
        "MAILSTEAD_HOSTNAME": "Mail.Example.Test.",
        "MAILSTEAD_ROUTE_ALL": "[::1]:2525",
        "MAILSTEAD_DNS": "127.0.0.1:5353",
    }
    found = load(tmp_path, environ)
    assert (found.bind, found.hostname, found.dns) == (("127.0.0.1", "::1"), "mail.example.test", "127.0.0.1:5353")
    assert found.route() == ("::1", 2525)


def test_every_field_is_documented() -> None:
    assert len(config.documented()) >= 15
    for one in config.documented():
        assert len(one.doc) > 15 and not one.doc.endswith("."), one.key
        if one.key != "bind":
            assert one.check(one.default) == one.default, one.key
        assert f"`{one.key}`" in config.table() and one.variable in config.table()


def test_the_written_file_is_read_again(tmp_path: Path) -> None:
    values = {"hostname": "mail.example.test", "base_port": 20000, "profile": "bench", "limits.threads": 3}
    path = config.write(tmp_path, values)
    assert path.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(path.read_text("utf-8"))["limits"] == {"threads": 3}
    found = load(tmp_path, {})
    assert (found.hostname, found.base_port, found.profile, found.limits.threads) == (*list(values.values())[:3], 3)
    for one in config.documented():
        assert one.key.rpartition(".")[2] in path.read_text("utf-8")
    with pytest.raises(ConfigError):
        config.write(tmp_path, {"nonsense": 1})


def test_paths_are_relative_to_the_state_directory(tmp_path: Path) -> None:
    plain = Config()
    assert plain.key_path(tmp_path) == tmp_path / "master.key"
    assert plain.certificate_paths(tmp_path) == (tmp_path / "tls/cert.pem", tmp_path / "tls/key.pem")
    given = load(tmp_path, {}, {"key_file": "/elsewhere/key", "tls.certificate": "/live/fullchain.pem"})
    assert given.key_path(tmp_path) == Path("/elsewhere/key")
    assert given.certificate_paths(tmp_path)[0] == Path("/live/fullchain.pem")


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_a_flag_is_read_from_file_and_environment_and_written_as_it_is_read(
    tmp_path: Path, text: str, value: bool
) -> None:
    _write(tmp_path, "")
    assert load(tmp_path, {"MAILSTEAD_DNS_TRUSTED": text}).dns_trusted is value
    for line in (f"dns_trusted = {text}", config.render({"dns_trusted": value})):
        _write(tmp_path, line)
        assert load(tmp_path, {}).dns_trusted is value
    _write(tmp_path, 'dns_trusted = "yes"')
    with pytest.raises(ConfigError, match="true or false"):
        load(tmp_path, {})
