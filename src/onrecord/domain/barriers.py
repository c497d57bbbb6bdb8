"""Barriers between groups: who never may see whom, nor write to one another."""

from onrecord.model import times
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Barrier, Group
from onrecord.store import chats
from onrecord.store import groups as rows
from onrecord.store.work import Work


async def create(work: Work, one: Group, other: Group) -> Barrier:
    """Make a barrier between two groups, and give it; one that stands already changes nothing.

    RB003: a group and itself. RB019: a member of the staff side is in both groups.
    """
    if one.id == other.id:
        raise malformed("other_group_uuid", "is the same group")
    first, second = sorted((one, other), key=lambda group: group.id)
    at = await rows.barrier_between(work.db, first.id, second.id)
    if at is None:
        if await rows.staff_in_both(work.db, first.id, second.id):
            raise Refusal("RB019", "A staff member is in both groups; take them out of one first")
        await rows.add_barrier(work.db, work.actor.entity_id, first.id, second.id)
        await chats.mark_barred(work.db, work.actor.entity_id)
        entry = work.record(
            "barrier.created", ids={"group_uuid": first.uuid, "other_group_uuid": second.uuid}
        )
        # The table shall say the very moment that the record says.
        work.on_settled.append(lambda: rows.date_barrier(work.db, first.id, second.id, entry.at))
        await work.settle()
        at = entry.at
    return Barrier(first.uuid, second.uuid, times.wire(at))


async def destroy(work: Work, one: Group, other: Group) -> None:
    """Lift the barrier between two groups, whichever is named first (RN008 when there is none)."""
    first, second = sorted((one, other), key=lambda group: group.id)
    if await rows.barrier_between(work.db, first.id, second.id) is None:
        raise Refusal("RN008", "There is no barrier between these groups")
    await rows.remove_barrier(work.db, first.id, second.id)
    await chats.mark_barred(work.db, work.actor.entity_id)
    work.record(
        "barrier.destroyed", ids={"group_uuid": first.uuid, "other_group_uuid": second.uuid}
    )


async def page(work: Work, *, cursor: str | None, limit: int) -> tuple[list[Barrier], str | None]:
    """Give a page of barriers in the order of their groups, and the next cursor.

    `limit` counts barriers, 1 to 1,000. RB003: a cursor that is none of ours.
    """
    first, second = read_cursor(cursor, 2)
    found = await rows.barriers_after(work.db, work.actor.entity_id, (first, second), limit + 1)
    following = cursor_after(*found[limit - 1][0]) if len(found) > limit else None
    return [barrier for _, barrier in found[:limit]], following
