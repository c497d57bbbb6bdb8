"""Members: how a person comes into an organisation (product.md, section 2)."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from argon2 import PasswordHasher

from onrecord.domain import contacts, groups
from onrecord.model import text, times
from onrecord.model.access import (
    BUTLER,
    CAN_LOG_IN,
    INSTALLATION_ID,
    INSTALLATION_UUID,
    PROFILES,
    Actor,
    operator,
)
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import Group, Member, Membership, member_search_key, pattern
from onrecord.store import access, people
from onrecord.store import groups as group_rows
from onrecord.store.work import Work

STATES: Final = ("pending", "active", "suspended", "inactive")
PAGE_STREAMED: Final = 1000
"""Members read in one go where all are asked for."""
INVITATION_TYPES: Final = ("email_only", "email_and_phone", "optional_phone")


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

    RB003: a field is wrong. RB002: no phone number where the organisation asks for one. RB013,
    RB014: identifier or email in use, by an inactive member too. RN006: no such creator. RF006: a
    creator of the client side. RN002, RB019, RB020: no such group, an inactive one, or one without
    active staff for a client. RF007: staff into groups on both sides of a barrier.
    """
    if new.new_group_entity_user_xref_uuids and not new.new_group_name:
        raise missing("new_group_name")
    if new.enum_profile_id not in CAN_LOG_IN:
        raise malformed("enum_profile_id", "is not a role from 1 to 5")
    entity_id = work.actor.entity_id
    creator = await _creator(work, new.created_by_entity_user_xref_uuid)
    identifier = contacts.check_identifier(new.identifier)
    email = text.check_email("primary_email", new.primary_email)
    phone = await _phone(work, new)
    text.check("invitation_message", new.invitation_message, least=0, most=5000)
    if identifier and await people.member_identified(work.db, entity_id, identifier):
        raise Refusal("RB013")
    if await people.member_with_email(work.db, entity_id, text.email_key(email)):
        raise Refusal("RB014")
    wanted_groups = await _groups(work, new)
    invitation = {"state": "not_sent", "message": new.invitation_message}
    member = await add(
        work,
        profile=new.enum_profile_id,
        first_name=text.check("first_name", new.first_name, least=1, most=text.NAME_MAX),
        last_name=text.check("last_name", new.last_name, least=0, most=text.NAME_MAX),
        job_title=text.check("job_title", new.job_title, least=0, most=text.NAME_MAX),
        identifier=identifier,
        email=email,
        phone=phone,
        created_by=creator,
        invitation=invitation if new.send_invitation else None,
        actor=_shown_as(work, new, creator),
    )
    for group in wanted_groups:
        await groups.put_into_group(work, group, member)
    if not wanted_groups and member.is_client and not new.new_group_name:
        await _put_into_default_group(work, member)
    if new.new_group_name:
        return member, await _new_group(work, new, member, creator)
    return member, None


def _shown_as(work: Work, new: NewMember, creator: Member | None) -> Actor:
    """Give the actor with the creator shown as author, where the caller named one."""
    if creator is None or not new.created_by_entity_user_xref_uuid:
        return work.actor
    return replace(work.actor, member=creator.ref)


async def _creator(work: Work, named: str | None) -> Member | None:
    entity_id = work.actor.entity_id
    if not named:
        return await people.first_system_admin(work.db, entity_id)
    creator = await people.member_of(
        work.db, entity_id, text.check_uuid("created_by_entity_user_xref_uuid", named)
    )
    if creator is None:
        raise Refusal("RN006", "created_by_entity_user_xref_uuid is no member")
    if not creator.is_staff:
        raise Refusal("RF006", "Only staff can invite")
    if creator.state != "active":
        raise Refusal("RF024", "created_by_entity_user_xref_uuid is not active")
    return creator


async def _phone(work: Work, new: NewMember) -> str | None:
    phone = new.primary_phone_number
    if phone:
        return text.check_phone("primary_phone_number", phone)
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    staff = PROFILES[new.enum_profile_id].is_staff
    name = "staff_invitation_type" if staff else "client_invitation_type"
    if entity and entity.settings.get(name) == "email_and_phone":
        raise missing("primary_phone_number")
    return None


async def _groups(work: Work, new: NewMember) -> list[Group]:
    wanted = text.check_uuids("group_uuids", new.group_uuids)
    found = await group_rows.groups_of(work.db, work.actor.entity_id, wanted)
    if len(found) != len(wanted):
        raise Refusal("RN002")
    client = PROFILES[new.enum_profile_id].is_client
    for group in found:
        if group.state != "active":
            raise Refusal("RB019", "The group is inactive")
        if client and not await group_rows.has_active_staff(work.db, group.id):
            raise Refusal("RB020")
    return found


