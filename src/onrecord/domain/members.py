"""Members: how a person comes into an organisation (product.md, section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from argon2 import PasswordHasher

from onrecord.domain import (
    accounts,
    administrators,
    contacts,
    groups,
    invitations,
    newcomers,
)
from onrecord.domain.newcomers import Known, Newcomer
from onrecord.domain.places import Places
from onrecord.model import text, times
from onrecord.model.access import (
    BUTLER,
    CAN_LOG_IN,
    PROFILES,
    Actor,
)
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import Group, Member, Membership, pattern
from onrecord.store import people
from onrecord.store.work import Work

STATES: Final = ("pending", "active", "suspended", "inactive")
PAGE_STREAMED: Final = 1000
"""Members read in one go where all are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMember:
    """What a member is made of; the wire's words."""

    enum_profile_id: int
    first_name: str
    last_name: str = ""
    job_title: str = ""
    identifier: str | None = None
    primary_email: str
    primary_phone_number: str | None = None
    group_uuids: Sequence[str] = ()
    created_by_entity_user_xref_uuid: str | None = None
    send_invitation: bool = True
    invitation_message: str = ""
    new_group_name: str = ""
    new_group_entity_user_xref_uuids: Sequence[str] = ()


async def create(work: Work, new: NewMember) -> tuple[Member, str | None]:
    """Make a pending member; give it and the new group's uuid, if one was asked for.

    RB003: a field is wrong, or asks for more than 500 changes. RB002: no phone number where the
    organisation asks for one. RB013, RB014: identifier or email in use, by an inactive member too.
    RN006: no such creator. RF006: a creator of the client side, or for a person another one than
    oneself; a system administrator made by somebody who is none. RN002, RB019, RB020: no such
    group, an inactive one, or one without active staff for a client. RF007: staff into groups on
    both sides of a barrier.
    """
    if new.new_group_entity_user_xref_uuids and not new.new_group_name:
        raise missing("new_group_name")
    if new.new_group_name:
        text.check("new_group_name", new.new_group_name, least=1, most=text.NAME_MAX)
    newcomer = await check(work, new, Known(work))
    (member,) = await newcomers.bring_in(work, [newcomer])
    group_uuid = None
    if new.new_group_name:
        group_uuid = await _new_group(work, new, member, newcomer.created_by)
    await newcomers.invite(work, [newcomer], [member])
    return member, group_uuid


async def check(work: Work, new: NewMember, known: Known) -> Newcomer:
    """Check what a member is to be made of, and note in `known` that it will be made.

    Whatever of `create` can be refused is refused here, but for the new group: nothing has been
    written yet. Refusals as there.
    """
    if new.enum_profile_id not in CAN_LOG_IN:
        raise malformed("enum_profile_id", "is not a role from 1 to 5")
    administrators.check_may_make(work, new.enum_profile_id)
    creator = await _creator(work, new.created_by_entity_user_xref_uuid, known)
    identifier = contacts.check_identifier(new.identifier)
    email = text.check_email("primary_email", new.primary_email)
    phone = await _phone(new, known)
    text.check("invitation_message", new.invitation_message, least=0, most=5000)
    if identifier and await known.member_identified(identifier):
        raise Refusal("RB013")
    if await known.member_with_email(text.email_key(email)):
        raise Refusal("RB014")
    wanted_groups = await _groups(new, known)
    newcomer = Newcomer(
        profile=new.enum_profile_id,
        first_name=text.check("first_name", new.first_name, least=1, most=text.NAME_MAX),
        last_name=text.check("last_name", new.last_name, least=0, most=text.NAME_MAX),
        job_title=text.check("job_title", new.job_title, least=0, most=text.NAME_MAX),
        identifier=identifier,
        email=email,
        phone=phone,
        created_by=creator,
        actor=_shown_as(work, new, creator),
        groups=wanted_groups,
        message=new.invitation_message if new.send_invitation else None,
    )
    if not wanted_groups and newcomer.is_client and not new.new_group_name:
        group, looking_after = await known.default_group()
        newcomer = replace(newcomer, groups=[group], looked_after_by=looking_after)
    known.note(newcomer)
    return newcomer


def _shown_as(work: Work, new: NewMember, creator: Member | None) -> Actor:
    """Give the actor with the creator shown as author, where the caller named one."""
    if creator is None or not new.created_by_entity_user_xref_uuid:
        return work.actor
    return replace(work.actor, member=creator.ref)


