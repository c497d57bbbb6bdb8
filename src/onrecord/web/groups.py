"""Rows of the System API about groups, barriers, and who may reach whom and why."""

from functools import partial
from typing import Any, Final

import msgspec

from onrecord.domain import barriers, explain, groups, members
from onrecord.domain.explain import Explanation
from onrecord.model.people import Barrier, GroupView
from onrecord.store.work import Work
from onrecord.web import lists
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes

BASE: Final = "/entity-service/sys-api"


class CreateGroup(Takes):
    """A group to be made, with its first members."""

    name: str
    identifier: str | None = None
    description: str | None = None
    entity_user_xref_uuids: list[str] | None = None
    identifiers: list[str] | None = None


class OneGroup(msgspec.Struct):
    """One group; with its members in short when it is read."""

    group: GroupView


class GroupChanged(msgspec.Struct):
    """A group as it is now."""

    group_uuid: str
    group: GroupView


async def create_group(work: Work, taken: CreateGroup) -> GroupChanged:
    """Make a group."""
    group = await groups.create(
        work,
        name=taken.name,
        identifier=taken.identifier,
        description=taken.description or "",
        uuids=taken.entity_user_xref_uuids,
        identifiers=taken.identifiers,
    )
    return GroupChanged(group.uuid, await groups.shown(work, group, with_members=False))


class UpdateGroup(Takes):
    """Which group, and its new values.

    Beside `group_uuid`, `identifier` is the new one; without it, or beside another
    `new_identifier`, `identifier` says which group.
    """

    group_uuid: str | None = None
    identifier: str | None = None
    new_identifier: str | None = None
    name: str | None = None
    description: str | None = None
    state: str | None = None


async def update_group(work: Work, taken: UpdateGroup) -> GroupChanged:
    """Change a group."""
    new_identifier = taken.new_identifier
    if taken.group_uuid:
        named = None if new_identifier in {None, taken.identifier} else taken.identifier
        group = await groups.pick(work, taken.group_uuid, named)
        new_identifier = taken.identifier if new_identifier is None else new_identifier
    else:
        group = await groups.pick(work, None, taken.identifier)
    values = groups.NewValues(
        name=taken.name,
        identifier=new_identifier,
        description=taken.description,
        state=taken.state,
    )
    await groups.update(work, group, values)
    return GroupChanged(group.uuid, await groups.shown(work, group, with_members=False))


class NameGroup(Takes):
    """Which group."""

    group_uuid: str


class Done(msgspec.Struct):
    """Nothing to tell but that it is done."""


async def destroy_group(work: Work, taken: NameGroup) -> Done:
    """Close an empty group."""
    await groups.destroy(work, await groups.pick(work, taken.group_uuid))
    return Done()


class MembersOfGroup(NameGroup):
    """Which members, and which group they are to be put into or taken out of."""

    entity_user_xref_uuids: list[str] | None = None
    identifiers: list[str] | None = None


async def add_members(work: Work, taken: MembersOfGroup) -> OneGroup:
    """Put members into a group."""
    group = await groups.pick(work, taken.group_uuid)
    await groups.add_members(work, group, taken.entity_user_xref_uuids, taken.identifiers)
    return OneGroup(await groups.shown(work, group, with_members=False))


async def remove_members(work: Work, taken: MembersOfGroup) -> OneGroup:
    """Take members out of a group."""
    group = await groups.pick(work, taken.group_uuid)
    await groups.remove_members(work, group, taken.entity_user_xref_uuids, taken.identifiers)
    return OneGroup(await groups.shown(work, group, with_members=False))


class GetGroup(Takes):
    """Which group: by uuid or identifier."""

    group_uuid: str | None = None
    identifier: str | None = None


async def get_group(work: Work, taken: GetGroup) -> OneGroup:
    """Give one group."""
    group = await groups.pick(work, taken.group_uuid, taken.identifier)
    return OneGroup(await groups.shown(work, group, with_members=True))


class ListGroups(lists.Listed):
    """Which groups."""

    state: str | None = None
    search: lists.Search | None = None


class GroupPage(msgspec.Struct):
    """A page of groups, without their members."""

    groups: list[GroupView]
    next_cursor: str | None


async def list_groups(call: Call, taken: ListGroups) -> Answer:
    """Give groups: a page with `limit`, else everything."""
    page = partial(groups.page, state=taken.state, search=taken.search)
    return await lists.of_pages(call, "groups", taken, page, groups.PAGE_STREAMED)


