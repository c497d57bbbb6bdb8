"""Rows about imports of files: `/entity-service/sys-api/imports`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

import msgspec

from onrecord.domain import import_files, imports
from onrecord.store.imports import Import
from onrecord.store.work import Work
from onrecord.web import idempotency
from onrecord.web.call import Call
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes

BASE: Final = "/entity-service/sys-api"
CSV: Final = "text/csv; charset=utf-8"


class CreateImport(Takes):
    """What kind of file it is, and how it is to be done; the file is the part `file`."""

    kind: str
    dry_run: bool = False
    ignore_existing_identifiers: bool = False
    send_invitations: bool = True


class ImportBegun(msgspec.Struct):
    """The job that does the rows of the file."""

    job_uuid: str


async def create_import(call: Call, taken: CreateImport) -> Answer:
    """Take a file in and put its job in line."""
    kind = import_files.kind_of(taken.kind)
    options = imports.Options(
        taken.dry_run, taken.ignore_existing_identifiers, taken.send_invitations
    )

    async def write(run: Callable[[Work], Awaitable[Any]]) -> Any:
        return await call.app.store.write(call.caller, run)

    stored: Answer | None = await write(
        lambda work: idempotency.stored_answer(work, call, work.actor)
    )
    if stored is not None:
        return replace(stored, status=call.endpoint.status)
    import_id, total = await imports.take_in(write, kind, call.files["file"].file, options)

    async def begin(work: Work) -> ImportBegun:
        return ImportBegun(await imports.begin(work, import_id, kind, options, total))

    answer = await idempotency.written(call, begin)
    return replace(answer, status=call.endpoint.status)


class GetTemplate(Takes):
    """For which kind of file."""

    kind: str


async def get_template(call: Call, taken: GetTemplate) -> Answer:
    """Give an empty file with the header of its kind."""

    async def read(_: Work) -> bytes:  # in a work, so that the verdict is a fresh one
        return import_files.template(import_files.kind_of(taken.kind))

    empty = await call.app.store.read(call.caller, read)
    return Answer(empty, CSV, headers=_saved_as(f"{taken.kind}.csv"))


class GetReport(Takes):
    """Of which import, by its job."""

    job_uuid: str


async def get_report(call: Call, taken: GetReport) -> Answer:
    """Tell what became of every row, as a table."""
    this = await call.app.store.read(call.caller, lambda work: imports.find(work, taken.job_uuid))
    call.limits.check_streams(call.who)
    place = call.limits.streaming(call.who)
    name = f"import-{taken.job_uuid.lower()}.csv"
    return Answer(b"", CSV, headers=_saved_as(name), stream=_report(call, place, this))


async def _report(
    call: Call, place: AbstractContextManager[None], this: Import
) -> AsyncGenerator[bytes]:
    with place:
        yield imports.report_begins(this)
        after: int | None = -1
        while after is not None:
            await asyncio.sleep(0)  # reading on SQLite never waits

            async def page(work: Work, after: int = after) -> tuple[bytes, int | None]:
                return await imports.report_page(work, this, after)

            lines, after = await call.app.store.read(call.caller, page)
            yield lines


def _saved_as(name: str) -> tuple[tuple[str, str]]:
    return (("Content-Disposition", f'attachment; filename="{name}"'),)


_OF_IMPORTS: Final[dict[str, Any]] = {
    "kinds": SYSTEM_KEYS,
    "mode": "script",
    "tags": ("Imports",),
}

ROWS: Final = (
    Endpoint(
        method="POST",
        path=f"{BASE}/imports/create",
        summary="Import members, groups or who is in them from a CSV file",
        permissions=("can_write_admin",),
        takes=CreateImport,
        gives=ImportBegun,
        status=202,
        consumes="multipart/form-data",
        files=("file",),
        file_limit=import_files.FILE_LIMIT,
        writes=("import.started",),
        handler=create_import,
        **_OF_IMPORTS,
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/imports/template",
        summary="Get an empty file to fill in",
        permissions=("can_read_admin",),
        takes=GetTemplate,
        produces=CSV,
        handler=get_template,
        **_OF_IMPORTS,
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/imports/report",
        summary="Read what became of every row of an import",
        permissions=("can_read_admin",),
        takes=GetReport,
        produces=CSV,
        refusals=("RN008", "RU029"),
        handler=get_report,
        **_OF_IMPORTS,
    ),
)
