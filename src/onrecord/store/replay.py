"""What a replay of the record reads: entries, and those parts that tell who and what there is."""

from typing import Final

from onrecord.store import record
from onrecord.store.db import Row, Session

TELLING: Final = ("details", "name", "profile", "setting", "title")
"""The parts that members, groups and chats are rebuilt from; what was said is none of them."""


async def entries_between(
    session: Session, entity_id: int, after: int, last: int
) -> list[tuple[int, bytes]]:
    """Give (position, leaf) of the entries after a position up to another one."""
    rows = await record.entries_after(session, entity_id, after, last - after, last)
    return [(position, bytes(leaf)) for position, leaf in rows]


async def telling_parts(session: Session, entity_id: int, first: int, last: int) -> list[Row]:
    """Give (position, name, data) of the telling parts of the entries `first` to `last`.

    Like all parts but the texts of chats they stand under chat 0.
    """
    rows = await session.all(
        "SELECT position, name, data FROM part WHERE entity_id = $1 AND chat_id = 0"
        f" AND position >= $2 AND position <= $3 AND name {session.among('$4')}",
        entity_id,
        first,
        last,
        session.many(TELLING),
    )
    return [(position, name, bytes(data)) for position, name, data in rows]


async def entry_at(session: Session, entity_id: int, position: int) -> bytes:
    """Give the leaf of one entry (LookupError when there is none)."""
    rows = await record.entries_after(session, entity_id, position - 1, 1, position)
    if not rows:
        raise LookupError(position)
    return bytes(rows[0][1])
