"""Terms: every version, and which one somebody accepted last."""

from onrecord.store.db import Session


async def newest(session: Session, entity_id: int) -> tuple[int, str, int] | None:
    """Give version, text and time of the newest terms of an organisation; None without any."""
    row = await session.one(
        "SELECT version, text, at FROM terms WHERE entity_id = $1 ORDER BY version DESC LIMIT 1",
        entity_id,
    )
    return (row[0], row[1], row[2]) if row else None


async def add(session: Session, entity_id: int, version: int, text: str, at: int) -> None:
    """Add a version."""
    await session.run(
        "INSERT INTO terms (entity_id, version, text, at) VALUES ($1, $2, $3, $4)",
        entity_id,
        version,
        text,
        at,
    )


async def accepted(session: Session, entity_id: int, subject_id: int) -> int:
    """Give which version of an organisation's terms somebody accepted last; 0 for none.

    `subject_id` is a member, of the installation's terms an account.
    """
    row = await session.one(
        "SELECT version FROM terms_accepted WHERE entity_id = $1 AND subject_id = $2",
        entity_id,
        subject_id,
    )
    return row[0] if row else 0


async def accept(session: Session, entity_id: int, subject_id: int, version: int, at: int) -> None:
    """Note that somebody accepted a version."""
    await session.run(
        "INSERT INTO terms_accepted (entity_id, subject_id, version, at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (entity_id, subject_id) DO UPDATE SET version = excluded.version,"
        " at = excluded.at",
        entity_id,
        subject_id,
        version,
        at,
    )
