"""The feed of a member: what he or she may see of the record, in the order of the record."""

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Final

from onrecord.store import chat_entries
from onrecord.store.db import Row, Session

FEW: Final = 4
"""Positions looked at in each chat at least, before it is known how far the page goes."""


async def feed_of(
    session: Session, entity_id: int, member_id: int, after: int, until: int, limit: int
) -> list[tuple[int, bytes]]:
    """Give (position, leaf) of what a member may see after a position, in order.

    The merge of the chats the member is or was in, each from joining to leaving, and of the
    entries about the member. A draft is seen by its creator alone. It reads a little more than it
    gives: only chats with something new are looked at, and each only as far as the merge goes.
    """
    chats = await session.all(
        "SELECT c.id, p.since_position, p.until_position FROM participant p"
        f" JOIN {session.chats} c ON c.id = p.chat_id"
        " WHERE p.member_id = $1 AND c.last_position > $2"
        " AND (p.until_position IS NULL OR p.until_position > $2)"
        " AND (c.state = 'active' OR c.created_by_id = $1)"
        # Between two stays the member saw nothing, and must not see it appear afterwards.
        " UNION ALL SELECT chat_id, since_position, until_position FROM earlier_stay"
        " WHERE member_id = $1 AND until_position > $2 ORDER BY 1, 2",
        member_id,
        after,
    )
    about = await session.all(
        "SELECT position, leaf FROM entry WHERE subject_id = $1 AND chat_id IS NULL"
        " AND position > $2 AND position <= $3 ORDER BY position LIMIT $4",
        member_id,
        after,
        until,
        limit,
    )
    windows = [
        (number, max(after, since - 1), until if last is None else min(until, last))
        for number, since, last in chats
    ]
    in_chats = await _entries_of_chats(session, entity_id, windows, limit)
    merged = heapq.merge(about, in_chats, key=lambda row: row[0])
    return [(row[0], bytes(row[1])) for row, _ in zip(merged, range(limit), strict=False)]


async def _entries_of_chats(
    session: Session, entity_id: int, windows: Sequence[tuple[int, int, int]], limit: int
) -> Sequence[Row]:
    """Give the first entries of all these windows (chat, after, until) together, in order.

    First a few positions of each, which stand in an index: somebody may be in thousands of chats.
    Only those few who had more to say before the last one wanted are asked again.
    """
    if not windows:
        return []
    few = min(limit, 2 * limit // len(windows) + FEW)
    numbered = [(number, *window) for number, window in enumerate(windows)]
    found = await chat_entries.places(session, numbered, few)
    bound = found[limit - 1][0] if len(found) >= limit else None
    count = Counter(number for _, _, number in found)
    reached = {number: position for position, _, number in found}
    more = [
        (number, chat_id, reached[number], until if bound is None else min(until, bound))
        for number, chat_id, _, until in numbered
        if count[number] == few < limit and (bound is None or reached[number] < bound)
    ]
    if more:
        found = sorted([*found, *await chat_entries.places(session, more, limit)])
    return await chat_entries.leaves(
        session, entity_id, [position for position, _, _ in found[:limit]]
    )
