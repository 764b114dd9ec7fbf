"""The database door: one writer with group commit, a reader for each thread.

Promises: `write` and `submit` return after the transaction that holds the operation was committed (SQLite: WAL,
synchronous=FULL); what waits is committed together, each operation under a savepoint of its own, so that one that fails
undoes itself alone. Changes are published in commit order, before any caller hears of success. A read sees one
snapshot. May not: keep a read open over anything slow; let anybody else say PRAGMA.

Statements are SQLAlchemy Core constructs made once at import. They are compiled once for the dialect and their text
goes to the driver's own cursor, which is several times cheaper than a Connection.execute for each row.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import ClauseElement

from data.clock import Clock
from data.errors import DiskFull, StoreError, Unavailable
from data.ids import Millis

T = TypeVar("T")
Row = tuple[Any, ...]
Params = Mapping[str, Any]
Publish = Callable[[tuple[object, ...]], None]

_NONE: Params = {}
_BATCH = 200
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cell_size_check=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16384",
)
_SQLITE_FULL = 13
_SQLITE_IOERR = 10


class _Compiled:
    """A statement's text for one dialect and the order of its values."""

    __slots__ = ("_defaults", "_get", "_keys", "sql")

    def __init__(self, stmt: ClauseElement, engine: Engine) -> None:
        compiled = stmt.compile(dialect=engine.dialect, compile_kwargs={"render_postcompile": True})
        self.sql = str(compiled)
        binds = getattr(compiled, "binds", {})
        # a bindparam("name") without a value is required; every other value, None too, was written into the statement
        self._defaults = {k: v for k, v in compiled.params.items() if k not in binds or not binds[k].required}
        tup = getattr(compiled, "positiontup", None)
        self._keys: tuple[str, ...] | None = tuple(tup) if tup is not None else None
        keys = self._keys
        self._get: Callable[[Params], Any] | None = None
        if keys is not None and len(keys) > 1 and not self._defaults:
            self._get = itemgetter(*keys)

    def bind(self, params: Params) -> Any:
        """The values as the driver wants them: a tuple for `?`, a dict for `%(name)s`."""
        if self._get is not None:
            return self._get(params)
        full = {**self._defaults, **params} if self._defaults else params
        if self._keys is None:
            return full
        return tuple(full[k] for k in self._keys)


class Reader:
    """Reads on one connection; made by Database.read, or a Tx."""

    __slots__ = ("_cursor", "_db")

    def __init__(self, db: Database, cursor: Any) -> None:
        self._db = db
        self._cursor = cursor

    def _execute(self, stmt: ClauseElement, params: Params) -> Any:
        compiled = self._db.compiled(stmt)
        return self._cursor.execute(compiled.sql, compiled.bind(params))

    def all(self, stmt: ClauseElement, params: Params = _NONE) -> list[Row]:
        """All rows."""
        self._execute(stmt, params)
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def first(self, stmt: ClauseElement, params: Params = _NONE) -> Row | None:
        """The first row or None; the statement is run to its end."""
        rows = self.all(stmt, params)
        return rows[0] if rows else None

    def value(self, stmt: ClauseElement, params: Params = _NONE) -> Any:
        """The first column of the first row, or None."""
        rows = self.all(stmt, params)
        return rows[0][0] if rows else None

    def each(self, stmt: ClauseElement, params: Params = _NONE) -> Iterator[Row]:
        """Rows one after the other, on a cursor of its own."""
        compiled = self._db.compiled(stmt)
        cursor = self._cursor.connection.cursor()
        cursor.execute(compiled.sql, compiled.bind(params))
        try:
            yield from cursor
        finally:
            cursor.close()

    def once(self, stmt: ClauseElement) -> list[Row]:
        """Rows of a statement built for this call alone; its compilation is not kept."""
        compiled = _Compiled(stmt, self._db.engine)
        self._cursor.execute(compiled.sql, compiled.bind(_NONE))
        rows: list[Row] = self._cursor.fetchall()
        return rows


