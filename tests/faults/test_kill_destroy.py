"""`kill -9` between the slices of an ending membership: it comes to its end without being asked."""

import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from onrecord.domain import groups, members, membership
from onrecord.store.work import Work
from tests.conftest import MakeWorld
from tests.faults import records
from tests.faults.processes import CREATE_CHAT, GONE, LONG, MEMBERS, Client, ServerProcess
from tests.faults.visitors import Peek
from tests.world import World

GROUPS = 1100
"""More than two slices."""
CHATS = 12
KILLS = 4 if LONG else 1


def furnish(world: World) -> None:
    """Bring olga into many groups and some chats."""
    cast = world.cast

    async def act(work: Work) -> None:
        olga = await members.pick(work, cast.olga.uuid, None)
        for number in range(GROUPS):
            group = await groups.add_group(work, f"Desk {number}")
            await groups.put_into_group(work, group, olga)

    world.work(cast.firm, act)
    body = {"entity_user_xref_uuids": [cast.olga.uuid], "title": "Matter", "text": "first"}
    how: dict[str, Any] = {"key": cast.master, "on_behalf_of": cast.miriam, "json": body}
    for answer in world.together(
        *(world.request("POST", CREATE_CHAT, **how) for _ in range(CHATS))
    ):
        assert answer.status_code == 200, answer.text


def head(peek: Peek) -> int:
    """Give where the longest record ends, which is the firm's."""
    return int(peek.rows("SELECT MAX(position) FROM head")[0][0])


def destroy(server: ServerProcess, world: World) -> None:
    """Ask for the end of olga's membership; the server is killed before it has answered."""
    body = {"entity_user_xref_uuid": world.cast.olga.uuid}
    with Client(server, timeout=60) as client, suppress(*GONE):
        client.request("POST", f"{MEMBERS}/destroy", world.cast.system, json_body=body)


def is_done(peek: Peek) -> bool:
    """Whether the job has come to its end."""
    sql = f"SELECT state FROM job WHERE kind = '{membership.END}'"  # noqa: S608 - a word of ours
    return bool(peek.rows(sql)[0][0] == "done")


def let_time_go_by(world: World) -> None:
    """Let the time go by that the call had for itself, and the lease of the dead process."""
    world.start()
    sql = "UPDATE job SET run_at = 0 WHERE kind = $1 AND finished_at IS NULL"
    world.work(None, lambda work: work.db.run(sql, membership.END))
    world.stop()


@pytest.mark.long
@pytest.mark.timeout(600 if LONG else 180)
def test_a_membership_whose_end_was_killed_ends_without_being_asked(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    cast = world.cast
    furnish(world)
    before = world.head(cast.firm)
    world.stop()
    with ServerProcess(world.settings, ("--no-work",)) as server, Peek(world.settings) as peek:
        asked = threading.Thread(target=destroy, args=(server, world))
        asked.start()
        while head(peek) == before:
            time.sleep(0.001)
        server.kill()
        asked.join()
    for _ in range(KILLS - 1):  # the job is killed too, in the middle of what it does
        let_time_go_by(world)
        with ServerProcess(world.settings) as server, Peek(world.settings) as peek:
            start = head(peek)
            while head(peek) == start and not is_done(peek):
                time.sleep(0.001)
            server.kill()
    let_time_go_by(world)
    with ServerProcess(world.settings) as server, Peek(world.settings) as peek:
        deadline = time.monotonic() + 60
        while not is_done(peek):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert server.stop() == 0
    world.start()
    told = records.check_everything(world)[cast.firm]
    entries = world.entries(cast.firm, before)
    slice_of_end = [one for one in entries if one["actor"]["kind"] != "service"]
    assert len(slice_of_end) in {membership.SLICE, 2 * membership.SLICE}, "it was cut short"
    types = Counter(one["type"] for one in entries)
    assert types == {
        "member.destroyed": 1,
        "group.member_removed": GROUPS,
        "participant.left": CHATS,
    }
    assert not any(cast.olga.uuid in group.inside for group in told.groups.values())
    assert not any(cast.olga.uuid in chat.inside for chat in told.chats.values())
    ended = world.rows("SELECT state FROM job WHERE kind = $1", membership.END)
    assert ended == [("done",)]
