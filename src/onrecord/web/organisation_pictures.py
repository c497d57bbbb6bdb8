"""Rows of the System API about the organisation's logo and avatar."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from onrecord.domain import branding
from onrecord.domain.branding import AVATAR, LOGO
from onrecord.model.people import AVATAR_SIZES, LOGO_BOXES, Picture
from onrecord.outside import pictures
from onrecord.store.work import Work
from onrecord.web import idempotency, organisation
from onrecord.web.branding import TYPES, told
from onrecord.web.call import Call
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Nothing, Takes
from onrecord.web.organisation import BASE, OneOrganisation

FILE_LIMIT: Final = 10 * 1024 * 1024
"""The largest picture that is taken, in bytes."""
_CACHED: Final = "private, no-cache"


class GetPicture(Takes):
    """How large."""

    size: int | None = None


Reads = Callable[[Call, GetPicture], Awaitable[Answer]]
Changes = Callable[[Call, Nothing], Awaitable[Answer]]


def _read(which: str) -> Reads:
    async def read(call: Call, taken: GetPicture) -> Answer:
        size = branding.check_size(which, taken.size)
        found = await call.app.store.read(call.caller, lambda work: branding.own(work, which, size))
        return told(call, found, _CACHED)

    return read


def _update(which: str) -> Changes:
    async def update(call: Call, _: Nothing) -> Answer:
        file = call.files["file"].file
        if which == LOGO:
            drawn = await pictures.fitted(file, LOGO_BOXES)
        else:
            drawn = await pictures.squares(file, AVATAR_SIZES)
        return await _changed(call, which, drawn)

    return update


def _remove(which: str) -> Changes:
    async def remove(call: Call, _: Nothing) -> Answer:
        return await _changed(call, which, [])

    return remove


async def _changed(call: Call, which: str, drawn: Sequence[Picture]) -> Answer:
    async def change(work: Work) -> OneOrganisation:
        await branding.change(work, which, drawn)
        return await organisation.shown(work, call)

    return await idempotency.written(call, change)


def _rows(which: str) -> tuple[Endpoint, ...]:
    change: dict[str, Any] = {
        "method": "POST",
        "kinds": SYSTEM_KEYS,
        "permissions": ("can_write_admin",),
        "gives": OneOrganisation,
        "writes": ("entity.picture_changed",),
        "mode": "script",
        "tags": ("Organisation",),
    }
    return (
        Endpoint(
            method="GET",
            path=f"{BASE}/{which}",
            summary=f"Read the organisation's {which}",
            kinds=SYSTEM_KEYS,
            permissions=("can_read_admin",),
            takes=GetPicture,
            produces=TYPES[which],
            refusals=("RN008",),
            handler=_read(which),
            mode="script",
            tags=("Organisation",),
        ),
        Endpoint(
            path=f"{BASE}/{which}/update",
            summary=f"Give the organisation another {which}",
            consumes="multipart/form-data",
            files=("file",),
            file_limit=FILE_LIMIT,
            refusals=("RB016",),
            handler=_update(which),
            **change,
        ),
        Endpoint(
            path=f"{BASE}/{which}/remove",
            summary=f"Take the organisation's {which} away",
            handler=_remove(which),
            **change,
        ),
    )


ROWS: Final = (*_rows(LOGO), *_rows(AVATAR))
