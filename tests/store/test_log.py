"""How SQLite's log is brought into the file."""

import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from onrecord.store import log
from onrecord.store.log import Log
from tests.talk import say, start
from tests.world import World

FEW = 40


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def _connection(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> apsw.Connection:
    monkeypatch.setattr(log, "PAGES", FEW)
    connection = _connection(tmp_path / "some.db")
    connection.execute("CREATE TABLE line (number INTEGER PRIMARY KEY, words TEXT)")
    return connection


def _write(connection: apsw.Connection, watched: Log, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO line VALUES (?, ?)", (number, "x" * 3000))
    watched.commit()


def test_the_log_does_not_grow_for_ever(writer: apsw.Connection, tmp_path: Path) -> None:
    watched = Log(writer, _connection(tmp_path / "some.db"))
    sizes = []
    for number in range(600):
        _write(writer, watched, number)
        sizes.append((tmp_path / "some.db-wal").stat().st_size)
        time.sleep(0.0005)
    watched.close()
    whole = sum(len("x" * 3000) for _ in range(600))
    assert max(sizes) < whole / 2
    assert (tmp_path / "some.db").stat().st_size > whole / 2
    assert writer.execute("SELECT COUNT(*) FROM line").fetchall() == [(600,)]
    writer.close()


def test_the_log_waits_for_a_reader_and_loses_nothing(
    writer: apsw.Connection, tmp_path: Path
) -> None:
    watched = Log(writer, _connection(tmp_path / "some.db"))
    _write(writer, watched, 0)
    reader = _connection(tmp_path / "some.db")
    reader.execute("BEGIN")
    assert reader.execute("SELECT COUNT(*) FROM line").fetchall() == [(1,)]
    for number in range(1, 300):
        _write(writer, watched, number)
    assert reader.execute("SELECT COUNT(*) FROM line").fetchall() == [(1,)]
    reader.execute("COMMIT")
    grown = (tmp_path / "some.db-wal").stat().st_size

    def begun_anew() -> bool:
        _write(writer, watched, int(time.monotonic_ns()))
        with (tmp_path / "some.db-wal").open("rb") as file:
            return file.read(24)[12:16] != salted

    with (tmp_path / "some.db-wal").open("rb") as file:
        salted = file.read(24)[12:16]  # it counts how often the log was begun
    _eventually(begun_anew)
    assert (tmp_path / "some.db-wal").stat().st_size <= grown + 100 * 4200
    watched.close()
    reader.close()
    other = _connection(tmp_path / "some.db")
    written = other.execute("SELECT COUNT(*) FROM line WHERE number < 300").fetchall()
    assert written == [(300,)]


def test_a_pass_that_fails_is_told_and_everything_stays_in_the_log(
    writer: apsw.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(apsw.Connection):
        def wal_checkpoint(self, *_: object, **__: object) -> tuple[int, int]:
            raise apsw.IOError

    broken = Broken(str(tmp_path / "some.db"))
    watched = Log(writer, broken)
    for number in range(200):
        _write(writer, watched, number)
    watched.close()
    assert "the log stays beside the file" in caplog.text
    assert writer.execute("SELECT COUNT(*) FROM line").fetchall() == [(200,)]


def test_what_was_said_while_the_log_is_brought_in_is_there(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PAGES", 5)
    sqlite_world.restart()
    cast = sqlite_world.cast
    chat_uuid = start(sqlite_world, cast.ingrid, cast.tomas)
    before = sqlite_world.head(cast.firm)
    for number in range(60):
        say(sqlite_world, cast.ingrid, chat_uuid, f"line {number}")
    sqlite_world.restart()
    assert sqlite_world.head(cast.firm) == before + 60
