"""Contacts: who sees whom now, and the entries that tell who saw whom once."""

from collections.abc import Sequence
from typing import Any, Final

from onrecord.model.access import PROFILES, MemberRef
from onrecord.model.people import Contact
from onrecord.store import groups
from onrecord.store.db import Row, Session
from onrecord.store.people import stored_list

_REACHABLE: Final = "m.state IN ('active', 'suspended')"


async def sharing_a_group(session: Session, member_id: int, others: Sequence[int]) -> set[int]:
    """Give those of `others` who are in an active group with the member."""
    rows = await session.all(
        "SELECT DISTINCT b.member_id FROM group_member a"
        " JOIN client_group g ON g.id = a.group_id AND g.state = 'active'"
        " JOIN group_member b ON b.group_id = a.group_id"
        f" WHERE a.member_id = $1 AND b.member_id {session.among('$2')}",
        member_id,
        session.many(others),
    )
    return {row[0] for row in rows}


async def sharing_a_chat(session: Session, member_id: int, others: Sequence[int]) -> set[int]:
    """Give those of `others` who are or were in a chat that has begun with the member."""
    rows = await session.all(
        "SELECT DISTINCT b.member_id FROM participant a"
        " JOIN chat c ON c.id = a.chat_id AND c.state = 'active'"
        " JOIN participant b ON b.chat_id = a.chat_id"
        f" WHERE a.member_id = $1 AND b.member_id {session.among('$2')}",
        member_id,
        session.many(others),
    )
    return {row[0] for row in rows}


async def groups_beyond(session: Session, member_id: int) -> list[int]:
    """Give the ids of the groups to which the groups of a staff member have a barrier."""
    rows = await session.all(
        "SELECT w.other_group_id FROM group_member a JOIN barrier w ON w.group_id = a.group_id"
        " WHERE a.member_id = $1 UNION"
        " SELECT w.group_id FROM group_member a JOIN barrier w ON w.other_group_id = a.group_id"
        " WHERE a.member_id = $1",
        member_id,
    )
    return [row[0] for row in rows]


async def staff_beyond(session: Session, member_id: int, others: Sequence[int]) -> set[int]:
    """Give those of `others` who are staff on the other side of a barrier of a staff member."""
    beyond = await groups_beyond(session, member_id)
    if not beyond:
        return set()
    rows = await session.all(
        "SELECT b.member_id FROM group_member b JOIN member m ON m.id = b.member_id"
        f" WHERE b.member_id {session.among('$1')} AND b.group_id {session.among('$2')}"
        " AND m.profile <= 3",
        session.many(others),
        session.many(beyond),
    )
    return {row[0] for row in rows}


async def barrier_among(session: Session, member_ids: Sequence[int]) -> bool:
    """Whether any two staff among the members stand across a barrier."""
    among = session.among("$1")
    row = await session.one(
        "SELECT 1 FROM barrier w JOIN group_member a ON a.group_id = w.group_id"
        " JOIN group_member b ON b.group_id = w.other_group_id"
        " JOIN member ma ON ma.id = a.member_id AND ma.profile <= 3"
        " JOIN member mb ON mb.id = b.member_id AND mb.profile <= 3"
        f" WHERE a.member_id {among} AND b.member_id {among} LIMIT 1",
        session.many(member_ids),
    )
    return row is not None


# -- the list ------------------------------------------------------------------------------------


