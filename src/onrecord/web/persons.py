"""What calls of persons share: who is signed in, passwords, and answers that set a cookie.

A try that fails must be counted although the request is refused, and a refusal undoes its work:
so these calls run one work that counts and gives a value, and refuse afterwards.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import msgspec

from onrecord.domain import accounts, challenges, sessions
from onrecord.domain.challenges import Channel, Second, Verdict
from onrecord.domain.credentials import Demand
from onrecord.domain.sessions import Opened
from onrecord.model.access import INSTALLATION_ID, INSTALLATION_UUID, Actor, service
from onrecord.model.errors import Refusal
from onrecord.store import accounts as rows
from onrecord.store.accounts import Account
from onrecord.store.db import Caller
from onrecord.store.work import Work
from onrecord.web import credentials, idempotency
from onrecord.web.call import Call
from onrecord.web.endpoint import SESSIONS, Answer

T = TypeVar("T")

IN_A_SESSION = Demand(SESSIONS, (), "none")
"""What is asked of whoever acts for an account."""


async def once(call: Call, act: Callable[[Work], Awaitable[Any]]) -> Answer:
    """Do an act of a person in one work and answer, or answer as before under the same key."""

    async def write(work: Work) -> Answer:
        return await idempotency.answered_once(work, call, lambda: act(work))

    answer = await call.app.store.write(call.caller, write)
    ring(call)
    return answer


async def answered_before(call: Call) -> Answer | None:
    """Give the answer stored under the same Idempotency-Key, before anything else is looked at."""

    async def read(work: Work) -> Answer | None:
        return await idempotency.stored_answer(work, call, work.actor)

    if call.idempotency is None:
        return None
    return await call.app.store.read(call.caller, read)


def ring(call: Call) -> None:
    """Wake readers of what the call may have put on record."""
    if call.caller.actor is not None:
        call.app.bell.ring(call.caller.actor.entity_id)
    call.app.bell.ring(INSTALLATION_ID)


async def unsigned(call: Call, act: Callable[[Work], Awaitable[T]]) -> T:
    """Run a work for somebody who is not signed in, as OnRecord itself."""
    actor = service(INSTALLATION_ID, INSTALLATION_UUID)
    caller = Caller(actor, call.caller.origin, wake=call.app.wake)
    done = await call.app.store.write(caller, act)
    call.app.bell.ring(INSTALLATION_ID)
    return done


async def signed_in_already(call: Call) -> Actor | None:
    """Give the actor of the session that a call without credential shows, None without any.

    RU003, RU010: there is one, but without its CSRF token, or it is over.
    """
    settings = call.app.settings
    name = credentials.cookie_name(credentials.SESSION_COOKIE, secure=settings.secure_cookies)
    if not credentials.cookie(call.headers, name):
        return None
    headers = {one: value for one, value in call.headers.items() if one != b"authorization"}
    credential = credentials.of_person(
        headers, {}, call.address, posts=True, secure=settings.secure_cookies
    )
    return await call.app.store.ask(
        lambda session: sessions.judge(session, credential, IN_A_SESSION)
    )


async def open_session(
    work: Work, call: Call, account_id: int, account_uuid: str, factor: str
) -> Opened:
    """Open a session of an account for the browser that calls; one it had before ends."""
    settings = call.app.settings
    name = credentials.cookie_name(credentials.SESSION_COOKIE, secure=settings.secure_cookies)
    old = credentials.cookie(call.headers, name)
    if old:
        await sessions.end_by_token(work, old)
    return await sessions.open(
        work,
        account_id,
        account_uuid,
        call.headers.get(b"user-agent", b"").decode("latin-1"),
        call.caller.origin.address,
        device=credentials.device_of(settings, call.headers),
        factor=factor,
    )


class NewCsrf(msgspec.Struct):
    """The session goes on under another cookie, and with this token."""

    csrf_token: str | None


async def rotate(work: Work, account: Account, _: dict[str, Any]) -> Opened:
    """Give the session that acts another token, as what it may do has changed."""
    acting = work.actor.account
    assert acting is not None  # noqa: S101 - a session acts
    return await sessions.rotate(work, account, acting.session_id, acting.session_uuid)


async def rotated(call: Call, act: Callable[[Work], Awaitable[None]]) -> Answer:
    """Do an act of a session, which goes on under another token."""

    async def both(work: Work) -> Opened:
        await act(work)
        return await rotate(work, await accounts.own(work), {})

    return await _answered(call, both)


Act = Callable[[Work, Account, dict[str, Any]], Awaitable[Any]]
"""What a right code does: it takes the work, the account and the challenge's payload."""