class GetGroupsOfMember(Takes):
    """Which member."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None


class GroupsOfMember(msgspec.Struct):
    """The groups of a member, without their members."""

    groups: list[GroupView]


async def groups_of_member(work: Work, taken: GetGroupsOfMember) -> GroupsOfMember:
    """Give the groups a member is in."""
    member = await members.pick(work, taken.entity_user_xref_uuid, taken.identifier)
    return GroupsOfMember(await groups.of_member(work, member))


# -- barriers ------------------------------------------------------------------------------------


class TwoGroups(Takes):
    """Between which groups."""

    group_uuid: str
    other_group_uuid: str


class OneBarrier(msgspec.Struct):
    """A barrier."""

    barrier: Barrier


async def create_barrier(work: Work, taken: TwoGroups) -> OneBarrier:
    """Make a barrier."""
    one = await groups.pick(work, taken.group_uuid)
    other = await groups.pick(work, taken.other_group_uuid, name="other_group_uuid")
    return OneBarrier(await barriers.create(work, one, other))


async def destroy_barrier(work: Work, taken: TwoGroups) -> Done:
    """Lift a barrier."""
    one = await groups.pick(work, taken.group_uuid)
    other = await groups.pick(work, taken.other_group_uuid, name="other_group_uuid")
    await barriers.destroy(work, one, other)
    return Done()


class BarrierPage(msgspec.Struct):
    """A page of barriers."""

    barriers: list[Barrier]
    next_cursor: str | None


async def list_barriers(call: Call, taken: lists.Listed) -> Answer:
    """Give barriers: a page with `limit`, else everything."""
    return await lists.of_pages(call, "barriers", taken, barriers.page, groups.PAGE_STREAMED)


# -- why -----------------------------------------------------------------------------------------


class ExplainContact(Takes):
    """Which two members, and when: a position of the record, or a time; now when absent."""

    entity_user_xref_uuid: str
    other_entity_user_xref_uuid: str
    at: str | None = None


async def explain_contact(call: Call, taken: ExplainContact) -> Answer:
    """Say whether two members may reach each other; what was is read page by page."""
    one, other, at = taken.entity_user_xref_uuid, taken.other_entity_user_xref_uuid, taken.at
    read = call.app.store.read
    if at is None:
        return Answer(encode(await read(call.caller, lambda work: explain.now(work, one, other))))
    question = await read(call.caller, lambda work: explain.ask(work, one, other, at))
    explanation = None
    while explanation is None:
        explanation = await read(call.caller, lambda work: explain.read_on(work, question))
    return Answer(encode(explanation))


_WRITES: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_write_admin",),
    "mode": "write",
    "tags": ("Groups",),
}
_READS: Final[dict[str, Any]] = {
    "method": "GET",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_read_admin",),
    "tags": ("Groups",),
}

ROWS: Final = (
    Endpoint(
        path=f"{BASE}/groups/create",
        summary="Create a group",
        takes=CreateGroup,
        gives=GroupChanged,
        refusals=("RB013", "RB019", "RB020", "RN006"),
        writes=("group.created", "group.member_added"),
        handler=create_group,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/groups/update",
        summary="Change a group",
        takes=UpdateGroup,
        gives=GroupChanged,
        refusals=("RB012", "RB013", "RB019", "RN002"),
        writes=("group.updated",),
        handler=update_group,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/groups/destroy",
        summary="Close an empty group",
        takes=NameGroup,
        gives=Done,
        refusals=("RB012", "RB019", "RN002"),
        writes=("group.destroyed",),
        handler=destroy_group,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/groups/group-members/create",
        summary="Put members into a group",
        takes=MembersOfGroup,
        gives=OneGroup,
        refusals=("RB019", "RB020", "RB785", "RF007", "RN002", "RN006"),
        writes=("group.member_added",),
        handler=add_members,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/groups/group-members/destroy",
        summary="Take members out of a group",
        takes=MembersOfGroup,
        gives=OneGroup,
        refusals=("RB011", "RB019", "RB785", "RN002", "RN006"),
        writes=("group.member_removed",),
        handler=remove_members,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/groups",
        summary="Read a group, with its members in short",
        takes=GetGroup,
        gives=OneGroup,
        refusals=("RN002",),
        handler=get_group,
        mode="read",
        **_READS,
    ),
    Endpoint(
        path=f"{BASE}/groups/list",
        summary="List groups",
        takes=ListGroups,
        gives=GroupPage,
        refusals=("RU029",),
        handler=list_groups,
        mode="script",
        **_READS,
    ),
    Endpoint(
        path=f"{BASE}/entity-memberships/group-memberships/list",
        summary="List the groups of a member",
        takes=GetGroupsOfMember,
        gives=GroupsOfMember,
        refusals=("RB785", "RN006"),
        handler=groups_of_member,
        mode="read",
        **_READS,
    ),
    Endpoint(
        path=f"{BASE}/barriers/create",
        summary="Make a barrier between two groups of staff",
        takes=TwoGroups,
        gives=OneBarrier,
        refusals=("RB019", "RN002"),
        writes=("barrier.created",),
        handler=create_barrier,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/barriers/destroy",
        summary="Lift a barrier",
        takes=TwoGroups,
        gives=Done,
        refusals=("RN002", "RN008"),
        writes=("barrier.destroyed",),
        handler=destroy_barrier,
        **_WRITES,
    ),
    Endpoint(
        path=f"{BASE}/barriers/list",
        summary="List barriers",
        takes=lists.Listed,
        gives=BarrierPage,
        refusals=("RU029",),
        handler=list_barriers,
        mode="script",
        **_READS,
    ),
    Endpoint(
        path=f"{BASE}/contacts/explain",
        summary="Explain whether two members may reach each other, now or earlier",
        takes=ExplainContact,
        gives=Explanation,
        refusals=("RB785", "RN006", "RN008"),
        handler=explain_contact,
        mode="script",
        **_READS,
    ),
)
