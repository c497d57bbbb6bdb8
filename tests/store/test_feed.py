"""Where a window of a member's feed begins and ends."""

from dataclasses import replace

from onrecord.domain import messages
from onrecord.store import access, people
from onrecord.store import feed as feeds
from onrecord.store.db import Caller, Session
from onrecord.store.work import Work
from tests.talk import done, feed_of, start
from tests.world import World

LINES = 150
"""More than two marks lie apart: every 64th message is found by its position."""


def test_the_feed_begins_and_ends_anywhere_in_a_long_chat(world: World) -> None:
    cast = world.cast
    chat_uuid = start(world, cast.ingrid, cast.tomas, text="first")

    async def talk(work: Work) -> None:
        member = await people.member_of(work.db, work.actor.entity_id, cast.ingrid.uuid)
        assert member is not None
        actor = replace(work.actor, member=member.ref)
        caller = Caller(actor, work.origin)
        lines = [messages.Outgoing(caller, actor, chat_uuid, f"line {n}") for n in range(LINES)]
        for outcome in await messages.append(work, lines):
            assert not isinstance(outcome, Exception)

    world.work(cast.firm, talk)
    done(world, "rename", cast.ingrid, chat_uuid, title="another title")
    world.work(cast.firm, talk)
    everything = [entry["position"] for entry in feed_of(world, cast.tomas, chat_uuid)]
    # Besides the lines: the chat, its two participants, the first message, the new title.
    assert len(everything) == 2 * LINES + 5
    first, last = everything[0], everything[-1]

    async def windows(session: Session) -> None:
        entity = await access.entity_of(session, cast.firm)
        assert entity is not None
        member = await people.member_of(session, entity.id, cast.tomas.uuid)
        assert member is not None
        for after in (first - 1, first, first + 62, first + 63, first + 64, last - 70, last - 1):
            for until in (after + 1, after + 63, after + 64, after + 65, last, last + 10):
                for limit in (1, 64, 1000):
                    found = await feeds.feed_of(session, entity.id, member.id, after, until, limit)
                    wanted = [one for one in everything if after < one <= until][:limit]
                    assert [row[0] for row in found] == wanted

    world.ask(windows)
