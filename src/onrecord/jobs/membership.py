"""Ending memberships that a call began to end and did not bring to their end."""

from functools import partial
from typing import Final

from onrecord.app import App
from onrecord.domain import membership
from onrecord.store.jobs import Job


async def end(app: App, job: Job) -> None:
    """Let a member leave what is left, some at a time, as OnRecord itself."""
    actor = await app.service_in(job.entity_id)
    more = True
    while more:
        more = await app.as_service(partial(membership.go_on, job=job), actor)
        app.bell.ring(job.entity_id)


HANDLERS: Final = {membership.END: end}
