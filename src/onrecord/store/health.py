"""Questions about the database itself, for whoever runs it: its version, its pages, its records."""

from dataclasses import dataclass

from onrecord.store.db import Session

FULL = 2
"""SQLite's PRAGMA synchronous from which on a commit waits for the disk."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine, and how it makes a commit durable."""

    name: str
    version: str
    durable: bool
    how: str
    """The settings that say so."""


@dataclass(frozen=True, slots=True)
class RecordEnd:
    """The end of one organisation's record, as its tables tell."""

    entity_id: int
    uuid: str
    name: str
    position: int
    at: int
    hashes: bytes
    entries: int
    """The position of the last entry there is."""
    checkpoint: str | None
    """The last checkpoint, a signed note."""
    checkpoint_size: int


async def engine(session: Session) -> Engine:
    """Give the engine's version and whether an answered write survives a power cut."""
    if session.dialect == "sqlite":
        row = await session.one(
            "SELECT sqlite_version(), (SELECT synchronous FROM pragma_synchronous),"
            " (SELECT journal_mode FROM pragma_journal_mode)"
        )
        assert row is not None  # noqa: S101 - it asks for no table's row
        version, synchronous, mode = row
        return Engine(
            "SQLite", version, synchronous >= FULL, f"synchronous {synchronous}, journal {mode}"
        )
    row = await session.one(
        "SELECT current_setting('server_version'), current_setting('synchronous_commit'),"
        " current_setting('fsync'), current_setting('full_page_writes')"
    )
    assert row is not None  # noqa: S101 - it asks for no table's row
    version, commit, fsync, pages = row
    durable = commit != "off" and fsync == "on" and pages == "on"
    how = f"synchronous_commit {commit}, fsync {fsync}, full_page_writes {pages}"
    return Engine("PostgreSQL", version, durable, how)


async def faults(session: Session, most: int = 5) -> list[str]:
    """Give what is wrong with the pages of the database, as far as the engine can tell quickly.

    SQLite reads every page. PostgreSQL has no such question: it checks pages as it reads them.
    """
    if session.dialect == "postgresql":
        return []
    rows = await session.all("SELECT quick_check FROM pragma_quick_check")
    return [row[0] for row in rows if row[0] != "ok"][:most]


async def ends(session: Session) -> list[RecordEnd]:
    """Give the end of every record, the installation's too."""
    rows = await session.all(
        "SELECT e.id, e.uuid, e.name, h.position, h.at, h.hashes,"
        " COALESCE((SELECT max(position) FROM entry WHERE entity_id = e.id), 0),"
        " c.note, COALESCE(c.size, 0) FROM entity e JOIN head h ON h.entity_id = e.id"
        " LEFT JOIN checkpoint c ON c.entity_id = e.id AND c.size ="
        " (SELECT max(size) FROM checkpoint WHERE entity_id = e.id) ORDER BY e.id"
    )
    return [
        RecordEnd(number, uuid, name, position, at, bytes(hashes), entries, note, size)
        for number, uuid, name, position, at, hashes, entries, note, size in rows
    ]


async def waiting_jobs(session: Session, before: int) -> tuple[int, int]:
    """Give how many jobs were due before a moment and still are, and how many failed since it."""
    row = await session.one(
        "SELECT (SELECT count(*) FROM job WHERE state IN ('queued', 'running') AND run_at < $1),"
        " (SELECT count(*) FROM job WHERE state = 'failed' AND finished_at >= $1)",
        before,
    )
    assert row is not None  # noqa: S101 - counts are always answered
    return row[0], row[1]
