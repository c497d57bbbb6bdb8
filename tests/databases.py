"""The PostgreSQL server of the tests, and throw-away databases on it."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from onrecord.store.postgres import PostgresStore

DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/test"
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
    """Makes databases with names of their own, and drops each one it made."""

    def __init__(self) -> None:
        self._made: list[str] = []

    def make(self, template: str | None = None) -> str:
        """Make a database, as a copy of another one when its address is given; its address."""
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        name = f"onrecord_test_{worker}_{os.getpid()}_{next(_numbers)}"
        like = "template0" if template is None else urlsplit(template).path.lstrip("/")
        sql = f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY FILE_COPY"
        _with_server(lambda connection: connection.execute(sql))
        self._made.append(name)
        return named(server_url(), name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        name = urlsplit(url).path.lstrip("/")
        sql = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        _with_server(lambda connection: connection.execute(sql))
        if name in self._made:
            self._made.remove(name)

    def drop_all(self) -> None:
        """Drop every database that is still there."""
        for name in list(self._made):
            with suppress(OSError, asyncpg.PostgresError):
                self.drop(named(server_url(), name))


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
