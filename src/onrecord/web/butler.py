"""Rows of the Butler: one text to one member, to many, or to an audience (contract, section 5)."""

from typing import Annotated, Final

import msgspec

from onrecord.domain import butler, members
from onrecord.model.chats import Recipient, Said
from onrecord.store.work import Work
from onrecord.web import slices
from onrecord.web.call import Call
from onrecord.web.endpoint import MASTER_KEYS, Answer, Endpoint, Takes

BASE: Final = "/chat-service/api/chats/butler-says"


class AudienceTaken(msgspec.Struct):
    """Active and suspended members: everyone, or the union of roles and groups."""

    everyone: bool = False
    enum_profile_ids: list[int] = []
    group_uuids: list[str] = []


class ButlerText(Takes):
    """A text, and whom it is for: everybody named in any of these ways, each once."""

    text: Annotated[
        str,
        msgspec.Meta(
            description="1 to 5,000 characters; <First Name> and <Last Name> are the recipient's"
        ),
    ]
    entity_user_xref_uuid: str | None = None
    identifier: str | None = None
    entity_user_xref_uuids: list[str] | None = None
    identifiers: list[str] | None = None
    audience: AudienceTaken | None = None


class ButlerSaid(msgspec.Struct):
    """How many were spoken to, how many not, and what became of each."""

    sent: int
    failed: int
    results: list[Said]


async def say_text(call: Call, taken: ButlerText) -> Answer:
    """Speak to everybody named; above 500 recipients in slices, whole or nothing each."""

    async def plan(work: Work) -> list[Recipient]:
        butler.check_text(taken.text)
        return await butler.recipients(work, await _audience(work, taken))

    async def say(work: Work, to: list[Recipient]) -> list[Said]:
        return await butler.say(work, to, taken.text)

    return await slices.answered(
        call,
        slices.Sliced(butler.SLICE, plan, say, _whole, list[Recipient], list[Said]),
    )


async def _audience(work: Work, taken: ButlerText) -> butler.Audience:
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
)
