"""The worker: claim what is due, run its handler, note its end.

A process claims a job under a lease and renews it while it runs; when a process dies, another one
takes the job over once the lease is over. So a job may be begun twice but is ended once, and what
a handler changes together with `jobs.finish` or `jobs.progress` happens once.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import jobs, post
from onrecord.jobs.handlers import CHORES, HANDLERS
from onrecord.model import times
from onrecord.model.errors import Refusal
from onrecord.model.ports import Undeliverable
from onrecord.settings import Settings
from onrecord.store import jobs as store
from onrecord.store.db import Unavailable
from onrecord.store.jobs import Job
from onrecord.store.work import Work

AT_ONCE: Final = 8
"""Jobs that one process runs at the same time."""
AT_ONCE_FIRST: Final = 2
"""Further places for what goes before all others: somebody waits for a code, and a mail server that
takes its time may hold every other place."""
LEASE: Final = 60
"""Seconds after which another process takes over a job whose lease was not renewed."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks when nobody wakes us: another process put a job in line."""
AFTER_WAKING: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Whoever puts a job in line wakes us before its commit: so we look again soon, in seconds."""
TELL_EVERY: Final = 0.1
"""Seconds between two words about a job that somebody waits for."""
DRAIN_SECONDS: Final = 8
"""How long jobs that run may take to end when the process is told to stop."""
CHORES_EVERY: Final = 60
KEPT: Final = 30 * 86_400 * times.SECOND
"""How long an ended job can be looked at."""

log = logging.getLogger(__name__)


async def run(app: App) -> None:
    """Run jobs until cancelled; then let those that run end, and put back what does not."""
    running: dict[asyncio.Task[None], Job] = {}
    chores = asyncio.create_task(_every_minute(app))
    try:
        while True:
            await _look(app, running)
    finally:
        chores.cancel()
        if running:
            await asyncio.wait(running, timeout=DRAIN_SECONDS)
        for task in running:
            task.cancel()
        await asyncio.gather(chores, *running, return_exceptions=True)


async def _look(app: App, running: dict[asyncio.Task[None], Job]) -> None:
    """Begin what is due, then wait until there may be more to do."""
    woken = app.jobs_waiting.is_set()
    app.jobs_waiting.clear()
    try:
        begun = await _begin(app, running, sure=woken)
        for pause in AFTER_WAKING if woken and not begun else ():
            await asyncio.sleep(pause)
            if await _begin(app, running):
                break
    except Unavailable:
        begun = 0  # the database is away; the next look may find it
    except Exception:
        begun = 0
        log.exception("looking for jobs failed; it is tried again")
    if begun and len(running) < AT_ONCE:
        return
    waking = asyncio.create_task(app.jobs_waiting.wait())
    # With every place taken only the end of a job makes room; else news is what we wait for.
    is_full = len(running) >= AT_ONCE + AT_ONCE_FIRST
    awaited = {*running} if is_full else {waking, *running}
    try:
        await asyncio.wait(awaited, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waking.cancel()


async def _begin(app: App, running: dict[asyncio.Task[None], Job], *, sure: bool = False) -> int:
    """Begin jobs that are due while there is room; how many. Not `sure`: look before claiming."""
    room, at = AT_ONCE - len(running), times.now()
    if room <= 0:
        room, at, sure = room + AT_ONCE_FIRST, post.FIRST, False
    if room <= 0 or not (sure or await _is_due(app, at)):
        return 0
    claiming = asyncio.ensure_future(_claim(app, room, at))
    try:
        claimed = await asyncio.shield(claiming)
    except asyncio.CancelledError:
        await asyncio.wait({claiming}, timeout=DRAIN_SECONDS)  # away, the database may stay so
        if claiming.cancel():
            raise
        for job in claiming.result():  # or nobody would run them before their lease is over
            await _put_back(app, job)
        raise
    for job in claimed:
        task = asyncio.create_task(_run(app, job))
        running[task] = job
        task.add_done_callback(lambda task: running.pop(task, None))
    return len(claimed)


async def _is_due(app: App, at: int) -> bool:
    due = await app.store.ask(store.next_due)
    return due is not None and due <= at


async def _claim(app: App, most: int, at: int) -> list[Job]:
    """Claim what is due at a moment.

    A claim whose answer got lost with the database may stand: what it holds would wait for the end
    of its lease, so it is given back as soon as the database is there.
    """
    until = times.now() + LEASE * times.SECOND
    lease = secrets.token_hex(8)
    try:
        return await app.as_service(lambda work: store.claim(work.db, at, until, lease, most))
    except Unavailable:
        await _surely(app, lambda work: store.release(work.db, lease, times.now()))
        return []


async def run_due(app: App) -> int:
    """Run what is due now, one after another, to the end; how many jobs were run."""
    count = 0
    while await _is_due(app, now := times.now()):
        for job in await _claim(app, 1, now):
            await _run(app, job)
            count += 1
    return count


async def run_one(app: App, uuid: str, tell: Callable[[Job], None]) -> None:
    """Run a job here and now, or wait for the process that already does; `tell` hears how far."""
    until = times.now() + LEASE * times.SECOND
    lease = secrets.token_hex(8)
    job = await app.as_service(lambda work: store.claim_one(work.db, uuid, until, lease))
    if job is None:
        while (seen := await app.store.ask(lambda session: store.seen(session, uuid))) is not None:
            tell(seen)
            if seen.finished_at is not None:
                return
            await asyncio.sleep(LOOK_EVERY / 4)
        return
    running = asyncio.create_task(_run(app, job))
    while not running.done():
        await asyncio.wait({running}, timeout=TELL_EVERY)
        tell(job)
    await running


async def _run(app: App, job: Job) -> None:
    """Run one job under its lease, and note how it ended."""
    try:
        await _under_lease(app, job)
        if not job.ended:
            await app.as_service(lambda work: jobs.finish(work, job))
    except jobs.Lost:
        log.warning("job %s of kind %s was taken over by another process", job.uuid, job.kind)
    except Refusal as refusal:
        await _failed(app, job, refusal.detail, error_code=refusal.code)
    except Undeliverable as error:
        await _failed(app, job, str(error))
    except asyncio.CancelledError:
        if not job.ended:
            await _put_back(app, job)
        raise
    except Unavailable as error:
        log.warning("job %s of kind %s waits for the database", job.uuid, job.kind)
        await _again(app, job, str(error))
    except OSError as error:  # the mail server is away, say: where it happened tells nothing
        log.warning("job %s of kind %s is tried again: %s", job.uuid, job.kind, error)
        await _again(app, job, type(error).__name__)
    except Exception as error:
        log.exception("job %s of kind %s failed", job.uuid, job.kind)
        await _again(app, job, type(error).__name__)


async def _put_back(app: App, job: Job) -> None:
    await app.as_service(lambda work: store.put_back(work.db, job, times.now()))


async def _under_lease(app: App, job: Job) -> None:
    """Run the handler, renewing the lease meanwhile; Lost when another process has the job."""
    handler = HANDLERS.get(job.kind)
    if handler is None:  # of a newer version, perhaps: that one will run it
        raise LookupError(job.kind)
    task = asyncio.ensure_future(handler(app, job))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LEASE / 3)
            if not task.done() and not await _renewed(app, job):
                raise jobs.Lost
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _renewed(app: App, job: Job) -> bool:
    until = times.now() + LEASE * times.SECOND
    try:
        return await app.as_service(lambda work: store.renew(work.db, job, until))
    except Unavailable:
        return True  # nobody else can claim it either


async def _failed(app: App, job: Job, reason: str, **more: str) -> None:
    log.warning("job %s of kind %s failed for good: %s", job.uuid, job.kind, reason)
    with contextlib.suppress(jobs.Lost):
        await _surely(app, lambda work: jobs.fail(work, job, reason, **more))


async def _again(app: App, job: Job, reason: str) -> None:
    """Try a job again later, each time about twice as late; give up after a day.

    One that has ended stays so: whether its last work was kept is not always known here, and only
    what still runs under our lease is put back.
    """
    # Jitter keeps many that failed together from coming back together.
    seconds = min(2**job.attempts, 3600) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret hangs on it
    run_at = times.now() + int(seconds * times.SECOND)
    if run_at > job.give_up_at:
        await _failed(app, job, f"given up after a day: {reason}")
    else:
        await _surely(app, lambda work: store.put_back(work.db, job, run_at))


async def _surely(app: App, act: Callable[[Work], Awaitable[None]]) -> None:
    """Say what became of a job, as soon as the database is there: not only when the lease ends."""
    while True:
        try:
            return await app.as_service(act)
        except Unavailable:
            await asyncio.sleep(LOOK_EVERY)


async def _every_minute(app: App) -> None:
    while True:
        try:
            await do_chores(app)
        except Exception:
            log.exception("the chores of a minute failed; they are tried again")
        await asyncio.sleep(CHORES_EVERY)


async def do_chores(app: App) -> None:
    """Look after what comes round by itself, and forget jobs that ended long ago."""
    for chore in CHORES:
        await chore(app)
    before = times.now() - KEPT
    await app.as_service(lambda work: store.forget(work.db, before))


def work(settings: Settings) -> None:
    """Run jobs alone until SIGINT or SIGTERM; raises what `app.start` raises."""
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    async with composition.running(settings, purpose="work") as running:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        running.start_jobs(run)
        logging.getLogger("onrecord").info("running jobs")
        await stop.wait()
