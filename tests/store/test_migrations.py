"""Migrations that change what is stored already."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from onrecord.model.access import INSTALLATION_ID, INSTALLATION_UUID, Origin, service
from onrecord.store import migrations
from onrecord.store.db import Caller, Session
from onrecord.store.postgres import PostgresStore
from onrecord.store.sqlite import SqliteStore
from onrecord.store.work import Work
from tests.databases import Databases

Dialect = Literal["sqlite", "postgresql"]
SALT = bytes(32)
SERVICE = service(INSTALLATION_ID, INSTALLATION_UUID)


def _before(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the program know no migration from `number` on."""
    everything = migrations.texts

    def texts(dialect: Dialect) -> Sequence[tuple[int, Sequence[str]]]:
        return [one for one in everything(dialect) if one[0] < number]

    monkeypatch.setattr(migrations, "texts", texts)


@pytest.fixture
def store(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> SqliteStore | PostgresStore:
    """Give a store on a database with nothing in it, not even tables."""
    if engine == "sqlite":
        return SqliteStore(tmp_path / "empty.db")
    databases: Databases = request.getfixturevalue("databases")
    return PostgresStore(databases.make())


def test_parts_are_brought_to_their_chats_and_messages_to_their_entries(
    store: SqliteStore | PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def old(work: Work) -> None:
        for position, chat_id in ((1, None), (2, 7), (3, 7), (4, 8), (5, 7)):
            await work.db.run(
                "INSERT INTO entry (entity_id, position, chat_id, subject_id, leaf)"
                " VALUES (1, $1, $2, NULL, $3)",
                position,
                chat_id,
                b"{}",
            )
        for chat_id, seq, position in ((7, 0, 3), (8, 0, 4), (7, 1, 5)):
            await work.db.run(
                "INSERT INTO message (chat_id, seq, position, kind, at, via)"
                " VALUES ($1, $2, $3, 'text', 0, 'session')",
                chat_id,
                seq,
                position,
            )
        for position, name in ((1, "name"), (2, "title"), (3, "text"), (3, "address"), (5, "text")):
            await work.db.run(
                "INSERT INTO part (entity_id, position, name, salt, data)"
                " VALUES (1, $1, $2, $3, $4)",
                position,
                name,
                SALT,
                f'"{position} {name}"'.encode(),
            )

    async def new(session: Session) -> tuple[list[Any], list[Any]]:
        parts = await session.all(
            "SELECT chat_id, position, name, data FROM part ORDER BY chat_id, position, name"
        )
        entries = await session.all("SELECT position, seq FROM entry ORDER BY position")
        return [(*row[:3], bytes(row[3]).decode()) for row in parts], [
            tuple(row) for row in entries
        ]

    async def migrated() -> tuple[list[Any], list[Any]]:
        await store.open()
        try:
            with monkeypatch.context() as patch:
                _before(patch, 3)
                await store.migrate()
            await store.write(Caller(SERVICE, Origin("")), old)
            assert await store.migrate() == migrations.newest()
            return await store.ask(new)
        finally:
            await store.close()

    parts, entries = asyncio.run(migrated())
    assert parts == [
        (0, 1, "name", '"1 name"'),
        (0, 2, "title", '"2 title"'),
        (0, 3, "address", '"3 address"'),
        (7, 3, "text", '"3 text"'),
        (7, 5, "text", '"5 text"'),
    ]
    assert entries == [(1, None), (2, None), (3, 0), (4, 0), (5, 1)]
