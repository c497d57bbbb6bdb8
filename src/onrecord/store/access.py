"""Organisations, accounts and keys: who may knock."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from onrecord.model.access import INSTALLATION_ID
from onrecord.store.db import Row, Session, Update, add_row


@dataclass(frozen=True, slots=True)
class Entity:
    """An organisation."""

    id: int
    uuid: str
    name: str
    state: str
    settings: Mapping[str, Any]
    origin: str
    created_at: int


_ENTITY: Final = "e.id, e.uuid, e.name, e.state, e.settings, e.origin, e.created_at"


def entity_from(row: Row) -> Entity:
    """Make an organisation of the columns of `_ENTITY`."""
    number, uuid, name, state, settings, origin, created_at = row
    return Entity(number, uuid, name, state, json.loads(settings), origin, created_at)


async def entity_of(session: Session, uuid: str) -> Entity | None:
    """Give the organisation of a UUID."""
    row = await session.one(
        f"SELECT {_ENTITY} FROM entity e WHERE e.uuid = $1",
        uuid,
    )
    return entity_from(row) if row else None


async def entity_by_id(session: Session, entity_id: int) -> Entity | None:
    """Give the organisation of an internal id."""
    row = await session.one(
        f"SELECT {_ENTITY} FROM entity e WHERE e.id = $1",
        entity_id,
    )
    return entity_from(row) if row else None


async def entities(session: Session) -> list[Entity]:
    """Give every organisation but the installation, oldest first."""
    rows = await session.all(
        f"SELECT {_ENTITY} FROM entity e WHERE e.id <> $1 ORDER BY e.id",
        INSTALLATION_ID,
    )
    return [entity_from(row) for row in rows]


async def add_entity(session: Session, uuid: str, name: str, origin: str, at: int) -> int:
    """Add an organisation and its head row; give the internal id."""
    number = await add_row(
        session,
        "entity",
        {
            "uuid": uuid,
            "name": name,
            "state": "active",
            "settings": "{}",
            "origin": origin,
            "created_at": at,
        },
    )
    await session.run(
        "INSERT INTO head (entity_id, position, at, access_position, hashes)"
        " VALUES ($1, 0, 0, 0, $2)",
        number,
        b"",
    )
    return number


async def set_origin(session: Session, entity_id: int, origin: str) -> None:
    """Set the origin line of an organisation's checkpoints, before its first entry."""
    await session.run("UPDATE entity SET origin = $2 WHERE id = $1", entity_id, origin)


async def set_entity_state(session: Session, entity_id: int, state: str) -> None:
    """Set an organisation's state."""
    await session.run("UPDATE entity SET state = $2 WHERE id = $1", entity_id, state)


async def set_entity_name(session: Session, entity_id: int, name: str) -> None:
    """Set an organisation's name."""
    await session.run("UPDATE entity SET name = $2 WHERE id = $1", entity_id, name)


async def set_entity_settings(
    session: Session, entity_id: int, settings: Mapping[str, Any]
) -> None:
    """Set an organisation's settings, all of them."""
    await session.run(
        "UPDATE entity SET settings = $2 WHERE id = $1",
        entity_id,
        json.dumps(settings, sort_keys=True),
    )


# -- accounts ------------------------------------------------------------------------------------


async def add_account(
    session: Session,
    uuid: str,
    username: str,
    password: str,
    email: str | None,
    phone_number: str | None,
    at: int,
) -> int:
    """Add an account; `password` is already hashed. Give the internal id."""
    return await add_row(
        session,
        "account",
        {
            "uuid": uuid,
            "username": username,
            "username_key": username.casefold(),
            "password": password,
            "email": email,
            "phone_number": phone_number,
            "created_at": at,
        },
    )


# -- keys ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as stored."""

    id: int
    uuid: str
    api_key: str
    entity_id: int
    kind: str
    name: str
    secret_hash: bytes
    old_secret_hash: bytes | None
    old_secret_until: int | None
    permissions: Sequence[str]
    cidr_blocks: Sequence[str]
    state: str
    member_id: int | None
    expires_at: int | None
    rate_limit: str | None
    last_used_at: int | None
    created_at: int


