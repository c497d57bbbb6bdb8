"""Second factors of an account's own: an authenticator app (RFC 6238), a recovery code."""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

import pyotp

from onrecord.domain import accounts, challenges
from onrecord.domain.challenges import Begun, Second, digest
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.ports import Vault
from onrecord.store import accounts as rows
from onrecord.store.accounts import Account
from onrecord.store.work import Work

ISSUER: Final = "OnRecord"
STEP: Final = 30
"""Seconds that a code of an authenticator app is shown; its neighbours are taken too."""
RECOVERY_BYTES: Final = 15
"""120 random bits: 24 letters and digits."""
TOTP: Final = "totp"
RECOVERY: Final = "recovery_code"
REMOVED: Final = "removed"


@dataclass(frozen=True, slots=True)
class NewSecret:
    """The secret of an authenticator app, shown this once, before its first code confirms it."""

    challenge: str
    secret: str
    uri: str
    """What a QR code holds (otpauth://)."""


def _place(account: Account) -> str:
    return f"totp {account.uuid}"


async def begin_totp(work: Work, account: Account, vault: Vault) -> NewSecret:
    """Make a secret for an authenticator app; nothing changes before its first code is right."""
    secret = pyotp.random_base32()
    sealed = vault.seal(secret.encode(), _place(account))
    begun: Begun = await challenges.begin(
        work,
        purpose=TOTP,
        account_id=account.id,
        channel="totp",
        to="",
        payload={"secret": base64.b64encode(sealed).decode()},
    )
    uri = pyotp.TOTP(secret, name=account.username, issuer=ISSUER).provisioning_uri()
    return NewSecret(begun.challenge, secret, uri)


def of_new_secret(vault: Vault) -> Second:
    """Give the check of the first code of a new secret, which lies in the challenge."""

    async def check(work: Work, account: Account, payload: dict[str, Any], code: str) -> str | None:
        sealed = base64.b64decode(payload["secret"])
        step = _matching_step(vault.open(sealed, _place(account)).decode(), code, 0)
        if step is None:
            return None
        await rows.change_account(work.db, account.id, totp=sealed, totp_step=step)
        await _changed(work, account, TOTP, "added", "An authenticator app was added")
        return TOTP

    return check


def of_account(vault: Vault) -> Second:
    """Give the check of a code by what the account has: its authenticator app, its recovery code.

    A code of the app is taken once; the recovery code is gone once it was used.
    """

    async def check(work: Work, account: Account, _: dict[str, Any], code: str) -> str | None:
        if account.totp is not None:
            secret = vault.open(account.totp, _place(account)).decode()
            step = _matching_step(secret, code, account.totp_step)
            if step is not None:
                await rows.change_account(work.db, account.id, totp_step=step)
                return TOTP
        typed = digest(code.upper())
        if account.recovery is not None and hmac.compare_digest(account.recovery, typed):
            await rows.change_account(work.db, account.id, recovery=None)
            await _changed(work, account, RECOVERY, "used", "Your recovery code was used")
            return RECOVERY
        return None

    return check


def _matching_step(secret: str, code: str, after: int) -> int | None:
    """Give the time step whose code this is, this one or a neighbour, later than `after`."""
    if not re.fullmatch("[0-9]{6}", code):
        return None
    now = times.now() // times.SECOND // STEP
    made = pyotp.TOTP(secret)
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(made.generate_otp(step), code) and step > after:
            return step
    return None


async def remove_totp(work: Work, account: Account) -> None:
    """Take the authenticator app away; RB019 when there is none."""
    if account.totp is None:
        raise Refusal("RB019", "The account has no authenticator app")
    await rows.change_account(work.db, account.id, totp=None, totp_step=0)
    await _changed(work, account, TOTP, REMOVED, "Your authenticator app was removed")


async def make_recovery_code(work: Work, account: Account) -> str:
    """Make a recovery code and give it, this once; an earlier one is worth nothing any more."""
    code = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
    await rows.change_account(work.db, account.id, recovery=digest(code))
    await _changed(work, account, RECOVERY, "added", "A recovery code was made")
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


async def reset(work: Work, account: Account) -> list[str]:
    """Take every second factor of the account's own away, for the operator; give which."""
    removed = []
    if account.totp is not None:
        await remove_totp(work, account)
        removed.append(TOTP)
    if account.recovery is not None:
        await rows.change_account(work.db, account.id, recovery=None)
        await _changed(work, account, RECOVERY, REMOVED, "Your recovery code was removed")
        removed.append(RECOVERY)
    return removed


async def _changed(work: Work, account: Account, factor: str, change: str, told: str) -> None:
    accounts.note(work, "account.factor_changed", account, factor=factor, change=change)
    await accounts.tell(work, account, told, [f"{told} for your account {account.username}."])
