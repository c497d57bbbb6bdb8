"""SQLite: one writer with group commit, readers beside it.

Works run one after another on the event loop, each in a SAVEPOINT of one shared transaction; they
never suspend. The transaction is committed (and synced: WAL, synchronous=FULL) in a thread while
the next group gathers, and only then is anybody answered. So a sync is paid once for everybody who
came while the last one ran. Reads use a connection of their own and never wait for the writer.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import apsw

from onrecord.store import migrations
from onrecord.store.db import (
    Caller,
    Change,
    Figures,
    Insert,
    Item,
    NewerSchema,
    Row,
    Session,
    Unavailable,
)
from onrecord.store.log import Log
from onrecord.store.record import Heads
from onrecord.store.work import Many, Names, Work, look, perform, perform_many

T = TypeVar("T")
_Answer = tuple[asyncio.Future[Any], object]

GROUP_MOST: Final = 512
"""Works that share one commit at the most, so that nobody waits long behind a crowd."""
MAP_MOST: Final = 2**40
"""Bytes of the file that reads find in the system's memory, instead of copying each page into a
cache of our own: a window of 50 messages touches some 80 pages, and those of a big installation
fit into no cache. The system takes that memory back when others need it."""
OPEN_MILLISECONDS: Final = 5000
"""How long opening waits for a process that opens the same new file."""
BUSY_SECONDS: Final = 10.0
"""How long a group waits for another process (the command line) to finish its own."""

log = logging.getLogger(__name__)

_AWAY: Final = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.NoMemError,
)
"""What SQLite says when the file cannot be used; anything else is a fault of ours."""

_PLACEHOLDER: Final = re.compile(r"\$(\d+)")


@cache
def _sqlite_text(sql: str) -> str:
    return _PLACEHOLDER.sub(r"?\1", sql)


def _text(change: Change) -> str:
    if isinstance(change, Insert):
        return _insert_text(change.table, tuple(change.columns))
    return _update_text(change.table, tuple(change.key), tuple(change.columns))


@cache
def _insert_text(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"


@cache
def _update_text(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    sets = ", ".join(f"{name} = ?{number}" for number, name in enumerate(columns, len(key) + 1))
    where = " AND ".join(f"{name} = ?{number}" for number, name in enumerate(key, 1))
    return f"UPDATE {table} SET {sets} WHERE {where}"


class SqliteSession:
    """One connection; every coroutine here answers without suspending."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"
    for_update = ""
    chats = "chat_now"

    def __init__(self, connection: apsw.Connection) -> None:
        """Use the connection, in whose transaction everything happens."""
        self._connection = connection
        self._cursor = connection.cursor()

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        """Give every row."""
        return cast("Sequence[Row]", self._cursor.execute(_sqlite_text(sql), values).fetchall())

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Give the first row, or None."""
        # To the end: a statement with a row left would hold its snapshot beyond the commit, and
        # once another process has written, no transaction of this connection could begin.
        rows = self._cursor.execute(_sqlite_text(sql), values).fetchall()
        return cast("Row", rows[0]) if rows else None

    async def run(self, sql: str, *values: Any) -> None:
        """Run a statement that answers nothing."""
        self._cursor.execute(_sqlite_text(sql), values)

    async def each(self, sql: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Run one prepared statement for each row of values."""
        return cast("Sequence[Row]", self._cursor.executemany(_sqlite_text(sql), rows).fetchall())

    async def write(self, *changes: Change) -> None:
        """Make the changes one after the other, each with one prepared statement."""
        for change in changes:
            if change.rows:
                self._cursor.executemany(_text(change), change.rows)

    def among(self, placeholder: str) -> str:
        """Give a sub-select over the JSON array that `many` makes."""
        return f"IN (SELECT value FROM json_each({placeholder}))"

    def many(self, values: Iterable[int] | Iterable[str]) -> Any:
        """Give the values as one JSON array."""
        return json.dumps(list(values))


def run_now(awaitable: Awaitable[T]) -> T:
    """Run a coroutine that never suspends, and give what it returns."""
    coroutine = cast("Coroutine[Any, Any, T]", awaitable)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    coroutine.close()
    msg = "a work on SQLite must await nothing but the store"
    raise RuntimeError(msg)


