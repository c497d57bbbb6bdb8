"""A full disk, a database that is away, locked or slow, clients that vanish, an orderly stop."""

import asyncio
import itertools
import json
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import apsw
import asyncpg
import pytest

from onrecord.settings import Settings
from tests.cast import ApiKey, Cast
from tests.conftest import Furnished, MakeWorld
from tests.faults import records
from tests.faults.long_calls import RECIPIENTS, LongCall, hire
from tests.faults.processes import EVENTS, GONE, LONG, SEND, Client, Reply, ServerProcess
from tests.faults.proxies import Proxy
from tests.faults.test_kill import make_chats
from tests.faults.told import Told
from tests.world import World

CLIENTS = 8
AWAY_SECONDS = 30 if LONG else 2
ROOM = 2_500_000
"""What a disk has left for a long call that needs more."""


@dataclass(slots=True)
class Crowd:
    """Clients that send texts all the time and note every answer."""

    server: ServerProcess
    cast: Cast
    chats: list[str]
    size: int = 50
    said: list[tuple[str, int, str]] = field(default_factory=list)
    replies: list[tuple[float, Reply]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __enter__(self) -> Self:
        for _ in range(CLIENTS):
            thread = threading.Thread(target=self._send)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with Client(self.server) as client:
            while not self.stopped.is_set():
                number = next(self._numbers)
                text = f"{number} ".ljust(self.size, "x")
                began = time.monotonic()
                try:
                    reply = send(client, self.cast, self.chats[number % len(self.chats)], text)
                except GONE:
                    self.unanswered.append(text)
                    return
                self.replies.append((began, reply))
                if reply.status == 200:
                    self.said.append((reply.body["chat_uuid"], reply.body["seq"], text))
                else:
                    time.sleep(0.01)

    def since(self, moment: float) -> list[Reply]:
        """Give the answers to requests that began after a moment."""
        return [reply for began, reply in list(self.replies) if began > moment]

    def until(self, right: Callable[[Reply], bool], since: float = 0, count: int = 1) -> None:
        """Wait until so many answers to requests after a moment are right."""
        deadline = time.monotonic() + 40
        while sum(right(reply) for reply in self.since(since)) < count:
            assert time.monotonic() < deadline, self.server.logged()[-3000:]
            time.sleep(0.01)

    def check_replies(self) -> None:
        """Every answer is a success, or says in full dress when to try again."""
        for _, reply in self.replies:
            if reply.status != 200:
                assert (reply.status, reply.code) == (503, "RX503"), reply
                assert int(reply.headers["retry-after"]) > 0

    def check_record(self, world: World) -> Told:
        """Nothing that was acknowledged is lost, and the record is whole."""
        world.start()
        told = records.check_everything(world)[self.cast.firm]
        for chat_uuid, seq, text in self.said:
            assert told.messages[chat_uuid][seq][-1] == text
        return told


def send(client: Client, cast: Cast, chat_uuid: str, text: str) -> Reply:
    return client.request(
        "POST",
        SEND,
        cast.master,
        on_behalf_of=cast.miriam,
        json_body={"chat_uuid": chat_uuid, "text": text},
    )


def is_fine(reply: Reply) -> bool:
    return reply.status == 200


def is_refused(reply: Reply) -> bool:
    return reply.status == 503


# -- a full disk ----------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of a few megabytes; skips where that is not allowed."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    done = subprocess.run(mounting, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("a small disk cannot be mounted here; the limit of a file's size is tested")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk up to so many bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):  # others write as well
        while shutil.disk_usage(disk).free > leave:
            file.write(b"x" * 65_536)
    return filler


def world_in(furnished: Furnished, folder: Path) -> World:
    """Give the furnished firm on SQLite in this very folder."""
    model, cast = furnished.of("sqlite", str)
    shutil.copytree(model.data_dir, folder, dirs_exist_ok=True)
    return World(replace(model, data_dir=folder), cast)


def test_a_full_disk_is_told_as_503_loses_nothing_and_heals_by_itself(
    furnished: Furnished, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        world = world_in(furnished, disk)
        try:
            chats = make_chats(world)
            world.stop()
            with ServerProcess(world.settings) as server:
                crowd = Crowd(server, world.cast, chats, size=4000)
                with crowd:
                    crowd.until(is_fine, count=20)
                    filler = fill(disk, leave=300_000)
                    crowd.until(is_refused, count=50)
                    check_reading_goes_on(server, world.cast, crowd)
                    filler.unlink()
                    crowd.until(is_fine, since=time.monotonic(), count=50)
                assert server.stop() == 0
            crowd.check_replies()
            crowd.check_record(world)
        finally:
            world.close()


def test_a_file_that_may_not_grow_is_told_as_503_loses_nothing_and_heals_by_itself(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    chats = make_chats(world)
    world.stop()
    with ServerProcess(world.settings) as server:
        crowd = Crowd(server, world.cast, chats, size=4000)
        with crowd:
            crowd.until(is_fine, count=20)
            files = [*world.settings.data_dir.iterdir(), server.log]
            largest = max(file.stat().st_size for file in files)
            _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + 100_000, most))
            crowd.until(is_refused, count=50)
            check_reading_goes_on(server, world.cast, crowd)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))
            crowd.until(is_fine, since=time.monotonic(), count=50)
        assert server.stop() == 0
    crowd.check_replies()
    crowd.check_record(world)


