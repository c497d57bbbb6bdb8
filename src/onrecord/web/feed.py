"""What both services offer alike: the feed of the record, and `whoami`."""

import asyncio
import time
from typing import Annotated, Any, Final

import msgspec

from onrecord.domain import groups, inbox, members, messages, record, verdicts
from onrecord.model import times
from onrecord.model.access import Actor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.record import TYPES
from onrecord.store import access
from onrecord.store.db import Session
from onrecord.store.work import Work
from onrecord.web.call import Call, encode
from onrecord.web.endpoint import Answer, Takes

WAIT_MOST: Final = 30
SCAN_SECONDS: Final = 2
"""How much longer than `wait` a rare type is looked for; then `next_after` says how far it came."""
LOOK_AGAIN: Final = 0.5
"""Seconds after which a long poll looks by itself, should another process have written."""

Position = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class GetEvents(Takes):
    """From where on, how many, of which types, and how long to wait for the first one."""

    after: Position = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = record.FEED_DEFAULT
    wait: Annotated[float, msgspec.Meta(ge=0, le=WAIT_MOST)] = 0
    types: list[str] | None = None
    expand: bool = False


class EntryActor(msgspec.Struct):
    """Who did what an entry tells of. What there is none of is left out."""

    kind: str
    entity_user_xref_uuid: str | msgspec.UnsetType = msgspec.UNSET
    api_key_uuid: str | msgspec.UnsetType = msgspec.UNSET
    request_id: str | msgspec.UnsetType = msgspec.UNSET


class Entry(msgspec.Struct):
    """An entry of the record, as it was hashed. Ids that it does not concern are left out."""

    # Only a description: entries are given out as the very bytes that were hashed.
    v: int
    entity_uuid: str
    position: int
    at: str
    type: str
    actor: EntryActor
    data: dict[str, Any]
    content: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    chat_uuid: str | msgspec.UnsetType = msgspec.UNSET
    chat_index: int | msgspec.UnsetType = msgspec.UNSET
    chat_prev: int | msgspec.UnsetType = msgspec.UNSET
    seq: int | msgspec.UnsetType = msgspec.UNSET
    entity_user_xref_uuid: str | msgspec.UnsetType = msgspec.UNSET
    group_uuid: str | msgspec.UnsetType = msgspec.UNSET
    other_group_uuid: str | msgspec.UnsetType = msgspec.UNSET
    api_key_uuid: str | msgspec.UnsetType = msgspec.UNSET
    account_uuid: str | msgspec.UnsetType = msgspec.UNSET
    organisation_uuid: str | msgspec.UnsetType = msgspec.UNSET
    object: Any = msgspec.UNSET


class Events(msgspec.Struct):
    """Entries as they are hashed, where to go on, and where the record ends now."""

    events: list[Entry]
    next_after: int
    head: int


async def events(call: Call, taken: GetEvents) -> Answer:
    """Answer at once when there is something, else wait for it, at most `wait` seconds."""
    types = frozenset(taken.types) if taken.types else None
    if types is not None and not types <= TYPES.keys():
        raise malformed("types", "holds a type that no entry has")
    deadline = time.monotonic() + taken.wait
    after = taken.after
    while True:

        async def read(work: Work, after: int = after) -> tuple[record.Feed, list[Any]]:
            member = work.actor.member
            feed = record.feed if member is None else record.feed_of_member
            page = await feed(work, after, taken.limit, types)
            return page, await _expanded(work, page) if taken.expand else []

        page, objects = await call.app.store.read(call.caller, read)
        after = max(after, page.next_after)
        left = deadline - time.monotonic()
        if not page.leaves and after < page.head and left > -SCAN_SECONDS:
            await asyncio.sleep(0)  # there is more to look at, but others come first
            continue
        if page.leaves or left <= 0 or call.app.stopping:
            return Answer(_encoded(page, objects if taken.expand else None))
        entity_id = call.caller.actor.entity_id if call.caller.actor else 0
        await call.app.bell.wait(entity_id, min(left, LOOK_AGAIN))


def _encoded(page: record.Feed, objects: list[Any] | None) -> bytes:
    """Put the stored bytes of the entries into the answer, with the objects when asked for."""
    if objects is None:
        entries: list[Any] = [msgspec.Raw(leaf) for leaf in page.leaves]
    else:
        entries = [
            {**msgspec.json.decode(leaf), "object": shown}
            for leaf, shown in zip(page.leaves, objects, strict=True)
        ]
    return encode({"events": entries, "next_after": page.next_after, "head": page.head})


