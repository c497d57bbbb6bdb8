"""Tokens of the embedded app: made by a system key for a member, alive for as long as is set."""

import secrets
import uuid
from dataclasses import dataclass

from onrecord.domain import members, organisation_settings
from onrecord.domain.sessions import TOKEN_BYTES, token_hash
from onrecord.model import text, times
from onrecord.model.access import CAN_LOG_IN, INSTALLATION_ID
from onrecord.model.errors import Refusal
from onrecord.store import accounts as rows
from onrecord.store import people
from onrecord.store.access import Entity
from onrecord.store.work import Work


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token as made; it is shown this once."""

    sdk_token: str
    entity_user_xref_uuid: str
    expires_at: int


async def create(work: Work, member_uuid: str | None, identifier: str | None) -> NewToken:
    """Make a token of the embedded app for an active member of the actor's organisation.

    RF888: the organisation has switched the embedded app off. RB785, RB003, RN006: the member is
    not named, named twice differently, or nobody. RB035: the Butler. RF024: not active.
    """
    if not await organisation_settings.value(work, "sdk_enabled"):
        raise Refusal("RF888", "The organisation has switched the embedded app off")
    member = await members.pick(work, member_uuid, identifier)
    if member.profile not in CAN_LOG_IN:
        raise Refusal("RB035")
    if member.state != "active":
        raise Refusal("RF024", f"The member is {member.state}")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = times.now()
    lives = await organisation_settings.value(work, "sdk_token_seconds")
    expires_at = now + lives * times.SECOND
    session_uuid = str(uuid.uuid4())
    await rows.add_session(
        work.db,
        {
            "uuid": session_uuid,
            "token": token_hash(token),
            "kind": "sdk",
            "account_id": await people.account_of_member(work.db, member.id),
            "member_id": member.id,
            "api_key_id": work.actor.key.id if work.actor.key else None,
            "user_agent": "",
            "created_at": now,
            "seen_at": now,
            "expires_at": expires_at,
        },
    )
    work.record(
        "sdk.session_created",
        ids={"entity_user_xref_uuid": member.uuid},
        data={"session_uuid": session_uuid, "expires_at": times.wire(expires_at)},
        subject=member.id,
    )
    return NewToken(token, member.uuid, expires_at)


async def end(work: Work) -> None:
    """Give back the token that acts: it opens nothing any more."""
    account, member = work.actor.account, work.actor.member
    if account is None or member is None:
        raise Refusal("RU010")
    await rows.end_session(work.db, account.session_id, times.now())
    work.record(
        "sdk.session_ended",
        ids={"entity_user_xref_uuid": member.uuid},
        data={"session_uuid": account.session_uuid},
        subject=member.id,
    )


async def memberships(work: Work, primary_email: str) -> list[tuple[str, Entity]]:
    """Give (uuid, organisation) of the active members with an email, in active organisations.

    A super key that names no organisation looks into all of them, any other key into its own.
    """
    key = text.email_key(text.check_email("primary_email", primary_email))
    own = None if work.actor.entity_id == INSTALLATION_ID else work.actor.entity_id
    return await rows.members_with_email(work.db, key, own)
