"""Groups, who is in them, and the barriers between them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from onrecord.model import times
from onrecord.model.access import PROFILES
from onrecord.model.people import Barrier, Group, MemberInShort
from onrecord.store.db import Insert, Row, Session, add_row

T = TypeVar("T")
_STRETCH_LEAST: Final = 200
"""Members looked at in one go at the least, when few of them may be wanted."""

_GROUP: Final = (
    "g.id, g.uuid, g.name, g.identifier, g.description, g.state, g.is_default,"
    " g.created_at, g.updated_at"
)


def _group(row: Row) -> Group:
    number, uuid, name, identifier, description, state, is_default, created_at, updated_at = row
    return Group(
        id=number,
        uuid=uuid,
        name=name,
        identifier=identifier,
        description=description,
        state=state,
        is_default=bool(is_default),
        created_at=created_at,
        updated_at=updated_at,
    )


async def add_groups(session: Session, groups: Sequence[Mapping[str, Any]]) -> list[int]:
    """Add groups from their columns, the same for all; give the internal ids in their order."""
    if len(groups) == 1:
        return [await add_row(session, "client_group", groups[0])]
    rows = [tuple(group.values()) for group in groups]
    await session.write(Insert("client_group", tuple(groups[0]), rows))
    uuids = [group["uuid"] for group in groups]
    found = await session.all(
        f"SELECT uuid, id FROM client_group WHERE uuid {session.among('$1')}", session.many(uuids)
    )
    numbers = {row[0]: row[1] for row in found}
    return [numbers[uuid] for uuid in uuids]


async def change_group(session: Session, group_id: int, columns: Mapping[str, Any]) -> None:
    """Give a group's columns new values."""
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(columns, 2))
    await session.run(f"UPDATE client_group SET {sets} WHERE id = $1", group_id, *columns.values())


async def groups_of(session: Session, entity_id: int, uuids: Sequence[str]) -> list[Group]:
    """Give the organisation's groups of these UUIDs, as many as there are."""
    rows = await session.all(
        f"SELECT {_GROUP} FROM client_group g WHERE g.entity_id = $1"
        f" AND g.uuid {session.among('$2')} ORDER BY g.id",
        entity_id,
        session.many(uuids),
    )
    return [_group(row) for row in rows]


async def groups_identified(
    session: Session, entity_id: int, identifiers: Sequence[str]
) -> list[Group]:
    """Give the organisation's groups of these identifiers (exact, case-sensitive)."""
    rows = await session.all(
        f"SELECT {_GROUP} FROM client_group g WHERE g.entity_id = $1"
        f" AND g.identifier {session.among('$2')}",
        entity_id,
        session.many(identifiers),
    )
    return [_group(row) for row in rows]


async def default_group(session: Session, entity_id: int) -> Group | None:
    """Give the organisation's default group."""
    row = await session.one(
        f"SELECT {_GROUP} FROM client_group g WHERE g.entity_id = $1 AND g.is_default = 1",
        entity_id,
    )
    return _group(row) if row else None


async def groups_after(
    session: Session,
    entity_id: int,
    *,
    state: str | None,
    like: str | None,
    after: int,
    limit: int,
) -> list[Group]:
    """Give at most `limit` groups above the id `after`, by id; `like` is for the search key."""
    values: list[Any] = [entity_id, after, limit]
    where = "g.entity_id = $1 AND g.id > $2"
    if state is not None:
        values.append(state)
        where += f" AND g.state = ${len(values)}"
    if like is not None:
        values.append(like)
        where += f" AND g.search_key LIKE ${len(values)} ESCAPE '\\'"
    rows = await session.all(
        f"SELECT {_GROUP} FROM client_group g WHERE {where} ORDER BY g.id LIMIT $3", *values
    )
    return [_group(row) for row in rows]


async def groups_with(session: Session, member_id: int) -> list[Group]:
    """Give the groups a member is in, by id."""
    rows = await session.all(
        f"SELECT {_GROUP} FROM group_member gm JOIN client_group g ON g.id = gm.group_id"
        " WHERE gm.member_id = $1 ORDER BY g.id",
        member_id,
    )
    return [_group(row) for row in rows]


# -- who is in them ------------------------------------------------------------------------------


async def counts(session: Session, group_ids: Sequence[int]) -> dict[int, int]:
    """Count the members of each group; groups without any are left out."""
    rows = await session.all(
        "SELECT group_id, COUNT(*) FROM group_member"
        f" WHERE group_id {session.among('$1')} GROUP BY group_id",
        session.many(group_ids),
    )
    return {row[0]: row[1] for row in rows}


