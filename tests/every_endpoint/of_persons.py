"""A good request for every call of a person: passwords, codes and sessions as they are just now."""

from types import SimpleNamespace
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from onrecord.domain import accounts, challenges, factors
from onrecord.domain.sessions import token_hash
from onrecord.model import times
from onrecord.model.access import Kind
from onrecord.store import accounts as account_rows
from onrecord.store.db import Session
from onrecord.store.work import Work
from onrecord.web.endpoint import Endpoint
from tests.cast import PASSWORD, Person
from tests.signing import NEW_PASSWORD, username
from tests.world import World

APP = "/app-service/api/"
KNOWN: dict[int, dict[tuple[str, int], tuple[str, str]]] = {}
"""Challenges made beforehand, by world: (purpose, number) → challenge and code."""


def revive(world: World, row: Endpoint) -> None:
    """Let tomas sign in again where he was signed out by a good request before."""
    cast = world.cast
    if Kind.SESSION in row.kinds and not _is_alive(world, cast.session.token):
        cast.session.cookies = world.session(cast.tomas).cookies
    if Kind.SDK in row.kinds and not _is_alive(world, cast.sdk.token):
        cast.sdk.token = world.embedded(cast.tomas).token


def _is_alive(world: World, token: str | None) -> bool:
    sql = "SELECT 1 FROM session WHERE token = $1 AND ended_at IS NULL"
    return bool(world.rows(sql, token_hash(token or "")))


def body_for(world: World, row: Endpoint, number: int) -> dict[str, Any]:
    """Give a good body of a call of a person."""
    act = row.path.removeprefix(APP)
    if act in {"sign-out", "account/devices/end-others"}:
        _other_session(world, number)
        return {}
    if act == "account/devices/end":
        return {"session_uuid": _other_session(world, number)}
    _open_doors(world)
    name = username(world.cast.ingrid)
    unsigned: dict[str, dict[str, Any]] = {
        "sign-in": {"username": name, "password": PASSWORD},
        "account/password/forgot": {"username": name},
    }
    if act in unsigned:
        return unsigned[act]
    if act == "account/password/reset":
        return {"token": _link(world), "password": NEW_PASSWORD}
    if act.endswith("/confirm"):
        challenge, code = _challenge(world, act, number)
        return {"challenge": challenge, "code": code}
    return _with_password(world, act, number)


def _with_password(world: World, act: str, number: int) -> dict[str, Any]:
    """Give a good body of a call that asks for the password as well."""
    tomas = world.cast.tomas
    password = _password_of(world, tomas)
    if act == "account/password/change":
        other = NEW_PASSWORD if password == PASSWORD else PASSWORD
        return {"password": password, "new_password": other}
    if act == "account/totp/remove":
        _with_totp(world)
    if act in {"account/email/change", "account/phone/change"}:
        world.app.mailer = world.app.texter = SimpleNamespace()  # nothing is sent
    more: dict[str, dict[str, Any]] = {
        "account/username/change": {"username": f"tomas.h.{number}"},
        "account/email/change": {"email": f"tomas{number}@example.net"},
        "account/phone/change": {"phone_number": f"+44123456{number:04}"},
    }
    return {"password": password, **more.get(act, {})}


def _account_of(world: World, person: Person) -> tuple[int, str]:
    rows = world.rows(
        "SELECT a.id, a.username FROM account a JOIN member m ON m.account_id = a.id"
        " WHERE m.uuid = $1",
        person.uuid,
    )
    return rows[0][0], rows[0][1]


def _password_of(world: World, person: Person) -> str:
    """Give the password that somebody has now: one good request changes it to the other."""
    number, _ = _account_of(world, person)
    stored = world.rows("SELECT password FROM account WHERE id = $1", number)[0][0]
    try:
        PasswordHasher().verify(stored, PASSWORD)
    except VerificationError:
        return NEW_PASSWORD
    return PASSWORD


