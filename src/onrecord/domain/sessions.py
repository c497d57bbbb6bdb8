"""Sessions: who is signed in where, the verdict on a session or SDK token, and how one ends.

A session lives thirty days from signing in, and ends earlier after seven days without use. What
the other side holds has 256 random bits and is stored as SHA-256 only.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from typing import Final

from onrecord.domain import accounts
from onrecord.domain.credentials import Credential, Demand, admit, taken
from onrecord.model import text, times
from onrecord.model.access import (
    BUTLER,
    INSTALLATION_ID,
    INSTALLATION_UUID,
    SYSTEM_ADMIN,
    AccountRef,
    Actor,
    Judged,
    Kind,
    MemberRef,
)
from onrecord.model.errors import Refusal
from onrecord.store import accounts as rows
from onrecord.store import people
from onrecord.store.access import Entity
from onrecord.store.accounts import Account, Membership, SessionRow, Shown
from onrecord.store.db import Session
from onrecord.store.work import Work

TOKEN_BYTES: Final = 32
LIVES: Final = 30 * 86_400 * times.SECOND
"""How long a session lives at the most: then one signs in again."""
IDLE: Final = 7 * 86_400 * times.SECOND
"""How long a session lives without being used."""
KEPT: Final = 60 * 86_400 * times.SECOND
"""How long an expired session is remembered, and with it that its device is known."""
USER_AGENT_MOST: Final = 300


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as opened: what goes into its cookies and into the page."""

    session_id: int
    token: str
    csrf_token: str
    expires_at: int
    device: str
    """What the cookie of the device is to hold."""
    is_new_device: bool


def token_hash(token: str | bytes) -> bytes:
    """Give the form in which tokens are stored and compared."""
    return hashlib.sha256(token.encode() if isinstance(token, str) else token).digest()


