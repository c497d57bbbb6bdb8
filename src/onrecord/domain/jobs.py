"""Jobs: what is to be done beside the requests, put in line with the change that is its cause."""

import json
import uuid as uuids
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from onrecord.model import text, times
from onrecord.model.errors import Refusal
from onrecord.store import jobs as store
from onrecord.store.jobs import Job
from onrecord.store.work import Work

GIVE_UP_AFTER: Final = 86_400 * times.SECOND
"""How long a job that fails is tried again, from when it was first due: a day."""


class Lost(Exception):  # noqa: N818 - not an error: another process goes on with the job
    """The lease ended and another process has taken the job over; stop without a trace."""


def new_uuid() -> str:
    """Give the uuid for a job that its own cause has to know."""
    return str(uuids.uuid4())


async def enqueue(
    work: Work,
    kind: str,
    payload: Mapping[str, Any],
    *,
    run_at: int | None = None,
    unique: str | None = None,
    entity_id: int | None = None,
    uuid: str | None = None,
) -> str:
    """Put a job in line, in the transaction of its cause, and give its uuid.

    `kind` names its handler (`onrecord.jobs.HANDLERS`); `payload` is JSON and is forgotten when
    the job has ended. `run_at` is in microseconds, now when absent; the earliest runs first. While
    a job with the same `unique` key has not ended, nothing is added and that one's uuid is given.
    """
    now = times.now()
    due = now if run_at is None else run_at
    where = work.actor.entity_id if entity_id is None else entity_id
    row = _row(uuid or new_uuid(), where, kind, payload, due, now)
    kept = await store.add_job(work.db, {**row, "unique_key": unique})
    _wake(work, due, now)
    return kept


async def enqueue_all(
    work: Work,
    kind: str,
    payloads: Mapping[str, Mapping[str, Any]],
    *,
    run_at: int | None = None,
) -> None:
    """Put many jobs of a kind in line at one go, payloads by the uuids; else as `enqueue`."""
    now = times.now()
    due = now if run_at is None else run_at
    where = work.actor.entity_id
    await store.add_jobs(
        work.db,
        [_row(uuid, where, kind, payload, due, now) for uuid, payload in payloads.items()],
    )
    _wake(work, due, now)


def _row(
    uuid: str, entity_id: int, kind: str, payload: Mapping[str, Any], due: int, now: int
) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "entity_id": entity_id,
        "kind": kind,
        "state": "queued",
        "payload": json.dumps(payload),
        "run_at": due,
        "give_up_at": max(due, now) + GIVE_UP_AFTER,
        "created_at": now,
    }


def _wake(work: Work, due: int, now: int) -> None:
    if work.wake is not None and due <= now:
        work.wake()


async def progress(
    work: Work,
    job: Job,
    done: int,
    total: int | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Note how far a running job has come, in the work that brought it there.

    `result` is what is known so far; a process that takes over finds it in `job.result`. Raises
    Lost when another process already has: the work is rolled back and its slice done only once.
    """
    kept = job.result if result is None else result
    if not await store.set_progress(work.db, job, done, total, kept):
        raise Lost
    job.done, job.total, job.result = done, total, kept


async def finish(work: Work, job: Job, result: Mapping[str, Any] | None = None) -> None:
    """End a job well, in the work of its last change. Raises Lost as `progress` does."""
    await _end(work, job, "done", job.result if result is None else result)


async def fail(work: Work, job: Job, reason: str, **more: Any) -> None:
    """End a job for good without success; the reason is kept. Raises Lost as `progress` does."""
    await _end(work, job, "failed", {**job.result, "reason": reason, **more})


async def _end(work: Work, job: Job, state: str, result: Mapping[str, Any]) -> None:
    if not await store.end(work.db, job, state, result, times.now()):
        raise Lost
    job.ended = True


class JobView(msgspec.Struct, kw_only=True):
    """A job as whoever began it sees it."""

    job_uuid: str
    kind: str
    state: str
    done: int
    total: int | None
    result: dict[str, Any] | None
    created_at: str
    finished_at: str | None


async def view(work: Work, job_uuid: str) -> JobView:
    """Give a job of the organisation: RB003 no UUID, RN008 no such job."""
    job = await store.job_of(work.db, work.actor.entity_id, text.check_uuid("job_uuid", job_uuid))
    if job is None:
        raise Refusal("RN008")
    return JobView(
        job_uuid=job.uuid,
        kind=job.kind,
        state=job.state,
        done=job.done,
        total=job.total,
        result=dict(job.result) or None,
        created_at=times.wire(job.created_at),
        finished_at=times.wire_or_none(job.finished_at),
    )
