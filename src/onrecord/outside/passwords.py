"""Passwords: argon2id, in a thread, a few at a time.

One hash takes some 50 ms and 64 MiB: it must hold up neither the loop nor all the memory.
"""

import asyncio
import secrets
from functools import lru_cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from onrecord.model.errors import Refusal
from onrecord.model.text import password_form

HASHER: Final = PasswordHasher()
"""argon2id with the library's defaults (RFC 9106's second recommended set)."""
AT_ONCE: Final = 2
WAITING_MOST: Final = 100
"""How many may wait for their turn: about five seconds' worth; further ones are sent away."""


@lru_cache(maxsize=1)
def _nobodys(hasher: PasswordHasher) -> str:
    return hasher.hash(secrets.token_urlsafe(16))


class Passwords:
    """Hashes and compares passwords beside the event loop."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self.compared = 0
        """How many passwords were compared, right or wrong, with somebody's or nobody's."""

    async def hash(self, password: str) -> str:
        """Give the form in which a password is stored; RX503 when too many wait already."""
        return await self._in_turn(password, None) or ""

    async def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one stored; None costs the same and never is. RX503."""
        self.compared += 1
        same = await self._in_turn(password, stored or _nobodys(HASHER))
        return same is not None and stored is not None

    async def _in_turn(self, password: str, stored: str | None) -> str | None:
        """Hash, or with `stored` compare: the stored form when they match, else None."""
        if self._waiting >= WAITING_MOST:
            raise Refusal("RX503")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(_hash_or_compare, password_form(password), stored)
        finally:
            self._waiting -= 1


def _hash_or_compare(password: str, stored: str | None) -> str | None:
    if stored is None:
        return HASHER.hash(password)
    try:
        HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return None
    return stored
