"""Chats, participants, messages: who may read and write where, and what was said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.model import text
from onrecord.store.db import Insert, Row, Session, Update, add_row
from onrecord.store.record import ChatTip

FORMER: Final = "former"
ACTIVE: Final = "active"
DRAFT: Final = "draft"
DISCARDED: Final = "discarded"


@dataclass(slots=True)
class WritingFacts:
    """What must be known before a member writes into a chat. The chat is locked."""

    tip: ChatTip
    is_butler: bool
    is_staff_only: bool
    is_barred: bool
    created_by_id: int | None
    participant: str | None
    """The acting member's state in the chat: active, former, or None for a stranger."""


_RULES: Final = "c.butler_member_id, c.is_staff_only, c.barred, c.created_by_id"
TIP: Final = "c.id, c.uuid, c.state, c.last_seq, c.last_at, c.last_index, c.last_position"


async def writing_facts(
    session: Session, wanted: Sequence[tuple[int, str, int]]
) -> dict[tuple[str, int], WritingFacts]:
    """Lock chats and give the facts for each (entity_id, chat_uuid, member_id) that exists.

    Chats are locked in the order of their ids, so that two groups never wait for each other. A
    participant's state may be older than the lock; a change of it shows in the head row.
    """
    facts: dict[tuple[str, int], WritingFacts] = {}
    if not wanted:
        return facts
    tips: dict[int, ChatTip] = {}
    for row in await _writing_rows(session, wanted):
        member_id, butler_member_id, staff_only, barred, created_by_id, state, number, *rest = row
        tip = tips.setdefault(number, ChatTip(number, *rest))
        facts[tip.uuid, member_id] = WritingFacts(
            tip, butler_member_id is not None, bool(staff_only), bool(barred), created_by_id, state
        )
    return facts


async def _writing_rows(session: Session, wanted: Sequence[tuple[int, str, int]]) -> Sequence[Row]:
    if session.dialect == "postgresql":
        return await session.all(
            f"SELECT w.member_id, {_RULES}, p.state, {TIP}"
            " FROM unnest($1::bigint[], $2::text[], $3::bigint[])"
            " AS w (entity_id, uuid, member_id)"
            " JOIN chat c ON c.uuid = w.uuid AND c.entity_id = w.entity_id"
            " LEFT JOIN participant p ON p.chat_id = c.id AND p.member_id = w.member_id"
            " ORDER BY c.id FOR UPDATE OF c",
            *map(list, zip(*wanted, strict=True)),
        )
    return await session.each(
        f"SELECT $3, {_RULES}, p.state, {TIP} FROM {session.chats} c"
        " LEFT JOIN participant p ON p.chat_id = c.id AND p.member_id = $3"
        " WHERE c.uuid = $2 AND c.entity_id = $1",
        wanted,
    )


async def show_from(session: Session, activated: Sequence[tuple[int, int, int]]) -> None:
    """Let a draft that became a chat begin, for all but its creator, at its first message.

    Rows: (chat_id, creator's id, position). What was put on record before was hidden from them,
    and a reader who has passed a position must never find something new below it.
    """
    await session.each(
        "UPDATE participant SET since_position = $3 WHERE chat_id = $1 AND member_id <> $2",
        activated,
    )


async def bring_back(session: Session, sent: Sequence[tuple[int, int]]) -> None:
    """Take chats out of the archive of everybody but the sender: (chat_id, sender's id) each.

    Former participants are left alone: a chat that moves would tell them that it goes on.
    """
    if session.dialect == "postgresql":
        await session.run(
            "UPDATE participant p SET archived = 0"
            " FROM unnest($1::bigint[], $2::bigint[]) AS s (chat_id, member_id)"
            " WHERE p.chat_id = s.chat_id AND p.archived = 1 AND p.member_id <> s.member_id"
            f" AND p.state = '{ACTIVE}'",
            *map(list, zip(*sent, strict=True)),
        )
        return
    await session.each(
        "UPDATE participant SET archived = 0"
        f" WHERE chat_id = $1 AND archived = 1 AND member_id <> $2 AND state = '{ACTIVE}'",
        sent,
    )


