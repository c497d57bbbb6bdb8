"""Rows of the web app's own API about one's own account: password, names, factors, devices."""

from typing import Any, Final

import msgspec

from onrecord.domain import accounts, challenges, factors, jobs, sessions
from onrecord.domain.challenges import Channel
from onrecord.model import text, times
from onrecord.model.errors import Refusal
from onrecord.store import accounts as rows
from onrecord.store.accounts import Account
from onrecord.store.work import Work
from onrecord.web import persons
from onrecord.web.app_service import (
    BASE,
    EMAIL,
    PASSWORD,
    PHONE,
    SIGNING_IN,
    Challenged,
    Confirm,
    Typed,
)
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import SESSIONS, Answer, Endpoint, Nothing, Takes
from onrecord.web.groups import Done

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
    persons.keep_quiet(call)
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
    known = await persons.known_password(call, password)
    call.limits.count_code(("change", known.id))

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


_ACCOUNT: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SESSIONS,
    "mode": "script",
    "tags": ("Account",),
}


ROWS: Final = (
    Endpoint(
        path=f"{BASE}/account/password/change",
        summary="Change the password",
        takes=ChangePassword,
        gives=persons.NewCsrf,
        refusals=PASSWORD,
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
        **SIGNING_IN,
    ),
    Endpoint(
        path=f"{BASE}/account/password/reset",
        summary="Set the password anew with the mailed link",
        takes=ResetPassword,
        gives=Done,
        refusals=("RU010", "RU029"),
        writes=("account.password_changed", "account.session_ended"),
        handler=reset_password,
        **SIGNING_IN,
    ),
    Endpoint(
        path=f"{BASE}/account/username/change",
        summary="Change the user name",
        takes=ChangeUsername,
        gives=Done,
        refusals=("RB013", *PASSWORD),
        writes=("account.updated",),
        handler=change_username,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/email/change",
        summary="Send a code to another email",
        takes=ChangeEmail,
        gives=Challenged,
        refusals=("RB019", *PASSWORD),
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
        refusals=PASSWORD,
        writes=("account.updated",),
        handler=confirm_email,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/phone/change",
        summary="Send a code to another phone",
        takes=ChangePhone,
        gives=Challenged,
        refusals=("RB019", *PASSWORD),
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
        refusals=PASSWORD,
        writes=("account.updated",),
        handler=confirm_phone,
        **_ACCOUNT,
    ),
    Endpoint(
        path=f"{BASE}/account/totp/begin",
        summary="Make a secret for an authenticator app",
        takes=WithPassword,
        gives=TotpBegun,
        refusals=PASSWORD,
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
        refusals=PASSWORD,
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
        refusals=("RB019", *PASSWORD),
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
        refusals=PASSWORD,
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
