"""Rows that take things out of the organisation's record: `/entity-service/sys-api/export`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager
from typing import Annotated, Any, Final, Literal

import msgspec

from onrecord import app as composition
from onrecord.domain import entities_export
from onrecord.store.work import Work
from onrecord.web.call import Call
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes

BASE: Final = "/entity-service/sys-api"
PIECE: Final = 2**16
"""Bytes that are gathered before they are sent, unless there are no more."""
CONTENT_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "zip": "application/zip",
}


class GetEntities(Takes):
    """In which form, and as of which position of the record."""

    format: Literal["json", "csv", "zip"] = "json"
    as_of: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] | None = None


class ExportedEntity(msgspec.Struct, kw_only=True):
    """The organisation as of the position."""

    entity_uuid: str
    name: str | None
    state: str
    has_logo: bool
    has_avatar: bool
    settings: dict[str, Any]
    created_at: str
    erased: list[str]


class ExportedMember(msgspec.Struct, kw_only=True):
    """A member as of the position."""

    entity_uuid: str
    entity_user_xref_uuid: str
    identifier: str | None
    enum_profile_id: int
    profile: str
    first_name: str | None
    last_name: str | None
    job_title: str | None
    primary_email: str | None
    primary_phone_number: str | None
    emails: list[str] | None
    phone_numbers: list[str] | None
    state: str
    data_reviewer_level: int
    has_avatar: bool
    group_uuids: list[str]
    created_at: str
    updated_at: str
    erased: list[str]


class ExportedGroup(msgspec.Struct, kw_only=True):
    """A group as of the position."""

    group_uuid: str
    name: str | None
    identifier: str | None
    description: str | None
    state: str
    is_default: bool
    member_count: int
    created_at: str
    updated_at: str
    erased: list[str]


class ExportedParticipant(msgspec.Struct, kw_only=True):
    """Who takes part in a chat or did, and since when; the last stay where there were several."""

    entity_user_xref_uuid: str
    identifier: str | None
    first_name: str | None
    last_name: str | None
    enum_profile_id: int
    state: str
    joined_at: str
    left_at: str | None


class ExportedChat(msgspec.Struct, kw_only=True):
    """A chat as of the position."""

    chat_uuid: str
    title: str | None
    state: str
    is_staff_only: bool
    is_butler: bool
    has_clients: bool
    created_by_entity_user_xref_uuid: str | None
    created_at: str
    last_seq: int | None
    last_message_at: str | None
    participants: list[ExportedParticipant]
    erased: list[str]


class EntitiesExport(msgspec.Struct, kw_only=True):
    """All member, group and chat records, rebuilt from the record."""

    entity: ExportedEntity
    as_of: int
    checkpoint: str
    entity_memberships: list[ExportedMember]
    groups: list[ExportedGroup]
    chats: list[ExportedChat]


async def export_entities(call: Call, taken: GetEntities) -> Answer:
    """Fix the position and put the export on record, then stream it."""
    call.limits.check_streams(call.who)

    async def begin(work: Work) -> entities_export.Export:
        return await entities_export.begin(work, call.app.signer, taken.as_of, taken.format)

    export = await call.app.store.write(call.caller, begin)
    call.app.bell.ring(export.plan.entity.id)
    name = f"entities-{export.plan.as_of}.{export.format}"
    place = call.limits.streaming(call.who)
    return Answer(
        b"",
        CONTENT_TYPES[export.format],
        headers=(("Content-Disposition", f'attachment; filename="{name}"'),),
        stream=streamed(place, composition.entities_pieces(call.app, export)),
    )


async def streamed(
    place: AbstractContextManager[None], pieces: AsyncIterator[bytes]
) -> AsyncGenerator[bytes]:
    """Send pieces in handfuls, giving others their turn after each piece."""
    with place:
        gathered: list[bytes] = []
        size = 0
        async for piece in pieces:
            await asyncio.sleep(0)  # reading on SQLite never waits
            gathered.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(gathered)
                gathered, size = [], 0
        if size:
            yield b"".join(gathered)


ROWS: Final = (
    Endpoint(
        method="GET",
        path=f"{BASE}/export/entities",
        summary="Export all member, group and chat records",
        kinds=SYSTEM_KEYS,
        permissions=("can_export",),
        takes=GetEntities,
        gives=EntitiesExport,
        also_produces=("text/csv", "application/zip"),
        refusals=("RN008", "RU029"),
        writes=("export.made",),
        handler=export_entities,
        mode="script",
        tags=("Record",),
    ),
)
