"""Contacts: who may reach whom (product.md, section 3)."""

from collections.abc import Sequence
from typing import Final

from onrecord.domain.places import Places
from onrecord.model import text
from onrecord.model.access import MemberRef
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Contact, Member, pattern
from onrecord.store import contacts as rows
from onrecord.store import people
from onrecord.store.work import Work

REACHABLE_STATES: Final = frozenset({"active", "suspended"})
PAGE_STREAMED: Final = 1000
"""Contacts read in one go where all are asked for."""


async def named(
    work: Work,
    uuids: Sequence[str] | None,
    identifiers: Sequence[str] | None = None,
    known: Places | None = None,
    *,
    field: str = "entity_user_xref_uuids",
) -> list[Member]:
    """Give the members named by uuid or identifier, each once, in the order named.

    `field` is what the list of uuids is called. RB785 when neither list was given, RB003 for what
    is no UUID, RN006 for a member that is not.
    """
    if uuids is None and identifiers is None:
        raise Refusal("RB785", "Give entity_user_xref_uuids or identifiers")
    wanted = text.check_uuids(field, uuids or ())
    known_as = list(dict.fromkeys(identifiers or ()))
    for identifier in known_as:
        text.check("identifiers", identifier, least=1, most=text.IDENTIFIER_MAX)
    known = known or Places(work)
    found = {member.uuid: member for member in await known.members_of(wanted)}
    identified = {one.identifier: one for one in await known.members_identified(known_as)}
    unknown = [name for name in (*wanted, *known_as) if name not in found | identified]
    if unknown:
        raise Refusal("RN006", f"{unknown[0][:60]} is no member")
    in_order = [
        *(found[uuid] for uuid in wanted),
        *(identified[identifier] for identifier in known_as),
    ]
    return list({member.id: member for member in in_order}.values())


async def check_reachable(work: Work, acting: MemberRef, others: Sequence[Member]) -> None:
    """Refuse unless the acting member may reach each of the others.

    A client reaches the staff in the own groups. Staff reach all other staff, and the clients in
    the own groups. RF007 for staff across a barrier, RF003 for somebody who can be seen in a
    shared chat but not reached, RN006 for somebody who cannot be seen at all: to the caller they
    do not exist.
    """
    ids = [other.id for other in others]
    if acting.is_staff:
        beyond = await rows.staff_beyond(work.db, acting.id, ids)
        if any(other.id in beyond and other.state in REACHABLE_STATES for other in others):
            raise Refusal("RF007")
    in_groups = await rows.sharing_a_group(work.db, acting.id, ids)
    strangers = [
        other for other in others if not _reaches(acting, other, shares=other.id in in_groups)
    ]
    if not strangers:
        return
    seen = await rows.sharing_a_chat(work.db, acting.id, [other.id for other in strangers])
    if all(stranger.id in seen for stranger in strangers):
        raise Refusal("RF003")
    raise Refusal("RN006", "One of the members does not exist, or cannot be seen")


def _reaches(acting: MemberRef, other: Member, *, shares: bool) -> bool:
    if other.state not in REACHABLE_STATES:
        return False
    if acting.is_staff:
        return other.is_staff or (other.is_client and shares)
    return other.is_staff and shares


async def check_barriers(work: Work, member_ids: Sequence[int]) -> None:
    """Refuse (RF007) when any two staff among the members stand across a barrier."""
    if await rows.barrier_among(work.db, member_ids):
        raise Refusal("RF007")


def check_identifier(value: str | None) -> str | None:
    """Give the identifier, None for an empty one; RB003 when it cannot be one."""
    if not value:
        return None
    text.check("identifier", value, least=1, most=text.IDENTIFIER_MAX)
    if value != value.strip():
        raise malformed("identifier", "starts or ends with white space")
    return value


# -- the contacts of a member --------------------------------------------------------------------


async def view(work: Work, member_uuid: str | None, identifier: str | None) -> Contact:
    """Give a contact of the acting member, or the acting member.

    RB785: nobody was named. RB003: uuid and identifier of two people. RF007, RF003, RN006: as
    `check_reachable`.
    """
    acting = _acting(work)
    member = await _found(work, member_uuid, identifier)
    if member.id != acting.id:
        await check_reachable(work, acting, [member])
    _check_identifier_of(member, identifier)
    (contact,) = await rows.contacts_of(work.db, [member.id], acting)
    return contact


async def visible(work: Work, member_uuid: str | None, identifier: str | None) -> Member:
    """Give somebody the acting member sees: oneself, a contact, or whom one met in a chat.

    RB785: nobody was named. RB003: uuid and identifier of two people. RF007: beyond a barrier.
    RN006: nobody whom the acting member sees.
    """
    acting = _acting(work)
    member = await _found(work, member_uuid, identifier)
    if member.id != acting.id:
        try:
            await check_reachable(work, acting, [member])
        except Refusal as refusal:
            if refusal.code != "RF003":
                raise
    _check_identifier_of(member, identifier)
    return member


async def _found(work: Work, member_uuid: str | None, identifier: str | None) -> Member:
    """Give the member named, of whom nothing may be told yet."""
    if not member_uuid and not identifier:
        raise Refusal("RB785")
    entity_id = work.actor.entity_id
    if member_uuid:
        member_uuid = text.check_uuid("entity_user_xref_uuid", member_uuid)
        member = await people.member_of(work.db, entity_id, member_uuid)
    else:
        member = await people.member_identified(work.db, entity_id, identifier or "")
    if member is None:
        raise Refusal("RN006")
    return member


def _check_identifier_of(member: Member, identifier: str | None) -> None:
    """Hold the identifier against the member that was found.

    Only now: whoever may not see a member is not told the identifier by trying.
    """
    if identifier and member.identifier != identifier:
        raise malformed("identifier", "does not belong to entity_user_xref_uuid")


async def page(
    work: Work, *, search: str | None, include_directory: bool, cursor: str | None, limit: int
) -> tuple[list[Contact], str | None]:
    """Give a page of the acting member's contacts, oldest member first, and the next cursor.

    A client's are the staff in the own groups, whatever is asked. A staff member's are all members
    of the own groups, with `include_directory` all other staff too; nobody across a barrier.
    `limit` counts contacts, 1 to 1,000. RB003: a cursor that is none of ours.
    """
    acting = _acting(work)
    (after,) = read_cursor(cursor)
    ids = await rows.contact_ids(
        work.db,
        work.actor.entity_id,
        acting,
        directory=include_directory,
        like=pattern(search, contacts=True),
        after=after,
        limit=limit + 1,
    )
    found = await rows.contacts_of(work.db, ids[:limit], acting) if ids else []
    return found, cursor_after(ids[limit - 1]) if len(ids) > limit else None


def _acting(work: Work) -> MemberRef:
    if work.actor.member is None:
        raise Refusal("RF004")
    return work.actor.member