async def _creator(work: Work, named: str | None, known: Known) -> Member | None:
    if not named:
        return await known.creator()
    creator = await people.member_of(
        work.db,
        work.actor.entity_id,
        text.check_uuid("created_by_entity_user_xref_uuid", named),
    )
    if creator is None:
        raise Refusal("RN006", "created_by_entity_user_xref_uuid is no member")
    acting = work.actor.member
    if acting is not None and acting.id != creator.id:
        raise Refusal("RF006", "A person invites in the own name")
    if not creator.is_staff:
        raise Refusal("RF006", "Only staff can invite")
    if creator.state != "active":
        raise Refusal("RF024", "created_by_entity_user_xref_uuid is not active")
    return creator


async def _phone(new: NewMember, known: Known) -> str | None:
    phone = new.primary_phone_number
    if phone:
        return text.check_phone("primary_phone_number", phone)
    await check_may_lack_phone(known, new.enum_profile_id)
    return None


async def check_may_lack_phone(known: Known, profile: int) -> None:
    """Refuse (RB002) a member without a phone number where the organisation asks for one."""
    name = "staff_invitation_type" if PROFILES[profile].is_staff else "client_invitation_type"
    if await known.setting(name) == "email_and_phone":
        raise missing("primary_phone_number")


async def _groups(new: NewMember, known: Known) -> list[Group]:
    wanted = text.check_uuids("group_uuids", new.group_uuids)
    groups.check_size(1 + len(wanted), "group_uuids")
    found = await known.groups_of(wanted)
    if len(found) != len(wanted):
        raise Refusal("RN002")
    client = PROFILES[new.enum_profile_id].is_client
    for group in found:
        if group.state != "active":
            raise Refusal("RB019", "The group is inactive")
        if client and not await known.has_active_staff(group):
            raise Refusal("RB020")
    if not client and len(found) > 1:
        await known.check_barriers(found)
    return found


async def add(
    work: Work,
    *,
    profile: int,
    first_name: str,
    last_name: str,
    job_title: str = "",
    identifier: str | None = None,
    email: str | None = None,
    state: str = "pending",
) -> Member:
    """Add the row and the entry of a member; the values are checked already."""
    newcomer = Newcomer(
        profile=profile,
        first_name=first_name,
        last_name=last_name,
        job_title=job_title,
        identifier=identifier,
        email=email,
        state=state,
    )
    (member,) = await newcomers.add(work, [newcomer])
    return member


async def put_into_default_group(work: Work, member: Member) -> None:
    """Put a client into the default group, and the first administrator if nobody is there.

    RN002, RB020: there is none, or nobody who could look after it.
    """
    group, looking_after = await Known(work).default_group()
    await groups.put_into_group(work, group, *looking_after, member)


async def _new_group(work: Work, new: NewMember, member: Member, creator: Member | None) -> str:
    """Make the group asked for with the new member; the creator joins when no staff would."""
    others = await contacts.named(
        work, new.new_group_entity_user_xref_uuids, field="new_group_entity_user_xref_uuids"
    )
    if any(other.state == "inactive" or other.profile == BUTLER for other in others):
        raise Refusal("RN006", "One of the members does not exist")
    people_in = [*others]
    if not any(other.is_staff and other.state == "active" for other in others):
        if creator is None or creator.state != "active":
            raise Refusal("RB020")
        people_in.append(creator)
    groups.check_size(3 + len(people_in), "new_group_entity_user_xref_uuids")
    group = await groups.add_group(work, new.new_group_name)
    await groups.put_into_group(work, group, *people_in, member, just_made=[member])
    return group.uuid


async def view(
    work: Work, member_uuid: str | None, identifier: str | None, email: str | None = None
) -> Membership:
    """Give one member, named by uuid, identifier or primary email.

    RB785: not named at all. RB003: named in two ways that are not the same member. RN006: nobody.
    """
    if email and not member_uuid and not identifier:
        key = text.email_key(email)
        member = await people.member_with_email(work.db, work.actor.entity_id, key)
        if member is None:
            raise Refusal("RN006")
        return await shown(work, member)
    found = await shown(work, await pick(work, member_uuid, identifier))
    if email and text.email_key(found.primary_email or "") != text.email_key(email):
        raise malformed("primary_email", "is not the email of the member named beside it")
    return found


