"""How fast messages become searchable, and how fast they are found.

A firm talks about many things: words as rare and as frequent as words are (by Zipf's law). Then
the index reads the whole record, and words of every sort are looked for: by a member who is in
every tenth chat, in one chat, by the reviewer of all chats.
"""

import argparse
import asyncio
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import common
import seeding

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import reviewers, search
from onrecord.domain.reviewers import Wanted as WantedChats
from onrecord.domain.search import Do, Wanted
from onrecord.model.access import Actor, Kind, Origin, service
from onrecord.settings import Settings
from onrecord.store.db import Caller
from onrecord.store.work import Work

VOCABULARY: Final = 50_000
WORDS: Final = (4, 40)
"""Words of a message, at least and at most."""
SYLLABLES: Final = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri")
LOOKS: Final = {
    "very frequent": 3,
    "frequent": 30,
    "usual": 300,
    "rare": 5_000,
    "hardly ever": 40_000,
}
"""Words to look for, by their place in the order of frequency."""
PAGE: Final = 50
TRIES: Final = 9


def word(rank: int) -> str:
    """Give the word of a place in the order of frequency."""
    made = ""
    number = rank + 20
    while number:
        number, which = divmod(number, len(SYLLABLES))
        made += SYLLABLES[which]
    return made


def body(chance: random.Random, _: int) -> str:
    """Give a text whose words are as frequent as words are: the n-th about 1/n as often."""
    count = chance.randint(*WORDS)
    return " ".join(
        word(int(math.exp(chance.random() * math.log(VOCABULARY)))) for _ in range(count)
    )


def main() -> None:
    """Measure one engine, or both."""
    parser = common.options(__doc__ or "")
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--chat-messages", type=int, default=50)
    parser.add_argument("--postgres", metavar="URL", help="a database on the server to use too")
    given = parser.parse_args()
    for server in (None, given.postgres) if given.postgres else (None,):
        with common.installation(server) as settings:
            _measure(given, settings)


def _measure(given: argparse.Namespace, settings: Settings) -> None:
    engine = "postgresql" if settings.database_url else "sqlite"
    crowd = seeding.gather(settings, staff=500)
    seeding.fill(settings, crowd, given.messages, body=body, chat_messages=given.chat_messages)
    common.say(f"{engine}: {given.messages:,} messages")

    async def measure() -> None:
        async with composition.running(settings, purpose="bench") as app:
            await _index(app, crowd, given, engine)
            actor = Actor(Kind.OPERATOR, crowd.entity_id, crowd.entity_uuid, crowd.admin)
            await _looks(app, actor, given, engine)
            nobody = service(crowd.entity_id, crowd.entity_uuid)
            await _reviews(app, nobody, given, engine)

    asyncio.run(measure())


async def _index(app: App, crowd: seeding.Crowd, given: argparse.Namespace, engine: str) -> None:
    actor = service(crowd.entity_id, crowd.entity_uuid)
    longest, began = 0.0, time.perf_counter()
    more = True
    while more:
        at = time.perf_counter()
        more = await app.as_service(search.index_page, actor)
        longest = max(longest, time.perf_counter() - at)
    seconds = time.perf_counter() - began
    rate = given.messages / seconds * 60
    common.say(
        f"  indexed in {seconds:,.1f} s: {rate:,.0f} a minute; longest work {longest * 1e3:.0f} ms"
    )
    common.keep(given, f"search index {engine}", per_minute=rate, longest_ms=longest * 1e3)


def _do(app: App, actor: Actor) -> Do:
    caller = Caller(actor, Origin("bench"))
    return lambda run: app.store.read(caller, run)


async def _looks(app: App, actor: Actor, given: argparse.Namespace, engine: str) -> None:
    do = _do(app, actor)
    texts = {name: word(rank) for name, rank in LOOKS.items()}
    texts["two words"] = f"{word(30)} {word(60)}"
    texts["phrase"] = f'"{word(20)} {word(21)}"'
    texts["phrase of rare words"] = f'"{word(2000)} {word(3000)}"'
    texts["beginning"] = word(300)[:4]
    texts["two letters"] = word(300)[:2]
    texts["no such word"] = "xylophone"
    for name, text in texts.items():
        wanted = Wanted(search.asked(text))
        run = partial(search.page, do, wanted, cursor=None, limit=PAGE)
        await _timed(run, f"member, {name}", given, engine)


async def _reviews(app: App, actor: Actor, given: argparse.Namespace, engine: str) -> None:
    do = _do(app, actor)
    for name, rank in LOOKS.items():
        wanted = WantedChats(query=search.asked(word(rank)))

        async def run(wanted: WantedChats = wanted) -> tuple[Sequence[Any], str | None]:
            async def begin(work: Work) -> reviewers.Search:
                return await reviewers.begin(work, wanted)

            this = await reviewers.look(do, await do(begin))
            return await reviewers.page(do, this, cursor=None, limit=PAGE)

        await _timed(run, f"reviewer, {name}", given, engine)


async def _timed(
    run: Callable[[], Awaitable[tuple[Sequence[Any], str | None]]],
    what: str,
    given: argparse.Namespace,
    engine: str,
) -> None:
    times: list[float] = []
    found: Sequence[Any] = ()
    for _ in range(TRIES):
        began = time.perf_counter()
        found, _ = await run()
        times.append((time.perf_counter() - began) * 1e3)
    middle, most = statistics.median(times), max(times)
    common.say(f"  {what}: {middle:.1f} ms, at most {most:.1f}; {len(found)} given")
    common.keep(given, f"search {what} {engine}", median_ms=middle, most_ms=most)


if __name__ == "__main__":
    main()
