"""Jobs: done once, tried again, taken over, drained."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from onrecord.app import App
from onrecord.domain import jobs, post
from onrecord.jobs import handlers, worker
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.ports import Undeliverable
from onrecord.store import jobs as store
from onrecord.store.db import Unavailable
from onrecord.store.jobs import Job
from onrecord.store.work import Work
from tests.conftest import MakeWorld
from tests.world import World

Handler = Callable[[App, Job], Awaitable[None]]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """The firm, with nothing in line."""
    made = make_world()
    made.work(None, lambda work: work.db.run("DELETE FROM job"))
    return made


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Callable[[Handler], None]:
    """Let jobs of kind `test` be handled by a function."""

    def use(handler: Handler) -> None:
        table = {**handlers.HANDLERS, "test": handler}
        monkeypatch.setattr(worker, "HANDLERS", table)

    return use


def put(world: World, count: int = 1, **how: Any) -> list[str]:
    async def act(work: Work) -> list[str]:
        return [await jobs.enqueue(work, "test", {"number": n}, **how) for n in range(count)]

    return world.work(world.cast.firm, act)


def job_of(world: World, uuid: str) -> tuple[Any, ...]:
    """State, attempts, payload and result of a job."""
    return world.rows("SELECT state, attempts, payload, result FROM job WHERE uuid = $1", uuid)[0]


def make_due(world: World) -> None:
    async def act(work: Work) -> None:
        await work.db.run("UPDATE job SET run_at = 0 WHERE state <> 'done'")

    world.work(None, act)


async def nothing(_: App, __: Job) -> None:
    return


def test_what_goes_first_need_not_wait_until_others_have_made_room(
    world: World, handle: Callable[[Handler], None]
) -> None:
    """A mail server that thinks for long holds up no code that another one would take at once."""
    begun, go_on = [], asyncio.Event()

    async def handler(_: App, job: Job) -> None:
        begun.append(job.payload["number"])
        if job.payload["number"] >= 0:
            await go_on.wait()

    handle(handler)
    put(world, 2 * worker.AT_ONCE)

    async def wait_for(count: int) -> None:
        async with asyncio.timeout(10):
            while len(begun) < count:  # noqa: ASYNC110 - the handler knows of no test
                await asyncio.sleep(0.01)

    async def act() -> None:
        running = asyncio.create_task(worker.run(world.app))
        await wait_for(worker.AT_ONCE)
        for number in (-1, -2, -3):

            async def first(work: Work, number: int = number) -> None:
                payload = {"number": number}
                await jobs.enqueue(work, "test", payload, run_at=post.FIRST)

            await world.app.as_service(first)
            await wait_for(worker.AT_ONCE - number)
        assert sorted(begun) == [-3, -2, -1, *range(worker.AT_ONCE)]
        go_on.set()
        await wait_for(2 * worker.AT_ONCE + 3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    world.run(act())
    assert sorted(begun) == [-3, -2, -1, *range(2 * worker.AT_ONCE)]


def test_a_worker_that_is_stopped_while_it_claims_leaves_the_job_to_others_at_once(
    world: World, handle: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    handle(nothing)
    (uuid,) = put(world)
    claiming, go_on = asyncio.Event(), asyncio.Event()
    real = worker._claim

    async def slowly(app: App, most: int, at: int) -> list[Job]:
        claimed = await real(app, most, at)
        claiming.set()
        await go_on.wait()
        return claimed

    async def stopped() -> None:
        running = asyncio.create_task(worker.run(world.app))
        await claiming.wait()
        running.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await asyncio.gather(running, return_exceptions=True)

    monkeypatch.setattr(worker, "_claim", slowly)
    world.run(stopped())
    monkeypatch.undo()
    assert job_of(world, uuid)[:2] == ("queued", 1)


def test_a_job_whose_database_goes_away_is_put_back_as_soon_as_it_is_there(
    world: World, handle: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_EVERY", 0.01)
    real, refused = world.app.store.write, 0

    async def away(_: Any, __: Any) -> Any:
        nonlocal refused
        refused += 1
        if refused > 3:
            monkeypatch.setattr(world.app.store, "write", real)
        raise Unavailable

    async def handler(_: App, __: Job) -> None:
        monkeypatch.setattr(world.app.store, "write", away)
        raise Unavailable

    handle(handler)
    (uuid,) = put(world)
    assert world.run(worker.run_due(world.app)) == 1
    assert refused == 4
    assert job_of(world, uuid)[:2] == ("queued", 1)


def test_an_end_that_was_not_kept_lets_the_job_be_run_again(
    world: World, handle: Callable[[Handler], None]
) -> None:
    """A commit that fails leaves the job as it was, whatever the handler believed."""

    async def handler(app: App, job: Job) -> None:
        async def end(work: Work) -> None:
            await jobs.finish(work, job)
            if job.attempts == 1:
                raise Unavailable

        await app.as_service(end)

    handle(handler)
    (uuid,) = put(world)
    world.run(worker.run_due(world.app))
    assert job_of(world, uuid)[:2] == ("queued", 1)
    make_due(world)
    world.run(worker.run_due(world.app))
    assert job_of(world, uuid)[:2] == ("done", 2)


def test_a_job_is_run_once_and_then_forgets_what_it_was_to_do(
    world: World, handle: Callable[[Handler], None]
) -> None:
    seen = []

    async def handler(_: App, job: Job) -> None:
        seen.append(job.payload["number"])

    handle(handler)
    (uuid,) = put(world)
    assert world.run(worker.run_due(world.app)) == 1
    assert world.run(worker.run_due(world.app)) == 0
    assert seen == [0]
    assert job_of(world, uuid) == ("done", 1, "{}", "{}")


def test_a_job_of_a_work_that_is_refused_was_never_there(world: World) -> None:
    async def act(work: Work) -> None:
        await jobs.enqueue(work, "test", {})
        raise Refusal("RB019")

    with pytest.raises(Refusal):
        world.work(world.cast.firm, act)
    assert world.rows("SELECT 1 FROM job WHERE kind = 'test'") == []


def test_a_unique_job_stands_in_line_once_until_it_has_ended(
    world: World, handle: Callable[[Handler], None]
) -> None:
    handle(nothing)
    first = put(world, 2, unique="one")
    assert first[0] == first[1]
    world.run(worker.run_due(world.app))
    assert put(world, unique="one") != first[:1]


def test_a_job_is_not_run_before_its_time(world: World, handle: Callable[[Handler], None]) -> None:
    handle(nothing)
    put(world, run_at=times.now() + 3600 * times.SECOND)
    assert world.run(worker.run_due(world.app)) == 0


def test_what_fails_is_tried_again_later_and_given_up_after_a_day(
    world: World, handle: Callable[[Handler], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_: App, __: Job) -> None:
        raise OSError("the world is away")

    handle(handler)
    (uuid,) = put(world)
    before = times.now()
    world.run(worker.run_due(world.app))
    assert job_of(world, uuid)[:2] == ("queued", 1)
    waits = world.rows("SELECT run_at FROM job WHERE uuid = $1", uuid)[0][0] - before
    assert times.SECOND <= waits < 10 * times.SECOND

    async def old(work: Work) -> None:
        await work.db.run("UPDATE job SET run_at = 0, give_up_at = 1 WHERE uuid = $1", uuid)

    world.work(None, old)
    world.run(worker.run_due(world.app))
    assert job_of(world, uuid) == (
        "failed",
        2,
        "{}",
        '{"reason": "given up after a day: OSError"}',
    )
    assert "failed for good" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Undeliverable("nobody lives there"), '{"reason": "nobody lives there"}'),
        (Refusal("RN006"), '{"reason": "Member not found", "error_code": "RN006"}'),
    ],
)
def test_what_is_refused_for_good_is_not_tried_again(
    world: World, handle: Callable[[Handler], None], error: Exception, reason: str
) -> None:
    async def handler(_: App, __: Job) -> None:
        raise error

    handle(handler)
    (uuid,) = put(world)
    world.run(worker.run_due(world.app))
    assert job_of(world, uuid) == ("failed", 1, "{}", reason)


def test_a_kind_that_nobody_here_knows_waits_for_a_process_that_does(world: World) -> None:
    (uuid,) = put(world)
    world.run(worker.run_due(world.app))
    assert job_of(world, uuid)[0] == "queued"


def test_jobs_whose_claim_got_no_answer_do_not_wait_for_the_end_of_its_lease(
    world: World, handle: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    handle(nothing)
    monkeypatch.setattr(worker, "LOOK_EVERY", 0.01)
    real, answers = world.app.store.write, 0

    async def unheard(*given: Any) -> Any:
        nonlocal answers
        answers += 1
        if answers == 2:  # the claim stands by now, and the database is away for a while
            raise Unavailable
        answer = await real(*given)
        if answers == 1:
            raise Unavailable
        return answer

    (uuid,) = put(world)
    monkeypatch.setattr(world.app.store, "write", unheard)
    assert world.run(worker._claim(world.app, 1, times.now())) == []
    assert job_of(world, uuid)[0] == "queued"
    assert world.run(worker.run_due(world.app)) == 1
    assert job_of(world, uuid)[0] == "done"


def test_another_process_takes_a_job_over_when_the_lease_is_over_and_the_first_one_is_too_late(
    world: World, handle: Callable[[Handler], None]
) -> None:
    handle(nothing)
    (uuid,) = put(world)
    (first,) = world.run(worker._claim(world.app, 1, times.now()))
    assert world.run(worker.run_due(world.app)) == 0, "the lease still holds"
    make_due(world)
    other = world.beside()
    assert other.run(worker.run_due(other.app)) == 1
    other.close()

    async def late(work: Work) -> None:
        await jobs.progress(work, first, 5)

    with pytest.raises(jobs.Lost):
        world.work(None, late)
    assert job_of(world, uuid)[:2] == ("done", 2)


def test_two_workers_never_run_the_same_job(
    world: World, handle: Callable[[Handler], None]
) -> None:
    seen: list[int] = []

    async def handler(_: App, job: Job) -> None:
        seen.append(job.payload["number"])
        await asyncio.sleep(0)

    handle(handler)
    put(world, 40)
    other = world.beside()
    world.together(worker.run_due(world.app), worker.run_due(other.app))
    other.close()
    assert sorted(seen) == list(range(40))


def test_a_job_that_is_taken_over_finds_how_far_it_had_come(
    world: World, handle: Callable[[Handler], None]
) -> None:
    begun = []

    async def handler(app: App, job: Job) -> None:
        begun.append((job.done, dict(job.result)))
        await app.as_service(lambda work: jobs.progress(work, job, job.done + 500, 1000, {"a": 1}))
        if job.done < 1000:
            raise OSError("torn down")

    handle(handler)
    (uuid,) = put(world)
    world.run(worker.run_due(world.app))
    make_due(world)
    world.run(worker.run_due(world.app))
    assert begun == [(0, {}), (500, {"a": 1})]
    assert job_of(world, uuid) == ("done", 2, "{}", '{"a": 1}')


def test_the_worker_is_woken_by_what_is_put_in_line(
    world: World, handle: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asyncio.Event()

    async def handler(_: App, __: Job) -> None:
        done.set()

    handle(handler)
    monkeypatch.setattr(worker, "LOOK_EVERY", 60)

    async def act() -> None:
        running = asyncio.create_task(worker.run(world.app))
        await asyncio.sleep(0.05)
        assert not done.is_set()

        async def one(work: Work) -> None:
            await jobs.enqueue(work, "test", {})

        await world.app.as_service(one)
        await asyncio.wait_for(done.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    world.run(act())


def test_a_worker_that_is_stopped_lets_its_jobs_end_and_puts_back_what_does_not(
    world: World, handle: Callable[[Handler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    ended = []

    async def handler(_: App, job: Job) -> None:
        begun.set()
        await asyncio.sleep(0.1 if job.payload["number"] == 0 else 60)
        ended.append(job.payload["number"])

    handle(handler)
    monkeypatch.setattr(worker, "DRAIN_SECONDS", 0.3)
    quick, slow = put(world, 2)

    async def act() -> None:
        running = asyncio.create_task(worker.run(world.app))
        await asyncio.wait_for(begun.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    world.run(act())
    assert ended == [0]
    assert job_of(world, quick)[0] == "done"
    assert job_of(world, slow)[:2] == ("queued", 1)
    assert world.ask(store.next_due) is not None


def test_ended_jobs_are_forgotten_after_a_month(
    world: World, handle: Callable[[Handler], None]
) -> None:
    handle(nothing)
    put(world)
    world.run(worker.run_due(world.app))
    world.run(worker.do_chores(world.app))
    assert len(world.rows("SELECT 1 FROM job WHERE kind = 'test'")) == 1

    async def old(work: Work) -> None:
        await work.db.run("UPDATE job SET finished_at = 1")

    world.work(None, old)
    world.run(worker.do_chores(world.app))
    assert world.rows("SELECT 1 FROM job WHERE kind = 'test'") == []
