"""Who we are at the hosts that an administrator named: a name and a password for each host and port.

Promises: passwords rest under the master key, bound to their host and port: a row moved to another host does not open. May
not: say where mail goes (the setting queue.routes does).
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from data.disk import tables as t
from data.disk.db import Database, Tx
from data.disk.seal import Keys
from data.errors import Invalid

NAME_MOST = 255
PASSWORD_MOST = 1000

_b = bindparam
_h = t.smarthost.c
_HERE = (_h.host == _b("p_host"), _h.port == _b("p_port"))
_GET = select(_h.name, _h.sealed).where(*_HERE)
_ALL = select(_h.host, _h.port, _h.name)
_DROP = delete(t.smarthost).where(*_HERE)
_PUT = insert(t.smarthost).values(host=_b("host"), port=_b("port"), name=_b("name"), sealed=_b("sealed"))


class Smarthosts:
    """The logins of one database."""

    def __init__(self, db: Database, keys: Keys) -> None:
        self._db, self._keys = db, keys

    def login(self, host: str, port: int) -> tuple[str, str] | None:
        """Name and password for a host, if it asks for them. Blocks; raises Corrupt under another master key."""
        with self._db.read() as reader:
            row = reader.first(_GET, {"p_host": host, "p_port": port})
        return None if row is None else (row[0], self._keys.unwrap(bytes(row[1]), _context(host, port)).decode())

    def names(self) -> dict[tuple[str, int], str]:
        """The name we have at each host, without passwords."""
        with self._db.read() as reader:
            return {(host, port): name for host, port, name in reader.all(_ALL, {})}

    def put_in(self, tx: Tx, host: str, port: int, name: str, password: str) -> None:
        """Set the login of a host. Raises Invalid."""
        if not 0 < len(name) <= NAME_MOST or not 0 < len(password) <= PASSWORD_MOST or "\0" in name + password:
            raise Invalid("a login", public="A name and a password are needed")
        self.drop_in(tx, host, port)
        sealed = self._keys.wrap(password.encode(), _context(host, port))
        tx.run(_PUT, {"host": host, "port": port, "name": name, "sealed": sealed})

    def drop_in(self, tx: Tx, host: str, port: int) -> None:
        """Forget it."""
        tx.run(_DROP, {"p_host": host, "p_port": port})


def _context(host: str, port: int) -> bytes:
    return f"smarthost {host}:{port}".encode()