def test_a_butler_call_that_a_full_disk_breaks_off_goes_on_when_there_is_room(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    uuids = hire(world)
    world.stop()
    with ServerProcess(world.settings) as server:
        call = LongCall(world.cast, server, uuids)
        start = call.head()
        files = [*world.settings.data_dir.iterdir(), server.log]
        largest = max(file.stat().st_size for file in files)
        _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + ROOM, most))
        call.send()
        refused = call.replies[-1]
        assert refused is not None
        assert (refused.status, refused.code) == (503, "RX503"), refused
        assert int(refused.headers["retry-after"]) > 0
        assert start < call.head() < start + 3 * RECIPIENTS  # it was broken off in the middle
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))
        call.finish()
        assert server.stop() == 0
    world.start()
    call.check(records.check_everything(world)[world.cast.firm])


def check_reading_goes_on(server: ServerProcess, cast: Cast, crowd: Crowd) -> None:
    """What can be read without writing is read."""
    chat_uuid, seq, text = crowd.said[0]
    path = f"/chat-service/api/chats/messages/range?chat_uuid={chat_uuid}&from_seq={seq}"
    with Client(server) as client:
        reply = client.request("GET", path, cast.master, on_behalf_of=cast.miriam)
    assert reply.status == 200
    assert reply.body["messages"][0]["text"] == text


def test_a_write_lock_of_another_process_is_waited_for(sqlite_world: World) -> None:
    world = sqlite_world
    chats = make_chats(world)
    world.stop()
    with ServerProcess(world.settings) as server:
        crowd = Crowd(server, world.cast, chats)
        with crowd:
            crowd.until(is_fine, count=50)
            other = apsw.Connection(str(world.settings.data_dir / "onrecord.db"))
            other.set_busy_timeout(5000)
            other.execute("BEGIN IMMEDIATE")
            locked = time.monotonic()
            check_reading_goes_on(server, world.cast, crowd)
            assert time.monotonic() - locked < 1
            time.sleep(2)
            other.execute("COMMIT")
            other.close()
            crowd.until(is_fine, since=time.monotonic(), count=50)
    crowd.check_replies()
    assert all(reply.status == 200 for _, reply in crowd.replies)
    crowd.check_record(world)


# -- PostgreSQL away ------------------------------------------------------------------------------


@pytest.fixture
def engine(databases: object) -> str:  # noqa: ARG001 - it makes sure of the server
    """Worlds of this file are on PostgreSQL; `sqlite_world` is not."""
    return "postgresql"


@pytest.fixture
def proxied(make_world: MakeWorld) -> Iterator[tuple[World, list[str], ServerProcess, Proxy]]:
    """A server that reaches its database through a proxy."""
    world = make_world()
    chats = make_chats(world)
    world.stop()
    with Proxy(world.settings.database_url) as proxy:
        settings: Settings = replace(world.settings, database_url=proxy.url)
        with ServerProcess(settings) as server:
            yield world, chats, server, proxy


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_database_that_is_away_is_told_as_503_until_it_is_back(
    proxied: tuple[World, list[str], ServerProcess, Proxy],
) -> None:
    world, chats, server, proxy = proxied
    crowd = Crowd(server, world.cast, chats)
    with crowd, Client(server) as client:
        crowd.until(is_fine, count=100)
        memory = server.memory()
        proxy.cut()
        cut = time.monotonic()
        crowd.until(is_refused, since=cut, count=20)
        assert time.monotonic() - cut < 5
        assert client.request("GET", "/readyz").status == 503
        assert client.request("GET", "/livez").status == 200
        time.sleep(AWAY_SECONDS)
        assert not any(map(is_fine, crowd.since(cut + 1)))
        assert server.memory() - memory < 50 * 2**20
        proxy.restore()
        back = time.monotonic()
        crowd.until(is_fine, since=back, count=100)
        assert time.monotonic() - back < 5
        assert client.request("GET", "/readyz").status == 200
    assert server.stop() == 0
    crowd.check_replies()
    crowd.check_record(world)


