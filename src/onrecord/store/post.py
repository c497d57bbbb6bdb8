"""The outbox: mails and texts that are kept instead of sent, for trying things out."""

import json
from collections.abc import Sequence
from typing import Final

import msgspec

from onrecord.model import times
from onrecord.store.db import Session

KEPT_MOST: Final = 500
"""Messages the outbox holds; the oldest go."""


class Kept(msgspec.Struct, kw_only=True):
    """A message of the outbox."""

    to: str
    channel: str
    subject: str
    text: str
    links: list[str]
    code: str | None
    at: str


async def keep(
    session: Session,
    *,
    recipient: str,
    channel: str,
    subject: str,
    text: str,
    links: Sequence[str],
    code: str | None,
    at: int,
) -> None:
    """Keep a message, and forget the oldest above 500."""
    row = await session.one(
        "INSERT INTO outbox (recipient, channel, subject, text, links, code, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
        recipient,
        channel,
        subject,
        text,
        json.dumps(links),
        code,
        at,
    )
    if row is not None:
        await session.run("DELETE FROM outbox WHERE id <= $1", row[0] - KEPT_MOST)


async def kept(session: Session) -> list[Kept]:
    """Give the messages of the outbox, the newest first."""
    rows = await session.all(
        "SELECT recipient, channel, subject, text, links, code, at FROM outbox ORDER BY id DESC"
    )
    return [
        Kept(
            to=to,
            channel=channel,
            subject=subject,
            text=text,
            links=json.loads(links),
            code=code,
            at=times.wire(at),
        )
        for to, channel, subject, text, links, code, at in rows
    ]
