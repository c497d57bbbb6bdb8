"""Rows about invitations: what an administrator does with one, and how somebody joins with it.

Nobody is signed in when joining: the token of the mailed link is the credential. Looking does not
use it up; the code that is sent for it does.
"""

from typing import Annotated, Any, Final, NoReturn

import msgspec

from onrecord.domain import accounts, challenges, invitations, joining, members, terms
from onrecord.domain.invitations import Invited
from onrecord.domain.joining import Joined
from onrecord.domain.sessions import Opened
from onrecord.domain.terms import Terms
from onrecord.model import text
from onrecord.model.access import Actor
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.store.work import Work
from onrecord.web import branding, persons
from onrecord.web.app_service import Challenged, Confirm
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes
from onrecord.web.entity_service import OneMember
from onrecord.web.members import NameMember

BASE: Final = "/app-service/api/invitations"
ADMIN: Final = "/entity-service/sys-api/entity-memberships/invitations"
Token = Annotated[str, msgspec.Meta(max_length=200)]
Typed = Annotated[str, msgspec.Meta(max_length=1000)]


# -- what administrators do ----------------------------------------------------------------------


class Resend(NameMember):
    """Whom to invite again, and with which words; absent: the ones of before."""

    invitation_message: str | None = None


async def resend(work: Work, taken: Resend) -> OneMember:
    """Send the invitation once more, with a fresh link."""
    member = await members.pick(work, taken.entity_user_xref_uuid, taken.identifier)
    await invitations.resend(work, member, taken.invitation_message)
    return OneMember(await members.shown(work, member))


async def revoke(work: Work, taken: NameMember) -> OneMember:
    """Take an invitation back."""
    member = await members.pick(work, taken.entity_user_xref_uuid, taken.identifier)
    await invitations.revoke(work, member)
    return OneMember(await members.shown(work, member))


# -- joining -------------------------------------------------------------------------------------


class GetInvitation(Takes):
    """The token of the link, if it is not in `X-Invitation-Token`."""

    token: Token | None = None


class InvitingEntity(msgspec.Struct):
    """The organisation that invites."""

    name: str
    logo_url: str | None


class ShownInvitation(msgspec.Struct):
    """What somebody is invited to, and what joining asks for."""

    entity: InvitingEntity
    first_name: str
    needs_phone: bool
    terms: list[Terms]


async def get_invitation(call: Call, taken: GetInvitation) -> Answer:
    """Say what a link invites to, without using it up."""
    persons.keep_quiet(call)
    token = _token_of(call, taken.token)

    async def look(work: Work) -> ShownInvitation:
        invited = await invitations.look(work, token)
        urls = await branding.urls(work.db, call, [invited.entity])
        return ShownInvitation(
            InvitingEntity(invited.entity.name, urls[invited.entity.id].logo),
            invited.member.first_name,
            await joining.needs_phone(work, invited),
            await terms.due(work.db, None, None, invited.entity.id),
        )

    try:
        shown = await persons.unsigned(call, look)
    except Refusal as refusal:
        _refuse(call, refusal)
    return Answer(encode(shown))


def _token_of(call: Call, in_query: str | None) -> str:
    header = call.headers.get(b"x-invitation-token")
    token = in_query or (header.decode("latin-1") if header else "")
    if not token:
        raise missing("token")
    return token


def _refuse(call: Call, refusal: Refusal) -> NoReturn:
    """Refuse; a token that is none counts against its address, and so does trying out names."""
    if refusal.code in {"RU010", "RB013"}:
        persons.failed(call, refusal)
    raise refusal


class Accept(Takes):
    """The token, and the account to be: a new one, or that of the session that is shown."""

    token: Token
    accept_terms: bool
    username: Typed | None = None
    password: Typed | None = None
    phone_number: str | None = None


async def accept(call: Call, taken: Accept) -> Answer:
    """Take what a new member says, and send the code that completes the joining."""
    persons.keep_quiet(call)
    if not taken.accept_terms:
        raise malformed("accept_terms", "must be true: without the terms nobody joins")
    actor = None
    if taken.username is None and taken.password is None:
        actor = await persons.signed_in_already(call)
    phone = text.check_phone("phone_number", taken.phone_number) if taken.phone_number else None

    async def check(work: Work) -> dict[str, Any]:
        invited = await invitations.look(work, taken.token)
        return await _payload(work, invited, taken, actor, phone)

    try:
        payload = await persons.unsigned(call, check)
    except Refusal as refusal:
        _refuse(call, refusal)
    call.limits.count_code(payload["token_hash"])
    if taken.password is not None:  # takes its time, so it is no part of a work
        payload["password"] = await call.app.passwords.hash(taken.password)

    async def begin(work: Work) -> challenges.Begun:
        invited = await invitations.look(work, taken.token)
        channel, to = persons.way_to(call, invited.email, payload["phone_number"])
        return await challenges.begin(
            work,
            purpose=joining.PURPOSE,
            account_id=payload["account_id"],
            channel=channel,
            to=to,
            payload=payload,
            entity_id=invited.entity.id,
        )

    begun = await persons.unsigned(call, begin)
    return Answer(encode(Challenged(begun.challenge, begun.sent_to)))


