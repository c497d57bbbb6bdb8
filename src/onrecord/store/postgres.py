"""PostgreSQL: a work is a transaction; the append path is one transaction for a whole group.

Every work runs optimistically first: the head row, the last lock, shows whether access changed
since the actor was judged. If so the work runs once more with the head row locked first, so that
nothing can change under it again.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, Literal, TypeVar, cast

import asyncpg

from onrecord.model.access import Actor
from onrecord.model.errors import Refusal
from onrecord.model.ports import Held
from onrecord.store import migrations
from onrecord.store.db import (
    COLUMN_TYPES,
    Caller,
    Change,
    Figures,
    Insert,
    Item,
    NewerSchema,
    Row,
    Session,
    Stale,
    Unavailable,
)
from onrecord.store.record import NEVER_STALE, Heads
from onrecord.store.work import Many, Names, Work, look, perform, perform_many

POOL_SIZE: Final = 8
GROUP_MOST: Final = 256
"""Acts of the append path that share one transaction at the most."""
GROUP_WRITERS: Final = 2
"""Groups under way at once: one is prepared while the other one is written."""
STALE_TRIES: Final = 8
"""How often a stale work is tried again, in its turn, before it locks the heads first."""
ACQUIRE_SECONDS: Final = 10
COMMAND_SECONDS: Final = 20
"""How long a work waits for a connection, and for an answer, before it says that the database is
away (RX503)."""
TRIES: Final = 5
"""How often a work is tried that PostgreSQL broke off to solve a deadlock."""
HOLD_LOCK: Final = 0x6F6E7265_636F7264
"""The advisory lock ("onrecord") held by servers (shared) and by migrations (exclusive)."""

T = TypeVar("T")
log = logging.getLogger(__name__)

_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection says that was ended between two statements
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.DiskFullError,
)
_AGAIN = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    # Another work took the same identifier, email or idempotency key since this one looked; the
    # next try sees it and refuses or replays.
    asyncpg.UniqueViolationError,
)


def _type(column: str) -> str:
    return COLUMN_TYPES.get(column, "bigint")


_Shape = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Table, key columns (none: an insert), the other columns."""


def _shape(change: Change) -> _Shape:
    if isinstance(change, Insert):
        return change.table, (), tuple(change.columns)
    return change.table, tuple(change.key), tuple(change.columns)


@cache
def _changes_text(shapes: tuple[_Shape, ...]) -> str:
    """Give one statement for all the changes; the parts of a WITH each change their own table."""
    texts = []
    first = 1
    for shape in shapes:
        texts.append(_change_text(shape, first))
        first += len(shape[1]) + len(shape[2])
    *others, last = texts
    named = ", ".join(f"change_{number} AS ({text})" for number, text in enumerate(others))
    return f"WITH {named} {last}" if named else last


def _change_text(shape: _Shape, first: int) -> str:
    table, key, columns = shape
    names = (*key, *columns)
    arrays = ", ".join(f"${n}::{_type(name)}[]" for n, name in enumerate(names, first))
    if not key:
        return f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({arrays})"
    sets = ", ".join(f"{name} = new.{name}" for name in columns)
    where = " AND ".join(f"old.{name} = new.{name}" for name in key)
    return (
        f"UPDATE {table} AS old SET {sets}"
        f" FROM unnest({arrays}) AS new ({', '.join(names)}) WHERE {where}"
    )