async def note_sent_by_hand(session: Session, rows: Sequence[tuple[int, int, int]]) -> None:
    """Move the own read mark and take the chat out of the own archive: (chat, member, seq)."""
    await session.write(
        Update(
            "participant",
            ["chat_id", "member_id"],
            ["read_seq", "archived"],
            [(chat_id, member_id, seq, 0) for chat_id, member_id, seq in rows],
        )
    )


async def add_chat(session: Session, chat: Mapping[str, Any]) -> int:
    """Add a chat from its columns; give the internal id."""
    return await add_row(session, "chat", chat)


async def add_participants(session: Session, chat_id: int, member_ids: Sequence[int]) -> None:
    """Add active participants; `joined_at_positions` tells where their entries came to stand."""
    await session.write(
        Insert(
            "participant",
            ["chat_id", "member_id", "state", "since_position"],
            [(chat_id, member_id, ACTIVE, 0) for member_id in member_ids],
        )
    )


async def joined_at_positions(
    session: Session, chat_id: int, positions: Sequence[tuple[int, int]]
) -> None:
    """Note at which position of the record each member joined: (member_id, position)."""
    await session.write(
        Update(
            "participant",
            ["chat_id", "member_id"],
            ["since_position"],
            [(chat_id, member_id, position) for member_id, position in positions],
        )
    )


# -- coming and going ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Participant:
    """Who takes or took part in a chat."""

    id: int
    uuid: str
    state: str


async def participants_in(session: Session, chat_id: int) -> dict[int, Participant]:
    """Give everybody who takes or took part in a chat, by internal id."""
    found = await session.all(
        "SELECT m.id, m.uuid, p.state FROM participant p JOIN member m ON m.id = p.member_id"
        " WHERE p.chat_id = $1",
        chat_id,
    )
    return {row[0]: Participant(*row) for row in found}


async def take_back(session: Session, chat_id: int, member_ids: Sequence[int]) -> None:
    """Make former participants active again; their stay before is kept for their feed."""
    if not member_ids:
        return
    ids = session.many(member_ids)
    await session.run(
        "INSERT INTO earlier_stay (chat_id, member_id, since_position, until_position)"
        " SELECT chat_id, member_id, since_position, until_position FROM participant"
        f" WHERE chat_id = $1 AND member_id {session.among('$2')}",
        chat_id,
        ids,
    )
    await session.run(
        f"UPDATE participant SET state = '{ACTIVE}', until_position = NULL, until_seq = NULL,"
        " until_title = NULL, until_title_key = NULL, archived = 0"
        f" WHERE chat_id = $1 AND member_id {session.among('$2')}",
        chat_id,
        ids,
    )


async def let_go(session: Session, chat_id: int, ends: Sequence[tuple[int, int, int]]) -> None:
    """Make participants former ones: (member_id, last position, last message seen) each."""
    await session.write(
        Update(
            "participant",
            ["chat_id", "member_id"],
            ["state", "until_position", "until_seq"],
            [(chat_id, member_id, FORMER, position, seq) for member_id, position, seq in ends],
        )
    )
    await session.run(
        "UPDATE participant SET until_title = (SELECT c.title FROM chat c WHERE c.id = $1),"
        " until_title_key = (SELECT c.title_key FROM chat c WHERE c.id = $1)"
        f" WHERE chat_id = $1 AND member_id {session.among('$2')}",
        chat_id,
        session.many([member_id for member_id, _, _ in ends]),
    )


async def forget_participants(session: Session, chat_id: int, member_ids: Sequence[int]) -> None:
    """Take people out of a draft they never saw."""
    await session.run(
        f"DELETE FROM participant WHERE chat_id = $1 AND member_id {session.among('$2')}",
        chat_id,
        session.many(member_ids),
    )


