"""Jobs: what waits, who runs it, and how far it has come."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.store.db import Insert, Row, Session

OPEN: Final = "state IN ('queued', 'running')"
"""The states of a job that has not ended."""


@dataclass(slots=True)
class Job:
    """A job as stored; `lease` is the claim of the process that runs it."""

    id: int
    uuid: str
    entity_id: int
    kind: str
    state: str
    payload: Mapping[str, Any]
    run_at: int
    give_up_at: int
    attempts: int
    lease: str | None
    done: int
    total: int | None
    result: Mapping[str, Any]
    created_at: int
    finished_at: int | None
    ended: bool = False
    """Whether the process that runs it has noted its end already."""


_JOB: Final = (
    "id, uuid, entity_id, kind, state, payload, run_at, give_up_at, attempts, lease, done, total,"
    " result, created_at, finished_at"
)


def _job(row: Row) -> Job:
    values = list(row)
    values[5] = json.loads(values[5])
    values[12] = json.loads(values[12] or "{}")
    return Job(*values)


async def add_job(session: Session, job: Mapping[str, Any]) -> str:
    """Add a job from its columns; give its uuid, or that of the open one with its unique key."""
    columns = ", ".join(job)
    marks = ", ".join(f"${number}" for number in range(1, len(job) + 1))
    added = await session.one(
        f"INSERT INTO job ({columns}) VALUES ({marks})"
        f" ON CONFLICT (unique_key) WHERE {OPEN} DO NOTHING RETURNING uuid",
        *job.values(),
    )
    if added is None:
        added = await session.one(
            f"SELECT uuid FROM job WHERE unique_key = $1 AND {OPEN}", job["unique_key"]
        )
    return str(added[0]) if added else ""


async def add_jobs(session: Session, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Add jobs from their columns, the same for all; none has a unique key."""
    if jobs:
        rows = [tuple(job.values()) for job in jobs]
        await session.write(Insert("job", tuple(jobs[0]), rows))


async def next_due(session: Session) -> int | None:
    """Give when the next job is due, in microseconds; None when nothing waits."""
    row = await session.one(f"SELECT MIN(run_at) FROM job WHERE {OPEN}")
    return row[0] if row else None


async def claim(session: Session, at: int, until: int, lease: str, most: int) -> list[Job]:
    """Take the jobs that are due, those first that waited longest, under a lease until `until`.

    Jobs of another process whose lease is over are due as well.
    """
    due = f"SELECT id FROM job WHERE {OPEN} AND run_at <= $1 ORDER BY run_at, id LIMIT $2"
    if session.dialect == "postgresql":
        # An array is worked out once; a join might look for more jobs than were asked for.
        which = f"id = ANY(ARRAY({due} FOR UPDATE SKIP LOCKED))"
    else:
        which = f"id IN ({due})"
    rows = await session.all(
        "UPDATE job SET state = 'running', run_at = $3, lease = $4, attempts = attempts + 1"
        f" WHERE {which} RETURNING {_JOB}",
        at,
        most,
        until,
        lease,
    )
    return sorted(map(_job, rows), key=lambda job: job.id)


async def claim_one(session: Session, uuid: str, until: int, lease: str) -> Job | None:
    """Take a job of which it is known that it is due; None when another process has it."""
    row = await session.one(
        "UPDATE job SET state = 'running', run_at = $2, lease = $3, attempts = attempts + 1"
        f" WHERE uuid = $1 AND state = 'queued' RETURNING {_JOB}",
        uuid,
        until,
        lease,
    )
    return _job(row) if row else None


async def renew(session: Session, job: Job, until: int) -> bool:
    """Hold a job for longer; False when another process has it."""
    row = await session.one(
        "UPDATE job SET run_at = $3 WHERE id = $1 AND lease = $2 AND state = 'running' RETURNING 1",
        job.id,
        job.lease,
        until,
    )
    return row is not None


async def set_progress(
    session: Session, job: Job, done: int, total: int | None, result: Mapping[str, Any]
) -> bool:
    """Note how far a job has come; False when another process has it."""
    row = await session.one(
        "UPDATE job SET done = $3, total = $4, result = $5"
        " WHERE id = $1 AND lease = $2 AND state = 'running' RETURNING 1",
        job.id,
        job.lease,
        done,
        total,
        json.dumps(result),
    )
    return row is not None


async def put_back(session: Session, job: Job, run_at: int) -> None:
    """Let a job be run again later, by whichever process."""
    await session.run(
        "UPDATE job SET state = 'queued', run_at = $3, lease = NULL"
        " WHERE id = $1 AND lease = $2 AND state = 'running'",
        job.id,
        job.lease,
        run_at,
    )


async def release(session: Session, lease: str, run_at: int) -> None:
    """Let every job of a claim be run again later, by whichever process."""
    await session.run(
        "UPDATE job SET state = 'queued', run_at = $2, lease = NULL"
        " WHERE lease = $1 AND state = 'running'",
        lease,
        run_at,
    )


async def end(session: Session, job: Job, state: str, result: Mapping[str, Any], at: int) -> bool:
    """End a job and forget what it was to do; False when another process has it."""
    row = await session.one(
        "UPDATE job SET state = $3, result = $4, finished_at = $5, payload = '{}', lease = NULL,"
        " unique_key = NULL WHERE id = $1 AND lease = $2 AND state = 'running' RETURNING 1",
        job.id,
        job.lease,
        state,
        json.dumps(result),
        at,
    )
    return row is not None


async def seen(session: Session, uuid: str) -> Job | None:
    """Give a job of whichever organisation."""
    row = await session.one(f"SELECT {_JOB} FROM job WHERE uuid = $1", uuid)
    return _job(row) if row else None


async def job_of(session: Session, entity_id: int, uuid: str) -> Job | None:
    """Give an organisation's job."""
    row = await session.one(
        f"SELECT {_JOB} FROM job WHERE uuid = $1 AND entity_id = $2", uuid, entity_id
    )
    return _job(row) if row else None


async def forget(session: Session, before: int, most: int = 500) -> None:
    """Delete jobs that ended before a time, some at a time."""
    await session.run(
        "DELETE FROM job WHERE id IN (SELECT id FROM job WHERE finished_at < $1 LIMIT $2)",
        before,
        most,
    )