@dataclass(slots=True)
class _Call:
    """One queued work: a function of its own, or an item for a function of many."""

    future: asyncio.Future[Any]
    caller: Caller
    run: Callable[[Work], Awaitable[Any]] | None = None
    item: Item | None = None
    many: Many | None = None


class SqliteStore:
    """The store on one SQLite file."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        """Use the database file at `path`; it is made when missing."""
        self._path = path
        self._synchronous = synchronous
        self._queue: deque[_Call] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._committer = ThreadPoolExecutor(1, "onrecord-commit")
        self.figures = Figures()
        self._names = Names()

    def waiting(self) -> int:
        """Give how many works wait for the next group."""
        return len(self._queue)

    async def open(self) -> None:
        """Open the writer and the reader; raises Unavailable, or NewerSchema."""
        try:
            self._writer = self._connect()
            self._reader = self._connect()
            self._reader.execute(f"PRAGMA mmap_size = {MAP_MOST}")
            self._log = Log(self._writer, self._connect())
            # From here on waiting for another process must not stop the event loop.
            self._writer.set_busy_timeout(0)
        except apsw.Error as error:
            msg = f"cannot open {self._path}: {error}"
            raise Unavailable(msg) from error
        self._write_session = SqliteSession(self._writer)
        self._read_session = SqliteSession(self._reader)
        if self._schema() > migrations.newest():
            msg = f"schema {self._schema()} is newer than {migrations.newest()}"
            raise NewerSchema(msg)
        self._task = asyncio.create_task(self._write_groups())

    async def close(self) -> None:
        """Finish the works that are queued, then close both connections."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._committer.shutdown()
        self._log.close()
        for connection in (self._writer, self._reader):
            connection.close()

    async def schema(self) -> int:
        """Give the number of the schema; 0 for an empty database."""
        return self._schema()

    async def hold(self, purpose: str, *, alone: bool) -> None:
        """Do nothing: who holds the data directory holds the file in it."""

    async def migrate(self) -> int:
        """Apply the migrations that are missing, all in one transaction."""
        if self._schema() == migrations.newest():
            return migrations.newest()
        execute = self._writer.execute
        with contextlib.closing(self._writer.cursor()):
            await self._begin("BEGIN EXCLUSIVE")
            try:
                for number, statements in migrations.texts("sqlite"):
                    if number > self._schema():
                        for statement in statements:
                            execute(_strict(statement))
                        execute(f"PRAGMA user_version = {number}")
                execute("COMMIT")
            except BaseException:
                execute("ROLLBACK")
                raise
        return migrations.newest()

    async def write(self, caller: Caller, run: Callable[[Work], Awaitable[T]]) -> T:
        """Queue one work; answers only after the commit it was part of."""
        return cast("T", await self._queued(_Call(self._future(), caller, run)))

    async def write_many(self, item: Item, run: Many) -> Any:
        """Queue one of many acts that are done together."""
        return await self._queued(_Call(self._future(), item.caller, item=item, many=run))

    async def read(self, caller: Caller, run: Callable[[Work], Awaitable[T]]) -> T:
        """Run a work that changes nothing on a snapshot of its own."""
        return await self.ask(lambda session: look(session, caller, run, self._names))

    async def ask(self, run: Callable[[Session], Awaitable[T]]) -> T:
        """Ask the tables on one snapshot."""
        self._refuse_when_closing()
        session = self._read_session
        try:
            await session.run("BEGIN")
            try:
                return run_now(run(session))
            finally:
                await session.run("COMMIT")
        except _AWAY as error:
            raise _unavailable(error) from error

    # -- the writer ------------------------------------------------------------------------------

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), statementcachesize=300)
        connection.set_busy_timeout(OPEN_MILLISECONDS)
        # Plans do not depend on bound values: some statements were prepared anew each time.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # `Log` does it
        # What a savepoint needs to undo stays in memory instead of a temporary file.
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def _schema(self) -> int:
        return cast("int", self._writer.pragma("user_version"))

    @staticmethod
    def _future() -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            msg = "the server is shutting down"
            raise Unavailable(msg)

    def _queued(self, call: _Call) -> asyncio.Future[Any]:
        self._refuse_when_closing()
        self._queue.append(call)
        self._wake.set()
        return call.future

    async def _write_groups(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                most = min(len(self._queue), GROUP_MOST)
                await self._write_group([self._queue.popleft() for _ in range(most)])
            if self._closing:
                return

    async def _write_group(self, calls: Sequence[_Call]) -> None:
        try:
            await self._begin("BEGIN IMMEDIATE")
            heads = Heads(self._write_session)
            answers = list(self._run_group(calls, heads))
            run_now(heads.flush())
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._committer, self._log.commit)
            self.figures.committed(len(calls), heads.written)
        except Exception as error:  # noqa: BLE001 - every caller must be answered
            self._roll_back()
            refused = _unavailable(error) if isinstance(error, _AWAY) else error
            for call in calls:
                if not call.future.done():
                    call.future.set_exception(refused)
            return
        for future, outcome in answers:
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except apsw.Error:
                log.exception("rollback failed")

    async def _begin(self, how: str) -> None:
        """Begin, waiting without blocking the loop for another process that writes just now."""
        deadline = time.monotonic() + BUSY_SECONDS
        pause = 0.001
        while True:
            try:
                self._writer.execute(how)
            except apsw.BusyError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.05)
            else:
                return

    def _run_group(self, calls: Sequence[_Call], heads: Heads) -> Iterator[_Answer]:
        """Run the works in order; those of one function of many, standing together, as one.

        When they are the whole group, undoing them is undoing the transaction: no savepoint.
        """
        for many, together in itertools.groupby(calls, lambda call: call.many):
            if many is None:
                for call in together:
                    yield self._run_alone(call, heads)
                continue
            lot = list(together)
            if len(lot) == len(calls):
                items = [cast("Item", call.item) for call in lot]
                run = perform_many(self._write_session, heads, items, many)
                yield from _answers(lot, run_now(run))
            else:
                yield from self._run_many(many, lot, heads)

    def _run_alone(self, call: _Call, heads: Heads) -> _Answer:
        run = call.run
        assert run is not None  # noqa: S101 - a call without `many` has one
        try:
            with self._savepoint(heads):
                result = run_now(perform(self._write_session, heads, call.caller, run))
        except _AWAY:
            raise
        except Exception as error:
            if not self._writer.in_transaction:
                raise
            return call.future, error
        return call.future, result

    def _run_many(self, many: Many, calls: Sequence[_Call], heads: Heads) -> Iterator[_Answer]:
        items = [cast("Item", call.item) for call in calls]
        try:
            with self._savepoint(heads):
                outcomes = run_now(perform_many(self._write_session, heads, items, many))
        except _AWAY:
            raise
        except Exception as error:
            if not self._writer.in_transaction:
                raise
            yield from ((call.future, error) for call in calls)
            return
        yield from _answers(calls, outcomes)

    @contextlib.contextmanager
    def _savepoint(self, heads: Heads) -> Iterator[None]:
        """Undo the work, and what memory knows of heads, when it raises."""
        held, changed = dict(heads.held), set(heads.changed)
        run_now(self._write_session.run("SAVEPOINT work"))
        try:
            yield
        except BaseException:
            if not self._writer.in_transaction:
                raise  # SQLite has rolled everything back, so nothing of the group can stand
            run_now(self._write_session.run("ROLLBACK TO work"))
            run_now(self._write_session.run("RELEASE work"))
            heads.held, heads.changed = held, changed
            raise
        run_now(self._write_session.run("RELEASE work"))


def _answers(calls: Sequence[_Call], outcomes: Sequence[object]) -> Iterator[_Answer]:
    for call, outcome in zip(calls, outcomes, strict=True):
        yield call.future, outcome


def _strict(statement: str) -> str:
    """Make tables STRICT, so that SQLite holds column types as PostgreSQL does."""
    if not statement.startswith("CREATE TABLE"):
        return statement
    return statement + (", STRICT" if statement.endswith("ROWID") else " STRICT")


def _unavailable(error: BaseException) -> Unavailable:
    log.error("the database refused: %s: %s", type(error).__name__, error)
    return Unavailable(f"{type(error).__name__}: {error}")
