"""Credentials: what a request shows of itself, what a call asks, and the verdict on keys.

The order of the checks is the wire contract's (section 1): the key and its secret, the address,
the state, the organisation, the rules of super keys, the kind, on-behalf-of, the permission.
"""

import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal

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
from onrecord.model.errors import Refusal
from onrecord.model.people import Member
from onrecord.store import access, people
from onrecord.store.access import Entity, Key
from onrecord.store.db import Session

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
    """More than one acting member is named, by header and query parameter."""
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
    roles: frozenset[int] = frozenset()
    """Profiles of persons, any of these; empty: the role is no matter of the call."""


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
            rate_limit(key.rate_limit),
        ),
        judged=judged,
        expires_at=_ends_at(key, credential),
    )
    admit(actor, demand)
    return actor


def admit(actor: Actor, demand: Demand) -> None:
    """Hold an actor against what a call asks: kind, acting member, permission or role, in order."""
    _check_kind(actor.kind, demand)
    if demand.acting == "required" and actor.member is None:
        raise Refusal("RF004", "on-behalf-of must name the acting member")
    if demand.roles and (actor.member is None or actor.member.profile not in demand.roles):
        raise Refusal("RF006", f"This call is for {_words_for(demand.roles)}")
    if actor.key is None or not demand.permissions:
        return
    if not any(permission in actor.key.permissions for permission in demand.permissions):
        raise Refusal(PERMISSIONS[demand.permissions[0]].refusal)


def _words_for(roles: frozenset[int]) -> str:
    return " and ".join(f"{PROFILES[role].title.lower()}s" for role in sorted(roles))


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


def rate_limit(value: str | None) -> tuple[int, int] | None:
    """Read the limit of a key, "N/SECONDS": so many requests in so many seconds."""
    if value is None:
        return None
    requests, seconds = value.split("/")
    return int(requests), int(seconds)


def parse_address(value: str) -> IPv4Address | IPv6Address:
    """Read an address; an IPv4-mapped IPv6 address is IPv4. ValueError for anything else."""
    address = ip_address(value)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
