"""Importing a file from the command line: take it in, then do its job at once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import import_files, imports, jobs
from onrecord.jobs import worker
from onrecord.store.jobs import Job
from onrecord.store.work import Work


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be imported where, and where to report it."""

    entity_uuid: str
    kind: str
    options: imports.Options
    report: Path | None


async def run(app: App, file: Path, wanted: Wanted, tell: Callable[[Job], None]) -> dict[str, Any]:
    """Import a file as the operator; give what became of it. `tell` hears how far it is.

    RB003, RB016, RN007: as the call. A process that dies leaves a job that another one goes on
    with.
    """

    async def write(act: Callable[[Work], Awaitable[Any]]) -> Any:
        return await composition.acting(app, wanted.entity_uuid, act)

    kind = import_files.kind_of(wanted.kind)
    with file.open("rb") as opened:
        import_id, total = await imports.take_in(write, kind, opened, wanted.options)
    job_uuid = await write(lambda work: imports.begin(work, import_id, kind, wanted.options, total))
    await worker.run_one(app, job_uuid, tell)
    if wanted.report is not None:
        wanted.report.write_bytes(await _report(write, job_uuid))
    ended = await write(lambda work: jobs.view(work, job_uuid))
    return {"job_uuid": job_uuid, "state": ended.state, "rows": total, **(ended.result or {})}


async def _report(write: imports.Write[Any], job_uuid: str) -> bytes:
    """Give the report, which is no larger than the file was."""
    this = await write(lambda work: imports.find(work, job_uuid))
    pieces, after = [imports.report_begins(this)], -1

    async def page(work: Work) -> tuple[bytes, int | None]:
        return await imports.report_page(work, this, after)

    while True:
        lines, following = await write(page)
        pieces.append(lines)
        if following is None:
            return b"".join(pieces)
        after = following