class Tx(Reader):
    """One operation inside the writer's transaction."""

    __slots__ = ("changes", "hooks", "memo", "now")

    def __init__(self, db: Database, cursor: Any, now: Millis) -> None:
        super().__init__(db, cursor)
        self.now = now
        self.changes: list[object] = []
        self.hooks: list[Callable[[], None]] = []
        self.memo: dict[object, Any] = {}

    def run(self, stmt: ClauseElement, params: Params = _NONE) -> int:
        """Run a statement; returns how many rows it changed."""
        self._execute(stmt, params)
        return int(self._cursor.rowcount)

    def many(self, stmt: ClauseElement, rows: Sequence[Params]) -> None:
        """Run a statement once for each of `rows`."""
        if not rows:
            return
        compiled = self._db.compiled(stmt)
        self._cursor.executemany(compiled.sql, [compiled.bind(row) for row in rows])

    def publish(self, change: object) -> None:
        """Tell the ChangeBus after the commit."""
        self.changes.append(change)

    def after_commit(self, fn: Callable[[], None]) -> None:
        """Run `fn` on the writer thread after the commit, before the caller hears of it; it must not fail or wait."""
        self.hooks.append(fn)


class _Job:
    __slots__ = ("error", "future", "op", "result", "tx")

    def __init__(self, op: Callable[[Tx], Any]) -> None:
        self.op = op
        self.future: Future[Any] = Future()
        self.result: Any = None
        self.error: BaseException | None = None
        self.tx: Tx | None = None


