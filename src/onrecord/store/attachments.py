"""Attachments: what was uploaded, in which messages it stands, and links to fetch it once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.store.chats import ACTIVE
from onrecord.store.db import Insert, Session, add_row


@dataclass(frozen=True, slots=True)
class Stored:
    """An attachment; its bytes lie in the storage of files under `name`."""

    id: int
    uuid: str
    entity_uuid: str
    chat_id: int | None
    """For which chat it was uploaded; None: for the Butler."""
    member_id: int
    api_key_id: int | None
    filename: str
    content_type: str
    size: int
    sha256: str
    crc32: int
    preview_type: str | None
    preview_digest: str | None
    waits_until: int | None
    """Until when it waits to be sent; None: it was sent."""

    @property
    def name(self) -> str:
        """Its name in the storage of files."""
        return name_of(self.entity_uuid, self.uuid)


def name_of(entity_uuid: str, uuid: str) -> str:
    """Give the name of an attachment in the storage of files."""
    return f"{entity_uuid}/{uuid}"


def preview_of(name: str) -> str:
    """Give the name of a file's preview in the storage of files."""
    return f"{name}.preview"


_STORED: Final = (
    "a.id, a.uuid, e.uuid, a.chat_id, a.member_id, a.api_key_id, a.filename, a.content_type,"
    " a.size, a.sha256, a.crc32, a.preview_type, a.preview_digest, a.waits_until"
)
_FROM: Final = "attachment a JOIN entity e ON e.id = a.entity_id"


async def add(session: Session, attachment: Mapping[str, Any]) -> int:
    """Add an attachment from its columns; give the internal id."""
    return await add_row(session, "attachment", attachment)


async def waiting_of(session: Session, member_id: int, now: int) -> tuple[int, int, int]:
    """Give how many uploads of a member wait to be sent, their bytes, and when the first goes."""
    row = await session.one(
        "SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(MIN(waits_until), 0) FROM attachment"
        " WHERE member_id = $1 AND waits_until > $2",
        member_id,
        now,
    )
    return (int(row[0]), int(row[1]), int(row[2])) if row else (0, 0, 0)


async def attachment_of(session: Session, entity_id: int, uuid: str) -> Stored | None:
    """Give the organisation's attachment of a UUID."""
    row = await session.one(
        f"SELECT {_STORED} FROM {_FROM} WHERE a.uuid = $1 AND a.entity_id = $2", uuid, entity_id
    )
    return Stored(*row) if row else None


async def attachment_by_id(session: Session, attachment_id: int) -> Stored | None:
    """Give the attachment of an internal id."""
    row = await session.one(f"SELECT {_STORED} FROM {_FROM} WHERE a.id = $1", attachment_id)
    return Stored(*row) if row else None


async def newest_sent(session: Session, limit: int) -> list[Stored]:
    """Give the attachments of all organisations that were sent last."""
    rows = await session.all(
        f"SELECT {_STORED} FROM {_FROM} WHERE a.waits_until IS NULL ORDER BY a.id DESC LIMIT $1",
        limit,
    )
    return [Stored(*row) for row in rows]


async def to_send(session: Session, entity_id: int, uuids: Iterable[str]) -> dict[str, Stored]:
    """Lock attachments that are to be sent, in the order of their ids, and give them by uuid."""
    lock = f"{session.for_update} OF a" if session.for_update else ""
    rows = await session.all(
        f"SELECT {_STORED} FROM {_FROM} WHERE a.uuid {session.among('$1')} AND a.entity_id = $2"
        f" ORDER BY a.id{lock}",
        session.many(uuids),
        entity_id,
    )
    return {row[1]: Stored(*row) for row in rows}


async def note_sent(
    session: Session,
    attachment_ids: Sequence[int],
    uses: Sequence[tuple[int, int, int, int, int, int]],
) -> None:
    """Note where attachments stand now.

    Uses: (entity_id, position, place in the message, attachment_id, chat_id, seq).
    """
    await session.run(
        f"UPDATE attachment SET waits_until = NULL WHERE id {session.among('$1')}"
        " AND waits_until IS NOT NULL",
        session.many(attachment_ids),
    )
    columns = ["entity_id", "position", "place", "attachment_id", "chat_id", "seq"]
    await session.write(Insert("attachment_use", columns, uses))


async def is_seen_by(session: Session, attachment: Stored, member_id: int) -> bool:
    """Whether a member sees a message in which an attachment stands.

    It stands in the chat for which it was uploaded and in no other, or in Butler chats, of which a
    member has one: so this takes the same time however often it was sent.
    """
    seen = (
        "SELECT 1 FROM attachment_use u JOIN participant p"
        " ON p.chat_id = u.chat_id AND p.member_id = $2"
        f" WHERE u.attachment_id = $1 AND (p.state = '{ACTIVE}' OR u.seq <= p.until_seq)"
    )
    if attachment.chat_id is not None:
        row = await session.one(
            f"{seen} AND u.chat_id = $3 LIMIT 1", attachment.id, member_id, attachment.chat_id
        )
    else:
        row = await session.one(
            f"{seen} AND u.chat_id = (SELECT c.id FROM chat c WHERE c.butler_member_id = $2)"
            " LIMIT 1",
            attachment.id,
            member_id,
        )
    return row is not None


