"""Keys: the verdict on a credential, and the life of a key.

The order of the checks is the wire contract's (section 1): the key and its secret, the address,
the state, the organisation, the rules of super keys, the kind, on-behalf-of, the permission.
"""

import hashlib
import hmac
import json
import random
import re
import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, Literal

from onrecord.model import text, times
from onrecord.model.access import (
    INSTALLATION_ID,
    KEY_KINDS,
    PERMISSIONS,
    PROFILES,
    Actor,
    Judged,
    KeyRef,
    Kind,
    MemberRef,
)
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Member
from onrecord.store import access, people
from onrecord.store.access import Entity, Key
from onrecord.store.db import Session
from onrecord.store.work import Work

SECRET_BYTES: Final = 32
"""256 random bits; stored as SHA-256 only (contract, section 2)."""
PROVISION: Final = "can_provision"
"""The permission of identity providers; whoever has it has no other."""
_NOBODYS_SECRET: Final = hashlib.sha256(b"no key has this secret").digest()


@dataclass(slots=True)
class Credential:
    """What a request shows of itself, as the headers say."""

    kind: Literal["system", "master_user", "user", "session", "sdk"]
    api_key: str
    """The key's id; empty for sessions and SDK tokens, which are all secret."""
    secret_hash: bytes
    address: IPv4Address | IPv6Address | None
    """None: it cannot be told (a malformed header of a trusted proxy), which no CIDR allows."""
    entity_uuid: str | None = None
    """on-behalf-of-entity-uuid, of super keys."""
    on_behalf_of: str | None = None
    """The acting member: on-behalf-of of keys, the membership named by sessions."""
    contradiction: bool = False
    """The acting member differs between header and query parameter."""
    key: Key | None = None
    """The key, once it is known: refusals of it are counted."""
    is_known: bool = False
    """Whether there is, or was, such a session or SDK token."""
    is_bearer: bool = False
    """Whether a key came as one text, as identity providers send it: good for SCIM alone."""
    is_first_use: bool = False
    """Whether the session has not been used in this organisation before."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a call asks of whoever makes it."""

    kinds: frozenset[Kind]
    permissions: tuple[str, ...]
    """Any of these; the first one's error is told. Empty: none is needed."""
    acting: Literal["required", "optional", "none"]
    entity: Literal["required", "optional"] = "required"
    """Whether a super key must name the organisation."""
    reads: bool = False
    """Whether the call only reads (GET): system keys may, in a frozen organisation."""


