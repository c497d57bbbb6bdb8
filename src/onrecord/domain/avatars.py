"""Avatars: the picture of a member."""

from collections.abc import Sequence

from onrecord.domain import administrators
from onrecord.model import times
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import AVATAR_SIZES, Member, Picture
from onrecord.store import avatars as rows
from onrecord.store import people
from onrecord.store.work import Work

SIZE_DEFAULT = 256


async def change(work: Work, member: Member, pictures: Sequence[Picture]) -> None:
    """Give a member another picture, in every size; none takes it away.

    What the member has already changes nothing. RF006: `administrators.check_may_change`,
    but for one's own.
    """
    if work.actor.member is None or work.actor.member.id != member.id:
        administrators.check_may_change(work, member)
    largest = max(pictures, default=None)
    before = await rows.avatar_of(work.db, member.id, AVATAR_SIZES[-1])
    if (before and before.digest) == (largest and largest.digest):
        return
    await rows.set_avatar(work.db, member.id, pictures)
    columns = {"has_avatar": int(largest is not None), "updated_at": times.now()}
    await people.change_member(work.db, member.id, columns)
    work.record(
        "member.avatar_changed",
        ids={"entity_user_xref_uuid": member.uuid},
        data={"has_avatar": largest is not None},
        parts={"profile": {"avatar": largest.digest}} if largest else {},
        subject=member.id,
    )


def check_size(size: int) -> int:
    """Refuse (RB003) a size that is not kept."""
    if size not in AVATAR_SIZES:
        raise malformed("size", f"is none of {', '.join(map(str, AVATAR_SIZES))}")
    return size


async def of_member(work: Work, member: Member, size: int) -> Picture:
    """Give a member's picture (RN006 when there is none)."""
    picture = await rows.avatar_of(work.db, member.id, size)
    if picture is None:
        raise Refusal("RN006", "The member has no picture")
    return picture
