"""Members and groups as identity providers see them: staff alone, found by offset."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.model.access import STAFF
from onrecord.model.people import Group
from onrecord.store import groups
from onrecord.store.db import Row, Session


@dataclass(slots=True)
class StaffMember:
    """A member of the staff side with everything that provisioning shows."""

    id: int
    uuid: str
    identifier: str | None
    profile: int
    first_name: str
    last_name: str
    job_title: str
    primary_email: str | None
    emails: list[str]
    phone_numbers: list[str]
    state: str
    created_at: int
    updated_at: int
    groups: list[tuple[str, str]]
    """Uuid and name of each."""


_COLUMNS: Final = (
    "m.id, m.uuid, m.identifier, m.profile, m.first_name, m.last_name, m.job_title,"
    " m.primary_email, m.emails, m.phone_numbers, m.state, m.created_at, m.updated_at"
)
_OURS: Final = f"m.entity_id = $1 AND m.profile <= {STAFF}"
NARROW: Final = {
    "id": "m.uuid = {}",
    "identifier": "m.identifier = {}",
    "email": "m.email_key = {}",
    "search": "m.search_key LIKE {} ESCAPE '\\'",
}
"""What can narrow a search: who does not fit is not wanted, who fits is looked at once more."""


async def _with_groups(session: Session, rows: Sequence[Row]) -> list[StaffMember]:
    of_member: dict[int, list[tuple[str, str]]] = defaultdict(list)
    if rows:
        found = await session.all(
            "SELECT gm.member_id, g.uuid, g.name FROM group_member gm"
            " JOIN client_group g ON g.id = gm.group_id"
            f" WHERE gm.member_id {session.among('$1')} ORDER BY gm.group_id",
            session.many([row[0] for row in rows]),
        )
        for member_id, uuid, name in found:
            of_member[member_id].append((uuid, name))
    return [_staff_member(row, of_member.get(row[0], [])) for row in rows]


def _staff_member(row: Row, in_groups: list[tuple[str, str]]) -> StaffMember:
    lists = [json.loads(row[8]), json.loads(row[9])]
    values: list[Any] = [*row[:8], *lists, *row[10:], in_groups]
    return StaffMember(*values)


async def count_staff(session: Session, entity_id: int) -> int:
    """Count the organisation's members of the staff side, in whatever state."""
    row = await session.one(f"SELECT COUNT(*) FROM member m WHERE {_OURS}", entity_id)
    return int(row[0]) if row else 0


async def staff_from(
    session: Session, entity_id: int, offset: int, limit: int
) -> list[StaffMember]:
    """Give at most `limit` of them by id, leaving out the first `offset`."""
    rows = await session.all(
        f"SELECT {_COLUMNS} FROM member m WHERE {_OURS} ORDER BY m.id LIMIT $2 OFFSET $3",
        entity_id,
        limit,
        offset,
    )
    return await _with_groups(session, rows)


async def staff_after(
    session: Session,
    entity_id: int,
    after: int,
    limit: int,
    narrow: tuple[str, str] | None = None,
) -> list[StaffMember]:
    """Give at most `limit` of them above the id `after`, by id; `narrow` is a row of NARROW."""
    where, values = "", [entity_id, after, limit]
    more: list[Any] = []
    if narrow is not None:
        where = " AND " + NARROW[narrow[0]].format("$4")
        more = [narrow[1]]
    rows = await session.all(
        f"SELECT {_COLUMNS} FROM member m WHERE {_OURS} AND m.id > $2{where}"
        " ORDER BY m.id LIMIT $3",
        *values,
        *more,
    )
    return await _with_groups(session, rows)


# -- groups --------------------------------------------------------------------------------------


async def staff_in(
    session: Session, group_ids: Sequence[int]
) -> dict[int, list[tuple[str, str, str]]]:
    """Give the staff in groups: uuid, first and last name of each, by the group's id."""
    rows = await session.all(
        "SELECT gm.group_id, m.uuid, m.first_name, m.last_name FROM group_member gm"
        f" JOIN member m ON m.id = gm.member_id AND m.profile <= {STAFF}"
        f" WHERE gm.group_id {session.among('$1')} ORDER BY gm.group_id, gm.member_id",
        session.many(group_ids),
    )
    found: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    for group_id, uuid, first_name, last_name in rows:
        found[group_id].append((uuid, first_name, last_name))
    return found


async def groups_after(session: Session, entity_id: int, after: int, limit: int) -> list[Group]:
    """Give at most `limit` active groups above the id `after`, by id."""
    return await groups.groups_after(
        session, entity_id, state="active", like=None, after=after, limit=limit
    )
