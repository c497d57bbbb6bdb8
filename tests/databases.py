"""The PostgreSQL server of the tests, and throw-away databases on it."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from onrecord.store.postgres import PostgresStore

DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/test"
END_MILLISECONDS: Final = 5000
"""How long connections that a test left behind may take to end."""
DELETED_MOST: Final = 64 * 1024
"""Size in bytes up to which a table's rows are deleted; a larger one is truncated."""
_TABLES: Final = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"""
_USED: Final = """
    SELECT oid::regclass::text, pg_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0"""
_SEQUENCES: Final = """
    SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences ORDER BY 1"""
_END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()"""
SCHEMA: Final = """
    WITH ours AS (
        SELECT oid, relname, relkind, reloptions FROM pg_class WHERE relnamespace NOT IN
            (SELECT oid FROM pg_namespace
             WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast', 'kept'))),
    said AS (
        SELECT concat_ws(' ', relname, relkind, reloptions) AS text FROM ours
        UNION ALL
        SELECT concat_ws(' ', relname, attnum, attname, format_type(atttypid, atttypmod),
            attnotnull, attidentity, attcollation)
        FROM ours JOIN pg_attribute ON attrelid = ours.oid
        UNION ALL
        SELECT concat_ws(' ', relname, pg_get_constraintdef(c.oid))
        FROM ours JOIN pg_constraint c ON conrelid = ours.oid
        UNION ALL
        SELECT pg_get_indexdef(indexrelid) FROM ours JOIN pg_index ON indrelid = ours.oid
        UNION ALL
        SELECT concat_ws(' ', 'more',
            (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^(pg_|kept$)'),
            (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_trigger),
            (SELECT count(*) FROM pg_extension),
            (SELECT count(*) FROM pg_type WHERE typnamespace::regnamespace::text <> 'kept')))
    SELECT string_agg(text, '; ' ORDER BY text) FROM said"""
"""Everything of the schema that a test could have changed, as one text."""
_numbers = itertools.count(1)


def server_url() -> str:
    """Give the address under which the tests look for PostgreSQL."""
    return os.environ.get("ONRECORD_TEST_POSTGRES") or DEFAULT_URL


def named(url: str, database: str) -> str:
    """Give the address of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _with_server(act: Callable[[Any], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        connection = await asyncpg.connect(server_url(), timeout=5)
        try:
            return await act(connection)
        finally:
            await connection.close()

    return asyncio.run(main())


def why_missing() -> str | None:
    """Say why PostgreSQL cannot be used; None when it answers."""
    try:
        _with_server(lambda connection: connection.execute("SELECT 1"))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return f"no PostgreSQL at {server_url()}: {type(error).__name__}"
    return None


class Databases:
    """Makes databases with names of their own, and drops each one it made.

    Making and dropping one takes PostgreSQL some 0.3 s, nearly all of it waiting for the disk. So
    most tests are lent one, which is put back into the state of its template afterwards (7 ms).
    Its commits do not wait for the disk either: it is for tests in which PostgreSQL goes on
    running. What is killed, cut off or examined needs one of its own, from `make`.
    """

    def __init__(self) -> None:
        self._made: list[str] = []
        self._runner = asyncio.Runner()
        self._models: dict[str, _Model] = {}
        self._lent: dict[str, _Lent] = {}
        self._idle: dict[str, list[_Lent]] = {}

    def make(self, template: str | None = None) -> str:
        """Make a database, as a copy of another one when its address is given; its address."""
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        name = f"onrecord_test_{worker}_{os.getpid()}_{next(_numbers)}"
        like = "template0" if template is None else _name(template)
        sql = f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY FILE_COPY"
        _with_server(lambda connection: connection.execute(sql))
        self._made.append(name)
        return named(server_url(), name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        name = _name(url)
        sql = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        _with_server(lambda connection: connection.execute(sql))
        if name in self._made:
            self._made.remove(name)

    def lend(self, template: str) -> str:
        """Give the address of a database that holds what the template holds, and nothing else.

        The template must not change any more.
        """
        idle = self._idle.setdefault(template, [])
        one = idle.pop() if idle else self._runner.run(self._one_more(template))
        self._lent[one.url] = one
        return one.url

    def take_back(self, url: str) -> None:
        """Put a lent database back into its template's state, or drop it when anything is odd."""
        one = self._lent.pop(url)
        try:
            restored = self._runner.run(self._models[one.template].restore(one.connection))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            restored = False
        if restored:
            self._idle[one.template].append(one)
            return
        one.connection.terminate()
        self.drop(url)

    async def _one_more(self, template: str) -> "_Lent":
        if template not in self._models:
            connection = await asyncpg.connect(template)
            self._models[template] = await _Model.of(connection)
            await connection.close()
        url = await asyncio.to_thread(self.make, template)
        connection = await asyncpg.connect(url)
        # It outlives every process of ours, though not the server: no test stops that one.
        await connection.execute(f"ALTER DATABASE {_name(url)} SET synchronous_commit = off")
        await self._models[template].keep(connection)
        return _Lent(url, template, connection)

    def drop_all(self) -> None:
        """Drop every database that is still there."""
        for one in (*self._lent.values(), *itertools.chain(*self._idle.values())):
            one.connection.terminate()
        self._runner.close()
        for name in list(self._made):
            with suppress(OSError, asyncpg.PostgresError):
                self.drop(named(server_url(), name))


