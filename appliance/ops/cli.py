"""The command line: what is typed, who does it, and how the result is shown.

    run.py [--state DIR] COMMAND ...

Promises: beside a running server a command is asked of it over DIR/control; otherwise it takes the state directory's
lock and opens the store itself: never two writers. Results go to standard output, errors are one line on standard error.
Exit status: 0 done, 1 refused or failed, 2 wrong use, 3 set up already, 4 wrong master key, 5 in use, 130 interrupted.
Passwords are read from standard input or a terminal, never from the command line.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.ops import control, shown
from appliance.ops.control import CommandFailed, NoServer, Result, Stopped, Tell
from appliance.ops.errors import FAILED, LOCKED, USAGE, OperatorError
from appliance.ops.version import NAME, VERSION

DEFAULT_STATE = "/var/lib/mailstead"
INTERRUPTED = 130
_PATIENCE = 5.0
_PAUSE = 0.1

Serve = Callable[[Path, Mapping[str, Any]], int]
"""Serve a state directory until it is told to stop: (DIR, fields given on the command line) -> exit status."""


def main(argv: Sequence[str], serve: Serve) -> int:
    """Do what the command line says; returns the exit status."""
    args = parser().parse_args(argv)
    state = Path(args.state).absolute()
    try:
        _require_text("\n".join(argv), "What was typed")
        return int(args.run(state, args, serve))
    except OperatorError as error:
        print(f"mailstead: {error.line}", file=sys.stderr)
        return error.status
    except CommandFailed as error:
        print(f"mailstead: {error.public}", file=sys.stderr)
        return FAILED
    except (KeyboardInterrupt, EOFError, Stopped):
        # Ctrl-C, or Ctrl-D in place of an answer
        if sys.stderr.isatty():
            print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has left; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


# --- what can be typed ----------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The whole grammar; `run` in the outcome is what does it."""
    top = argparse.ArgumentParser(prog="run.py", description=f"{NAME} {VERSION}: a mail server in one process")
    default = os.environ.get("MAILSTEAD_STATE", DEFAULT_STATE)
    top.add_argument("--state", metavar="DIR", default=default, help=f"the state directory (now {default})")
    top.set_defaults(run=_serve, base_port=None, profile=None, log_level=None)
    commands = top.add_subparsers(metavar="COMMAND", title="commands")
    _add_serving(commands)
    _add_people(commands)
    _add_addresses(commands)
    _add_queue(commands)
    _add_routes(commands)
    _add_quarantine(commands)
    _add_settings(commands)
    _add_store(commands)
    return top


def _add_serving(commands: Any) -> None:
    serve = commands.add_parser("serve", help="run the server (what happens without a command)")
    serve.add_argument("--base-port", type=int, help="added to every listener's port")
    serve.add_argument("--profile", choices=("production", "development", "bench"))
    serve.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    serve.set_defaults(run=_serve)
    trial = commands.add_parser("trial", help="serve a trial: example.test with an administrator and two people")
    trial.set_defaults(run=_trial)
    init = commands.add_parser("init", help="prepare a state directory")
    init.add_argument("--domain", help="the first mail domain")
    init.add_argument("--organisation", help="its organisation's name (the domain's, if not given)")
    init.add_argument("--hostname", help="the name of this host, as in its MX record")
    init.add_argument("--base-port", type=int, help="added to every listener's port")
    init.add_argument("--profile", choices=("production", "development", "bench"))
    init.add_argument("--key-file", metavar="FILE", help="where the master key is kept (DIR/master.key)")
    init.add_argument("--dns", metavar="system|off|HOST:PORT", help="who answers DNS questions")
    init.add_argument("--route-all", metavar="HOST:PORT", help="send all outgoing mail there")
    init.add_argument("--database", metavar="URL", help="postgresql:// instead of SQLite in the state directory")
    init.set_defaults(run=_init)
    version = commands.add_parser("version", help="say which version this is")
    version.set_defaults(run=_version)


def _add_people(commands: Any) -> None:
    account = _group(commands, "account", "people and their passwords")
    add = _leaf(account, "add", "account.add", shown.quiet, "a new account")
    add.add_argument("address")
    add.add_argument("--name", default="", help="the person's name")
    add.add_argument("--admin", action="store_true", help="may administer, and reads postmaster's mail")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.set_defaults(collect=_with_password("address", "name", "admin"))
    _leaf(account, "list", "account.list", shown.accounts, "who is here")
    change = _leaf(account, "change", "account.change", shown.quiet, "another name, quota or role")
    change.add_argument("address")
    change.add_argument("--name", help="the person's name")
    change.add_argument("--quota", metavar="SIZE", help="what the account may hold: 500M, 2G; 0 is unlimited")
    change.add_argument("--admin", action=argparse.BooleanOptionalAction, help="may administer, or no longer")
    change.set_defaults(collect=_named("address", "name", "quota", "admin"))
    passwd = _leaf(account, "passwd", "account.passwd", shown.quiet, "another password")
    passwd.add_argument("address")
    passwd.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    passwd.set_defaults(collect=_with_password("address"))
    for name, text in (
        ("suspend", "nobody signs in; mail still arrives"),
        ("resume", "end a suspension"),
        ("delete", "end an account and free its address"),
    ):
        leaf = _leaf(account, name, f"account.{name}", shown.quiet, text)
        leaf.add_argument("address")
        leaf.set_defaults(collect=_named("address"))


