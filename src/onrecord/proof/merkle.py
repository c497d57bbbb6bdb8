"""The Merkle tree of the record: RFC 9162 section 2.1 with SHA-256, leaves numbered from 0.

Nothing here does I/O. Proofs are therefore *plans*: they name the complete nodes to fetch, and
``fold`` makes the fetched hashes into the elements of the proof.

A **complete node** (level, index) is the root of the 2^level leaves from index * 2^level on. Such
a node never changes once its last leaf is there, so it may be stored, in tiles of 256. Every
other node lies on the right edge of the tree and is folded from complete ones when needed.

Hashes are always 32 bytes of type ``bytes``.
"""

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162 section 2.1.1)."""

TILE: Final = 256
"""Hashes in a full tile: a subtree of height 8 (as in C2SP tlog-tiles)."""

TILE_HEIGHT: Final = 8
SIZE_LIMIT: Final = 2**53
"""Trees are smaller than this: a size is an integer of the record's JSON."""


class ProofError(ValueError):
    """A proof, a frontier or a tile has not the hashes that its size calls for."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Node(NamedTuple):
    """A complete node: the root of the 2^level leaves from index * 2^level on."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a node


Element = list[Node]
"""One element of a proof: the complete nodes, left to right, whose ``fold`` it is."""


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of the subtree made of these complete ones, given left to right.

    They are those of ``Frontier.hashes`` or of one element of a plan: each smaller than the one
    before, so the tree leans right and the fold starts there. Of none it is ``EMPTY_ROOT``.
    """
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


# -- growing a tree ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Frontier:
    """What must be kept of a tree to let it grow: its size and its largest complete subtrees.

    ``hashes`` holds one root for every 1 in the binary form of ``size``, the largest subtree
    first: never more than 53 of them. Raises ProofError when number and size disagree.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size < SIZE_LIMIT or len(self.hashes) != self.size.bit_count():
            raise ProofError(
                f"{len(self.hashes)} hashes are no frontier of a tree of {self.size} leaves"
            )

    def append(self, leaf: bytes) -> "Frontier":
        """Return the frontier after one more leaf, given by its leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """Return the frontier after these leaf hashes: about one node hash for each of them."""
        hashes, size = list(self.hashes), self.size
        for leaf in leaves:
            _carry(hashes, leaf, size)
            size += 1
        return Frontier(size, tuple(hashes))

    def extend_by_nodes(self, nodes: Iterable[tuple[Node, bytes]]) -> "Frontier":
        """Return the frontier after these complete nodes, such as ``complete_nodes`` finds.

        Raises ProofError if a node does not begin exactly where the tree ends.
        """
        hashes, size = list(self.hashes), self.size
        for (level, index), node in nodes:
            if index << level != size:
                raise ProofError(f"node ({level}, {index}) does not begin at leaf {size}")
            _carry(hashes, node, size >> level)
            size += 1 << level
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        """Return the root of the tree (RFC 9162 section 2.1.1)."""
        return fold(self.hashes)

    def to_bytes(self) -> bytes:
        """Return the hashes one after the other; the size is kept beside them."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """Return the frontier of that size from ``to_bytes``; raises ProofError if it is not."""
        if len(data) % HASH_BYTES:
            raise ProofError(f"{len(data)} bytes are not whole hashes")
        return cls(size, tuple(_hashes_of(data)))


def complete_nodes(start: int, leaves: Iterable[bytes]) -> list[tuple[Node, bytes]]:
    """Return the largest complete nodes, left to right, over leaf hashes from ``start`` on.

    So a stretch in the middle of a tree can be hashed by somebody who knows nothing of what
    precedes it; ``Frontier.extend_by_nodes`` puts the stretches together.
    """
    stack: list[tuple[Node, bytes]] = []
    for number, leaf in enumerate(leaves, start):
        level, index, hashed = 0, number, leaf
        while index & 1 and stack and stack[-1][0] == (level, index - 1):
            hashed = node_hash(stack.pop()[1], hashed)
            level, index = level + 1, index >> 1
        stack.append((Node(level, index), hashed))
    return stack


def _carry(hashes: list[bytes], node: bytes, count: int) -> None:
    """Add a complete node where ``count`` of its level stand to the left: binary addition."""
    while count & 1:
        node = node_hash(hashes.pop(), node)
        count >>= 1
    hashes.append(node)


def _hashes_of(data: bytes) -> Iterator[bytes]:
    return (data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


# -- proofs -----------------------------------------------------------------------------------


def inclusion_plan(index: int, size: int) -> list[Element]:
    """Return the plan of the inclusion proof of leaf ``index``, elements from the leaf upwards.

    RFC 9162 section 2.1.3.1. Raises ProofError if the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf {index}")
    plan: list[Element] = []
    low, high = 0, size
    while high - low > 1:
        middle = _split(low, high)
        if index < middle:
            plan.append(_cover(middle, high))
            high = middle
        else:
            plan.append(_cover(low, middle))
            low = middle
    return plan[::-1]


