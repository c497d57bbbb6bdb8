"""Rows of the System API about its own keys: making, changing and stopping them."""

from typing import Any, Final

import msgspec

from onrecord.domain import keys
from onrecord.domain.keys import UNCHANGED
from onrecord.model import text, times
from onrecord.model.access import KEY_KINDS, Kind
from onrecord.model.errors import malformed
from onrecord.store.work import Work
from onrecord.web import lists
from onrecord.web.call import Call
from onrecord.web.endpoint import SYSTEM_KEYS, Answer, Endpoint, Takes
from onrecord.web.groups import Done

BASE: Final = "/entity-service/sys-api/api-keys"
HANDING_OUT: Final = ("RF731", "RF732", "RF733", "RF734", "RF735")
"""What a key is told that hands out a permission it lacks."""


class KeyView(msgspec.Struct):
    """A key, without its secret."""

    api_key_uuid: str
    api_key: str
    kind: str
    name: str
    permissions: list[str]
    cidr_blocks: list[str]
    state: str
    entity_user_xref_uuid: str | None
    expires_at: str | None
    last_used_at: str | None
    rate_limit: str | None
    created_at: str


class CreateKey(Takes):
    """A key to be made."""

    kind: str
    name: str
    permissions: list[str]
    cidr_blocks: list[str] | None = None
    entity_user_xref_uuid: str | None = None
    expires_at: str | None = None
    rate_limit: str | None = None


class KeySecret(msgspec.Struct):
    """A key as made or rotated; the secret is shown this once."""

    api_key_uuid: str
    api_key: str
    secret: str | None


async def create_key(work: Work, taken: CreateKey) -> KeySecret:
    """Make a key."""
    if taken.kind not in KEY_KINDS:
        raise malformed("kind", "must be system, master_user or user")
    made = await keys.create(
        work,
        kind=Kind(taken.kind),
        name=taken.name,
        permissions=taken.permissions,
        cidr_blocks=taken.cidr_blocks or (),
        member_uuid=taken.entity_user_xref_uuid,
        expires_at=_end(taken.expires_at),
        rate_limit=taken.rate_limit,
    )
    return KeySecret(made.api_key_uuid, made.api_key, made.secret)


def _end(value: str | None) -> int | None:
    """Read the time at which a key ends (RB003), in microseconds."""
    if value is None:
        return None
    try:
        return times.read(value)
    except (ValueError, OverflowError):
        raise malformed("expires_at", "is not an RFC 3339 time with an offset") from None


class NameKey(Takes):
    """Which key."""

    api_key_uuid: str


class UpdateKey(NameKey):
    """Which key, and its new values: what is absent stays, null clears."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    permissions: list[str] | msgspec.UnsetType = msgspec.UNSET
    cidr_blocks: list[str] | msgspec.UnsetType = msgspec.UNSET
    expires_at: str | msgspec.UnsetType | None = msgspec.UNSET
    rate_limit: str | msgspec.UnsetType | None = msgspec.UNSET


async def update_key(work: Work, taken: UpdateKey) -> KeyView:
    """Change a key."""
    end = taken.expires_at
    new = keys.NewValues(
        name=_given(taken.name),
        permissions=_given(taken.permissions),
        cidr_blocks=_given(taken.cidr_blocks),
        expires_at=UNCHANGED if end is msgspec.UNSET else _end(end),
        rate_limit=_given(taken.rate_limit),
    )
    return await _shown(work, await keys.update(work, _uuid(taken), new))


def _given(value: Any) -> Any:
    return UNCHANGED if value is msgspec.UNSET else value


def _uuid(taken: NameKey) -> str:
    return text.check_uuid("api_key_uuid", taken.api_key_uuid)


async def _shown(work: Work, key: Any) -> KeyView:
    return KeyView(**await keys.shown(work, key))


async def deactivate_key(work: Work, taken: NameKey) -> KeyView:
    """Stop a key for good."""
    return await _shown(work, await keys.deactivate(work, _uuid(taken)))


class RotateKey(NameKey):
    """Which key, and how long its old secret works on."""

    overlap_seconds: int = 0


async def rotate_key(work: Work, taken: RotateKey) -> KeySecret:
    """Give a key a new secret."""
    made = await keys.rotate(work, _uuid(taken), taken.overlap_seconds)
    return KeySecret(made.api_key_uuid, made.api_key, made.secret)


async def destroy_key(work: Work, taken: NameKey) -> Done:
    """Stop a key and take it off the lists."""
    await keys.destroy(work, _uuid(taken))
    return Done()


class KeyPage(msgspec.Struct):
    """A page of keys."""

    api_keys: list[KeyView]
    next_cursor: str | None


async def list_keys(call: Call, taken: lists.Listed) -> Answer:
    """Give keys: a page with `limit`, else everything."""
    return await lists.of_pages(call, "api_keys", taken, keys.page, keys.PAGE_STREAMED)


_WRITE: Final[dict[str, Any]] = {
    "method": "POST",
    "kinds": SYSTEM_KEYS,
    "permissions": ("can_write_admin",),
    "mode": "write",
    "tags": ("Keys",),
}

ROWS: Final = (
    Endpoint(
        path=f"{BASE}/create",
        summary="Make a key",
        takes=CreateKey,
        gives=KeySecret,
        refusals=("RB019", "RB785", "RF888", "RN006", *HANDING_OUT),
        writes=("key.created",),
        secrets=("secret",),
        handler=create_key,
        **_WRITE,
    ),
    Endpoint(
        path=f"{BASE}/update",
        summary="Change a key",
        takes=UpdateKey,
        gives=KeyView,
        refusals=("RB019", "RN008", *HANDING_OUT),
        writes=("key.updated",),
        handler=update_key,
        **_WRITE,
    ),
    Endpoint(
        path=f"{BASE}/deactivate",
        summary="Stop a key for good",
        takes=NameKey,
        gives=KeyView,
        refusals=("RN008",),
        writes=("key.deactivated",),
        handler=deactivate_key,
        **_WRITE,
    ),
    Endpoint(
        path=f"{BASE}/rotate",
        summary="Give a key a new secret",
        takes=RotateKey,
        gives=KeySecret,
        refusals=("RB019", "RN008", *HANDING_OUT),
        writes=("key.rotated",),
        secrets=("secret",),
        handler=rotate_key,
        **_WRITE,
    ),
    Endpoint(
        path=f"{BASE}/destroy",
        summary="Stop a key and take it off the lists",
        takes=NameKey,
        gives=Done,
        refusals=("RN008",),
        writes=("key.destroyed",),
        handler=destroy_key,
        **_WRITE,
    ),
    Endpoint(
        method="GET",
        path=f"{BASE}/list",
        summary="List the keys",
        kinds=SYSTEM_KEYS,
        permissions=("can_read_admin",),
        takes=lists.Listed,
        gives=KeyPage,
        refusals=("RU029",),
        handler=list_keys,
        mode="script",
        tags=("Keys",),
    ),
)