async def members_in_short(session: Session, group_id: int) -> list[MemberInShort]:
    """Give everybody in a group, by id."""
    rows = await session.all(
        "SELECT m.uuid, m.identifier, m.profile, m.first_name, m.last_name, m.state"
        " FROM group_member gm JOIN member m ON m.id = gm.member_id"
        " WHERE gm.group_id = $1 ORDER BY gm.member_id",
        group_id,
    )
    return [
        MemberInShort(
            entity_user_xref_uuid=uuid,
            identifier=identifier,
            enum_profile_id=profile,
            profile=PROFILES[profile].name,
            first_name=first_name,
            last_name=last_name,
            state=state,
        )
        for uuid, identifier, profile, first_name, last_name, state in rows
    ]


async def ids_in_groups(
    session: Session, group_ids: Sequence[int], after: int, limit: int
) -> list[int]:
    """Give the ids of at most `limit` members of these groups above the id `after`, ascending.

    Each group's index is read in order and only as far as the page goes, whatever the engine
    knows about the sizes of groups.
    """
    in_one = (
        "SELECT b.member_id FROM group_member b WHERE b.group_id = {} AND b.member_id > $1"
        " ORDER BY b.member_id LIMIT $2"
    )
    if session.dialect == "postgresql":
        rows = await session.all(
            f"SELECT x.member_id FROM unnest($3::bigint[]) AS g (id)"
            f" CROSS JOIN LATERAL ({in_one.format('g.id')}) x",
            after,
            limit,
            list(group_ids),
        )
    else:
        rows = await session.each(
            in_one.format("$3"), [(after, limit, number) for number in group_ids]
        )
    return sorted({row[0] for row in rows})[:limit]


async def kept_in_groups(
    session: Session,
    group_ids: Sequence[int],
    keep: Callable[[Sequence[int]], Awaitable[Sequence[T]]],
    *,
    after: int,
    limit: int,
) -> list[T]:
    """Give the first `limit` of what `keep` makes of the ids of members of groups, in their order.

    A stretch of ids at a time: a statement that joined and filtered in one go was planned by
    PostgreSQL as if it had to read the whole group for every page.
    """
    found: list[T] = []
    stretch = max(limit, _STRETCH_LEAST)
    while len(found) < limit:
        ids = await ids_in_groups(session, group_ids, after, stretch)
        if ids:
            found += await keep(ids)
            after = ids[-1]
        if len(ids) < stretch:
            break
    return found[:limit]


async def has_active_staff(session: Session, group_id: int, *, besides: Sequence[int] = ()) -> bool:
    """Whether a group has an active member of the staff side besides these."""
    row = await session.one(
        "SELECT 1 FROM group_member gm JOIN member m ON m.id = gm.member_id"
        " WHERE gm.group_id = $1 AND m.profile <= 3 AND m.state = 'active'"
        f" AND NOT (gm.member_id {session.among('$2')}) LIMIT 1",
        group_id,
        session.many(besides),
    )
    return row is not None


async def with_active_staff(session: Session, group_ids: Sequence[int]) -> set[int]:
    """Give those of these groups that have an active member of the staff side."""
    rows = await session.all(
        f"SELECT g.id FROM client_group g WHERE g.id {session.among('$1')} AND EXISTS"
        " (SELECT 1 FROM group_member gm JOIN member m ON m.id = gm.member_id"
        " WHERE gm.group_id = g.id AND m.profile <= 3 AND m.state = 'active')",
        session.many(group_ids),
    )
    return {row[0] for row in rows}


async def has_clients(session: Session, group_id: int, *, besides: Sequence[int] = ()) -> bool:
    """Whether a group has a client besides these, in whatever state."""
    row = await session.one(
        "SELECT 1 FROM group_member gm JOIN member m ON m.id = gm.member_id"
        " WHERE gm.group_id = $1 AND m.profile IN (4, 5)"
        f" AND NOT (gm.member_id {session.among('$2')}) LIMIT 1",
        group_id,
        session.many(besides),
    )
    return row is not None


async def members_among(session: Session, group_id: int, member_ids: Sequence[int]) -> set[int]:
    """Give those of these members who are in a group."""
    rows = await session.all(
        "SELECT member_id FROM group_member"
        f" WHERE group_id = $1 AND member_id {session.among('$2')}",
        group_id,
        session.many(member_ids),
    )
    return {row[0] for row in rows}


async def places_among(
    session: Session, group_ids: Sequence[int], member_ids: Sequence[int]
) -> set[tuple[int, int]]:
    """Give who of these members is in which of these groups, as pairs (group, member)."""
    rows = await session.all(
        "SELECT group_id, member_id FROM group_member"
        f" WHERE group_id {session.among('$1')} AND member_id {session.among('$2')}",
        session.many(group_ids),
        session.many(member_ids),
    )
    return {(row[0], row[1]) for row in rows}