async def set_title(session: Session, chat_id: int, title: str) -> bool:
    """Give a chat another title; False when it has this one already."""
    changed = await session.one(
        "UPDATE chat SET title = $2, title_key = $3 WHERE id = $1 AND title <> $2 RETURNING 1",
        chat_id,
        title,
        text.search_key(title),
    )
    return changed is not None


async def set_archived(session: Session, chat_id: int, member_id: int, *, archived: bool) -> None:
    """Put a chat into a member's archive, or take it out."""
    await session.run(
        "UPDATE participant SET archived = $3 WHERE chat_id = $1 AND member_id = $2",
        chat_id,
        member_id,
        int(archived),
    )


async def set_muted(session: Session, chat_id: int, member_id: int, *, muted: bool) -> None:
    """Silence a chat for a member, or let it be heard again."""
    await session.run(
        "UPDATE participant SET muted = $3 WHERE chat_id = $1 AND member_id = $2",
        chat_id,
        member_id,
        int(muted),
    )


async def move_read_mark(session: Session, chat_id: int, member_id: int, seq: int) -> None:
    """Move a member's read mark forward."""
    await session.run(
        "UPDATE participant SET read_seq = $3"
        " WHERE chat_id = $1 AND member_id = $2 AND read_seq < $3",
        chat_id,
        member_id,
        seq,
    )


async def mark_barred(session: Session, entity_id: int, chat_id: int | None = None) -> None:
    """Note through which chats a barrier runs: of the organisation, or this one alone.

    It does where active participants of the staff side stand on both sides of one. Kept on the
    chat, so that writing into it costs no look at groups; made anew by every work that changes
    barriers, the members of a group that has one, or the participants of a barred chat.
    """
    across = (
        "EXISTS (SELECT 1 FROM participant a"
        " JOIN member ma ON ma.id = a.member_id AND ma.profile <= 3"
        " JOIN group_member ga ON ga.member_id = a.member_id"
        " JOIN barrier w ON w.group_id = ga.group_id"
        " JOIN group_member gb ON gb.group_id = w.other_group_id"
        " JOIN member mb ON mb.id = gb.member_id AND mb.profile <= 3"
        " JOIN participant b ON b.member_id = mb.id AND b.chat_id = a.chat_id"
        " AND b.state = 'active'"
        " WHERE a.chat_id = chat.id AND a.state = 'active')"
    )
    near = (
        "id IN (SELECT id FROM chat WHERE entity_id = $1 AND barred = 1 UNION"
        " SELECT p.chat_id FROM barrier w"
        " JOIN group_member g ON g.group_id IN (w.group_id, w.other_group_id)"
        " JOIN participant p ON p.member_id = g.member_id WHERE w.entity_id = $1)"
    )
    values = [entity_id] if chat_id is None else [entity_id, chat_id]
    await session.run(
        f"UPDATE chat SET barred = CASE WHEN {across} THEN 1 ELSE 0 END"
        f" WHERE entity_id = $1 AND {near if chat_id is None else 'id = $2'}"
        f" AND barred <> CASE WHEN {across} THEN 1 ELSE 0 END",
        *values,
    )