def consistency_plan(old_size: int, new_size: int) -> list[Element]:
    """Return the plan of the proof that the tree of ``old_size`` grew into that of ``new_size``.

    RFC 9162 section 2.1.4.1; empty where nothing need be shown (equal sizes, or an empty tree).
    Raises ProofError unless 0 <= old_size <= new_size.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"a tree of {old_size} leaves cannot grow into one of {new_size}")
    plan: list[Element] = []
    low, high = 0, new_size
    while low < old_size < high:
        middle = _split(low, high)
        if old_size <= middle:
            plan.append(_cover(middle, high))
            high = middle
        else:
            plan.append(_cover(low, middle))
            low = middle
    if low:  # else the old root itself is the first element, and the verifier has it
        plan.append(_cover(low, high))
    return plan[::-1]


def multiproof_plan(indexes: Sequence[int], size: int) -> list[Element]:
    """Return the plan of one proof for many leaves, elements in tree order, left to right.

    The elements are the maximal subtrees that hold none of the leaves, each once; ``indexes``
    are sorted and distinct. With none of them the one element is the root (in an empty tree
    there is no element). Raises ProofError for indexes unsorted or outside the tree.
    """
    return list(multiproof_elements(indexes, size))


def multiproof_elements(indexes: Sequence[int], size: int) -> Iterator[Element]:
    """Yield the elements of ``multiproof_plan`` one by one: a proof for many leaves is long."""
    _check_indexes(indexes, size)
    stack = [(0, size, 0, len(indexes))] if size else []
    while stack:
        low, high, first, last = stack.pop()
        if first == last:
            yield _cover(low, high)
        elif last - first < high - low:  # a subtree of which every leaf is asked needs nothing
            middle = low + (1 << (high - low - 1).bit_length() - 1)  # as _split says
            cut = bisect_left(indexes, middle, first, last)
            stack += ((middle, high, cut, last), (low, middle, first, cut))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether the leaf hash stands at ``index`` in the tree of that size and root.

    The algorithm of RFC 9162 section 2.1.3.2. Hostile input gives False, never an exception.
    """
    if not (0 <= index < size and _are_hashes((leaf, *proof))):
        return False
    at, last, hashed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            hashed = node_hash(sibling, hashed)
            while not at & 1 and at:  # on the right edge: climb to where there is a sibling
                at, last = at >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and hashed == root


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Tell whether the tree with the new root begins with that of the old root.

    The algorithm of RFC 9162 section 2.1.4.2; beyond it, equal sizes need equal roots and every
    tree begins with the empty one, both with an empty proof. Never raises.
    """
    if not (0 <= old_size <= new_size and _are_hashes(proof)):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a power of two: the old root is itself the first node
        path.insert(0, old_root)
    return bool(path) and _grew(old_size - 1, new_size - 1, path, old_root, new_root)


def _grew(at: int, last: int, path: list[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Run steps 4 to 7 of RFC 9162 section 2.1.4.2, sizes below 1 less than those compared."""
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def root_of_multiproof(
    leaves: Mapping[int, bytes] | Iterable[tuple[int, bytes]], size: int, nodes: Sequence[bytes]
) -> bytes:
    """Return the root that a multiproof gives: leaf hashes by index, and the folded elements.

    Raises ProofError for nodes too few or too many, for indexes doubled or outside the tree, and
    for hashes that are not 32 bytes.
    """
    pairs: list[tuple[int, bytes]] = sorted(
        leaves.items() if isinstance(leaves, Mapping) else leaves
    )
    hashes = [leaf for _, leaf in pairs]
    return fold_multiproof([index for index, _ in pairs], hashes.__getitem__, size, nodes)


