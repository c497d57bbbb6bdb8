"""Accounts, their sessions, the codes on their way, and doors that are shut for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from onrecord.model.access import INSTALLATION_ID
from onrecord.store.access import Entity, entity_from
from onrecord.store.db import Row, Session, Update, add_row


@dataclass(frozen=True, slots=True)
class Account:
    """A person's login, outside any organisation."""

    id: int
    uuid: str
    username: str
    password: str
    """argon2id, with its salt and parameters."""
    email: str | None
    phone_number: str | None
    totp: bytes | None
    """The secret of the authenticator app, encrypted under secrets.key."""
    totp_step: int
    """The time step of the last code used: none is taken twice."""
    recovery: bytes | None
    """SHA-256 of the recovery code, until it is used."""
    created_at: int


_ACCOUNT: Final = (
    "a.id, a.uuid, a.username, a.password, a.email, a.phone_number, a.totp, a.totp_step,"
    " a.recovery, a.created_at"
)


def _account(row: Row) -> Account:
    values = list(row)
    values[6] = None if values[6] is None else bytes(values[6])
    values[8] = None if values[8] is None else bytes(values[8])
    return Account(*values)


async def account_by_id(
    session: Session, account_id: int, *, locked: bool = False
) -> Account | None:
    """Give the account of an internal id; locked, nobody changes it before this work has ended."""
    lock = session.for_update if locked else ""
    row = await session.one(f"SELECT {_ACCOUNT} FROM account a WHERE a.id = $1{lock}", account_id)
    return _account(row) if row else None


async def account_named(session: Session, username: str) -> Account | None:
    """Give the account of a user name, compared case-insensitively."""
    if "\0" in username:  # PostgreSQL takes none, and no user name has one
        return None
    row = await session.one(
        f"SELECT {_ACCOUNT} FROM account a WHERE a.username_key = $1", username.casefold()
    )
    return _account(row) if row else None


async def change_account(session: Session, account_id: int, **values: Any) -> None:
    """Give columns of an account new values."""
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, 2))
    await session.run(f"UPDATE account SET {sets} WHERE id = $1", account_id, *values.values())


async def memberships_of(
    session: Session, account_id: int
) -> list[tuple[int, str, int, str, Entity]]:
    """Give (id, uuid, profile, state, organisation) of an account's members, oldest first."""
    rows = await session.all(
        "SELECT m.id, m.uuid, m.profile, m.state, e.id, e.uuid, e.name, e.state, e.settings,"
        " e.origin, e.created_at FROM member m JOIN entity e ON e.id = m.entity_id"
        " WHERE m.account_id = $1 ORDER BY m.id",
        account_id,
    )
    return [(row[0], row[1], row[2], row[3], entity_from(row[4:])) for row in rows]


async def members_with_email(
    session: Session, key: str, entity_id: int | None
) -> list[tuple[str, Entity]]:
    """Give (uuid, organisation) of the active members of an email, in active organisations.

    `key` is the form in which emails are compared; `entity_id` None looks into all organisations.
    """
    rows = await session.all(
        "SELECT m.uuid, e.id, e.uuid, e.name, e.state, e.settings, e.origin, e.created_at"
        " FROM member m JOIN entity e ON e.id = m.entity_id WHERE m.email_key = $1"
        " AND m.state = 'active' AND e.state = 'active' ORDER BY e.id",
        key,
    )
    found = [(row[0], entity_from(row[1:])) for row in rows]
    return [one for one in found if entity_id is None or one[1].id == entity_id]


# -- sessions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session of a person (`web`), or a token of the embedded app (`sdk`)."""

    id: int
    uuid: str
    kind: str
    account_id: int | None
    member_id: int | None
    """The one member of an SDK token."""
    api_key_id: int | None
    """The key that made an SDK token."""
    user_agent: str
    address: str | None
    created_at: int
    seen_at: int
    expires_at: int
    ended_at: int | None