_KEY: Final = (
    "k.id, k.uuid, k.api_key, k.entity_id, k.kind, k.name, k.secret_hash, k.old_secret_hash,"
    " k.old_secret_until, k.permissions, k.cidr_blocks, k.state, k.member_id, k.expires_at,"
    " k.rate_limit, k.last_used_at, k.created_at"
)


def _key(row: Row) -> Key:
    values = list(row)
    values[6] = bytes(values[6])
    values[7] = None if values[7] is None else bytes(values[7])
    values[9] = json.loads(values[9])
    values[10] = json.loads(values[10])
    return Key(*values)


async def key_of(session: Session, api_key: str) -> Key | None:
    """Give the key of a key id."""
    row = await session.one(
        f"SELECT {_KEY} FROM api_key k WHERE k.api_key = $1",
        api_key,
    )
    return _key(row) if row else None


async def key_of_uuid(session: Session, uuid: str) -> Key | None:
    """Give the key of a UUID."""
    row = await session.one(
        f"SELECT {_KEY} FROM api_key k WHERE k.uuid = $1",
        uuid,
    )
    return _key(row) if row else None


async def key_to_judge(session: Session, api_key: str) -> tuple[Key, int, int] | None:
    """Give the key with the access positions of its organisation and of the installation.

    One statement, so that the positions are no newer than the facts: what a verdict reads later
    can only make it look older than it is, and it is reached again.
    """
    row = await session.one(
        f"SELECT {_KEY}, h.access_position, i.access_position FROM api_key k"
        " JOIN head h ON h.entity_id = k.entity_id JOIN head i ON i.entity_id = $2"
        " WHERE k.api_key = $1",
        api_key,
        INSTALLATION_ID,
    )
    return (_key(row[:-2]), row[-2], row[-1]) if row else None


async def entity_to_judge(session: Session, uuid: str) -> tuple[Entity, int] | None:
    """Give the organisation of a UUID with its access position, in one statement as above."""
    row = await session.one(
        f"SELECT {_ENTITY}, h.access_position FROM entity e JOIN head h ON h.entity_id = e.id"
        " WHERE e.uuid = $1",
        uuid,
    )
    return (entity_from(row[:-1]), row[-1]) if row else None


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose user keys are asked for: a member's own, and everybody's but those of a role."""

    member_id: int
    but_of_profile: int | None = None


async def keys_of(
    session: Session,
    entity_id: int,
    after: int = 0,
    limit: int = 2**31,
    *,
    of: Whose | None = None,
) -> list[Key]:
    """Give an organisation's keys after an internal id, oldest first; none that was destroyed."""
    values: list[int] = [entity_id, after, limit]
    whose = ""
    if of is not None:
        others = "FALSE"
        values.append(of.member_id)
        if of.but_of_profile is not None:
            values.append(of.but_of_profile)
            others = "(SELECT m.profile FROM member m WHERE m.id = k.member_id) <> $5"
        whose = f" AND k.kind = 'user' AND (k.member_id = $4 OR {others})"
    rows = await session.all(
        f"SELECT {_KEY} FROM api_key k WHERE k.entity_id = $1 AND k.id > $2"
        f" AND k.state <> 'destroyed'{whose} ORDER BY k.id LIMIT $3",
        *values,
    )
    return [_key(row) for row in rows]


async def add_key(session: Session, key: Mapping[str, Any]) -> int:
    """Add a key from its columns; give the internal id."""
    return await add_row(session, "api_key", key)


async def stop_key(session: Session, key_id: int, state: str) -> None:
    """Stop a key (`deactivated`, `destroyed`); an overlap of an earlier rotation ends with it."""
    await session.run(
        "UPDATE api_key SET state = $2, old_secret_hash = NULL,"
        " old_secret_until = NULL WHERE id = $1",
        key_id,
        state,
    )


async def change_key(session: Session, key: Key) -> None:
    """Store what may be changed of a key: name, permissions, addresses, end and limit."""
    await session.run(
        "UPDATE api_key SET name = $2, permissions = $3, cidr_blocks = $4, expires_at = $5,"
        " rate_limit = $6 WHERE id = $1",
        key.id,
        key.name,
        json.dumps(list(key.permissions)),
        json.dumps(list(key.cidr_blocks)),
        key.expires_at,
        key.rate_limit,
    )


