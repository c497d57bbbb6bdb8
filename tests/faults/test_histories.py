"""Random histories of acts, with several actors and two Apps at once, on both engines."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from onrecord import app as composition
from onrecord.domain import keys, organisations
from onrecord.model.access import Kind
from onrecord.model.errors import Refusal
from onrecord.store.work import Work
from tests.cast import ApiKey, Person, all_permissions
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import (
    CREATE_CHAT,
    CREATE_MEMBER,
    CREATE_MEMBER_V2,
    EVENTS,
    LONG,
    MY_EVENTS,
    SEND,
)
from tests.world import World

HISTORIES = 40 if LONG else 3
ACTORS = 8
ACTS = 60 if LONG else 30

FINE = {200, 400, 401, 403, 404, 409, 422, 429}
"""What a history may be answered; never a 5xx. 429: old secrets were tried a hundred times."""


@dataclass(slots=True)
class Said:
    """A text that was acknowledged."""

    chat_uuid: str
    seq: int
    text: str


@dataclass(slots=True)
class History:
    """Random acts of many actors, and what they were told."""

    worlds: list[World]
    chance: random.Random
    said: list[Said] = field(default_factory=list)
    chats: dict[str, list[Person]] = field(default_factory=dict)
    own_keys: list[ApiKey] = field(default_factory=list)
    once: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Text of each request with an idempotency key → every place it was answered with."""
    members: set[str] = field(default_factory=set)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    over: bool = False

    @property
    def world(self) -> World:
        return self.worlds[0]

    async def post(self, path: str, **how: Any) -> httpx.Response:
        """Make a request to either App."""
        answer = await self.chance.choice(self.worlds).request("POST", path, **how)
        assert answer.status_code in FINE, answer.text
        return answer

    async def act(self) -> None:
        """Do something at random."""
        acts: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (12, self.send),
            (4, self.send_once),
            (4, self.start_chat),
            (3, self.make_member),
            (2, self.make_member_in_group),
            (2, self.misbehave),
            (1, self.make_key),
            (1, self.change_key),
            (1, self.freeze),
            (1, self.look_at_checkpoint),
        ]
        weights, choices = zip(*acts, strict=True)
        await self.chance.choices(choices, weights)[0]()

    # -- acts ------------------------------------------------------------------------------------

    def a_text(self) -> str:
        words = ["Guten Morgen", "שלום", "💼", "line\nbreak", '"quoted"', "tab\there", "\u2028"]
        return f"{self.chance.choice(words)} {next(self.numbers)}"

    def a_key(self) -> ApiKey:
        cast = self.world.cast
        return self.chance.choice([cast.master, cast.master, *self.own_keys])

    def somebody(self) -> Person:
        cast = self.world.cast
        return self.chance.choice([cast.miriam, cast.tomas, cast.ingrid, cast.olga, cast.priya])

    async def send(self) -> None:
        if not self.chats:
            return await self.start_chat()
        chat_uuid = self.chance.choice(list(self.chats))
        author = self.chance.choice([*self.chats[chat_uuid], self.somebody()])
        text = self.a_text()
        json: dict[str, Any] = {"chat_uuid": chat_uuid, "text": text}
        if self.chance.random() < 0.3:
            json["reply_to_seq"] = self.chance.randrange(12)
        answer = await self.post(SEND, key=self.a_key(), on_behalf_of=author, json=json)
        if answer.status_code == 200:
            self.said.append(Said(chat_uuid, answer.json()["seq"], text))
        return None

    async def send_once(self) -> None:
        """Send with an idempotency key, several times, at once and again."""
        if not self.chats:
            return
        chat_uuid = self.chance.choice(list(self.chats))
        author, text = self.chats[chat_uuid][0], self.a_text()
        how = {
            "key": self.world.cast.master,
            "on_behalf_of": author,
            "json": {"chat_uuid": chat_uuid, "text": text},
            "headers": {"Idempotency-Key": f"once {text!a}"},
        }
        answers = await asyncio.gather(*(self.post(SEND, **how) for _ in range(3)))
        answers.append(await self.post(SEND, **how))
        told = [one.json() for one in answers if one.status_code == 200]
        self.once[text] = [(one["chat_uuid"], one["seq"]) for one in told]
        other = {**how, "json": {"chat_uuid": chat_uuid, "text": f"{text} other"}}
        if told:
            assert (await self.post(SEND, **other)).status_code in {422, 404}

    async def start_chat(self) -> None:
        creator = self.somebody()
        cast = self.world.cast
        others = self.chance.sample(cast.people, self.chance.randint(1, 3))
        json: dict[str, Any] = {
            "entity_user_xref_uuids": [other.uuid for other in others],
            "title": f"Matter {next(self.numbers)}",
            "is_staff_only": self.chance.random() < 0.2,
        }
        text = self.a_text()
        if self.chance.random() < 0.6:
            json["text"] = text
        answer = await self.post(CREATE_CHAT, key=self.a_key(), on_behalf_of=creator, json=json)
        if answer.status_code == 200:
            chat_uuid = answer.json()["chat_uuid"]
            inside = [creator, *(other for other in others if other != creator)]
            self.chats[chat_uuid] = inside
            if "text" in json:
                self.said.append(Said(chat_uuid, 0, text))

    async def make_member(self) -> None:
        await self._member(CREATE_MEMBER, {"group_uuids": [self.world.cast.team]})

    async def make_member_in_group(self) -> None:
        group = {
            "new_group_name": f"Household {next(self.numbers)}",
            "new_group_entity_user_xref_uuids": [self.world.cast.priya.uuid],
        }
        await self._member(CREATE_MEMBER_V2, group)

    async def _member(self, path: str, more: dict[str, Any]) -> None:
        number = self.chance.randrange(60)  # so small that two actors meet
        json = {
            "enum_profile_id": self.chance.choice([3, 4, 4, 5]),
            "first_name": "Nora",
            "primary_email": f"nora.{number}@example.net",
            "identifier": f"N-{number}",
            **more,
        }
        answer = await self.post(path, key=self.world.cast.system, json=json)
        if answer.status_code == 200:
            uuid = answer.json()["entity_user_xref_uuid"]
            assert uuid not in self.members
            self.members.add(uuid)

    async def misbehave(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"chat_uuid": "nowhere", "text": "x"},
            {"chat_uuid": "6a1f0f0e-7a37-4b0b-8f43-0d7c1b6a2f11", "text": "x"},
            {"chat_uuid": next(iter(self.chats), ""), "text": ""},
            {"chat_uuid": next(iter(self.chats), ""), "text": "x" * 6000},
            {"chat_uuid": next(iter(self.chats), ""), "text": "x", "reply_to_seq": 10**6},
            {"text": 7},
        ]
        json = self.chance.choice(wrong)
        key = self.chance.choice([self.world.cast.master, self.world.cast.system])
        answer = await self.post(SEND, key=key, on_behalf_of=self.somebody(), json=json)
        assert answer.status_code != 200

    async def make_key(self) -> None:
        world = self.chance.choice(self.worlds)
        kind, held = Kind.MASTER_USER, all_permissions(Kind.MASTER_USER)
        made: keys.NewKey = await composition.acting(
            world.app,
            world.cast.firm,
            lambda work: keys.create(work, kind=kind, name="Spare", permissions=held),
        )
        self.own_keys.append(ApiKey(kind, made.api_key_uuid, made.api_key, made.secret, "Spare"))

    async def change_key(self) -> None:
        """Deactivate a key (which stays among those tried), or rotate one."""
        if not self.own_keys:
            return
        world, key = self.chance.choice(self.worlds), self.chance.choice(self.own_keys)
        if self.chance.random() < 0.5:
            await composition.acting(
                world.app, world.cast.firm, lambda work: keys.deactivate(work, key.api_key)
            )
            answer = await self.post(
                SEND, key=key, on_behalf_of=self.somebody(), json={"chat_uuid": "x", "text": "x"}
            )
            assert answer.status_code in {401, 404}, answer.text
            self.own_keys = [one for one in self.own_keys if one is not key]
            return
        try:
            made: keys.NewKey = await composition.acting(
                world.app, world.cast.firm, lambda work: keys.rotate(work, key.api_key)
            )
        except Refusal as refusal:
            assert refusal.code == "RB019"  # noqa: PT017 - another actor stopped it
            return
        self.own_keys.append(ApiKey(key.kind, key.uuid, key.api_key, made.secret, "Spare"))

    async def freeze(self) -> None:
        """Pause an organisation for a moment: now the firm itself, now the one next door."""
        cast = self.world.cast
        entity = self.chance.choice([cast.firm, cast.other])
        for state in ("frozen", "active"):
            app = self.chance.choice(self.worlds).app

            async def act(work: Work, state: str = state) -> None:
                await organisations.set_state(work, state)

            await composition.acting(app, entity, act)

    async def look_at_checkpoint(self) -> None:
        path = "/entity-service/sys-api/record/checkpoint"
        answer = await self.chance.choice(self.worlds).request(
            "GET", path, key=self.world.cast.system
        )
        assert answer.status_code in {200, 404}

    # -- readers ---------------------------------------------------------------------------------

    async def read_along(self, world: World) -> list[int]:
        """Poll the organisation's feed while things happen: every position once, in order."""
        seen: list[int] = []
        after = 0
        while True:
            last = self.over
            limit = self.chance.choice([1, 3, 50, 1000])
            answer = await world.request(
                "GET", EVENTS, key=self.world.cast.system, params={"after": after, "limit": limit}
            )
            assert answer.status_code == 200, answer.text
            page = answer.json()
            positions = [entry["position"] for entry in page["events"]]
            assert positions == list(range(after + 1, after + 1 + len(positions)))
            seen += positions
            assert page["next_after"] == (positions[-1] if positions else after)
            after = page["next_after"]
            assert page["head"] >= after
            if last and after == page["head"]:
                return seen
            await asyncio.sleep(0.002)

    async def read_as(self, world: World, person: Person) -> list[dict[str, Any]]:
        """Poll a member's feed while things happen."""
        seen: list[dict[str, Any]] = []
        after = 0
        while True:
            last = self.over
            answer = await world.request(
                "GET",
                MY_EVENTS,
                key=self.world.cast.master,
                on_behalf_of=person,
                params={"after": after, "limit": self.chance.choice([2, 20, 1000])},
            )
            assert answer.status_code in {200, 404}, answer.text  # frozen
            if answer.status_code == 200:
                page = answer.json()
                seen += page["events"]
                assert page["next_after"] >= after
                after = page["next_after"]
                if last and not page["events"]:
                    positions = [entry["position"] for entry in seen]
                    assert positions == sorted(set(positions))
                    return seen
            await asyncio.sleep(0.003)

    async def run(self) -> tuple[list[list[int]], list[dict[str, Any]]]:
        """Let everybody act and read at the same time."""

        async def actor() -> None:
            for _ in range(ACTS):
                await self.act()

        async def actors() -> None:
            try:
                await asyncio.gather(*(actor() for _ in range(ACTORS)))
            finally:
                self.over = True

        member = self.read_as(self.worlds[-1], self.world.cast.tomas)
        feeds = [self.read_along(world) for world in self.worlds]
        _, mine, *seen = await asyncio.gather(actors(), member, *feeds)
        return seen, mine