def hash_secret(secret: str | bytes) -> bytes:
    """Give the form in which secrets are stored and compared."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


async def judge(session: Session, credential: Credential, demand: Demand) -> Actor:
    """Reach the verdict on a credential from the tables: an Actor, or the first Refusal."""
    key, judged = await _known_key(session, credential)
    _check_address(key, credential)
    owner = await _check_state(session, key)
    entity, judged = await _organisation(session, key, judged, credential, demand)
    _check_kind(Kind(key.kind), demand)
    _check_provisions(key, credential, demand)
    actor = Actor(
        kind=Kind(key.kind),
        entity_id=entity.id,
        entity_uuid=entity.uuid,
        member=await _acting_member(session, key, owner, entity, credential, demand),
        key=KeyRef(
            key.id,
            key.uuid,
            key.name,
            frozenset(key.permissions),
            _rate_limit(key.rate_limit),
        ),
        judged=judged,
        expires_at=_ends_at(key, credential),
    )
    admit(actor, demand)
    return actor


def admit(actor: Actor, demand: Demand) -> None:
    """Hold an actor against what a call asks: kind, acting member, permission, in this order."""
    _check_kind(actor.kind, demand)
    if demand.acting == "required" and actor.member is None:
        raise Refusal("RF004", "on-behalf-of must name the acting member")
    if actor.key is None or not demand.permissions:
        return
    if not any(permission in actor.key.permissions for permission in demand.permissions):
        raise Refusal(PERMISSIONS[demand.permissions[0]].refusal)


def _check_kind(kind: Kind, demand: Demand) -> None:
    if kind not in demand.kinds:
        raise Refusal("RF008", f"This call takes {taken(demand)}; this one is a {kind} key")


def taken(demand: Demand) -> str:
    """Say in words which credentials a call takes."""
    kinds = " and ".join(sorted(demand.kinds & KEY_KINDS))
    words = [f"keys of kind {kinds}"] if kinds else []
    words += [word for kind, word in _PERSONS.items() if kind in demand.kinds]
    return ", ".join(words)


_PERSONS: Final = {Kind.SESSION: "sessions", Kind.SDK: "SDK tokens"}


def _check_provisions(key: Key, credential: Credential, demand: Demand) -> None:
    """Keep keys of identity providers, and keys sent as these are, to SCIM (RF008)."""
    if PROVISION in demand.permissions:
        return
    if PROVISION in key.permissions:
        raise Refusal("RF008", "This key is for SCIM alone")
    if credential.is_bearer:
        raise Refusal("RF008", "Here a key's id and secret go into headers of their own")


async def _known_key(session: Session, credential: Credential) -> tuple[Key, Judged]:
    found = await access.key_to_judge(session, credential.api_key)
    headers_of = {"system": {"system", "super"}}.get(credential.kind, {credential.kind})
    if found is not None and found[0].kind not in headers_of:
        found = None  # a key's id in another kind's headers is unknown
    stored = found[0].secret_hash if found else _NOBODYS_SECRET
    right = hmac.compare_digest(stored, credential.secret_hash)
    if found is None:
        raise Refusal("RU001")
    key, entity_position, installation_position = found
    credential.key = key
    if not right and not _is_old_secret(key, credential.secret_hash):
        raise Refusal("RU001")
    return key, Judged(entity_position, installation_position)


def _is_old_secret(key: Key, secret_hash: bytes) -> bool:
    """Whether this is the secret before the rotation, while that still works."""
    if key.old_secret_hash is None or (key.old_secret_until or 0) <= times.now():
        return False
    return hmac.compare_digest(key.old_secret_hash, secret_hash)


def _check_address(key: Key, credential: Credential) -> None:
    if not key.cidr_blocks:
        return
    address = credential.address
    if address is None or not any(address in ip_network(block) for block in key.cidr_blocks):
        raise Refusal("RU004")


async def _check_state(session: Session, key: Key) -> Member | None:
    """Refuse a key that has stopped working; give the owner of a user key."""
    if key.state != "active":
        raise Refusal("RU002")
    if key.expires_at is not None and key.expires_at <= times.now():
        raise Refusal("RU002", "The key has expired")
    if key.kind != Kind.USER:
        return None
    owner = await people.member_by_id(session, key.member_id or 0)
    entity = await access.entity_by_id(session, key.entity_id)
    allowed = entity is not None and entity.settings.get("allow_user_api_keys", False)
    if owner is None or owner.state != "active" or not owner.is_staff or not allowed:
        raise Refusal("RU002", "The key's owner may not use keys")
    return owner


async def _organisation(
    session: Session, key: Key, judged: Judged, credential: Credential, demand: Demand
) -> tuple[Entity, Judged]:
    """Give the organisation the key acts in and the access positions the verdict rests on."""
    named = credential.entity_uuid
    entity: Entity | None
    if key.kind == Kind.SUPER and named is not None:
        entity, judged = await _named_organisation(session, named, judged)
    else:
        entity = await access.entity_by_id(session, key.entity_id)
    if entity is None:
        raise Refusal("RN007")
    if entity.state == "inactive":
        raise Refusal("RN900")
    if entity.state == "frozen" and not (demand.reads and key.kind in SYSTEM_KINDS):
        raise Refusal("RN902")
    if key.kind == Kind.SUPER and named is None and demand.entity == "required":
        raise Refusal("RF736")
    if key.kind != Kind.SUPER and named is not None:
        raise Refusal("RF841")
    return entity, judged


async def _named_organisation(
    session: Session, named: str, judged: Judged
) -> tuple[Entity, Judged]:
    found = await access.entity_to_judge(session, named.lower())
    if found is None or found[0].id == INSTALLATION_ID:
        raise Refusal("RN007")
    return found[0], Judged(found[1], judged.installation)


SYSTEM_KINDS: Final = frozenset({Kind.SYSTEM, Kind.SUPER})


async def _acting_member(
    session: Session,
    key: Key,
    owner: Member | None,
    entity: Entity,
    credential: Credential,
    demand: Demand,
) -> MemberRef | None:
    if demand.acting == "none" or key.kind in SYSTEM_KINDS:
        return owner.ref if owner else None
    if credential.contradiction:
        raise Refusal("RF004", "on-behalf-of differs between header and query parameter")
    named = credential.on_behalf_of
    if owner is not None:
        if named is not None and named.lower() != owner.uuid:
            raise Refusal("RF004", "on-behalf-of is not the key's owner")
        return owner.ref
    if named is not None:
        return await _on_behalf_of(session, entity, named)
    if demand.acting == "required":
        raise Refusal("RF004", "on-behalf-of must name the acting member")
    return None


async def _on_behalf_of(session: Session, entity: Entity, named: str) -> MemberRef:
    if not text.is_uuid(named):
        raise Refusal("RF004", "on-behalf-of is not a UUID")
    member = await people.member_of(session, entity.id, named.lower())
    if member is None:
        raise Refusal("RN006", "on-behalf-of names no member of this organisation")
    if PROFILES[member.profile].side == "butler":
        raise Refusal("RB035")
    if member.state != "active":
        raise Refusal("RF024", "The member named in on-behalf-of is not active")
    return member.ref


def _ends_at(key: Key, credential: Credential) -> int | None:
    """When this very secret stops working by itself."""
    ends = [key.expires_at]
    if credential.secret_hash != key.secret_hash:
        ends.append(key.old_secret_until)
    known = [end for end in ends if end is not None]
    return min(known) if known else None


def _rate_limit(value: str | None) -> tuple[int, int] | None:
    """Read "N/SECONDS"."""
    if value is None:
        return None
    requests, seconds = value.split("/")
    return int(requests), int(seconds)


# -- the life of a key ---------------------------------------------------------------------------

BLOCKS_MOST: Final = 100
"""Blocks of one key: each request looks at all of them."""
OVERLAP_MOST: Final = 30 * 86_400
"""How long an old secret may work on, in seconds."""
PAGE_STREAMED: Final = 200
"""How many keys are read in one go where all are asked for."""


class Unchanged(Enum):
    """What stands for no new value, where None is one."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as made; the secret is shown this once."""

    api_key_uuid: str
    api_key: str
    secret: str


