"""Rows of the web app's own API about signing in and sessions.

`/app-service/api` (contract, section 8). Nobody is signed in when signing in, so those calls take
no credential; all others take a session.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import (
    accounts,
    challenges,
    contacts,
    factors,
    post,
    reviewers,
    sdk,
    sessions,
    terms,
)
from onrecord.domain.challenges import Begun, Channel
from onrecord.domain.sessions import Opened
from onrecord.domain.terms import Terms
from onrecord.model import files, times
from onrecord.model.access import INSTALLATION_ID, PROFILES
from onrecord.model.errors import Refusal
from onrecord.model.people import Contact
from onrecord.store import accounts as rows
from onrecord.store.access import Entity
from onrecord.store.accounts import Account
from onrecord.store.work import Work
from onrecord.web import branding, credentials, organisation, persons
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import IN_PERSON, SESSIONS, Answer, Endpoint, Nothing, Takes
from onrecord.web.groups import Done

BASE: Final = "/app-service/api"
Typed = Annotated[str, msgspec.Meta(max_length=1000)]
"""What is only compared: user names, passwords, codes, tokens."""

SIGN_IN: Final = "sign_in"
EMAIL: Final = "email"
PHONE: Final = "phone_number"


# -- signing in ----------------------------------------------------------------------------------


class SignIn(Takes):
    """Who somebody says to be."""

    username: Typed
    password: Typed


class Challenged(msgspec.Struct):
    """A code is on its way, or is asked for."""

    challenge: str
    sent_to: str


class SignInBegun(Challenged):
    """The password was right; a second factor is needed."""

    methods: list[str]


async def sign_in(call: Call, taken: SignIn) -> Answer:
    """Compare the password, and send or ask for a code."""
    account = await call.app.store.ask(lambda session: rows.account_named(session, taken.username))
    account = await persons.check_password(call, account, taken.username, taken.password)
    known = account
    call.limits.count_code((SIGN_IN, account.id))
    channel, to = persons.way_to(call, known.email, known.phone_number)
    if known.totp is not None:
        channel, to = "totp", ""
    begun = await persons.unsigned(call, lambda work: _challenge(work, known, channel, to))
    methods = [channel] + (["recovery_code"] if known.recovery is not None else [])
    return Answer(encode(SignInBegun(begun.challenge, begun.sent_to, methods)))


async def _challenge(work: Work, account: Account, channel: Channel, to: str) -> Begun:
    accounts.note(work, "account.challenged", account, purpose=SIGN_IN, channel=channel)
    return await challenges.begin(
        work,
        purpose=SIGN_IN,
        account_id=account.id,
        channel=channel,
        to=to,
        payload={"password": accounts.mark(account)},
    )


class Confirm(Takes):
    """The code, with the challenge it answers."""

    challenge: Typed
    code: Typed


class ShownEntity(msgspec.Struct):
    """An organisation, as its members know it."""

    entity_uuid: str
    name: str
    avatar_url: str | None
    logo_url: str | None


class ShownMembership(msgspec.Struct):
    """One membership of an account."""

    entity: ShownEntity
    entity_user_xref_uuid: str
    profile: str
    state: str
    entity_state: str
    terms: list[Terms]


class SignedIn(msgspec.Struct):
    """Where somebody may go now, and the token that POSTs need."""

    memberships: list[ShownMembership]
    csrf_token: str


async def shown_entities(
    work: Work, call: Call, entities: Sequence[Entity]
) -> dict[int, ShownEntity]:
    """Give organisations as the wire shows them beside memberships, by internal id."""
    urls = await branding.urls(work.db, call, entities)
    return {
        one.id: ShownEntity(one.uuid, one.name, urls[one.id].avatar, urls[one.id].logo)
        for one in entities
    }


async def _memberships(work: Work, call: Call, account_id: int) -> list[ShownMembership]:
    found = await rows.memberships_of(work.db, account_id)
    entities = await shown_entities(work, call, [entity for *_, entity in found])
    shown = []
    for number, uuid, profile, state, entity in found:
        if state == "inactive":
            continue
        due = await terms.due(work.db, account_id, number, entity.id)
        own = [one for one in due if one.whose == terms.ORGANISATION]
        role = PROFILES[profile].name
        place = entities[entity.id]
        shown.append(ShownMembership(place, uuid, role, state, entity.state, own))
    return shown


async def confirm_sign_in(call: Call, taken: Confirm) -> Answer:
    """Take the code and open the session.

    RU029: the door is shut. Codes can be asked for by the dozen before the first one is tried, so
    it is shut for all of them; the challenge of a right one waits until it opens.
    """
    shut: list[Account] = []

    async def work_it(work: Work) -> Any:
        verdict = await challenges.confirm(
            work,
            purpose=SIGN_IN,
            challenge=taken.challenge,
            code=taken.code,
            second=factors.of_account(call.app.vault),
        )
        account = None
        if verdict.account_id is not None:  # locked: nobody changes the password meanwhile
            account = await rows.account_by_id(work.db, verdict.account_id, locked=True)
        if account is None:
            return verdict, None
        if locked := await accounts.seconds_locked(work, account.username):
            shut[:] = [account]
            raise persons.locked_out(locked)
        if verdict.refusal is None and verdict.right().get("password") != accounts.mark(account):
            return challenges.Verdict(refusal=challenges.gone()), None
        if verdict.refusal is not None:
            await accounts.count_failure(work, account.username)
            return verdict, None
        return verdict, await _let_in(work, call, account, verdict.factor)

    try:
        verdict, let_in = await persons.unsigned(call, work_it)
    except Refusal:
        persons.count_locked(call, shut)
        raise
    await persons.check_code(call, verdict)
    if let_in is None:
        raise Refusal("RU010")
    call.limits.code_was_right((SIGN_IN, verdict.account_id))
    opened, memberships = let_in
    answer = Answer(encode(SignedIn(memberships, opened.csrf_token)))
    return persons.with_cookies(call, answer, opened)


async def _let_in(
    work: Work, call: Call, account: Account, factor: str
) -> tuple[Opened, list[ShownMembership]]:
    await accounts.forget_failures(work, account.username)
    opened = await persons.open_session(work, call, account.id, account.uuid, factor)
    if opened.is_new_device and account.email:
        agent = sessions.plain(call.headers.get(b"user-agent", b"").decode("latin-1"))
        await post.mail(
            work,
            to=account.email,
            template="new_device",
            values={"device": agent or "a device without a name", "at": times.wire(times.now())},
            entity_id=INSTALLATION_ID,
        )
    return opened, await _memberships(work, call, account.id)


async def sign_out(call: Call, _: Nothing) -> Answer:
    """End the session, or give the SDK token back."""

    async def act(work: Work) -> Done:
        if work.actor.member is not None and work.actor.kind == "sdk":
            await sdk.end(work)
            return Done()
        account = await accounts.own(work)
        assert work.actor.account is not None  # noqa: S101 - it has an account
        await sessions.end_by_id(work, account, work.actor.account.session_id, "signed_out")
        return Done()

    answer = await persons.once(call, act)
    if call.credential is not None and call.credential.kind == "sdk":
        return answer  # the browser may hold a session of the web app beside
    return persons.with_headers(answer, [credentials.no_session_cookie(call.app.settings)])


class ShownAccount(msgspec.Struct):
    """An account as its owner sees it."""

    account_uuid: str
    username: str
    email: str | None
    phone_number: str | None
    has_totp: bool
    has_recovery_code: bool


class ShownSession(msgspec.Struct):
    """Who is signed in, where one may go, and the token that POSTs need."""

    account: ShownAccount
    memberships: list[ShownMembership]
    terms: list[Terms]
    csrf_token: str


async def get_session(call: Call, _: Nothing) -> Answer:
    """Say who is signed in."""

    async def read(work: Work) -> ShownSession:
        account = await accounts.own(work)
        shown = ShownAccount(
            account.uuid,
            account.username,
            account.email,
            account.phone_number,
            account.totp is not None,
            account.recovery is not None,
        )
        memberships = await _memberships(work, call, account.id)
        due = await terms.due(work.db, account.id, None, None)
        return ShownSession(shown, memberships, due, persons.csrf_of(call))

    return Answer(encode(await call.app.store.read(call.caller, read)))


# -- as a member ---------------------------------------------------------------------------------


class OwnOrganisation(msgspec.Struct):
    """What everybody in an organisation may know of it, and an app for them needs."""

    entity_uuid: str
    name: str
    logo_url: str | None
    avatar_url: str | None
    banner: str
    colours: dict[str, str]
    timezone: str
    locale: str
    attachment_types: list[str]
    attachment_max_bytes: int
    clients_may_add_participants: bool
    allow_user_api_keys: bool


class OwnMembership(msgspec.Struct):
    """Who the acting member is, where, and whether one reviews."""

    organisation: OwnOrganisation
    contact: Contact
    data_reviewer_level: int


async def get_membership(call: Call, _: Nothing) -> Answer:
    """Give what an app shows its user before anything else."""

    async def read(work: Work) -> OwnMembership:
        assert work.actor.member is not None  # noqa: S101 - the row asks for one
        own = (await organisation.shown(work, call)).organisation
        facts = {name: getattr(own, name) for name in OwnOrganisation.__struct_fields__}
        facts["attachment_types"] = own.attachment_types or list(files.DEFAULT_ENDINGS)
        return OwnMembership(
            OwnOrganisation(**facts),
            await contacts.view(work, work.actor.member.uuid, None),
            await reviewers.own_level(work),
        )

    return Answer(encode(await call.app.store.read(call.caller, read)))


SIGNING_IN: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": frozenset(),
    "mode": "script",
    "tags": ("Signing in",),
}
PASSWORD: Final = ("RU001", "RU029")
"""What a call that takes a password may refuse: it is wrong, or was wrong too often."""


ROWS: Final = (
    Endpoint(
        path=f"{BASE}/sign-in",
        summary="Begin to sign in",
        takes=SignIn,
        gives=SignInBegun,
        refusals=PASSWORD,
        writes=("account.challenged",),
        handler=sign_in,
        **SIGNING_IN,
    ),
    Endpoint(
        path=f"{BASE}/sign-in/confirm",
        summary="Sign in with the code",
        takes=Confirm,
        gives=SignedIn,
        refusals=("RU001", "RU010", "RU029"),
        writes=("account.signed_in", "account.session_ended", "account.factor_changed"),
        handler=confirm_sign_in,
        **SIGNING_IN,
    ),
    Endpoint(
        method="POST",
        path=f"{BASE}/sign-out",
        summary="End the session",
        kinds=IN_PERSON,
        acting="optional",
        gives=Done,
        writes=("account.session_ended", "sdk.session_ended"),
        handler=sign_out,
        mode="script",
        tags=("Signing in",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/session",
        summary="Tell who is signed in",
        kinds=SESSIONS,
        gives=ShownSession,
        handler=get_session,
        mode="script",
        tags=("Signing in",),
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/membership",
        summary="Tell who the acting member is, and what everybody may know of the organisation",
        kinds=IN_PERSON,
        acting="required",
        gives=OwnMembership,
        handler=get_membership,
        mode="script",
        tags=("Signing in",),
    ),
)
