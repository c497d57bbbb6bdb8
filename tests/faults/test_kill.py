"""`kill -9` while clients write: what was acknowledged stays, the rest is whole or absent."""

import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from onrecord.proof.verify import verify
from tests.cast import Person
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import (
    CREATE_CHAT,
    CREATE_MEMBER,
    GONE,
    LONG,
    SEND,
    Client,
    Reply,
    ServerProcess,
    command_line,
)
from tests.world import World

ROUNDS = 50 if LONG else 2
CLIENTS = 6


@dataclass(slots=True)
class Request:
    """A request on its way, which may or may not have arrived when the server was killed."""

    path: str
    json: dict[str, Any]
    author: Person | None
    idempotency: str | None


@dataclass(slots=True)
class Notes:
    """What the clients were told, and what they never learned."""

    said: list[tuple[str, int, str]] = field(default_factory=list)
    chats: list[str] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    unanswered: list[Request] = field(default_factory=list)
    tried: list[Request] = field(default_factory=list)


class Crowd:
    """Clients that write as fast as they can until the server is gone."""

    def __init__(self, world: World, server: ServerProcess, chats: list[str], seed: int) -> None:
        self.world, self.server, self.chats = world, server, chats
        self.notes = Notes()
        self.seed = seed
        self.numbers = itertools.count()
        self.unexpected: list[Reply] = []

    def run(self, seconds: float) -> Notes:
        """Let everybody write, kill the server after so many seconds, wait for the clients."""
        chances = [random.Random(f"{self.seed} {number}") for number in range(CLIENTS)]  # noqa: S311 - acts to be repeated
        threads = [threading.Thread(target=self._write, args=(chance,)) for chance in chances]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.server.kill()
        for thread in threads:
            thread.join()
        assert self.unexpected == []
        return self.notes

    def _write(self, chance: random.Random) -> None:
        client = Client(self.server)
        while True:
            request = self._request(chance)
            self.notes.tried.append(request)
            try:
                reply = self.send(client, request)
            except GONE:
                self.notes.unanswered.append(request)
                break
            self._note(request, reply)
        client.close()

    def _request(self, chance: random.Random) -> Request:
        number = f"{self.seed}-{next(self.numbers)}"
        once = f"once-{number}" if chance.random() < 0.5 else None
        cast = self.world.cast
        kind = chance.random()
        json: dict[str, Any]
        if kind < 0.05:
            people = [cast.ingrid.uuid, cast.olga.uuid]
            json = {"entity_user_xref_uuids": people, "title": f"Matter {number}", "text": number}
            return Request(CREATE_CHAT, json, cast.miriam, once)
        if kind < 0.1:
            json = {
                "enum_profile_id": 4,
                "first_name": "Nora",
                "primary_email": f"nora.{number}@example.net",
                "group_uuids": [cast.team],
            }
            return Request(CREATE_MEMBER, json, None, once)
        return Request(
            SEND, {"chat_uuid": chance.choice(self.chats), "text": number}, cast.miriam, once
        )

    def send(self, client: Client, request: Request) -> Reply:
        """Send a request as its author."""
        key = self.world.cast.master if request.author else self.world.cast.system
        return client.request(
            "POST",
            request.path,
            key,
            on_behalf_of=request.author,
            json_body=request.json,
            idempotency=request.idempotency,
        )

    def _note(self, request: Request, reply: Reply) -> None:
        if reply.status != 200:
            self.unexpected.append(reply)
        elif request.path == SEND:
            self.notes.said.append(
                (request.json["chat_uuid"], reply.body["seq"], request.json["text"])
            )
        elif request.path == CREATE_CHAT:
            self.notes.chats.append(reply.body["chat_uuid"])
            self.notes.said.append((reply.body["chat_uuid"], 0, request.json["text"]))
        else:
            self.notes.emails.append(request.json["primary_email"])


def make_chats(world: World) -> list[str]:
    """Start the chats that the clients write into."""
    how: dict[str, Any] = {"key": world.cast.master, "on_behalf_of": world.cast.miriam}
    json = {"entity_user_xref_uuids": [world.cast.olga.uuid], "title": "Matter", "text": "first"}
    made = [world.post(CREATE_CHAT, json=json, **how) for _ in range(5)]
    return [str(one.json()["chat_uuid"]) for one in made]


@pytest.mark.long
@pytest.mark.timeout(1800 if LONG else 120)
def test_what_was_acknowledged_survives_kill_9_and_the_rest_is_whole_or_absent(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world()
    chats = make_chats(world)
    world.stop()
    server = ServerProcess(world.settings)
    chance = random.Random(world.settings.database_url)  # noqa: S311 - moments to be killed at
    for number in range(ROUNDS):
        server.start()
        crowd = Crowd(world, server, chats, number)
        notes = crowd.run(chance.uniform(0.1, 1.0))
        check_after_kill(world, crowd, notes)
        assert notes.said, "nobody wrote anything before the kill"
    check_archive(world, tmp_path / "record.jsonl")


def check_after_kill(world: World, crowd: Crowd, notes: Notes) -> None:
    """Start again, repeat what was unanswered, and compare the record with what was told."""
    with crowd.server:
        client = Client(crowd.server)
        for request in notes.unanswered:
            if request.idempotency is not None:
                reply = crowd.send(client, request)
                assert reply.status == 200, reply
                crowd._note(request, reply)
        client.close()
        assert crowd.server.stop() == 0
    world.start()
    told = records.check_everything(world)[world.cast.firm]
    world.stop()
    for chat_uuid, seq, text in notes.said:
        assert told.messages[chat_uuid][seq][-1] == text
    assert set(told.chats) >= set(notes.chats)
    texts = [message[-1] for said in told.messages.values() for message in said]
    emails = [member["primary_email"] for member in told.members.values()]
    assert set(emails) >= set(notes.emails)
    lost = {id(request) for request in notes.unanswered if request.idempotency is None}
    for request in notes.tried:
        found = texts.count(request.json["text"]) if "text" in request.json else 0
        if "primary_email" in request.json:
            found = emails.count(request.json["primary_email"])
        assert found <= 1 if id(request) in lost else found == 1, request


def check_archive(world: World, file: Path) -> None:
    """Export the record by the command line and verify it."""
    made = command_line(
        world.settings, "export", "record", "--org", world.cast.firm, "--output", str(file)
    )
    report = verify(file)
    assert report.ok, report.problem
    assert report.as_of == made["as_of"]