def csrf_of(token: str | bytes) -> str:
    """Give the CSRF token of a session: whoever has the session's token can make it, nobody else.

    So it is stored nowhere and dies with the session.
    """
    key = token.encode() if isinstance(token, str) else token
    made = hmac.digest(key, b"onrecord csrf", "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


async def open(  # noqa: A001 - sessions are opened; nobody reads files here
    work: Work,
    account_id: int,
    account_uuid: str,
    user_agent: str,
    address: str | None,
    *,
    device: str | None = None,
    factor: str = "",
) -> Opened:
    """Open a session of an account. Its token is made here and was never seen before.

    `device` is what the cookie of the device holds, if there is one; `factor` what was right
    besides the password.
    """
    known = device is not None and await rows.is_known_device(
        work.db, account_id, token_hash(device)
    )
    kept = device if known and device is not None else secrets.token_urlsafe(TOKEN_BYTES)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    now = times.now()
    session_uuid = str(uuid.uuid4())
    user_agent = plain(user_agent)
    number = await rows.add_session(
        work.db,
        {
            "uuid": session_uuid,
            "token": token_hash(token),
            "kind": "web",
            "account_id": account_id,
            "device": token_hash(kept),
            "user_agent": user_agent,
            "address": address,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + LIVES,
        },
    )
    work.record(
        "account.signed_in",
        actor=accounts.installation(work),
        ids={"account_uuid": account_uuid},
        data={"session_uuid": session_uuid, "factor": factor, "is_new_device": not known},
        parts={"device": user_agent},
    )
    return Opened(number, token, csrf_of(token), now + LIVES, kept, not known)


def plain(user_agent: str) -> str:
    """Give what of a User-Agent is kept: at most 300 characters that can be shown."""
    return "".join(one for one in user_agent if one.isprintable())[:USER_AGENT_MOST]


# -- the verdict ---------------------------------------------------------------------------------


async def judge(session: Session, credential: Credential, demand: Demand) -> Actor:
    """Reach the verdict on a session or SDK token from the tables: an Actor, or a Refusal.

    RU010: unknown, ended, expired. RN900, RN902: the state of the organisation of the membership
    that is named. RF008: not for sessions. RF004, RN006, RF024: no membership, not one's own, not
    active. A session that names no membership acts for its account, in the installation.
    """
    shown = await _living(session, credential)
    # A session acts for its account, whatever membership is named, unless a member must act.
    alone = credential.kind == "session" and demand.acting != "required"
    found = None
    if demand.acting != "none" and not alone:
        found = await _named(session, shown.session, credential)
        if credential.kind == "sdk":
            # That the token was given back, or its key stopped, stands in the organisation's
            # record: it must be no older than the position that was just read.
            shown = await _living(session, credential)
    if found is not None:
        _check_state(found.entity, credential, demand, await _profile(session, found))
    kind = Kind(credential.kind)
    if kind not in demand.kinds:
        word = "a session" if kind is Kind.SESSION else "an SDK token"
        raise Refusal("RF008", f"This call takes {taken(demand)}; this one is {word}")
    account = AccountRef(
        shown.session.account_id, shown.account_uuid, shown.session.id, shown.session.uuid
    )
    if demand.acting == "none" or alone:
        return Actor(
            kind,
            INSTALLATION_ID,
            INSTALLATION_UUID,
            judged=Judged(shown.installation_position, shown.installation_position),
            expires_at=_shown_until(shown),
            account=account,
        )
    member = await _acting(session, shown.session, found, credential)
    assert found is not None  # noqa: S101 - a member was found in it
    actor = Actor(
        kind,
        found.entity.id,
        found.entity.uuid,
        member,
        judged=Judged(found.access_position, shown.installation_position),
        expires_at=_shown_until(shown),
        account=account,
    )
    credential.is_first_use = kind is Kind.SESSION and not found.is_chosen
    admit(actor, demand)
    return actor


async def _living(session: Session, credential: Credential) -> Shown:
    shown = await rows.session_to_judge(session, credential.secret_hash)
    kinds = {"session": "web", "sdk": "sdk"}
    if shown is None or shown.session.kind != kinds[credential.kind]:
        raise Refusal("RU010")
    credential.is_known = True
    stopped = shown.session.ended_at is not None or shown.key_state not in {None, "active"}
    if stopped or _shown_until(shown) <= times.now():
        raise Refusal("RU010")
    return shown


def _shown_until(shown: Shown) -> int:
    """Give when a session or token ends by itself: a token at the latest with its key."""
    ends = _ends_at(shown.session)
    return ends if shown.key_expires_at is None else min(ends, shown.key_expires_at)


def _ends_at(row: SessionRow) -> int:
    return row.expires_at if row.kind == "sdk" else min(row.expires_at, row.seen_at + IDLE)


async def _named(session: Session, row: SessionRow, credential: Credential) -> Membership | None:
    """Give the membership that is named, of whomever; that of an SDK token names itself."""
    if row.member_id is not None:
        return await rows.membership_to_judge(session, row.id, member_id=row.member_id)
    named = credential.on_behalf_of
    if named is None or not text.is_uuid(named):
        return None
    found = await rows.membership_to_judge(session, row.id, uuid=named.lower())
    if found is None or found.account_id is None or found.account_id != row.account_id:
        return None
    return found


async def _profile(session: Session, found: Membership) -> int:
    member = await people.member_by_id(session, found.member_id)
    return BUTLER if member is None else member.profile


def _check_state(entity: Entity, credential: Credential, demand: Demand, profile: int) -> None:
    """Refuse for the organisation's state; its administrators' sessions may read a frozen one."""
    if entity.state == "inactive":
        raise Refusal("RN900")
    in_person = credential.kind == "session" and profile == SYSTEM_ADMIN
    if entity.state == "frozen" and not (demand.reads and in_person):
        raise Refusal("RN902")
    if credential.kind == "sdk" and not entity.settings.get("sdk_enabled", True):
        raise Refusal("RU010", "The organisation has switched the embedded app off")


async def _acting(
    session: Session, row: SessionRow, found: Membership | None, credential: Credential
) -> MemberRef:
    named = credential.on_behalf_of
    if credential.contradiction:
        raise Refusal("RF004", "The membership differs between header and query parameter")
    if row.member_id is None and named is None:
        raise Refusal("RF004", "X-Entity-User-Xref-Uuid must name the membership")
    if row.member_id is None and not text.is_uuid(named or ""):
        raise Refusal("RF004", "X-Entity-User-Xref-Uuid is not a UUID")
    member = None if found is None else await people.member_by_id(session, found.member_id)
    if member is None:
        raise Refusal("RN006", "The session's account has no such membership")
    if row.member_id is not None and named is not None and named.lower() != member.uuid:
        raise Refusal("RF004", "The token is another member's")
    if member.state != "active":
        raise Refusal("RF024", f"The membership is {member.state}")
    return member.ref


async def check_lives(session: Session, session_id: int) -> None:
    """Refuse (RU010) to go on for a session, by its internal id, that is over."""
    row = await rows.session_by_id(session, session_id)
    if row is None or row.ended_at is not None or _ends_at(row) <= times.now():
        raise Refusal("RU010")


# -- how it goes on and ends ---------------------------------------------------------------------


async def note_first_use(work: Work) -> None:
    """Put on record that the session is used in an organisation for the first time."""
    account, member = work.actor.account, work.actor.member
    if account is None or member is None or account.uuid is None:
        return
    if await rows.choose(work.db, account.session_id, member.id):
        work.record(
            "member.signed_in",
            ids={"entity_user_xref_uuid": member.uuid, "account_uuid": account.uuid},
            data={"session_uuid": account.session_uuid},
            subject=member.id,
        )


async def rotate(work: Work, account: Account, session_id: int, session_uuid: str) -> Opened:
    """Give a session another token, as its rights have changed; the old one is dead at once.

    The session itself goes on: that is what the reason `renewed` tells.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await rows.set_token(work.db, session_id, token_hash(token))
    accounts.note(
        work, "account.session_ended", account, session_uuid=session_uuid, reason="renewed"
    )
    return Opened(session_id, token, csrf_of(token), 0, "", is_new_device=False)


async def end(work: Work, account: Account, row: SessionRow, reason: str) -> None:
    """End a session of an account; `reason` is signed_out, ended, password or operator."""
    await rows.end_session(work.db, row.id, times.now())
    accounts.note(work, "account.session_ended", account, session_uuid=row.uuid, reason=reason)


async def end_by_id(work: Work, account: Account, session_id: int, reason: str) -> None:
    """End a living session of an account by its internal id; RU010 when it has ended meanwhile."""
    for row in await listed(work, account):
        if row.id == session_id:
            await end(work, account, row, reason)
            return
    raise Refusal("RU010")


async def listed(work: Work, account: Account) -> list[SessionRow]:
    """Give the living web sessions of an account, the one seen last first."""
    return await rows.sessions_of(work.db, account.id, times.now(), IDLE)


async def end_others(
    work: Work, account: Account, reason: str, keep: int | None = None
) -> list[str]:
    """End every session of an account but one (by internal id); give their uuids."""
    ended = []
    for row in await listed(work, account):
        if row.id != keep:
            await end(work, account, row, reason)
            ended.append(row.uuid)
    return ended


async def end_one(work: Work, account: Account, session_uuid: str) -> None:
    """End one session of an account; RN008 when it has no such living one."""
    wanted = text.check_uuid("session_uuid", session_uuid)
    for row in await listed(work, account):
        if row.uuid == wanted:
            await end(work, account, row, "ended")
            return
    raise Refusal("RN008", "There is no such session")


async def forget(work: Work) -> None:
    """Delete, some at a time, what is long over: sessions, codes, failures of yesterday."""
    now = times.now()
    await rows.forget(work.db, now - KEPT, now)
    await rows.forget_failures(work.db, now - accounts.FAILURES_KEPT)


async def end_by_token(work: Work, token: bytes) -> None:
    """End the web session of a token, if there is a living one: its browser signs in anew."""
    shown = await rows.session_to_judge(work.db, token_hash(token))
    if shown is None or shown.session.kind != "web" or shown.session.ended_at is not None:
        return
    account = await rows.account_by_id(work.db, shown.session.account_id or 0)
    if account is not None:
        await end(work, account, shown.session, "replaced")
