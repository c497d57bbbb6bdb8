"""Rows of the web app's own API about persons: signing in, sessions, the account, its devices.

`/app-service/api` (contract, section 8). Nobody is signed in when signing in, so those calls take
no credential; all others take a session.
"""

from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import accounts, challenges, factors, jobs, post, sdk, sessions, terms
from onrecord.domain.challenges import Begun, Channel
from onrecord.domain.sessions import Opened
from onrecord.domain.terms import Terms
from onrecord.model import text, times
from onrecord.model.access import INSTALLATION_ID, PROFILES
from onrecord.model.errors import Refusal
from onrecord.store import accounts as rows
from onrecord.store.access import Entity
from onrecord.store.accounts import Account
from onrecord.store.work import Work
from onrecord.web import credentials, persons
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
    channel, to = persons.way_to(call, known.email, known.phone_number)
    if known.totp is not None:
        channel, to = "totp", ""
    begun = await persons.unsigned(call, lambda work: _challenge(work, known, channel, to))
    methods = [channel] + (["recovery_code"] if known.recovery is not None else [])
    return Answer(encode(SignInBegun(begun.challenge, begun.sent_to, methods)))


async def _challenge(work: Work, account: Account, channel: Channel, to: str) -> Begun:
    accounts.note(work, "account.challenged", account, purpose=SIGN_IN, channel=channel)
    return await challenges.begin(
        work, purpose=SIGN_IN, account_id=account.id, channel=channel, to=to, payload={}
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


def shown_entity(entity: Entity) -> ShownEntity:
    """Give an organisation as the wire shows it beside memberships."""
    return ShownEntity(entity.uuid, entity.name, None, None)


async def _memberships(work: Work, account_id: int) -> list[ShownMembership]:
    shown = []
    for number, uuid, profile, state, entity in await rows.memberships_of(work.db, account_id):
        if state == "inactive":
            continue
        due = await terms.due(work.db, account_id, number, entity.id)
        own = [one for one in due if one.whose == terms.ORGANISATION]
        role = PROFILES[profile].name
        shown.append(ShownMembership(shown_entity(entity), uuid, role, state, entity.state, own))
    return shown


async def confirm_sign_in(call: Call, taken: Confirm) -> Answer:
    """Take the code and open the session."""

    async def work_it(work: Work) -> Any:
        verdict = await challenges.confirm(
            work,
            purpose=SIGN_IN,
            challenge=taken.challenge,
            code=taken.code,
            second=factors.of_account(call.app.vault),
        )
        account = None
        if verdict.account_id is not None:
            account = await rows.account_by_id(work.db, verdict.account_id)
        if account is None:
            return verdict, None
        if verdict.refusal is not None:
            await accounts.count_failure(work, account.username)
            return verdict, None
        return verdict, await _let_in(work, call, account, verdict.factor)

    verdict, let_in = await persons.unsigned(call, work_it)
    await persons.check_code(call, verdict)
    if let_in is None:
        raise Refusal("RU010")
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
    return opened, await _memberships(work, account.id)


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
        memberships = await _memberships(work, account.id)
        due = await terms.due(work.db, account.id, None, None)
        return ShownSession(shown, memberships, due, persons.csrf_of(call))

    return Answer(encode(await call.app.store.read(call.caller, read)))


# -- the password --------------------------------------------------------------------------------


class ChangePassword(Takes):
    """The password of now, and the one to be."""

    password: Typed
    new_password: Typed


async def change_password(call: Call, taken: ChangePassword) -> Answer:
    """Change the password; every other session ends, and this one gets another cookie."""
    before = await persons.answered_before(call)
    if before is not None:  # the password of then is no longer right
        return before
    account = await persons.known_password(call, taken.password)
    accounts.check_password(taken.new_password, account.username)
    hashed = await call.app.passwords.hash(taken.new_password)

    async def act(work: Work) -> None:
        await accounts.set_password(work, account, hashed, "changed")
        assert work.actor.account is not None  # noqa: S101 - it has an account
        await sessions.end_others(work, account, "password", work.actor.account.session_id)

    return await persons.rotated(call, act)


class Forgot(Takes):
    """Whose password is forgotten."""

    username: Typed


async def forgot_password(call: Call, taken: Forgot) -> Answer:
    """Mail a link to whoever has this user name; the answer is the same when nobody has."""
    call.limits.count_asked(call.caller.origin.address)
    username = text.check("username", taken.username, least=1, most=text.USERNAME_MAX)

    async def act(work: Work) -> None:
        name = username.casefold()
        await jobs.enqueue(
            work, challenges.FORGOTTEN, {"username": name}, unique=f"forgotten {name}"
        )

    await persons.unsigned(call, act)
    return Answer(encode(Done()))


class ResetPassword(Takes):
    """What stands in the mailed link, and the password to be."""

    token: Typed
    password: Typed


async def reset_password(call: Call, taken: ResetPassword) -> Answer:
    """Set the password anew; every session ends."""
    purpose = challenges.RESET
    number = await persons.unsigned(
        call, lambda work: challenges.link_of(work, purpose=purpose, token=taken.token)
    )
    if number is None:
        persons.failed(call, challenges.gone())
    accounts.check_password(taken.password)
    hashed = await call.app.passwords.hash(taken.password)

    async def act(work: Work) -> None:
        account_id = await challenges.use_link(work, purpose=purpose, token=taken.token)
        account = await rows.account_by_id(work.db, account_id)
        if account is None:
            raise challenges.gone()
        accounts.check_password(taken.password, account.username)
        await accounts.set_password(work, account, hashed, "reset")
        await accounts.forget_failures(work, account.username)
        await sessions.end_others(work, account, "password")

    await persons.unsigned(call, act)
    return Answer(encode(Done()))


# -- user name, email, phone ---------------------------------------------------------------------


class ChangeUsername(Takes):
    """Another user name; the password says that it is really you."""

    username: Typed
    password: Typed


async def change_username(call: Call, taken: ChangeUsername) -> Answer:
    """Change the user name."""
    await persons.known_password(call, taken.password)

    async def act(work: Work) -> Done:
        await accounts.rename(work, await accounts.own(work), taken.username)
        return Done()

    return await persons.once(call, act)


class ChangeEmail(Takes):
    """Another email of the account; the password says that it is really you."""

    email: Typed
    password: Typed


class ChangePhone(Takes):
    """Another phone number of the account; the password says that it is really you."""

    phone_number: Typed
    password: Typed


async def change_email(call: Call, taken: ChangeEmail) -> Answer:
    """Send a code to the new address; only its confirmation changes anything."""
    email = text.check_email("email", taken.email)
    if not call.app.can_mail:
        raise Refusal("RB019", "No mail is sent from here, so no address can be confirmed")
    return await _begin_change(call, taken.password, EMAIL, "email", email)


async def change_phone(call: Call, taken: ChangePhone) -> Answer:
    """Send a code to the new number; only its confirmation changes anything."""
    phone = text.check_phone("phone_number", taken.phone_number)
    if not call.app.can_text:
        raise Refusal("RB019", "No texts are sent from here, so no number can be confirmed")
    return await _begin_change(call, taken.password, PHONE, "sms", phone)


async def _begin_change(call: Call, password: str, field: str, channel: Channel, to: str) -> Answer:
    await persons.known_password(call, password)

    async def act(work: Work) -> Challenged:
        account = await accounts.own(work)
        accounts.note(work, "account.challenged", account, purpose=field, channel=channel)
        begun = await challenges.begin(
            work, purpose=field, account_id=account.id, channel=channel, to=to, payload={field: to}
        )
        return Challenged(begun.challenge, begun.sent_to)

    return await persons.once(call, act)


async def confirm_email(call: Call, taken: Confirm) -> Answer:
    """Take the code of the new address; the old one is told."""
    return await _confirm_change(call, taken, "email")


async def confirm_phone(call: Call, taken: Confirm) -> Answer:
    """Take the code of the new number."""
    return await _confirm_change(call, taken, "phone_number")


async def _confirm_change(call: Call, taken: Confirm, field: accounts.Field) -> Answer:
    async def act(work: Work, account: Account, payload: dict[str, Any]) -> Done:
        await accounts.set_contact(work, account, field, payload[field])
        return Done()

    return await persons.confirmed(call, field, taken.challenge, taken.code, act)


# -- second factors ------------------------------------------------------------------------------


class WithPassword(Takes):
    """The password says that it is really you."""

    password: Typed


class TotpBegun(msgspec.Struct):
    """A secret for an authenticator app, to be confirmed by its first code."""

    challenge: str | None
    secret: str | None
    uri: str | None


async def begin_totp(call: Call, taken: WithPassword) -> Answer:
    """Make a secret for an authenticator app."""
    await persons.known_password(call, taken.password)

    async def act(work: Work) -> TotpBegun:
        account = await accounts.own(work)
        accounts.note(work, "account.challenged", account, purpose=factors.TOTP, channel="totp")
        made = await factors.begin_totp(work, account, call.app.vault)
        return TotpBegun(made.challenge, made.secret, made.uri)

    return await persons.once(call, act)


async def confirm_totp(call: Call, taken: Confirm) -> Answer:
    """Take the first code of the app: from now on signing in asks for one."""
    second = factors.of_new_secret(call.app.vault)
    return await persons.confirmed(
        call, factors.TOTP, taken.challenge, taken.code, persons.rotate, second=second
    )


async def remove_totp(call: Call, taken: WithPassword) -> Answer:
    """Take the authenticator app away."""
    await persons.known_password(call, taken.password)

    async def act(work: Work) -> None:
        await factors.remove_totp(work, await accounts.own(work))

    return await persons.rotated(call, act)


class RecoveryCode(msgspec.Struct):
    """A code for when a second factor is lost; it is shown this once and works once."""

    recovery_code: str | None


async def create_recovery_code(call: Call, taken: WithPassword) -> Answer:
    """Make a recovery code."""
    await persons.known_password(call, taken.password)

    async def act(work: Work) -> RecoveryCode:
        return RecoveryCode(await factors.make_recovery_code(work, await accounts.own(work)))

    return await persons.once(call, act)


# -- devices -------------------------------------------------------------------------------------


class Device(msgspec.Struct):
    """A session, told by the device it is open on."""

    session_uuid: str
    user_agent: str
    address: str | None
    created_at: str
    last_seen_at: str
    expires_at: str
    is_current: bool


class Devices(msgspec.Struct):
    """Where one is signed in, the device seen last first."""

    devices: list[Device]


async def list_devices(work: Work, _: Nothing) -> Devices:
    """List the living sessions of the account."""
    account = await accounts.own(work)
    current = work.actor.account.session_id if work.actor.account else 0
    return Devices(
        [
            Device(
                row.uuid,
                row.user_agent,
                row.address,
                times.wire(row.created_at),
                times.wire(row.seen_at),
                times.wire(row.expires_at),
                row.id == current,
            )
            for row in await sessions.listed(work, account)
        ]
    )


class EndDevice(Takes):
    """Which session to end."""

    session_uuid: str


async def end_device(work: Work, taken: EndDevice) -> Done:
    """End one session, which may be one's own."""
    await sessions.end_one(work, await accounts.own(work), taken.session_uuid)
    return Done()


class Ended(msgspec.Struct):
    """How many sessions ended."""

    ended: int


async def end_other_devices(work: Work, _: Nothing) -> Ended:
    """End every session but one's own."""
    account = await accounts.own(work)
    keep = work.actor.account.session_id if work.actor.account else None
    return Ended(len(await sessions.end_others(work, account, "ended", keep)))


_SIGNING_IN: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": frozenset(),
    "mode": "script",
    "tags": ("Signing in",),
}
_ACCOUNT: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SESSIONS,
    "mode": "script",
    "tags": ("Account",),
}
_PASSWORD: Final = ("RU001", "RU029")