# -- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A chat as stored, with the acting member's own view of it when there is one.

    To a former participant its title and time are those of the moment of leaving.
    """

    id: int
    uuid: str
    title: str
    state: str
    is_staff_only: int
    butler_member_id: int | None
    created_by_id: int | None
    created_by_uuid: str | None
    created_at: int
    last_seq: int
    moment: int
    """When the last message was sent; of a draft, when it was made. In a list: as of its begin."""
    participant: str | None
    until_position: int | None
    until_seq: int | None
    read_seq: int | None
    archived: int | None
    muted: int | None


_MOMENT: Final = (
    "CASE WHEN c.last_seq < 0 THEN c.created_at WHEN p.until_seq IS NULL THEN c.last_at ELSE"
    " (SELECT u.at FROM message u WHERE u.chat_id = c.id AND u.seq = p.until_seq) END"
)


def _chat_at(moment: str) -> str:
    """Give the columns of a `ChatRow`, with what counts as its moment."""
    return (
        "c.id, c.uuid, COALESCE(p.until_title, c.title), c.state, c.is_staff_only,"
        " c.butler_member_id, c.created_by_id, b.uuid, c.created_at, c.last_seq,"
        f" {moment}, p.state, p.until_position, p.until_seq, p.read_seq, p.archived, p.muted"
    )


_CHAT: Final = _chat_at(_MOMENT)


async def chat_seen_by(
    session: Session, entity_id: int, member_id: int, uuid: str
) -> ChatRow | None:
    """Give the organisation's chat of a UUID with the member's own view of it."""
    row = await session.one(
        f"SELECT {_CHAT} FROM {session.chats} c LEFT JOIN member b ON b.id = c.created_by_id"
        " LEFT JOIN participant p ON p.chat_id = c.id AND p.member_id = $1"
        " WHERE c.uuid = $2 AND c.entity_id = $3",
        member_id,
        uuid,
        entity_id,
    )
    return ChatRow(*row) if row else None


async def chats_as_they_are(session: Session, chat_ids: Sequence[int]) -> dict[int, ChatRow]:
    """Give chats by internal id, as nobody in particular sees them."""
    rows = await session.all(
        f"SELECT {_CHAT} FROM {session.chats} c LEFT JOIN member b ON b.id = c.created_by_id"
        # No member has the number 0: nobody's view of it is given.
        " LEFT JOIN participant p ON p.chat_id = c.id AND p.member_id = 0"
        f" WHERE c.id {session.among('$1')}",
        session.many(chat_ids),
    )
    return {row[0]: ChatRow(*row) for row in rows}


def title_pattern(search: str) -> str:
    r"""Give what `title_key LIKE … ESCAPE '\'` compares with.

    The engines' own LOWER knows ASCII alone, so titles are kept in a form for comparing.
    """
    key = text.search_key(search)
    for special in ("\\", "%", "_"):
        key = key.replace(special, f"\\{special}")
    return f"%{key}%"


async def chats_of(
    session: Session,
    entity_id: int,
    member_id: int,
    *,
    archived: bool | None,
    search: str | None,
    updated_since: int | None,
    before: tuple[int, int, int] | None,
    limit: int,
) -> tuple[list[ChatRow], int]:
    """Give a page of the member's chats, the one with the latest message first, and as of when.

    `before` is (time, id) of the last chat of the page before, and the position of the record that
    came with the first page. The order is that of this position, and so are the moments: a chat
    that moves up while somebody goes from page to page would be missed. A draft counts by the time
    it was made and is given to its creator alone. A former participant's chat stays where it was
    at the moment of leaving, and is found by the title it had.
    """
    where = [
        "p.member_id = $1",
        "(c.state = 'active' OR (c.state = 'draft' AND c.created_by_id = $1))",
    ]
    values: list[Any] = [member_id, entity_id]

    def bind(value: Any) -> str:
        values.append(value)
        return f"${len(values)}"

    if archived is not None:
        where.append(f"p.archived = {bind(int(archived))}")
    if search:
        known_as = "COALESCE(p.until_title_key, c.title_key)"
        where.append(f"{known_as} LIKE {bind(title_pattern(search))} ESCAPE '\\'")
    if updated_since is not None:
        where.append(f"{_MOMENT} >= {bind(updated_since)}")
    moment = _MOMENT
    if before is not None:
        time, number, as_of = map(bind, before)
        moment = _moment_as_of(as_of)
        where.append(f"({moment}, c.id) < ({time}, {number})")
    rows = await session.all(
        # The position must be that of the very moment at which the chats are read.
        f"SELECT (SELECT h.position FROM head h WHERE h.entity_id = $2), {_chat_at(moment)}"
        f" FROM participant p JOIN {session.chats} c ON c.id = p.chat_id"
        " LEFT JOIN member b ON b.id = c.created_by_id"
        f" WHERE {' AND '.join(where)} ORDER BY {moment} DESC, c.id DESC LIMIT {bind(limit)}",
        *values,
    )
    position = before[2] if before else rows[0][0] if rows else 0
    return [ChatRow(*row[1:]) for row in rows], position


def _moment_as_of(position: str) -> str:
    """Give when the last message was sent that stood in the record by then."""
    return (
        f"CASE WHEN c.last_position <= {position} THEN {_MOMENT} ELSE COALESCE("
        f"(SELECT u.at FROM message u WHERE u.chat_id = c.id AND u.position <= {position}"
        " AND (p.until_seq IS NULL OR u.seq <= p.until_seq) ORDER BY u.seq DESC LIMIT 1),"
        " c.created_at) END"
    )


async def participants_of(session: Session, chat_ids: Sequence[int]) -> dict[int, list[Row]]:
    """Give each chat's participants in the order of joining.

    Rows: (chat_id, uuid, identifier, first_name, last_name, profile, state, read_seq,
    since_position, member_id, until_position).
    """
    rows = await session.all(
        "SELECT p.chat_id, m.uuid, m.identifier, m.first_name, m.last_name, m.profile, p.state,"
        " p.read_seq, p.since_position, p.member_id, p.until_position"
        " FROM participant p JOIN member m ON m.id = p.member_id"
        f" WHERE p.chat_id {session.among('$1')}"
        " ORDER BY p.chat_id, p.since_position, p.member_id",
        session.many(chat_ids),
    )
    found: dict[int, list[Row]] = {number: [] for number in chat_ids}
    for row in rows:
        found[row[0]].append(row)
    return found


async def earlier_stays(session: Session, chat_ids: Sequence[int]) -> Sequence[Row]:
    """Give stays before the present one: (chat_id, member_id, since_position, until_position)."""
    return await session.all(
        "SELECT chat_id, member_id, since_position, until_position FROM earlier_stay"
        f" WHERE chat_id {session.among('$1')} ORDER BY chat_id, since_position",
        session.many(chat_ids),
    )


async def unread_counts(
    session: Session, member_id: int, chat_ids: Sequence[int]
) -> dict[int, int]:
    """Count others' texts and attachments above the member's read mark in each chat."""
    rows = await session.all(
        "SELECT p.chat_id, (SELECT COUNT(*) FROM message m WHERE m.chat_id = p.chat_id"
        " AND m.seq > p.read_seq AND (p.until_seq IS NULL OR m.seq <= p.until_seq)"
        " AND m.kind <> 'event' AND (m.member_id IS NULL OR m.member_id <> p.member_id))"
        f" FROM participant p WHERE p.member_id = $1 AND p.chat_id {session.among('$2')}",
        member_id,
        session.many(chat_ids),
    )
    return {row[0]: row[1] for row in rows}


_PLACE: Final = (
    "m.chat_id, m.seq, m.position, m.kind, m.member_id, m.at, m.reply_to_seq, m.via, m.api_key_id"
)
_MESSAGE: Final = (
    f"{_PLACE}, (SELECT p.data FROM part p"
    " WHERE p.entity_id = $1 AND p.chat_id = m.chat_id AND p.position = m.position"
    " AND p.name = 'text')"
)
"""The text is looked up, not joined: without statistics PostgreSQL joins by reading all parts."""


async def messages_between(
    session: Session, entity_id: int, chat_id: int, first: int, last: int
) -> Sequence[Row]:
    """Give the chat's messages `first` to `last`, with the bytes of their texts, ascending."""
    if session.dialect == "postgresql":
        return await session.all(
            f"SELECT {_MESSAGE} FROM message m"
            " WHERE m.chat_id = $2 AND m.seq >= $3 AND m.seq <= $4 ORDER BY m.seq",
            entity_id,
            chat_id,
            first,
            last,
        )
    # Two runs through neighbouring rows are quicker than a look for each text, and here a second
    # statement costs no round trip.
    found = await session.all(
        f"SELECT {_PLACE} FROM message m"
        " WHERE m.chat_id = $1 AND m.seq >= $2 AND m.seq <= $3 ORDER BY m.seq",
        chat_id,
        first,
        last,
    )
    if not found:
        return found
    texts = await session.all(
        "SELECT position, data FROM part WHERE entity_id = $1 AND chat_id = $2"
        " AND position >= $3 AND position <= $4 AND name = 'text'",
        entity_id,
        chat_id,
        found[0][2],
        found[-1][2],
    )
    text_at = {row[0]: row[1] for row in texts}
    return [(*row, text_at.get(row[2])) for row in found]