async def add(  # noqa: PLR0913 - what a member row is made of
    work: Work,
    *,
    profile: int,
    first_name: str,
    last_name: str,
    job_title: str = "",
    identifier: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    created_by: Member | None = None,
    invitation: dict[str, str] | None = None,
    state: str = "pending",
    actor: Actor | None = None,
) -> Member:
    """Add the row and the entry of a member; the values are checked already."""
    actor = actor or work.actor
    now = times.now()
    member_uuid = str(uuid.uuid4())
    number = await people.add_member(
        work.db,
        {
            "uuid": member_uuid,
            "entity_id": actor.entity_id,
            "identifier": identifier,
            "profile": profile,
            "first_name": first_name,
            "last_name": last_name,
            "job_title": job_title,
            "primary_email": email,
            "email_key": text.email_key(email) if email else None,
            "primary_phone_number": phone,
            "emails": json.dumps([email] if email else []),
            "phone_numbers": json.dumps([phone] if phone else []),
            "state": state,
            "invitation": json.dumps(invitation) if invitation else None,
            "search_key": member_search_key(
                first_name, last_name, identifier, [email] if email else [], email
            ),
            "created_by_id": created_by.id if created_by else None,
            "created_at": now,
            "updated_at": now,
        },
    )
    work.record(
        "member.created",
        actor=actor,
        ids={"entity_user_xref_uuid": member_uuid},
        data={"enum_profile_id": profile, "state": state},
        parts={
            "profile": {
                "first_name": first_name,
                "last_name": last_name,
                "job_title": job_title,
                "identifier": identifier,
                "primary_email": email,
                "primary_phone_number": phone,
            }
        },
        subject=number,
    )
    return Member(
        id=number,
        uuid=member_uuid,
        entity_id=actor.entity_id,
        identifier=identifier,
        profile=profile,
        first_name=first_name,
        last_name=last_name,
        state=state,
    )


async def _put_into_default_group(work: Work, member: Member) -> None:
    group = await group_rows.default_group(work.db, work.actor.entity_id)
    if group is None:
        raise Refusal("RN002", "The organisation has no default group")
    if not await group_rows.has_active_staff(work.db, group.id):
        admin = await people.first_system_admin(work.db, work.actor.entity_id)
        if admin is None or admin.state != "active":
            raise Refusal("RB020", "The default group has no active staff member")
        await groups.put_into_group(work, group, admin)
    await groups.put_into_group(work, group, member)


async def _new_group(work: Work, new: NewMember, member: Member, creator: Member | None) -> str:
    """Make the group asked for with the new member; the creator joins when no staff would."""
    others = await contacts.named(work, new.new_group_entity_user_xref_uuids)
    if any(other.state == "inactive" or other.profile == BUTLER for other in others):
        raise Refusal("RN006", "One of the members does not exist")
    people_in = [*others]
    if not any(other.is_staff and other.state == "active" for other in others):
        if creator is None or creator.state != "active":
            raise Refusal("RB020")
        people_in.append(creator)
    group = await groups.add_group(work, new.new_group_name)
    await groups.put_into_group(work, group, *people_in, member)
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


async def pick(work: Work, member_uuid: str | None, identifier: str | None) -> Member:
    """Give the member named: RB785 neither, RB003 not the same member, RN006 nobody."""
    if not member_uuid and not identifier:
        raise Refusal("RB785", "Give entity_user_xref_uuid or identifier")
    by_uuid = by_identifier = None
    entity_id = work.actor.entity_id
    if member_uuid:
        member_uuid = text.check_uuid("entity_user_xref_uuid", member_uuid)
        by_uuid = await people.member_of(work.db, entity_id, member_uuid)
    if identifier:
        text.check("identifier", identifier, least=1, most=text.IDENTIFIER_MAX)
        by_identifier = await people.member_identified(work.db, entity_id, identifier)
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
) -> Member:
    """Complete a pending member's joining with a new account, for operators.

    A cheap `hasher` is only for passwords that cannot be guessed, such as 128 random bits.
    RN006: no such member. RB019: not pending. RB003: a user name or password that cannot be.
    RB013: the user name is taken.
    """
    member = await pick(work, member_uuid, None)
    if member.state != "pending":
        raise Refusal("RB019", f"The member is {member.state}, only a pending one can join")
    membership = await shown(work, member)
    text.check_password(password)
    hashed = (hasher or _HASHER).hash(password)
    account_id, account_uuid = await _add_account(work, membership, username, hashed)
    await people.activate_member(work.db, member.id, account_id, times.now())
    work.record(
        "member.joined",
        ids={"entity_user_xref_uuid": member.uuid, "account_uuid": account_uuid},
        subject=member.id,
    )
    return member


async def _add_account(
    work: Work, membership: Membership, username: str, password_hash: str
) -> tuple[int, str]:
    text.check_username(username)
    if await access.account_named(work.db, username):
        raise Refusal("RB013", "The user name is taken")
    account_uuid = str(uuid.uuid4())
    number = await access.add_account(
        work.db,
        account_uuid,
        username,
        password_hash,
        membership.primary_email,
        membership.primary_phone_number,
        times.now(),
    )
    work.record(
        "account.created",
        actor=operator(INSTALLATION_ID, INSTALLATION_UUID),
        ids={"account_uuid": account_uuid},
        parts={"profile": {"username": username, "email": membership.primary_email}},
    )
    return number, account_uuid