@pytest.mark.long
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_any_history_of_many_actors_leaves_a_record_that_tells_the_state(
    make_world: MakeWorld, seed: int
) -> None:
    world = make_world()
    second = world.beside()
    try:
        history = History([world, second], random.Random(seed))  # noqa: S311 - a history to repeat
        seen, mine = world.run(history.run())
        head = world.head(world.cast.firm)
    finally:
        second.close()
    told = records.check_everything(world)[world.cast.firm]

    for positions in seen:
        assert positions == list(range(1, head + 1))
    assert len(history.said) > 3
    for said in history.said:
        assert told.messages[said.chat_uuid][said.seq][-1] == said.text
    texts = [message[-1] for chat in told.messages.values() for message in chat]
    for text, places in history.once.items():
        assert len(set(places)) <= 1
        assert texts.count(text) == len(set(places))
    assert set(told.members) >= history.members
    _check_member_feed(world, told, mine)


def _check_member_feed(world: World, told: records.Told, mine: list[dict[str, Any]]) -> None:
    """What a member read along holds every message of the member's chats, each once."""
    me = world.cast.tomas.uuid
    due = {
        message[0]
        for uuid, said in told.messages.items()
        if me in told.chats[uuid]["participants"]
        for message in said
    }
    read = [entry["position"] for entry in mine if entry["type"] == "message.sent"]
    assert read == sorted(due)