def _add_addresses(commands: Any) -> None:
    domain = _group(commands, "domain", "domains whose mail is ours")
    add = _leaf(domain, "add", "domain.add", shown.quiet, "a new domain, with keys that sign its mail")
    add.add_argument("domain")
    add.set_defaults(collect=_named("domain"))
    _leaf(domain, "list", "domain.list", shown.domains, "the domains, and the DKIM records to publish")
    catch = _leaf(domain, "catch-all", "domain.catch-all", shown.quiet, "who gets mail for unknown names; - for nobody")
    catch.add_argument("domain")
    catch.add_argument("address")
    catch.set_defaults(collect=lambda a: {"domain": a.domain, "address": None if a.address == "-" else a.address})
    alias = _group(commands, "alias", "addresses that lead to others")
    add = _leaf(alias, "add", "alias.add", shown.led, "a new alias, or a group when there are several targets")
    add.add_argument("address")
    add.add_argument("targets", nargs="+", metavar="target")
    add.add_argument("--group", action="store_true", help="a group even with one target")
    add.add_argument("--no-send-as", dest="send_as", action="store_false", help="nobody may write as this address")
    add.set_defaults(collect=_named("address", "targets", "group", "send_as"))
    _leaf(alias, "list", "alias.list", shown.aliases, "the aliases and groups")
    delete = _leaf(alias, "delete", "alias.delete", shown.quiet, "take one away")
    delete.add_argument("address")
    delete.set_defaults(collect=_named("address"))


def _add_queue(commands: Any) -> None:
    queue = _group(commands, "queue", "mail on its way out")
    _leaf(queue, "list", "queue.list", shown.queue, "what waits, and why")
    for name, text in (
        ("retry", "try again now"),
        ("hold", "keep it until it is released"),
        ("release", "let it go"),
        ("drop", "give it up, without telling the sender"),
    ):
        leaf = _leaf(queue, name, f"queue.{name}", shown.counted, text)
        leaf.add_argument("item", type=int, nargs="+" if name != "retry" else "*", help="number of an item")
        leaf.set_defaults(collect=_named("item"))


def _add_routes(commands: Any) -> None:
    route = _group(commands, "route", "hosts that take the mail of a domain, whatever its MX records say")
    add = _leaf(route, "add", "route.add", shown.quiet, "a route, in place of the one before")
    add.add_argument("domain", help="example.org, .example.org for all below it, or * for the rest")
    add.add_argument("target", metavar="HOST:PORT", help="465 begins with TLS, other ports use STARTTLS")
    add.add_argument("--user", help="sign in there by this name; the host must prove its name under TLS")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.set_defaults(
        collect=lambda a: {
            **_named("domain", "target", "user")(a),
            "password": None if a.user is None else _password(a.password_stdin),
        }
    )
    _leaf(route, "list", "route.list", shown.routes, "the routes, in the order in which they were made")
    delete = _leaf(route, "delete", "route.delete", shown.quiet, "back to what DNS says")
    delete.add_argument("domain")
    delete.set_defaults(collect=_named("domain"))


def _add_quarantine(commands: Any) -> None:
    kept = _group(commands, "quarantine", "mail that is kept back because it may do harm")
    _leaf(kept, "list", "quarantine.list", shown.kept_back, "what is kept back, and why")
    for name, text in (("release", "into the inbox with it"), ("delete", "away with it")):
        leaf = _leaf(kept, name, f"quarantine.{name}", shown.released, text)
        leaf.add_argument("number", type=int, nargs="+", help="number of a message")
        leaf.set_defaults(collect=_named("number"))


def _add_settings(commands: Any) -> None:
    setting = _group(commands, "setting", "what is set while the server runs")
    show = _leaf(setting, "list", "setting.list", shown.settings, "every setting, its value and its meaning")
    put = _leaf(setting, "set", "setting.set", shown.quiet, "give one a value")
    put.add_argument("name")
    put.add_argument("value", help="text, a number, or on and off; - reads it from standard input")
    put.add_argument("--lock", action="store_true", help="nobody below may have another")
    clear = _leaf(setting, "clear", "setting.clear", shown.quiet, "back to the wider value or the default")
    clear.add_argument("name")
    for leaf in (show, put, clear):
        leaf.add_argument("--account", help="of this account, not of the organisation")
    show.set_defaults(collect=_named("account"))
    put.set_defaults(
        collect=lambda a: {
            "name": a.name,
            "value": _standard_input(1 << 18) if a.value == "-" else a.value,
            "lock": a.lock,
            "account": a.account,
        }
    )
    clear.set_defaults(collect=_named("name", "account"))


