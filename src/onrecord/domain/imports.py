"""Imports: members, groups and who is in them, out of a file (product.md, section 4).

A file is taken in as it comes, then a job does its rows, some of them to a work. Each row is done
by the same function as the same act by a call, so a rule holds here as it does there; a row that
is refused is taken back alone and reported. A dry run does all of that and takes everything back.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any, Final, NamedTuple, TypeVar

from onrecord.domain import groups, import_files, jobs, members, newcomers
from onrecord.domain.import_files import FileKind, Row
from onrecord.domain.newcomers import Known, Newcomer
from onrecord.model import sheets, text, times
from onrecord.model.access import (
    CLIENT,
    INSTALLATION_ID,
    PROFILES,
    STAFF,
    SYSTEM_ADMIN,
    USER_ADMIN,
    AccountRef,
    Actor,
    Judged,
    KeyRef,
    Kind,
    Origin,
)
from onrecord.model.errors import Refusal, malformed, missing
from onrecord.model.people import Group, Member
from onrecord.store import access, people, record
from onrecord.store import groups as group_rows
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
MANY: Final = 1000
"""So many rows are worth a wait of their invitations, of `MANY_TAKE` for each time so many."""
MANY_TAKE: Final = 2 * times.SECOND
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


class Result(NamedTuple):
    """What became of a row."""

    line: int
    outcome: str
    """`created`, `exists` or `refused`."""
    error_code: str | None = None
    detail: str | None = None
    member_uuid: str | None = None
    group_uuid: str | None = None
    identifier: str | None = None
    """As the row gives it."""


CREATED: Final = "created"
EXISTS: Final = "exists"
REFUSED: Final = "refused"
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
            doing = _Doing(work, this, done)
            return await _note(work, job, this, done, counts, await doing.slice())

        outcome: tuple[int, dict[str, int]] = await write(act)
        return outcome

    async def rehearse(work: Work) -> None:
        doing = _Doing(work, this, done)
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


@dataclass(slots=True)
class _Doing:
    """A slice on its way."""

    work: Work
    this: Import
    first: int
    """The number of its first row in the file, from 0."""
    keys: list[tuple[str, int]] = field(default_factory=list)
    """What its rows have made, for the later slices of a dry run."""
    made: set[str | None] = field(default_factory=set)
    """Members and groups that a dry run has made and will take back."""

    async def slice(self) -> list[Result]:
        """Do the rows, each for itself."""
        found = await rows.slice_of(self.work.db, self.this.id, self.first // SLICE)
        return await self._do([Row(*row) for row in found], self.first)

    async def _do(self, several: Sequence[Row], first: int) -> list[Result]:
        """Do rows of which `first` is the first one's number."""
        if self.this.kind in {"staff", "clients"}:
            return await self._people(several, first)
        return [await self._row(row, number) for number, row in enumerate(several, first)]

    async def rehearsed(self) -> list[Result]:
        """Do the rows as they would be done if those before them in the file had been.

        Of these only the ones that matter are done again: that have the same identifier or email,
        put the same member into the same group, or staff into a group that needs some.
        """
        db = self.work.db
        found = await rows.slice_of(db, self.this.id, self.first // SLICE)
        needed = [key for row in found for key in await self._needs(Row(*row))]
        earlier: list[Any] = []
        for number in await rows.rows_with(db, self.this.id, needed):
            if number < self.first:
                lines = await rows.slice_of(db, self.this.id, number // SLICE)
                earlier.append(lines[number % SLICE])
        await self._do([Row(*row) for row in earlier], 0)
        self.keys.clear()
        return await self.slice()

    async def _row(self, row: Row, number: int) -> Result:
        """Do one row; what it has changed before it was refused is taken back."""
        work = self.work
        noted, finishing = len(work.pending), len(work.on_settled)
        await rows.attempt(work.db)
        try:
            _check_cells(row)
            result, keys = await _ACTS[self.this.kind](self, row)
        except Refusal as refusal:
            await rows.take_back(work.db)
            del work.pending[noted:], work.on_settled[finishing:]
            return _refused(row, refusal)
        await rows.succeed(work.db)
        return self._noted(result, keys, number)

    def _noted(self, result: Result, keys: Sequence[str], number: int) -> Result:
        """Note for a dry run what a row has made, and give the result as it is reported."""
        if self.this.facts["dry_run"]:
            self.keys += [(key, number) for key in dict.fromkeys(keys)]
            return self._without_made(result)
        return result

    def _without_made(self, result: Result) -> Result:
        """Leave out the ids of what will be taken back."""
        if result.outcome == CREATED and self.this.kind != "group_members":
            self.made |= {result.member_uuid, result.group_uuid}
        return result._replace(
            member_uuid=None if result.member_uuid in self.made else result.member_uuid,
            group_uuid=None if result.group_uuid in self.made else result.group_uuid,
        )

    async def _needs(self, row: Row) -> list[str]:
        """Give the keys of what earlier rows may have made that matters to this one."""
        if self.this.kind != "group_members":
            return _own_keys(row)
        try:
            group = await self._group_of(row)
            member = await self._member_of(row)
        except Refusal:
            return []
        return [
            f"pair {group.uuid} {member.uuid}",
            f"active {group.uuid}",
            f"staff {member.uuid}",
        ]

    # -- members -----------------------------------------------------------------------------

    async def _people(self, several: Sequence[Row], first: int) -> list[Result]:
        """Make members: first all rows are checked, then those that passed are written together.

        What has passed is not refused any more, so no row has to be taken back.
        """
        known = Known(self.work)
        await known.look_up(
            [row.cells.get("identifier", "") for row in several],
            [row.cells.get("primary_email", "") for row in several],
        )
        results: list[Result] = []
        coming: list[Newcomer] = []
        for number, row in enumerate(several, first):
            try:
                result, newcomer = await self._person(row, known)
            except Refusal as refusal:
                results.append(_refused(row, refusal))
                continue
            if newcomer is not None:
                coming.append(newcomer)
            keys = [] if newcomer is None else _own_keys(row)
            results.append(self._noted(result, keys, number))
        made = await newcomers.bring_in(self.work, coming)
        await newcomers.invite(self.work, coming, made, mails_due=self._mails_due())
        return results

    def _mails_due(self) -> int:
        """Give when invitations go out: once the rows that wait will probably be done.

        Thousands of mails beside an import would make it several times as long.
        """
        waiting = self.this.total - self.first
        return times.now() + waiting // MANY * MANY_TAKE

    async def _person(self, row: Row, known: Known) -> tuple[Result, Newcomer | None]:
        """Check the member a row asks for; none is to be made where it is there already."""
        _check_cells(row)
        cells, facts = row.cells, self.this.facts
        identifier = cells.get("identifier") or None
        if identifier and facts["ignore_existing_identifiers"]:
            present = await known.member_identified(identifier)
            if present is not None:
                return _result(row, EXISTS, present), None
        newcomer = await members.check(
            self.work,
            members.NewMember(
                enum_profile_id=_role(self.this.kind, cells.get("profile", "")),
                first_name=cells.get("first_name", ""),
                last_name=cells.get("last_name", ""),
                job_title=cells.get("job_title", ""),
                identifier=identifier,
                primary_email=cells.get("primary_email", ""),
                primary_phone_number=cells.get("primary_phone_number") or None,
                group_uuids=await _group_uuids(cells, known),
                send_invitation=facts["send_invitations"],
            ),
            known,
        )
        return _result(row, CREATED, newcomer.uuid), newcomer

    # -- groups ------------------------------------------------------------------------------

    async def group(self, row: Row) -> tuple[Result, list[str]]:
        """Make a group, with the staff named in it."""
        cells = row.cells
        identifier = cells.get("identifier") or None
        if identifier and self.this.facts["ignore_existing_identifiers"]:
            known = await group_rows.group_identified(
                self.work.db, self.work.actor.entity_id, identifier
            )
            if known is not None:
                return _result(row, EXISTS, group=known.uuid), []
        uuids = _several(cells.get("staff_uuids", ""))
        identifiers = _several(cells.get("staff_identifiers", ""))
        for email in _several(cells.get("staff_emails", "")):
            uuids.append((await self._with_email(email)).uuid)
        made = await groups.create(
            self.work,
            name=cells.get("name", ""),
            identifier=identifier,
            description=cells.get("description", ""),
            uuids=uuids or None,
            identifiers=identifiers or None,
        )
        return _result(row, CREATED, group=made.uuid), _own_keys(row)

    async def _with_email(self, email: str) -> Member:
        found = await people.member_with_email(
            self.work.db, self.work.actor.entity_id, text.email_key(email)
        )
        if found is None:
            raise Refusal("RN006", "There is no member with one of the emails")
        return found

    # -- who is in them ----------------------------------------------------------------------

    async def group_member(self, row: Row) -> tuple[Result, list[str]]:
        """Put a member into a group."""
        group = await self._group_of(row)
        member = await self._member_of(row)
        if await group_rows.members_among(self.work.db, group.id, [member.id]):
            return _result(row, EXISTS, member.uuid, group.uuid), []
        await groups.add_members(self.work, group, [member.uuid], None)
        keys = [f"pair {group.uuid} {member.uuid}"]
        if member.is_staff:
            keys.append(f"staff {member.uuid}")
            if member.state == "active":
                keys.append(f"active {group.uuid}")
        return _result(row, CREATED, member.uuid, group.uuid), keys

    async def _group_of(self, row: Row) -> Group:
        cells = row.cells
        return await groups.pick(
            self.work, cells.get("group_uuid") or None, cells.get("group_identifier") or None
        )

    async def _member_of(self, row: Row) -> Member:
        cells = row.cells
        uuid, identifier = cells.get("member_uuid") or None, cells.get("identifier") or None
        if uuid or identifier:
            return await members.pick(self.work, uuid, identifier)
        email = cells.get("primary_email")
        if not email:
            raise Refusal("RB785")
        return await self._with_email(email)


_ACTS: Final[Mapping[str, Callable[[_Doing, Row], Awaitable[tuple[Result, list[str]]]]]] = {
    "groups": _Doing.group,
    "group_members": _Doing.group_member,
}


def _check_cells(row: Row) -> None:
    if row.has_more:
        raise malformed("row", "has more cells than the header has columns")


async def _group_uuids(cells: Mapping[str, str], known: Known) -> list[str]:
    found = _several(cells.get("group_uuids", ""))
    for identifier in _several(cells.get("group_identifiers", "")):
        group = await known.group_identified(identifier)
        if group is None:
            raise Refusal("RN002", f"There is no group with the identifier {identifier[:60]}")
        found.append(group.uuid)
    return found


def _several(cell: str) -> list[str]:
    """Give what stands in a cell that may hold several things, separated by semicolons."""
    return [part for each in cell.split(";") if (part := each.strip())]


def _own_keys(row: Row) -> list[str]:
    """Give the keys of what a row makes that may exist once."""
    identifier, email = row.cells.get("identifier"), row.cells.get("primary_email")
    keys = [f"identifier {identifier}"] if identifier else []
    return [*keys, f"email {text.email_key(email)}"] if email else keys


def _role(kind: str, cell: str) -> int:
    """Give the role a cell names by number or name, the usual one of the kind when it is empty."""
    if not cell:
        return STAFF if kind == "staff" else CLIENT
    name = cell.lower().replace(" ", "_")
    number = next(
        (
            number
            for number, row in PROFILES.items()
            if name in {str(number), row.name, row.title.lower().replace(" ", "_")}
        ),
        None,
    )
    if number is None:
        raise malformed("profile", "is no role")
    if PROFILES[number].side != ("staff" if kind == "staff" else "client"):
        raise malformed("profile", f"is no role for a file of {kind}")
    return number


def _result(row: Row, outcome: str, member: str | None = None, group: str | None = None) -> Result:
    return Result(
        row.line,
        outcome,
        member_uuid=member,
        group_uuid=group,
        identifier=row.cells.get("identifier") or None,
    )


def _refused(row: Row, refusal: Refusal) -> Result:
    return _result(row, REFUSED)._replace(error_code=refusal.code, detail=refusal.detail)


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
