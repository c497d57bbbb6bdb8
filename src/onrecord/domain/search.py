"""Searching what was said: the index, which is a reader of the record, and looking into it.

Sending pays nothing for it: every minute, and before somebody looks, the index reads on in the
record from where it stands. An answer says up to which position it knows.
"""

import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from onrecord.domain import messages
from onrecord.model import words
from onrecord.model.chats import Message
from onrecord.model.cursors import cursor_after, read_cursor
from onrecord.model.errors import Refusal, malformed
from onrecord.model.times import wire
from onrecord.model.words import Query
from onrecord.store import chat_entries, record
from onrecord.store import chats as chat_rows
from onrecord.store import search as rows
from onrecord.store.db import Unavailable
from onrecord.store.search import Found, Said
from onrecord.store.work import Work

T = TypeVar("T")
Do = Callable[[Callable[[Work], Awaitable[Any]]], Awaitable[Any]]
"""Runs a work, and gives what it gives."""

PAGE: Final = 128
"""Positions read into the index in one work: others who write wait no longer for it than this.
Blocks are a multiple of it."""
BEHIND_MOST: Final = 1000
"""Entries the index may lack to be brought up to date before it is asked; with more it is asked as
it is, and says so."""
BLOCKS_MOST: Final = 32
"""Blocks looked into in one go: others have their turn between."""
LOOKED_AT: Final = 200
"""Messages whose texts are looked at in one go, where the index cannot tell it all."""
PAGE_STREAMED: Final = 100
"""Messages given in one go where all are asked for."""
TEXT_MOST: Final = 500
"""Characters of what is looked for."""
_EVERY_POSITION: Final = (0, 2**53)
_EMPTYING: Final = -1
"""The version of an index that is being thrown away."""


# -- the index -----------------------------------------------------------------------------------