def fold_multiproof(
    indexes: Sequence[int], leaf: Callable[[int], bytes], size: int, nodes: Iterable[bytes]
) -> bytes:
    """Return the root from the leaf hashes at ``indexes`` and from the nodes as they come.

    ``leaf`` gives the hash of the first of them for 0, of the second for 1, and so on.
    Memory grows by nothing but the path from the root: nodes may be read from a file meanwhile.
    Raises ProofError as ``root_of_multiproof`` does.
    """
    _check_indexes(indexes, size)
    rest = iter(nodes)

    def walk(low: int, high: int, first: int, last: int) -> bytes:
        if first == last:
            return _hash_of(next(rest, None))
        if high - low == 1:
            return _hash_of(leaf(first))
        middle = _split(low, high)
        cut = bisect_left(indexes, middle, first, last)
        return node_hash(walk(low, middle, first, cut), walk(middle, high, cut, last))

    root = walk(0, size, 0, len(indexes)) if size else EMPTY_ROOT
    if next(rest, None) is not None:
        raise ProofError("the multiproof has too many nodes")
    return root


def _hash_of(node: bytes | None) -> bytes:
    """Return a hash: else left and right of the node above could be parted elsewhere."""
    if node is None:
        raise ProofError("the multiproof has too few nodes")
    if len(node) != HASH_BYTES:
        raise ProofError("the multiproof holds something that is not a hash of 32 bytes")
    return node


def _check_indexes(indexes: Sequence[int], size: int) -> None:
    """Refuse sizes beyond the limit (which bounds the recursion) and indexes out of order."""
    inside = not indexes or (indexes[0] >= 0 and indexes[-1] < size)
    rising = all(low < high for low, high in pairwise(indexes))
    if not (0 <= size < SIZE_LIMIT and inside and rising):
        raise ProofError(f"the indexes are not sorted, distinct and inside a tree of {size} leaves")


def _are_hashes(hashes: Iterable[bytes]) -> bool:
    """Tell whether all have 32 bytes: else left and right of a node could be parted elsewhere."""
    return all(len(hashed) == HASH_BYTES for hashed in hashes)


def _split(low: int, high: int) -> int:
    """Return where the subtree over leaves low to high - 1 parts (RFC 9162 section 2.1.1).

    The left side is the largest power of two smaller than the whole.
    """
    return low + (1 << (high - low - 1).bit_length() - 1)


def _cover(low: int, high: int) -> Element:
    """Return the complete nodes over leaves low to high - 1, for bounds that ``_split`` gave."""
    nodes = []
    while low < high:
        level = (high - low).bit_length() - 1
        nodes.append(Node(level, low >> level))
        low += 1 << level
    return nodes


# -- tiles ------------------------------------------------------------------------------------


class TileSlice(NamedTuple):
    """Where the hash of a complete node comes from: ``count`` hashes of one tile, folded.

    Hash i of tile (tile_level, tile_index) is that of the complete node
    (8 * tile_level, 256 * tile_index + i).
    """

    tile_level: int
    tile_index: int
    first: int
    count: int  # type: ignore[assignment]  # hides tuple.count


def tile_of(level: int, index: int) -> TileSlice:
    """Return the one tile, and the hashes in it, that give the complete node (level, index)."""
    tile_level, height = divmod(level, TILE_HEIGHT)
    tile_index, first = divmod(index << height, TILE)
    return TileSlice(tile_level, tile_index, first, 1 << height)


def hash_in_tile(tile: bytes, level: int, index: int) -> bytes:
    """Return the hash of the complete node (level, index) from the tile ``tile_of`` names.

    ``tile`` is the row as stored, 32 bytes a hash, perhaps partial. At most 127 hashes are made.
    Raises ProofError if it does not reach far enough.
    """
    return hash_of_slice(tile, tile_of(level, index))


def hash_of_slice(tile: bytes, place: TileSlice) -> bytes:
    """Return what ``hash_in_tile`` does, for whoever has asked ``tile_of`` before."""
    _, _, first, count = place
    data = tile[first * HASH_BYTES : (first + count) * HASH_BYTES]
    if len(data) != count * HASH_BYTES:
        raise ProofError(f"the tile ends before hash {first + count} of it")
    return _perfect_root(data)


def tile_root(tile: bytes) -> bytes:
    """Return the hash a full tile adds to the tile above it; raises ProofError if not full."""
    if len(tile) != TILE * HASH_BYTES:
        raise ProofError("only a full tile has a hash in the tile above")
    return _perfect_root(tile)


_pairs: Final = struct.Struct(f"{2 * HASH_BYTES}s").iter_unpack


def _perfect_root(data: bytes) -> bytes:
    """Return the root over a power of two of hashes, level by level.

    Two hashes that are next to each other are hashed as they lie, a third faster.
    """
    while len(data) > HASH_BYTES:
        data = b"".join([sha256(b"\x01" + pair).digest() for (pair,) in _pairs(data)])
    return data
