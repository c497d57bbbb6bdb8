"""The ledger's tables: heads, entries, parts, tiles of the tree, checkpoints.

`settle` is the one place where entries get their position. It takes the organisation's head row,
which is the last lock a work takes, so the row is held for one commit and no longer.
"""

import hashlib
import os
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from onrecord.model import access, times
from onrecord.model.access import INSTALLATION_ID, VIA, Actor, Origin
from onrecord.model.record import TRACES, VERSION, EntryType
from onrecord.proof import merkle
from onrecord.store import tree
from onrecord.store.db import Change, Insert, Row, Session, Stale, Update

SALT_BYTES: Final = 32
TEXT: Final = "text"
FILE: Final = "file"
"""The part of a message that says which files it brings."""
NEVER_STALE: Final = frozenset({access.Kind.OPERATOR, access.Kind.SERVICE})


@dataclass(slots=True)
class ChatTip:
    """The end of a chat, locked by the work that holds it."""

    id: int
    uuid: str
    state: str
    last_seq: int
    last_at: int
    last_index: int
    last_position: int


@dataclass(slots=True)
class Pending:
    """An entry noted in a work; `position` and `at` are 0 until the work settles."""

    type: EntryType
    actor: Actor
    origin: Origin
    chat: ChatTip | None
    seq: int | None
    ids: Mapping[str, str]
    data: Mapping[str, Any]
    parts: dict[str, Any]
    subject: int | None
    position: int = 0
    at: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The end of an organisation's record, and when access in it last changed."""

    entity_id: int
    position: int
    at: int
    frontier: merkle.Frontier
    access_position: int


@dataclass(slots=True)
class Heads:
    """The head rows a transaction holds. What is held is locked, so memory is right about it."""

    session: Session
    held: dict[int, Head] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)
    seen: dict[int, int] = field(default_factory=dict)
    """Access positions read without a lock; `settle` compares again under it."""
    begun: dict[int, int] = field(default_factory=dict)
    """Where the heads stood when they were first taken."""

    @property
    def written(self) -> int:
        """How many entries the transaction has written."""
        return sum(head.position - self.begun[number] for number, head in self.held.items())

    async def take(self, entity_id: int) -> Head:
        """Lock the head row and give it."""
        head = self.held.get(entity_id)
        if head is None:
            row = await self.session.one(
                "SELECT position, at, hashes, access_position FROM head WHERE entity_id = $1"
                + self.session.for_update,
                entity_id,
            )
            if row is None:
                msg = f"organisation {entity_id} has no head row"
                raise LookupError(msg)
            position, at, hashes, access_position = row
            frontier = merkle.Frontier.from_bytes(position, hashes)
            head = self.held[entity_id] = Head(entity_id, position, at, frontier, access_position)
            self.begun.setdefault(entity_id, position)
        return head

    def put(self, head: Head) -> list[Change]:
        """Hold the new end, and give what is to be written now.

        On PostgreSQL that is the row, in the same round trip as the entries. On SQLite, where many
        works share a transaction, `flush` writes it once for all of them.
        """
        self.held[head.entity_id] = head
        if self.session.dialect == "postgresql":
            return [_head_change([head])]
        self.changed.add(head.entity_id)
        return []

    async def is_fresh(self, actor: Actor) -> bool:
        """Whether nothing of access has changed since the actor was judged."""
        if actor.kind in NEVER_STALE:
            return True
        position = await self.access_position(actor.entity_id)
        if position != actor.judged.entity:
            return False
        if not actor.leans_on_installation:
            return True
        return await self.access_position(INSTALLATION_ID) == actor.judged.installation

    async def access_position(self, entity_id: int) -> int:
        """Give the organisation's access position, from the held row or else from the table."""
        head = self.held.get(entity_id)
        if head is not None:
            return head.access_position
        position = self.seen.get(entity_id)
        if position is None:
            row = await self.session.one(
                "SELECT access_position FROM head WHERE entity_id = $1", entity_id
            )
            position = self.seen[entity_id] = row[0] if row else -1
        return position

    async def flush(self) -> None:
        """Write every head that changed and is not written yet."""
        changed = [self.held[entity_id] for entity_id in sorted(self.changed)]
        self.changed.clear()
        if changed:
            await self.session.write(_head_change(changed))


