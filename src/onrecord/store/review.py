"""Which chats a reviewer may read, and which of them are looked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.store import contacts
from onrecord.store.chat_entries import MARK_BEFORE, MARK_BEYOND
from onrecord.store.db import Row, Session

WITH_CLIENTS: Final = 2
"""The level of a reviewer of any chat with a client; below it, a client of the own contacts."""


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Up to which level somebody reviews; the member's internal id, 0 for a key."""

    level: int
    member_id: int = 0


@dataclass(frozen=True, slots=True)
class Filters:
    """What a chat must be like to be listed. None: anything."""

    member_ids: Sequence[int] = ()
    """All of them take part or took part."""
    title_like: str | None = None
    has_clients: bool | None = None
    between: tuple[int, int] | None = None
    """A message was sent in this stretch of the record, both ends included."""


async def next_chats(
    session: Session, entity_id: int, filters: Filters, before: int, limit: int
) -> list[int]:
    """Give the ids of the next `limit` chats below an id to be looked at, highest first."""
    if filters.member_ids:
        rows = await session.all(
            "SELECT chat_id FROM participant WHERE member_id = $1 AND chat_id < $2"
            " ORDER BY chat_id DESC LIMIT $3",
            filters.member_ids[0],
            before,
            limit,
        )
    else:
        rows = await session.all(
            "SELECT id FROM chat WHERE entity_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            entity_id,
            before,
            limit,
        )
    return [row[0] for row in rows]


async def chats_of_member(session: Session, member_id: int) -> list[int]:
    """Give the ids of all chats a member takes or took part in."""
    rows = await session.all("SELECT chat_id FROM participant WHERE member_id = $1", member_id)
    return [row[0] for row in rows]


async def uses_of(session: Session, attachment_id: int, before: int, limit: int) -> Sequence[Row]:
    """Give (chat_id, chat_uuid, seq) of the first message with a file in each chat.

    Of the next `limit` chats below an id, the highest first.
    """
    return await session.all(
        "SELECT u.chat_id, c.uuid, MIN(u.seq) FROM attachment_use u"
        " JOIN chat c ON c.id = u.chat_id WHERE u.attachment_id = $1 AND u.chat_id < $2"
        " GROUP BY u.chat_id, c.uuid ORDER BY u.chat_id DESC LIMIT $3",
        attachment_id,
        before,
        limit,
    )


async def fitting(
    session: Session, reviewer: Reviewer, filters: Filters, chat_ids: Sequence[int]
) -> list[int]:
    """Give those of these chats that the reviewer may read and that fit, the highest id first.

    A draft is nobody's to review before its first message, a discarded one never.
    """
    asked = _Asked(session, "c.state = 'active'", [session.many(chat_ids)])
    await _readable(asked, reviewer)
    _filtered(asked, filters)
    rows = await session.all(
        f"SELECT c.id FROM chat c WHERE c.id {session.among('$1')} AND {asked.where}"
        " ORDER BY c.id DESC",
        *asked.values,
    )
    return [row[0] for row in rows]


class _Asked:
    """A condition that grows, with its values."""

    def __init__(self, session: Session, where: str, values: list[Any]) -> None:
        self.session = session
        self.where = where
        self.values = values

    def bind(self, value: Any) -> str:
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str) -> None:
        self.where += f" AND {condition}"


_PARTICIPANT: Final = (
    "EXISTS (SELECT 1 FROM participant p JOIN member m ON m.id = p.member_id{joined}"
    " WHERE p.chat_id = c.id{wanted})"
)


async def _readable(asked: _Asked, reviewer: Reviewer) -> None:
    """Leave out what is beyond the level, and what a barrier keeps from the reviewer.

    With a client is a chat in which one takes part or took part.
    """
    if reviewer.level < WITH_CLIENTS:
        me = asked.bind(reviewer.member_id)
        asked.add(
            _PARTICIPANT.format(
                joined=" JOIN group_member b ON b.member_id = m.id"
                " JOIN client_group g ON g.id = b.group_id AND g.state = 'active'"
                " JOIN group_member a ON a.group_id = b.group_id",
                wanted=" AND m.profile IN (4, 5) AND m.state IN ('active', 'suspended')"
                f" AND a.member_id = {me}",
            )
        )
    elif reviewer.level == WITH_CLIENTS:
        asked.add(_PARTICIPANT.format(joined="", wanted=" AND m.profile IN (4, 5)"))
    beyond = (
        await contacts.groups_beyond(asked.session, reviewer.member_id)
        if reviewer.member_id
        else ()
    )
    if beyond:
        groups = asked.session.among(asked.bind(asked.session.many(beyond)))
        asked.add(
            "NOT "
            + _PARTICIPANT.format(
                joined=" JOIN group_member b ON b.member_id = m.id",
                wanted=f" AND m.profile <= 3 AND b.group_id {groups}",
            )
        )


def _filtered(asked: _Asked, filters: Filters) -> None:
    for member_id in filters.member_ids:
        one = asked.bind(member_id)
        asked.add(
            f"EXISTS (SELECT 1 FROM participant p WHERE p.chat_id = c.id AND p.member_id = {one})"
        )
    if filters.title_like is not None:
        asked.add(f"c.title_key LIKE {asked.bind(filters.title_like)} ESCAPE '\\'")
    if filters.has_clients is not None:
        active = _PARTICIPANT.format(
            joined="", wanted=" AND p.state = 'active' AND m.profile IN (4, 5)"
        )
        asked.add(active if filters.has_clients else f"NOT {active}")
    if filters.between is not None:
        first, last = (asked.bind(position) for position in filters.between)
        # Between which messages the stretch lies, every 64th tells: see `chat_entries`.
        begin = MARK_BEFORE.format(chat="c.id", after=first)
        end = MARK_BEYOND.format(chat="c.id", until=last)
        asked.add(
            "EXISTS (SELECT 1 FROM message s WHERE s.chat_id = c.id AND s.kind <> 'event'"
            f" AND s.position >= {first} AND s.position <= {last}"
            f" AND s.seq >= {begin} AND s.seq <= {end})"
        )


# -- how much was taken out ----------------------------------------------------------------------


async def exports_since(session: Session, member_id: int, since: int) -> tuple[int, int | None]:
    """Count a reviewer's exports since a moment, and give the time of the oldest of them."""
    row = await session.one(
        "SELECT COUNT(*), MIN(at) FROM reviewer_export WHERE member_id = $1 AND at > $2",
        member_id,
        since,
    )
    return (row[0], row[1]) if row else (0, None)


async def note_export(
    session: Session, entity_id: int, member_id: int, at: int, since: int
) -> None:
    """Note an export of a reviewer; older ones than `since` count no more and go."""
    await session.run(
        "DELETE FROM reviewer_export WHERE member_id = $1 AND at <= $2", member_id, since
    )
    await session.run(
        "INSERT INTO reviewer_export (entity_id, member_id, at) VALUES ($1, $2, $3)",
        entity_id,
        member_id,
        at,
    )
