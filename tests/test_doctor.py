"""The doctor: what it finds well, what it warns of, and what it calls a fault."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onrecord import doctor
from onrecord.doctor import Finding
from onrecord.model import times
from onrecord.settings import Settings
from onrecord.store import migrations
from tests.conftest import MakeWorld
from tests.sending import send_file
from tests.talk import start
from tests.test_cli import Line, beside, line
from tests.world import World

__all__ = ["beside", "line"]
GOOD = {
    "public_url": "https://chat.example.com",
    "trusted_proxies": (),
    "mail_url": "smtp://mail.example.com",
    "mail_from": "chat@example.com",
}


@pytest.fixture(scope="session")
def databases_are_lent() -> bool:
    """No: the doctor tells how a database commits, and lent ones do not wait for the disk."""
    return False


def examined(world: World, **changes: Any) -> dict[str, Finding]:
    """Let the doctor look at a world that runs, and give the findings by name."""
    found = world.run(doctor.examine(replace(world.settings, **changes)))
    return {one.name: one for one in found}


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    return {name: one.verdict for name, one in found.items() if one.verdict != "ok"}


def put_in_line_just_now(world: World) -> None:
    """The firm is a copy of one that may have been furnished long ago: its jobs are not late."""
    world.change(world.cast.firm, "UPDATE job SET run_at = $1", times.now())


def test_a_running_installation_is_well(world: World) -> None:
    put_in_line_just_now(world)
    world.run(world.app.make_checkpoints())
    os.chmod(world.settings.data_dir, 0o700)  # noqa: PTH101 - as a first start makes it
    found = examined(world)
    assert verdicts(found) == dict.fromkeys(
        ("public_url", "mail", "rate_limit", "malware"), "warning"
    )
    assert found["records"].detail == "3 end as their trees and checkpoints say"
    assert found["schema"].detail == f"version {migrations.newest()}"
    assert "serve" in found["held by"].detail
    engine = "PostgreSQL" if world.settings.database_url else "SQLite"
    assert found["database"].detail.startswith(engine)
    assert doctor.told(list(found.values()))["ok"] is True


def test_the_doctor_changes_nothing(world: World) -> None:
    before = world.head(world.cast.firm), world.rows("SELECT key, value FROM meta ORDER BY key")
    files = sorted(path.name for path in world.settings.data_dir.iterdir())
    examined(world)
    after = world.head(world.cast.firm), world.rows("SELECT key, value FROM meta ORDER BY key")
    assert after == before
    assert sorted(path.name for path in world.settings.data_dir.iterdir()) == files


def test_a_stopped_installation_is_held_by_nobody(world: World) -> None:
    world.stop()
    found = examined(world)
    assert found["held by"].detail.startswith("nobody")
    assert found["records"].verdict == "ok"
    if world.settings.database_url:
        assert found["database held"].detail.startswith("by nobody")
    world.start()


def test_where_nothing_was_started_yet_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "nothing"
    runner_settings = Settings(data_dir=directory)
    found = {one.name: one for one in run(runner_settings)}
    assert found["installation"].verdict == "warning"
    assert "onrecord serve" in found["installation"].advice
    assert not directory.exists()


def run(settings: Settings) -> list[Finding]:
    return asyncio.run(doctor.examine(settings))


def test_an_empty_database_is_no_fault(make_world: MakeWorld, database_url: str) -> None:
    world = make_world(empty=True)
    found = examined(world, database_url=database_url or world.settings.database_url)
    assert "fault" not in verdicts(found).values()


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name", "verdict"),
    [
        ({"public_url": "https://chat.example.com"}, "public_url", "ok"),
        ({"public_url": "http://localhost:8080"}, "public_url", "ok"),
        ({"public_url": "http://chat.example.com"}, "public_url", "fault"),
        ({"public_url": "https://chat.example.com"}, "trusted_proxies", "warning"),
        ({"trusted_proxies": "10.0.0.1"}, "trusted_proxies", "ok"),
        ({"trusted_proxies": "0.0.0.0/0"}, "trusted_proxies", "fault"),
        ({"trusted_proxies": "::/0"}, "trusted_proxies", "fault"),
        ({"rate_limit": "off"}, "rate_limit", "warning"),
        ({"dev_outbox": True}, "mail", "warning"),
        ({"mail_url": "smtps://u:secret@mail.example.com", "mail_from": "a@b.c"}, "mail", "ok"),
    ],
    ids=str,
)
def test_settings_are_looked_at(changes: dict[str, Any], name: str, verdict: str) -> None:
    from onrecord.settings import load  # noqa: PLC0415 - as the command line reads them

    found = {one.name: one for one in doctor.about_settings(load(changes, {}))}
    assert found[name].verdict == verdict
    assert "secret" not in found[name].detail
    assert bool(found[name].advice) == (verdict != "ok")


# -- uploads --------------------------------------------------------------------------------------


def test_the_doctor_asks_the_scanner_how_it_is(tmp_path: Path) -> None:
    async def told(said: bytes) -> Finding:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readuntil(b"\0") == b"zVERSION\0"
            writer.write(said)
            writer.close()

        async with await asyncio.start_unix_server(talk, tmp_path / "ctl"):
            return await doctor.about_scanner(Settings(clamav=f"unix:{tmp_path}/ctl"))

    well = asyncio.run(told(b"ClamAV 1.4.6/27800/Mon Nov 16 09:00:00 2026\0"))
    assert well.verdict == "ok"
    assert "27800" in well.detail
    assert asyncio.run(told(b"220 mail.example.com\0")).verdict == "fault"
    away = asyncio.run(doctor.about_scanner(Settings(clamav=f"unix:{tmp_path}/nobody")))
    assert away.verdict == "fault"
    assert "no upload is taken" in away.detail


def test_the_doctor_says_what_keeps_uploads_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(doctor.about_children()).verdict == "ok"
    # What every child may read is what a machine without guards lets it reach.
    monkeypatch.setattr(doctor, "NOT_FOR_CHILDREN", os.devnull)
    found = asyncio.run(doctor.about_children())
    assert found.verdict == "warning"
    assert "reach files of this machine" in found.detail
    monkeypatch.setattr(doctor, "CHILD_NEEDS", ("no_such_library",))
    found = asyncio.run(doctor.about_children())
    assert found.verdict == "fault"
    assert "no_such_library" in found.detail


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["signing.key", "secrets.key"])
def test_a_key_that_others_can_read_or_that_is_away_is_a_fault(
    sqlite_world: World, name: str
) -> None:
    path = sqlite_world.settings.data_dir / name
    path.chmod(0o644)
    assert examined(sqlite_world)[name].verdict == "fault"
    path.unlink()
    found = examined(sqlite_world)
    assert found[name].verdict == "fault"
    assert "backup" in found[name].advice


def test_another_signing_key_than_the_databases_is_a_fault(sqlite_world: World) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - one test's
        Ed25519PrivateKey,
    )
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - one test's
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    sqlite_world.settings.signing_key.write_bytes(pem)
    assert examined(sqlite_world)["signing key"].verdict == "fault"


def test_an_open_directory_and_little_room_are_told(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_world.settings.data_dir.chmod(0o755)
    assert examined(sqlite_world)["data directory"].advice.startswith("chmod 700")
    for free, verdict in ((10 * 1024**2, "fault"), (500 * 1024**2, "warning"), (2**40, "ok")):
        usage = (2**40, 0, free)
        monkeypatch.setattr(
            "onrecord.doctor.shutil.disk_usage",
            lambda _, usage=usage: type("Usage", (), {"free": usage[2]}),
        )
        assert examined(sqlite_world)["disk"].verdict == verdict


# -- the record -----------------------------------------------------------------------------------


def record_of(world: World) -> Finding:
    return examined(world)[f"record {world.cast.firm}"]


def test_a_head_that_is_not_the_trees_is_a_fault(world: World) -> None:
    number, hashes = world.rows(
        "SELECT h.entity_id, h.hashes FROM head h JOIN entity e ON e.id = h.entity_id"
        " WHERE e.uuid = $1",
        world.cast.firm,
    )[0]
    spoil = "UPDATE head SET hashes = $2 WHERE entity_id = $1"
    world.change(world.cast.other, spoil, number, b"\x00" * len(hashes))
    finding = record_of(world)
    assert finding.verdict == "fault"
    assert "not that of the tree" in finding.detail


def test_a_record_that_lost_its_last_entry_is_a_fault(world: World) -> None:
    world.run(world.app.make_checkpoints())
    number = world.rows("SELECT id FROM entity WHERE uuid = $1", world.cast.firm)[0][0]
    lose = (
        "DELETE FROM entry WHERE entity_id = $1"
        " AND position = (SELECT position FROM head WHERE entity_id = $1)"
    )
    world.change(world.cast.other, lose, number)
    finding = record_of(world)
    assert finding.verdict == "fault"
    assert "the last one is" in finding.detail


def test_a_checkpoint_that_states_another_root_is_a_fault(world: World) -> None:
    world.run(world.app.make_checkpoints())
    world.change(
        world.cast.other,
        "UPDATE checkpoint SET note = (SELECT c.note FROM checkpoint c JOIN entity e ON"
        " e.id = c.entity_id WHERE e.uuid = $1 LIMIT 1)"
        " WHERE entity_id = (SELECT id FROM entity WHERE uuid = $2)",
        world.cast.other,
        world.cast.firm,
    )
    assert "states another root" in record_of(world).detail


def test_old_entries_without_a_checkpoint_and_a_clock_gone_back_are_told(world: World) -> None:
    set_at = "UPDATE head SET at = $2 WHERE entity_id = (SELECT id FROM entity WHERE uuid = $1)"
    world.run(world.app.make_checkpoints())
    world.change(world.cast.firm, "SELECT 1 WHERE $1 = 0", 1)
    for at, verdict, word in (
        (times.now() - 3600 * times.SECOND, "warning", "no checkpoint"),
        (times.now() + 3600 * times.SECOND, "fault", "in the future"),
    ):
        world.change(world.cast.other, set_at, world.cast.firm, at)
        finding = record_of(world)
        assert finding.verdict == verdict
        assert word in finding.detail


def test_jobs_that_nobody_does_are_told(world: World) -> None:
    world.change(
        world.cast.firm,
        "INSERT INTO job (uuid, entity_id, kind, state, payload, run_at, give_up_at, created_at)"
        " VALUES ('u', 1, 'mail', 'queued', '{}', 1, 2, 1) RETURNING $1",
        "x",
    )
    assert examined(world)["jobs"].verdict == "warning"


def test_a_database_that_is_away_or_broken_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "onrecord.db").write_bytes(b"no database at all " * 1000)
    found = {one.name: one for one in run(Settings(data_dir=tmp_path))}
    assert found["database"].verdict == "fault"
    url = "postgresql://nobody:hidden@127.0.0.1:1/nothing"
    found = {one.name: one for one in run(Settings(data_dir=tmp_path, database_url=url))}
    assert found["database"].verdict == "fault"
    assert "hidden" not in str(found)


def test_a_look_that_fails_is_a_finding_and_the_others_go_on(world: World) -> None:
    world.change(world.cast.firm, "UPDATE meta SET value = 'no key' WHERE key = $1", "none")
    world.change(
        world.cast.other,
        "UPDATE checkpoint SET note = $1",
        "no note",
    )
    world.run(world.app.make_checkpoints())
    world.change(world.cast.other, "UPDATE checkpoint SET note = $1", "no note")
    put_in_line_just_now(world)
    found = examined(world)
    assert found["records"].verdict == "fault"
    assert found["jobs"].verdict == "ok"


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _usual_mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_the_command_works_beside_a_running_server(world: World, beside: Line) -> None:
    facts = beside.facts("doctor")
    assert facts["ok"] is True
    assert {one["verdict"] for one in facts["findings"]} <= {"ok", "warning"}
    told = beside.lines("doctor")
    assert "→ " in told
    assert world.settings.data_dir.name in told


def test_the_command_exits_with_1_when_there_is_a_fault(sqlite_world: World, line: Line) -> None:
    sqlite_world.settings.signing_key.chmod(0o644)
    words = ("doctor", "--data-dir", str(sqlite_world.settings.data_dir), "--json")
    out, _ = line.run(*words, status=1)
    assert json.loads(out)["ok"] is False
    out, _ = line.run(*words[:-1], status=1)
    assert out.splitlines()[-2].startswith("fault")


def test_a_file_that_storage_lost_is_a_fault(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.tomas, cast.priya, text="zero")
    lost, _ = (send_file(world, cast.tomas, chat_uuid) for _ in range(2))
    assert examined(world)["files"].detail == "the newest 2 that were sent are there"
    (world.settings.data_dir / "files" / cast.firm / lost).unlink()
    found = examined(world)["files"]
    assert found.verdict == "fault"
    assert found.detail.endswith("2 that were sent 1 are missing or not whole")
    assert lost in found.advice
    elsewhere = (world.settings.data_dir / "onrecord.toml").as_uri()
    assert "does not answer" in examined(world, files_url=elsewhere)["files"].detail
