"""Rows of the System API about the life of a member: edits, role, state (contract, section 4)."""

from typing import Any, Final

from onrecord.domain import members, membership, profiles
from onrecord.model.people import Member, Membership
from onrecord.store.work import Work
from onrecord.web import slices
from onrecord.web.call import Call
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes
from onrecord.web.entity_service import BASE, OneMember


class NameMember(Takes):
    """Which member."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None


async def _named(work: Work, taken: NameMember) -> Member:
    return await members.pick(work, taken.entity_user_xref_uuid, taken.identifier)


async def _told(work: Work, member: Member) -> OneMember:
    """Give the member as it has become."""
    await work.settle()
    return OneMember(await members.shown(work, member))


# -- edits ---------------------------------------------------------------------------------------


class UpdateMember(Takes):
    """Which member, and the new values.

    Beside `entity_user_xref_uuid`, `identifier` is the new one; without it, or beside another
    `new_identifier`, `identifier` says which member.
    """

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None
    new_identifier: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    job_title: str | None = None
    emails: list[str] | None = None
    phone_numbers: list[str] | None = None


async def update_member(work: Work, taken: UpdateMember) -> OneMember:
    """Change names, identifier or the contact card of a member."""
    new_identifier = taken.new_identifier
    if taken.entity_user_xref_uuid:
        named = None if new_identifier in {None, taken.identifier} else taken.identifier
        member = await members.pick(work, taken.entity_user_xref_uuid, named)
        new_identifier = taken.identifier if new_identifier is None else new_identifier
    else:
        member = await members.pick(work, None, taken.identifier)
    values = profiles.NewValues(
        first_name=taken.first_name,
        last_name=taken.last_name,
        job_title=taken.job_title,
        identifier=new_identifier,
        emails=taken.emails,
        phone_numbers=taken.phone_numbers,
    )
    await profiles.change(work, member, values)
    return await _told(work, member)


class UpdateEmails(NameMember):
    """Which member, and new emails: the primary one, those on the card, or both."""

    primary_email: str | None = None
    emails: list[str] | None = None


async def update_emails(work: Work, taken: UpdateEmails) -> OneMember:
    """Change the emails of a member, each layer for itself."""
    member = await _named(work, taken)
    values = profiles.NewValues(primary_email=taken.primary_email, emails=taken.emails)
    await profiles.change(work, member, values)
    return await _told(work, member)


class UpdatePhoneNumbers(NameMember):
    """Which member, and new phone numbers: the primary one, those on the card, or both."""

    primary_phone_number: str | None = None
    phone_numbers: list[str] | None = None


async def update_phone_numbers(work: Work, taken: UpdatePhoneNumbers) -> OneMember:
    """Change the phone numbers of a member, each layer for itself."""
    member = await _named(work, taken)
    values = profiles.NewValues(
        primary_phone_number=taken.primary_phone_number, phone_numbers=taken.phone_numbers
    )
    await profiles.change(work, member, values)
    return await _told(work, member)


class UpdateProfile(NameMember):
    """Which member, and the new role, reviewer's level, or both."""

    enum_profile_id: int | None = None
    data_reviewer_level: int | None = None


async def update_profile(work: Work, taken: UpdateProfile) -> OneMember:
    """Give a member another role of the same side, or another reviewer's level."""
    member = await _named(work, taken)
    await profiles.change_role(work, member, taken.enum_profile_id, taken.data_reviewer_level)
    return await _told(work, member)


# -- states --------------------------------------------------------------------------------------


async def suspend_member(work: Work, taken: NameMember) -> OneMember:
    """Keep a member from acting for the time being."""
    member = await _named(work, taken)
    await membership.suspend(work, member)
    return await _told(work, member)


async def unsuspend_member(work: Work, taken: NameMember) -> OneMember:
    """Let a suspended member act again."""
    member = await _named(work, taken)
    await membership.unsuspend(work, member)
    return await _told(work, member)


