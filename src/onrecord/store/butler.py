"""The Butler's audience and its chats, many at a time."""

from collections.abc import Mapping, Sequence

from onrecord.model import text
from onrecord.store import chats
from onrecord.store.db import Insert, Row, Session
from onrecord.store.record import ChatTip


async def groups_known(session: Session, entity_id: int, uuids: Sequence[str]) -> int:
    """Count how many of these are groups of the organisation."""
    row = await session.one(
        f"SELECT COUNT(*) FROM client_group WHERE entity_id = $1 AND uuid {session.among('$2')}",
        entity_id,
        session.many(uuids),
    )
    return int(row[0]) if row else 0


async def audience(
    session: Session, entity_id: int, profiles: Sequence[int], group_uuids: Sequence[str]
) -> Sequence[Row]:
    """Give (id, uuid) of active and suspended members of these roles or groups, oldest first."""
    if not profiles and not group_uuids:
        return []
    return await session.all(
        "SELECT m.id, m.uuid FROM member m WHERE m.entity_id = $1"
        " AND m.state IN ('active', 'suspended') AND m.profile <= 5"
        f" AND (m.profile {session.among('$2')} OR m.id IN (SELECT gm.member_id"
        " FROM client_group g JOIN group_member gm ON gm.group_id = g.id"
        f" WHERE g.entity_id = $1 AND g.uuid {session.among('$3')})) ORDER BY m.id",
        entity_id,
        session.many(profiles),
        session.many(group_uuids),
    )


async def butler_tips(session: Session, member_ids: Sequence[int]) -> dict[int, ChatTip]:
    """Lock the Butler chats of members and give their ends, in the order of their ids."""
    found = await session.all(
        f"SELECT c.butler_member_id, {chats.TIP} FROM {session.chats} c"
        f" WHERE c.butler_member_id {session.among('$1')} ORDER BY c.id{session.for_update}",
        session.many(member_ids),
    )
    return {member_id: ChatTip(*rest) for member_id, *rest in found}


async def add_butler_chats(
    session: Session,
    entity_id: int,
    butler_id: int,
    title: str,
    uuids: Mapping[int, str],
    at: int,
) -> dict[int, int]:
    """Add the Butler chats of members (id → uuid of the chat); give their internal ids."""
    columns = (
        "INSERT INTO chat (uuid, butler_member_id, entity_id, title, title_key, state,"
        " is_staff_only, created_by_id, created_at)"
    )
    key = text.search_key(title)
    if session.dialect == "postgresql":
        added = await session.all(
            f"{columns} SELECT n.uuid, n.member_id, $3, $4, $5, '{chats.ACTIVE}', 0, $6, $7"
            " FROM unnest($1::text[], $2::bigint[]) AS n (uuid, member_id)"
            " RETURNING butler_member_id, id",
            list(uuids.values()),
            list(uuids),
            entity_id,
            title,
            key,
            butler_id,
            at,
        )
    else:
        added = await session.each(
            f"{columns} VALUES ($1, $2, $3, $4, $5, '{chats.ACTIVE}', 0, $6, $7)"
            " RETURNING butler_member_id, id",
            [
                (chat_uuid, member_id, entity_id, title, key, butler_id, at)
                for member_id, chat_uuid in uuids.items()
            ],
        )
    return {row[0]: row[1] for row in added}


async def add_participants_since(session: Session, joined: Sequence[tuple[int, int, int]]) -> None:
    """Add active participants who see all from a position: (chat_id, member_id, position)."""
    await session.write(
        Insert(
            "participant",
            ["chat_id", "member_id", "since_position", "state"],
            [(*row, chats.ACTIVE) for row in joined],
        )
    )
