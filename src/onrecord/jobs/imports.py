"""Doing what a file asks for, slice by slice."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from onrecord.app import App
from onrecord.domain import imports
from onrecord.store.jobs import Job
from onrecord.store.work import Work


async def carry_out(app: App, job: Job) -> None:
    """Import what is left of a file, as whoever asked for it."""
    this = await app.store.ask(lambda session: imports.of_job(session, job))
    caller = imports.caller_of(this, app.wake)

    async def write(run: Callable[[Work], Awaitable[Any]]) -> Any:
        done = await app.store.write(caller, run)
        app.bell.ring(this.entity_id)
        return done

    await imports.carry_out(write, job, this)


async def forget_old(app: App) -> None:
    """Forget the reports of imports that ended long ago."""
    while await app.as_service(imports.forget_old):
        pass


HANDLERS: Final = {imports.JOB: carry_out}