async def contact_ids(
    session: Session,
    entity_id: int,
    acting: MemberRef,
    *,
    directory: bool,
    like: str | None,
    after: int,
    limit: int,
) -> list[int]:
    """Give the ids of at most `limit` contacts above the id `after`, ascending.

    With `directory`, all staff count for a staff member. `like` is compared with the search key.
    """
    found = await session.all(
        "SELECT gm.group_id FROM group_member gm JOIN client_group g ON g.id = gm.group_id"
        " WHERE gm.member_id = $1 AND g.state = 'active'",
        acting.id,
    )
    group_ids = [row[0] for row in found]
    values: list[Any] = [acting.id, limit]
    wanted = f"{_REACHABLE} AND m.id <> $1"
    if like is not None:
        values.append(like)
        wanted += " AND m.search_key LIKE $3 ESCAPE '\\'"
    beyond = await groups_beyond(session, acting.id) if acting.is_staff else []
    if beyond:
        values.append(session.many(beyond))
        wanted += (
            " AND NOT (m.profile <= 3 AND EXISTS (SELECT 1 FROM group_member b"
            f" WHERE b.member_id = m.id AND b.group_id {session.among(f'${len(values)}')}))"
        )
    place = len(values) + 1

    async def read(which: str, *more: Any) -> list[int]:
        rows = await session.all(
            f"SELECT m.id FROM member m WHERE {wanted} AND {which} ORDER BY m.id LIMIT $2",
            *values,
            *more,
        )
        return [row[0] for row in rows]

    # A firm has few staff, a group may have many clients: each is read by its own index.
    staff = f"m.entity_id = ${place} AND m.profile IN (1, 2, 3) AND m.id > ${place + 1}"
    if acting.is_client:
        shares = (
            " AND EXISTS (SELECT 1 FROM group_member b WHERE b.member_id = m.id"
            f" AND b.group_id {session.among(f'${place + 2}')})"
        )
        return await read(staff + shares, entity_id, after, session.many(group_ids))
    ids = await groups.kept_in_groups(
        session,
        group_ids,
        lambda some: read(f"m.id {session.among(f'${place}')}", session.many(some)),
        after=after,
        limit=limit,
    )
    if directory:
        until = ids[-1] if len(ids) == limit else 2**62
        staff += f" AND m.id <= ${place + 2}"
        ids = sorted({*ids, *await read(staff, entity_id, after, until)})
    return ids[:limit]


async def contacts_of(
    session: Session, member_ids: Sequence[int], acting: MemberRef
) -> list[Contact]:
    """Give members as the acting member sees them, by id."""
    rows = await session.all(
        "SELECT m.id, m.uuid, m.identifier, m.profile, m.first_name, m.last_name, m.job_title,"
        " m.emails, m.phone_numbers, m.state, m.has_avatar FROM member m"
        f" WHERE m.id {session.among('$1')} ORDER BY m.id",
        session.many(member_ids),
    )
    return [_contact(row, acting) for row in rows]


def _contact(row: Row, acting: MemberRef) -> Contact:
    return Contact(
        entity_user_xref_uuid=row[1],
        identifier=row[2],
        enum_profile_id=row[3],
        profile=PROFILES[row[3]].name,
        first_name=row[4],
        last_name=row[5],
        job_title=row[6],
        emails=stored_list(row[7]),
        phone_numbers=stored_list(row[8]),
        status="available" if row[9] == "active" else "unavailable",
        has_avatar=bool(row[10]),
        is_me=row[0] == acting.id,
    )


# -- what was so at a position -------------------------------------------------------------------


async def entries_about(
    session: Session, member_id: int, after: int, until: int, limit: int
) -> Sequence[Row]:
    """Give (position, leaf) of at most `limit` entries about a member, outside chats, in order."""
    return await session.all(
        "SELECT position, leaf FROM entry WHERE subject_id = $1 AND chat_id IS NULL"
        " AND position > $2 AND position <= $3 ORDER BY position LIMIT $4",
        member_id,
        after,
        until,
        limit,
    )


async def general_entries(
    session: Session, entity_id: int, after: int, until: int, limit: int
) -> Sequence[Row]:
    """Give (position, leaf) of at most `limit` entries about no chat and no member, in order."""
    return await session.all(
        "SELECT position, leaf FROM entry WHERE entity_id = $1 AND chat_id IS NULL"
        " AND subject_id IS NULL AND position > $2 AND position <= $3 ORDER BY position LIMIT $4",
        entity_id,
        after,
        until,
        limit,
    )


async def leaf_at(session: Session, entity_id: int, position: int) -> bytes:
    """Give the stored bytes of the entry at a position that there is."""
    row = await session.one(
        "SELECT leaf FROM entry WHERE entity_id = $1 AND position = $2", entity_id, position
    )
    assert row is not None  # noqa: S101 - positions are without gaps
    return bytes(row[0])