async def create(
    work: Work,
    *,
    kind: Kind,
    name: str,
    permissions: Sequence[str],
    cidr_blocks: Sequence[str] = (),
    member_uuid: str | None = None,
    expires_at: int | None = None,
    rate_limit: str | None = None,
) -> NewKey:
    """Make a key in the actor's organisation (super keys: in the installation).

    RB002: no CIDR block on a super key. RB785: no owner for a user key. RB003: an unknown
    permission or one this kind cannot have, a malformed block or limit. RN006, RB019: the owner is
    nobody or no active staff member. RB019 too: a super key in an organisation, or another in the
    installation. RF888: a user key where the organisation does not allow them. RF731 to RF735: a
    permission that the key which makes it lacks itself.
    """
    if (kind is Kind.SUPER) != (work.actor.entity_id == INSTALLATION_ID):
        raise Refusal("RB019", "Super keys, and no others, belong to the installation")
    text.check("name", name, least=1, most=text.NAME_MAX)
    permissions = _checked_permissions(kind, permissions)
    _check_hands_out(work, permissions)
    blocks = _checked_blocks(kind, cidr_blocks)
    _check_end(expires_at)
    owner = await _owner(work, kind, member_uuid)
    key = NewKey(
        str(uuid.uuid4()),
        "ork-" + secrets.token_hex(12),
        secrets.token_urlsafe(SECRET_BYTES),
    )
    limit = _checked_limit(rate_limit)
    await access.add_key(
        work.db,
        {
            "uuid": key.api_key_uuid,
            "api_key": key.api_key,
            "entity_id": work.actor.entity_id,
            "kind": kind.value,
            "name": name,
            "secret_hash": hash_secret(key.secret),
            "permissions": json.dumps(permissions),
            "cidr_blocks": json.dumps(blocks),
            "state": "active",
            "member_id": owner.id if owner else None,
            "expires_at": expires_at,
            "rate_limit": limit,
            "created_at": times.now(),
        },
    )
    ids = {"api_key_uuid": key.api_key_uuid}
    data = {"kind": kind.value, "permissions": permissions, "cidr_blocks": blocks}
    if owner:
        ids["entity_user_xref_uuid"] = owner.uuid
    if expires_at is not None:
        data["expires_at"] = times.wire(expires_at)
    if limit is not None:
        data["rate_limit"] = limit
    work.record("key.created", ids=ids, data=data, parts={"name": name})
    return key