ROWS: Final = (
    Endpoint(
        path=f"{BASE}/sign-in",
        summary="Begin to sign in",
        takes=SignIn,
        gives=SignInBegun,
        refusals=_PASSWORD,
        writes=("account.challenged",),
        handler=sign_in,
        **_SIGNING_IN,
    ),
    Endpoint(
        path=f"{BASE}/sign-in/confirm",
        summary="Sign in with the code",
        takes=Confirm,
        gives=SignedIn,
        refusals=("RU001", "RU010", "RU029"),
        writes=("account.signed_in", "account.session_ended", "account.factor_changed"),
        handler=confirm_sign_in,
        **_SIGNING_IN,
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
        path=f"{BASE}/account/password/change",
        summary="Change the password",
        takes=ChangePassword,
        gives=persons.NewCsrf,
        refusals=_PASSWORD,
        writes=("account.password_changed", "account.session_ended"),
        secrets=("csrf_token",),
        handler=change_password,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/password/forgot",
        summary="Ask for a link that sets the password anew",
        takes=Forgot,
        gives=Done,
        refusals=("RU029",),
        writes_nothing="the account is looked for afterwards, so that nothing tells whether it is",
        handler=forgot_password,
        **_SIGNING_IN,
    ),
    Endpoint(
        path=f"{BASE}/account/password/reset",
        summary="Set the password anew with the mailed link",
        takes=ResetPassword,
        gives=Done,
        refusals=("RU010", "RU029"),
        writes=("account.password_changed", "account.session_ended"),
        handler=reset_password,
        **_SIGNING_IN,
    ),
    Endpoint(
        path=f"{BASE}/account/username/change",
        summary="Change the user name",
        takes=ChangeUsername,
        gives=Done,
        refusals=("RB013", *_PASSWORD),
        writes=("account.updated",),
        handler=change_username,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/email/change",
        summary="Send a code to another email",
        takes=ChangeEmail,
        gives=Challenged,
        refusals=("RB019", *_PASSWORD),
        writes=("account.challenged",),
        secrets=("challenge",),
        handler=change_email,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/email/confirm",
        summary="Change the email with the code",
        takes=Confirm,
        gives=Done,
        refusals=_PASSWORD,
        writes=("account.updated",),
        handler=confirm_email,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/phone/change",
        summary="Send a code to another phone",
        takes=ChangePhone,
        gives=Challenged,
        refusals=("RB019", *_PASSWORD),
        writes=("account.challenged",),
        secrets=("challenge",),
        handler=change_phone,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/phone/confirm",
        summary="Change the phone with the code",
        takes=Confirm,
        gives=Done,
        refusals=_PASSWORD,
        writes=("account.updated",),
        handler=confirm_phone,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/totp/begin",
        summary="Make a secret for an authenticator app",
        takes=WithPassword,
        gives=TotpBegun,
        refusals=_PASSWORD,
        writes=("account.challenged",),
        secrets=("challenge", "secret", "uri"),
        handler=begin_totp,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/totp/confirm",
        summary="Use the authenticator app from now on",
        takes=Confirm,
        gives=persons.NewCsrf,
        refusals=_PASSWORD,
        writes=("account.factor_changed", "account.session_ended"),
        secrets=("csrf_token",),
        handler=confirm_totp,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/totp/remove",
        summary="Take the authenticator app away",
        takes=WithPassword,
        gives=persons.NewCsrf,
        refusals=("RB019", *_PASSWORD),
        writes=("account.factor_changed", "account.session_ended"),
        secrets=("csrf_token",),
        handler=remove_totp,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/recovery-code/create",
        summary="Make a recovery code",
        takes=WithPassword,
        gives=RecoveryCode,
        refusals=_PASSWORD,
        writes=("account.factor_changed",),
        secrets=("recovery_code",),
        handler=create_recovery_code,
        **_ACCOUNT,
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/account/devices/list",
        summary="List where one is signed in",
        kinds=SESSIONS,
        gives=Devices,
        handler=list_devices,
        mode="read",
        tags=("Account",),
    ),
    Endpoint(
        path=f"{BASE}/account/devices/end",
        summary="End one session",
        takes=EndDevice,
        gives=Done,
        refusals=("RN008",),
        writes=("account.session_ended",),
        handler=end_device,
        **{**_ACCOUNT, "mode": "write"},
    ),
    Endpoint(
        path=f"{BASE}/account/devices/end-others",
        summary="End every other session",
        gives=Ended,
        writes=("account.session_ended",),
        handler=end_other_devices,
        **{**_ACCOUNT, "mode": "write"},
    ),
)
