"""Groups, and who is in them: who sees whom (product.md, section 3)."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from onrecord.domain import contacts
from onrecord.domain.places import Places
from onrecord.model import text, times
from onrecord.model.access import BUTLER
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import (
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


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group to be made, of values that are checked already, and who will be in it."""

    group: Group
    """Without its internal id, which the database chooses."""
    members: Sequence[Member] = ()


async def check_group(
    known: Places,
    name: str,
    *,
    identifier: str | None = None,
    description: str = "",
    is_default: bool = False,
) -> Group:
    """Check what a group is to be.

    RB003: a name that has not 1 to 500 characters, an identifier or description that cannot be.
    RB013: the identifier is in use.
    """
    text.check("name", name, least=1, most=text.NAME_MAX)
    text.check("description", description, least=0, most=text.TEXT_MAX)
    now = times.now()
    return Group(
        id=0,
        uuid=str(uuid.uuid4()),
        name=name,
        identifier=await _free_identifier(known, identifier),
        description=description,
        state="active",
        is_default=is_default,
        created_at=now,
        updated_at=now,
    )


async def add_group(work: Work, name: str, *, is_default: bool = False) -> Group:
    """Add the row and the entry of a group, and nobody in it; RB003 as `check_group`."""
    group = await check_group(Places(work), name, is_default=is_default)
    (made,) = await add_groups(work, [NewGroup(group)])
    return made


async def add_groups(work: Work, several: Sequence[NewGroup]) -> list[Group]:
    """Write groups and whoever will be in them; nothing of it is refused."""
    if not several:
        return []
    entity_id = work.actor.entity_id
    columns = [
        {
            "uuid": new.group.uuid,
            "entity_id": entity_id,
            "name": new.group.name,
            "identifier": new.group.identifier,
            "description": new.group.description,
            "state": new.group.state,
            "is_default": int(new.group.is_default),
            "search_key": group_search_key(new.group.name, new.group.identifier),
            "created_at": new.group.created_at,
            "updated_at": new.group.updated_at,
        }
        for new in several
    ]
    numbers = await rows.add_groups(work.db, columns)
    made = [
        structs.replace(new.group, id=number) for new, number in zip(several, numbers, strict=True)
    ]
    members = [new.members for new in several]
    pairs = _pairs(zip(made, members, strict=True))
    if pairs:
        await rows.add_group_members(work.db, pairs)
        await rows.touch(work.db, [], sorted({member for _, member in pairs}), times.now())
    for group, inside in zip(made, members, strict=True):
        _record_group(work, group)
        _record_added(work, group, inside)
    return made


def _record_group(work: Work, group: Group) -> None:
    parts: dict[str, Any] = {"name": group.name}
    if group.identifier or group.description:
        parts["details"] = {"identifier": group.identifier, "description": group.description}
    work.record(
        "group.created",
        ids={"group_uuid": group.uuid},
        data={"is_default": group.is_default},
        parts=parts,
    )


async def _free_identifier(known: Places, value: str | None) -> str | None:
    identifier = contacts.check_identifier(value)
    if identifier and await known.group_identified(identifier):
        raise Refusal("RB013")
    return identifier


async def check_new(
    known: Places,
    *,
    name: str,
    identifier: str | None,
    description: str,
    uuids: Sequence[str] | None,
    identifiers: Sequence[str] | None,
) -> NewGroup:
    """Check a group and whoever is to be in it; as `check_group` and `add_members`.

    Who moves changes nothing for barriers: a new group has none.
    """
    wanted: list[Member] = []
    if uuids is not None or identifiers is not None:
        wanted = await contacts.named(known.work, uuids, identifiers, known)
        _check_may_join(wanted)
    check_size(1 + len(wanted))
    group = await check_group(known, name, identifier=identifier, description=description)
    if any(one.is_client for one in wanted) and not _any_active_staff(wanted):
        raise Refusal("RB020")
    new = NewGroup(group, wanted)
    known.note_group(group)
    return new