def _add_store(commands: Any) -> None:
    take = _leaf(commands, "import-maildir", "import-maildir", shown.imported, "take mail over from a Maildir")
    take.add_argument("account")
    take.add_argument("path")
    take.add_argument("--mailbox", help="put everything into this one; otherwise subfolders become mailboxes")
    take.set_defaults(
        collect=lambda a: {"account": a.account, "path": str(Path(a.path).absolute()), "mailbox": a.mailbox}
    )
    _leaf(commands, "metrics", "metrics", shown.text, "counters and gauges of the running server")
    index = _group(commands, "index", "the text index that searches use")
    for name, show, text in (
        ("status", shown.indexes, "how complete it is"),
        ("rebuild", shown.reindexed, "make it again from the stored mail"),
    ):
        leaf = _leaf(index, name, f"index.{name}", show, text)
        leaf.add_argument("address", nargs="?", help="of this account only")
        leaf.set_defaults(collect=_named("address"))
    _leaf(commands, "verify", "verify", shown.findings, "prove that rows, blobs and counters agree")


def _group(commands: Any, name: str, text: str) -> Any:
    group = commands.add_parser(name, help=text)
    group.set_defaults(run=lambda *_: _help(group))
    return group.add_subparsers(metavar="COMMAND", title="commands", required=True)


def _leaf(commands: Any, name: str, command: str, show: shown.Show, text: str) -> Any:
    leaf = commands.add_parser(name, help=text)
    leaf.set_defaults(run=_ask, command=command, show=show, collect=lambda args: {})
    return leaf


def _help(group: argparse.ArgumentParser) -> int:
    group.print_help()
    return USAGE


def _named(*names: str) -> Callable[[argparse.Namespace], Result]:
    return lambda args: {name: getattr(args, name) for name in names}


def _with_password(*names: str) -> Callable[[argparse.Namespace], Result]:
    return lambda args: {**_named(*names)(args), "password": _password(args.password_stdin)}


def _password(from_stdin: bool) -> str:
    """A password as it was given; one newline at its end is not part of it."""
    if from_stdin:
        text = _standard_input(4096)
        return text.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise OperatorError("there is no terminal to ask for a password: use --password-stdin", USAGE)
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise OperatorError("the two passwords differ")
    return first


def _standard_input(most: int) -> str:
    try:
        text = sys.stdin.read(most)
    except UnicodeDecodeError:
        raise OperatorError("What came on standard input is not UTF-8", USAGE) from None
    _require_text(text, "What came on standard input")
    return text


def _require_text(text: str, what: str) -> None:
    """Octets that are no text come in as lone surrogates; no command takes them."""
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise OperatorError(f"{what} is not UTF-8", USAGE)


# --- who does it ----------------------------------------------------------------------------------------------------


def _serve(state: Path, args: argparse.Namespace, serve: Serve) -> int:
    given = {name: getattr(args, name, None) for name in ("base_port", "profile", "log_level")}
    return serve(state, {name: value for name, value in given.items() if value is not None})


def _trial(state: Path, args: argparse.Namespace, serve: Serve) -> int:
    from appliance.ops import trial

    trial.prepare(state)
    return serve(state, {})


def _init(state: Path, args: argparse.Namespace, serve: Serve) -> int:
    from appliance.ops import init
    from data.clock import SystemClock

    init.refuse_second(state)
    config = {
        name: getattr(args, name)
        for name in ("hostname", "base_port", "profile", "key_file", "dns", "route_all", "database")
    }
    choices = init.complete(init.Choices(args.domain, args.organisation, config), _ask_person())
    made = init.initialise(state, choices, SystemClock())
    print(f"{state} is ready for {choices.domain}. Keep a copy of {made.key_path(state)} in a safe place elsewhere.")
    print(f"Next: run.py --state {state} account add you@{choices.domain} --admin")
    return 0


def _ask_person() -> Callable[[str, str], str] | None:
    if not sys.stdin.isatty():
        return None
    return lambda question, default: (
        input(f"{question} [{default}]: " if default else f"{question}: ").strip() or default
    )


def _version(state: Path, args: argparse.Namespace, serve: Serve) -> int:
    print(NAME, VERSION)
    return 0


def _ask(state: Path, args: argparse.Namespace, serve: Serve) -> int:
    bar = shown.Bar(sys.stderr)
    try:
        result = perform(state, args.command, args.collect(args), bar.tell)
    finally:
        bar.end()
    return int(args.show(result))


def perform(state: Path, command: str, args: Result, tell: Tell) -> Result:
    """Ask the running server, or else do it here. Raises CommandFailed, OperatorError."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return control.ask(state, command, args, tell)
        except NoServer:
            pass
        try:
            return _perform_here(state, command, args, tell)
        except OperatorError as error:
            # somebody holds the directory and does not answer yet: a server that is starting or stopping
            if error.status != LOCKED or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)


def _perform_here(state: Path, command: str, args: Result, tell: Tell) -> Result:
    from appliance.ops import commands
    from appliance.ops import state as ground_floor
    from data.clock import SystemClock
    from data.errors import StoreError

    config = ground_floor.load_config(state)
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, config, SystemClock())
        try:
            return commands.run(ground, command, args, tell, f"console:{os.getuid()}")
        except StoreError as error:
            raise CommandFailed(error.public, type(error).__name__) from None
        finally:
            ground.close()