class PostgresSession:
    """One connection inside one transaction."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"
    for_update = " FOR UPDATE"
    chats = "chat"

    def __init__(self, connection: Any) -> None:
        """Use the connection, in whose transaction everything happens."""
        self.connection = connection

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        """Give every row."""
        return cast("Sequence[Row]", await self.connection.fetch(sql, *values))

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Give the first row, or None."""
        return cast("Row | None", await self.connection.fetchrow(sql, *values))

    async def run(self, sql: str, *values: Any) -> None:
        """Run a statement that answers nothing."""
        await self.connection.execute(sql, *values)

    async def each(self, sql: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Run one prepared statement for each row of values, one after the other."""
        return [found for row in rows for found in await self.connection.fetch(sql, *row)]

    async def write(self, *changes: Change) -> None:
        """Make the changes with one statement, a column to an array."""
        present = [change for change in changes if change.rows]
        if present:
            text = _changes_text(tuple(_shape(change) for change in present))
            columns = [zip(*change.rows, strict=True) for change in present]
            await self.connection.execute(text, *itertools.chain(*columns))

    def among(self, placeholder: str) -> str:
        """Compare with the array that `many` makes; the column tells its type."""
        return f"= ANY({placeholder})"

    def many(self, values: Iterable[int] | Iterable[str]) -> Any:
        """Give the values as a list, which PostgreSQL takes as an array."""
        return list(values)


@cache
def _with_position(sql: str, number: int) -> str:
    head = f"(SELECT access_position FROM head WHERE entity_id = ${number})"
    return f"SELECT {head}, {sql.removeprefix('SELECT ')}"


class _FreshSession(PostgresSession):
    """A session whose first question tells as well whether the actor's verdict still holds."""

    def __init__(self, session: Session, actor: Actor) -> None:
        """Ask through the connection of `session`."""
        assert isinstance(session, PostgresSession)  # noqa: S101 - it is this engine's
        super().__init__(session.connection)
        self._actor = actor
        self._sure = actor.kind in NEVER_STALE

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        """Give every row."""
        if self._sure:
            return await super().all(sql, *values)
        if not sql.startswith("SELECT ") or sql.startswith("SELECT DISTINCT") or " UNION " in sql:
            await self.make_sure()
            return await super().all(sql, *values)
        text = _with_position(sql, len(values) + 1)
        rows = await super().all(text, *values, self._actor.entity_id)
        if not rows:
            await self.make_sure()
            return rows
        self._compare(rows[0][0])
        return [row[1:] for row in rows]

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Give the first row, or None."""
        if self._sure:
            return await super().one(sql, *values)
        rows = await self.all(sql, *values)
        return rows[0] if rows else None

    async def make_sure(self) -> None:
        """Raise Stale unless the verdict holds."""
        if not self._sure:
            sql = "SELECT access_position FROM head WHERE entity_id = $1"
            row = await super().one(sql, self._actor.entity_id)
            self._compare(row[0] if row else None)

    def _compare(self, position: int | None) -> None:
        self._sure = True  # or nobody asks any more
        if position != self._actor.judged.entity:
            raise Stale


class PostgresStore:
    """The store on one PostgreSQL database."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, url: str) -> None:
        """Use the database at `url` (postgresql://…)."""
        self._url = url
        self._waiting: dict[Many, deque[tuple[Item, asyncio.Future[Any]]]] = {}
        self._writers: dict[Many, set[asyncio.Task[None]]] = defaultdict(set)
        self._running: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.figures = Figures()
        self._names = Names()
        self._lock: Any = None
        self._lock_alone = False

    def waiting(self) -> int:
        """Give how many works wait for a group or run at this moment."""
        return sum(map(len, self._waiting.values())) + len(self._running)

    async def open(self) -> None:
        """Connect; raises Unavailable, or NewerSchema."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=POOL_SIZE,
                command_timeout=COMMAND_SECONDS,
                reset=_leave_as_it_is,
            )
        except (*_AWAY, asyncpg.PostgresError) as error:  # no such database, a wrong password …
            if isinstance(error, ValueError):
                raise  # what the address says is not possible
            msg = f"cannot open the database: {str(error) or type(error).__name__}"
            raise Unavailable(msg) from error
        async with self._pool.acquire() as connection:
            number = await _schema(connection)
        if number > migrations.newest():
            await self._pool.close()
            msg = f"schema {number} is newer than {migrations.newest()}"
            raise NewerSchema(msg)

    async def close(self) -> None:
        """Finish the works that run, then disconnect."""
        self._closing = True
        while tasks := [*itertools.chain(*self._writers.values()), *self._running]:
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._lock is not None:
            await self._lock.close()
        await self._pool.close()

    async def schema(self) -> int:
        """Give the number of the schema; 0 for an empty database."""
        async with self._pool.acquire() as connection:
            return await _schema(connection)

    async def hold(self, purpose: str, *, alone: bool) -> None:
        """Take the advisory lock on a connection of its own; raises Held, saying who holds it.

        Asked again for what is held already it only sees to it that the connection still stands:
        a lock is gone with its connection.
        """
        if self._lock is not None:
            if self._lock_alone == alone and not self._lock.is_closed():
                return
            lock, self._lock = self._lock, None
            await lock.close()
        name = f"onrecord {purpose} (process {os.getpid()})"[:63]
        settings = {"application_name": name}
        try:
            lock = await asyncpg.connect(self._url, server_settings=settings)
        except _AWAY as error:
            raise _unavailable(error) from error
        kind = "pg_try_advisory_lock" if alone else "pg_try_advisory_lock_shared"
        if await lock.fetchval(f"SELECT {kind}($1)", HOLD_LOCK):
            self._lock, self._lock_alone = lock, alone
            return
        holders = await lock.fetch(
            "SELECT DISTINCT a.application_name FROM pg_locks l"
            " JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory'"
            " AND l.granted AND l.database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database()) AND (l.classid::bigint << 32) + l.objid::bigint"
            " = $1",
            HOLD_LOCK,
        )
        await lock.close()
        who = ", ".join(row[0] for row in holders) or "another process"
        msg = f"the database is held by {who}"
        raise Held(msg)

    async def migrate(self) -> int:
        """Apply the migrations that are missing, all in one transaction."""
        async with self._pool.acquire() as connection, connection.transaction():
            present = await _schema(connection)
            for number, statements in migrations.texts("postgresql"):
                if number > present:
                    for statement in statements:
                        await connection.execute(statement)
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_version (number BIGINT NOT NULL)"
            )
            await connection.execute("DELETE FROM schema_version")
            await connection.execute(
                "INSERT INTO schema_version (number) VALUES ($1)", migrations.newest()
            )
        return migrations.newest()

    async def write(self, caller: Caller, run: Callable[[Work], Awaitable[T]]) -> T:
        """Run one work in a transaction of its own."""
        self._refuse_when_closing()

        async def once(session: Session, heads: Heads) -> T:
            return await perform(session, heads, caller, run)

        def entities() -> list[int]:
            return [caller.actor.entity_id] if caller.actor else []

        return await self._kept(self._tried(once, entities, judged=caller.judge is not None))

    async def write_many(self, item: Item, run: Many) -> Any:
        """Join the group that gathers while the one before it is written."""
        self._refuse_when_closing()
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run, deque()).append((item, future))
        writers = self._writers[run]
        if len(writers) < GROUP_WRITERS:
            task = asyncio.create_task(self._write_groups(run))
            writers.add(task)
            task.add_done_callback(writers.discard)
        return await future

    async def read(self, caller: Caller, run: Callable[[Work], Awaitable[T]]) -> T:
        """Run a work that changes nothing; every statement sees what was committed before it."""
        actor = caller.actor
        if actor is not None and not actor.leans_on_installation:
            with contextlib.suppress(Stale):
                return await self.ask(lambda session: self._read_fresh(session, caller, actor, run))
        return await self.ask(lambda session: look(session, caller, run, self._names))

    async def _read_fresh(
        self, session: Session, caller: Caller, actor: Actor, run: Callable[[Work], Awaitable[T]]
    ) -> T:
        """Read as an actor judged before; Stale when access turns out to have changed since.

        The first question of the work brings the access position along, which saves a round trip.
        A refusal that came without a question must wait for it: a key that was stopped a moment
        ago learns of that first.
        """
        fresh = _FreshSession(session, actor)
        try:
            result = await run(Work(fresh, actor, caller.origin, Heads(fresh), names=self._names))
        except Refusal:
            await fresh.make_sure()
            raise
        await fresh.make_sure()
        return result

    async def ask(self, run: Callable[[Session], Awaitable[T]]) -> T:
        """Ask the tables, each statement on its own."""
        self._refuse_when_closing()
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                return await run(PostgresSession(connection))
        except _AWAY as error:
            raise _unavailable(error) from error

    # -- writing ---------------------------------------------------------------------------------

    def _refuse_when_closing(self) -> None:
        if self._closing:
            msg = "the server is shutting down"
            raise Unavailable(msg)

    async def _kept(self, awaitable: Awaitable[T]) -> T:
        """Finish a work even when its caller goes away, so that closing waits for it."""
        task = asyncio.ensure_future(awaitable)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _tried(
        self,
        once: Callable[[Session, Heads], Awaitable[T]],
        entities: Callable[[], Iterable[int]],
        *,
        judged: bool = True,
        works: int = 1,
    ) -> T:
        """Run a transaction, again when an actor had gone stale: judged anew each time.

        The first try takes the heads last. The next ones take turns with others of this process
        that write in the same organisation, so that they do not make each other stale. Only the
        last resort, and a work that nobody judges, locks the heads first: works that lock rows
        first and works that lock heads first can wait for each other, which PostgreSQL sees only
        after a second.
        """
        if not judged:
            return await self._transaction(once, sorted(set(entities())))
        with contextlib.suppress(Stale):
            return await self._transaction(once, works=works)
        async with contextlib.AsyncExitStack() as turns:
            for entity_id in sorted(set(entities())):
                await turns.enter_async_context(self._turns[entity_id])
            for _ in range(STALE_TRIES):
                with contextlib.suppress(Stale):
                    return await self._transaction(once, works=works)
            return await self._transaction(once, sorted(set(entities())), works=works)

    async def _transaction(
        self,
        once: Callable[[Session, Heads], Awaitable[T]],
        heads_first: Sequence[int] = (),
        *,
        works: int = 1,
    ) -> T:
        """Run one transaction; again, a few times, when PostgreSQL broke it off."""
        for broken_off in range(1, TRIES + 1):
            try:
                async with (
                    self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection,
                    connection.transaction(),
                ):
                    session = PostgresSession(connection)
                    heads = Heads(session)
                    for entity_id in heads_first:
                        await heads.take(entity_id)
                    result = await once(session, heads)
                    await heads.flush()
            except _AGAIN as error:
                if broken_off == TRIES:
                    if isinstance(error, asyncpg.UniqueViolationError):
                        raise
                    raise _unavailable(error) from error
                await asyncio.sleep(random.uniform(0, 0.02) * broken_off)  # noqa: S311 - it guards no secret
            except _AWAY as error:
                raise _unavailable(error) from error
            else:
                self.figures.committed(works, heads.written)
                return result
        raise AssertionError

    async def _write_groups(self, run: Many) -> None:
        waiting = self._waiting[run]
        while waiting:
            most = min(len(waiting), GROUP_MOST)
            await self._write_group(run, [waiting.popleft() for _ in range(most)])

    async def _write_group(
        self, run: Many, group: Sequence[tuple[Item, asyncio.Future[Any]]]
    ) -> None:
        items = [item for item, _ in group]

        async def once(session: Session, heads: Heads) -> list[object]:
            return await perform_many(session, heads, items, run)

        def entities() -> list[int]:
            return [item.caller.actor.entity_id for item in items if item.caller.actor]

        try:
            outcomes = await self._tried(once, entities, works=len(group))
        except Exception as error:  # noqa: BLE001 - every caller must be answered
            outcomes = [error] * len(group)
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


async def _leave_as_it_is(_: object) -> None:
    """Save the round trip by which the pool would reset a session whose settings nobody changes."""


async def _schema(connection: Any) -> int:
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    return cast("int", await connection.fetchval("SELECT max(number) FROM schema_version"))


def _unavailable(error: BaseException) -> Unavailable:
    if isinstance(error, ValueError):
        raise error  # asyncpg's InterfaceError for values it cannot send: a fault of ours
    log.error("the database is away: %s: %s", type(error).__name__, error)
    return Unavailable(f"{type(error).__name__}")
