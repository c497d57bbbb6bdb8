"""Avatars: the pictures of members, in the sizes in which they are given out."""

from collections.abc import Sequence

from onrecord.model.people import Picture
from onrecord.store.db import Session


async def set_avatar(session: Session, member_id: int, pictures: Sequence[Picture]) -> None:
    """Give a member these pictures in place of whatever was there."""
    await session.run("DELETE FROM avatar WHERE member_id = $1", member_id)
    for one in pictures:
        await session.run(
            "INSERT INTO avatar (member_id, size, digest, content_type, data)"
            " VALUES ($1, $2, $3, $4, $5)",
            member_id,
            *one,
        )


async def avatar_of(session: Session, member_id: int, size: int) -> Picture | None:
    """Give the picture of a member in a size that is kept."""
    row = await session.one(
        "SELECT size, digest, content_type, data FROM avatar WHERE member_id = $1 AND size = $2",
        member_id,
        size,
    )
    return Picture(row[0], row[1], row[2], bytes(row[3])) if row else None
