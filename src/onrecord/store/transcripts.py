"""What a transcript reads besides the entries of its chat: of names, of keys, and of replies."""

from collections.abc import Iterable, Sequence
from typing import Final

from onrecord.store.db import Row, Session

SPAN: Final = 20_000
"""Positions looked through in one transaction for entries that are about nobody in particular."""


async def chat_of(session: Session, entity_id: int, uuid: str) -> tuple[int, str] | None:
    """Give internal id and state of a chat of the organisation, whatever became of it."""
    row = await session.one(
        "SELECT id, state FROM chat WHERE uuid = $1 AND entity_id = $2", uuid, entity_id
    )
    return None if row is None else (row[0], row[1])


async def entity_of_chat(session: Session, uuid: str) -> str | None:
    """Give the uuid of the organisation that a chat belongs to."""
    row = await session.one(
        "SELECT e.uuid FROM chat c JOIN entity e ON e.id = c.entity_id WHERE c.uuid = $1", uuid
    )
    return None if row is None else str(row[0])


async def messages_within(
    session: Session, chat_id: int, after: int, until: int
) -> tuple[int, int]:
    """Give the numbers of a chat's first and last message between two positions; (0, -1): none."""
    first = await session.one(
        "SELECT seq FROM message WHERE chat_id = $1 AND position > $2 ORDER BY seq LIMIT 1",
        chat_id,
        after,
    )
    last = await session.one(
        "SELECT seq FROM message WHERE chat_id = $1 AND position <= $2 ORDER BY seq DESC LIMIT 1",
        chat_id,
        until,
    )
    return (first[0], last[0]) if first and last and first[0] <= last[0] else (0, -1)


async def bytes_within(
    session: Session, entity_id: int, chat_id: int, after: int, until: int
) -> int:
    """Give how many bytes of text were said in a chat between two positions."""
    row = await session.one(
        "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM part WHERE entity_id = $1 AND chat_id = $2"
        " AND position > $3 AND position <= $4",
        entity_id,
        chat_id,
        after,
        until,
    )
    return int(row[0]) if row else 0


async def member_ids(session: Session, uuids: Iterable[str]) -> dict[str, int]:
    """Give the internal ids of members by uuid."""
    rows = await session.all(
        f"SELECT uuid, id FROM member WHERE uuid {session.among('$1')}", session.many(uuids)
    )
    return {str(row[0]): int(row[1]) for row in rows}


async def told_of_member(
    session: Session, entity_id: int, member_id: int, until: int
) -> tuple[Sequence[Row], Sequence[Row]]:
    """Give the entries about who a member is, up to a position, and their parts `profile`.

    Entries are (position, leaf), parts (position, data), both in order.
    """
    entries = await session.all(
        "SELECT position, leaf FROM entry WHERE subject_id = $1 AND chat_id IS NULL"
        f" AND position <= $2 AND {_holds(session)} ORDER BY position",
        member_id,
        until,
        b'"type":"member.',
    )
    parts = await session.all(
        "SELECT position, data FROM part WHERE entity_id = $1 AND chat_id = 0"
        f" AND position {session.among('$2')} AND name = 'profile' ORDER BY position",
        entity_id,
        session.many([row[0] for row in entries]),
    )
    return entries, parts


def _holds(session: Session) -> str:
    """Give the condition that the bytes $3 stand in an entry; the database looks, not Python."""
    return (
        "instr(leaf, $3) > 0" if session.dialect == "sqlite" else "position($3::bytea IN leaf) > 0"
    )


async def general_holding(
    session: Session, entity_id: int, span: tuple[int, int], word: bytes
) -> Sequence[Row]:
    """Give (position, leaf) of entries within a span of positions in which some bytes stand.

    Of those entries that are about neither a chat nor a member. Ends of the span: after, until.
    """
    found = (
        "instr(leaf, $4) > 0" if session.dialect == "sqlite" else "position($4::bytea IN leaf) > 0"
    )
    after, until = span
    return await session.all(
        "SELECT position, leaf FROM entry WHERE entity_id = $1 AND position > $2"
        " AND position <= $3 AND chat_id IS NULL AND subject_id IS NULL"
        f" AND {found} ORDER BY position",
        entity_id,
        after,
        until,
        word,
    )


async def part_at(session: Session, entity_id: int, position: int, name: str) -> bytes | None:
    """Give the bytes of a part of an entry that is in no chat; None where it is gone."""
    row = await session.one(
        "SELECT data FROM part WHERE entity_id = $1 AND chat_id = 0 AND position = $2"
        " AND name = $3",
        entity_id,
        position,
        name,
    )
    return None if row is None else bytes(row[0])


async def key_made(session: Session, uuid: str) -> tuple[int, int] | None:
    """Give of which organisation a key is, and when it was made: no entry tells of it before."""
    row = await session.one("SELECT entity_id, created_at FROM api_key WHERE uuid = $1", uuid)
    return None if row is None else (row[0], row[1])


async def said_at(
    session: Session, entity_id: int, chat_id: int, seqs: Iterable[int]
) -> Sequence[Row]:
    """Give (seq, leaf, text or None) of messages of a chat."""
    return await session.all(
        "SELECT m.seq, e.leaf, p.data FROM message m"
        " JOIN entry e ON e.entity_id = $1 AND e.position = m.position"
        " LEFT JOIN part p ON p.entity_id = $1 AND p.chat_id = $2 AND p.position = m.position"
        " AND p.name = 'text'"
        f" WHERE m.chat_id = $2 AND m.seq {session.among('$3')}",
        entity_id,
        chat_id,
        session.many(sorted(set(seqs))),
    )
