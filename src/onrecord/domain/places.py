"""Places: what the tables say about groups and who is in them, each thing asked once.

Whoever acts for one member asks as it goes. Whoever acts for many names them all beforehand
(`prepare`), which takes as many statements as for one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from onrecord.model import text
from onrecord.model.errors import Refusal
from onrecord.model.people import Group, Member
from onrecord.store import groups as rows
from onrecord.store import people
from onrecord.store.work import Work

T = TypeVar("T")
K = TypeVar("K")


class Places:
    """What is known of groups and members; it holds for one work.

    What that work is going to change itself it hears by `note_group` and `note_joined`.
    """

    def __init__(self, work: Work) -> None:
        """Know nothing yet."""
        self.work = work
        self._entity_id = work.actor.entity_id
        self._told: dict[tuple[Any, ...], Any] = {}

    async def _once(self, *key: Any, ask: Callable[[], Awaitable[T]]) -> T:
        if key not in self._told:
            self._told[key] = await ask()
        known: T = self._told[key]
        return known

    async def _each(
        self,
        kind: str,
        keys: Iterable[K],
        ask: Callable[[list[K]], Awaitable[Mapping[K, Any]]],
    ) -> dict[K, Any]:
        """Give what is known by each of the keys, None where there is nothing."""
        keys = list(dict.fromkeys(keys))
        unknown = [key for key in keys if (kind, key) not in self._told]
        if unknown:
            found = await ask(unknown)
            self._told.update({(kind, key): found.get(key) for key in unknown})
        return {key: self._told[kind, key] for key in keys}

    # -- groups ------------------------------------------------------------------------------

    async def groups_of(self, uuids: Sequence[str]) -> list[Group]:
        """Give the organisation's groups of these UUIDs, as many as there are, by id."""

        async def ask(unknown: list[str]) -> dict[str, Group]:
            found = await rows.groups_of(self.work.db, self._entity_id, unknown)
            return {group.uuid: group for group in found}

        found = await self._each("group", uuids, ask)
        return sorted((group for group in found.values() if group), key=lambda group: group.id)

    async def groups_identified(self, identifiers: Sequence[str]) -> dict[str, Group | None]:
        """Give the organisation's groups by identifier; None where there is none."""

        async def ask(unknown: list[str]) -> dict[str, Group]:
            found = await rows.groups_identified(self.work.db, self._entity_id, unknown)
            self._told.update({("group", group.uuid): group for group in found})
            return {group.identifier or "": group for group in found}

        return await self._each("group identified", identifiers, ask)

    async def group_identified(self, identifier: str) -> Group | None:
        """Give the organisation's group of an identifier."""
        return (await self.groups_identified([identifier]))[identifier]

    def note_group(self, group: Group) -> None:
        """Note a group that will be made: its identifier is in use."""
        if group.identifier:
            self._told["group identified", group.identifier] = group

    # -- members -----------------------------------------------------------------------------

    async def members_of(self, uuids: Sequence[str]) -> list[Member]:
        """Give the organisation's members of these UUIDs, as many as there are."""

        async def ask(unknown: list[str]) -> dict[str, Member]:
            found = await people.members_of(self.work.db, self._entity_id, unknown)
            return {member.uuid: member for member in found}

        found = await self._each("member", uuids, ask)
        return [member for member in found.values() if member]

    async def members_identified(self, identifiers: Sequence[str]) -> list[Member]:
        """Give the organisation's members of these identifiers, as many as there are."""

        async def ask(unknown: list[str]) -> dict[str, Member]:
            found = await people.members_identified(self.work.db, self._entity_id, unknown)
            return {member.identifier or "": member for member in found}

        found = await self._each("member identified", identifiers, ask)
        return [member for member in found.values() if member]

    async def members_by_email(self, keys: Sequence[str]) -> dict[str, Member | None]:
        """Give the organisation's members by email, in the form in which emails are compared."""

        async def ask(unknown: list[str]) -> dict[str, Member]:
            db = self.work.db
            uuids = await people.uuids_by(db, self._entity_id, "email_key", unknown)
            found = {one.uuid: one for one in await self.members_of([*uuids.values()])}
            return {key: found[uuid] for key, uuid in uuids.items()}

        return await self._each("member by email", keys, ask)

    async def prepare(
        self,
        *,
        group_uuids: Iterable[str] = (),
        group_identifiers: Iterable[str] = (),
        member_uuids: Iterable[str] = (),
        identifiers: Iterable[str] = (),
        emails: Iterable[str] = (),
    ) -> None:
        """Ask in one go for whatever will be named; what can be none of it is passed over."""
        await self.groups_of(passing(_uuid, group_uuids))
        await self.groups_identified(passing(_identifier, group_identifiers))
        await self.members_of(passing(_uuid, member_uuids))
        await self.members_identified(passing(_identifier, identifiers))
        await self.members_by_email(passing(_email_key, emails))

    # -- who is in which group ---------------------------------------------------------------

    async def prepare_joining(self, places: Sequence[tuple[Group, Member]]) -> None:
        """Ask in one go what matters where these members come into these groups."""
        groups = list({group.id: group for group, _ in places}.values())
        await self._present([(group.id, member.id) for group, member in places])
        await self._staffed([group.id for group in groups])
        await self._walls_of([group.id for group in groups])
        staff = {member.id for _, member in places if member.is_staff}
        await self._beyond([(group.id, member) for group in groups for member in staff])

    async def present(self, group: Group, members: Sequence[Member]) -> set[int]:
        """Give the ids of those of these members who are in a group."""
        found = await self._present([(group.id, member.id) for member in members])
        return {member for (_, member), there in found.items() if there}

    async def _present(self, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Any]:
        async def ask(unknown: list[tuple[int, int]]) -> dict[tuple[int, int], bool]:
            found = await rows.places_among(self.work.db, *_sides(unknown))
            return dict.fromkeys(found, True)

        return await self._each("in", places, ask)

    async def has_active_staff(self, group: Group) -> bool:
        """Whether somebody of the staff side who is active is in a group."""
        return bool((await self._staffed([group.id]))[group.id])

    async def _staffed(self, group_ids: Sequence[int]) -> dict[int, Any]:
        async def ask(unknown: list[int]) -> dict[int, bool]:
            found = await rows.with_active_staff(self.work.db, unknown)
            return dict.fromkeys(found, True)

        return await self._each("staff", group_ids, ask)

    async def walls(self, group: Group) -> set[int]:
        """Give the ids of the groups beyond a barrier of this one."""
        return await self._walls_of([group.id])

    async def _walls_of(self, group_ids: Sequence[int]) -> set[int]:
        async def ask(unknown: list[int]) -> dict[int, set[int]]:
            beyond: dict[int, set[int]] = {}
            for group, other in await rows.walls(self.work.db, unknown):
                beyond.setdefault(group, set()).add(other)
            return beyond

        found = await self._each("walls", group_ids, ask)
        return set().union(*(others or () for others in found.values()))

    async def any_beyond(self, group: Group, members: Sequence[Member]) -> bool:
        """Whether one of these members is in a group beyond a barrier of this one."""
        found = await self._beyond([(group.id, member.id) for member in members])
        return any(found.values())

    async def _beyond(self, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Any]:
        async def ask(unknown: list[tuple[int, int]]) -> dict[tuple[int, int], bool]:
            group_ids, member_ids = _sides(unknown)
            others = await self._walls_of(group_ids)
            if not others:
                return {}
            there = await rows.places_among(self.work.db, sorted(others), member_ids)
            walls = {group: await self._walls_of([group]) for group in group_ids}
            return {
                (group, member): True
                for group, member in unknown
                if any((other, member) in there for other in walls[group])
            }

        return await self._each("beyond", places, ask)

    def note_joined(self, group: Group, members: Sequence[Member]) -> None:
        """Note who will come into a group; what matters was asked by `prepare_joining`."""
        for member in members:
            self._told["in", (group.id, member.id)] = True
            if not member.is_staff:
                continue
            if member.state == "active":
                self._told["staff", group.id] = True
            for other in self._told["walls", group.id] or ():
                self._told["beyond", (other, member.id)] = True


def _sides(places: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Give each group and each member of some pairs, once, by id."""
    return sorted({group for group, _ in places}), sorted({member for _, member in places})


def passing(check: Callable[[str], str | None], values: Iterable[str]) -> list[str]:
    """Give the values that pass a check, as it gives them, each once."""
    found: dict[str, None] = {}
    for value in values:
        with suppress(Refusal):
            found[check(value) or ""] = None
    found.pop("", None)
    return list(found)


def _uuid(value: str) -> str:
    return text.check_uuid("uuid", value)


def _identifier(value: str) -> str:
    text.check("identifier", value, least=1, most=text.IDENTIFIER_MAX)
    return value


def _email_key(value: str) -> str:
    return text.email_key(text.check_email("email", value))
