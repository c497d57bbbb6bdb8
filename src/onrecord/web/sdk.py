"""Rows about the embedded app: its tokens, and in which organisations somebody is a member."""

from typing import Final

import msgspec

from onrecord.domain import sdk
from onrecord.model import times
from onrecord.store.work import Work
from onrecord.web import idempotency
from onrecord.web.app_service import ShownEntity, shown_entities
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes
from onrecord.web.entity_service import BASE


class CreateSdkSession(Takes):
    """For whom the embedded app is to act."""

    identifier: str | None = None
    entity_user_xref_uuid: str | None = None


class SdkSession(msgspec.Struct):
    """A token, and where to use it; shown this once."""

    sdk_token: str | None
    api_base_url: str
    entity_uuid: str
    entity_user_xref_uuid: str
    expires_at: str


async def create_session(call: Call, taken: CreateSdkSession) -> Answer:
    """Make a token of the embedded app for a member."""

    async def act(work: Work) -> SdkSession:
        made = await sdk.create(work, taken.entity_user_xref_uuid, taken.identifier)
        return SdkSession(
            made.sdk_token,
            call.base_url,
            work.actor.entity_uuid,
            made.entity_user_xref_uuid,
            times.wire(made.expires_at),
        )

    async def write(work: Work) -> Answer:
        return await idempotency.answered_once(work, call, lambda: act(work))

    answer = await call.app.store.write(call.caller, write)
    if call.caller.actor is not None:
        call.app.bell.ring(call.caller.actor.entity_id)
    return answer


class FindSdkMemberships(Takes):
    """Whose memberships."""

    primary_email: str


class SdkUser(msgspec.Struct):
    """A member, by uuid."""

    entity_user_xref_uuid: str


class SdkMembership(msgspec.Struct):
    """An organisation, and who the person is in it."""

    entity: ShownEntity
    user: SdkUser


class SdkMemberships(msgspec.Struct):
    """Every place where the person is an active member; none when nothing matches."""

    entity_memberships: list[SdkMembership]


async def find_memberships(call: Call, taken: FindSdkMemberships) -> Answer:
    """Give where somebody with this email is an active member."""

    async def read(work: Work) -> SdkMemberships:
        found = await sdk.memberships(work, taken.primary_email)
        shown = await shown_entities(work, call, [entity for _, entity in found])
        return SdkMemberships(
            [SdkMembership(shown[entity.id], SdkUser(uuid)) for uuid, entity in found]
        )

    return Answer(encode(await call.app.store.read(call.caller, read)))


ROWS: Final = (
    Endpoint(
        method="POST",
        path=f"{BASE}/sdk/sessions/create",
        summary="Make a token of the embedded app for a member",
        kinds=SYSTEM_KEYS,
        permissions=("can_create_sdk_tokens",),
        takes=CreateSdkSession,
        gives=SdkSession,
        refusals=("RB035", "RB785", "RF024", "RF888", "RN006"),
        writes=("sdk.session_created",),
        secrets=("sdk_token",),
        handler=create_session,
        mode="script",
        tags=("Embedding",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/sdk/entity-memberships",
        summary="Find in which organisations somebody is an active member",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        entity="optional",
        takes=FindSdkMemberships,
        gives=SdkMemberships,
        handler=find_memberships,
        mode="script",
        tags=("Embedding",),
    ),
)
