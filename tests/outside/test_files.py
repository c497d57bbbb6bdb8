"""Where files lie: on disk and in a bucket, alike to whoever asks."""

import asyncio
import errno
import io
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.ports import Files
from onrecord.outside import files
from onrecord.outside.files import BucketFiles, DiskFiles, files_of
from onrecord.settings import Settings
from tests.sending import LETTER, fetch, send_file, stored_names
from tests.talk import start
from tests.world import World

ENTITY = "453ac741-4877-471d-97a2-f936372a626a"
ONE = f"{ENTITY}/1679091c-5a88-4faf-afb5-e6087eb1b2dc"
TWO = f"{ENTITY}/8f14e45f-ceea-467f-a0e6-4a1f0d9b6b32.preview"
NOBODY = f"{ENTITY}/c9f0f895-fb98-4b91-9d0c-5b1d6a7e2f43"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Somebody else's S3 on this machine, and the address of a bucket in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ACCESS_KEY_ID", "key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait_for(port, process)
        assert httpx.put(f"{endpoint}/firm", trust_env=False).is_success
        yield f"s3://firm/files?endpoint={endpoint}&region=us-east-1"
    finally:
        patch.undo()
        process.kill()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("it does not answer")


@pytest.fixture(params=["disk", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Each storage in turn, with nothing in it."""
    if request.param == "disk":
        return DiskFiles(tmp_path / "deep" / "files")
    url: str = request.getfixturevalue("s3")
    bucket, _, query = url.partition("?")
    return BucketFiles(f"{bucket}/{tmp_path.name}?{query}")


async def read(storage: Files, name: str, *window: int) -> bytes:
    return b"".join([piece async for piece in storage.pieces(name, *window)])


async def names(storage: Files) -> dict[str, int]:
    return {name: at async for name, at in storage.names()}


def run(act: Any) -> Any:
    return asyncio.run(act)


def test_what_is_put_is_there_whole(storage: Files) -> None:
    async def play() -> None:
        before = times.now()
        source = io.BytesIO(b"0123456789")
        source.seek(7)  # somebody has looked into it
        await storage.put(ONE, source)
        await storage.put(TWO, io.BytesIO(b""))
        assert await storage.size(ONE) == 10
        assert await storage.size(TWO) == 0
        assert await storage.size(NOBODY) is None
        assert await read(storage, ONE) == b"0123456789"
        assert await read(storage, ONE, 3) == b"3456789"
        assert await read(storage, ONE, 3, 5) == b"345"
        assert await read(storage, TWO) == b""
        found = await names(storage)
        assert list(found) == [ONE, TWO]
        assert all(abs(at - before) < 60 * times.SECOND for at in found.values())

    run(play())


def test_a_large_file_comes_and_goes_in_pieces(storage: Files) -> None:
    content = os.urandom(files.PART * 2 + 12_345)

    async def play() -> None:
        await storage.put(ONE, io.BytesIO(content))
        pieces = [piece async for piece in storage.pieces(ONE)]
        assert b"".join(pieces) == content
        assert max(map(len, pieces)) <= files.PIECE
        first, last = 1_000_000, files.RANGE * 2 + 7
        assert await read(storage, ONE, first, last) == content[first : last + 1]

    run(play())


def test_what_is_put_again_takes_the_place_of_what_was_there(storage: Files) -> None:
    async def play() -> None:
        for content in (b"one", b"two two"):
            await storage.put(ONE, io.BytesIO(content))
        assert await read(storage, ONE) == b"two two"
        assert list(await names(storage)) == [ONE]

    run(play())


def test_what_is_deleted_is_gone_and_nothing_is_no_error(storage: Files) -> None:
    async def play() -> None:
        await storage.put(ONE, io.BytesIO(b"one"))
        for _ in range(2):
            await storage.delete(ONE)
        assert await storage.size(ONE) is None
        assert await names(storage) == {}
        for window in ((), (0, 5)):
            with pytest.raises(FileNotFoundError):
                await read(storage, ONE, *window)

    run(play())


@pytest.mark.parametrize(
    "name", ["", "x", "../x", f"{ENTITY}/../x", f"/{ONE}", f"{ONE}/x", f"{ONE}\n"]
)
def test_no_other_name_is_ever_used(storage: Files, name: str) -> None:
    async def play() -> None:
        with pytest.raises(ValueError, match="no name"):
            await storage.put(name, io.BytesIO(b"x"))
        with pytest.raises(ValueError, match="no name"):
            await storage.delete(name)

    run(play())


def test_on_disk_nobody_else_may_look_and_nothing_unwritten_is_seen(tmp_path: Path) -> None:
    storage = DiskFiles(tmp_path / "files")
    run(storage.put(ONE, io.BytesIO(b"one")))
    path = tmp_path / "files" / ONE
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]
    short = path.with_name(path.name + ".part")
    short.write_bytes(b"on")
    assert list(run(names(storage))) == [ONE]
    run(storage.delete(ONE))
    assert not short.exists(), "what a crash left goes with its name"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    storage = DiskFiles(tmp_path)

    def fails(_: int) -> None:
        raise OSError(code, os.strerror(code))

    run(storage.put(TWO, io.BytesIO(b"two")))
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(Refusal) as caught:
        run(storage.put(ONE, io.BytesIO(b"one")))
    assert caught.value.code == "RX503"
    assert ("room" in caught.value.detail) == (code != errno.EIO)
    assert sorted(one.name for one in tmp_path.rglob("*") if one.is_file()) == [
        TWO.rpartition("/")[2]
    ]


def test_a_directory_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no directory", "utf-8")
    storage = DiskFiles(tmp_path / "files")
    for act in (storage.put(ONE, io.BytesIO(b"x")), storage.size(ONE), storage.delete(ONE)):
        with pytest.raises(Refusal, match="RX503"):
            run(act)


def test_a_bucket_that_is_away_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(files, "RETRIES", 0)
    storage = BucketFiles("s3://firm?endpoint=http://127.0.0.1:9&region=us-east-1")
    for act in (storage.put(ONE, io.BytesIO(b"x")), storage.size(ONE), storage.delete(ONE)):
        with pytest.raises(Refusal, match="RX503"):
            run(act)


def test_the_settings_say_where_files_lie(tmp_path: Path) -> None:
    run(files_of(Settings(data_dir=tmp_path)).put(ONE, io.BytesIO(b"x")))
    assert (tmp_path / "files" / ONE).exists()
    elsewhere = tmp_path / "a b"
    run(files_of(Settings(files_url=elsewhere.as_uri())).put(ONE, io.BytesIO(b"x")))
    assert (elsewhere / ONE).exists()
    assert isinstance(files_of(Settings(files_url="s3://firm/x")), BucketFiles)


def test_a_server_starts_without_loading_what_speaks_s3() -> None:
    script = "import sys, onrecord.web.serving; sys.exit('obstore' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_firm_keeps_its_files_in_a_bucket(sqlite_world: World, s3: str) -> None:
    sqlite_world.restart(files_url=s3)
    cast = sqlite_world.cast
    chat_uuid = start(sqlite_world, cast.tomas, cast.priya, text="zero")
    uuid = send_file(sqlite_world, cast.tomas, chat_uuid)
    assert fetch(sqlite_world, cast.priya, uuid).content == LETTER
    assert stored_names(sqlite_world) == {f"{cast.firm}/{uuid}"}
    assert not (sqlite_world.settings.data_dir / "files").exists()
