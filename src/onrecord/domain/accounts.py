"""Accounts: a person's login, outside any organisation (product.md, section 2).

Whatever happens to an account is an entry of the installation's record.
"""

import hashlib
import unicodedata
import uuid
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, Literal

from onrecord.domain import post
from onrecord.model import text, times
from onrecord.model.access import (
    INSTALLATION_ID,
    INSTALLATION_UUID,
    Actor,
    Judged,
    Kind,
    operator,
    service,
)
from onrecord.model.errors import Refusal, malformed
from onrecord.store import access
from onrecord.store import accounts as rows
from onrecord.store.accounts import Account
from onrecord.store.work import Work

FAILURES_FREE: Final = 5
"""Failed sign-ins in a row that cost nothing but the try; the fifth shuts the door."""
LOCK_FIRST: Final = 30 * times.SECOND
"""How long the fifth failure shuts the door; each further one doubles it."""
LOCK_MOST: Final = 3600 * times.SECOND
FAILURES_KEPT: Final = 86_400 * times.SECOND
"""After a day without a failure they are forgotten."""
DISTINCT_LEAST: Final = 5
"""Different characters that a password needs at least."""

Field = Literal["username", "email", "phone_number"]


def installation(work: Work) -> Actor:
    """Give the actor under which an account's entry goes into the installation's record.

    A session acts there as itself. Anybody else who acts in an organisation is no actor of that
    record: there it is the operator who acted, or OnRecord itself.
    """
    if work.actor.entity_id == INSTALLATION_ID:
        return work.actor
    if work.actor.account is not None:
        position = work.actor.judged.installation
        return replace(
            work.actor,
            entity_id=INSTALLATION_ID,
            entity_uuid=INSTALLATION_UUID,
            member=None,
            judged=Judged(position, position),
        )
    make = operator if work.actor.kind is Kind.OPERATOR else service
    return make(INSTALLATION_ID, INSTALLATION_UUID)


# -- passwords and user names --------------------------------------------------------------------


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    listed = files(__package__).joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(listed.split())


def check_password(password: str, username: str = "") -> str:
    """Refuse (RB003) a password of under 12 or over 256 characters, or one that is guessed first.

    NIST SP 800-63B, section 3.1.1.2: no rules about kinds of characters, but a list of common
    passwords (compared without case, also with digits and signs around one), repetitions, the
    user name and the product's name are refused.
    """
    text.check_password(password)
    plain = unicodedata.normalize("NFKC", password).casefold()
    core = plain.strip("0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")
    own = {username.casefold(), "onrecord"} - {""}
    if len(set(plain)) < DISTINCT_LEAST or _repeated(plain):
        raise malformed("password", "repeats itself; a few words in a row are better")
    if {plain, core} & own:
        raise malformed("password", "must not be a name with something around it")
    if {plain, core} & _common():
        raise malformed("password", "is among those that are guessed first")
    return password


def _repeated(plain: str) -> bool:
    """Whether a text is some shorter text several times over."""
    return plain in (plain + plain)[1:-1]


def mark(account: Account) -> str:
    """Give what tells whether an account still has the password that was right a moment ago."""
    return hashlib.sha256(account.password.encode()).hexdigest()


async def check_username(work: Work, username: str) -> str:
    """Refuse a user name that cannot be (RB003) or is taken (RB013, whatever its capitals)."""
    text.check_username(username)
    if await rows.account_named(work.db, username) is not None:
        raise Refusal("RB013", "The user name is taken")
    return username


async def create(
    work: Work, username: str, password_hash: str, email: str | None, phone: str | None
) -> tuple[int, str]:
    """Make an account and give its internal id and uuid; RB003, RB013 for the user name.

    `password_hash` is argon2id's form; the password was held against `check_password` before.
    """
    await check_username(work, username)
    account_uuid = str(uuid.uuid4())
    number = await access.add_account(
        work.db, account_uuid, username, password_hash, email, phone, times.now()
    )
    work.record(
        "account.created",
        actor=installation(work),
        ids={"account_uuid": account_uuid},
        parts={"profile": {"username": username, "email": email}},
    )
    return number, account_uuid


async def own(work: Work) -> Account:
    """Give the account of the session that acts; RU010 when there is none."""
    found = None
    if work.actor.account is not None and work.actor.account.id is not None:
        found = await rows.account_by_id(work.db, work.actor.account.id)
    if found is None:
        raise Refusal("RU010")
    return found


async def named(work: Work, username: str) -> Account:
    """Give the account of a user name, for the operator; RN008."""
    found = await rows.account_named(work.db, username)
    if found is None:
        raise Refusal("RN008", "There is no account of this user name")
    return found