async def rotate_key(
    session: Session, key_id: int, new: bytes, old: bytes | None, until: int | None
) -> None:
    """Give a key a new secret; the old one works until `until`."""
    await session.run(
        "UPDATE api_key SET secret_hash = $2, old_secret_hash = $3, old_secret_until = $4"
        " WHERE id = $1",
        key_id,
        new,
        old,
        until,
    )


async def note_key_uses(session: Session, uses: Mapping[int, int]) -> None:
    """Note when keys were last used (microseconds); no entry, this is no change of anybody's."""
    await session.write(Update("api_key", ["id"], ["last_used_at"], list(uses.items())))


# -- idempotency ---------------------------------------------------------------------------------


async def stored_answers(
    session: Session, wanted: Sequence[tuple[str, str]], at: int
) -> dict[tuple[str, str], tuple[bytes, bytes, bool]]:
    """Give the answers stored under (scope, key): digest of the request, answer, withheld."""
    found = {}
    for scope, key in wanted:
        row = await session.one(
            "SELECT request, answer, withheld FROM idempotency"
            " WHERE scope = $1 AND key = $2 AND until > $3",
            scope,
            key,
            at,
        )
        if row is not None:
            found[scope, key] = (bytes(row[0]), bytes(row[1]), bool(row[2]))
    return found


async def keep_answer(
    session: Session,
    scope: str,
    key: str,
    request: bytes,
    answer: bytes,
    *,
    withheld: bool,
    at: int,
    until: int,
) -> bool:
    """Keep an answer in the transaction of its change; False when another work was first."""
    row = await session.one(
        "INSERT INTO idempotency (scope, key, request, answer, withheld, until)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scope, key) DO UPDATE"
        " SET request = excluded.request, answer = excluded.answer,"
        " withheld = excluded.withheld, until = excluded.until"
        " WHERE idempotency.until <= $7 RETURNING 1",
        scope,
        key,
        request,
        answer,
        int(withheld),
        until,
        at,
    )
    return row is not None


async def forget_answers(session: Session, at: int, most: int = 500) -> None:
    """Delete answers and slices whose time is over, some at a time."""
    await session.run(
        "DELETE FROM idempotency WHERE (scope, key) IN (SELECT scope, key FROM idempotency"
        " WHERE until <= $1 LIMIT $2)",
        at,
        most,
    )
    await session.run(
        "DELETE FROM slice WHERE (scope, key) IN (SELECT scope, key FROM slice"
        " WHERE until <= $1 LIMIT $2)",
        at,
        most,
    )


async def slices_of(session: Session, scope: str, key: str, at: int) -> list[tuple[bytes, bytes]]:
    """Give (digest of the request, answer) of each slice done so far, the plan first.

    The plan's time is that of all: what a retry did hours later must not outlive it.
    """
    rows = await session.all(
        "SELECT request, answer FROM slice WHERE scope = $1 AND key = $2 AND EXISTS (SELECT 1"
        " FROM slice p WHERE p.scope = $1 AND p.key = $2 AND p.number = 0 AND p.until > $3)"
        " ORDER BY number",
        scope,
        key,
        at,
    )
    return [(bytes(row[0]), bytes(row[1])) for row in rows]


async def keep_slice(
    session: Session, scope: str, key: str, number: int, request: bytes, answer: bytes, until: int
) -> bool:
    """Keep what became of a slice, with its changes; False when another process did it first."""
    row = await session.one(
        "INSERT INTO slice (scope, key, number, request, answer, until)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scope, key, number) DO NOTHING RETURNING 1",
        scope,
        key,
        number,
        request,
        answer,
        until,
    )
    return row is not None


async def entity_uuid_of_key(session: Session, api_key: str) -> str | None:
    """Give the uuid of the organisation (or installation) that a key belongs to."""
    row = await session.one(
        "SELECT e.uuid FROM api_key k JOIN entity e ON e.id = k.entity_id WHERE k.api_key = $1",
        api_key,
    )
    return row[0] if row else None
