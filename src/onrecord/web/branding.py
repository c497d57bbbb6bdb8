"""Where everybody finds the logo and the avatar of an organisation: addresses, and their rows.

Mails carry the logo themselves. Pages show both before anybody is signed in, so these need no key.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from onrecord.domain import branding
from onrecord.domain.branding import AVATAR, LOGO
from onrecord.model.people import Picture
from onrecord.outside import pictures
from onrecord.store.access import Entity
from onrecord.store.db import Session
from onrecord.web.call import Call
from onrecord.web.endpoint import Answer, Endpoint, Takes

PUBLIC: Final = "/app-service/api/organisations"
_ASKED_FOR_ANEW: Final = "public, no-cache"
_KEPT: Final = "public, max-age=31536000, immutable"
"""What an address with a version may be kept for: a year. Another picture has another address."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the pictures of an organisation are; None where there is none."""

    logo: str | None
    avatar: str | None


async def urls(session: Session, call: Call, entities: Collection[Entity]) -> Mapping[int, Urls]:
    """Give where the pictures of organisations are, by internal id."""
    versions = await branding.versions(session, [one.id for one in entities])

    def url(entity: Entity, which: str) -> str | None:
        version = versions.get((entity.id, which))
        if version is None:
            return None
        query = urlencode({"entity_uuid": entity.uuid, "v": version})
        return f"{call.base_url}{PUBLIC}/{which}?{query}"

    return {one.id: Urls(url(one, LOGO), url(one, AVATAR)) for one in entities}


class GetPublicPicture(Takes):
    """Of which organisation, how large, and which version the address was made for."""

    entity_uuid: str
    size: int | None = None
    v: str | None = None


def _public(which: str) -> Callable[[Call, GetPublicPicture], Awaitable[Answer]]:
    async def get(call: Call, taken: GetPublicPicture) -> Answer:
        size = branding.check_size(which, taken.size)
        found, version = await call.app.store.ask(
            lambda session: branding.public(session, taken.entity_uuid, which, size)
        )
        return told(call, found, _KEPT if taken.v == version else _ASKED_FOR_ANEW)

    return get


def told(call: Call, picture: Picture, caching: str) -> Answer:
    """Give a picture with its entity tag, or say that the caller has it already."""
    etag = f'"{picture.digest}"'
    headers = (("ETag", etag),)
    if call.knows(etag):
        return Answer(b"", picture.content_type, 304, headers, caching=caching)
    return Answer(picture.data, picture.content_type, headers=headers, caching=caching)


TYPES: Final = {LOGO: pictures.PNG, AVATAR: pictures.CONTENT_TYPE}
"""What each picture is given out as."""


def _row(which: str) -> Endpoint:
    return Endpoint(
        method="GET",
        path=f"{PUBLIC}/{which}",
        summary=f"Read the {which} of an organisation",
        kinds=frozenset(),
        takes=GetPublicPicture,
        produces=TYPES[which],
        refusals=("RN008",),
        handler=_public(which),
        mode="script",
        tags=("Organisation",),
    )


ROWS: Final = (_row(LOGO), _row(AVATAR))