async def messages_at(
    session: Session, entity_id: int, places: Sequence[tuple[int, int]]
) -> Sequence[Row]:
    """Give the messages of these chats and numbers as `messages_between` does, in any order."""
    if session.dialect == "postgresql":
        return await session.all(
            f"SELECT {_MESSAGE} FROM unnest($2::bigint[], $3::bigint[]) AS w (chat_id, seq)"
            " JOIN message m ON m.chat_id = w.chat_id AND m.seq = w.seq",
            entity_id,
            *map(list, zip(*places, strict=True)),
        )
    return await session.each(
        f"SELECT {_MESSAGE} FROM message m WHERE m.chat_id = $2 AND m.seq = $3",
        [(entity_id, *place) for place in places],
    )


async def last_messages(
    session: Session, entity_id: int, member_id: int, chat_ids: Sequence[int]
) -> Sequence[Row]:
    """Give the last message of each chat that the member may see, as `messages_between` does."""
    return await session.all(
        f"SELECT {_MESSAGE} FROM {session.chats} c"
        " LEFT JOIN participant v ON v.chat_id = c.id AND v.member_id = $2"
        " JOIN message m ON m.chat_id = c.id AND m.seq = CASE"
        " WHEN v.until_seq IS NULL OR v.until_seq > c.last_seq THEN c.last_seq"
        " ELSE v.until_seq END"
        f" WHERE c.id {session.among('$3')}",
        entity_id,
        member_id,
        session.many(chat_ids),
    )