def note(work: Work, name: str, account: Account, parts: Any = None, **data: Any) -> None:
    """Note an entry about an account in the installation's record."""
    work.record(
        name,
        actor=installation(work),
        ids={"account_uuid": account.uuid},
        data=data,
        parts=parts,
    )


# -- failed sign-ins -----------------------------------------------------------------------------


def _door(username: str) -> bytes:
    """Give the name under which failures are counted; what was typed may be a password."""
    return hashlib.sha256(username.casefold().encode("utf-8", "surrogatepass")).digest()


async def seconds_locked(work: Work, username: str) -> int:
    """Give for how many more seconds nobody can sign in under a user name; 0 when one can."""
    _, locked_until, _ = await rows.failures_of(work.db, _door(username))
    return max(0, -((times.now() - locked_until) // times.SECOND))


async def count_try(work: Work, username: str, *, right: bool) -> int:
    """Count a password that was compared; give for how many seconds the door is shut all the same.

    Of many tries at the same moment those that end when the door is shut learn nothing.
    """
    locked = await seconds_locked(work, username)
    if not locked and not right:
        await count_failure(work, username)
    return locked


async def count_failure(work: Work, username: str) -> None:
    """Count a failed sign-in; from the fifth in a row on the door shuts, each time twice as long.

    Counted alike for user names that nobody has, so that nothing tells the two apart.
    """
    name, now = _door(username), times.now()
    failures, _, at = await rows.failures_of(work.db, name)
    failures = 1 if at <= now - FAILURES_KEPT else failures + 1
    beyond = failures - FAILURES_FREE
    locked_until = 0
    if beyond >= 0:
        locked_until = now + min(LOCK_MOST, LOCK_FIRST << min(beyond, 10))
    await rows.set_failures(work.db, name, failures, locked_until, now)


def note_failed(work: Work, account_uuid: str, reason: str, count: int) -> None:
    """Put failed sign-ins on record, counted over a minute; `reason` is password, code, locked."""
    work.record(
        "sign_in.failed",
        ids={"account_uuid": account_uuid},
        data={"reason": reason, "count": count},
    )


async def forget_failures(work: Work, username: str) -> None:
    """Forget the failures under a user name: somebody has signed in, or the operator says so."""
    await rows.drop_failures(work.db, _door(username))


async def unlock(work: Work, account: Account) -> None:
    """Forget the failures of an account, for the operator."""
    await forget_failures(work, account.username)
    note(work, "account.unlocked", account)


# -- what a person changes -----------------------------------------------------------------------


async def set_password(work: Work, account: Account, password_hash: str, how: str) -> None:
    """Give an account another password; `how` is changed, reset or operator.

    Codes and links on their way die with the old one; sessions are ended by the caller.
    """
    now = times.now()
    await rows.change_account(work.db, account.id, password=password_hash, password_changed_at=now)
    await rows.drop_challenges_of(work.db, account.id)
    note(work, "account.password_changed", account, how=how)
    await tell(
        work,
        account,
        "Your password was changed",
        ["The password of your account was changed. Everybody who was signed in is signed out."],
    )


async def rename(work: Work, account: Account, username: str) -> None:
    """Give an account another user name; RB003, RB013. Other capitals of one's own are fine."""
    text.check_username(username)
    taken = await rows.account_named(work.db, username)
    if taken is not None and taken.id != account.id:
        raise Refusal("RB013", "The user name is taken")
    if username == account.username:
        return
    await rows.change_account(
        work.db, account.id, username=username, username_key=username.casefold()
    )
    await forget_failures(work, account.username)
    note(work, "account.updated", account, {"profile": {"username": username}}, field="username")


async def set_contact(work: Work, account: Account, field: Field, value: str) -> None:
    """Give an account another email or phone number that was confirmed by a code.

    The earlier email is told, or the present one when the phone changed. Codes and links on their
    way to the earlier one die with it.
    """
    if getattr(account, field) == value:
        return
    await rows.change_account(work.db, account.id, **{field: value})
    await rows.drop_challenges_of(work.db, account.id)
    note(work, "account.updated", account, {"profile": {field: value}}, field=field)
    if field == "email" and account.email:
        await post.mail(
            work,
            to=account.email,
            template="email_changed",
            values={},
            entity_id=INSTALLATION_ID,
        )
    elif field == "phone_number":
        await tell(
            work,
            account,
            "Your phone number was changed",
            ["Codes for your account now go to another phone number."],
        )


async def tell(work: Work, account: Account, subject: str, lines: list[str]) -> None:
    """Mail a notice to the account's own email, where it has one."""
    if account.email:
        await post.mail(
            work,
            to=account.email,
            template="notice",
            values={
                "subject": subject,
                "paragraphs": [*lines, "If this was not you, tell your administrator at once."],
            },
            entity_id=INSTALLATION_ID,
        )
