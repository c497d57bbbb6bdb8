"""Imports: members, groups and who is in them, out of a file (product.md, section 4).

A file is taken in as it comes, then a job does its rows, some of them to a work. Each row is done
by the same function as the same act by a call, so a rule holds here as it does there; a row that
is refused is taken back alone and reported. A dry run does all of that and takes everything back.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, Final, TypeVar

from onrecord.domain import import_files, jobs, sessions
from onrecord.domain.import_files import FileKind, Row
from onrecord.domain.import_rows import CREATED, EXISTS, REFUSED, Doing, Result
from onrecord.model import sheets, text, times
from onrecord.model.access import (
    INSTALLATION_ID,
    SYSTEM_ADMIN,
    USER_ADMIN,
    AccountRef,
    Actor,
    Judged,
    KeyRef,
    Kind,
    Origin,
)
from onrecord.model.errors import Refusal, missing
from onrecord.model.people import Member
from onrecord.store import access, people, record
from onrecord.store import imports as rows
from onrecord.store.db import Caller, Session
from onrecord.store.imports import Import
from onrecord.store.jobs import Job
from onrecord.store.work import Work

JOB: Final = "import"
"""The kind of the job."""
SLICE: Final = 50
"""Rows done in one work. Each may be some entries, and on SQLite a work keeps others waiting."""
TAKEN_IN: Final = 20
"""Slices of a file written down in one work."""
REPORT_PAGE: Final = 20
"""Slices reported in one go."""
SOME: Final = 200
"""Slices of an old import forgotten in one go."""
KEPT: Final = 30 * 86_400 * times.SECOND
"""How long a report can be read."""
ORPHANED: Final = 86_400 * times.SECOND
"""After which time a file that was never taken in to its end is forgotten."""

T = TypeVar("T")
Write = Callable[[Callable[[Work], Awaitable[T]]], Awaitable[T]]
"""Runs a work of its own as whoever imports."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an import is to be done."""

    dry_run: bool = False
    ignore_existing_identifiers: bool = False
    send_invitations: bool = True


WAITING: Final = "waiting"
"""In a report: the row has not been done yet, and if the job has failed never will be."""
COUNTED: Final = {CREATED: "created", EXISTS: "existing", REFUSED: "refused"}
"""Under which name each outcome is counted in the job's result."""


# -- taking a file in ----------------------------------------------------------------------------


async def take_in(
    write: Write[Any], kind: FileKind, file: IO[bytes], options: Options
) -> tuple[int, int]:
    """Write a file's rows down, in works of their own; give the import's id and how many rows.

    RB003, RB016: what the file has no right to be (`import_files.read`).
    """
    sheet = import_files.read(kind, file)

    async def add(work: Work) -> int:
        facts = {**asdict(options), "unknown": sheet.unknown, **_who(work)}
        return await rows.add_import(work.db, work.actor.entity_id, kind.name, facts, times.now())

    import_id: int = await write(add)
    total = number = 0
    slices = _batches(sheet.rows, SLICE)
    while several := list(itertools.islice(slices, TAKEN_IN)):

        async def keep(work: Work, first: int = number, several: Any = several) -> None:
            for place, lines in enumerate(several, first):
                await rows.add_slice(work.db, import_id, place, lines)

        await write(keep)
        number += len(several)
        total += sum(map(len, several))
    return import_id, total


def _batches(found: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(found, size)):
        yield batch


def _who(work: Work) -> dict[str, Any]:
    """Give who imports and from where, for the works to come."""
    actor = work.actor
    return {
        "actor": {
            "kind": actor.kind.value,
            "entity_uuid": actor.entity_uuid,
            "member_uuid": actor.member.uuid if actor.member else None,
            "key_uuid": actor.key.uuid if actor.key else None,
            "account": asdict(actor.account) if actor.account else None,
        },
        "origin": asdict(work.origin),
    }


