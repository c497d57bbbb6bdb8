"""Rows of the Butler: one text to one member, to many, or to an audience (contract, section 5)."""

from typing import Annotated, Final

import msgspec

from onrecord.domain import attachments, butler, members
from onrecord.model.chats import Recipient, Said
from onrecord.store.work import Work
from onrecord.web import slices
from onrecord.web.call import Call
from onrecord.web.endpoint import MASTER_KEYS, Answer, Endpoint, Takes

BASE: Final = "/chat-service/api/chats/butler-says"


class AudienceTaken(Takes):
    """Active and suspended members: everyone, or the union of roles and groups."""

    everyone: bool = False
    enum_profile_ids: list[int] = msgspec.field(default_factory=list)
    group_uuids: list[str] = msgspec.field(default_factory=list)


_TEXT: Final = msgspec.Meta(
    description="1 to 5,000 characters; <First Name> and <Last Name> are the recipient's"
)


class NameAudience(Takes):
    """Whom something is for: everybody named in any of these ways, each once."""

    entity_user_xref_uuid: str | None = None
    identifier: str | None = None
    entity_user_xref_uuids: list[str] | None = None
    identifiers: list[str] | None = None
    audience: AudienceTaken | None = None


class ButlerText(NameAudience, kw_only=True):
    """A text, and whom it is for."""

    text: Annotated[str, _TEXT]


class ButlerAttachment(NameAudience, kw_only=True):
    """Files that were uploaded without a chat, a text if wished, and whom they are for."""

    attachment_uuid: str | None = None
    attachment_uuids: list[str] | None = None
    text: Annotated[str, _TEXT] | None = None


class ButlerSaid(msgspec.Struct):
    """How many were spoken to, how many not, and what became of each."""

    sent: int
    failed: int
    results: list[Said]


async def say_text(call: Call, taken: ButlerText) -> Answer:
    """Speak to everybody named; above 500 recipients in slices, whole or nothing each."""
    return await _said(call, taken, taken.text, [])


async def say_attachment(call: Call, taken: ButlerAttachment) -> Answer:
    """Bring files to everybody named, in slices as a text."""
    uuids = attachments.named(taken.attachment_uuid, taken.attachment_uuids)
    return await _said(call, taken, taken.text or None, uuids)


async def _said(call: Call, taken: NameAudience, body: str | None, uuids: list[str]) -> Answer:
    async def plan(work: Work) -> list[Recipient]:
        butler.check_text(body)
        await attachments.for_butler(work, uuids)
        return await butler.recipients(work, await _audience(work, taken))

    async def say(work: Work, to: list[Recipient]) -> list[Said]:
        files = await attachments.for_butler(work, uuids)
        return await butler.say(work, to, body, files)

    return await slices.answered(
        call,
        slices.Sliced(butler.SLICE, plan, say, _whole, list[Recipient], list[Said]),
    )


async def _audience(work: Work, taken: NameAudience) -> butler.Audience:
    uuid, identifier = taken.entity_user_xref_uuid, taken.identifier
    if uuid and identifier:  # one member named twice must be one
        uuid, identifier = (await members.pick(work, uuid, identifier)).uuid, None
    wanted = taken.audience or AudienceTaken()
    return butler.Audience(
        uuids=[*([uuid] if uuid else []), *(taken.entity_user_xref_uuids or [])],
        identifiers=[*([identifier] if identifier else []), *(taken.identifiers or [])],
        everyone=wanted.everyone,
        profiles=wanted.enum_profile_ids,
        group_uuids=wanted.group_uuids,
    )


def _whole(results: list[Said]) -> ButlerSaid:
    failed = sum(said.error_code is not msgspec.UNSET for said in results)
    return ButlerSaid(len(results) - failed, failed, results)


ROWS: Final = (
    Endpoint(
        method="POST",
        path=f"{BASE}/send-text",
        summary="Let the Butler say a text to members",
        kinds=MASTER_KEYS,
        permissions=("can_write_chat",),
        acting="optional",
        takes=ButlerText,
        gives=ButlerSaid,
        refusals=("RN002", "RN006"),
        writes=("chat.created", "message.sent"),
        handler=say_text,
        mode="script",
        tags=("Butler",),
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/send-attachment",
        summary="Let the Butler bring files to members",
        kinds=MASTER_KEYS,
        permissions=("can_write_chat",),
        acting="optional",
        takes=ButlerAttachment,
        gives=ButlerSaid,
        refusals=("RN002", "RN004", "RN006"),
        writes=("chat.created", "message.sent"),
        handler=say_attachment,
        mode="script",
        tags=("Butler",),
    ),
)
