"""The tree over an organisation's entries: tiles of 256 hashes (RFC 9162, section 2.1)."""

from collections.abc import Iterable, Sequence
from typing import Final

from onrecord.proof import merkle
from onrecord.store.db import Insert, Session, Update

TILE_COLUMNS: Final = ("entity_id", "level", "idx", "hashes")
TILE_BYTES: Final = merkle.TILE * merkle.HASH_BYTES


async def write_tiles(
    session: Session, entity_id: int, before: int, hashes: Sequence[bytes]
) -> None:
    """Write the tiles that leaf hashes following the first `before` entries made full.

    A tile of level 0 holds the 256 leaf hashes of full tiles only: at the right edge they are
    taken from the entries. Higher tiles grow by one hash whenever a tile below becomes full.
    """
    first, begun = divmod(before, merkle.TILE)
    if begun + len(hashes) < merkle.TILE:
        return
    # What this very work has hashed is not read and hashed again: only what came before it.
    start = await _leaf_hashes(session, entity_id, first, before) if begun else b""
    leaves = start + b"".join(hashes)
    full = [
        leaves[at : at + TILE_BYTES] for at in range(0, len(leaves) - TILE_BYTES + 1, TILE_BYTES)
    ]
    rows = [(entity_id, 0, index, tile) for index, tile in enumerate(full, first)]
    await session.write(Insert("tile", TILE_COLUMNS, rows))
    await _grow(session, entity_id, 1, first, [merkle.tile_root(tile) for tile in full])


async def _grow(
    session: Session, entity_id: int, level: int, number: int, roots: Sequence[bytes]
) -> None:
    """Add the roots of full tiles, `number` and following of the level below, to this level."""
    first, place = divmod(number, merkle.TILE)
    tile = await _stored(session, entity_id, level, first) if place else None
    grown = (tile or b"") + b"".join(roots)
    tiles = [
        (entity_id, level, index, grown[at : at + TILE_BYTES])
        for index, at in enumerate(range(0, len(grown), TILE_BYTES), first)
    ]
    if place:
        keys = ("entity_id", "level", "idx")
        await session.write(Update("tile", keys, ("hashes",), [tiles[0]]))
    await session.write(Insert("tile", TILE_COLUMNS, tiles[1:] if place else tiles))
    full = [merkle.tile_root(row[3]) for row in tiles if len(row[3]) == TILE_BYTES]
    if full:
        await _grow(session, entity_id, level + 1, first, full)


async def node_hashes(
    session: Session, entity_id: int, nodes: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """Give the hashes of complete nodes (level, index) of the tree, each from one stored tile.

    The tiles are read together, 8 KiB each: ask for some thousand nodes at the most.
    """
    wanted = {node: merkle.tile_of(*node) for node in nodes}
    tiles = await _tiles(session, entity_id, sorted({place[:2] for place in wanted.values()}))
    return {node: merkle.hash_of_slice(tiles[place[:2]], place) for node, place in wanted.items()}


async def _tiles(
    session: Session, entity_id: int, places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """Give tiles by (level, index); the one at the right edge is made from the entries."""
    if session.dialect == "postgresql":
        rows = await session.all(
            "SELECT t.level, t.idx, t.hashes FROM unnest($2::bigint[], $3::bigint[])"
            " AS w (level, idx) JOIN tile t ON t.entity_id = $1 AND t.level = w.level"
            " AND t.idx = w.idx",
            entity_id,
            [level for level, _ in places],
            [index for _, index in places],
        )
    else:
        rows = await session.each(
            "SELECT level, idx, hashes FROM tile WHERE entity_id = $1 AND level = $2 AND idx = $3",
            [(entity_id, *place) for place in places],
        )
    tiles = {(level, index): bytes(hashes) for level, index, hashes in rows}
    for level, index in places:
        if (level, index) not in tiles:
            end = (index + 1) * merkle.TILE
            tiles[level, index] = await _leaf_hashes(session, entity_id, index, end)
    return tiles


async def _stored(session: Session, entity_id: int, level: int, index: int) -> bytes | None:
    row = await session.one(
        "SELECT hashes FROM tile WHERE entity_id = $1 AND level = $2 AND idx = $3",
        entity_id,
        level,
        index,
    )
    return None if row is None else bytes(row[0])


async def _leaf_hashes(session: Session, entity_id: int, index: int, until: int) -> bytes:
    """Give the hashes of a tile of level 0 from the entries, as many as there are up to `until`."""
    rows = await session.all(
        "SELECT leaf FROM entry WHERE entity_id = $1 AND position > $2 AND position <= $3"
        " ORDER BY position",
        entity_id,
        index * merkle.TILE,
        until,
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