async def index_page(work: Work) -> bool:
    """Read the next entries of the actor's organisation into the index; whether there are more.

    Index and progress are one work, and no two read at once: nothing is there twice or missing.
    """
    entity_id = work.actor.entity_id
    await rows.begin(work.db, entity_id, words.VERSION)
    indexed_to, version = await rows.progress(work.db, entity_id, lock=True)
    if version != words.VERSION:
        more = await rows.drop_block(work.db, entity_id)
        await rows.note_progress(work.db, entity_id, 0, _EMPTYING if more else words.VERSION)
        return True
    head, _, _ = await record.head_of(work.db, entity_id)
    last = min(head, ((indexed_to + 1) // PAGE + 1) * PAGE - 1)
    if last > indexed_to:
        await _index(work, entity_id, indexed_to + 1, last)
        await rows.note_progress(work.db, entity_id, last, version)
    return last < head


async def _index(work: Work, entity_id: int, first: int, last: int) -> None:
    chats = dict.fromkeys(range(first, last + 1), 0)
    said: dict[str, list[int]] = {}
    for one in await rows.said_between(work.db, entity_id, first, last):
        chats[one.position] = one.chat_id
        for word in set(itertools.chain(*map(words.words, texts_of(one)))):
            said.setdefault(word, []).append(one.position)
    await rows.add(work.db, entity_id, list(chats.items()), said)


def texts_of(said: Said) -> list[str]:
    """Give what can be found of a message: its text and the names of its files."""
    found: list[str] = []
    if said.text is not None:
        found.append(msgspec.json.decode(said.text, type=str))
    if said.files is not None:
        found += [one.filename for one in msgspec.json.decode(said.files, type=list[_File])]
    return found


class _File(msgspec.Struct):
    filename: str


async def bring_up_to_date(read: Do, write: Do) -> int:
    """Index what is missing if that is little; give the position up to which the index knows.

    `read` runs works of the asking, `write` works of OnRecord itself in the same organisation.
    """

    async def missing(work: Work) -> tuple[int, int]:
        entity_id = work.actor.entity_id
        indexed_to, _ = await rows.progress(work.db, entity_id)
        head, _, _ = await record.head_of(work.db, entity_id)
        return indexed_to, head

    indexed_to, head = await read(missing)
    if head - indexed_to < BEHIND_MOST:
        # Where nothing can be written, what is there can still be searched.
        with contextlib.suppress(Unavailable):
            while indexed_to < head:
                await write(index_page)
                indexed_to, _ = await read(missing)
    return int(indexed_to)


async def forget(work: Work, positions: Sequence[int]) -> None:
    """Take messages out of the index: for the work that erases parts of them."""
    await rows.forget(work.db, work.actor.entity_id, positions)


# -- looking -------------------------------------------------------------------------------------


def asked(text: str) -> Query:
    """Read what is looked for; RB003 where there is no word in it."""
    if len(text) > TEXT_MOST:
        raise malformed("text", f"is longer than {TEXT_MOST} characters")
    query = words.parse(text)
    if not query.terms:
        raise malformed("text", "holds no word to look for")
    return query


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, in microseconds, both ends included; None: open."""

    first: int | None = None
    last: int | None = None

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return self.first is not None or self.last is not None


EVER: Final = Span()
"""Any time."""


def check_span(first: int | None, last: int | None) -> Span:
    """Give the span between two moments; RB003 when it ends before it begins."""
    if first is not None and last is not None and first > last:
        raise malformed("from", "is after to")
    return Span(first, last)


async def stretch_of(work: Work, span: Span) -> tuple[int, int]:
    """Give the positions of the record between which a span lies, both included."""
    first, last = _EVERY_POSITION
    if not span:
        return first, last
    entity_id = work.actor.entity_id
    head, _, _ = await record.head_of(work.db, entity_id)
    if span.first is not None:
        first = await chat_entries.position_at(work.db, entity_id, wire(span.first), head)
    if span.last is not None:
        last = await chat_entries.position_at(work.db, entity_id, wire(span.last + 1), head) - 1
    return first, last


@dataclass(frozen=True, slots=True)
class Look:
    """What is looked for, and where."""

    query: Query
    between: tuple[int, int] = _EVERY_POSITION
    """The stretch of the record, both ends included."""
    visible: Mapping[int, int] | None = None
    """The chats, each up to which position; None: every chat of the organisation."""


async def found(do: Do, look: Look) -> AsyncIterator[list[Found]]:
    """Give what the index knows of it, newest first, in pieces; empty ones mean patience."""
    needed = look.query.needed()
    first, last = look.between

    async def ask(work: Work, blocks: range) -> list[Found]:
        entity_id = work.actor.entity_id
        return await rows.found_in(work.db, entity_id, needed, blocks, look.visible)

    async for blocks in _blocks(do, look.between):
        piece = await do(partial(ask, blocks=blocks))
        yield [one for one in piece if first <= one.position <= last]


async def _blocks(do: Do, between: tuple[int, int]) -> AsyncIterator[range]:
    """Give the blocks of a stretch of the record, the newest first, some at a time.

    Each handful is for a work of its own. What is common is found in the first few blocks; so it
    begins with one of them.
    """
    first, block = rows.block_of(between[0]), rows.block_of(min(between[1], await do(_indexed_to)))
    most = 1
    while block >= first:
        blocks = range(max(first, block - most + 1), block + 1)
        yield blocks
        block, most = blocks.start - 1, min(2 * most, BLOCKS_MOST)


async def _indexed_to(work: Work) -> int:
    indexed_to, _ = await rows.progress(work.db, work.actor.entity_id)
    return indexed_to


async def newest(do: Do, look: Look, limit: int) -> list[Found]:
    """Give the newest `limit` messages that have it, newest first."""
    kept: list[Found] = []
    async for piece in found(do, look):
        for some in _handfuls(piece) if look.query.needs_look else [piece]:
            kept += await _fitting(do, look.query, some)
            if len(kept) >= limit:
                return kept[:limit]
    return kept


async def chats_with(do: Do, look: Look) -> set[int]:
    """Give the chats in which a message has it."""
    kept: set[int] = set()
    if look == Look(look.query) and not look.query.needs_look:
        # Anywhere at any time, and the index tells it all: which message it is does not matter.
        async for blocks in _blocks(do, look.between):
            kept |= await do(partial(_chats_in, query=look.query, blocks=blocks))
        return kept
    async for piece in found(do, look):
        for some in _handfuls(piece) if look.query.needs_look else [piece]:
            news = [one for one in some if one.chat_id not in kept]
            kept |= {one.chat_id for one in await _fitting(do, look.query, news)}
    return kept


async def _chats_in(work: Work, query: Query, blocks: range) -> set[int]:
    return await rows.chats_in(work.db, work.actor.entity_id, query.needed(), blocks)


def _handfuls(piece: Sequence[Found]) -> Iterator[Sequence[Found]]:
    return (piece[at : at + LOOKED_AT] for at in range(0, len(piece), LOOKED_AT))


async def _fitting(do: Do, query: Query, some: Sequence[Found]) -> Sequence[Found]:
    """Give those of the messages whose texts have it, where the index cannot tell it all."""
    if not query.needs_look or not some:
        return some

    async def look(work: Work) -> list[Said]:
        positions = [one.position for one in some]
        return await rows.said_at(work.db, work.actor.entity_id, positions)

    fits = {one.position for one in await do(look) if query.is_in(texts_of(one))}
    return [one for one in some if one.position in fits]


# -- what a member finds -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a member looks for: in all own chats or in one, at any time or between two moments."""

    query: Query
    chat_uuid: str | None = None
    span: Span = EVER


async def page(
    do: Do, wanted: Wanted, *, cursor: str | None, limit: int
) -> tuple[list[Message], str | None]:
    """Give a page of what the acting member may see of it, newest first, and the next cursor.

    `do` runs a work of the acting member. RB003: a cursor that is none of ours, no UUID. RN001:
    a chat the member is not in.
    """
    before = None if cursor is None else read_cursor(cursor)[0]
    look, uuids = await do(partial(_where, wanted=wanted))
    if before is not None:
        first, last = look.between
        look = replace(look, between=(first, min(last, before - 1)))
    there = await newest(do, look, limit + 1) if uuids else []
    if not there:
        return [], None
    given = [one.position for one in there[:limit]]
    shown = await do(partial(_shown, uuids=uuids, positions=given))
    return shown, cursor_after(given[-1]) if len(there) > limit else None


async def _shown(work: Work, uuids: Mapping[int, str], positions: Sequence[int]) -> list[Message]:
    """Give messages as the acting member may see them, newest first."""
    entity_id = work.actor.entity_id
    places = await rows.places_of(work.db, entity_id, positions)
    at = {(uuids[chat_id], seq): position for position, chat_id, seq in places}
    stored = await chat_rows.messages_at(
        work.db, entity_id, [(chat_id, seq) for _, chat_id, seq in places]
    )
    shown = await messages.render(work, dict(uuids), stored)
    return sorted(shown, key=lambda one: -at[one.chat_uuid, one.seq])


async def _where(work: Work, wanted: Wanted) -> tuple[Look, dict[int, str]]:
    """Give where the acting member may look: up to leaving in chats that he or she has left."""
    member = work.actor.member
    if member is None:
        raise Refusal("RF004")
    uuid = None
    if wanted.chat_uuid is not None:
        uuid = (await messages.seen_chat(work, wanted.chat_uuid)).uuid
    seen = await rows.visible_to(work.db, member.id, uuid)
    visible = {number: _EVERY_POSITION[1] if until is None else until for number, _, until in seen}
    look = Look(wanted.query, await stretch_of(work, wanted.span), visible)
    return look, {row[0]: row[1] for row in seen}
