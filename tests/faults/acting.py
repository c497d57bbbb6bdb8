"""What every actor of a random history can do: ask, choose, make mistakes, change keys."""

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from onrecord import app as composition
from onrecord.domain import keys, organisations
from onrecord.model.access import Kind
from onrecord.model.errors import Refusal
from onrecord.store.work import Work
from tests.cast import ApiKey, Person, all_permissions
from tests.faults.processes import SEND
from tests.world import World

FINE = {200, 201, 202, 204, 400, 401, 403, 404, 409, 422, 429}
"""What a history may be answered; never a 5xx. 429: old secrets were tried a hundred times."""


@dataclass(frozen=True, slots=True)
class Done:
    """A request that was acknowledged: between which ticks, and what it must have put on record."""

    request_id: str
    began: int
    ended: int
    writes: str | None


@dataclass(slots=True)
class Acting:
    """Actors of one history, and what was acknowledged to them."""

    worlds: list[World]
    chance: random.Random
    done: list[Done] = field(default_factory=list)
    chats: dict[str, list[Person]] = field(default_factory=dict)
    own_keys: list[ApiKey] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    ticks: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def world(self) -> World:
        return self.worlds[0]

    async def post(self, path: str, *, writes: str | None = None, **how: Any) -> httpx.Response:
        """Send a POST to either App; `writes`: an entry that a success puts on record."""
        return await self.ask("POST", path, writes=writes, **how)

    async def ask(
        self, method: str, path: str, *, writes: str | None = None, **how: Any
    ) -> httpx.Response:
        """Make a request to either App, as `post` does."""
        began = next(self.ticks)
        answer = await self.chance.choice(self.worlds).request(method, path, **how)
        assert answer.status_code in FINE, answer.text
        self.answers[path, answer.status_code] += 1
        if '"RN902"' in answer.text:  # frozen: refusals are quick, and the thaw would come too late
            await asyncio.sleep(0.05)
        if answer.is_success:
            request_id = answer.headers["x-request-id"]
            self.done.append(Done(request_id, began, next(self.ticks), writes))
        return answer

    # -- choices ---------------------------------------------------------------------------------

    def a_text(self) -> str:
        words = ["Guten Morgen", "שלום", "💼", "line\nbreak", '"quoted"', "tab\there", "\u2028"]
        return f"{self.chance.choice(words)} {next(self.numbers)}"

    def a_key(self) -> ApiKey:
        cast = self.world.cast
        return self.chance.choice([cast.master, cast.master, *self.own_keys])

    def somebody(self) -> Person:
        cast = self.world.cast
        return self.chance.choice([cast.miriam, cast.tomas, cast.ingrid, cast.olga, cast.priya])

    def some(self, most: int) -> list[str]:
        people = self.world.cast.people
        return [one.uuid for one in self.chance.sample(people, self.chance.randint(1, most))]

    def a_chat(self) -> str:
        return self.chance.choice(list(self.chats) or [""])

    # -- mistakes, keys and the operator ---------------------------------------------------------

    async def misbehave(self) -> None:
        wrong: list[dict[str, Any]] = [
            {"chat_uuid": "nowhere", "text": "x"},
            {"chat_uuid": "6a1f0f0e-7a37-4b0b-8f43-0d7c1b6a2f11", "text": "x"},
            {"chat_uuid": self.a_chat(), "text": ""},
            {"chat_uuid": self.a_chat(), "text": "x" * 6000},
            {"chat_uuid": self.a_chat(), "text": "x", "reply_to_seq": 10**6},
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