async def confirmed(
    call: Call,
    purpose: str,
    challenge: str,
    code: str,
    act: Act,
    *,
    second: Second | None = None,
) -> Answer:
    """Take the code of a challenge that the account of the session asked for, and do the act.

    RU001, RU010: a wrong code, which is counted; a challenge that is over, or another account's.
    """
    verdicts: list[Verdict] = []

    async def work_it(work: Work) -> Any:
        account = await accounts.own(work)
        verdict = await challenges.confirm(
            work,
            purpose=purpose,
            challenge=challenge,
            code=code,
            account_id=account.id,
            second=second,
        )
        verdicts[:] = [verdict]
        if verdict.refusal is not None:
            return None
        return await act(work, account, verdict.payload or {})

    answer = await _answered(call, work_it, keep=lambda: verdicts[0].refusal is None)
    await check_code(call, verdicts[0]) if verdicts else None
    return answer


async def _answered(
    call: Call, act: Callable[[Work], Awaitable[Any]], keep: Callable[[], bool] = lambda: True
) -> Answer:
    """Do an act once and answer, with the cookie when it gives the session another token.

    With `keep` saying no, nothing is stored as an answer: what was done is only to be counted.
    """
    made: list[Opened] = []

    async def write(work: Work) -> Answer:
        made.clear()
        stored = await idempotency.stored_answer(work, call, work.actor)
        if stored is not None:
            return stored
        given = await act(work)
        if isinstance(given, Opened):
            made.append(given)
            given = NewCsrf(given.csrf_token)
        if not keep():
            return Answer(b"")
        return await idempotency.answer_kept(work, call, given)

    answer = await call.app.store.write(call.caller, write)
    ring(call)
    return with_headers(
        answer, [credentials.session_cookie(call.app.settings, one.token) for one in made]
    )


def with_headers(answer: Answer, headers: Sequence[tuple[str, str]]) -> Answer:
    """Give the answer with more headers."""
    return replace(answer, headers=(*answer.headers, *headers))


def keep_quiet(call: Call) -> None:
    """Let a link's token not travel on from the page that holds it, whatever the answer."""
    call.extra.append(("Referrer-Policy", "no-referrer"))


def csrf_of(call: Call) -> str:
    """Give the CSRF token of the session that a call shows."""
    name = credentials.cookie_name(
        credentials.SESSION_COOKIE, secure=call.app.settings.secure_cookies
    )
    return sessions.csrf_of(credentials.cookie(call.headers, name) or b"")


def with_cookies(call: Call, answer: Answer, opened: Opened) -> Answer:
    """Give the answer with the cookies of a session opened."""
    return with_headers(answer, credentials.session_cookies(call.app.settings, opened))


def way_to(call: Call, email: str | None, phone: str | None) -> tuple[Channel, str]:
    """Give how a code reaches somebody: by text, else by mail, else through the operator."""
    app = call.app
    if phone and app.can_text:
        return "sms", phone
    if email and app.can_mail:
        return "email", email
    return "operator", ""


async def known_password(call: Call, password: str) -> Account:
    """Give the account of the session that acts, once its password was given (RU001, RU029)."""
    account = await call.app.store.read(call.caller, accounts.own)
    await check_password(call, account, account.username, password)
    return account


async def check_password(
    call: Call, account: Account | None, username: str, password: str
) -> Account:
    """Refuse a wrong password (RU001) and a door that is shut (RU029); None never has a right one.

    An unknown user name is treated and costs like a wrong password.
    """
    locked = await unsigned(call, lambda work: accounts.seconds_locked(work, username))
    if locked:
        count_locked(call, [account])
        raise locked_out(locked)
    right = await call.app.passwords.matches(account.password if account else None, password)
    locked = await unsigned(call, lambda work: accounts.count_try(work, username, right=right))
    if locked:
        count_locked(call, [account])
        raise locked_out(locked)
    if account is None or not right:
        _count(call, account, "password")
        failed(call, Refusal("RU001", "The user name or password is not right"))
    return account


def locked_out(seconds: int) -> Refusal:
    """Give the refusal of a door that is shut for so many more seconds."""
    return Refusal("RU029", "Too many failed sign-ins in a row", retry_after=seconds)


def count_locked(call: Call, accounts_shut: Sequence[Account | None]) -> None:
    """Count those who came when the door was shut."""
    for account in accounts_shut:
        _count(call, account, "locked")


def _count(call: Call, account: Account | None, reason: str) -> None:
    if account is not None:
        call.app.count_failed(account.uuid, reason)


async def check_code(call: Call, verdict: Verdict) -> dict[str, Any]:
    """Give the payload of a challenge, or refuse (RU001, RU010) after the try was counted."""
    if verdict.refusal is not None:
        await _count_code(call, verdict)
        failed(call, verdict.refusal)
    return verdict.right()


async def _count_code(call: Call, verdict: Verdict) -> None:
    number = verdict.account_id
    if number is None:
        return
    account = await call.app.store.ask(lambda session: rows.account_by_id(session, number))
    _count(call, account, "code")


def failed(call: Call, refusal: Refusal) -> NoReturn:
    """Refuse a failed authentication; RU029 instead when its address has had too many."""
    call.limits.failed(call.caller.origin.address)
    raise refusal
