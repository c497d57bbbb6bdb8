"""Passwords that were forgotten: who asked was answered before anybody looked for the account."""

from typing import Final

from onrecord.app import App
from onrecord.domain import challenges, jobs
from onrecord.store.jobs import Job
from onrecord.store.work import Work


async def mail_reset_link(app: App, job: Job) -> None:
    """Mail a link that sets the password anew, if there is such an account."""

    async def act(work: Work) -> None:
        await challenges.send_reset(work, job.payload["username"])
        await jobs.finish(work, job)

    await app.as_service(act)


HANDLERS: Final = {challenges.FORGOTTEN: mail_reset_link}
