"""Idempotency-Key: the same request under the same key has one effect and one answer.

The answer is stored in the transaction of its change; only successes are (contract, section 1).
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from onrecord.model import times
from onrecord.model.access import Actor
from onrecord.model.errors import Refusal, malformed
from onrecord.store import access
from onrecord.store.db import Stale
from onrecord.store.work import Work
from onrecord.web.call import Call, Idempotency, encode
from onrecord.web.endpoint import Answer

ANSWERS_KEPT: Final = 86_400 * times.SECOND
"""How long a stored answer is given again: 24 hours."""
ANSWERS_KEPT_IN_PERSON: Final = 7 * ANSWERS_KEPT
"""The same for persons, whose messages may wait in a queue: seven days."""

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]+")


def kept_for(actor: Actor) -> int:
    """Give how long answers to an actor are given again, in microseconds."""
    return ANSWERS_KEPT if actor.account is None else ANSWERS_KEPT_IN_PERSON


def asked_for(call: Call) -> Idempotency | None:
    """Read the Idempotency-Key, 1 to 255 printable characters (RB003), None when there is none."""
    key = call.headers.get(b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= 255 or not _PRINTABLE.fullmatch(key):  # noqa: PLR2004 - the contract's number
        raise malformed("Idempotency-Key", "needs 1 to 255 printable characters")
    return Idempotency(key.decode("ascii"))


def fingerprint(call: Call, actor: Actor) -> bytes:
    """Give what makes two requests the same: method, path, query, acting member, body bytes."""
    member = actor.member.uuid if actor.member else ""
    head = f"{call.endpoint.method}\n{call.endpoint.path}\n{member}\n".encode()
    return hashlib.sha256(head + call.raw_query + b"\n" + call.body).digest()


async def stored_answer(work: Work, call: Call, actor: Actor) -> Answer | None:
    """Give the answer stored for the same request; RB022 if the key was used for another."""
    if call.idempotency is None:
        return None
    call.idempotency.request = fingerprint(call, actor)
    place = (actor.scope, call.idempotency.key)
    found = await access.stored_answers(work.db, [place], times.now())
    if place not in found:
        return None
    request, body, withheld = found[place]
    if request != call.idempotency.request:
        raise Refusal("RB022")
    note = "true; secrets-withheld" if withheld else "true"
    return Answer(body, headers=(("Idempotent-Replay", note),))


async def keep_answer(work: Work, call: Call, actor: Actor, answer: Answer, kept: bytes) -> None:
    """Store the answer with its change; Stale when another work was first, so that it replays."""
    if call.idempotency is None:
        return
    now = times.now()
    if not await access.keep_answer(
        work.db,
        actor.scope,
        call.idempotency.key,
        call.idempotency.request,
        kept,
        withheld=kept is not answer.body,
        at=now,
        until=now + kept_for(actor),
    ):
        raise Stale


async def answered_once(work: Work, call: Call, act: Callable[[], Awaitable[Any]]) -> Answer:
    """Do an act and encode its answer, unless the same was answered before under the same key."""
    stored = await stored_answer(work, call, work.actor)
    if stored is not None:
        return stored
    try:
        given = await act()
    except Refusal:
        # On PostgreSQL the first of two may have been committed since we looked: what it made can
        # be what refuses us. The work starts over and gives its answer.
        if await stored_answer(work, call, work.actor) is not None:
            raise Stale from None
        raise
    return await answer_kept(work, call, given)


async def answer_kept(work: Work, call: Call, given: Any) -> Answer:
    """Settle the work, encode its answer, and store it without what is shown once."""
    await work.settle()
    answer = Answer(encode(given))
    secrets = call.endpoint.secrets
    kept = answer.body
    if secrets:
        plain = msgspec.json.decode(answer.body)
        kept = encode({**plain, **dict.fromkeys(secrets)})
    await keep_answer(work, call, work.actor, answer, kept)
    return answer


async def written(call: Call, act: Callable[[Work], Awaitable[Any]]) -> Answer:
    """Do an act in a work of its own, once, and wake whoever reads along."""

    async def write(work: Work) -> Answer:
        return await answered_once(work, call, lambda: act(work))

    answer = await call.app.store.write(call.caller, write)
    if call.caller.actor is not None:
        call.app.bell.ring(call.caller.actor.entity_id)
    return answer