async def shown(work: Work, member: Member) -> Membership:
    """Give a member as administrators see it."""
    membership = await people.membership_of(work.db, member.id)
    if membership is None:
        raise Refusal("RN006")
    return membership


async def page(  # noqa: PLR0913 - the filters of the list
    work: Work,
    *,
    enum_profile_id: int | None = None,
    profile: str | None = None,
    state: str | None = None,
    group_uuid: str | None = None,
    search: str | None = None,
    updated_since: int | None = None,
    cursor: str | None,
    limit: int,
) -> tuple[list[Membership], str | None]:
    """Give a page of members, oldest first, and the next cursor.

    `limit` counts members, 1 to 1,000; `updated_since` is in microseconds since 1970. The Butler
    is among them only when asked for by profile. RB003: a role, state or cursor that is none.
    RN002: no such group.
    """
    role = _role(enum_profile_id, profile)
    if state is not None and state not in STATES:
        raise malformed("state", f"is none of {', '.join(STATES)}")
    group = None if group_uuid is None else await groups.pick(work, group_uuid)
    (after,) = read_cursor(cursor)
    found = await people.memberships(
        work.db,
        work.actor.entity_id,
        profile=role,
        state=state,
        group_id=group.id if group else None,
        like=pattern(search),
        updated_since=updated_since,
        after=after,
        limit=limit + 1,
    )
    following = cursor_after(found[limit - 1][0]) if len(found) > limit else None
    return [membership for _, membership in found[:limit]], following


def _role(enum_profile_id: int | None, profile: str | None) -> int | None:
    """Give the number of a role named by number, by name, or by both alike."""
    if enum_profile_id is not None and enum_profile_id not in PROFILES:
        raise malformed("enum_profile_id", "is no role")
    if profile is None:
        return enum_profile_id
    number = next((n for n, row in PROFILES.items() if row.name == profile), None)
    if number is None:
        raise malformed("profile", "is no role")
    if enum_profile_id not in {None, number}:
        raise malformed("profile", "is not the role of enum_profile_id")
    return number


async def pick(
    work: Work, member_uuid: str | None, identifier: str | None, known: Places | None = None
) -> Member:
    """Give the member named: RB785 neither, RB003 not the same member, RN006 nobody."""
    if not member_uuid and not identifier:
        raise Refusal("RB785", "Give entity_user_xref_uuid or identifier")
    by_uuid = by_identifier = None
    known = known or Places(work)
    if member_uuid:
        member_uuid = text.check_uuid("entity_user_xref_uuid", member_uuid)
        by_uuid = next(iter(await known.members_of([member_uuid])), None)
    if identifier:
        text.check("identifier", identifier, least=1, most=text.IDENTIFIER_MAX)
        by_identifier = next(iter(await known.members_identified([identifier])), None)
    member = by_uuid or by_identifier
    if member is None or (member_uuid and by_uuid is None):
        raise Refusal("RN006")
    if identifier and by_identifier != member:
        raise malformed("identifier", "does not belong to entity_user_xref_uuid")
    return member


# -- joining -------------------------------------------------------------------------------------

_HASHER: Final = PasswordHasher()
"""argon2id with the library's defaults (RFC 9106's second recommended set)."""


async def activate(
    work: Work,
    member_uuid: str,
    username: str,
    password: str,
    *,
    hasher: PasswordHasher | None = None,
    hashed: str | None = None,
) -> Member:
    """Complete a pending member's joining with a new account, for operators.

    `hashed` is what the password was hashed to before the work began: hashing takes long, and a
    server may be running. A cheap `hasher` is only for passwords that cannot be guessed, such as
    128 random bits.
    RN006: no such member. RB019: not pending. RB003: a user name or password that cannot be.
    RB013: the user name is taken.
    """
    member = await pick(work, member_uuid, None)
    if member.state != "pending":
        raise Refusal("RB019", f"The member is {member.state}, only a pending one can join")
    membership = await shown(work, member)
    accounts.check_password(password, username)
    await accounts.check_username(work, username)
    if hashed is None:
        hashed = (hasher or _HASHER).hash(text.password_form(password))
    account_id, account_uuid = await accounts.create(
        work, username, hashed, membership.primary_email, membership.primary_phone_number
    )
    await people.activate_member(work.db, member.id, account_id, times.now())
    await invitations.accepted(work, member)
    work.record(
        "member.joined",
        ids={"entity_user_xref_uuid": member.uuid, "account_uuid": account_uuid},
        subject=member.id,
    )
    return member
