"""Whether anything at all has changed in an installation: what the table tests ask of refusals."""

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from onrecord.store import migrations
from onrecord.store.db import Row, Session
from tests.world import World

NOT_FACTS = {"idempotency", "slice", "checkpoint", "sign_in_failure"} | {
    f"search_{name}" for name in ("progress", "word", "block")
}
"""Tables of stored answers, of failed tries, of notes made when they are asked for, and the index
of words: nothing anybody did."""


def _tables() -> list[str]:
    texts = [file.read_text("utf-8") for file in files(migrations).iterdir() if _is_sql(file.name)]
    text = "\n".join(texts)
    names = re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE)
    renamed = re.findall(r"^ALTER TABLE (\w+) RENAME TO", text, re.MULTILINE)
    return sorted({*names} - {*renamed} - NOT_FACTS)


def _is_sql(name: str) -> bool:
    return name.endswith(".sql")


TABLES = _tables()
_COUNTS = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)  # noqa: S608 - the names are those of our own tables


def counts(world: World) -> tuple[Any, ...]:
    """Give the number of rows of each table, and how far the records are: quick to ask."""
    return world.rows(f"SELECT {_COUNTS}, (SELECT sum(position) FROM head)")[0]  # noqa: S608 - the names are those of our own tables


def digests(world: World) -> dict[str, str]:
    """Give a digest of the whole content of each table."""

    async def act(session: Session) -> dict[str, str]:
        if session.dialect == "postgresql":  # the server adds it up: one question instead of many
            return {row[0]: row[1] for row in await session.all(_DIGESTS)}
        return {
            table: _digest(await session.all(f"SELECT * FROM {table}"))  # noqa: S608 - the names are those of our own tables
            for table in TABLES
        }

    found = world.ask(act)
    assert found.keys() == {*TABLES}
    return found


_DIGESTS = " UNION ALL ".join(
    f"""SELECT '{table}', md5(coalesce(string_agg(t, chr(10) ORDER BY t), ''))
    FROM (SELECT one::text COLLATE "C" AS t FROM {table} AS one) AS texts"""  # noqa: S608 - the names are those of our own tables
    for table in TABLES
)


def _digest(rows: Iterable[Row]) -> str:
    texts = sorted(repr(tuple(row)) for row in rows)
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
