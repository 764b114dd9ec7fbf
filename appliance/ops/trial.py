"""The trial: a state directory with everything a first look needs, made when it is not there yet.

Promises: example.test on 127.0.0.1, profile development, an administrator and two people with random passwords, which
stand in DIR/logins.txt (0600) and are named again by every start, and sample mail for the three, added once. Nothing is
asked.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from appliance.config import PORTS, Config
from appliance.ops import init, people
from appliance.ops import state as ground_floor
from appliance.ops.errors import OperatorError
from appliance.ops.samples import fill as samples
from data.clock import SystemClock
from data.directory.credentials import new_password
from data.disk.files import write_durably
from data.principal import Role

DOMAIN = "example.test"
HOST = "mail.example.test"
LOGINS = "logins.txt"
PEOPLE = (
    ("admin", "Ada Marsh", Role.ADMINISTRATOR),
    ("ann", "Ann Weber", Role.USER),
    ("bob", "Bob Li", Role.USER),
)
_BASES = range(20_000, 60_000, 1_000)
_LOOPBACK = "127.0.0.1"


def prepare(state: Path) -> None:
    """Make the trial if it is not there, and say how to reach it. Raises OperatorError."""
    if not ground_floor.set_up(state):
        values = {"hostname": HOST, "base_port": free_base(), "profile": "development"}
        init.initialise(state, init.Choices(DOMAIN, "Example Joinery", values), SystemClock())
    config = ground_floor.load_config(state)
    if not (state / LOGINS).exists():
        _populate(state, config)
    # nothing is announced that another process serves already
    ground_floor.hold(state).release()
    print(greeting(config, (state / LOGINS).read_text("utf-8"), state / LOGINS), flush=True)


def _populate(state: Path, config: Config) -> None:
    """The accounts and their mail, then the file that names them: a break in between gives everybody a new password."""
    passwords = {f"{local}@{DOMAIN}": new_password() for local, _, _ in PEOPLE}
    with ground_floor.hold(state) as held:
        ground = ground_floor.open_ground(held, config, SystemClock())
        try:
            known = {account.address for account in ground.directory.accounts()}
            for (address, password), (_, name, role) in zip(passwords.items(), PEOPLE, strict=True):
                if address in known:
                    people.set_password(ground, address, password, "trial")
                else:
                    people.add_account(ground, address, password=password, name=name, role=role, actor="trial")
            samples.fill(ground)
        finally:
            ground.close()
    lines = [f"{address}  {password}\n" for address, password in passwords.items()]
    write_durably(state / LOGINS, "".join(lines).encode())


def free_base() -> int:
    """The first base port at which every listener's port is free."""
    for base in _BASES:
        if all(_free(base + port) for port in PORTS.values() if base + port < 65536):
            return base
    raise OperatorError("no block of free ports was found on 127.0.0.1")


def _free(port: int) -> bool:
    with ExitStack() as stack:
        probe = stack.enter_context(socket.socket())
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True


def greeting(config: Config, logins: str, path: Path) -> str:
    """Addresses and logins, for whoever typed `make run`."""
    ports = {name: config.port(name) for name in PORTS}
    return f"""
  {DOMAIN} on {_LOOPBACK}

    webmail     http://localhost:{ports["http"]}/webmail/
    panel       http://localhost:{ports["http"]}/admin/

    IMAP        {ports["imap"]} (STARTTLS)   {ports["imaps"]} (TLS)
    submission  {ports["submission"]} (STARTTLS)   {ports["submissions"]} (TLS)
    MX          {ports["mx"]}

  logins (kept in {path}):

    {logins.strip().replace(chr(10), chr(10) + "    ")}

  The certificate is self-signed. Ctrl-C stops; make reset throws everything away.
"""