async def create(
    work: Work,
    *,
    name: str,
    identifier: str | None,
    description: str,
    uuids: Sequence[str] | None,
    identifiers: Sequence[str] | None,
) -> Group:
    """Make a group, with members when some are named; all or nothing. As `check_new`."""
    new = await check_new(
        Places(work),
        name=name,
        identifier=identifier,
        description=description,
        uuids=uuids,
        identifiers=identifiers,
    )
    (group,) = await add_groups(work, [new])
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
        await _free_identifier(Places(work), changed["identifier"])
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

    RB785, RN006: nobody named, or somebody who is not. The others as `check_joining`.
    """
    known = Places(work)
    wanted = await contacts.named(work, uuids, identifiers, known)
    await join(known, [(group, await check_joining(known, group, wanted))])


async def check_joining(known: Places, group: Group, wanted: Sequence[Member]) -> list[Member]:
    """Check that members may come into a group, and give those who are not there yet.

    RN006: the Butler, who is in no group. RB019: the group or one of the members is inactive.
    RB020: clients into a group that has no active staff member and gets none with them. RF007:
    staff who are in a group beyond a barrier of this one. RB003: more than 500 would be added.
    """
    _check_may_join(wanted)
    _check_active(group)
    present = await known.present(group, wanted)
    newcomers = [one for one in wanted if one.id not in present]
    check_size(len(newcomers))
    if (
        any(one.is_client for one in newcomers)
        and not _any_active_staff(newcomers)
        and not await known.has_active_staff(group)
    ):
        raise Refusal("RB020")
    await _check_beyond(known, group, newcomers)
    return newcomers


def _check_may_join(wanted: Sequence[Member]) -> None:
    if any(one.profile == BUTLER for one in wanted):
        raise Refusal("RN006", "One of the members does not exist")
    if any(one.state == "inactive" for one in wanted):
        raise Refusal("RB019", "One of the members is inactive")


def _check_active(group: Group) -> None:
    if group.state != "active":
        raise Refusal("RB019", "The group is inactive")


def check_size(entries: int, field: str = "entity_user_xref_uuids") -> None:
    """Refuse (RB003) a call that asks for more than 500 changes by what a field names."""
    if entries > ENTRIES_MOST:
        why = f"asks for {entries} changes, at most {ENTRIES_MOST} are made by one call"
        raise malformed(field, why)


def _any_active_staff(several: Sequence[Member]) -> bool:
    return any(one.is_staff and one.state == "active" for one in several)


async def _check_beyond(known: Places, group: Group, newcomers: Sequence[Member]) -> None:
    staff = [one for one in newcomers if one.is_staff]
    if staff and await known.any_beyond(group, staff):
        raise Refusal("RF007", _BEYOND)


Joining = Sequence[tuple[Group, Sequence[Member]]]
"""Who comes into which groups."""


async def join(known: Places, joining: Joining) -> None:
    """Put members into groups, and note that these and those changed; nothing is refused."""
    pairs = _pairs(joining)
    if not pairs:
        return
    await _write_joining(known, joining)
    group_ids, member_ids = (sorted(set(ids)) for ids in zip(*pairs, strict=True))
    await rows.touch(known.work.db, group_ids, member_ids, times.now())


async def put_into_group(
    work: Work, group: Group, *members: Member, just_made: Sequence[Member] = ()
) -> None:
    """Put members into a group; being there already changes nothing.

    The group and the members changed by it, but for those of them whom this work has `just_made`.
    RF007: staff who are in a group beyond a barrier of this one.
    """
    known = Places(work)
    present = await known.present(group, members)
    newcomers = [one for one in members if one.id not in present]
    if not newcomers:
        return
    await _check_beyond(known, group, newcomers)
    await _write_joining(known, [(group, newcomers)])
    changed = {one.id for one in newcomers} - {one.id for one in just_made}
    await rows.touch(work.db, [group.id], sorted(changed), times.now())


async def _write_joining(known: Places, joining: Joining) -> None:
    """Write rows and entries, and note anew which chats are barred where staff moved."""
    work = known.work
    await rows.add_group_members(work.db, _pairs(joining))
    for group, members in joining:
        _record_added(work, group, members)
    for group, members in joining:
        if any(one.is_staff for one in members) and await known.walls(group):
            await chats.mark_barred(work.db, work.actor.entity_id)
            return


def _pairs(joining: Iterable[tuple[Group, Sequence[Member]]]) -> list[tuple[int, int]]:
    return [(group.id, member.id) for group, members in joining for member in members]


def _record_added(work: Work, group: Group, members: Sequence[Member]) -> None:
    for member in members:
        work.record(
            "group.member_added",
            ids={"group_uuid": group.uuid, "entity_user_xref_uuid": member.uuid},
            subject=member.id,
        )


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
    check_size(len(leaving))
    if not leaving:
        return
    await _check_spared(work, group, leaving)
    await _take_out(work, group, leaving)


async def _check_spared(work: Work, group: Group, leaving: Sequence[Member]) -> None:
    """Refuse (RB011) that clients remain without an active staff member."""
    ids = [one.id for one in leaving]
    if (
        _any_active_staff(leaving)
        and not await rows.has_active_staff(work.db, group.id, besides=ids)
        and await rows.has_clients(work.db, group.id, besides=ids)
    ):
        raise Refusal("RB011")


async def check_moves(
    work: Work, group: Group, coming: Sequence[str], leaving: Sequence[str]
) -> None:
    """Check moves that are made in slices, so that none is refused once others are made.

    As `add_members` and `remove_members`, but for their number.
    """
    known = Places(work)
    newcomers = await contacts.named(work, coming, None, known)
    for first in range(0, len(newcomers), ENTRIES_MOST):
        await check_joining(known, group, newcomers[first : first + ENTRIES_MOST])
    if not _any_active_staff(newcomers):
        await _check_spared(work, group, await contacts.named(work, leaving, None, known))


async def leave(work: Work, member: Member, group_uuids: Sequence[str]) -> None:
    """Take a member whose membership has ended out of groups."""
    for group in await rows.groups_with(work.db, member.id):
        if group.uuid in group_uuids:
            await _take_out(work, group, [member])


async def _take_out(work: Work, group: Group, leaving: Sequence[Member]) -> None:
    """Write rows and entries, and note anew which chats are barred where staff left."""
    ids = [one.id for one in leaving]
    await rows.remove_group_members(work.db, group.id, ids)
    await rows.touch(work.db, [group.id], ids, times.now())
    for member in leaving:
        work.record(
            "group.member_removed",
            ids={"group_uuid": group.uuid, "entity_user_xref_uuid": member.uuid},
            subject=member.id,
        )
    if any(one.is_staff for one in leaving) and await rows.walls(work.db, [group.id]):
        await chats.mark_barred(work.db, work.actor.entity_id)


# -- finding and showing -------------------------------------------------------------------------


async def pick(
    work: Work,
    group_uuid: str | None,
    identifier: str | None = None,
    *,
    name: str = "group_uuid",
    known: Places | None = None,
) -> Group:
    """Give the group named: RB002 nothing given, RB003 two that are not the same, RN002 none.

    `name` is what the field of the uuid is called.
    """
    known = known or Places(work)
    if group_uuid:
        found = await known.groups_of([text.check_uuid(name, group_uuid)])
        group = found[0] if found else None
    elif identifier:
        text.check("identifier", identifier, least=1, most=text.IDENTIFIER_MAX)
        group = await known.group_identified(identifier)
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