def _head_change(heads: Sequence[Head]) -> Change:
    rows = [
        (head.entity_id, head.position, head.at, head.access_position, head.frontier.to_bytes())
        for head in heads
    ]
    return Update("head", ["entity_id"], ["position", "at", "access_position", "hashes"], rows)


_encoder: Final = msgspec.json.Encoder(order="sorted")


def canonical_bytes(value: Any) -> bytes:
    """Give the RFC 8785 bytes of a value of ours.

    The same bytes as `proof.canonical.encode`, which says what they are and is what everybody
    verifies with, ten times faster: a test holds the two together.
    """
    return _encoder.encode(value)


async def settle(session: Session, heads: Heads, pending: Sequence[Pending]) -> None:
    """Give the entries their positions and times, in the order noted, and write them.

    Organisations are taken in ascending order of their id, so that two works never wait for each
    other's heads.
    """
    by_entity: dict[int, list[Pending]] = {}
    for item in pending:
        by_entity.setdefault(item.actor.entity_id, []).append(item)
    for entity_id in sorted(by_entity):
        await _settle_one(session, heads, entity_id, by_entity[entity_id])


async def _settle_one(
    session: Session, heads: Heads, entity_id: int, pending: Sequence[Pending]
) -> None:
    head = await heads.take(entity_id)
    actors = {id(item.actor): item.actor for item in pending}
    for actor in actors.values():
        if not await heads.is_fresh(actor):
            raise Stale
    rows = _Rows.after(head, pending)
    for item in pending:
        rows.add(item)
    end = Head(
        entity_id,
        rows.position,
        rows.at,
        head.frontier.extend(rows.hashes),
        rows.access_position,
    )
    await session.write(*rows.changes(messages_tell=session.dialect == "sqlite"), *heads.put(end))
    await tree.write_tiles(session, entity_id, head.position, rows.hashes)


@dataclass(slots=True)
class _Rows:
    """The rows of a run of entries that follow a head, gathered to be written table by table."""

    entity_id: int
    position: int
    at: int
    wire_at: str
    access_position: int
    salts: Iterator[bytes]
    entries: list[Row] = field(default_factory=list)
    parts: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    tips: dict[int, ChatTip] = field(default_factory=dict)
    turned: set[int] = field(default_factory=set)
    """Chats that something happened to which is no message, or which their first one activated."""
    hashes: list[bytes] = field(default_factory=list)

    @classmethod
    def after(cls, head: Head, pending: Sequence[Pending]) -> "_Rows":
        """Begin where the head ends, at a time that is not before the head's."""
        at = max(times.now(), head.at)
        # One call for all the randomness: a call for each salt costs more than its hash.
        random = os.urandom(SALT_BYTES * sum(len(item.parts) + len(TRACES) for item in pending))
        salts = (random[at : at + SALT_BYTES] for at in range(0, len(random), SALT_BYTES))
        return cls(head.entity_id, head.position, at, times.wire(at), head.access_position, salts)

    def add(self, item: Pending) -> None:
        """Give the entry its place and time, and hash it."""
        self.position += 1
        item.position, item.at = self.position, self.at
        if item.type.changes_access:
            self.access_position = self.position
        tip = item.chat
        chat_id = None if tip is None else tip.id
        content: dict[str, str] = {}
        for name, value in _with_traces(item).items():
            salt = next(self.salts)
            data = canonical_bytes(value)
            content[name] = hashlib.sha256(salt + data).hexdigest()
            place = chat_id if chat_id and name == TEXT else 0
            self.parts.append((self.entity_id, place, self.position, name, salt, data))
        leaf = canonical_bytes(_form(item, content, self.wire_at))
        self.hashes.append(merkle.leaf_hash(leaf))
        self.entries.append((self.entity_id, self.position, chat_id, item.subject, item.seq, leaf))
        if tip is not None:
            self._move_tip(item, tip)

    def _move_tip(self, item: Pending, tip: ChatTip) -> None:
        self.tips[tip.id] = tip
        if not item.seq:
            self.turned.add(tip.id)
        tip.last_index += 1
        tip.last_position = self.position
        if item.seq is not None:
            tip.last_at = self.at
            self.messages.append(_message_row(item, tip))

    def changes(self, *, messages_tell: bool) -> list[Change]:
        """Give what was gathered, table by table.

        With `messages_tell`, rows of chats that only went on are left as they are (`chat_now`).
        """
        tips = [
            (tip.id, tip.state, tip.last_seq, tip.last_at, tip.last_index, tip.last_position)
            for tip in self.tips.values()
            if not messages_tell or tip.id in self.turned
        ]
        return [
            Insert("entry", ENTRY_COLUMNS, self.entries),
            Insert("part", PART_COLUMNS, self.parts),
            Insert("message", MESSAGE_COLUMNS, self.messages),
            Update("chat", ["id"], TIP_COLUMNS, tips),
        ]


