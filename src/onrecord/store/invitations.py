"""Invitations: who is invited, the links that were sent, and when the next reminder is due."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from onrecord.store.db import Insert, Row, Session, Update


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was made; `ended` says why it no longer works."""

    member_id: int
    message_id: str
    ended: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A member who was invited and has not joined."""

    member_id: int
    entity_id: int
    message: str
    next_at: int
    expires_at: int


_WAITING: Final = "member_id, entity_id, message, next_at, expires_at"
_LINK: Final = ("token_hash", "member_id", "message_id", "recipient", "made_at")


async def invite(session: Session, waiting: Waiting) -> None:
    """Begin the invitation of a member, or begin it anew."""
    await session.run(
        f"INSERT INTO invitation ({_WAITING}) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (member_id) DO UPDATE SET message = excluded.message,"
        " next_at = excluded.next_at, expires_at = excluded.expires_at",
        waiting.member_id,
        waiting.entity_id,
        waiting.message,
        waiting.next_at,
        waiting.expires_at,
    )


async def invite_newcomers(
    session: Session, waiting: Sequence[Waiting], links: Sequence[Row], shown: str
) -> None:
    """Begin the invitations of members who never had one, each with its link, in one go.

    A link is a row as `add_link` takes it; `shown` is how far all of them have come.
    """
    await session.write(
        Insert("invitation", _WAITING.split(", "), [astuple(one) for one in waiting]),
        Insert("invitation_link", _LINK, links),
        Update("member", ["id"], ["invitation"], [(one.member_id, shown) for one in waiting]),
    )


async def waiting_of(session: Session, member_id: int) -> Waiting | None:
    """Lock the invitation of a member and give it; None when there is none to wait for."""
    row = await session.one(
        f"SELECT {_WAITING} FROM invitation WHERE member_id = $1{session.for_update}", member_id
    )
    return Waiting(*row) if row else None


async def expiry_of(session: Session, member_id: int) -> int | None:
    """Give until when a member's invitation can be used; None when there is none."""
    row = await session.one("SELECT expires_at FROM invitation WHERE member_id = $1", member_id)
    return row[0] if row else None


async def set_next(session: Session, member_id: int, next_at: int) -> None:
    """Say when to look at an invitation again."""
    await session.run("UPDATE invitation SET next_at = $2 WHERE member_id = $1", member_id, next_at)


async def end(session: Session, member_id: int) -> None:
    """End the waiting for a member."""
    await session.run("DELETE FROM invitation WHERE member_id = $1", member_id)


async def due(session: Session, at: int, most: int) -> Sequence[Row]:
    """Give (entity_id, member_id) of invitations that are to be looked at, those first due first.

    Those of an organisation stand together.
    """
    return await session.all(
        "SELECT entity_id, member_id FROM (SELECT entity_id, member_id FROM invitation"
        " WHERE next_at <= $1 ORDER BY next_at LIMIT $2) AS due ORDER BY entity_id, member_id",
        at,
        most,
    )


async def add_link(
    session: Session, token_hash: bytes, member_id: int, message_id: str, recipient: str, at: int
) -> None:
    """Add a link that works; `message_id` and `recipient` tell whose mail it was that came back."""
    await session.run(
        "INSERT INTO invitation_link (token_hash, member_id, message_id, recipient, made_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        token_hash,
        member_id,
        message_id,
        recipient,
        at,
    )


async def end_links(session: Session, member_id: int, ended: str) -> None:
    """Let no link of a member work any more, and forget where the mails went."""
    await session.run(
        "UPDATE invitation_link SET ended = $2, recipient = ''"
        " WHERE member_id = $1 AND ended IS NULL",
        member_id,
        ended,
    )


async def link_of(session: Session, token_hash: bytes, *, locked: bool = False) -> Link | None:
    """Give a link; locked, nobody ends it before this work has ended."""
    row = await session.one(
        "SELECT member_id, message_id, ended FROM invitation_link WHERE token_hash = $1"
        + (session.for_update if locked else ""),
        token_hash,
    )
    return Link(*row) if row else None


async def members_of_mail(session: Session, message_id: str, recipient: str) -> list[int]:
    """Give whose working link went out in a mail, found by its id, else by its recipient."""
    for column, value in (("message_id", message_id), ("recipient", recipient)):
        if value:
            rows = await session.all(
                f"SELECT member_id FROM invitation_link WHERE {column} = $1 AND ended IS NULL"
                " ORDER BY member_id LIMIT 100",
                value,
            )
            if rows:
                return [row[0] for row in rows]
    return []


async def inviter_of(session: Session, member_id: int) -> str | None:
    """Give the full name of whom a member was invited by; None when nobody is known."""
    row = await session.one(
        "SELECT c.first_name, c.last_name FROM member m JOIN member c ON c.id = m.created_by_id"
        " WHERE m.id = $1",
        member_id,
    )
    return " ".join(f"{row[0]} {row[1]}".split()) if row else None


async def is_member(session: Session, entity_id: int, account_id: int) -> bool:
    """Whether an account has a membership in an organisation that has not ended."""
    row = await session.one(
        "SELECT 1 FROM member WHERE account_id = $1 AND entity_id = $2 AND state <> 'inactive'",
        account_id,
        entity_id,
    )
    return row is not None


async def staff_beside(
    session: Session, member_id: int, after: int, most: int
) -> list[tuple[int, str]]:
    """Give (id, uuid) of active staff who share a group with a member, above an id, by id."""
    rows = await session.all(
        "SELECT m.id, m.uuid FROM member m WHERE m.state = 'active' AND m.profile <= 3"
        " AND m.id > $2 AND m.id IN (SELECT other.member_id FROM group_member own"
        " JOIN group_member other ON other.group_id = own.group_id WHERE own.member_id = $1)"
        " ORDER BY m.id LIMIT $3",
        member_id,
        after,
        most,
    )
    return [(row[0], row[1]) for row in rows]