def _checked_permissions(kind: Kind, names: Sequence[str]) -> list[str]:
    for name in names:
        row = PERMISSIONS.get(name)
        if row is None:
            raise malformed("permissions", f"holds {name[:60]}, which is no permission")
        if kind not in row.kinds:
            raise malformed("permissions", f"holds {name}, which a {kind} key cannot have")
    if "can_provision" in names and len(set(names)) > 1:
        raise malformed("permissions", "holds can_provision, which stands alone")
    return sorted(set(names))


def _check_hands_out(work: Work, permissions: Collection[str]) -> None:
    """Refuse a key that hands out a permission it lacks (decision 0027); people may hand out all.

    Permissions that no system key can hold are the right of whoever may write.
    """
    acting = work.actor.key
    if acting is None:
        return
    for name, row in PERMISSIONS.items():
        handed = name in permissions and name not in acting.permissions
        if handed and name != "can_provision" and work.actor.kind in row.kinds:
            raise Refusal(row.refusal, f"The key lacks {name} itself, so it cannot hand it out")


def _checked_blocks(kind: Kind, blocks: Sequence[str]) -> list[str]:
    if kind is Kind.SUPER and not blocks:
        raise Refusal("RB002", "cidr_blocks is required for a super key")
    if len(blocks) > BLOCKS_MOST:
        raise malformed("cidr_blocks", f"holds more than {BLOCKS_MOST} blocks")
    return list(dict.fromkeys(_checked_block(block) for block in blocks))


def _check_end(expires_at: int | None) -> None:
    if expires_at is not None and expires_at <= times.now():
        raise malformed("expires_at", "lies in the past")


def _checked_block(block: str) -> str:
    try:
        return str(ip_network(block.strip(), strict=False))
    except ValueError:
        raise malformed("cidr_blocks", f"holds {block[:60]}, which is no CIDR block") from None


def _checked_limit(value: str | None) -> str | None:
    if value is None:
        return None
    match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", value)
    if match is None:
        raise malformed("rate_limit", "is not N/SECONDS")
    requests, seconds = map(int, match.groups())
    if not requests or not seconds:
        raise malformed("rate_limit", "must not be zero")
    return f"{requests}/{seconds}"


async def _owner(work: Work, kind: Kind, member_uuid: str | None) -> Member | None:
    if kind is not Kind.USER:
        if member_uuid is not None:
            raise malformed("entity_user_xref_uuid", "is for user keys only")
        return None
    entity = await access.entity_by_id(work.db, work.actor.entity_id)
    if entity is None or not entity.settings.get("allow_user_api_keys", False):
        raise Refusal("RF888", "The organisation does not allow user keys")
    if member_uuid is None:
        raise Refusal("RB785", "A user key needs its owner")
    owner = await people.member_of(
        work.db, work.actor.entity_id, text.check_uuid("entity_user_xref_uuid", member_uuid)
    )
    if owner is None:
        raise Refusal("RN006")
    if owner.state != "active" or not owner.is_staff:
        raise Refusal("RB019", "Only active staff can own a key")
    return owner


