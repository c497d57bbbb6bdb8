"""Imports of files: what they say, slice by slice, and what became of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onrecord.store.db import Insert, Session, add_row


@dataclass(frozen=True, slots=True)
class Import:
    """An import as stored."""

    id: int
    entity_id: int
    job_uuid: str | None
    kind: str
    facts: Mapping[str, Any]
    """How it is to be done, and by whom."""
    total: int


_IMPORT = "id, entity_id, job_uuid, kind, facts, total"


async def add_import(
    session: Session, entity_id: int, kind: str, facts: Mapping[str, Any], at: int
) -> int:
    """Add an import whose rows are yet to come; give the internal id."""
    row = {
        "entity_id": entity_id,
        "kind": kind,
        "facts": json.dumps(facts),
        "total": 0,
        "created_at": at,
    }
    return await add_row(session, "import", row)


async def add_slice(session: Session, import_id: int, number: int, lines: Sequence[Any]) -> None:
    """Add the next rows of an import, anything that is JSON."""
    await session.run(
        "INSERT INTO import_slice (import_id, number, lines) VALUES ($1, $2, $3)",
        import_id,
        number,
        json.dumps(lines),
    )


async def begin(session: Session, import_id: int, job_uuid: str, total: int) -> None:
    """Note that all rows are there, and which job does them."""
    await session.run(
        "UPDATE import SET job_uuid = $2, total = $3 WHERE id = $1", import_id, job_uuid, total
    )


async def import_of(session: Session, entity_id: int, job_uuid: str) -> Import | None:
    """Give the organisation's import that a job does."""
    row = await session.one(
        f"SELECT {_IMPORT} FROM import WHERE job_uuid = $1 AND entity_id = $2", job_uuid, entity_id
    )
    if row is None:
        return None
    number, entity, uuid, kind, facts, total = row
    return Import(number, entity, uuid, kind, json.loads(facts), total)


async def slices_of(
    session: Session, import_id: int, numbers: Sequence[int]
) -> dict[int, list[Any]]:
    """Give the rows of slices by their numbers; none of one that is done, or was never there."""
    rows = await session.all(
        "SELECT number, lines FROM import_slice"
        f" WHERE import_id = $1 AND number {session.among('$2')}",
        import_id,
        session.many(numbers),
    )
    found = {row[0]: json.loads(row[1]) for row in rows}
    return {number: found.get(number, []) for number in numbers}


async def keep_results(
    session: Session, import_id: int, number: int, results: Sequence[Any], *, forget: bool
) -> None:
    """Note what became of a slice, and forget its rows where nobody will need them again."""
    lines = "'[]'" if forget else "lines"
    await session.run(
        f"UPDATE import_slice SET results = $3, lines = {lines}"
        " WHERE import_id = $1 AND number = $2",
        import_id,
        number,
        json.dumps(results),
    )


async def slices_after(
    session: Session, import_id: int, after: int, limit: int
) -> list[tuple[int, list[Any], list[Any] | None]]:
    """Give (number, rows, results) of the slices above a number, in order."""
    rows = await session.all(
        "SELECT number, lines, results FROM import_slice WHERE import_id = $1 AND number > $2"
        " ORDER BY number LIMIT $3",
        import_id,
        after,
        limit,
    )
    return [
        (number, json.loads(lines), None if results is None else json.loads(results))
        for number, lines, results in rows
    ]


async def done_with(session: Session, import_id: int) -> None:
    """Forget what only an import under way needs."""
    await session.run("UPDATE import_slice SET lines = '[]' WHERE import_id = $1", import_id)
    await session.run("DELETE FROM import_key WHERE import_id = $1", import_id)


# -- dry runs ------------------------------------------------------------------------------------


async def add_keys(session: Session, import_id: int, keys: Sequence[tuple[str, int]]) -> None:
    """Note what rows would have made: keys and the numbers of the rows, each pair once."""
    rows = [(import_id, key, number) for key, number in keys]
    await session.write(Insert("import_key", ["import_id", "key", "number"], rows))


async def rows_with(session: Session, import_id: int, keys: Sequence[str]) -> list[int]:
    """Give the numbers of the rows that would have made what one of these keys names.

    Of those that bring active staff into a group the first one is enough.
    """
    rows = await session.all(
        "SELECT MIN(number) FROM import_key"
        f" WHERE import_id = $1 AND key {session.among('$2')}"
        " GROUP BY key, CASE WHEN key LIKE 'active %' THEN 0 ELSE number END",
        import_id,
        session.many(keys),
    )
    return sorted({row[0] for row in rows})


# -- going ---------------------------------------------------------------------------------------


async def forgotten(session: Session, before: int, orphaned_before: int) -> list[int]:
    """Give some imports made before a time, or before another one if they never began."""
    rows = await session.all(
        "SELECT id FROM import WHERE created_at < $1"
        " OR (job_uuid IS NULL AND created_at < $2) LIMIT 10",
        before,
        orphaned_before,
    )
    return [row[0] for row in rows]


async def forget_some(session: Session, import_id: int, most: int) -> None:
    """Delete some slices of an import, and with the last ones the import."""
    rows = await session.all(
        "DELETE FROM import_slice WHERE import_id = $1 AND number IN (SELECT number"
        " FROM import_slice WHERE import_id = $1 LIMIT $2) RETURNING number",
        import_id,
        most,
    )
    if len(rows) < most:
        await session.run("DELETE FROM import_key WHERE import_id = $1", import_id)
        await session.run("DELETE FROM import WHERE id = $1", import_id)
