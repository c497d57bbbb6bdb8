"""Joining: from a link to an active member with an account (product.md, section 4)."""

from dataclasses import dataclass, replace
from typing import Any, Final

from onrecord.domain import (
    accounts,
    butler,
    invitations,
    jobs,
    organisation_settings,
    sessions,
    terms,
)
from onrecord.domain.invitations import Invited
from onrecord.model import times
from onrecord.model.access import service
from onrecord.model.chats import Recipient
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import Member
from onrecord.store import accounts as account_rows
from onrecord.store import invitations as store
from onrecord.store import people
from onrecord.store.work import Work

PURPOSE: Final = "join"
"""What the code is for that ends the joining."""
TOLD_MOST: Final = butler.SLICE - 1
"""Staff who are told of a new client in one work: with the welcome no more than a slice."""
TELL_STAFF: Final = "tell_staff"
"""The kind of the job that tells those who are left."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Who joined, and with which account."""

    member: Member
    entity_uuid: str
    account_id: int
    account_uuid: str


def within(work: Work, invited: Invited) -> Work:
    """Give the same work in the organisation invited to, acting as the member invited."""
    actor = replace(service(invited.entity.id, invited.entity.uuid), member=invited.member.ref)
    return Work(
        work.db,
        actor,
        work.origin,
        work.heads,
        work.pending,
        on_settled=work.on_settled,
        wake=work.wake,
    )


async def needs_phone(work: Work, invited: Invited) -> bool:
    """Whether the member must give a phone number: the organisation asks and knows none."""
    if invited.phone:
        return False
    side = "staff" if invited.member.is_staff else "client"
    setting = await organisation_settings.value(within(work, invited), f"{side}_invitation_type")
    return bool(setting == "email_and_phone")


async def phone_for(work: Work, invited: Invited, given: str | None) -> str | None:
    """Give the phone number of somebody who joins, checked already: the administrators' first.

    RB002: one is needed. RB003: another one than the administrators entered.
    """
    if invited.phone:
        if given is not None and given != invited.phone:
            raise malformed("phone_number", "is not the one that you were invited with")
        return invited.phone
    if given is None and await needs_phone(work, invited):
        raise missing("phone_number")
    return given


async def check_not_in(work: Work, invited: Invited, account_id: int) -> None:
    """Refuse (RB019) an account that is a member of the organisation already.

    Whose membership has ended may come back with a new one, under the same account.
    """
    if await store.is_member(work.db, invited.entity.id, account_id):
        raise Refusal("RB019", "This account is a member of the organisation already")


async def join(work: Work, payload: dict[str, Any]) -> Joined:
    """Complete a joining whose code was right: account, membership, terms, and the Butler's words.

    RU010: the link works no more, or the session it was accepted in is over. RB013: the user name
    was taken meanwhile. RB019: the account is a member already, or the terms have a newer version.
    """
    hashed = bytes.fromhex(payload["token_hash"])
    invited = await invitations.of_hash(work, hashed, locked=True)
    inside = within(work, invited)
    member = invited.member
    account_id, account_uuid = await _account(inside, invited, payload)
    if not await people.activate_member(work.db, member.id, account_id, times.now()):
        raise Refusal("RU010", "The membership has ended meanwhile")
    await invitations.accepted(inside, member)
    inside.record(
        "member.joined",
        ids={"entity_user_xref_uuid": member.uuid, "account_uuid": account_uuid},
        subject=member.id,
    )
    await terms.accept(inside, (account_id, account_uuid), member, payload["terms"])
    await _welcome(inside, invited)
    return Joined(member, invited.entity.uuid, account_id, account_uuid)


async def _account(work: Work, invited: Invited, payload: dict[str, Any]) -> tuple[int, str]:
    """Give the account that is known already, or make it; its user name is taken only now."""
    number = payload.get("account_id")
    if number is None:
        return await accounts.create(
            work, payload["username"], payload["password"], invited.email, payload["phone_number"]
        )
    known = await account_rows.account_by_id(work.db, number)
    if known is None:
        raise Refusal("RU010")
    # What opens a session of an account stands on the session it was asked for in.
    await sessions.check_lives(work.db, payload["session_id"])
    await check_not_in(work, invited, known.id)
    return known.id, known.uuid


async def _welcome(work: Work, invited: Invited) -> None:
    """Let the Butler welcome the member, and tell staff who share a group with a new client."""
    member = invited.member
    words = await organisation_settings.value(work, "butler_welcome_text")
    if words.strip():
        await butler.say(_voice(work), [Recipient(member.id, member.uuid)], words)
    if member.is_client:
        await tell_staff(work, member, 0)


async def tell_staff(work: Work, client: Member, after: int) -> int | None:
    """Tell the staff who share a group with a new client, those with an id above `after`.

    At most 500 in one work; a job tells the others. Gives the id of the last one told, None when
    that was everybody.
    """
    staff = await store.staff_beside(work.db, client.id, after, TOLD_MOST + 1)
    told, more = staff[:TOLD_MOST], len(staff) > TOLD_MOST
    if told:
        to = [Recipient(number, uuid) for number, uuid in told]
        name = " ".join(f"{client.first_name} {client.last_name}".split())
        # A name that looks like a placeholder must not become somebody else's.
        plain = name.replace("<", "(").replace(">", ")")
        await butler.say(_voice(work), to, f"{plain} has joined and can be written to now.")
    if not more:
        return None
    if after == 0:
        payload = {"member_id": client.id, "after": told[-1][0]}
        await jobs.enqueue(work, TELL_STAFF, payload)
    return told[-1][0]


def _voice(work: Work) -> Work:
    """Give the same work as OnRecord itself, which speaks through the Butler."""
    actor = service(work.actor.entity_id, work.actor.entity_uuid)
    return Work(work.db, actor, work.origin, work.heads, work.pending, on_settled=work.on_settled)