class Database:
    """One database: `open` it, read and write, `close` it."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._clock = clock
        self._compiled: dict[ClauseElement, _Compiled] = {}
        self._local = threading.local()
        self._connections: list[Any] = []
        self._guard = threading.Lock()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self.publish: Publish = lambda changes: None
        self.on_fatal: Callable[[str], None] = lambda why: None
        self._begin_read = "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self._begin_write = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
        self._writer_connection = self._connect()
        self._writer = threading.Thread(target=self._work, name="writer", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, where: str | Path, clock: Clock) -> Database:
        """Open the SQLite file at a path, or what a `postgresql://` URL names. The schema must be there already."""
        return cls(make_engine(where), clock)

    # --- reading ----------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A snapshot on this thread's own connection; nested calls share the outer one."""
        local = self._local
        reader: Reader | None = getattr(local, "reader", None)
        if reader is not None:
            yield reader
            return
        cursor = getattr(local, "cursor", None)
        if cursor is None:
            cursor = local.cursor = self._connect().cursor()
        cursor.execute(self._begin_read)
        local.reader = Reader(self, cursor)
        try:
            yield local.reader
        finally:
            local.reader = None
            cursor.execute("ROLLBACK")

    def compiled(self, stmt: ClauseElement) -> _Compiled:
        """The statement for this dialect, compiled on first use."""
        found = self._compiled.get(stmt)
        if found is None:
            found = self._compiled[stmt] = _Compiled(stmt, self.engine)
        return found

    # --- writing ----------------------------------------------------------------------------------------------------

    def submit(self, op: Callable[[Tx], T]) -> Future[T]:
        """Queue an operation; the future resolves after commit and publication. May be called from any thread."""
        job = _Job(op)
        if self._closed:
            job.future.set_exception(Unavailable("the writer has stopped"))
        else:
            self._jobs.put(job)
        return job.future

    def write(self, op: Callable[[Tx], T]) -> T:
        """Run an operation in the writer and wait until it is committed. Never on the event loop."""
        return self.submit(op).result()

    def close(self) -> None:
        """Finish what waits, then close every connection."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        self._jobs.put(None)
        self._writer.join()
        self._refuse_rest()
        for connection in self._connections:
            connection.close()
        self.engine.dispose()

    def _work(self) -> None:
        cursor = self._writer_connection.cursor()
        while True:
            job = self._jobs.get()
            if job is None:
                return
            batch = [job]
            stop = False
            while len(batch) < _BATCH:
                try:
                    more = self._jobs.get_nowait()
                except Empty:
                    break
                if more is None:
                    stop = True
                    break
                batch.append(more)
            self._commit(cursor, batch)
            if stop:
                return

    def _commit(self, cursor: Any, batch: list[_Job]) -> None:
        try:
            cursor.execute(self._begin_write)
            for job in batch:
                self._apply(cursor, job, alone=len(batch) == 1)
            if any(job.error is None for job in batch):
                cursor.execute("COMMIT")
            else:
                cursor.execute("ROLLBACK")
        except BaseException as error:
            self._lost(cursor, batch, error)
            return
        self._tell(batch)
        for job in batch:
            self._settle(job)

    def _tell(self, batch: list[_Job]) -> None:
        """Hooks, then changes, of what was committed; a subscriber that fails must not take the writer with it."""
        done = [job.tx for job in batch if job.error is None and job.tx is not None]
        try:
            for tx in done:
                for fn in tx.hooks:
                    fn()
            changes = tuple(c for tx in done for c in tx.changes)
            if changes:
                self.publish(changes)
        except Exception as error:
            self.on_fatal(f"a subscriber failed after a commit: {error!r}")

    def _apply(self, cursor: Any, job: _Job, *, alone: bool) -> None:
        """Run one operation under its savepoint; the only one of a batch needs none."""
        if not alone:
            cursor.execute("SAVEPOINT op")
        job.tx = Tx(self, cursor, self._clock.now())
        try:
            job.result = job.op(job.tx)
        except BaseException as error:
            job.error = error
            if _ends_transaction(error) or not self._in_transaction():
                raise
            if not alone:
                cursor.execute("ROLLBACK TO SAVEPOINT op")
        if not alone:
            cursor.execute("RELEASE SAVEPOINT op")

    def _in_transaction(self) -> bool:
        return bool(self._writer_connection.in_transaction) if self.is_sqlite else True

    @staticmethod
    def _settle(job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        if job.error is not None:
            job.future.set_exception(translate(job.error))
            return
        job.future.set_result(job.result)

    def _lost(self, cursor: Any, batch: list[_Job], error: BaseException) -> None:
        """The whole transaction failed: nobody's operation happened."""
        try:
            cursor.execute("ROLLBACK")
        except Exception as again:
            _ = again  # SQLite has already rolled back
        told = translate(error)
        for job in batch:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(translate(job.error) if job.error is not None else told)
        if _is_io_error(error):
            self._closed = True
            self.on_fatal(repr(error))

    def _refuse_rest(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            if job is not None:
                job.future.set_exception(Unavailable("the writer has stopped"))

    # --- connections ------------------------------------------------------------------------------------------------

    def _connect(self) -> Any:
        connection = self.engine.raw_connection()
        driver = connection.driver_connection
        assert driver is not None
        with self._guard:
            self._connections.append(connection)
        return driver


def make_engine(where: str | Path) -> Engine:
    """The SQLAlchemy engine for a SQLite path or a `postgresql://` URL, in driver-level autocommit."""
    url = str(where)
    if url.startswith("postgresql"):
        return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=NullPool,
                             isolation_level="AUTOCOMMIT")  # fmt: skip
    return create_engine("sqlite://", poolclass=NullPool, creator=lambda: connect_sqlite(url))


def connect_sqlite(path: str) -> sqlite3.Connection:
    """A connection with the pragmas of the house; transactions are begun explicitly."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma).fetchall()
    return connection


def _ends_transaction(error: BaseException) -> bool:
    """After these the transaction as a whole is in doubt (out of space, I/O error, an interpreter that is stopping)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (_SQLITE_FULL, _SQLITE_IOERR) or not isinstance(error, Exception)


def _is_io_error(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_IOERR


def translate(error: BaseException) -> BaseException:
    """A driver's error in the words of data.errors; everything else as it is."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _SQLITE_FULL:
        return DiskFull(repr(error))
    if code == _SQLITE_IOERR:
        return Unavailable(repr(error))
    return error
