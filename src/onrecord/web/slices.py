"""Long calls: works of at most 500 changes each, whole or nothing, that a retry goes on with.

With an Idempotency-Key the plan of the call is stored before its first slice, and what became of a
slice together with the slice. A retry after a crash does what is left and answers for all
(contract, section 1; record.md, section 1).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.store import access
from onrecord.store.db import Stale
from onrecord.store.work import Work
from onrecord.web import idempotency
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Sliced(Generic[T, R]):
    """A call that may be too long for one work.

    `plan` says for what, `act` does some of it and gives a result for each, `whole` makes the
    answer of all results. `things` and `results` are the types of lists of both, as stored.
    """

    size: int
    plan: Callable[[Work], Awaitable[list[T]]]
    act: Callable[[Work, list[T]], Awaitable[list[R]]]
    whole: Callable[[list[R]], Any]
    things: type[list[T]]
    results: type[list[R]]


@dataclass(slots=True)
class _Progress(Generic[T, R]):
    plan: list[T]
    done: list[R]
    number: int = 0
    """Slices done."""


async def answered(call: Call, sliced: Sliced[T, R]) -> Answer:
    """Do a call slice by slice and answer for all of it.

    RB023: the same call, under the same Idempotency-Key, is under way.
    """
    actor = call.caller.actor
    key = call.idempotency.key if call.idempotency else ""
    with call.limits.alone((actor.scope if actor else "", key) if key else None):
        begun = await call.app.store.write(call.caller, lambda work: _begin(work, call, sliced))
        _ring(call)
        if isinstance(begun, Answer):
            return begun
        progress = begun
        while True:
            outcome = await call.app.store.write(
                call.caller, lambda work: _one_slice(work, call, sliced, progress)
            )
            _ring(call)
            if isinstance(outcome, Answer):
                return outcome
            progress.done += outcome
            progress.number += 1


def _ring(call: Call) -> None:
    if call.caller.actor is not None:
        call.app.bell.ring(call.caller.actor.entity_id)


async def _begin(work: Work, call: Call, sliced: Sliced[T, R]) -> Answer | _Progress[T, R]:
    """Give the stored answer, or how far the call has come; a short one is done at once."""
    stored = await idempotency.stored_answer(work, call, work.actor)
    if stored is not None:
        return stored
    progress = await _progress(work, call, sliced)
    if progress is not None:
        return progress
    try:
        plan = await sliced.plan(work)
    except Refusal:
        # As in `answered_once`: what refuses us may be what the first of two has done since.
        if await idempotency.stored_answer(work, call, work.actor) is not None:
            raise Stale from None
        raise
    if len(plan) <= sliced.size:

        async def act() -> Any:
            return sliced.whole(await sliced.act(work, plan))

        return await idempotency.answered_once(work, call, act)
    await _keep(work, call, 0, encode(plan))
    return _Progress(plan, [])


async def _progress(work: Work, call: Call, sliced: Sliced[T, R]) -> _Progress[T, R] | None:
    if call.idempotency is None:
        return None
    key = call.idempotency.key
    stored = await access.slices_of(work.db, work.actor.scope, key, times.now())
    if not stored:
        return None
    if any(request != call.idempotency.request for request, _ in stored):
        raise Refusal("RB022")
    plan, *results = [answer for _, answer in stored]
    done = [one for each in results for one in msgspec.json.decode(each, type=sliced.results)]
    return _Progress(msgspec.json.decode(plan, type=sliced.things), done, len(results))


async def _one_slice(
    work: Work, call: Call, sliced: Sliced[T, R], progress: _Progress[T, R]
) -> Answer | list[R]:
    """Do the next slice and give its results; with the last one store and give the whole answer.

    Every slice is kept until its time is over, also when all is done: that is what tells another
    process that is behind, and would speak again, that somebody was first.
    """
    stored = await idempotency.stored_answer(work, call, work.actor)
    if stored is not None:
        return stored
    start = progress.number * sliced.size
    things = progress.plan[start : start + sliced.size]
    results = await sliced.act(work, things)
    await work.settle()
    await _keep(work, call, progress.number + 1, encode(results))
    if start + sliced.size < len(progress.plan):
        return results
    answer = Answer(encode(sliced.whole([*progress.done, *results])))
    await idempotency.keep_answer(work, call, work.actor, answer, answer.body)
    return answer


async def _keep(work: Work, call: Call, number: int, answer: bytes) -> None:
    if call.idempotency is None:
        return
    until = times.now() + idempotency.kept_for(work.actor)
    key, request = call.idempotency.key, call.idempotency.request
    scope = work.actor.scope
    if not await access.keep_slice(work.db, scope, key, number, request, answer, until):
        raise Refusal("RB023")