async def _payload(
    work: Work, invited: Invited, taken: Accept, actor: Actor | None, phone: str | None
) -> dict[str, Any]:
    """Check what somebody says who joins, and give what completes it once the code was right."""
    account_id = None if actor is None or actor.account is None else actor.account.id
    if account_id is not None:
        await joining.check_not_in(work, invited, account_id)
    else:
        if taken.username is None:
            raise missing("username")
        if taken.password is None:
            raise missing("password")
        await accounts.check_username(work, taken.username)
        accounts.check_password(taken.password, taken.username)
    due = await terms.due(work.db, account_id, None, invited.entity.id)
    return {
        "token_hash": invitations.token_hash(taken.token).hex(),
        "account_id": account_id,
        "session_id": None if actor is None or actor.account is None else actor.account.session_id,
        "username": taken.username or "",
        "phone_number": await joining.phone_for(work, invited, phone),
        "terms": {one.whose: one.version for one in due},
    }


class HasJoined(msgspec.Struct):
    """Who somebody is from now on, and the token that POSTs need."""

    entity_uuid: str
    entity_user_xref_uuid: str
    csrf_token: str


async def confirm(call: Call, taken: Confirm) -> Answer:
    """Take the code: the account is made or linked, the member active, the session open."""
    persons.keep_quiet(call)

    async def work_it(work: Work) -> tuple[challenges.Verdict, tuple[Joined, Opened] | None]:
        verdict = await challenges.confirm(
            work, purpose=joining.PURPOSE, challenge=taken.challenge, code=taken.code
        )
        if verdict.refusal is not None:
            return verdict, None
        joined = await joining.join(work, verdict.right())
        opened = await persons.open_session(
            work, call, joined.account_id, joined.account_uuid, verdict.factor
        )
        return verdict, (joined, opened)

    verdict, done = await persons.unsigned(call, work_it)
    await persons.check_code(call, verdict)
    if done is None:
        raise Refusal("RU010")
    joined, opened = done
    call.app.bell.ring(joined.member.entity_id)
    shown = HasJoined(joined.entity_uuid, joined.member.uuid, opened.csrf_token)
    return persons.with_cookies(call, Answer(encode(shown)), opened)


_ADMIN: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_write_admin",),
    "gives": OneMember,
    "refusals": ("RB019", "RB785", "RN006"),
    "mode": "write",
    "tags": ("Members",),
}
_JOINING: Final[dict[str, Any]] = {
    "kinds": frozenset(),
    "mode": "script",
    "tags": ("Joining",),
}

ROWS: Final = (
    Endpoint(
        path=f"{ADMIN}/resend",
        summary="Send a pending member's invitation again",
        takes=Resend,
        writes=("invitation.made",),
        handler=resend,
        **_ADMIN,
    ),
    Endpoint(
        path=f"{ADMIN}/revoke",
        summary="Revoke a pending member's invitation",
        takes=NameMember,
        writes=("invitation.revoked",),
        handler=revoke,
        **_ADMIN,
    ),
    Endpoint(
        method="GET",
        path=BASE,
        summary="Read what a link invites to",
        takes=GetInvitation,
        gives=ShownInvitation,
        refusals=("RU010", "RU029", "RN900", "RN902"),
        handler=get_invitation,
        **_JOINING,
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/accept",
        summary="Accept an invitation: a code is sent",
        takes=Accept,
        gives=Challenged,
        refusals=("RB013", "RB019", "RU003", "RU010", "RU029", "RN900", "RN902"),
        writes_nothing="Nothing has changed before the code comes back.",
        secrets=("challenge",),
        handler=accept,
        **_JOINING,
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/confirm",
        summary="Join with the code",
        takes=Confirm,
        gives=HasJoined,
        refusals=("RB013", "RB019", "RU001", "RU010", "RU029", "RN900", "RN902"),
        writes=(
            "account.created",
            "account.signed_in",
            "account.session_ended",
            "member.joined",
            "terms.accepted",
            "chat.created",
            "message.sent",
        ),
        secrets=("csrf_token",),
        handler=confirm,
        **_JOINING,
    ),
)