_SESSION: Final = (
    "s.id, s.uuid, s.kind, s.account_id, s.member_id, s.api_key_id, s.user_agent, s.address,"
    " s.created_at, s.seen_at, s.expires_at, s.ended_at"
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A session as it is judged, with what stands around it, all read in one statement."""

    session: SessionRow
    account_uuid: str | None
    key_state: str | None
    key_expires_at: int | None
    installation_position: int
    """The installation's access position."""


async def session_to_judge(session: Session, token: bytes) -> Shown | None:
    """Give the session of a token's SHA-256, with the access position of the installation.

    One statement, so that the position is no newer than the facts (as `access.key_to_judge`).
    """
    row = await session.one(
        f"SELECT {_SESSION}, a.uuid, k.state, k.expires_at, i.access_position FROM session s"
        " JOIN head i ON i.entity_id = $2 LEFT JOIN account a ON a.id = s.account_id"
        " LEFT JOIN api_key k ON k.id = s.api_key_id WHERE s.token = $1",
        token,
        INSTALLATION_ID,
    )
    return Shown(SessionRow(*row[:12]), *row[12:]) if row else None


@dataclass(frozen=True, slots=True)
class Membership:
    """A member whom a session names, with the organisation and its access position."""

    member_id: int
    account_id: int | None
    entity: Entity
    access_position: int
    is_chosen: bool
    """Whether this session has chosen the membership before."""


async def membership_to_judge(
    session: Session, session_id: int, *, uuid: str | None = None, member_id: int | None = None
) -> Membership | None:
    """Give the member of a uuid or an internal id, in one statement as above."""
    row = await session.one(
        "SELECT m.id, m.account_id, h.access_position,"
        " EXISTS (SELECT 1 FROM session_choice c WHERE c.session_id = $2 AND c.member_id = m.id),"
        " e.id, e.uuid, e.name, e.state, e.settings, e.origin, e.created_at"
        " FROM member m JOIN entity e ON e.id = m.entity_id JOIN head h ON h.entity_id = e.id"
        f" WHERE {'m.uuid' if member_id is None else 'm.id'} = $1",
        uuid if member_id is None else member_id,
        session_id,
    )
    return Membership(row[0], row[1], entity_from(row[4:]), row[2], bool(row[3])) if row else None


async def add_session(session: Session, values: Mapping[str, Any]) -> int:
    """Add a session from its columns; give the internal id."""
    return await add_row(session, "session", values)


async def choose(session: Session, session_id: int, member_id: int) -> bool:
    """Note that a session chose a membership; False when it had before."""
    row = await session.one(
        "INSERT INTO session_choice (session_id, member_id) VALUES ($1, $2)"
        " ON CONFLICT (session_id, member_id) DO NOTHING RETURNING 1",
        session_id,
        member_id,
    )
    return row is not None


async def sessions_of(session: Session, account_id: int, at: int, idle: int) -> list[SessionRow]:
    """Give the web sessions of an account that live at a time, the one seen last first.

    `idle` is how long one lives without being used, in microseconds.
    """
    rows = await session.all(
        f"SELECT {_SESSION} FROM session s WHERE s.account_id = $1 AND s.kind = 'web'"
        " AND s.ended_at IS NULL AND s.expires_at > $2 AND s.seen_at > $3"
        " ORDER BY s.seen_at DESC, s.id DESC",
        account_id,
        at,
        at - idle,
    )
    return [SessionRow(*row) for row in rows]


async def session_by_id(session: Session, session_id: int) -> SessionRow | None:
    """Give the session of an internal id."""
    row = await session.one(f"SELECT {_SESSION} FROM session s WHERE s.id = $1", session_id)
    return SessionRow(*row) if row else None


async def end_session(session: Session, session_id: int, at: int) -> None:
    """End a session; its token opens nothing any more."""
    await session.run("UPDATE session SET ended_at = $2 WHERE id = $1", session_id, at)


async def set_token(session: Session, session_id: int, token: bytes) -> None:
    """Give a session another token, of which this is the SHA-256; the old one is unknown."""
    await session.run("UPDATE session SET token = $2 WHERE id = $1", session_id, token)


async def is_known_device(session: Session, account_id: int, device: bytes) -> bool:
    """Whether an account has had a session on a device, by SHA-256 of the device's cookie."""
    row = await session.one(
        "SELECT 1 FROM session WHERE account_id = $1 AND device = $2 LIMIT 1", account_id, device
    )
    return row is not None


async def note_seen(session: Session, seen: Mapping[int, int]) -> None:
    """Note when sessions were last used (microseconds); no entry, as for keys."""
    await session.write(Update("session", ["id"], ["seen_at"], list(seen.items())))


async def forget(session: Session, sessions_before: int, at: int, most: int = 500) -> None:
    """Delete, some at a time, what is over: sessions that ended long ago, codes, old failures.

    `sessions_before` is the expiry up to which sessions are forgotten, and their devices with them.
    """
    await session.run(
        "DELETE FROM session_choice WHERE session_id IN"
        " (SELECT id FROM session WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2)",
        sessions_before,
        most,
    )
    await session.run(
        "DELETE FROM session WHERE id IN"
        " (SELECT id FROM session WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2)",
        sessions_before,
        most,
    )
    await session.run(
        "DELETE FROM challenge WHERE id IN (SELECT id FROM challenge WHERE expires_at <= $1"
        " ORDER BY expires_at LIMIT $2)",
        at,
        most,
    )


async def forget_failures(session: Session, before: int, most: int = 500) -> None:
    """Delete failed sign-ins older than a time, some at a time."""
    await session.run(
        "DELETE FROM sign_in_failure WHERE name IN (SELECT name FROM sign_in_failure"
        " WHERE at <= $1 AND locked_until <= $1 ORDER BY at LIMIT $2)",
        before,
        most,
    )


# -- codes and links on their way ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Challenge:
    """A code or link on its way."""

    id: int
    uuid: str
    token: bytes
    purpose: str
    account_id: int | None
    channel: str
    code: bytes | None
    tries: int
    payload: str
    expires_at: int


_CHALLENGE: Final = (
    "c.id, c.uuid, c.token, c.purpose, c.account_id, c.channel, c.code, c.tries, c.payload,"
    " c.expires_at"
)


def _challenge(row: Row) -> Challenge:
    values = list(row)
    values[2] = bytes(values[2])
    values[6] = None if values[6] is None else bytes(values[6])
    return Challenge(*values)


async def add_challenge(session: Session, values: Mapping[str, Any]) -> int:
    """Add a challenge from its columns; give the internal id."""
    return await add_row(session, "challenge", values)


async def challenge_of(session: Session, token: bytes) -> Challenge | None:
    """Give the challenge of a token's SHA-256, locked so that tries come one after another."""
    row = await session.one(
        f"SELECT {_CHALLENGE} FROM challenge c WHERE c.token = $1" + session.for_update, token
    )
    return _challenge(row) if row else None


async def newest_challenge(
    session: Session, account_id: int | None, username: str, at: int
) -> Challenge | None:
    """Give the newest living challenge with a code of an account, or for a user name to be."""
    row = await session.one(
        f"SELECT {_CHALLENGE} FROM challenge c WHERE c.expires_at > $1 AND c.channel <> 'link'"
        " AND (c.account_id = $2 OR c.username_key = $3) ORDER BY c.id DESC LIMIT 1",
        at,
        -1 if account_id is None else account_id,
        username.casefold(),
    )
    return _challenge(row) if row else None


async def count_try(session: Session, challenge_id: int) -> None:
    """Count a wrong try."""
    await session.run("UPDATE challenge SET tries = tries + 1 WHERE id = $1", challenge_id)


async def set_code(session: Session, challenge_id: int, code: bytes) -> None:
    """Give a challenge another code, of which this is the hash, and its tries anew."""
    await session.run("UPDATE challenge SET code = $2, tries = 0 WHERE id = $1", challenge_id, code)


async def drop_challenge(session: Session, challenge_id: int) -> None:
    """Delete a challenge: it was used."""
    await session.run("DELETE FROM challenge WHERE id = $1", challenge_id)


async def drop_links_of(session: Session, account_id: int) -> None:
    """Delete the links that are on their way to an account."""
    await session.run(
        "DELETE FROM challenge WHERE account_id = $1 AND channel = 'link'", account_id
    )


async def newest_link(session: Session, account_id: int) -> int | None:
    """Give when the newest link of an account was made, in microseconds."""
    row = await session.one(
        "SELECT max(created_at) FROM challenge WHERE account_id = $1 AND channel = 'link'",
        account_id,
    )
    return row[0] if row else None


async def drop_challenges_of(session: Session, account_id: int) -> None:
    """Delete everything that is on its way to an account."""
    await session.run("DELETE FROM challenge WHERE account_id = $1", account_id)


# -- failed sign-ins -----------------------------------------------------------------------------


async def failures_of(session: Session, name: bytes) -> tuple[int, int, int]:
    """Give (failures, locked until, time of the last one) of a hashed user name; zeros for none."""
    row = await session.one(
        "SELECT failures, locked_until, at FROM sign_in_failure WHERE name = $1"
        + session.for_update,
        name,
    )
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


async def set_failures(
    session: Session, name: bytes, failures: int, locked_until: int, at: int
) -> None:
    """Note the failures of a hashed user name."""
    await session.run(
        "INSERT INTO sign_in_failure (name, failures, locked_until, at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (name) DO UPDATE SET failures = excluded.failures,"
        " locked_until = excluded.locked_until, at = excluded.at",
        name,
        failures,
        locked_until,
        at,
    )


async def drop_failures(session: Session, name: bytes) -> None:
    """Forget the failures of a hashed user name."""
    await session.run("DELETE FROM sign_in_failure WHERE name = $1", name)
