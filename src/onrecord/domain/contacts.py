"""Contacts: who may reach whom (product.md, section 3)."""

from collections.abc import Sequence

from onrecord.model import text
from onrecord.model.access import MemberRef
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Member
from onrecord.store import people
from onrecord.store.work import Work

REACHABLE_STATES = frozenset({"active", "suspended"})


async def named(
    work: Work, uuids: Sequence[str] | None, identifiers: Sequence[str] | None = None
) -> list[Member]:
    """Give the members named by uuid or identifier, each once, in the order named.

    RB785 when neither list was given, RB003 for what is no UUID, RN006 for a member that is not.
    """
    if uuids is None and identifiers is None:
        raise Refusal("RB785")
    wanted = text.check_uuids("entity_user_xref_uuids", uuids or ())
    entity_id = work.actor.entity_id
    found = {member.uuid: member for member in await people.members_of(work.db, entity_id, wanted)}
    members: dict[int, Member] = {}
    for uuid in wanted:
        if uuid not in found:
            raise Refusal("RN006", "One of the members does not exist")
        members[found[uuid].id] = found[uuid]
    for identifier in identifiers or ():
        text.check("identifiers", identifier, least=1, most=text.IDENTIFIER_MAX)
        member = await people.member_identified(work.db, entity_id, identifier)
        if member is None:
            raise Refusal("RN006", "One of the members does not exist")
        members[member.id] = member
    return list(members.values())


async def check_reachable(work: Work, acting: MemberRef, others: Sequence[Member]) -> None:
    """Refuse unless the acting member may start a chat with each of the others.

    A client reaches the staff in the own groups. Staff reach all other staff, and the clients in
    the own groups. RF003 for somebody who can be seen in a shared chat but not reached, RN006 for
    somebody who cannot be seen at all: to the caller they do not exist.
    """
    in_groups = await people.sharing_a_group(work.db, acting.id, [other.id for other in others])
    strangers = [
        other for other in others if not _reaches(acting, other, shares=other.id in in_groups)
    ]
    if not strangers:
        return
    seen = await people.sharing_a_chat(work.db, acting.id, [other.id for other in strangers])
    if all(stranger.id in seen for stranger in strangers):
        raise Refusal("RF003")
    raise Refusal("RN006", "One of the members does not exist")


def _reaches(acting: MemberRef, other: Member, *, shares: bool) -> bool:
    if other.state not in REACHABLE_STATES:
        return False
    if acting.is_staff:
        return other.is_staff or (other.is_client and shares)
    return other.is_staff and shares


def check_identifier(value: str | None) -> str | None:
    """Give the identifier, None for an empty one; RB003 when it cannot be one."""
    if not value:
        return None
    text.check("identifier", value, least=1, most=text.IDENTIFIER_MAX)
    if value != value.strip():
        raise malformed("identifier", "starts or ends with white space")
    return value
