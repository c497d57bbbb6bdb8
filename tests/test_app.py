"""Starting and stopping: the schema, the key, the minute's chores."""

import asyncio
import logging
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from onrecord import app as composition
from onrecord.app import App
from onrecord.model.errors import Refusal
from onrecord.model.ports import Held
from onrecord.outside.datadir import DataDirectory
from onrecord.settings import Settings
from onrecord.store import migrations
from onrecord.store.db import NewerSchema, Unavailable
from tests.conftest import MakeWorld
from tests.world import CHAT, ENTITY, World, accepted, refused

WHOAMI = f"{ENTITY}/whoami"


def set_schema(world: World, number: int) -> None:
    """Pretend that another version wrote the database. The world must be stopped."""
    if not world.settings.database_url:
        with sqlite3.connect(world.settings.data_dir / "onrecord.db") as connection:
            connection.execute(f"PRAGMA user_version = {number}")
        connection.close()
        return

    async def main() -> None:
        connection = await asyncpg.connect(world.settings.database_url)
        await connection.execute("UPDATE schema_version SET number = $1", number)
        await connection.close()

    asyncio.run(main())


def test_everything_is_there_after_a_restart(world: World) -> None:
    before = world.entries(world.cast.firm)
    world.restart()
    assert world.entries(world.cast.firm) == before
    accepted(world.get(WHOAMI, key=world.cast.system))


def test_a_database_of_a_newer_version_is_refused_and_left_alone(world: World) -> None:
    world.stop()
    set_schema(world, 99)
    with pytest.raises(NewerSchema):
        world.start()
    with pytest.raises(NewerSchema):
        asyncio.run(composition.migrate(world.settings))
    set_schema(world, migrations.newest())
    world.start()
    accepted(world.get(WHOAMI, key=world.cast.system))


def test_migrating_is_refused_while_a_server_holds_the_directory(world: World) -> None:
    with pytest.raises(Held, match="serve"):
        asyncio.run(composition.migrate(world.settings))
    world.stop()
    assert asyncio.run(composition.migrate(world.settings)) == migrations.newest()
    assert asyncio.run(composition.migrate(world.settings)) == migrations.newest()


def test_a_server_is_refused_while_a_migration_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "MIGRATION_SECONDS", 0.2)
    world.stop()
    with (
        DataDirectory(world.settings.data_dir).hold("migrate", alone=True),
        pytest.raises(Held, match="migrate"),
    ):
        world.start()
    world.start()


def test_a_server_waits_a_while_for_a_migration_to_end(world: World) -> None:
    world.stop()
    held = DataDirectory(world.settings.data_dir).hold("migrate", alone=True)

    async def main() -> App:
        starting = asyncio.create_task(composition.start(world.settings))
        await asyncio.sleep(0.3)
        assert not starting.done()
        held.let_go()
        return await starting

    started = world.run(main())
    world.run(started.stop())
    world.start()


def test_a_database_written_under_another_key_is_refused(world: World) -> None:
    key = world.settings.signing_key
    original = key.read_bytes()
    world.stop()
    key.unlink()
    with pytest.raises(FileNotFoundError):  # it is not made anew behind the operator's back
        world.start()
    other = Settings(data_dir=world.settings.data_dir.parent / "other", rate_limit=None)
    World(other).close()
    key.write_bytes(other.signing_key.read_bytes())
    key.chmod(0o600)
    with pytest.raises(Refusal) as caught:
        world.start()
    assert caught.value.code == "RB019"
    key.write_bytes(original)
    key.chmod(0o644)
    with pytest.raises(PermissionError):
        world.start()
    key.chmod(0o600)
    world.start()


def test_a_failed_start_lets_go_of_everything(world: World) -> None:
    world.stop()
    world.settings.signing_key.chmod(0o644)
    with pytest.raises(PermissionError):
        world.start()
    assert asyncio.run(composition.migrate(world.settings)) == migrations.newest()
    world.settings.signing_key.chmod(0o600)
    world.start()


def test_the_host_of_the_origins_never_changes(make_world: MakeWorld) -> None:
    world = make_world(empty=True, public_url="https://first.example.com")
    keys = world.get("/.well-known/onrecord-keys").text
    assert keys.startswith("first.example.com+")
    world.restart(public_url="https://second.example.com")
    assert world.get("/.well-known/onrecord-keys").text == keys
    assert world.run(composition.origin_host(world.app)) == "first.example.com"