async def _here(work: Work, named: str) -> Key:
    """Give the key of an id (`ork-…`) or a uuid in the actor's organisation; RN008."""
    if text.is_uuid(named):
        key = await access.key_of_uuid(work.db, named.lower())
    else:
        key = await access.key_of(work.db, named)
    if key is None or key.entity_id != work.actor.entity_id or key.state == "destroyed":
        raise Refusal("RN008", "There is no such key")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class NewValues:
    """What of a key is to be changed; UNCHANGED leaves a thing as it is, None clears it."""

    name: str | Unchanged = UNCHANGED
    permissions: Sequence[str] | Unchanged = UNCHANGED
    cidr_blocks: Sequence[str] | Unchanged = UNCHANGED
    expires_at: int | Unchanged | None = UNCHANGED
    rate_limit: str | Unchanged | None = UNCHANGED


async def update(work: Work, named: str, new: NewValues) -> Key:
    """Change a key and give it as it is now; the same values again change nothing.

    RN008: there is no such key. RB019: it was deactivated. RB002, RB003 as in `create`. RF731 to
    RF735: a permission is added that the acting key lacks; what the changed key has, it may keep.
    An expired key that gets another end is given out anew, with all its permissions.
    """
    key = await _here(work, named)
    if key.state != "active":
        raise Refusal("RB019", "A deactivated key cannot be changed")
    changed = _changed(key, new)
    expired = key.expires_at is not None and key.expires_at <= times.now()
    revived = expired and changed.expires_at != key.expires_at
    held = () if revived else key.permissions
    _check_hands_out(work, set(changed.permissions) - set(held))
    if changed == key:
        return key
    await access.change_key(work.db, changed)
    data: dict[str, Any] = {
        "permissions": changed.permissions,
        "cidr_blocks": changed.cidr_blocks,
    }
    if changed.expires_at is not None:
        data["expires_at"] = times.wire(changed.expires_at)
    if changed.rate_limit is not None:
        data["rate_limit"] = changed.rate_limit
    parts = {} if changed.name == key.name else {"name": changed.name}
    work.record("key.updated", ids={"api_key_uuid": key.uuid}, data=data, parts=parts)
    return changed


def _changed(key: Key, new: NewValues) -> Key:
    """Give the key with its new values, checked."""
    kind = Kind(key.kind)
    changes: dict[str, Any] = {}
    if not isinstance(new.name, Unchanged):
        changes["name"] = text.check("name", new.name, least=1, most=text.NAME_MAX)
    if not isinstance(new.permissions, Unchanged):
        changes["permissions"] = _checked_permissions(kind, new.permissions)
    if not isinstance(new.cidr_blocks, Unchanged):
        changes["cidr_blocks"] = _checked_blocks(kind, new.cidr_blocks)
    if not isinstance(new.expires_at, Unchanged) and new.expires_at != key.expires_at:
        _check_end(new.expires_at)
        changes["expires_at"] = new.expires_at
    if not isinstance(new.rate_limit, Unchanged):
        changes["rate_limit"] = _checked_limit(new.rate_limit)
    return replace(key, **changes)


async def deactivate(work: Work, named: str) -> Key:
    """Stop a key for good (RN008 for an unknown one); stopping it twice changes nothing."""
    key = await _here(work, named)
    if key.state == "active":
        await access.stop_key(work.db, key.id, "deactivated")
        work.record("key.deactivated", ids={"api_key_uuid": key.uuid})
    return replace(key, state="deactivated")


