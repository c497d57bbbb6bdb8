"""Rows about the pictures of members, for administrators and for those who see them."""

from collections.abc import Awaitable, Callable
from typing import Final

from onrecord.domain import avatars, contacts, members
from onrecord.model.people import AVATAR_SIZES, Member, Picture
from onrecord.outside import pictures
from onrecord.store.work import Work
from onrecord.web import idempotency
from onrecord.web.call import Call
from onrecord.web.endpoint import CHATTING, SYSTEM_KEYS, Answer, Endpoint, Takes
from onrecord.web.entity_service import BASE, OneMember
from onrecord.web.members import NameMember

FILE_LIMIT: Final = 10 * 1024 * 1024
"""The largest picture that is taken, in bytes."""
_CACHED: Final = "private, no-cache"
"""Kept by the reader alone, and asked for anew each time: who may see it can change."""


async def update_avatar(call: Call, taken: NameMember) -> Answer:
    """Give a member another picture."""
    drawn = await pictures.squares(call.files["file"].file, AVATAR_SIZES)
    return await idempotency.written(call, lambda work: _changed(work, taken, drawn))


async def _changed(work: Work, taken: NameMember, drawn: list[Picture]) -> OneMember:
    member = await members.pick(work, taken.entity_user_xref_uuid, taken.identifier)
    await avatars.change(work, member, drawn)
    await work.settle()
    return OneMember(await members.shown(work, member))


async def remove_avatar(work: Work, taken: NameMember) -> OneMember:
    """Take a member's picture away."""
    return await _changed(work, taken, [])


class GetAvatar(Takes):
    """Whose picture, and how large."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None
    size: int = avatars.SIZE_DEFAULT


Find = Callable[[Work, str | None, str | None], Awaitable[Member]]


async def get_avatar(call: Call, taken: GetAvatar) -> Answer:
    """Give the picture of any member, to administrators."""
    return await _picture(call, taken, members.pick)


async def get_contact_avatar(call: Call, taken: GetAvatar) -> Answer:
    """Give the picture of somebody the acting member sees."""
    return await _picture(call, taken, contacts.visible)


async def _picture(call: Call, taken: GetAvatar, find: Find) -> Answer:
    size = avatars.check_size(taken.size)

    async def read(work: Work) -> Picture:
        member = await find(work, taken.entity_user_xref_uuid, taken.identifier)
        return await avatars.of_member(work, member, size)

    found = await call.app.store.read(call.caller, read)
    etag = f'"{found.digest}"'
    headers = (("ETag", etag),)
    if call.knows(etag):
        return Answer(b"", found.content_type, 304, headers, caching=_CACHED)
    return Answer(found.data, found.content_type, headers=headers, caching=_CACHED)


_MEMBER: Final = f"{BASE}/entity-memberships"

ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{_MEMBER}/avatar",
        summary="Read a member's picture",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        takes=GetAvatar,
        produces=pictures.CONTENT_TYPE,
        refusals=("RB785", "RN006"),
        handler=get_avatar,
        mode="script",
        tags=("Members",),
    ),
    Endpoint(
        method="POST",
        path=f"{_MEMBER}/avatar/update",
        summary="Give a member another picture",
        kinds=SYSTEM_KEYS,
        permissions=("can_write_admin",),
        takes=NameMember,
        consumes="multipart/form-data",
        files=("file",),
        file_limit=FILE_LIMIT,
        gives=OneMember,
        refusals=("RB016", "RB785", "RN006"),
        writes=("member.avatar_changed",),
        handler=update_avatar,
        mode="script",
        tags=("Members",),
    ),
    Endpoint(
        method="POST",
        path=f"{_MEMBER}/avatar/remove",
        summary="Take a member's picture away",
        kinds=SYSTEM_KEYS,
        permissions=("can_write_admin",),
        takes=NameMember,
        gives=OneMember,
        refusals=("RB785", "RN006"),
        writes=("member.avatar_changed",),
        handler=remove_avatar,
        mode="write",
        tags=("Members",),
    ),
    Endpoint(
        method="GET",
        path="/chat-service/api/contacts/avatar",
        summary="Read the picture of somebody the acting member sees",
        kinds=CHATTING,
        permissions=("can_read_contacts",),
        acting="required",
        takes=GetAvatar,
        produces=pictures.CONTENT_TYPE,
        refusals=("RB785", "RF007", "RN006"),
        handler=get_contact_avatar,
        mode="script",
        tags=("Contacts",),
    ),
)