async def begin(work: Work, import_id: int, kind: FileKind, options: Options, total: int) -> str:
    """Put the job of an import in line and, unless it is a dry run, on record; give its uuid."""
    job_uuid = await jobs.enqueue(work, JOB, {})
    await rows.begin(work.db, import_id, job_uuid, total)
    if not options.dry_run:
        work.record(
            "import.started",
            data={
                "job_uuid": job_uuid,
                "kind": kind.name,
                "rows": total,
                "ignore_existing_identifiers": options.ignore_existing_identifiers,
                "send_invitations": options.send_invitations,
            },
        )
    return job_uuid


# -- doing it ------------------------------------------------------------------------------------


async def of_job(session: Session, job: Job) -> Import:
    """Give the import that a job does (RN008 when it is gone)."""
    found = await rows.import_of(session, job.entity_id, job.uuid)
    if found is None:
        raise Refusal("RN008", "What was to be imported is gone")
    return found


def caller_of(this: Import, wake: Callable[[], None] | None = None) -> Caller:
    """Give whoever asked for an import, to be judged again for every slice of it."""
    origin = Origin(**this.facts["origin"])

    async def judge(session: Session) -> Actor:
        return await _judged_again(session, this)

    return Caller(None, origin, judge, wake)


async def _judged_again(session: Session, this: Import) -> Actor:
    """Reach the verdict on whoever imports anew: a key may have stopped meanwhile.

    The access positions are read first: facts that are newer only make the verdict look old.
    """
    known = this.facts["actor"]
    kind = Kind(known["kind"])
    _, _, here = await record.head_of(session, this.entity_id)
    _, _, there = await record.head_of(session, INSTALLATION_ID)
    entity = await access.entity_by_id(session, this.entity_id)
    if entity is None or (entity.state == "inactive" and kind is not Kind.OPERATOR):
        raise Refusal("RN900")
    if entity.state == "frozen" and kind is not Kind.OPERATOR:
        raise Refusal("RN902")
    actor = Actor(kind, entity.id, entity.uuid, judged=Judged(here, there))
    if known["member_uuid"] is not None:
        actor = replace(actor, member=(await _administrator(session, this)).ref)
    if known["key_uuid"] is not None:
        actor = replace(actor, key=await _key(session, known["key_uuid"]))
    if known["account"] is not None:
        actor = replace(actor, account=AccountRef(**known["account"]))
        await sessions.check_lives(session, known["account"]["session_id"])
    return actor


async def _administrator(session: Session, this: Import) -> Member:
    member = await people.member_of(session, this.entity_id, this.facts["actor"]["member_uuid"])
    if member is None or member.state != "active":
        raise Refusal("RF024")
    if member.profile not in {SYSTEM_ADMIN, USER_ADMIN}:
        raise Refusal("RF006")
    return member


async def _key(session: Session, uuid: str) -> KeyRef:
    key = await access.key_of_uuid(session, uuid)
    if key is None or key.state != "active":
        raise Refusal("RU002")
    if key.expires_at is not None and key.expires_at <= times.now():
        raise Refusal("RU002", "The key has expired")
    if "can_write_admin" not in key.permissions:
        raise Refusal("RF734")
    return KeyRef(key.id, key.uuid, key.name, frozenset(key.permissions))


class _Rehearsed(Exception):  # noqa: N818 - not an error: it takes a dry run back
    """A slice of a dry run was done, and must not stay."""

    def __init__(self, results: list[Result], keys: list[tuple[str, int]]) -> None:
        super().__init__()
        self.results = results
        self.keys = keys


async def carry_out(write: Write[Any], job: Job, this: Import) -> None:
    """Do what is left of an import, slice by slice, to the end of its job.

    Each slice is one work, together with how far it came: a process that dies leaves it done or
    not begun, and another one goes on. Raises Lost when another one already has.
    """
    done, counts = job.done, {**dict.fromkeys(COUNTED.values(), 0), **job.result}
    while True:
        done, counts = await _slice(write, job, this, done, counts)
        if done >= this.total:
            return