def _open_doors(world: World) -> None:
    """Forget failed sign-ins of requests that were no good."""
    if world.rows("SELECT 1 FROM sign_in_failure LIMIT 1"):

        async def act(work: Work) -> None:
            await work.db.run("DELETE FROM sign_in_failure")

        world.run(world.app.as_service(act))


def _other_session(world: World, number: int) -> str:
    """Give a session of tomas besides that of the cast."""
    known, key = _known(world), ("session", number)
    living = "SELECT uuid FROM session WHERE token = $1 AND ended_at IS NULL"
    found = world.rows(living, token_hash(known.get(key, ("", ""))[0]))
    if not found:
        known[key] = (world.session(world.cast.tomas).token or "", "")
        found = world.rows(living, token_hash(known[key][0]))
    return str(found[0][0])


def _known(world: World) -> dict[tuple[str, int], tuple[str, str]]:
    if id(world) not in KNOWN:
        KNOWN.clear()
        KNOWN[id(world)] = {}
    return KNOWN[id(world)]


def _lives(world: World, challenge: str) -> bool:
    sql = "SELECT 1 FROM challenge WHERE token = $1 AND tries < 5"
    return bool(world.rows(sql, challenges.digest(challenge)))


def _challenge(world: World, act: str, number: int) -> tuple[str, str]:
    """Give a challenge of tomas with its code, the same one until it is used up."""
    known = _known(world)
    found = known.get((act, number))
    if found is None or not _lives(world, found[0]):
        found = known[act, number] = _new_challenge(world, act, number)
    return found


def _new_challenge(world: World, act: str, number: int) -> tuple[str, str]:
    account_id, name = _account_of(world, world.cast.tomas)
    to = f"code{number}.{act.replace('/', '.')}@example.net"
    purpose, payload = {
        "sign-in/confirm": ("sign_in", {"password": _mark(world, account_id)}),
        "account/email/confirm": ("email", {"email": f"new{number}@example.net"}),
        "account/phone/confirm": ("phone_number", {"phone_number": f"+44207946{number:04}"}),
        "account/totp/confirm": ("totp", {}),
    }[act]

    async def begin(work: Work) -> tuple[str, str]:
        if purpose == "totp":
            account = await accounts.named(work, name)
            made = await factors.begin_totp(work, account, world.app.vault)
            return made.challenge, pyotp.TOTP(made.secret).at(times.now() // times.SECOND)
        begun = await challenges.begin(
            work, purpose=purpose, account_id=account_id, channel="email", to=to, payload=payload
        )
        return begun.challenge, ""

    challenge, code = world.work(None, begin)
    return challenge, code or world.mailed(to)


def _mark(world: World, account_id: int) -> str:
    """Give what says that the password was right."""

    async def look(session: Session) -> str:
        account = await account_rows.account_by_id(session, account_id)
        assert account is not None
        return accounts.mark(account)

    return world.ask(look)


def _link(world: World) -> str:
    """Give what stands in a mailed link, the same until it is used up: the newest alone works."""
    known, key = _known(world), ("link", 0)
    if key not in known or not _lives(world, known[key][0]):
        account_id, _ = _account_of(world, world.cast.ingrid)

        async def begin(work: Work) -> str:
            return await challenges.begin_link(
                work, purpose=challenges.RESET, account_id=account_id
            )

        known[key] = (world.work(None, begin), "")
    return known[key][0]


def _with_totp(world: World) -> None:
    """Give tomas an authenticator app."""
    account_id, _ = _account_of(world, world.cast.tomas)
    if not world.rows("SELECT 1 FROM account WHERE id = $1 AND totp IS NOT NULL", account_id):

        async def act(work: Work) -> None:
            sql = "UPDATE account SET totp = $2 WHERE id = $1"
            await work.db.run(sql, account_id, b"sealed")

        world.run(world.app.as_service(act))