async def names_of(
    session: Session, member_ids: Sequence[int], key_ids: Sequence[int]
) -> tuple[dict[int, Row], dict[int, Row]]:
    """Give (uuid, first_name, last_name) of members and (uuid, name) of keys, by internal id."""
    rows = await session.all(
        "SELECT 'member', id, uuid, first_name, last_name FROM member"
        f" WHERE id {session.among('$1')}"
        " UNION ALL SELECT 'key', id, uuid, name, '' FROM api_key"
        f" WHERE id {session.among('$2')}",
        session.many(member_ids),
        session.many(key_ids),
    )
    members = {row[1]: row[2:] for row in rows if row[0] == "member"}
    return members, {row[1]: row[2:4] for row in rows if row[0] == "key"}


async def events_at(session: Session, entity_id: int, positions: Sequence[int]) -> Sequence[Row]:
    """Give (position, leaf, bytes of the title) of the entries behind event messages."""
    return await session.all(
        "SELECT e.position, e.leaf, (SELECT p.data FROM part p WHERE p.entity_id = $1"
        " AND p.chat_id = 0 AND p.position = e.position AND p.name = 'title') FROM entry e"
        f" WHERE e.entity_id = $1 AND e.position {session.among('$2')}",
        entity_id,
        session.many(positions),
    )


async def names_by_uuid(session: Session, uuids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give first and last names of members, by uuid."""
    rows = await session.all(
        f"SELECT uuid, first_name, last_name FROM member WHERE uuid {session.among('$1')}",
        session.many(uuids),
    )
    return {row[0]: (row[1], row[2]) for row in rows}
