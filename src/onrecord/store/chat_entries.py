"""The entries of a chat, in the order of the record: where they stand, what they say."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from onrecord.store.db import Row, Session

MARK_BEFORE: Final = (
    "COALESCE((SELECT seq FROM message WHERE chat_id = {chat} AND position <= {after}"
    " AND seq % 64 = 0 ORDER BY position DESC LIMIT 1), 0)"
)
MARK_BEYOND: Final = (
    "COALESCE((SELECT seq FROM message WHERE chat_id = {chat} AND position > {until}"
    " AND seq % 64 = 0 ORDER BY position LIMIT 1), {until})"
)
_PLACES: Final = (
    "SELECT position FROM (SELECT position FROM message WHERE chat_id = {chat}"
    f" AND seq >= {MARK_BEFORE} AND seq <= {MARK_BEYOND}"
    " AND position > {after} AND position <= {until}"
    " ORDER BY seq LIMIT {limit}) said"
    " UNION ALL SELECT position FROM (SELECT position FROM entry WHERE chat_id = {chat}"
    " AND seq IS NULL AND position > {after} AND position <= {until}"
    " ORDER BY position LIMIT {limit}) done ORDER BY position LIMIT {limit}"
)
"""The first entries of a chat's window: messages, and what is no message.

Messages are found by seq. Between which of them the window lies, every 64th tells, which stands in
an index by position: an index of all would be one more page to change with each text sent."""


async def places(
    session: Session, windows: Sequence[tuple[int, int, int, int]], limit: int
) -> list[tuple[int, int, int]]:
    """Give (position, chat, number) of the first `limit` entries of each window, all in order.

    Windows are (number, chat, after, until), in positions.
    """
    if session.dialect == "postgresql":
        found = _PLACES.format(chat="w.chat_id", after="w.after", until="w.until", limit="$5")
        rows = await session.all(
            "SELECT e.position, w.chat_id, w.number"
            " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])"
            f" AS w (number, chat_id, after, until) CROSS JOIN LATERAL ({found}) e",
            *map(list, zip(*windows, strict=True)),
            limit,
        )
    else:
        found = _PLACES.format(chat="$2", after="$3", until="$4", limit="$5")
        rows = await session.each(
            f"SELECT position, $2, $1 FROM ({found})",
            [(*window, limit) for window in windows],
        )
    return sorted((row[0], row[1], row[2]) for row in rows)


async def last_place(session: Session, chat_id: int, until: int) -> int:
    """Give the position of the chat's last entry up to a position; 0 where there is none."""
    marked = MARK_BEFORE.format(chat="$1", after="$2")
    row = await session.one(
        "SELECT MAX(position) FROM ("
        "SELECT position FROM (SELECT position FROM message WHERE chat_id = $1"
        # From one marked message to the next there are 64.
        f" AND seq >= {marked} AND seq < {marked} + 64 AND position <= $2"
        " ORDER BY seq DESC LIMIT 1) said"
        " UNION ALL SELECT position FROM (SELECT position FROM entry WHERE chat_id = $1"
        " AND seq IS NULL AND position <= $2 ORDER BY position DESC LIMIT 1) done) ends",
        chat_id,
        until,
    )
    return row[0] or 0 if row else 0


async def leaves(session: Session, entity_id: int, positions: Sequence[int]) -> Sequence[Row]:
    """Give (position, leaf) of the entries at these positions, in order."""
    if session.dialect == "postgresql":
        return await session.all(
            "SELECT position, leaf FROM entry WHERE entity_id = $1 AND position = ANY($2)"
            " ORDER BY position",
            entity_id,
            positions,
        )
    return await session.each(
        "SELECT position, leaf FROM entry WHERE entity_id = $1 AND position = $2",
        [(entity_id, position) for position in positions],
    )


class ChatEntry(NamedTuple):
    """An entry of a chat: its own bytes, and salt and bytes of the parts that are still there."""

    position: int
    leaf: bytes
    parts: dict[str, tuple[bytes, bytes]]


async def entries_of_chat(
    session: Session, entity_id: int, chat_id: int, window: tuple[int, int], limit: int
) -> list[ChatEntry]:
    """Give the first `limit` entries of the chat after a position and up to another, in order."""
    after, until = window
    found = await places(session, [(0, chat_id, after, until)], limit)
    if not found:
        return []
    positions = [position for position, _, _ in found]
    parts: dict[int, dict[str, tuple[bytes, bytes]]] = {}
    for position, name, salt, data in await _parts(session, entity_id, chat_id, positions):
        parts.setdefault(position, {})[name] = (bytes(salt), bytes(data))
    return [
        ChatEntry(position, bytes(leaf), parts.get(position, {}))
        for position, leaf in await leaves(session, entity_id, positions)
    ]


async def _parts(
    session: Session, entity_id: int, chat_id: int, positions: Sequence[int]
) -> Sequence[Row]:
    """Give (position, name, salt, data) of the parts of a chat's entries, `positions` in order."""
    together = await session.all(
        "SELECT position, name, salt, data FROM part WHERE entity_id = $1 AND chat_id = $2"
        " AND position >= $3 AND position <= $4",
        entity_id,
        chat_id,
        positions[0],
        positions[-1],
    )
    apart = "SELECT position, name, salt, data FROM part WHERE entity_id = $1 AND chat_id = 0"
    if session.dialect == "postgresql":
        others = await session.all(f"{apart} AND position = ANY($2)", entity_id, positions)
    else:
        others = await session.each(
            f"{apart} AND position = $2", [(entity_id, position) for position in positions]
        )
    return [*together, *others]


class _Timed(msgspec.Struct):
    at: str


async def position_at(session: Session, entity_id: int, moment: str, until: int) -> int:
    """Give the first position whose entry was not before a moment; above `until` if there is none.

    The moment is written as entries write theirs: those are then in the order of their letters.
    """
    low, high = 1, until + 1
    while low < high:
        middle = (low + high) // 2
        ((_, leaf),) = await leaves(session, entity_id, [middle])
        if msgspec.json.decode(leaf, type=_Timed).at < moment:
            low = middle + 1
        else:
            high = middle
    return low


async def general_after(session: Session, entity_id: int, after: int, limit: int) -> Sequence[Row]:
    """Give (position, leaf) of entries after a position about neither a chat nor a member."""
    return await session.all(
        "SELECT position, leaf FROM entry WHERE entity_id = $1 AND position > $2"
        " AND chat_id IS NULL AND subject_id IS NULL ORDER BY position LIMIT $3",
        entity_id,
        after,
        limit,
    )