async def owned_by(work: Work, member: Member) -> list[str]:
    """Give the uuids of the user keys of a member that have not been stopped."""
    return [
        key.uuid
        for key in await access.keys_of(work.db, work.actor.entity_id)
        if key.member_id == member.id and key.state == "active"
    ]


async def destroy(work: Work, named: str) -> None:
    """Stop a key and take it off every list; its row stays, for what was done with it (RN008)."""
    key = await _here(work, named)
    await access.stop_key(work.db, key.id, "destroyed")
    work.record("key.destroyed", ids={"api_key_uuid": key.uuid})


async def deactivate_user_keys(work: Work) -> None:
    """Stop every user key of the actor's organisation for good."""
    for key in await access.keys_of(work.db, work.actor.entity_id):
        if key.kind == Kind.USER:
            await deactivate(work, key.api_key)


async def rotate(work: Work, named: str, overlap_seconds: int = 0) -> NewKey:
    """Give a key a new secret; the old one works `overlap_seconds` more (0 to 30 days).

    RN008 for an unknown key, RB019 for one that does not work any more. RF731 to RF735: the key
    can do what the acting key cannot, and who gets the secret can do it too.
    """
    if not 0 <= overlap_seconds <= OVERLAP_MOST:
        raise malformed("overlap_seconds", f"must be between 0 and {OVERLAP_MOST}")
    key = await _here(work, named)
    if key.state != "active":
        raise Refusal("RB019", "A deactivated key cannot be rotated")
    _check_hands_out(work, key.permissions)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    until = times.now() + overlap_seconds * times.SECOND if overlap_seconds else None
    old = key.secret_hash if overlap_seconds else None
    await access.rotate_key(work.db, key.id, hash_secret(secret), old, until)
    data = {"overlap_until": times.wire(until)} if until else {}
    work.record("key.rotated", ids={"api_key_uuid": key.uuid}, data=data)
    return NewKey(key.uuid, key.api_key, secret)


def note_denied(work: Work, api_key_uuid: str, error_code: str, count: int) -> None:
    """Put refused uses of a known key on record, counted over a minute."""
    work.record(
        "key.used_denied",
        ids={"api_key_uuid": api_key_uuid},
        data={"error_code": error_code, "count": count},
    )


def parse_address(value: str) -> IPv4Address | IPv6Address:
    """Read an address; an IPv4-mapped IPv6 address is IPv4. ValueError for anything else."""
    address = ip_address(value)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def request_id() -> str:
    """Make the id of a request: 128 bits in hexadecimal that no other request has."""
    return f"{random.getrandbits(128):032x}"


async def listed(work: Work) -> list[dict[str, Any]]:
    """Give the keys of the actor's organisation as the wire lists them, oldest first."""
    return [await shown(work, key) for key in await access.keys_of(work.db, work.actor.entity_id)]


async def page(
    work: Work, *, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Give a page of these keys, and the next cursor; `limit` counts keys, 1 to 1,000 (RB003)."""
    (after,) = read_cursor(cursor)
    found = await access.keys_of(work.db, work.actor.entity_id, after, limit + 1)
    following = cursor_after(found[limit - 1].id) if len(found) > limit else None
    return [await shown(work, key) for key in found[:limit]], following


async def shown(work: Work, key: Key) -> dict[str, Any]:
    """Give a key as the wire shows it; its secret is nowhere."""
    owner = await people.member_by_id(work.db, key.member_id) if key.member_id else None
    expired = key.expires_at is not None and key.expires_at <= times.now()
    return {
        "api_key_uuid": key.uuid,
        "api_key": key.api_key,
        "kind": key.kind,
        "name": key.name,
        "permissions": list(key.permissions),
        "cidr_blocks": list(key.cidr_blocks),
        "state": "expired" if expired and key.state == "active" else key.state,
        "entity_user_xref_uuid": owner.uuid if owner else None,
        "expires_at": times.wire_or_none(key.expires_at),
        "last_used_at": times.wire_or_none(key.last_used_at),
        "rate_limit": key.rate_limit,
        "created_at": times.wire(key.created_at),
    }