async def add_group_members(session: Session, places: Sequence[tuple[int, int]]) -> None:
    """Put members into groups in which they are not: pairs (group, member)."""
    await session.write(Insert("group_member", ["group_id", "member_id"], places))


async def remove_group_members(session: Session, group_id: int, member_ids: Sequence[int]) -> None:
    """Take members out of a group."""
    await session.run(
        f"DELETE FROM group_member WHERE group_id = $1 AND member_id {session.among('$2')}",
        group_id,
        session.many(member_ids),
    )


async def touch(
    session: Session, group_ids: Sequence[int], member_ids: Sequence[int], at: int
) -> None:
    """Note that groups and members changed: both show who is where."""
    await session.run(
        f"UPDATE client_group SET updated_at = $1 WHERE id {session.among('$2')}",
        at,
        session.many(group_ids),
    )
    await session.run(
        f"UPDATE member SET updated_at = $1 WHERE id {session.among('$2')}",
        at,
        session.many(member_ids),
    )


# -- barriers ------------------------------------------------------------------------------------
# A barrier's row has the smaller id first; callers name the groups in that order.


async def barrier_between(session: Session, first: int, second: int) -> int | None:
    """Give the moment at which a barrier between two groups was made, None when there is none."""
    row = await session.one(
        "SELECT created_at FROM barrier WHERE group_id = $1 AND other_group_id = $2",
        first,
        second,
    )
    return row[0] if row else None


async def add_barrier(session: Session, entity_id: int, first: int, second: int) -> None:
    """Add a barrier between two groups that have none; `date_barrier` tells its moment."""
    columns = ["group_id", "other_group_id", "entity_id", "created_at"]
    await session.write(Insert("barrier", columns, [(first, second, entity_id, 0)]))


async def date_barrier(session: Session, first: int, second: int, at: int) -> None:
    """Note the moment at which a barrier was made."""
    await session.run(
        "UPDATE barrier SET created_at = $3 WHERE group_id = $1 AND other_group_id = $2",
        first,
        second,
        at,
    )


async def remove_barrier(session: Session, first: int, second: int) -> None:
    """Lift the barrier between two groups."""
    await session.run(
        "DELETE FROM barrier WHERE group_id = $1 AND other_group_id = $2", first, second
    )


async def barriers_after(
    session: Session, entity_id: int, after: tuple[int, int], limit: int
) -> list[tuple[tuple[int, int], Barrier]]:
    """Give at most `limit` barriers after the one of two group ids, each with its own two ids."""
    rows = await session.all(
        "SELECT w.group_id, w.other_group_id, g.uuid, o.uuid, w.created_at FROM barrier w"
        " JOIN client_group g ON g.id = w.group_id JOIN client_group o ON o.id = w.other_group_id"
        " WHERE w.entity_id = $1 AND (w.group_id, w.other_group_id) > ($2, $3)"
        " ORDER BY w.group_id, w.other_group_id LIMIT $4",
        entity_id,
        *after,
        limit,
    )
    return [((row[0], row[1]), Barrier(row[2], row[3], times.wire(row[4]))) for row in rows]


async def barriers_between(
    session: Session, ones: Sequence[int], others: Sequence[int]
) -> list[Barrier]:
    """Give the barriers between the groups of one list and those of another."""
    one, other = session.among("$1"), session.among("$2")
    rows = await session.all(
        "SELECT g.uuid, o.uuid, w.created_at FROM barrier w"
        " JOIN client_group g ON g.id = w.group_id JOIN client_group o ON o.id = w.other_group_id"
        f" WHERE (w.group_id {one} AND w.other_group_id {other})"
        f" OR (w.group_id {other} AND w.other_group_id {one})",
        session.many(ones),
        session.many(others),
    )
    return [Barrier(row[0], row[1], times.wire(row[2])) for row in rows]


async def staff_in_both(session: Session, one: int, other: int) -> bool:
    """Whether a member of the staff side is in both groups."""
    row = await session.one(
        "SELECT 1 FROM group_member a JOIN group_member b ON b.member_id = a.member_id"
        " JOIN member m ON m.id = a.member_id AND m.profile <= 3"
        " WHERE a.group_id = $1 AND b.group_id = $2 LIMIT 1",
        one,
        other,
    )
    return row is not None


async def walls(session: Session, group_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Give the barriers of these groups as pairs: one of them, and the group beyond."""
    each = session.among("$1")
    rows = await session.all(
        f"SELECT group_id, other_group_id FROM barrier WHERE group_id {each}"
        f" UNION ALL SELECT other_group_id, group_id FROM barrier WHERE other_group_id {each}",
        session.many(group_ids),
    )
    return {(row[0], row[1]) for row in rows}
