"""A key that was stopped opens nothing from the next request on, on any process, under load."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

import pytest

from onrecord.domain import keys
from onrecord.model.access import Kind
from tests.cast import ApiKey, make_key
from tests.conftest import MakeWorld
from tests.faults.processes import SEND, Client, Reply, ServerProcess, command_line
from tests.faults.test_kill import make_chats
from tests.world import World

CLIENTS = 6


@dataclass(slots=True)
class Load:
    """Clients that send with one key all the time, noting when each request began."""

    servers: list[ServerProcess]
    key: ApiKey
    author: str
    chats: list[str]
    replies: list[tuple[float, Reply]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(CLIENTS):
            thread = threading.Thread(target=self._send, args=(number,))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        client = Client(self.servers[number % len(self.servers)])
        json = {"chat_uuid": self.chats[number % len(self.chats)], "text": f"by {number}"}
        while not self._stop.is_set():
            began = time.monotonic()
            reply = client.request("POST", SEND, self.key, on_behalf_of=self.author, json_body=json)
            self.replies.append((began, reply))
        client.close()

    def until(self, enough: int, since: float = 0) -> None:
        """Wait until so many requests that began after a moment were answered."""
        deadline = time.monotonic() + 20
        while sum(began > since for began, _ in list(self.replies)) < enough:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def split(self, moment: float) -> tuple[list[Reply], list[Reply]]:
        """Give the answers to requests that began before and after a moment."""
        before = [reply for began, reply in self.replies if began <= moment]
        return before, [reply for began, reply in self.replies if began > moment]


@dataclass(slots=True)
class Scene:
    """Servers under load by one key that nothing else uses."""

    world: World
    servers: list[ServerProcess]
    key: ApiKey
    chats: list[str]

    def load(self) -> Load:
        return Load(self.servers, self.key, self.world.cast.miriam.uuid, self.chats)

    def stop_by(self, act: Callable[[], object]) -> list[Reply]:
        """Act under load, and give the answers to requests that began after the act ended."""
        with self.load() as load:
            load.until(30)
            act()
            done = time.monotonic()
            load.until(30, since=done)
        before, after = load.split(done)
        assert sum(reply.status == 200 for reply in before) >= 30
        refusals = {reply.status for reply in before} - {200}
        assert refusals <= {reply.status for reply in after} | {401}
        return after

    def command(self, *arguments: str) -> Callable[[], object]:
        """Give an act of the command line, a process of its own."""
        return lambda: command_line(self.world.settings, *arguments)


@pytest.fixture
def scene(make_world: MakeWorld) -> Iterator[Scene]:
    world = make_world()
    chats = make_chats(world)
    key = world.run(make_key(world.app, world.cast.firm, Kind.MASTER_USER, name="Spare"))
    # PostgreSQL serves two processes at once; SQLite's second one is the command line.
    count = 2 if world.settings.database_url else 1
    with ExitStack() as stack:
        servers = [stack.enter_context(ServerProcess(world.settings)) for _ in range(count)]
        yield Scene(world, servers, key, chats)


def test_a_key_deactivated_by_the_command_line_opens_nothing_from_then_on(scene: Scene) -> None:
    after = scene.stop_by(scene.command("key", "deactivate", "--key", scene.key.api_key))

    assert {(reply.status, reply.code) for reply in after} == {(401, "RU002")}


def test_the_old_secret_of_a_rotated_key_opens_nothing_from_then_on(scene: Scene) -> None:
    after = scene.stop_by(scene.command("key", "rotate", "--key", scene.key.api_key))

    assert {(reply.status, reply.code) for reply in after} <= {(401, "RU001"), (429, "RU029")}


def test_a_rotated_key_works_on_with_its_old_secret_for_the_overlap_and_no_longer(
    scene: Scene,
) -> None:
    world, key = scene.world, scene.key
    with scene.load() as load:
        load.until(30)
        began = time.monotonic()
        world.work(world.cast.firm, lambda work: keys.rotate(work, key.api_key, 3))
        done = time.monotonic()
        load.until(30, since=done)
        load.until(30, since=done + 3)
    within = [reply for at, reply in load.replies if done < at < began + 2.9]
    over = [reply for at, reply in load.replies if at > done + 3]
    assert {reply.status for reply in within} == {200}
    assert {reply.code for reply in over} <= {"RU001", "RU029"}


def test_nobody_writes_in_an_organisation_once_it_was_frozen(scene: Scene) -> None:
    firm = scene.world.cast.firm
    after = scene.stop_by(scene.command("org", "freeze", "--org", firm))

    assert {(reply.status, reply.code) for reply in after} == {(404, "RN902")}
    scene.command("org", "unfreeze", "--org", firm)()
    with scene.load() as load:
        load.until(10)
    assert {reply.status for _, reply in load.replies} == {200}


def test_a_key_deactivated_by_another_app_on_the_same_data_opens_nothing_from_then_on(
    scene: Scene,
) -> None:
    """The same without a process that starts and ends: the writer has been there all along."""
    world, key = scene.world, scene.key
    after = scene.stop_by(
        lambda: world.work(world.cast.firm, lambda work: keys.deactivate(work, key.api_key))
    )

    assert {(reply.status, reply.code) for reply in after} == {(401, "RU002")}
