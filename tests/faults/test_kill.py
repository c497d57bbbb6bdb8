"""`kill -9` while clients write: what was acknowledged stays, the rest is whole or absent."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from onrecord.domain.butler import SLICE
from onrecord.proof.verify import verify
from tests.cast import Person
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.long_calls import LongCall, hire
from tests.faults.processes import (
    CREATE_CHAT,
    CREATE_MEMBER,
    GONE,
    INVITE,
    LEAVE,
    LONG,
    RENAME,
    SEND,
    Client,
    Reply,
    ServerProcess,
    command_line,
)
from tests.faults.told import Told
from tests.world import World

ROUNDS = 50 if LONG else 2
KILLS = 8 if LONG else 1


WRITES = {
    SEND: "message.sent",
    RENAME: "chat.renamed",
    INVITE: "participant.joined",
    LEAVE: "participant.left",
    CREATE_CHAT: "chat.created",
    CREATE_MEMBER: "member.created",
}
"""The one entry of its type that a request puts on record."""


@dataclass(slots=True)
class Request:
    """A request on its way, which may or may not have arrived when the server was killed."""

    path: str
    json: dict[str, Any]
    author: Person | None
    number: str
    """Its own id, which the record keeps."""
    idempotency: str | None


@dataclass(slots=True)
class Notes:
    """What the clients were told, and what they never learned."""

    answered: list[tuple[Request, Reply]] = field(default_factory=list)
    unanswered: list[Request] = field(default_factory=list)


class Crowd:
    """Clients that write as fast as they can until the server is gone.

    Each has a chat of its own, which Olga leaves and is invited to again.
    """

    def __init__(self, world: World, server: ServerProcess, chats: list[str], seed: int) -> None:
        self.world, self.server, self.chats = world, server, chats
        self.notes = Notes()
        self.seed = seed
        self.numbers = itertools.count()

    def run(self, moment: Callable[[], object]) -> Notes:
        """Let everybody write, kill the server when the moment is there, wait for the clients."""
        threads = [threading.Thread(target=self._write, args=(chat,)) for chat in self.chats]
        for thread in threads:
            thread.start()
        # On a busy machine the first answer may take longer than the moment is away.
        while not self.notes.answered and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        moment()
        self.server.kill()
        for thread in threads:
            thread.join()
        refused = [reply for _, reply in self.notes.answered if reply.status != 200]
        assert refused == []
        return self.notes

    def _write(self, chat_uuid: str) -> None:
        chance = random.Random(f"{self.seed} {chat_uuid}")  # noqa: S311 - acts to be repeated
        client = Client(self.server)
        try:
            inside = self._is_olga_in(client, chat_uuid)
            while True:
                request = self._request(chance, chat_uuid, inside=inside)
                if not self._ask(client, request):
                    break
                inside = {INVITE: True, LEAVE: False}.get(request.path, inside)
        except GONE:  # before the first request of a client
            return
        finally:
            client.close()

    def _is_olga_in(self, client: Client, chat_uuid: str) -> bool:
        cast = self.world.cast
        path = f"/chat-service/api/chats?chat_uuid={chat_uuid}"
        reply = client.request("GET", path, cast.master, on_behalf_of=cast.miriam)
        found = {
            one["entity_user_xref_uuid"]: one["state"] for one in reply.body["chat"]["participants"]
        }
        return bool(found[cast.olga.uuid] == "active")

    def _ask(self, client: Client, request: Request) -> bool:
        try:
            reply = self.send(client, request)
        except GONE:
            self.notes.unanswered.append(request)
            return False
        self.notes.answered.append((request, reply))
        return True

    def _request(self, chance: random.Random, chat_uuid: str, *, inside: bool) -> Request:
        number = f"{self.seed}-{next(self.numbers)}"
        once = f"once-{number}" if chance.random() < 0.5 else None
        cast = self.world.cast
        kind = chance.random()
        author: Person | None = cast.miriam
        olga = {"entity_user_xref_uuids": [cast.olga.uuid]}
        if kind < 0.05:
            people = [cast.ingrid.uuid, cast.olga.uuid]
            json: dict[str, Any] = {"entity_user_xref_uuids": people, "text": number}
            path = CREATE_CHAT
        elif kind < 0.1:
            path, author = CREATE_MEMBER, None
            json = {
                "enum_profile_id": 4,
                "first_name": "Nora",
                "primary_email": f"nora.{number}@example.net",
                "group_uuids": [cast.team],
            }
        elif kind < 0.15:
            path, json = RENAME, {"chat_uuid": chat_uuid, "title": number}
        elif kind < 0.25 and inside:
            path, json, author = LEAVE, {"chat_uuid": chat_uuid}, cast.olga
        elif kind < 0.25:
            path, json = INVITE, {"chat_uuid": chat_uuid, **olga}
        else:
            path, json = SEND, {"chat_uuid": chat_uuid, "text": number}
        return Request(path, json, author, number, once)

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
            request_id=request.number,
        )


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
        notes = crowd.run(partial(time.sleep, chance.uniform(0.2, 1.0)))
        assert notes.answered, "nobody wrote anything before the kill"
        check_after_kill(world, crowd, notes)
    check_archive(world, tmp_path / "record.jsonl")


def check_after_kill(world: World, crowd: Crowd, notes: Notes) -> Told:
    """Start again, repeat what was unanswered, and compare the record with what was told."""
    with crowd.server:
        client = Client(crowd.server)
        for request in notes.unanswered:
            if request.idempotency is not None:
                reply = crowd.send(client, request)
                assert reply.status == 200, reply
                notes.answered.append((request, reply))
        client.close()
        assert crowd.server.stop() == 0
    world.start()
    told = records.check_everything(world)[world.cast.firm]
    world.stop()
    for request, reply in notes.answered:
        written = [name for _, name in told.requests[request.number]]
        assert written.count(WRITES[request.path]) == 1, request
        if request.path == SEND:
            assert told.messages[reply.body["chat_uuid"]][reply.body["seq"]][-1] == request.number
        elif request.path == CREATE_CHAT:
            assert told.messages[reply.body["chat_uuid"]][0][-1] == request.number
    for request in notes.unanswered:
        written = [name for _, name in told.requests[request.number]]
        assert written.count(WRITES[request.path]) <= 1, request
        if request.path == CREATE_CHAT and written:
            assert written == ["chat.created", *["participant.joined"] * 3, "message.sent"]
    return told


@pytest.mark.long
@pytest.mark.timeout(1800 if LONG else 120)
def test_a_long_butler_call_that_was_killed_goes_on_where_it_was(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world()
    chats = make_chats(world)
    uuids = hire(world)
    world.stop()
    server = ServerProcess(world.settings)
    call = LongCall(world.cast, server, uuids)
    chance = random.Random(world.settings.database_url)  # noqa: S311 - moments to be killed at
    for number in range(KILLS):
        server.start()
        crowd = Crowd(world, server, chats, number)
        entries = chance.randrange(1, 3 * SLICE)  # so it is killed in its first slices
        tries: list[threading.Thread] = []

        def moment(entries: int = entries, tries: list[threading.Thread] = tries) -> None:
            tries.append(call.begin())  # beside the crowd: alone it may be done within a blink
            call.wait_for(entries)
            time.sleep(chance.uniform(0, 0.05))

        notes = crowd.run(moment)
        tries[0].join()
        told = check_after_kill(world, crowd, notes)
        assert len(told.butler_chats) % SLICE == 0, "a slice is whole or absent"
    assert None in call.replies, "the call was never killed"
    with server:
        call.finish()
        assert server.stop() == 0
    world.start()
    call.check(records.check_everything(world)[world.cast.firm])
    world.stop()
    check_archive(world, tmp_path / "record.jsonl")


def check_archive(world: World, file: Path) -> None:
    """Export the record by the command line and verify it."""
    made = command_line(
        world.settings, "export", "record", "--org", world.cast.firm, "--output", str(file)
    )
    report = verify(file)
    assert report.ok, report.problem
    assert report.as_of == made["as_of"]
