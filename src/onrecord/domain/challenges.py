"""Challenges: one-time codes and links on their way to a person, and what comes back.

Stored are hashes only. A code has six digits and could be guessed from its hash; it opens nothing
without the challenge, whose 256 bits only the asking side holds.
"""

import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from onrecord.domain import accounts, post
from onrecord.model import times
from onrecord.model.access import INSTALLATION_ID
from onrecord.model.errors import Refusal
from onrecord.store import accounts as rows
from onrecord.store.accounts import Account, Challenge
from onrecord.store.work import Work

Channel = Literal["email", "sms", "totp", "operator"]
"""How the code reaches the person. `operator`: nothing is sent, the command line shows one."""

LIVES: Final = 600 * times.SECOND
"""How long a code may be used: ten minutes."""
LINK_LIVES: Final = 3600 * times.SECOND
"""How long the link that sets a password anew may be used: an hour."""
LINK_EVERY: Final = 60 * times.SECOND
"""How often somebody is mailed a link at the most."""
RESET: Final = "password_reset"
FORGOTTEN: Final = "password_forgotten"
"""The job that looks for the account of a user name and mails the link: whoever asked was answered
before, and learns nothing from how long it takes."""
TRIES: Final = 5
"""Wrong tries after which a code is worth nothing."""
TOKEN_BYTES: Final = 32
DIGITS: Final = 6

Second = Callable[[Work, Account, dict[str, Any], str], Awaitable[str | None]]
"""Gives the factor of the account's own by which a code is right, if any; see `domain.factors`.
It takes the work, the account, the challenge's payload and the code."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A challenge as made; `challenge` is handed back with the code."""

    challenge: str
    sent_to: str
    """Where the code went, masked; empty for an authenticator app."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a try: it must be counted although the request is refused.

    So this is a value, and `refusal` is raised once the work is done.
    """

    purpose: str = ""
    account_id: int | None = None
    payload: dict[str, Any] | None = None
    channel: str = ""
    factor: str = ""
    """What was right: email, sms, totp, recovery_code, operator."""
    refusal: Refusal | None = None

    def right(self) -> dict[str, Any]:
        """Give the payload; raises the refusal when the try was wrong."""
        if self.refusal is not None:
            raise self.refusal
        return self.payload or {}


def digest(token: str) -> bytes:
    """Give the form in which tokens are stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _code_hash(token: bytes, code: str) -> bytes:
    return hashlib.sha256(token + code.encode()).digest()


def _new_code() -> str:
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


async def begin(
    work: Work,
    *,
    purpose: str,
    account_id: int | None,
    channel: Channel,
    to: str,
    payload: dict[str, Any],
    entity_id: int = INSTALLATION_ID,
) -> Begun:
    """Send a code by mail or text, or ask for one of an authenticator app.

    `to` is an email address or a phone number, whatever the channel takes. `payload` is what
    `confirm` gives back; a `username` in it lets the operator find the challenge of somebody who
    has no account yet. `entity_id`: in whose name the code goes out.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    stored = digest(token)
    code = None
    if channel in {"email", "sms"}:
        code = _new_code()
        way: Literal["email", "sms"] = "email" if channel == "email" else "sms"
        await post.code(work, channel=way, to=to, code=code, entity_id=entity_id)
    await _add(
        work,
        stored,
        LIVES,
        purpose=purpose,
        account_id=account_id,
        username_key=str(payload.get("username", "")).casefold() or None,
        channel=channel,
        code=None if code is None else _code_hash(stored, code),
        payload=json.dumps(payload),
    )
    return Begun(token, "" if code is None else masked(to))


async def begin_link(work: Work, *, purpose: str, account_id: int) -> str:
    """Make what stands in a mailed link: used once, within an hour. The newest alone works."""
    await rows.drop_links_of(work.db, account_id)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    await _add(
        work,
        digest(token),
        LINK_LIVES,
        purpose=purpose,
        account_id=account_id,
        channel="link",
        payload="{}",
    )
    return token


async def _add(work: Work, token: bytes, lives: int, **values: Any) -> None:
    now = times.now()
    await rows.add_challenge(
        work.db,
        {
            "uuid": str(uuid.uuid4()),
            "token": token,
            "created_at": now,
            "expires_at": now + lives,
            **values,
        },
    )


