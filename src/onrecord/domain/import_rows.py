"""The rows of a file that is imported: what each asks for, and how a slice of them is done.

Each row is checked by the function that checks the same act by a call, so a rule holds here as it
does there; a refusal is the row's result. What has passed is written for all rows of a slice
together and is not refused any more, so nothing has to be taken back.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from onrecord.domain import groups, members, newcomers
from onrecord.domain.groups import NewGroup
from onrecord.domain.import_files import Row
from onrecord.domain.newcomers import Known, Newcomer
from onrecord.domain.places import Places
from onrecord.model import text, times
from onrecord.model.access import CLIENT, PROFILES, STAFF
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Group, Member
from onrecord.store import imports as rows
from onrecord.store.imports import Import
from onrecord.store.work import Work

MANY: Final = 1000
"""So many rows are worth a wait of their invitations, of `MANY_TAKE` for each time so many."""
MANY_TAKE: Final = 2 * times.SECOND


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


@dataclass(slots=True)
class Doing:
    """A slice on its way."""

    work: Work
    this: Import
    first: int
    """The number of its first row in the file, from 0."""
    size: int
    """Rows in a slice."""
    keys: list[tuple[str, int]] = field(default_factory=list)
    """What its rows have made, for the later slices of a dry run."""
    made: set[str | None] = field(default_factory=set)
    """Members and groups that a dry run has made and will take back."""

    async def slice(self) -> list[Result]:
        """Do the rows, each for itself."""
        return await self._do(await self._rows(), self.first)

    async def _rows(self) -> list[Row]:
        (found,) = (await self._slices([self.first])).values()
        return found

    async def _slices(self, row_numbers: Sequence[int]) -> dict[int, list[Row]]:
        """Give the slices in which rows are, by number."""
        numbers = sorted({number // self.size for number in row_numbers})
        found = await rows.slices_of(self.work.db, self.this.id, numbers)
        return {number: [Row(*row) for row in lines] for number, lines in found.items()}

    async def _do(self, several: Sequence[Row], first: int) -> list[Result]:
        """Do rows of which `first` is the first one's number."""
        if self.this.kind in {"staff", "clients"}:
            return await self._people(several, first)
        if self.this.kind == "groups":
            return await self._groups(several, first)
        return await self._joining(several, first)

    async def rehearsed(self) -> list[Result]:
        """Do the rows as they would be done if those before them in the file had been.

        Of these only the ones that matter are done again: that have the same identifier or email,
        put the same member into the same group, or staff into a group that needs some.
        """
        needed = await self._needs(await self._rows())
        found = await rows.rows_with(self.work.db, self.this.id, needed)
        numbers = [number for number in found if number < self.first]
        slices = await self._slices(numbers)
        earlier = [slices[number // self.size][number % self.size] for number in numbers]
        await self._do(earlier, 0)
        self.keys.clear()
        return await self.slice()

    async def _needs(self, several: Sequence[Row]) -> list[str]:
        """Give the keys of what earlier rows may have made that matters to these."""
        if self.this.kind != "group_members":
            return [key for row in several for key in _own_keys(row)]
        known = await self._named(several)
        needed = []
        for row in several:
            try:
                group, member = await _group_of(known, row), await _member_of(known, row)
            except Refusal:
                continue
            needed += [
                f"pair {group.uuid} {member.uuid}",
                f"active {group.uuid}",
                f"staff {member.uuid}",
            ]
        return needed

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

    # -- members -----------------------------------------------------------------------------

    async def _people(self, several: Sequence[Row], first: int) -> list[Result]:
        """Make members."""
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

    async def _groups(self, several: Sequence[Row], first: int) -> list[Result]:
        """Make groups, with the staff named in them."""
        known = Places(self.work)
        await known.prepare(
            group_identifiers=_all(several, "identifier"),
            member_uuids=_all(several, "staff_uuids"),
            identifiers=_all(several, "staff_identifiers"),
            emails=_all(several, "staff_emails"),
        )
        results: list[Result] = []
        coming: list[NewGroup] = []
        for number, row in enumerate(several, first):
            try:
                result, new = await self._group(row, known)
            except Refusal as refusal:
                results.append(_refused(row, refusal))
                continue
            if new is not None:
                coming.append(new)
            keys = [] if new is None else _own_keys(row)
            results.append(self._noted(result, keys, number))
        await groups.add_groups(self.work, coming)
        return results

    async def _group(self, row: Row, known: Places) -> tuple[Result, NewGroup | None]:
        """Check the group a row asks for; none is to be made where it is there already."""
        _check_cells(row)
        cells = row.cells
        identifier = cells.get("identifier") or None
        if identifier and self.this.facts["ignore_existing_identifiers"]:
            present = await known.group_identified(identifier)
            if present is not None:
                return _result(row, EXISTS, group=present.uuid), None
        uuids = _several(cells.get("staff_uuids", ""))
        identifiers = _several(cells.get("staff_identifiers", ""))
        for email in _several(cells.get("staff_emails", "")):
            uuids.append((await _with_email(known, "staff_emails", email)).uuid)
        new = await groups.check_new(
            known,
            name=cells.get("name", ""),
            identifier=identifier,
            description=cells.get("description", ""),
            uuids=uuids or None,
            identifiers=identifiers or None,
        )
        return _result(row, CREATED, group=new.group.uuid), new

    # -- who is in them ----------------------------------------------------------------------

    async def _joining(self, several: Sequence[Row], first: int) -> list[Result]:
        """Put members into groups."""
        known = await self._named(several)
        results: list[Result] = []
        coming: list[tuple[Group, list[Member]]] = []
        for number, row in enumerate(several, first):
            try:
                _check_cells(row)
                group, member = await _group_of(known, row), await _member_of(known, row)
                if await known.present(group, [member]):
                    results.append(_result(row, EXISTS, member.uuid, group.uuid))
                    continue
                newcomers = await groups.check_joining(known, group, [member])
            except Refusal as refusal:
                results.append(_refused(row, refusal))
                continue
            known.note_joined(group, newcomers)
            coming.append((group, newcomers))
            result = _result(row, CREATED, member.uuid, group.uuid)
            results.append(self._noted(result, _joining_keys(group, member), number))
        await groups.join(known, coming)
        return results

    async def _named(self, several: Sequence[Row]) -> Places:
        """Know of all groups and members that rows name, and what matters between them."""
        known = Places(self.work)
        await known.prepare(
            group_uuids=_all(several, "group_uuid"),
            group_identifiers=_all(several, "group_identifier"),
            member_uuids=_all(several, "member_uuid"),
            identifiers=_all(several, "identifier"),
            emails=_all(several, "primary_email"),
        )
        places = []
        for row in several:
            with suppress(Refusal):
                places.append((await _group_of(known, row), await _member_of(known, row)))
        await known.prepare_joining(places)
        return known


async def _group_of(known: Places, row: Row) -> Group:
    uuid, identifier = row.cells.get("group_uuid"), row.cells.get("group_identifier")
    return await groups.pick(known.work, uuid or None, identifier or None, known=known)


async def _member_of(known: Places, row: Row) -> Member:
    cells = row.cells
    uuid, identifier = cells.get("member_uuid") or None, cells.get("identifier") or None
    if uuid or identifier:
        return await members.pick(known.work, uuid, identifier, known)
    email = cells.get("primary_email")
    if not email:
        raise Refusal("RB785")
    return await _with_email(known, "primary_email", email)


async def _with_email(known: Places, name: str, email: str) -> Member:
    key = text.email_key(text.check_email(name, email))
    found = (await known.members_by_email([key]))[key]
    if found is None:
        raise Refusal("RN006", "There is no member with one of the emails")
    return found


def _joining_keys(group: Group, member: Member) -> list[str]:
    """Give the keys of what a row makes that puts a member into a group."""
    keys = [f"pair {group.uuid} {member.uuid}"]
    if member.is_staff:
        keys.append(f"staff {member.uuid}")
        if member.state == "active":
            keys.append(f"active {group.uuid}")
    return keys


def _all(several: Iterable[Row], column: str) -> list[str]:
    """Give what stands in a column, in cells that hold one thing or several."""
    return [one for row in several for one in _several(row.cells.get(column, ""))]


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
