"""The life of a key: made, changed, given another secret, stopped, listed."""

import json
import random
import re
import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv6Address, ip_network
from typing import Any, Final

from onrecord.domain import administrators
from onrecord.domain.credentials import hash_secret
from onrecord.model import text, times
from onrecord.model.access import (
    INSTALLATION_ID,
    PERMISSIONS,
    SYSTEM_ADMIN,
    USER_ADMIN,
    Kind,
    MemberRef,
)
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.people import Member
from onrecord.store import access, people
from onrecord.store.access import Key
from onrecord.store.work import Work

SECRET_BYTES: Final = 32
"""256 random bits; stored as SHA-256 only (contract, section 2)."""
BLOCKS_MOST: Final = 100
"""Blocks of one key: each request looks at all of them."""
MAPPED: Final = 96
"""Bits before the IPv4 address in an IPv4-mapped one (RFC 4291, section 2.5.5.2)."""
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
    permission that the key which makes it lacks itself. RF006: a person who may not make it. A
    person who names no owner of a user key is the owner.
    """
    if (kind is Kind.SUPER) != (work.actor.entity_id == INSTALLATION_ID):
        raise Refusal("RB019", "Super keys, and no others, belong to the installation")
    text.check("name", name, least=1, most=text.NAME_MAX)
    permissions = _checked_permissions(kind, permissions)
    _check_hands_out(work, permissions)
    blocks = _checked_blocks(kind, cidr_blocks)
    _check_end(expires_at)
    owner = await _owner(work, kind, member_uuid)
    administrators.check_may_hand_out(work, kind, owner)
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
    """Give a block as it is stored; one of IPv4-mapped addresses as that of IPv4 it stands for.

    Callers are compared so as well: an IPv4-mapped address is IPv4 (contract, section 2).
    """
    try:
        found = ip_network(block.strip(), strict=False)
    except ValueError:
        raise malformed("cidr_blocks", f"holds {block[:60]}, which is no CIDR block") from None
    first = found.network_address
    mapped = first.ipv4_mapped if isinstance(first, IPv6Address) else None
    if mapped is None or found.prefixlen < MAPPED:
        return str(found)
    return f"{mapped}/{found.prefixlen - MAPPED}"


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
    if member_uuid is None and work.actor.member is not None:
        member_uuid = work.actor.member.uuid
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
    """Give the key of an id (`ork-…`) or a uuid in the actor's organisation; RN008.

    What a person may not handle is not found either.
    """
    if text.is_uuid(named):
        key = await access.key_of_uuid(work.db, named.lower())
    else:
        key = await access.key_of(work.db, named)
    if (
        key is None
        or key.entity_id != work.actor.entity_id
        or key.state == "destroyed"
        or not await _is_seen(work, key)
    ):
        raise Refusal("RN008", "There is no such key")
    return key


async def _is_seen(work: Work, key: Key) -> bool:
    acting = work.actor.member
    if acting is None or acting.id == key.member_id:
        return True
    owner = await people.member_by_id(work.db, key.member_id) if key.member_id else None
    profile = owner.profile if owner else None
    return administrators.may_handle_key(work, key.kind, key.member_id, profile)


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


def request_id() -> str:
    """Make the id of a request: 128 bits in hexadecimal that no other request has."""
    return f"{random.getrandbits(128):032x}"


async def listed(work: Work) -> list[dict[str, Any]]:
    """Give the keys of the actor's organisation as the wire lists them, oldest first."""
    return [await shown(work, key) for key in await access.keys_of(work.db, work.actor.entity_id)]


async def page(
    work: Work, *, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Give a page of these keys, and the next cursor; `limit` counts keys, 1 to 1,000 (RB003).

    A person is given those that the person may handle.
    """
    (after,) = read_cursor(cursor)
    found = await access.keys_of(
        work.db, work.actor.entity_id, after, limit + 1, of=_whose(work.actor.member)
    )
    following = cursor_after(found[limit - 1].id) if len(found) > limit else None
    return [await shown(work, key) for key in found[:limit]], following


def _whose(acting: MemberRef | None) -> access.Whose | None:
    """Give whose keys a person is shown: `administrators.may_handle_key` as a question."""
    if acting is None or acting.profile == SYSTEM_ADMIN:
        return None
    if acting.profile == USER_ADMIN:
        return access.Whose(acting.id, SYSTEM_ADMIN)
    return access.Whose(acting.id)


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
