"""The tree over an organisation's entries: tiles of 256 hashes (RFC 9162, section 2.1)."""

from collections.abc import Iterable
from typing import Final

from onrecord.proof import merkle
from onrecord.store.db import Insert, Session

TILE_COLUMNS: Final = ("entity_id", "level", "idx", "hashes")


async def write_tiles(session: Session, entity_id: int, before: int, after: int) -> None:
    """Write the tiles that became full, and hand each one's root to the level above.

    A tile of level 0 holds the 256 leaf hashes of full tiles only: at the right edge they are
    taken from the entries. Higher tiles grow by one hash whenever a tile below becomes full.
    """
    for index in range(before // merkle.TILE, after // merkle.TILE):
        tile = await _leaf_hashes(session, entity_id, index)
        await session.write(Insert("tile", TILE_COLUMNS, [(entity_id, 0, index, tile)]))
        await _grow(session, entity_id, 1, index, tile)


async def _grow(session: Session, entity_id: int, level: int, number: int, below: bytes) -> None:
    """Add the root of full tile `number` of the level below to its tile of this level."""
    root = merkle.tile_root(below)
    index, place = divmod(number, merkle.TILE)
    if place == 0:
        await session.write(Insert("tile", TILE_COLUMNS, [(entity_id, level, index, root)]))
        return
    tile = (await _stored(session, entity_id, level, index) or b"") + root
    await session.run(
        "UPDATE tile SET hashes = $4 WHERE entity_id = $1 AND level = $2 AND idx = $3",
        entity_id,
        level,
        index,
        tile,
    )
    if place == merkle.TILE - 1:
        await _grow(session, entity_id, level + 1, index, tile)


async def node_hashes(
    session: Session, entity_id: int, nodes: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """Give the hashes of complete nodes (level, index) of the tree, each from one stored tile."""
    tiles: dict[tuple[int, int], bytes] = {}
    hashes: dict[tuple[int, int], bytes] = {}
    for level, index in nodes:
        place = merkle.tile_of(level, index)
        key = (place.tile_level, place.tile_index)
        if key not in tiles:
            tiles[key] = await _tile(session, entity_id, *key)
        hashes[level, index] = merkle.hash_in_tile(tiles[key], level, index)
    return hashes


async def _tile(session: Session, entity_id: int, level: int, index: int) -> bytes:
    stored = await _stored(session, entity_id, level, index)
    return await _leaf_hashes(session, entity_id, index) if stored is None else stored


async def _stored(session: Session, entity_id: int, level: int, index: int) -> bytes | None:
    row = await session.one(
        "SELECT hashes FROM tile WHERE entity_id = $1 AND level = $2 AND idx = $3",
        entity_id,
        level,
        index,
    )
    return None if row is None else bytes(row[0])


async def _leaf_hashes(session: Session, entity_id: int, index: int) -> bytes:
    """Give the hashes of a tile of level 0 from the entries, as many as there are."""
    first = index * merkle.TILE
    rows = await session.all(
        "SELECT leaf FROM entry WHERE entity_id = $1 AND position > $2 AND position <= $3"
        " ORDER BY position",
        entity_id,
        first,
        first + merkle.TILE,
    )
    return b"".join(merkle.leaf_hash(bytes(row[0])) for row in rows)


async def root_at(session: Session, entity_id: int, size: int) -> bytes:
    """Give the root of the tree of the first `size` entries."""
    if size == 0:
        return merkle.EMPTY_ROOT
    nodes, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            nodes.append((level, start >> level))
            start += 1 << level
    hashes = await node_hashes(session, entity_id, nodes)
    return merkle.fold([hashes[node] for node in nodes])