async def files_at(session: Session, entity_id: int, positions: Sequence[int]) -> dict[int, bytes]:
    """Give what messages at these positions say of their files: the part's bytes, by position."""
    rows = await session.all(
        "SELECT position, data FROM part WHERE entity_id = $1 AND chat_id = 0"
        f" AND position {session.among('$2')} AND name = 'file'",
        entity_id,
        session.many(positions),
    )
    return {row[0]: bytes(row[1]) for row in rows}


async def of_messages(
    session: Session, entity_id: int, positions: Sequence[int]
) -> dict[int, list[Stored]]:
    """Give the attachments of the messages at these positions, in the order of each message."""
    rows = await session.all(
        f"SELECT u.position, {_STORED} FROM attachment_use u"
        " JOIN attachment a ON a.id = u.attachment_id JOIN entity e ON e.id = a.entity_id"
        f" WHERE u.entity_id = $1 AND u.position {session.among('$2')}"
        " ORDER BY u.position, u.place",
        entity_id,
        session.many(positions),
    )
    found: dict[int, list[Stored]] = {}
    for position, *rest in rows:
        found.setdefault(position, []).append(Stored(*rest))
    return found


# -- files that belong to nothing ----------------------------------------------------------------


async def note_loose(session: Session, name: str, at: int) -> None:
    """Note, before anything is stored under a name, that it belongs to nothing yet."""
    await session.run("INSERT INTO loose_file (name, since, doomed) VALUES ($1, $2, 0)", name, at)


async def take_loose(session: Session, name: str) -> bool:
    """Let a name belong to something; False when what is stored there is being deleted."""
    taken = await session.one(
        "DELETE FROM loose_file WHERE name = $1 AND doomed = 0 RETURNING 1", name
    )
    return taken is not None


async def doom_loose(session: Session, before: int, limit: int) -> list[str]:
    """Give names that have belonged to nothing since a moment; from now on they never will."""
    rows = await session.all(
        "SELECT name FROM loose_file WHERE since < $1 ORDER BY since LIMIT $2"
        + (" FOR UPDATE SKIP LOCKED" if session.dialect == "postgresql" else ""),
        before,
        limit,
    )
    names = [str(row[0]) for row in rows]
    if names:
        await session.run(
            f"UPDATE loose_file SET doomed = 1 WHERE name {session.among('$1')}",
            session.many(names),
        )
    return names


async def forget_loose(session: Session, names: Sequence[str]) -> None:
    """Forget names under which nothing is stored any more."""
    await session.run(
        f"DELETE FROM loose_file WHERE name {session.among('$1')}", session.many(names)
    )


async def drop_unsent(session: Session, now: int, limit: int) -> list[str]:
    """Drop uploads that nobody sent in time; their names, which belong to nothing any more."""
    lock = " FOR UPDATE OF a SKIP LOCKED" if session.dialect == "postgresql" else ""
    rows = await session.all(
        f"SELECT {_STORED} FROM {_FROM} WHERE a.waits_until <= $1"
        f" ORDER BY a.waits_until LIMIT $2{lock}",
        now,
        limit,
    )
    gone = [Stored(*row) for row in rows]
    if gone:
        ids = session.many([one.id for one in gone])
        await session.run(
            f"DELETE FROM download_link WHERE attachment_id {session.among('$1')}", ids
        )
        await session.run(f"DELETE FROM attachment WHERE id {session.among('$1')}", ids)
        await session.each(
            "INSERT INTO loose_file (name, since, doomed) VALUES ($1, 0, 1)",
            [(one.name,) for one in gone],
        )
    return [one.name for one in gone]


# -- links ---------------------------------------------------------------------------------------


async def add_link(
    session: Session, token_hash: bytes, attachment_id: int, member_id: int, expires_at: int
) -> None:
    """Add a link with which one attachment can be fetched once, for a member."""
    await session.run(
        "INSERT INTO download_link (token_hash, attachment_id, member_id, expires_at)"
        " VALUES ($1, $2, $3, $4)",
        token_hash,
        attachment_id,
        member_id,
        expires_at,
    )


@dataclass(frozen=True, slots=True)
class Link:
    """Whose link it was, to what, and in which states member and organisation are now."""

    attachment_id: int
    member_id: int
    member_state: str
    entity_state: str


async def link_of(session: Session, token_hash: bytes, now: int) -> Link | None:
    """Give a link that can still be used."""
    row = await session.one(
        "SELECT d.attachment_id, d.member_id, m.state, e.state FROM download_link d"
        " JOIN member m ON m.id = d.member_id JOIN entity e ON e.id = m.entity_id"
        " WHERE d.token_hash = $1 AND d.expires_at > $2",
        token_hash,
        now,
    )
    return Link(*row) if row else None


async def use_up_link(session: Session, token_hash: bytes) -> bool:
    """Take a link away; False when it is gone already."""
    gone = await session.one(
        "DELETE FROM download_link WHERE token_hash = $1 RETURNING 1", token_hash
    )
    return gone is not None


async def forget_links(session: Session, now: int) -> None:
    """Forget links that are too old."""
    await session.run("DELETE FROM download_link WHERE expires_at <= $1", now)
