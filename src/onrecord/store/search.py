"""The index of words: at which positions of the record a word is said, on both engines alike.

`model.words` makes the words. What holds them are plain tables, not the engines' own searches:
those know no order but their own, so whoever is in few chats would pay for what all others say,
and they disagree about what a word is.

The record is cut into blocks of 4,096 positions. A row tells for a word where in the block it is
said. The newest block is looked into first, and the search ends as soon as enough is found.
"""

import sys
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from onrecord.model.words import Needed
from onrecord.store.db import Row, Session

BLOCK_BITS: Final = 12
BLOCK: Final = 2**BLOCK_BITS
"""Positions of a block. Larger ones make the index smaller, but more to be written anew for each
message that comes to the last one."""
_LAST: Final = "\U0010ffff"
"""Sorts behind every letter; no word has it."""


def block_of(position: int) -> int:
    """Give the block of a position."""
    return position >> BLOCK_BITS


# -- the index itself ----------------------------------------------------------------------------


async def behind(session: Session, version: int) -> Sequence[Row]:
    """Give (entity_id, uuid) of organisations whose record goes on beyond the index."""
    return await session.all(
        "SELECT e.id, e.uuid FROM entity e JOIN head h ON h.entity_id = e.id"
        " LEFT JOIN search_progress s ON s.entity_id = e.id"
        " WHERE e.id > 1 AND (h.position > COALESCE(s.indexed_to, 0) OR s.version <> $1)"
        " ORDER BY e.id",
        version,
    )


async def progress(
    session: Session, entity_id: int, *, lock: bool = False
) -> tuple[int, int | None]:
    """Give up to which position an organisation is indexed, and by which version; None for none.

    With `lock` nobody else indexes or forgets until the work ends.
    """
    row = await session.one(
        "SELECT indexed_to, version FROM search_progress WHERE entity_id = $1"
        + (session.for_update if lock else ""),
        entity_id,
    )
    return (row[0], row[1]) if row else (0, None)


async def begin(session: Session, entity_id: int, version: int) -> None:
    """Make the row that is locked, unless there is one."""
    await session.run(
        "INSERT INTO search_progress (entity_id, indexed_to, version) VALUES ($1, 0, $2)"
        " ON CONFLICT (entity_id) DO NOTHING",
        entity_id,
        version,
    )


async def note_progress(session: Session, entity_id: int, indexed_to: int, version: int) -> None:
    """Note up to which position an organisation is indexed."""
    await session.run(
        "UPDATE search_progress SET indexed_to = $2, version = $3 WHERE entity_id = $1",
        entity_id,
        indexed_to,
        version,
    )


async def drop_block(session: Session, entity_id: int) -> bool:
    """Throw away the last block of an organisation; False when there is none left."""
    row = await session.one("SELECT MAX(block) FROM search_block WHERE entity_id = $1", entity_id)
    if row is None or row[0] is None:
        return False
    for table in ("search_word", "search_block"):
        await session.run(
            f"DELETE FROM {table} WHERE entity_id = $1 AND block = $2", entity_id, row[0]
        )
    return True


_PART: Final = (
    "(SELECT p.data FROM part p WHERE p.entity_id = e.entity_id AND p.chat_id = {}"
    " AND p.position = e.position AND p.name = '{}')"
)
# Where files lie is the business of `record`: with their chat, or with all the rest.
_SAID: Final = (
    f"SELECT e.position, e.chat_id, {_PART.format('e.chat_id', 'text')},"
    f" COALESCE({_PART.format('e.chat_id', 'file')}, {_PART.format('0', 'file')})"
    " FROM entry e WHERE e.entity_id = $1 AND e.seq IS NOT NULL"
)


class Said(NamedTuple):
    """A message with the bytes of its parts, None where there is none or it was erased."""

    position: int
    chat_id: int
    text: bytes | None
    files: bytes | None


async def said_between(session: Session, entity_id: int, first: int, last: int) -> list[Said]:
    """Give the messages at these positions, in order."""
    rows = await session.all(
        f"{_SAID} AND e.position >= $2 AND e.position <= $3 ORDER BY e.position",
        entity_id,
        first,
        last,
    )
    return [Said(*row) for row in rows]