async def _expanded(work: Work, page: record.Feed) -> list[Any]:
    """Give what each entry concerns as it is now: message, member, chat or group; else null."""
    objects: list[Any] = []
    for leaf in page.leaves:
        entry = msgspec.json.decode(leaf)
        try:
            objects.append(await _object(work, entry))
        except Refusal:
            objects.append(None)
    return objects


async def _object(work: Work, entry: dict[str, Any]) -> Any:
    if "seq" in entry:
        return await messages.one(work, entry["chat_uuid"], entry["seq"])
    if "chat_uuid" in entry:
        return await inbox.view(work, entry["chat_uuid"])
    if work.actor.member is None and entry["type"].startswith("member."):
        return await members.view(work, entry["entity_user_xref_uuid"], None)
    if work.actor.member is None and entry["type"].startswith("group."):
        group = await groups.pick(work, entry["group_uuid"])
        return await groups.shown(work, group, with_members=False)
    return None


# -- whoami --------------------------------------------------------------------------------------


class GetWhoami(Takes):
    """Optionally a call to be judged without being made."""

    method: str | None = None
    path: str | None = None


class Verdict(msgspec.Struct):
    """What a call would be answered before its body and rules are looked at."""

    allowed: bool
    status: int
    error_code: str | None
    detail: str


class AddressVerdict(msgspec.Struct):
    """Where the request comes from, and whether the key may be used from there."""

    address: str | None
    cidr_blocks: list[str]
    allowed: bool


class Whoami(msgspec.Struct):
    """What a key is."""

    kind: str
    api_key_uuid: str
    api_key: str
    name: str
    permissions: list[str]
    entity_uuid: str
    entity_user_xref_uuid: str | None
    address: AddressVerdict
    rate_limit: str | None
    expires_at: str | None
    last_used_at: str | None
    verdict: Verdict | None


async def whoami(call: Call, taken: GetWhoami) -> Answer:
    """Say what the key is and, with `method` and `path`, what a call there would be answered."""
    if (taken.method is None) != (taken.path is None):
        raise malformed("path", "goes together with method")

    async def read(work: Work) -> Whoami:
        assert call.credential is not None  # noqa: S101 - the endpoint takes keys
        stored = await access.key_of(work.db, call.credential.api_key)
        if stored is None:
            raise Refusal("RU001")
        verdict = None
        if taken.method is not None and taken.path is not None:
            verdict = await _verdict(work.db, call, taken.method.upper(), taken.path)
        return _described(call, work.actor, stored, verdict)

    return Answer(encode(await call.app.store.read(call.caller, read)))


async def _verdict(session: Session, call: Call, method: str, path: str) -> Verdict:
    """Judge another call with the very function that judges it when it is made."""
    assert call.credential is not None  # noqa: S101 - the endpoint takes keys
    try:
        endpoint = call.routes.find(method, path.partition("?")[0])
        if endpoint.kinds:
            await verdicts.judge(session, call.credential, endpoint.demand)
    except Refusal as refusal:
        return Verdict(
            allowed=False,
            status=refusal.status,
            error_code=refusal.code,
            detail=refusal.detail,
        )
    return Verdict(
        allowed=True,
        status=endpoint.status,
        error_code=None,
        detail="The key may make this call",
    )


def _described(call: Call, actor: Actor, key: access.Key, verdict: Verdict | None) -> Whoami:
    default = call.app.settings.rate_limit
    limit = key.rate_limit or ("/".join(map(str, default)) if default else None)
    return Whoami(
        kind=key.kind,
        api_key_uuid=key.uuid,
        api_key=key.api_key,
        name=key.name,
        permissions=list(key.permissions),
        entity_uuid=actor.entity_uuid,
        entity_user_xref_uuid=actor.member.uuid if actor.member else None,
        address=AddressVerdict(
            address=str(call.address) if call.address else None,
            cidr_blocks=list(key.cidr_blocks),
            allowed=True,
        ),
        rate_limit=limit,
        expires_at=times.wire_or_none(key.expires_at),
        last_used_at=times.wire_or_none(key.last_used_at),
        verdict=verdict,
    )