async def destroy_member(call: Call, taken: NameMember) -> Answer:
    """End a membership; who is in more than 500 chats and groups leaves them in slices."""

    async def plan(work: Work) -> list[membership.Step]:
        return await membership.ending(work, await _named(work, taken))

    async def end(work: Work, steps: list[membership.Step]) -> list[Membership]:
        member = await _named(work, taken)
        await membership.end(work, member, steps)
        return [(await _told(work, member)).entity_membership]

    return await slices.answered(
        call,
        slices.Sliced(
            membership.SLICE,
            plan,
            end,
            lambda results: OneMember(results[-1]),
            list[membership.Step],
            list[Membership],
        ),
    )


async def restore_member(work: Work, taken: NameMember) -> OneMember:
    """Bring an inactive member back."""
    member = await _named(work, taken)
    await membership.restore(work, member)
    return await _told(work, member)


_MEMBER: Final = f"{BASE}/entity-memberships"
_CHANGE: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_write_admin",),
    "gives": OneMember,
    "tags": ("Members",),
}
_WRITE: Final[dict[str, Any]] = {**_CHANGE, "mode": "write"}

ROWS: Final = (
    Endpoint(
        path=f"{_MEMBER}/update",
        summary="Change a member's names, identifier or contact card",
        takes=UpdateMember,
        refusals=("RB013", "RB035", "RB785", "RN006"),
        writes=("member.updated",),
        handler=update_member,
        **_WRITE,
    ),
    Endpoint(
        path=f"{_MEMBER}/emails/update",
        summary="Change a member's primary email or those on the contact card",
        takes=UpdateEmails,
        refusals=("RB014", "RB035", "RB785", "RN006"),
        writes=("member.updated", "invitation.made"),
        handler=update_emails,
        **_WRITE,
    ),
    Endpoint(
        path=f"{_MEMBER}/phone-numbers/update",
        summary="Change a member's primary phone number or those on the contact card",
        takes=UpdatePhoneNumbers,
        refusals=("RB035", "RB785", "RN006"),
        writes=("member.updated",),
        handler=update_phone_numbers,
        **_WRITE,
    ),
    Endpoint(
        path=f"{_MEMBER}/profile/update",
        summary="Change a member's role or reviewer's level",
        takes=UpdateProfile,
        refusals=("RB010", "RB018", "RB035", "RB785", "RN006"),
        writes=("member.role_changed", "member.reviewer_level_changed"),
        handler=update_profile,
        **_WRITE,
    ),
    Endpoint(
        path=f"{_MEMBER}/suspend",
        summary="Suspend a member",
        takes=NameMember,
        refusals=("RB011", "RB018", "RB019", "RB035", "RB785", "RN006"),
        writes=("member.suspended",),
        handler=suspend_member,
        **_WRITE,
    ),
    Endpoint(
        path=f"{_MEMBER}/unsuspend",
        summary="Let a suspended member act again",
        takes=NameMember,
        refusals=("RB019", "RB035", "RB785", "RN006"),
        writes=("member.unsuspended",),
        handler=unsuspend_member,
        **_WRITE,
    ),
    Endpoint(
        path=f"{_MEMBER}/destroy",
        summary="End a membership, or revoke a pending one",
        takes=NameMember,
        refusals=("RB011", "RB018", "RB019", "RB035", "RB785", "RN006"),
        writes=(
            "member.destroyed",
            "invitation.revoked",
            "key.deactivated",
            "group.member_removed",
            "participant.left",
            "chat.discarded",
        ),
        handler=destroy_member,
        mode="script",
        **_CHANGE,
    ),
    Endpoint(
        path=f"{_MEMBER}/restore",
        summary="Bring an inactive member back",
        takes=NameMember,
        refusals=("RB019", "RB020", "RB035", "RB785", "RN002", "RN006"),
        writes=("member.restored", "group.member_added"),
        handler=restore_member,
        **_WRITE,
    ),
)