async def said_at(session: Session, entity_id: int, positions: Sequence[int]) -> list[Said]:
    """Give the messages at these positions."""
    if session.dialect == "postgresql":
        rows = await session.all(f"{_SAID} AND e.position = ANY($2)", entity_id, positions)
    else:
        rows = await session.each(
            f"{_SAID} AND e.position = $2", [(entity_id, position) for position in positions]
        )
    return [Said(*row) for row in rows]


async def add(
    session: Session,
    entity_id: int,
    chats: Sequence[tuple[int, int]],
    said: Mapping[str, Sequence[int]],
) -> None:
    """Put positions that follow the last ones, all of one block, into the index.

    `chats` gives every position in order with its chat, 0 for what is no message; `said` at which
    of them each word is said, ascending.
    """
    block = block_of(chats[0][0])
    # On SQLite what `||` makes is text, of the same bytes.
    both = "{0}.{1} || excluded.{1}"
    if session.dialect == "sqlite":
        both = f"CAST({both} AS BLOB)"
    await session.run(
        "INSERT INTO search_block (entity_id, block, chats) VALUES ($1, $2, $3)"
        " ON CONFLICT (entity_id, block) DO UPDATE"
        f" SET chats = {both.format('search_block', 'chats')}",
        entity_id,
        block,
        _packed("Q", (chat_id for _, chat_id in chats)),
    )
    # In the order of the table, which is the order that changes it best.
    rows = [
        (word, _packed("H", (position % BLOCK for position in said[word]))) for word in sorted(said)
    ]
    insert = "INSERT INTO search_word (entity_id, block, word, places)"
    changed = (
        " ON CONFLICT (entity_id, block, word) DO UPDATE"
        f" SET places = {both.format('search_word', 'places')}"
    )
    if session.dialect == "postgresql":
        await session.run(
            f"{insert} SELECT $1, $2, w.word, w.places"
            f" FROM unnest($3::text[], $4::bytea[]) AS w (word, places){changed}",
            entity_id,
            block,
            [word for word, _ in rows],
            [places for _, places in rows],
        )
    else:
        await session.each(
            f"{insert} VALUES ($1, $2, $3, $4){changed}",
            [(entity_id, block, *row) for row in rows],
        )


async def forget(session: Session, entity_id: int, positions: Iterable[int]) -> None:
    """Take the words of messages out of the index, and keep them from coming there.

    For the work that erases their parts. It waits for whoever is indexing just now and may have
    read them already. All words of a block are looked at, some ten thousand: erase many at a time.
    """
    await progress(session, entity_id, lock=True)
    by_block: dict[int, set[int]] = {}
    for position in positions:
        by_block.setdefault(block_of(position), set()).add(position % BLOCK)
    for block, gone in by_block.items():
        rows = await session.all(
            "SELECT word, places FROM search_word WHERE entity_id = $1 AND block = $2",
            entity_id,
            block,
        )
        for word, places in rows:
            known = _unpacked("H", places)
            if gone.isdisjoint(known):
                continue
            await session.run(
                "UPDATE search_word SET places = $4"
                " WHERE entity_id = $1 AND block = $2 AND word = $3",
                entity_id,
                block,
                word,
                _packed("H", (place for place in known if place not in gone)),
            )
        await session.run(
            "DELETE FROM search_word WHERE entity_id = $1 AND block = $2 AND places = $3",
            entity_id,
            block,
            b"",
        )


def _packed(kind: str, numbers: Iterable[int]) -> bytes:
    """Give numbers as bytes, the lowest byte of each first."""
    made = array(kind, numbers)
    if sys.byteorder == "big":  # pragma: no cover - no machine of ours
        made.byteswap()
    return made.tobytes()


def _unpacked(kind: str, data: bytes) -> "array[int]":
    made = array(kind)
    made.frombytes(data)
    if sys.byteorder == "big":  # pragma: no cover - no machine of ours
        made.byteswap()
    return made


# -- asking it -----------------------------------------------------------------------------------


class Found(NamedTuple):
    """A message that the index gives."""

    position: int
    chat_id: int


