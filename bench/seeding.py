"""A big firm, made by the store's own code, only without waiting for the disk.

Every message is sent by `messages.append` in works of thousands: entry, links of its chat, parts,
message row, tiles of the tree and head are those of the product, and a sealed archive of what is
made here verifies. What differs is synchronous=OFF (PostgreSQL: synchronous_commit off), so the
disk is waited for once, in the end.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import apsw
import asyncpg
import common

from onrecord import app as composition
from onrecord.app import App
from onrecord.domain import chats, groups, keys, members, messages
from onrecord.model.access import (
    CLIENT,
    STAFF,
    Actor,
    Judged,
    KeyRef,
    Kind,
    MemberRef,
    Origin,
    operator,
)
from onrecord.settings import Settings
from onrecord.store import access, people, record
from onrecord.store import groups as rows
from onrecord.store.db import Caller, Session
from onrecord.store.postgres import PostgresStore
from onrecord.store.sqlite import SqliteStore
from onrecord.store.work import Store, Work

T = TypeVar("T")

STAFF_COUNT: Final = 2_000
CHAT_MESSAGES: Final = 500
"""Messages of a chat, on average."""
ADA_EVERY: Final = 10
"""The administrator is in every tenth chat."""
WORK: Final = 10_000
"""Messages of one work."""
OPEN: Final = 300
"""Conversations that go on at the same time, so a chat's messages lie apart in the record."""
TALK: Final = (4, 24)
"""Messages of a conversation, at least and at most."""
AT_ONCE: Final = 200
"""Works that wait at the same time where each makes one chat."""
SENTENCES: Final = (
    "The transfer value has arrived; I will send the comparison this afternoon.",
    "Could you confirm the date of the meeting with the trustees?",
    "Thank you, received.",
    "The fund's fact sheet is attached to the note from Tuesday, page three has all the charges.",
    "Please send the signed form before the end of the week; the deadline is missed otherwise.",
    "I have spoken with the provider: the request is with their second line, reference",
    "Your colleague wrote that the address has changed. We need a proof that is not too old.",
    "Grüße aus Zürich, ich melde mich morgen früh noch einmal dazu.",
)
BODY_MOST: Final = 2
"""Sentences of a text, at most."""
Body = Callable[[random.Random, int], str]
"""Makes the text of a message, by chance and its number."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its secret, with the header that carries it."""

    header: str
    uuid: str
    number: int
    api_key: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request by this key."""
        return {
            "Content-Type": "application/json",
            self.header: self.api_key,
            f"{self.header}-SECRET": self.secret,
        }

    def on_behalf_of(self, member_uuid: str) -> dict[str, str]:
        """The headers of a request by this key for a member."""
        return {**self.headers, "on-behalf-of": member_uuid}


@dataclass(frozen=True, slots=True)
class Crowd:
    """An organisation with an administrator, the members added to it, and a key of each sort."""

    entity_id: int
    entity_uuid: str
    admin: MemberRef
    members: Sequence[MemberRef]
    master: Key
    system: Key


@dataclass(frozen=True, slots=True)
class Room:
    """A chat, who is in it, and how its members appear as authors."""

    uuid: str
    people: Sequence[MemberRef]


# -- people --------------------------------------------------------------------------------------


def gather(settings: Settings, *, staff: int = 0, clients: int = 0) -> Crowd:
    """Found an organisation and give it so many active members, clients in the default group."""

    async def main() -> Crowd:
        async with composition.running(settings, purpose="seed a benchmark") as app:
            found = await composition.acting(app, None, common.found)
            master = await _key(
                app,
                found.entity_uuid,
                Kind.MASTER_USER,
                ["can_read_chat", "can_write_chat", "can_read_contacts"],
            )
            system = await _key(
                app,
                found.entity_uuid,
                Kind.SYSTEM,
                ["can_read_admin", "can_write_admin", "can_export"],
            )
            entity = await app.store.ask(lambda db: access.entity_of(db, found.entity_uuid))
            assert entity is not None  # noqa: S101 - it was founded just now
            admin = await app.store.ask(
                lambda db: people.member_of(db, entity.id, found.entity_user_xref_uuid)
            )
            assert admin is not None  # noqa: S101 - founded with the organisation
        async with unsynced(settings) as store:
            actor = operator(entity.id, entity.uuid)
            added: list[MemberRef] = []
            for profile, count in ((STAFF, staff), (CLIENT, clients)):
                for start in range(0, count, 500):
                    numbers = range(start, min(start + 500, count))
                    caller = Caller(actor, Origin(keys.request_id(), None, "::1"))
                    added += await store.write(caller, partial(_add, profile, numbers))
        return Crowd(entity.id, entity.uuid, admin.ref, added, master, system)

    return asyncio.run(main())


async def _key(app: App, entity_uuid: str, kind: Kind, permissions: Sequence[str]) -> Key:
    made = await composition.acting(
        app,
        entity_uuid,
        lambda work: keys.create(work, kind=kind, name="Benchmark", permissions=permissions),
    )
    stored = await app.store.ask(lambda session: access.key_of(session, made.api_key))
    assert stored is not None  # noqa: S101 - it was made just now
    header = "X-MASTER-USER-API-KEY" if kind is Kind.MASTER_USER else "X-SYS-API-KEY"
    return Key(header, stored.uuid, stored.id, made.api_key, made.secret)


async def _add(profile: int, numbers: range, work: Work) -> list[MemberRef]:
    added = [
        await members.add(
            work,
            profile=profile,
            first_name=f"Person {number}",
            last_name="of the Crowd",
            job_title="Adviser" if profile == STAFF else "",
            identifier=f"{profile}-{number:06d}",
            email=f"person.{profile}.{number}@example.com",
            state="active",
        )
        for number in numbers
    ]
    group = await rows.default_group(work.db, work.actor.entity_id)
    if group is not None and profile == CLIENT:
        await groups.put_into_group(work, group, *added)
    return [member.ref for member in added]


@contextlib.asynccontextmanager
async def unsynced(settings: Settings) -> AsyncIterator[Store]:
    """Give a store that does not wait for the disk, and what it wrote safely there in the end."""
    url = settings.database_url
    set_commit = f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit ="
    if url:
        await asyncio.to_thread(common.execute, url, f"{set_commit} off")
        store: Store = PostgresStore(url)
    else:
        store = SqliteStore(settings.data_dir / "onrecord.db", synchronous="OFF")
    await store.open()
    try:
        yield store
    finally:
        await store.close()
    if url:
        await asyncio.to_thread(common.execute, url, f"{set_commit} on")


# -- chats and messages --------------------------------------------------------------------------


def fill(
    settings: Settings,
    crowd: Crowd,
    count: int,
    progress: Callable[[int], None] = lambda _: None,
    *,
    body: Body | None = None,
    chat_messages: int = CHAT_MESSAGES,
) -> list[Room]:
    """Let the crowd talk: about `chat_messages` messages in each chat, `count` in all.

    `body` makes a text of its own, with what decides by chance.
    """

    async def main() -> list[Room]:
        async with unsynced(settings) as store:
            rooms = await _rooms(store, crowd, max(200, count // chat_messages))
            head = await store.ask(lambda session: record.head_of(session, crowd.entity_id))
            talk = _talk(crowd, rooms, count, Judged(head[2], 0), body or _sentences)
            await _write(store, crowd, talk, progress)
        return rooms

    return asyncio.run(main())


async def _rooms(store: Store, crowd: Crowd, count: int) -> list[Room]:
    chance = random.Random(1)  # noqa: S311 - it guards nothing
    made: list[Room] = []

    async def room(number: int) -> Room:
        people_in = chance.sample(crowd.members, chance.randint(2, 5))
        if number % ADA_EVERY == 0:
            people_in.insert(0, crowd.admin)
        actor = operator(crowd.entity_id, crowd.entity_uuid)
        creator = Actor(actor.kind, actor.entity_id, actor.entity_uuid, people_in[0])
        uuid: str = await store.write(
            Caller(creator, Origin(keys.request_id(), None, "::1")),
            lambda work: chats.create(
                work,
                uuids=[one.uuid for one in people_in[1:]],
                identifiers=None,
                title=f"Matter {number}",
            ),
        )
        return Room(uuid, people_in)

    for start in range(0, count, AT_ONCE):
        made += await asyncio.gather(*map(room, range(start, min(start + AT_ONCE, count))))
    return made


def _sentences(chance: random.Random, number: int) -> str:
    return " ".join([*chance.choices(SENTENCES, k=chance.randint(1, BODY_MOST)), str(number)])


def _talk(
    crowd: Crowd, rooms: Sequence[Room], count: int, judged: Judged, body: Body
) -> Iterator[messages.Outgoing]:
    """Give the texts in the order in which they are said: `OPEN` conversations at a time.

    Each is a run of texts in one chat, between those of all the others. All chats are begun before
    any is taken up again, by their creators: a draft is nobody else's.
    """
    chance = random.Random(2)  # noqa: S311 - it guards nothing
    key = KeyRef(crowd.master.number, crowd.master.uuid, "Benchmark", frozenset())
    actors = {
        one.id: Actor(Kind.MASTER_USER, crowd.entity_id, crowd.entity_uuid, one, key, judged)
        for one in (crowd.admin, *crowd.members)
    }
    fresh = list(rooms)
    chance.shuffle(fresh)
    begun: set[str] = set()
    talking: list[tuple[Room, int]] = []
    for number in range(count):
        if len(talking) < OPEN:
            room = fresh.pop() if fresh else chance.choice(rooms)
            talking.append((room, chance.randint(*TALK)))
        place = chance.randrange(len(talking))
        room, left = talking[place]
        author = chance.choice(room.people) if room.uuid in begun else room.people[0]
        begun.add(room.uuid)
        if left == 1:
            talking[place] = talking[-1]
            talking.pop()
        else:
            talking[place] = room, left - 1
        actor = actors[author.id]
        origin = Origin(keys.request_id(), None, "203.0.113.7")
        text = body(chance, number)
        yield messages.Outgoing(Caller(actor, origin), actor, room.uuid, text)


async def _write(
    store: Store,
    crowd: Crowd,
    talk: Iterator[messages.Outgoing],
    progress: Callable[[int], None],
) -> None:
    """Write the texts in large works; the next one is made ready while one is committed."""
    caller = Caller(operator(crowd.entity_id, crowd.entity_uuid), Origin(keys.request_id()))
    written = 0
    while batch := [item for _, item in zip(range(WORK), talk, strict=False)]:

        async def run(work: Work, batch: Sequence[messages.Outgoing] = batch) -> int:
            outcomes = await messages.append(work, batch)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
            return len(outcomes)

        written += await store.write(caller, run)
        progress(written)


def carry(settings: Settings) -> None:
    """Carry what SQLite holds in the data directory, row by row, over to an empty PostgreSQL.

    A record is the same bytes on both engines, and copying is faster than saying it all again. The
    data directory goes on with the database: it holds the signing key.
    """
    file = settings.data_dir / "onrecord.db"

    async def main() -> None:
        store = PostgresStore(settings.database_url)
        await store.open()
        try:
            await store.migrate()
        finally:
            await store.close()
        source = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
        target = await asyncpg.connect(settings.database_url)
        try:
            for row in await target.fetch(_TABLES):
                await _carry_table(source, target, row[0])
            await target.execute(_ENDS)
        finally:
            await target.close()
            source.close()

    asyncio.run(main())
    file.unlink()


_TABLES: Final = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    " AND table_type = 'BASE TABLE' AND table_name <> 'schema_version' ORDER BY table_name"
)
_INDEXES: Final = (
    "SELECT i.indexdef, i.indexname FROM pg_indexes i WHERE i.tablename = $1 AND NOT EXISTS"
    " (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)"
)


_ENDS: Final = (
    "UPDATE chat c SET last_seq = n.last_seq, last_at = n.last_at, last_index = n.last_index,"
    " last_position = n.last_position FROM chat_now n WHERE n.id = c.id"
)
"""On SQLite the row of a chat may lag behind its messages, on PostgreSQL it never does."""


async def _carry_table(source: apsw.Connection, target: Any, table: str) -> None:
    """Copy one table; its further indexes are made anew in the end, which is faster."""
    # Names out of the catalogue of a database of our own, no foreign text.
    indexes = await target.fetch(_INDEXES, table)
    for _, name in indexes:
        await target.execute(f"DROP INDEX {name}")
    await target.execute(f"TRUNCATE {table}")
    columns = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
    # In the order of the record, in which a PostgreSQL of its own would have written them.
    order = " ORDER BY position" if "position" in columns else ""
    rows = source.execute(f"SELECT {', '.join(columns)} FROM {table}{order}")  # noqa: S608 - as said above
    await target.copy_records_to_table(table, records=map(tuple, rows), columns=columns)
    for definition, _ in indexes:
        await target.execute(definition)
    if "id" in columns:
        await target.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"  # noqa: S608 - as said above
            f" (SELECT COALESCE(MAX(id), 1) FROM {table}))"
        )


def ask_now(settings: Settings, run: Callable[[Session], Awaitable[T]]) -> T:
    """Ask the tables of an installation something, also beside a server."""

    async def main() -> T:
        store = composition.make_store(settings)
        await store.open()
        try:
            return await store.ask(run)
        finally:
            await store.close()

    return asyncio.run(main())