@dataclass(frozen=True)
class _Lent:
    """A database that tests use one after the other, and a connection to clean it up by."""

    url: str
    template: str
    connection: Any


@dataclass(frozen=True)
class _Model:
    """What a template holds: the state to which copies of it are put back."""

    schema: str
    filled: tuple[str, ...]
    """Tables with rows; each copy keeps these rows once more, in the schema `kept`."""
    sequences: str
    """The statements that set them."""

    @classmethod
    async def of(cls, connection: Any) -> "_Model":
        """Read the database."""
        tables = [table for (table,) in await connection.fetch(_TABLES)]
        filled = [
            table
            for table in tables
            if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table})")  # noqa: S608 - names of ours
        ]
        sequences = [
            f"SELECT setval('{name}', {last or 1}, {str(last is not None).lower()})"
            for name, last in await connection.fetch(_SEQUENCES)
        ]
        return cls(await connection.fetchval(SCHEMA), tuple(filled), "; ".join(sequences))

    async def keep(self, connection: Any) -> None:
        """Put the rows aside, in a fresh copy of the template."""
        copies = (f"CREATE TABLE kept.{table} AS TABLE {table}" for table in self.filled)
        await connection.execute("; ".join(("CREATE SCHEMA kept", *copies)))

    async def restore(self, connection: Any) -> bool:
        """Make the database hold this again; False when its schema is another one by now.

        Whoever is still connected is thrown out first, and awaited, as DROP DATABASE would.
        """
        gone = await connection.fetch(_END_OTHERS, END_MILLISECONDS)
        if not all(ended for (ended,) in gone):
            return False
        if await connection.fetchval(SCHEMA) != self.schema:
            return False
        used = await connection.fetch(_USED)
        emptied = (_emptied(*one) for one in used)
        filled = (f"INSERT INTO {table} SELECT * FROM kept.{table}" for table in self.filled)  # noqa: S608 - names of ours
        # Several statements in one are one transaction.
        await connection.execute("; ".join((*emptied, *filled, self.sequences)))
        return True


def _emptied(table: str, size: int) -> str:
    # Deleting is quicker while there is little, but leaves the file as long as it has become.
    return f"TRUNCATE {table}" if size > DELETED_MOST else f"DELETE FROM {table}"  # noqa: S608 - names of ours


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def migrated(databases: Databases) -> str:
    """Make a database with the present schema and nothing else in it."""
    url = databases.make()

    async def main() -> None:
        store = PostgresStore(url)
        await store.open()
        try:
            await store.migrate()
        finally:
            await store.close()

    asyncio.run(main())
    return url


def need_server() -> None:
    """Skip the test, saying why, when there is no server; fail where CI promises one."""
    reason = why_missing()
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