async def found_in(
    session: Session,
    entity_id: int,
    needed: Sequence[Needed],
    blocks: range,
    visible: Mapping[int, int] | None,
) -> list[Found]:
    """Give the messages in these blocks that have all that is needed, newest first.

    `visible` are the chats in which to look, each up to which position; None: all of them.
    """
    found = []
    for block, chats, places in await _told(session, entity_id, needed, blocks):
        start = block << BLOCK_BITS
        for place in sorted(places, reverse=True):
            chat_id, position = chats[place], start + place
            if visible is None or position <= visible.get(chat_id, 0):
                found.append(Found(position, chat_id))
    return found


async def chats_in(
    session: Session, entity_id: int, needed: Sequence[Needed], blocks: range
) -> set[int]:
    """Give the chats in which a message in these blocks has all that is needed."""
    found: set[int] = set()
    for _, chats, places in await _told(session, entity_id, needed, blocks):
        found.update(chats[place] for place in places)
    return found


async def _told(
    session: Session, entity_id: int, needed: Sequence[Needed], blocks: range
) -> list[tuple[int, Sequence[int], set[int]]]:
    """Give of each block in which there is something the chat of each place, and the places found.

    The newest block first.
    """
    places = await _places(session, entity_id, needed, blocks)
    if not places:
        return []
    rows = await session.all(
        "SELECT block, chats FROM search_block"
        f" WHERE entity_id = $1 AND block {session.among('$2')} ORDER BY block DESC",
        entity_id,
        session.many(places),
    )
    # The record begins with position 1: the first block has no place 0.
    return [
        (
            block,
            (array("Q", [0]) if block == 0 else array("Q")) + _unpacked("Q", chats),
            places[block],
        )
        for block, chats in rows
    ]


async def _places(
    session: Session, entity_id: int, needed: Sequence[Needed], blocks: range
) -> dict[int, set[int]]:
    """Give the places in each block at which all that is needed is said."""
    places: dict[int, set[int]] = {}
    left: Collection[int] = blocks
    for number, one in enumerate(sorted(needed, key=_likely_rare)):
        here: dict[int, set[int]] = {}
        for block, packed in await _rows(session, entity_id, one, left):
            here.setdefault(block, set()).update(_unpacked("H", packed))
        if number:
            here = {block: both for block in here if (both := here[block] & places[block])}
        places = here
        left = places.keys()
        if not left:
            return {}
    return places


def _likely_rare(one: Needed) -> tuple[bool, int]:
    """Sort what is said less often first: where that is not said nothing else is looked for."""
    return one.is_beginning, -len(one.word)


async def _rows(
    session: Session, entity_id: int, one: Needed, blocks: Iterable[int]
) -> Sequence[Row]:
    wanted = "word >= $3 AND word < $4" if one.is_beginning else "word = $3"
    ends = (one.word + _LAST,) if one.is_beginning else ()
    return await session.all(
        "SELECT block, places FROM search_word"
        f" WHERE entity_id = $1 AND block {session.among('$2')} AND {wanted}",
        entity_id,
        session.many(blocks),
        one.word,
        *ends,
    )


async def visible_to(
    session: Session, member_id: int, chat_uuid: str | None = None
) -> Sequence[Row]:
    """Give (chat_id, uuid, until_position) of a member's chats, None for those not left.

    A draft holds nothing yet.
    """
    return await session.all(
        "SELECT c.id, c.uuid, p.until_position FROM participant p JOIN chat c ON c.id = p.chat_id"
        " WHERE p.member_id = $1 AND c.state = 'active' AND c.uuid = COALESCE($2, c.uuid)",
        member_id,
        chat_uuid,
    )


async def places_of(session: Session, entity_id: int, positions: Sequence[int]) -> Sequence[Row]:
    """Give (position, chat_id, seq) of messages."""
    select = "SELECT position, chat_id, seq FROM entry WHERE entity_id = $1 AND position"
    if session.dialect == "postgresql":
        return await session.all(f"{select} = ANY($2)", entity_id, positions)
    return await session.each(f"{select} = $2", [(entity_id, position) for position in positions])
