"""Readers that poll feeds while things happen, and never go back."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from tests.cast import Person
from tests.faults.processes import EVENTS, MY_EVENTS
from tests.world import World


async def read_along(world: World, chance: random.Random, is_over: Callable[[], bool]) -> list[int]:
    """Poll the organisation's feed until it is over: every position once, in order."""
    seen: list[int] = []
    after = 0
    while True:
        last = is_over()
        limit = chance.choice([1, 3, 50, 1000])
        answer = await world.request(
            "GET", EVENTS, key=world.cast.system, params={"after": after, "limit": limit}
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


async def read_as(
    world: World, person: Person, chance: random.Random, is_over: Callable[[], bool]
) -> list[dict[str, Any]]:
    """Poll a member's feed until it is over.

    Whatever appears at or below a position that was passed is missed by this reader, as it would
    be by any other, and missing from what it gives.
    """
    seen: list[dict[str, Any]] = []
    after = 0
    while True:
        last = is_over()
        answer = await world.request(
            "GET",
            MY_EVENTS,
            key=world.cast.master,
            on_behalf_of=person,
            params={"after": after, "limit": chance.choice([2, 20, 1000])},
        )
        assert answer.status_code in {200, 404}, answer.text  # frozen
        if answer.status_code == 200:
            page = answer.json()
            positions = [entry["position"] for entry in page["events"]]
            assert positions == sorted(set(positions))
            assert all(after < position <= page["next_after"] for position in positions)
            seen += page["events"]
            assert page["next_after"] >= after
            after = page["next_after"]
            if last and not page["events"]:
                return seen
        await asyncio.sleep(0.003)