async def send_reset(work: Work, username: str) -> None:
    """Mail a link that sets a password anew, if there is such an account; once a minute at most."""
    account = await rows.account_named(work.db, username)
    if account is None or not account.email:
        return
    newest = await rows.newest_link(work.db, account.id)
    if newest is not None and newest > times.now() - LINK_EVERY:
        return
    token = await begin_link(work, purpose=RESET, account_id=account.id)
    await post.mail(
        work,
        to=account.email,
        template="password_reset",
        values={"token": token},
        entity_id=INSTALLATION_ID,
    )
    accounts.note(work, "account.challenged", account, purpose=RESET, channel="link")


def masked(to: str) -> str:
    """Show as much of an address or number as its owner needs to know it by."""
    name, at, domain = to.rpartition("@")
    if at:
        return f"{name[:1]}{'•' * 4}@{domain}"
    return f"{to[:3]}{'•' * 4}{to[-2:]}"


def gone() -> Refusal:
    """Give the refusal of what is over; it says nothing about why."""
    return Refusal("RU010", _GONE)


_GONE: Final = "The code or link has expired, was used up, or never was; ask for another one"


async def confirm(
    work: Work,
    *,
    purpose: str,
    challenge: str,
    code: str,
    account_id: int | None = None,
    second: Second | None = None,
) -> Verdict:
    """Hold a code against its challenge; a right one uses the challenge up, a wrong one is counted.

    `refusal` is RU001 for a wrong code, RU010 for a challenge that is unknown, over or used up.
    Raise it (`verdict.right()`) only when this work has ended, or the try is forgotten with it.
    `second` looks at codes of the account's own: an authenticator app, a recovery code. With
    `account_id` the challenge must be that account's.
    """
    found = await rows.challenge_of(work.db, digest(challenge))
    stranger = account_id is not None and found is not None and found.account_id != account_id
    if found is None or stranger or found.purpose != purpose or not _lives(found):
        return Verdict(refusal=gone())
    code = re.sub(r"[\s-]", "", code)
    factor = _sent_factor(found, code) or await _own_factor(work, found, code, second)
    if factor is None:
        await rows.count_try(work.db, found.id)
        return Verdict(purpose, found.account_id, refusal=Refusal("RU001", "The code is not right"))
    await rows.drop_challenge(work.db, found.id)
    return Verdict(purpose, found.account_id, json.loads(found.payload), found.channel, factor)


def _lives(found: Challenge) -> bool:
    return found.expires_at > times.now() and found.tries < TRIES


def _sent_factor(found: Challenge, code: str) -> str | None:
    """Give the factor when it is the code that was sent, or that the operator had shown."""
    if found.code is None or not hmac.compare_digest(found.code, _code_hash(found.token, code)):
        return None
    return found.channel if found.channel in {"email", "sms"} else "operator"


async def _own_factor(work: Work, found: Challenge, code: str, second: Second | None) -> str | None:
    if second is None or found.account_id is None:
        return None
    account = await rows.account_by_id(work.db, found.account_id)
    if account is None:
        return None
    return await second(work, account, json.loads(found.payload), code)


async def link_of(work: Work, *, purpose: str, token: str) -> int | None:
    """Give the account that a mailed link is for, None when it is over; this does not use it up."""
    found = await rows.challenge_of(work.db, digest(token))
    if found is None or found.purpose != purpose or not _lives(found):
        return None
    return found.account_id


async def use_link(work: Work, *, purpose: str, token: str) -> int:
    """Use up what a mailed link holds and give the account's internal id; RU010 when it is over."""
    account_id = await link_of(work, purpose=purpose, token=token)
    if account_id is None:
        raise gone()
    await rows.drop_links_of(work.db, account_id)
    return account_id


async def show_code(work: Work, username: str) -> tuple[str, str]:
    """Give a fresh code for what somebody is asked for now, and its purpose, for the operator.

    The code that was sent before is worth nothing any more. RN008: no such account, or it is asked
    for nothing.
    """
    account = await rows.account_named(work.db, username)
    number = None if account is None else account.id
    found = await rows.newest_challenge(work.db, number, username, times.now())
    if found is None:
        raise Refusal("RN008", "Nobody of this user name is asked for a code just now")
    code = _new_code()
    await rows.set_code(work.db, found.id, _code_hash(found.token, code))
    ids = {} if account is None else {"account_uuid": account.uuid}
    work.record(
        "account.code_made",
        actor=accounts.installation(work),
        ids=ids,
        data={"purpose": found.purpose},
    )
    return code, found.purpose