def test_a_butler_call_that_loses_its_database_goes_on_when_it_is_back(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    uuids = hire(world)
    world.stop()
    with Proxy(world.settings.database_url) as proxy:
        settings: Settings = replace(world.settings, database_url=proxy.url)
        with ServerProcess(settings) as server:
            call = LongCall(world.cast, server, uuids)
            thread = call.begin()
            call.wait_for(1)
            proxy.cut()
            thread.join()
            refused = call.replies[-1]
            assert refused is not None
            assert (refused.status, refused.code) == (503, "RX503"), refused
            assert int(refused.headers["retry-after"]) > 0
            proxy.restore()
            call.finish()
            assert server.stop() == 0
    world.start()
    call.check(records.check_everything(world)[world.cast.firm])


def test_a_database_that_hangs_for_a_while_is_waited_for(
    proxied: tuple[World, list[str], ServerProcess, Proxy],
) -> None:
    world, chats, server, proxy = proxied
    crowd = Crowd(server, world.cast, chats)
    with crowd:
        crowd.until(is_fine, count=100)
        proxy.stall()
        time.sleep(2)
        proxy.go_on()
        crowd.until(is_fine, since=time.monotonic(), count=100)
    assert server.stop() == 0
    crowd.check_replies()
    crowd.check_record(world)


def test_connections_that_the_database_ends_are_made_again(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    chats = make_chats(world)
    world.stop()
    with ServerProcess(world.settings) as server:
        crowd = Crowd(server, world.cast, chats)
        with crowd:
            for _ in range(5):
                crowd.until(is_fine, since=time.monotonic(), count=20)
                end_connections(world.settings.database_url)
            crowd.until(is_fine, since=time.monotonic(), count=100)
        assert server.stop() == 0
    crowd.check_replies()
    crowd.check_record(world)


def end_connections(url: str) -> None:
    """End every other connection to a database."""

    async def main() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()

    asyncio.run(main())


# -- clients that vanish, and an orderly stop -----------------------------------------------------


def raw_request(key: ApiKey, author: str, body: bytes, *, length: int | None = None) -> bytes:
    lines = [f"POST {SEND} HTTP/1.1", "Host: onrecord", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in key.headers.items()]
    lines += [f"on-behalf-of: {author}", f"Content-Length: {length or len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("on", ["sqlite", "postgresql"])
def test_clients_that_vanish_do_no_harm(
    on: str, make_world: MakeWorld, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue("sqlite_world") if on == "sqlite" else make_world()
    chats = make_chats(world)
    world.stop()
    cast = world.cast
    with ServerProcess(world.settings) as server:
        for number in range(60):
            body = json.dumps({"chat_uuid": chats[0], "text": f"vanished {number}"}).encode()
            whole = raw_request(cast.master, cast.miriam.uuid, body)
            early = raw_request(cast.master, cast.miriam.uuid, body[:9], length=len(body))
            poll = f"GET {EVENTS}?wait=30&after=99999 HTTP/1.1\r\nHost: onrecord\r\n"
            poll += "".join(f"{name}: {value}\r\n" for name, value in cast.system.headers.items())
            data = [whole, early, poll.encode() + b"\r\n", whole[: number * 5]][number % 4]
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(data)
                if number % 3 == 0:  # a reset instead of an orderly end
                    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with Crowd(server, cast, chats) as crowd:
            crowd.until(is_fine, count=50)
        assert server.stop() == 0
        assert "unexpected failure" not in server.logged()
        assert "Traceback" not in server.logged()
    crowd.check_replies()
    told = crowd.check_record(world)
    texts = [message[-1] for message in told.messages[chats[0]]]
    vanished = [text for text in texts if text.startswith("vanished")]
    assert len(vanished) == len(set(vanished)) <= 15


@pytest.mark.parametrize("on", ["sqlite", "postgresql"])
def test_a_stop_under_load_answers_what_runs_and_loses_nothing(
    on: str, make_world: MakeWorld, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue("sqlite_world") if on == "sqlite" else make_world()
    chats = make_chats(world)
    world.stop()
    cast = world.cast
    with ServerProcess(world.settings) as server:
        polls: list[Reply] = []
        poller = threading.Thread(target=poll_for_long, args=(server, cast, polls))
        poller.start()
        with Client(server) as client:
            wrong = replace(cast.user, secret="wrong")
            for _ in range(3):
                assert client.request("GET", "/chat-service/api/whoami", wrong).status == 401
        with Crowd(server, cast, chats) as crowd:
            crowd.until(is_fine, count=100)
            asked = time.monotonic()
            status = server.stop()
            took = time.monotonic() - asked
        poller.join()
    assert status == 0
    assert took < 5
    assert "unexpected failure" not in server.logged()
    crowd.check_replies()
    told = crowd.check_record(world)
    # What was written was answered: the rest was never begun.
    texts = [message[-1] for said in told.messages.values() for message in said]
    assert not set(crowd.unanswered) & set(texts)
    assert told.denied["RU001"] == 3
    assert [(poll.status, poll.body["events"]) for poll in polls] == [(200, [])]


def poll_for_long(server: ServerProcess, cast: Cast, polls: list[Reply]) -> None:
    """Wait for news that never come; the stop ends the wait."""
    with Client(server) as client:
        polls.append(client.request("GET", f"{EVENTS}?after=9999999&wait=30", cast.system))
