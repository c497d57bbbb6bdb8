"""Branding: the logo and the avatar of an organisation.

They are no secret: mails carry the logo, and sign-in pages show it before anybody is known. Who
asks without a key must still not learn which organisations there are.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from onrecord.model import text
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import AVATAR_SIZES, LOGO_BOXES, Picture
from onrecord.store import access
from onrecord.store import branding as rows
from onrecord.store.db import Session
from onrecord.store.work import Work

LOGO: Final = "logo"
AVATAR: Final = "avatar"
SIZES: Final[Mapping[str, Collection[int]]] = {LOGO: tuple(LOGO_BOXES), AVATAR: AVATAR_SIZES}
"""In which sizes each is kept: a logo by the height of the box that it fits into, in pixels."""
SIZE_DEFAULT: Final = {LOGO: min(LOGO_BOXES), AVATAR: 256}


async def change(work: Work, which: str, pictures: Sequence[Picture]) -> None:
    """Give the actor's organisation another picture, in every size; none takes it away.

    What it has already changes nothing.
    """
    entity_id = work.actor.entity_id
    largest = max(pictures, default=None)
    before = (await rows.digests_of(work.db, [entity_id])).get((entity_id, which))
    if before == (largest and largest.digest):
        return
    await rows.set_picture(work.db, entity_id, which, pictures)
    work.record(
        "entity.picture_changed",
        data={"which": which, "has_picture": largest is not None},
        parts={"details": {which: largest.digest}} if largest else {},
    )


def check_size(which: str, size: int | None) -> int:
    """Give the size asked for, the usual one when none is; RB003: one that is not kept."""
    if size is None:
        return SIZE_DEFAULT[which]
    if size not in SIZES[which]:
        raise malformed("size", f"is none of {', '.join(map(str, SIZES[which]))}")
    return size


async def own(work: Work, which: str, size: int) -> Picture:
    """Give a picture of the actor's organisation (RN008 when there is none)."""
    found = await rows.picture_of(work.db, work.actor.entity_id, which, size)
    if found is None:
        raise _no_such(which)
    return found


async def public(session: Session, entity_uuid: str, which: str, size: int) -> tuple[Picture, str]:
    """Give a picture to anybody who names the organisation, and the name of this version.

    RB003: no UUID. RN008, in the same words: no such organisation, an inactive one, no picture.
    """
    uuid = text.check_uuid("entity_uuid", entity_uuid)
    entity = await access.entity_of(session, uuid)
    if entity is None or entity.state == "inactive":
        raise _no_such(which)
    found = await rows.picture_of(session, entity.id, which, size)
    if found is None:
        raise _no_such(which)
    return found, (await rows.digests_of(session, [entity.id]))[entity.id, which]


def _no_such(which: str) -> Refusal:
    return Refusal("RN008", f"There is no such {which}")


async def versions(session: Session, entity_ids: Collection[int]) -> Mapping[tuple[int, str], str]:
    """Name the present versions of organisations' pictures: (internal id, which) → version."""
    return await rows.digests_of(session, list(entity_ids))


async def mailed(session: Session, entity_id: int) -> bytes | None:
    """Give the logo that stands on top of an organisation's mails; None for none."""
    found = await rows.picture_of(session, entity_id, LOGO, SIZE_DEFAULT[LOGO])
    return found.data if found else None
