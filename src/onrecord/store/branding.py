"""Branding: the pictures of organisations, in the sizes in which they are given out."""

from collections.abc import Mapping, Sequence

from onrecord.model.people import Picture
from onrecord.store.db import Session


async def set_picture(
    session: Session, entity_id: int, which: str, pictures: Sequence[Picture]
) -> None:
    """Give an organisation these pictures in place of whatever was there of the same name."""
    await session.run("DELETE FROM branding WHERE entity_id = $1 AND which = $2", entity_id, which)
    for one in pictures:
        await session.run(
            "INSERT INTO branding (entity_id, which, size, digest, content_type, data)"
            " VALUES ($1, $2, $3, $4, $5, $6)",
            entity_id,
            which,
            *one,
        )


async def picture_of(session: Session, entity_id: int, which: str, size: int) -> Picture | None:
    """Give a picture of an organisation in a size that is kept."""
    row = await session.one(
        "SELECT size, digest, content_type, data FROM branding"
        " WHERE entity_id = $1 AND which = $2 AND size = $3",
        entity_id,
        which,
        size,
    )
    return Picture(row[0], row[1], row[2], bytes(row[3])) if row else None


async def digests_of(session: Session, entity_ids: Sequence[int]) -> Mapping[tuple[int, str], str]:
    """Give the digests of the largest pictures there are: (entity_id, which) → digest."""
    if not entity_ids:
        return {}
    rows = await session.all(
        "SELECT entity_id, which, digest FROM branding"
        f" WHERE entity_id {session.among('$1')} ORDER BY size",
        session.many(entity_ids),
    )
    return {(row[0], row[1]): row[2] for row in rows}
