"""Provisioning: what an identity provider does to staff and groups (contract, section 6).

Every change is the one that the System API makes, so rules and entries are the same. Clients are
none of an identity provider's business: they are not there.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from onrecord.domain import contacts, groups, invitations, members, membership, profiles
from onrecord.domain.places import Places
from onrecord.model import text
from onrecord.model.access import STAFF, SYSTEM_ADMIN
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Group, Member
from onrecord.store import people
from onrecord.store import provisioning as rows
from onrecord.store.provisioning import StaffMember
from onrecord.store.work import Work

PAGE: Final = 500
"""Members or groups looked at in one go."""
SLICE: Final = groups.ENTRIES_MOST
"""Moves that one work makes at the most (record.md, section 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a staff member is to be; None leaves it as it is."""

    primary_email: str
    first_name: str
    last_name: str
    job_title: str | None = None
    identifier: str | None = None
    emails: Sequence[str] | None = None
    phone_numbers: Sequence[str] | None = None
    role: int | None = None
    active: bool | None = None


async def pick(work: Work, uuid: str) -> Member:
    """Give the staff member of a uuid; RN006 for anybody else, clients and the Butler too."""
    member = None
    if text.is_uuid(uuid):
        member = await people.member_of(work.db, work.actor.entity_id, uuid.lower())
    if member is None or not member.is_staff:
        raise Refusal("RN006")
    return member


async def shown(work: Work, uuid: str) -> StaffMember:
    """Give a staff member as provisioning shows one (RN006)."""
    await pick(work, uuid)
    (found,) = await rows.staff_after(work.db, work.actor.entity_id, 0, 1, ("id", uuid.lower()))
    return found


async def create(work: Work, wanted: Wanted) -> str:
    """Make a staff member and give the uuid; invited unless not active.

    As `members.create` and `profiles.change`. RF006: a system administrator.
    """
    if wanted.role == SYSTEM_ADMIN:
        raise Refusal("RF006", _NO_ADMINS)
    phones = wanted.phone_numbers or ()
    member, _ = await members.create(
        work,
        members.NewMember(
            enum_profile_id=wanted.role or STAFF,
            first_name=wanted.first_name,
            last_name=wanted.last_name,
            job_title=wanted.job_title or "",
            identifier=wanted.identifier,
            primary_email=wanted.primary_email,
            primary_phone_number=phones[0] if phones else None,
            send_invitation=wanted.active is not False,
        ),
    )
    card = profiles.NewValues(emails=wanted.emails or None, phone_numbers=phones or None)
    await profiles.change(work, member, card)
    if wanted.active is False:
        await _set_active(work, member, active=False)
    return member.uuid


_NO_ADMINS: Final = "System administrators are made and unmade by each other, not by provisioning"


async def change(work: Work, member: Member, wanted: Wanted) -> None:
    """Make a staff member what is wanted; what is so already changes nothing.

    As `profiles.change`, `profiles.change_role`, `membership.suspend` and `membership.restore`.
    RF006: making or unmaking a system administrator, or changing the address of one, to which an
    invitation or a code would go.
    """
    if member.profile == SYSTEM_ADMIN:
        await _check_same_address(work, member, wanted.primary_email)
    role = wanted.role or member.profile
    if role != member.profile and SYSTEM_ADMIN in {role, member.profile}:
        raise Refusal("RF006", _NO_ADMINS)
    values = profiles.NewValues(
        first_name=wanted.first_name,
        last_name=wanted.last_name,
        job_title=wanted.job_title,
        identifier=wanted.identifier,
        primary_email=wanted.primary_email,
        emails=wanted.emails,
        phone_numbers=wanted.phone_numbers,
    )
    await profiles.change(work, member, values)
    if role != member.profile:
        await profiles.change_role(work, member, role, None)
    if wanted.active is not None:
        await _set_active(work, await pick(work, member.uuid), active=wanted.active)


async def _check_same_address(work: Work, member: Member, email: str) -> None:
    details = await people.details_of(work.db, member.id)
    if text.email_key(details["primary_email"] or "") != text.email_key(email):
        raise Refusal("RF006", "The address of a system administrator is not provisioned")


async def _set_active(work: Work, member: Member, *, active: bool) -> None:
    """Suspend, or revoke who has not joined; unsuspend, or restore and invite anew."""
    if not active:
        if member.state == "active":
            await membership.suspend(work, member)
        elif member.state == "pending":
            await _revoke(work, member)
        return
    if member.state == "suspended":
        await membership.unsuspend(work, member)
    elif member.state == "inactive":
        await membership.restore(work, member)
        restored = await pick(work, member.uuid)
        if restored.state == "pending":
            await invitations.invite(work, restored)


async def _revoke(work: Work, member: Member) -> None:
    steps = await membership.ending(work, member)
    await membership.end(work, member, steps[: membership.SLICE])  # a job leaves what is left


async def ending(work: Work, uuid: str) -> list[membership.Step]:
    """Give the steps that end a membership (`membership.ending`); RN006 when it has ended."""
    member = await pick(work, uuid)
    try:
        return await membership.ending(work, member)
    except Refusal as refusal:
        if refusal.code == "RB019":
            raise Refusal("RN006") from refusal
        raise


async def count(work: Work) -> int:
    """Count the staff."""
    return await rows.count_staff(work.db, work.actor.entity_id)


async def page(work: Work, offset: int, limit: int) -> list[StaffMember]:
    """Give staff, oldest first, leaving out the first `offset`."""
    return await rows.staff_from(work.db, work.actor.entity_id, offset, limit)


async def everybody(work: Work, narrow: tuple[str, str] | None) -> AsyncGenerator[StaffMember]:
    """Give all staff, oldest first, or those who fit (`store.provisioning.NARROW`)."""
    after = 0
    while True:
        found = await rows.staff_after(work.db, work.actor.entity_id, after, PAGE, narrow)
        for one in found:
            yield one
        if len(found) < PAGE:
            return
        after = found[-1].id


# -- groups --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedGroup:
    """What a group is to be; None leaves it as it is, an empty identifier takes it away."""

    name: str
    identifier: str | None = None
    members: Sequence[str] | None = None
    """The uuids of the staff in it; clients stay where they are."""


@dataclass(frozen=True, slots=True)
class StaffGroup:
    """A group with the staff in it: uuid, first and last name of each; None when not asked for."""

    group: Group
    members: list[tuple[str, str, str]] | None


async def pick_group(work: Work, uuid: str) -> Group:
    """Give the active group of a uuid (RN002)."""
    if not text.is_uuid(uuid):
        raise Refusal("RN002")
    group = await groups.pick(work, uuid)
    if group.state != "active":
        raise Refusal("RN002")
    return group


async def group_shown(work: Work, uuid: str, *, with_members: bool = True) -> StaffGroup:
    """Give a group as provisioning shows one (RN002)."""
    group = await pick_group(work, uuid)
    (found,) = await _with_members(work, [group], with_members=with_members)
    return found


class Move(msgspec.Struct, frozen=True):
    """One of the changes of who is in a group; the last step of all is to show it."""

    what: Literal["add", "remove", "show"]
    group: str
    member: str = ""


async def opened(work: Work, wanted: WantedGroup) -> list[Move]:
    """Make a group, and give the moves that fill it; as `groups.create`.

    A group that was closed and still holds the identifier is opened again: a provider that closed
    it does not see it any more, and could never have it back. RB003: a member who is no staff.
    """
    coming = await _staff(work, wanted.members or ())
    identifier = contacts.check_identifier(wanted.identifier)
    group = await Places(work).group_identified(identifier) if identifier else None
    if group is not None and group.state == "inactive":
        await groups.update(work, group, groups.NewValues(name=wanted.name, state="active"))
        group = await pick_group(work, group.uuid)
    else:
        group = await groups.create(
            work,
            name=wanted.name,
            identifier=identifier,
            description="",
            uuids=None,
            identifiers=None,
        )
    return await _moves(work, group, coming, [])


async def changed(work: Work, group: Group, wanted: WantedGroup) -> list[Move]:
    """Make a group what is wanted, and give the moves that are wanted too; clients in it stay.

    As `groups.update`, `groups.add_members` and `groups.remove_members`. RB003: a member who is no
    staff.
    """
    values = groups.NewValues(name=wanted.name, identifier=wanted.identifier)
    await groups.update(work, group, values)
    if wanted.members is None:
        return await _moves(work, group, [], [])
    there = [one[0] for one in (await rows.staff_in(work.db, [group.id])).get(group.id, [])]
    coming = await _staff(work, [one for one in wanted.members if one not in there])
    kept = set(wanted.members)
    return await _moves(work, group, coming, [one for one in there if one not in kept])


async def _moves(
    work: Work, group: Group, coming: Sequence[str], leaving: Sequence[str]
) -> list[Move]:
    """Give the moves of newcomers first, so that clients are never without staff."""
    if len(coming) + len(leaving) >= SLICE:
        await groups.check_moves(work, group, coming, leaving)
    return [
        *(Move("add", group.uuid, one) for one in coming),
        *(Move("remove", group.uuid, one) for one in leaving),
        Move("show", group.uuid),
    ]


async def move(work: Work, moves: Sequence[Move]) -> None:
    """Make some of the moves of one group, at most 500; one that is made already is nothing."""
    group = await pick_group(work, moves[0].group)
    coming = [one.member for one in moves if one.what == "add"]
    leaving = [one.member for one in moves if one.what == "remove"]
    if coming:
        await groups.add_members(work, group, coming, None)
    if leaving:
        await groups.remove_members(work, group, leaving, None)


async def _staff(work: Work, uuids: Sequence[str]) -> list[str]:
    """Check (RB003) that these are uuids of staff, and give each once."""
    wanted = list(dict.fromkeys(uuids))
    if not wanted or not all(text.is_uuid(one) for one in wanted):
        if wanted:
            raise malformed("members", "holds somebody who is no user here")
        return []
    found = await people.members_of(work.db, work.actor.entity_id, wanted)
    if len([one for one in found if one.is_staff]) < len(wanted):
        raise malformed("members", "holds somebody who is no user here")
    return wanted


async def _with_members(
    work: Work, found: Sequence[Group], *, with_members: bool
) -> list[StaffGroup]:
    inside = await rows.staff_in(work.db, [one.id for one in found]) if with_members else {}
    return [StaffGroup(one, inside.get(one.id, []) if with_members else None) for one in found]


async def every_group(work: Work, *, with_members: bool) -> AsyncGenerator[StaffGroup]:
    """Give all active groups, oldest first."""
    after = 0
    while True:
        found = await rows.groups_after(work.db, work.actor.entity_id, after, PAGE)
        for one in await _with_members(work, found, with_members=with_members):
            yield one
        if len(found) < PAGE:
            return
        after = found[-1].id
