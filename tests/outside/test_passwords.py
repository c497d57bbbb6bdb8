"""Passwords: hashed beside the loop, a few at a time, and no matter whose they are."""

import asyncio
import threading
from typing import Any

import pytest

from onrecord.model.errors import Refusal
from onrecord.outside import passwords
from onrecord.outside.passwords import AT_ONCE, WAITING_MOST, Passwords


def test_a_password_matches_its_hash_and_nobodys_never_does() -> None:
    async def run() -> None:
        made = Passwords()
        stored = await made.hash("four words in a row")
        assert stored.startswith("$argon2id$")
        assert await made.matches(stored, "four words in a row")
        assert not await made.matches(stored, "four words in a raw")
        assert not await made.matches(None, "four words in a row")
        assert not await made.matches("no hash at all", "four words in a row")
        assert made.compared == 4

    asyncio.run(run())


def test_a_few_are_hashed_at_once_and_too_many_are_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, at_once, most = threading.Event(), 0, 0

    def slow(password: str, stored: str | None) -> str | None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        gate.wait(10)
        at_once -= 1
        return stored or password

    monkeypatch.setattr(passwords, "_hash_or_compare", slow)

    async def run() -> None:
        made = Passwords()
        waiting: list[asyncio.Task[Any]] = [
            asyncio.create_task(made.hash("x")) for _ in range(WAITING_MOST)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as refusal:
            await made.hash("x")
        assert refusal.value.code == "RX503"
        gate.set()
        await asyncio.gather(*waiting)
        assert await made.hash("x") == "x"
        assert most <= AT_ONCE

    asyncio.run(run())
