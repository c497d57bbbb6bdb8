"""Rows of the System API about the organisation itself: its name and its settings."""

import hashlib
import re
from typing import Final

import msgspec

from onrecord.domain import organisations
from onrecord.model.errors import Refusal, malformed
from onrecord.store.work import Work
from onrecord.web import branding, idempotency
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Nothing, Takes

BASE: Final = "/entity-service/sys-api/organisation"
_TAG: Final = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
"""An entity tag (RFC 9110, section 8.8.3)."""


class Organisation(msgspec.Struct):
    """The organisation, with the value of every setting."""

    entity_uuid: str
    name: str
    state: str
    created_at: str
    logo_url: str | None
    avatar_url: str | None
    allow_user_api_keys: bool
    staff_invitation_type: str
    client_invitation_type: str
    clients_may_add_participants: bool
    sdk_enabled: bool
    sdk_allowed_origins: list[str]
    sdk_token_seconds: int
    reviewer_export_cap: int | None
    butler_welcome_text: str
    banner: str
    terms: str
    colours: dict[str, str]
    attachment_types: list[str]
    attachment_max_bytes: int
    timezone: str
    locale: str


class OneOrganisation(msgspec.Struct):
    """The organisation."""

    organisation: Organisation


class UpdateOrganisation(Takes):
    """A new name, and new values of settings; what is absent stays as it is."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    allow_user_api_keys: bool | msgspec.UnsetType = msgspec.UNSET
    staff_invitation_type: str | msgspec.UnsetType = msgspec.UNSET
    client_invitation_type: str | msgspec.UnsetType = msgspec.UNSET
    clients_may_add_participants: bool | msgspec.UnsetType = msgspec.UNSET
    sdk_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    sdk_allowed_origins: list[str] | msgspec.UnsetType = msgspec.UNSET
    sdk_token_seconds: int | msgspec.UnsetType = msgspec.UNSET
    reviewer_export_cap: int | msgspec.UnsetType | None = msgspec.UNSET
    butler_welcome_text: str | msgspec.UnsetType = msgspec.UNSET
    banner: str | msgspec.UnsetType = msgspec.UNSET
    terms: str | msgspec.UnsetType = msgspec.UNSET
    colours: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    attachment_types: list[str] | msgspec.UnsetType = msgspec.UNSET
    attachment_max_bytes: int | msgspec.UnsetType = msgspec.UNSET
    timezone: str | msgspec.UnsetType = msgspec.UNSET
    locale: str | msgspec.UnsetType = msgspec.UNSET


async def get_organisation(call: Call, _: Nothing) -> Answer:
    """Give the organisation, with its entity tag."""
    body = encode(await call.app.store.read(call.caller, lambda work: shown(work, call)))
    if call.knows(_tag(body)):
        return Answer(b"", status=304, headers=(("ETag", _tag(body)),))
    return _tagged(Answer(body))


async def update_organisation(call: Call, taken: UpdateOrganisation) -> Answer:
    """Change the organisation, if it still is what `If-Match` says; all changes or none."""
    wanted = _if_match(call)
    new = {name: getattr(taken, name) for name in taken.__struct_fields__}
    given = {name: value for name, value in new.items() if value is not msgspec.UNSET}
    if not given:
        raise Refusal("RB002", "Nothing is given that could be changed")
    name = given.pop("name", None)

    async def update(work: Work) -> OneOrganisation:
        if wanted is not None and _tag(encode(await shown(work, call))) not in wanted:
            raise Refusal("RB027")
        await organisations.update(work, given, name)
        return await shown(work, call)

    return _tagged(await idempotency.written(call, update))


async def shown(work: Work, call: Call) -> OneOrganisation:
    """Give the organisation as it is now."""
    entity = await organisations.own(work)
    urls = (await branding.urls(work.db, call, [entity]))[entity.id]
    facts = await organisations.shown(work, entity)
    return OneOrganisation(Organisation(**facts, logo_url=urls.logo, avatar_url=urls.avatar))


def _tag(body: bytes) -> str:
    """Give the strong entity tag of the organisation as it is shown."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _tagged(answer: Answer) -> Answer:
    """Put the entity tag of what is answered into the headers."""
    headers = (*answer.headers, ("ETag", _tag(answer.body)))
    return Answer(answer.body, headers=headers)


def _if_match(call: Call) -> list[str] | None:
    """Give the tags of `If-Match`, one of which must fit; None where anything does.

    Weak tags never fit (RFC 9110, section 13.1.1). RB003: what is no list of entity tags.
    """
    header = call.headers.get(b"if-match", b"*").decode("latin-1").strip()
    if header == "*":
        return None
    tags = [tag.strip() for tag in header.split(",") if tag.strip()]
    if not tags or not all(_TAG.fullmatch(tag) for tag in tags):
        raise malformed("If-Match", "is no list of entity tags")
    return tags


ROWS: Final = (
    Endpoint(
        method="GET",
        path=BASE,
        summary="Read the organisation and its settings",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        gives=OneOrganisation,
        handler=get_organisation,
        mode="script",
        tags=("Organisation",),
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/update",
        summary="Change the organisation's name and settings",
        kinds=SYSTEM_KEYS,
        permissions=("can_write_admin",),
        takes=UpdateOrganisation,
        gives=OneOrganisation,
        refusals=("RB027",),
        writes=("entity.updated", "setting.changed", "terms.updated", "key.deactivated"),
        handler=update_organisation,
        mode="script",
        tags=("Organisation",),
    ),
)
