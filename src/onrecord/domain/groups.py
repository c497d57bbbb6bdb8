"""Groups and barriers: who sees whom, and who never may (product.md, section 3)."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.domain import contacts
from onrecord.model import text, times
from onrecord.model.access import BUTLER
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import (
    Barrier,
    Group,
    GroupView,
    Member,
    group_search_key,
    pattern,
)
from onrecord.store import chats
from onrecord.store import groups as rows
from onrecord.store.work import Work

STATES: Final = ("active", "inactive")
ENTRIES_MOST: Final = 500
"""What one call may change (record.md, section 1)."""
_BEYOND: Final = "One of the members is in a group beyond a barrier of this one"
PAGE_STREAMED: Final = 500
"""Groups and barriers read in one go where all are asked for."""


async def add_group(
    work: Work,
    name: str,
    *,
    identifier: str | None = None,
    description: str = "",
    is_default: bool = False,
) -> Group:
    """Add the row and the entry of a group.

    RB003: a name that has not 1 to 500 characters, an identifier or description that cannot be.
    RB013: the identifier is in use.
    """
    text.check("name", name, least=1, most=text.NAME_MAX)
    text.check("description", description, least=0, most=text.TEXT_MAX)
    identifier = await _free_identifier(work, identifier)
    now = times.now()
    group_uuid = str(uuid.uuid4())
    number = await rows.add_group(
        work.db,
        {
            "uuid": group_uuid,
            "entity_id": work.actor.entity_id,
            "name": name,
            "identifier": identifier,
            "description": description,
            "state": "active",
            "is_default": int(is_default),
            "search_key": group_search_key(name, identifier),
            "created_at": now,
            "updated_at": now,
        },
    )
    parts: dict[str, Any] = {"name": name}
    if identifier or description:
        parts["details"] = {"identifier": identifier, "description": description}
    work.record(
        "group.created",
        ids={"group_uuid": group_uuid},
        data={"is_default": is_default},
        parts=parts,
    )
    return Group(
        id=number,
        uuid=group_uuid,
        name=name,
        identifier=identifier,
        description=description,
        state="active",
        is_default=is_default,
        created_at=now,
        updated_at=now,
    )


async def _free_identifier(work: Work, value: str | None) -> str | None:
    identifier = contacts.check_identifier(value)
    if identifier and await rows.group_identified(work.db, work.actor.entity_id, identifier):
        raise Refusal("RB013")
    return identifier


async def create(
    work: Work,
    *,
    name: str,
    identifier: str | None,
    description: str,
    uuids: Sequence[str] | None,
    identifiers: Sequence[str] | None,
) -> Group:
    """Make a group, with members when some are named; all or nothing.

    As `add_group` and `add_members`.
    """
    wanted: list[Member] = []
    if uuids is not None or identifiers is not None:
        wanted = await _wanted(work, uuids, identifiers)
    _check_size(1 + len(wanted))
    group = await add_group(work, name, identifier=identifier, description=description)
    await _check_staff_for_clients(work, group, wanted)
    await put_into_group(work, group, *wanted)
    return group


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValues:
    """What a group is to become; None leaves it as it is, an empty identifier takes it away."""

    name: str | None = None
    identifier: str | None = None
    description: str | None = None
    state: str | None = None


async def update(work: Work, group: Group, new: NewValues) -> None:
    """Change a group; values it has already change nothing.

    RB003: a value that cannot be. RB013: the identifier is in use. RB012, RB019: made inactive
    with members in it, or the default group.
    """
    now_it_is = {
        "name": group.name,
        "identifier": group.identifier,
        "description": group.description,
        "state": group.state,
    }
    wanted = {
        "name": new.name,
        "identifier": contacts.check_identifier(new.identifier),
        "description": new.description,
        "state": new.state,
    }
    if wanted["name"] is not None:
        text.check("name", wanted["name"], least=1, most=text.NAME_MAX)
    if wanted["description"] is not None:
        text.check("description", wanted["description"], least=0, most=text.TEXT_MAX)
    if wanted["state"] not in {None, *STATES}:
        raise malformed("state", f"is none of {', '.join(STATES)}")
    changed = {
        column: value
        for column, value in wanted.items()
        if (value is not None or (column == "identifier" and new.identifier == ""))
        and value != now_it_is[column]
    }
    if not changed:
        return
    if changed.get("identifier"):
        await _free_identifier(work, changed["identifier"])
    if changed.get("state") == "inactive":
        await _check_may_close(work, group)
    values = {**now_it_is, **changed}
    key = group_search_key(values["name"] or "", values["identifier"])
    await rows.change_group(
        work.db, group.id, {**changed, "search_key": key, "updated_at": times.now()}
    )
    details = {name: changed[name] for name in ("identifier", "description") if name in changed}
    work.record(
        "group.updated",
        ids={"group_uuid": group.uuid},
        data={"state": changed["state"]} if "state" in changed else {},
        parts={
            **({"name": changed["name"]} if "name" in changed else {}),
            **({"details": details} if details else {}),
        },
    )


async def destroy(work: Work, group: Group) -> None:
    """Close an empty group; it is kept and can be listed. One that is inactive stays as it is.

    RB012: somebody is in it. RB019: the default group.
    """
    if group.state == "inactive":
        return
    await _check_may_close(work, group)
    await rows.change_group(work.db, group.id, {"state": "inactive", "updated_at": times.now()})
    work.record("group.destroyed", ids={"group_uuid": group.uuid})


async def _check_may_close(work: Work, group: Group) -> None:
    if group.is_default:
        raise Refusal("RB019", "The default group stays active")
    if await rows.counts(work.db, [group.id]):
        raise Refusal("RB012")


# -- members of groups ---------------------------------------------------------------------------


async def add_members(
    work: Work, group: Group, uuids: Sequence[str] | None, identifiers: Sequence[str] | None
) -> None:
    """Put members into a group, all or none; who is in it already stays there.

    RB785, RN006: nobody named, or somebody who is not; the Butler is in no group. RB019: the
    group or one of the members is inactive. RB020: clients into a group that has no active staff
    member and gets none by this call. RF007: staff who are in a group beyond a barrier of this
    one. RB003: more than 500 would be added.
    """
    wanted = await _wanted(work, uuids, identifiers)
    _check_active(group)
    present = await rows.members_among(work.db, group.id, [one.id for one in wanted])
    newcomers = [one for one in wanted if one.id not in present]
    _check_size(len(newcomers))
    await _check_staff_for_clients(work, group, newcomers)
    if newcomers:
        await put_into_group(work, group, *newcomers)
        await rows.touch(work.db, group.id, [one.id for one in newcomers], times.now())


async def _wanted(
    work: Work, uuids: Sequence[str] | None, identifiers: Sequence[str] | None
) -> list[Member]:
    wanted = await contacts.named(work, uuids, identifiers)
    if any(one.profile == BUTLER for one in wanted):
        raise Refusal("RN006", "One of the members does not exist")
    if any(one.state == "inactive" for one in wanted):
        raise Refusal("RB019", "One of the members is inactive")
    return wanted


def _check_active(group: Group) -> None:
    if group.state != "active":
        raise Refusal("RB019", "The group is inactive")


def _check_size(entries: int) -> None:
    if entries > ENTRIES_MOST:
        why = f"asks for {entries} changes, at most {ENTRIES_MOST} are made by one call"
        raise malformed("entity_user_xref_uuids", why)


async def _check_staff_for_clients(work: Work, group: Group, newcomers: Sequence[Member]) -> None:
    if not any(one.is_client for one in newcomers):
        return
    if any(one.is_staff and one.state == "active" for one in newcomers):
        return
    if not await rows.has_active_staff(work.db, group.id):
        raise Refusal("RB020")


async def put_into_group(work: Work, group: Group, *members: Member) -> None:
    """Put members into a group; being there already changes nothing.

    RF007: staff who are in a group beyond a barrier of this one.
    """
    present = await rows.members_among(work.db, group.id, [one.id for one in members])
    newcomers = [one for one in members if one.id not in present]
    staff = [one.id for one in newcomers if one.is_staff]
    if staff and await rows.any_beyond(work.db, group.id, staff):
        raise Refusal("RF007", _BEYOND)
    await rows.add_group_members(work.db, group.id, [one.id for one in newcomers])
    for member in newcomers:
        work.record(
            "group.member_added",
            ids={"group_uuid": group.uuid, "entity_user_xref_uuid": member.uuid},
            subject=member.id,
        )
    await _mark_barred(work, group, newcomers)


async def check_barriers(work: Work, several: Sequence[Group]) -> None:
    """Refuse (RF007) that anybody of the staff comes into all of these groups at once."""
    ids = [group.id for group in several]
    if await rows.barriers_between(work.db, ids, ids):
        raise Refusal("RF007", _BEYOND)


async def remove_members(
    work: Work, group: Group, uuids: Sequence[str] | None, identifiers: Sequence[str] | None
) -> None:
    """Take members out of a group, all or none; who is not in it is not missed.

    RB785, RN006: nobody named, or somebody who is not. RB019: the group is inactive. RB011:
    clients would remain without an active staff member. RB003: more than 500 would go.
    """
    named = await contacts.named(work, uuids, identifiers)
    _check_active(group)
    present = await rows.members_among(work.db, group.id, [one.id for one in named])
    leaving = [one for one in named if one.id in present]
    ids = [one.id for one in leaving]
    _check_size(len(ids))
    if not ids:
        return
    if (
        any(one.is_staff and one.state == "active" for one in leaving)
        and not await rows.has_active_staff(work.db, group.id, besides=ids)
        and await rows.has_clients(work.db, group.id, besides=ids)
    ):
        raise Refusal("RB011")
    await rows.remove_group_members(work.db, group.id, ids)
    await rows.touch(work.db, group.id, ids, times.now())
    for member in leaving:
        work.record(
            "group.member_removed",
            ids={"group_uuid": group.uuid, "entity_user_xref_uuid": member.uuid},
            subject=member.id,
        )
    await _mark_barred(work, group, leaving)


async def leave(work: Work, member: Member, group_uuids: Sequence[str]) -> None:
    """Take a member whose membership has ended out of groups."""
    for group in await rows.groups_with(work.db, member.id):
        if group.uuid not in group_uuids:
            continue
        await rows.remove_group_members(work.db, group.id, [member.id])
        await rows.touch(work.db, group.id, [member.id], times.now())
        work.record(
            "group.member_removed",
            ids={"group_uuid": group.uuid, "entity_user_xref_uuid": member.uuid},
            subject=member.id,
        )
        await _mark_barred(work, group, [member])


async def _mark_barred(work: Work, group: Group, moved: Sequence[Member]) -> None:
    """Note anew which chats are barred, where staff came to or left a group with a barrier."""
    if any(one.is_staff for one in moved) and await rows.has_barrier(work.db, group.id):
        await chats.mark_barred(work.db, work.actor.entity_id)


# -- finding and showing -------------------------------------------------------------------------


async def pick(
    work: Work, group_uuid: str | None, identifier: str | None = None, *, name: str = "group_uuid"
) -> Group:
    """Give the group named: RB002 nothing given, RB003 two that are not the same, RN002 none.

    `name` is what the field of the uuid is called.
    """
    entity_id = work.actor.entity_id
    if group_uuid:
        found = await rows.groups_of(work.db, entity_id, [text.check_uuid(name, group_uuid)])
        group = found[0] if found else None
    elif identifier:
        group = await rows.group_identified(work.db, entity_id, identifier)
    else:
        raise missing(name)
    if group is None:
        raise Refusal("RN002")
    if identifier and group.identifier != identifier:
        raise malformed("identifier", f"does not belong to {name}")
    return group


async def shown(work: Work, group: Group, *, with_members: bool) -> GroupView:
    """Give a group as it is now, where asked for with everybody in it in short."""
    (group,) = await rows.groups_of(work.db, work.actor.entity_id, [group.uuid])
    (view,) = await views(work, [group])
    if with_members:
        view.members = await rows.members_in_short(work.db, group.id)
    return view


async def views(work: Work, groups: Sequence[Group]) -> list[GroupView]:
    """Give groups as lists show them, without their members."""
    counts = await rows.counts(work.db, [group.id for group in groups])
    return [
        GroupView(
            group_uuid=group.uuid,
            name=group.name,
            identifier=group.identifier,
            description=group.description,
            state=group.state,
            is_default=group.is_default,
            member_count=counts.get(group.id, 0),
            created_at=times.wire(group.created_at),
            updated_at=times.wire(group.updated_at),
        )
        for group in groups
    ]


async def of_member(work: Work, member: Member) -> list[GroupView]:
    """Give the groups a member is in, oldest first."""
    return await views(work, await rows.groups_with(work.db, member.id))


async def page(
    work: Work, *, state: str | None, search: str | None, cursor: str | None, limit: int
) -> tuple[list[GroupView], str | None]:
    """Give a page of groups, oldest first, and the next cursor.

    `limit` counts groups, 1 to 1,000. RB003: a state or cursor that is none.
    """
    if state is not None and state not in STATES:
        raise malformed("state", f"is none of {', '.join(STATES)}")
    (after,) = read_cursor(cursor)
    found = await rows.groups_after(
        work.db,
        work.actor.entity_id,
        state=state,
        like=pattern(search),
        after=after,
        limit=limit + 1,
    )
    following = cursor_after(found[limit - 1].id) if len(found) > limit else None
    return await views(work, found[:limit]), following


# -- barriers ------------------------------------------------------------------------------------


async def add_barrier(work: Work, one: Group, other: Group) -> Barrier:
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


async def remove_barrier(work: Work, one: Group, other: Group) -> None:
    """Lift the barrier between two groups, whichever is named first (RN008 when there is none)."""
    first, second = sorted((one, other), key=lambda group: group.id)
    if await rows.barrier_between(work.db, first.id, second.id) is None:
        raise Refusal("RN008", "There is no barrier between these groups")
    await rows.remove_barrier(work.db, first.id, second.id)
    await chats.mark_barred(work.db, work.actor.entity_id)
    work.record(
        "barrier.destroyed", ids={"group_uuid": first.uuid, "other_group_uuid": second.uuid}
    )


async def barriers(
    work: Work, *, cursor: str | None, limit: int
) -> tuple[list[Barrier], str | None]:
    """Give a page of barriers in the order of their groups, and the next cursor.

    `limit` counts barriers, 1 to 1,000. RB003: a cursor that is none of ours.
    """
    first, second = read_cursor(cursor, 2)
    found = await rows.barriers_after(work.db, work.actor.entity_id, (first, second), limit + 1)
    following = cursor_after(*found[limit - 1][0]) if len(found) > limit else None
    return [barrier for _, barrier in found[:limit]], following
