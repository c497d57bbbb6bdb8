"""The row of jobs: how far one has come."""

from typing import Final

import msgspec

from onrecord.domain import jobs
from onrecord.domain.jobs import JobView
from onrecord.store.work import Work
from onrecord.web.endpoint import SYSTEM_KEYS, Endpoint, Takes


class GetJob(Takes):
    """Which job."""

    job_uuid: str


class OneJob(msgspec.Struct):
    """One job."""

    job: JobView


async def get_job(work: Work, taken: GetJob) -> OneJob:
    """Say how far a job has come, and what came of it."""
    return OneJob(await jobs.view(work, taken.job_uuid))


ROWS: Final = (
    Endpoint(
        method="GET",
        path="/entity-service/sys-api/jobs",
        summary="Read how far a job has come",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        takes=GetJob,
        gives=OneJob,
        refusals=("RN008",),
        handler=get_job,
        mode="read",
        tags=("Jobs",),
    ),
)