ENTRY_COLUMNS: Final = ("entity_id", "position", "chat_id", "subject_id", "seq", "leaf")
PART_COLUMNS: Final = ("entity_id", "chat_id", "position", "name", "salt", "data")
TIP_COLUMNS: Final = ("state", "last_seq", "last_at", "last_index", "last_position")
MESSAGE_COLUMNS: Final = (
    "chat_id",
    "seq",
    "position",
    "kind",
    "member_id",
    "at",
    "reply_to_seq",
    "via",
    "api_key_id",
)


def _author(item: Pending) -> int | None:
    """Give the internal id of whom a chat shows as the author of a message, None for nobody.

    Whose membership is ended leaves the chat: whoever ended it has no part in it, and stands in
    the entry alone.
    """
    member = item.actor.member
    if member is None or (item.type.name == "participant.left" and item.subject != member.id):
        return None
    return member.id


def _message_row(item: Pending, tip: ChatTip) -> Row:
    actor = item.actor
    return (
        tip.id,
        item.seq,
        item.position,
        _kind(item),
        _author(item),
        item.at,
        item.data.get("reply_to_seq"),
        VIA[actor.kind],
        actor.key.id if actor.key else None,
    )


def _kind(item: Pending) -> str:
    """Give of which kind the message of an entry is."""
    if item.type.name != "message.sent":
        return "event"
    return "attachment" if FILE in item.parts else "text"


def _with_traces(item: Pending) -> dict[str, Any]:
    """Give the parts, with the source address and the caller's own request id beside them."""
    parts = item.parts
    if item.origin.address is not None:
        parts["address"] = item.origin.address
    if item.origin.caller_request_id is not None:
        parts["request_id"] = item.origin.caller_request_id
    return parts


def _form(item: Pending, content: Mapping[str, str], at: str) -> dict[str, Any]:
    """Give the entry in form 1 (record.md, section 1); absent members are left out, never null."""
    acting = item.actor
    actor: dict[str, str] = {"kind": acting.kind.value}
    if acting.member is not None:
        actor["entity_user_xref_uuid"] = acting.member.uuid
    if acting.key is not None:
        actor["api_key_uuid"] = acting.key.uuid
    if item.origin.caller_request_id is None:
        actor["request_id"] = item.origin.request_id
    form: dict[str, Any] = {
        "v": VERSION,
        "entity_uuid": acting.entity_uuid,
        "position": item.position,
        "at": at,
        "type": item.type.name,
        "actor": actor,
        "data": item.data,
    }
    if item.chat is not None:
        form["chat_uuid"] = item.chat.uuid
        form["chat_index"] = item.chat.last_index + 1
        form["chat_prev"] = item.chat.last_position
    if item.seq is not None:
        form["seq"] = item.seq
    form.update(item.ids)
    if content:
        form["content"] = content
    return form


# -- reading -------------------------------------------------------------------------------------


async def head_of(session: Session, entity_id: int) -> tuple[int, int, int]:
    """Give position, time and access position of the organisation's head, without locking it."""
    row = await session.one(
        "SELECT position, at, access_position FROM head WHERE entity_id = $1", entity_id
    )
    if row is None:
        return 0, 0, 0
    position, at, access_position = row
    return position, at, access_position