async def _slice(
    write: Write[Any], job: Job, this: Import, done: int, counts: Mapping[str, int]
) -> tuple[int, dict[str, int]]:
    """Do the next slice of an import; give how many rows are done and what became of them."""
    if not this.facts["dry_run"]:

        async def act(work: Work) -> Any:
            doing = Doing(work, this, done, SLICE)
            return await _note(work, job, this, done, counts, await doing.slice())

        outcome: tuple[int, dict[str, int]] = await write(act)
        return outcome

    async def rehearse(work: Work) -> None:
        doing = Doing(work, this, done, SLICE)
        results = await doing.rehearsed()
        raise _Rehearsed(results, doing.keys)

    try:
        await write(rehearse)
    except _Rehearsed as rehearsed:
        results, keys = rehearsed.results, rehearsed.keys

        async def note(work: Work) -> Any:
            await rows.add_keys(work.db, this.id, keys)
            return await _note(work, job, this, done, counts, results)

        noted: tuple[int, dict[str, int]] = await write(note)
        return noted
    raise AssertionError  # a rehearsal never ends well


async def _note(
    work: Work,
    job: Job,
    this: Import,
    done: int,
    counts: Mapping[str, int],
    results: Sequence[Result],
) -> tuple[int, dict[str, int]]:
    """Write down what became of a slice; after the last one end the job."""
    dry_run = this.facts["dry_run"]
    counts = dict(counts)
    for result in results:
        counts[COUNTED[result.outcome]] += 1
    await rows.keep_results(work.db, this.id, done // SLICE, results, forget=not dry_run)
    done += len(results)
    if done < this.total:
        await jobs.progress(work, job, done, this.total, counts)
        return done, counts
    await rows.done_with(work.db, this.id)
    await jobs.progress(work, job, done, this.total, counts)
    await jobs.finish(work, job, counts)
    if not dry_run:
        work.record("import.ended", data={"job_uuid": job.uuid, "kind": this.kind, **counts})
    return done, counts


# -- reporting -----------------------------------------------------------------------------------

REPORT: Final = (
    "line",
    "outcome",
    "error_code",
    "detail",
    "entity_user_xref_uuid",
    "group_uuid",
    "identifier",
)
"""The columns of a report."""


async def find(work: Work, job_uuid: str | None) -> Import:
    """Give an import by its job: RB002 none named, RB003 no UUID, RN008 no such import."""
    if not job_uuid:
        raise missing("job_uuid")
    found = await rows.import_of(
        work.db, work.actor.entity_id, text.check_uuid("job_uuid", job_uuid)
    )
    if found is None:
        raise Refusal("RN008")
    return found


def report_begins(this: Import) -> bytes:
    """Give the head of a report, and a line about columns that meant nothing."""
    unknown = this.facts["unknown"]
    begun = sheets.header(REPORT)
    if not unknown:
        return begun
    detail = f"These columns are not known and were passed over: {', '.join(unknown)}"
    return begun + sheets.lines([(1, "note", None, detail, None, None, None)])


async def report_page(work: Work, this: Import, after: int) -> tuple[bytes, int | None]:
    """Give the lines of the slices after a number, and the last number; None when it was all."""
    found = await rows.slices_after(work.db, this.id, after, REPORT_PAGE)
    lines: list[Sequence[Any]] = []
    for _, waiting, results in found:
        if results is None:
            lines += [Result(line, WAITING) for line, *_ in waiting]
        else:
            lines += results
    following = found[-1][0] if len(found) == REPORT_PAGE else None
    return sheets.lines(lines), following


async def forget_old(work: Work) -> bool:
    """Forget what has been kept long enough, some at a time; whether there may be more."""
    now = times.now()
    found = await rows.forgotten(work.db, now - KEPT, now - ORPHANED)
    if found:
        await rows.forget_some(work.db, found[0], SOME)
    return bool(found)
