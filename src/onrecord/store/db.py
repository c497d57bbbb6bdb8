"""What the two engines have in common: the session that asks, the call that is queued, the store.

SQL is written once, with `$1`, `$2` … as placeholders; SQLite's session rewrites them. Where the
dialects differ a function asks `session.dialect` and says why.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from onrecord.model.access import Actor, Origin

Row = Sequence[Any]

COLUMN_TYPES: Final = {
    "leaf": "bytea",
    "salt": "bytea",
    "data": "bytea",
    "hashes": "bytea",
    "name": "text",
    "kind": "text",
    "via": "text",
    "state": "text",
    "uuid": "text",
    "title": "text",
    "title_key": "text",
    "scope": "text",
    "key": "text",
    "identifier": "text",
    "description": "text",
    "first_name": "text",
    "last_name": "text",
    "job_title": "text",
    "primary_email": "text",
    "email_key": "text",
    "primary_phone_number": "text",
    "emails": "text",
    "phone_numbers": "text",
    "search_key": "text",
    "invitation": "text",
    "message": "text",
    "message_id": "text",
    "recipient": "text",
    "token_hash": "bytea",
    "payload": "text",
}
"""Types of columns of rows inserted or updated many at a time; every other one is a bigint."""


class Insert(NamedTuple):
    """Rows to be added to a table."""

    table: str
    columns: Sequence[str]
    rows: Sequence[Row]


class Update(NamedTuple):
    """New values of `columns` for the rows found by `key`; a row gives the key's values first."""

    table: str
    key: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Row]


Change = Insert | Update


class Session(Protocol):
    """One transaction of one engine, able to run statements and nothing else."""

    dialect: Literal["sqlite", "postgresql"]
    for_update: str
    """What makes a SELECT lock its rows: empty on SQLite, where one writer needs no row locks."""
    chats: str
    """Where chats are read with their present ends (migration 3 tells why there are two)."""

    async def all(self, sql: str, *values: Any) -> Sequence[Row]:
        """Give every row."""
        ...

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Give the first row, or None."""
        ...

    async def run(self, sql: str, *values: Any) -> None:
        """Run a statement that answers nothing."""
        ...

    async def each(self, sql: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Run one statement for each row of values and give all the rows that are answered.

        A round trip each on PostgreSQL: use arrays there where it matters.
        """
        ...

    async def write(self, *changes: Change) -> None:
        """Make changes of many rows each, all in one round trip where there is one to save."""
        ...

    def among(self, placeholder: str) -> str:
        """Give the SQL behind a column that is to be in a list passed as one value (see `many`)."""
        ...

    def many(self, values: Iterable[int] | Iterable[str]) -> Any:
        """Turn a list into the one value that `among` takes."""
        ...


class Stale(Exception):  # noqa: N818 - not an error: the work is judged again
    """The head row shows a newer access position than the one the actor was judged under."""


class Unavailable(Exception):  # noqa: N818 - told to the caller as RX503
    """The database cannot be reached, is full, or is being shut down."""


class NewerSchema(Exception):  # noqa: N818 - told to the operator
    """The database was written by a newer version of OnRecord."""


Judge = Callable[[Session], Awaitable[Actor]]
"""Reaches the verdict on a credential from the tables: an Actor, or a Refusal."""


@dataclass(slots=True)
class Caller:
    """Who calls, how to judge that again, and from where.

    `actor` None: not judged yet. `judge` None: needs no judging (command line, OnRecord itself).
    """

    actor: Actor | None
    origin: Origin
    judge: Judge | None = None
    wake: Callable[[], None] | None = None
    """Tells those who run jobs that one was put in line; called before the commit."""


@dataclass(slots=True)
class Figures:
    """What an engine has committed since it was opened, for the operator to look at."""

    commits: int = 0
    works: int = 0
    entries: int = 0

    def committed(self, works: int, entries: int) -> None:
        """Count one transaction."""
        self.commits += 1
        self.works += works
        self.entries += entries


class Item(Protocol):
    """One of many acts that are done together: the append path's item."""

    caller: Caller
    actor: Actor


Outcome = object | BaseException
"""What became of an item: its result, or the refusal it met."""


async def add_row(session: Session, table: str, row: Mapping[str, Any]) -> int:
    """Add one row from its columns, and give the internal id that the database chose."""
    columns = ", ".join(row)
    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    added = await session.one(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id", *row.values()
    )
    assert added is not None  # noqa: S101 - RETURNING gives a row
    return int(added[0])