async def entries_after(
    session: Session, entity_id: int, after: int, limit: int, until: int | None = None
) -> Sequence[Row]:
    """Give (position, leaf) of the organisation's entries after a position, in order."""
    return await session.all(
        "SELECT position, leaf FROM entry WHERE entity_id = $1 AND position > $2"
        " AND position <= $3 ORDER BY position LIMIT $4",
        entity_id,
        after,
        until if until is not None else 2**53,
        limit,
    )


async def parts_between(session: Session, entity_id: int, first: int, last: int) -> Sequence[Row]:
    """Give (position, name, salt, data) of all parts of the entries `first` to `last`."""
    return await session.all(
        "SELECT position, name, salt, data FROM part WHERE entity_id = $1 AND chat_id = 0"
        " AND position >= $2 AND position <= $3"
        " UNION ALL SELECT e.position, p.name, p.salt, p.data FROM entry e"
        " JOIN part p ON p.entity_id = $1 AND p.chat_id = e.chat_id AND p.position = e.position"
        " WHERE e.entity_id = $1 AND e.position >= $2 AND e.position <= $3"
        " ORDER BY 1, 2",
        entity_id,
        first,
        last,
    )


async def archive_pages(
    read: Callable[[Callable[[Session], Awaitable[Any]]], Awaitable[Any]],
    entity_id: int,
    as_of: int,
    page: int = 1000,
) -> AsyncIterator[list[tuple[bytes, dict[str, tuple[bytes, bytes]]]]]:
    """Give entries with their parts, page by page; no transaction outlives a page."""
    after = 0
    while after < as_of:
        last = min(after + page, as_of)

        async def one_page(session: Session, after: int = after, last: int = last) -> Any:
            entries = await entries_after(session, entity_id, after, page, last)
            parts = await parts_between(session, entity_id, after + 1, last)
            return entries, parts

        entries, parts = await read(one_page)
        by_position: dict[int, dict[str, tuple[bytes, bytes]]] = {}
        for position, name, salt, data in parts:
            by_position.setdefault(position, {})[name] = (bytes(salt), bytes(data))
        yield [(bytes(leaf), by_position.get(position, {})) for position, leaf in entries]
        after = last


async def checkpoint_of(session: Session, entity_id: int, size: int) -> str | None:
    """Give the stored signed checkpoint of exactly this size."""
    row = await session.one(
        "SELECT note FROM checkpoint WHERE entity_id = $1 AND size = $2", entity_id, size
    )
    return row[0] if row else None


async def keep_checkpoint(session: Session, entity_id: int, size: int, note: str) -> str:
    """Store the checkpoint of a size unless there is one; give the one that is stored."""
    await session.run(
        "INSERT INTO checkpoint (entity_id, size, note, at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (entity_id, size) DO NOTHING",
        entity_id,
        size,
        note,
        times.now(),
    )
    return await checkpoint_of(session, entity_id, size) or note


async def without_checkpoint(session: Session) -> Sequence[Row]:
    """Give (entity_id, uuid, origin, position) of organisations whose head has no checkpoint."""
    return await session.all(
        "SELECT e.id, e.uuid, e.origin, h.position FROM head h JOIN entity e ON e.id = h.entity_id"
        " WHERE h.position > 0 AND NOT EXISTS (SELECT 1 FROM checkpoint c"
        " WHERE c.entity_id = h.entity_id AND c.size = h.position)"
    )


async def seal_of(session: Session, entity_id: int, options: str) -> str | None:
    """Give the stored seal of an export (kind, position, options and software version)."""
    row = await session.one(
        "SELECT note FROM seal WHERE entity_id = $1 AND options = $2", entity_id, options
    )
    return row[0] if row else None


async def keep_seal(session: Session, entity_id: int, options: str, note: str) -> None:
    """Store the seal of an export unless there is one."""
    await session.run(
        "INSERT INTO seal (entity_id, options, note, at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (entity_id, options) DO NOTHING",
        entity_id,
        options,
        note,
        times.now(),
    )


async def meta(session: Session, key: str) -> str | None:
    """Give a fact about the installation itself (the signing keys, the host name of origins)."""
    row = await session.one("SELECT value FROM meta WHERE key = $1", key)
    return row[0] if row else None


async def set_meta(session: Session, key: str, value: str) -> None:
    """Set a fact about the installation."""
    await session.run(
        "INSERT INTO meta (key, value) VALUES ($1, $2)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value,
    )