def test_a_database_that_is_away_is_told_at_start(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "a", database_url="postgresql://nobody@127.0.0.1:1/nothing"
    )

    async def start() -> None:
        await composition.start(settings)

    with pytest.raises(Unavailable):
        asyncio.run(start())


def test_a_file_that_is_no_database_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "onrecord.db").write_bytes(b"no database at all" * 100)

    async def start() -> None:
        await composition.start(Settings(data_dir=tmp_path))

    with pytest.raises(Unavailable):
        asyncio.run(start())


def test_the_minutes_chores_are_done_and_a_failure_does_not_end_them(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = sqlite_world
    monkeypatch.setattr(composition, "CHECKPOINT_SECONDS", 0.02)
    before = len(world.rows("SELECT 1 FROM checkpoint"))
    key = world.cast.system
    headers = {**key.headers, "X-SYS-API-KEY-SECRET": "wrong"}
    refused(world.get(WHOAMI, headers=headers), "RU001", 401)
    failed: list[bool] = []
    whole = composition.App.note_counts

    async def note_counts(app: composition.App) -> None:
        if not failed:
            failed.append(True)
            raise ZeroDivisionError
        await whole(app)

    monkeypatch.setattr(composition.App, "note_counts", note_counts)

    async def main() -> None:
        world.app.start_jobs()
        await asyncio.sleep(0.3)

    world.run(main())
    assert "chores failed" in caplog.text
    assert world.entries(world.cast.firm)[-1]["type"] == "key.used_denied"
    assert len(world.rows("SELECT 1 FROM checkpoint")) > before


def test_counts_of_an_organisation_that_is_gone_are_no_trouble(sqlite_world: World) -> None:
    before = sqlite_world.entries(sqlite_world.cast.firm)
    sqlite_world.app.denied[999, "key", "RU001"] = 1
    sqlite_world.run(sqlite_world.app.note_counts())
    assert sqlite_world.entries(sqlite_world.cast.firm) == before


def test_an_orderly_stop_survives_a_database_that_is_away(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable

    monkeypatch.setattr(type(sqlite_world.app.store), "ask", away)
    sqlite_world.stop()


def test_running_gives_an_app_for_a_block(tmp_path: Path) -> None:
    async def main() -> bool:
        async with composition.running(Settings(data_dir=tmp_path)) as app:
            return await app.ready()

    assert asyncio.run(main())


def test_requests_after_the_stop_are_told_to_come_back(world: World) -> None:
    world.run(world.app.store.close())
    for path in ("/readyz", WHOAMI):
        response = world.get(path, key=world.cast.system)
        assert response.status_code in {500, 503}
    body = {"entity_user_xref_uuids": [world.cast.priya.uuid]}
    response = world.post(f"{CHAT}/chats/create", key=world.cast.user, json=body)
    assert response.status_code in {500, 503}


# -- what the logs hold ---------------------------------------------------------------------------


def test_logs_hold_no_secret_and_no_text(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast = world.cast
    caplog.set_level(logging.DEBUG)
    words = ["a whispered text", "Hush Hush", "nell@secret.example"]
    body: dict[str, Any] = {"entity_user_xref_uuids": [cast.priya.uuid], "title": words[1]}
    chat = accepted(world.post(f"{CHAT}/chats/create", key=cast.user, json=body))["chat_uuid"]
    send = f"{CHAT}/chats/messages/send-text"
    accepted(world.post(send, key=cast.user, json={"chat_uuid": chat, "text": words[0]}))
    refused(
        world.post(send, key=cast.user, json={"chat_uuid": chat, "text": words[0] + "\0"}), "RB003"
    )
    member = {"enum_profile_id": 9, "first_name": words[1], "primary_email": words[2]}
    create = f"{ENTITY}/entity-memberships/create"
    refused(world.post(create, key=cast.system, json=member), "RB003")
    wrong = replace(cast.system, secret="a wrong secret")
    refused(world.get(WHOAMI, key=wrong), "RU001")

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(world.app.store), "write_many", broken)
    monkeypatch.setattr(type(world.app.store), "write", broken)
    refused(world.post(send, key=cast.user, json={"chat_uuid": chat, "text": words[0]}), "RX500")
    refused(world.post(create, key=cast.system, json={**member, "enum_profile_id": 3}), "RX500")
    told = "\n".join(
        f"{record.getMessage()}\n{record.__dict__}\n{caplog.handler.format(record)}"
        for record in caplog.records
    )
    assert "unexpected failure" in told
    secrets = [cast.system.secret, cast.user.secret, cast.master.secret, "a wrong secret"]
    for word in (*words, *secrets):
        assert word not in told
