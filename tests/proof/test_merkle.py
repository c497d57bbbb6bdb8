from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord.proof import merkle
from onrecord.proof.merkle import Frontier, Node, ProofError

MOST = 70
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(MOST)]
sizes = st.integers(0, MOST)

# The leaves and roots of the reference implementation of RFC 6962 (Certificate Transparency).
KNOWN_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
KNOWN_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@cache
def root_of(low: int, high: int) -> bytes:
    """Return the root over some of the leaves by the recursive definition of RFC 9162."""
    if high - low == 0:
        return merkle.EMPTY_ROOT
    if high - low == 1:
        return LEAVES[low]
    split = 1
    while split * 2 < high - low:
        split *= 2
    return merkle.node_hash(root_of(low, low + split), root_of(low + split, high))


def node(at: Node) -> bytes:
    return root_of(at.index << at.level, (at.index + 1) << at.level)


def proof_of(plan: list[merkle.Element]) -> list[bytes]:
    return [merkle.fold([node(at) for at in element]) for element in plan]


def test_the_known_trees_have_the_known_roots() -> None:
    frontier = Frontier()
    assert frontier.root().hex() == KNOWN_ROOTS[0]
    for leaf, root in zip(KNOWN_LEAVES, KNOWN_ROOTS[1:], strict=True):
        frontier = frontier.append(merkle.leaf_hash(leaf))
        assert frontier.root().hex() == root


def test_the_frontier_gives_the_root_of_every_size() -> None:
    for size in range(MOST + 1):
        assert Frontier().extend(LEAVES[:size]).root() == root_of(0, size)


@given(sizes, sizes)
def test_a_frontier_grows_alike_at_once_and_in_steps(one: int, two: int) -> None:
    low, high = sorted((one, two))
    frontier = Frontier().extend(LEAVES[:low])
    grown = frontier.extend(LEAVES[low:high])
    assert grown == Frontier().extend(LEAVES[:high])
    nodes = merkle.complete_nodes(low, LEAVES[low:high])
    assert all(hashed == node(at) for at, hashed in nodes)
    assert frontier.extend_by_nodes(nodes) == grown
    assert Frontier.from_bytes(high, grown.to_bytes()) == grown


def test_a_frontier_refuses_what_does_not_fit_its_size() -> None:
    for size, data in ((1, b""), (3, bytes(32)), (1, bytes(31)), (-1, b""), (2**53, bytes(32))):
        with pytest.raises(ProofError):
            Frontier.from_bytes(size, data)
    with pytest.raises(ProofError, match="does not begin at leaf 1"):
        Frontier().append(LEAVES[0]).extend_by_nodes([(Node(1, 1), LEAVES[1])])


def test_every_leaf_of_every_tree_has_an_inclusion_proof() -> None:
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = proof_of(merkle.inclusion_plan(index, size))
            root = root_of(0, size)
            assert merkle.verify_inclusion(LEAVES[index], index, size, proof, root)
            assert not merkle.verify_inclusion(LEAVES[index], index + 1, size, proof, root)
            assert not merkle.verify_inclusion(LEAVES[index], index, size, [*proof, root], root)
            assert not merkle.verify_inclusion(LEAVES[index], index, size, proof[:-1], b"x" * 32)


def test_every_tree_has_a_consistency_proof_from_every_smaller_one() -> None:
    for new in range(MOST + 1):
        for old in range(new + 1):
            proof = proof_of(merkle.consistency_plan(old, new))
            roots = root_of(0, old), root_of(0, new)
            assert merkle.verify_consistency(old, new, proof, *roots)
            assert not merkle.verify_consistency(old, new, [*proof, LEAVES[0]], *roots)
            if old < new:
                assert not merkle.verify_consistency(old, new, proof, roots[1], roots[1])
            if 0 < old < new:
                assert not merkle.verify_consistency(old, new, proof, roots[0], roots[0])
                assert not merkle.verify_consistency(old, new, proof[:-1], *roots)


@given(
    st.integers(-1, 2**64), st.integers(-1, 2**64), st.lists(st.binary(max_size=40), max_size=70)
)
def test_hostile_proofs_are_false_and_never_raise(one: int, two: int, proof: list[bytes]) -> None:
    assert not merkle.verify_inclusion(b"leaf", one, two, proof, b"root")
    assert not merkle.verify_consistency(one, two, proof, b"old", b"new")


@given(st.data())
def test_a_multiproof_gives_the_root_and_holds_each_node_once(data: st.DataObject) -> None:
    size = data.draw(sizes)
    indexes = sorted(data.draw(st.sets(st.integers(0, max(0, size - 1)), max_size=size)))
    plan = merkle.multiproof_plan(indexes, size)
    leaves = {index: LEAVES[index] for index in indexes}
    proof = proof_of(plan)
    assert merkle.root_of_multiproof(leaves, size, proof) == root_of(0, size)
    assert merkle.root_of_multiproof(leaves.items(), size, proof) == root_of(0, size)
    starts = [at.index << at.level for element in plan for at in element]
    assert starts == sorted(set(starts))
    covered = {
        leaf
        for element in plan
        for level, index in element
        for leaf in range(index << level, (index + 1) << level)
    }
    assert covered == set(range(size)) - set(indexes)
    with pytest.raises(ProofError, match="too many"):
        merkle.root_of_multiproof(leaves, size, [*proof, LEAVES[0]])
    if proof:
        with pytest.raises(ProofError, match="too few"):
            merkle.root_of_multiproof(leaves, size, proof[:-1])


def test_a_multiproof_refuses_indexes_and_hashes_that_are_none() -> None:
    for indexes in ([1, 0], [0, 0], [-1], [3]):
        with pytest.raises(ProofError, match="not sorted"):
            merkle.multiproof_plan(indexes, 3)
    with pytest.raises(ProofError, match="32 bytes"):
        merkle.root_of_multiproof({0: b"short"}, 1, [])


def test_plans_refuse_what_the_tree_does_not_hold() -> None:
    with pytest.raises(ProofError, match="no leaf 3"):
        merkle.inclusion_plan(3, 3)
    with pytest.raises(ProofError, match="cannot grow"):
        merkle.consistency_plan(4, 3)


def test_every_complete_node_is_found_in_one_tile() -> None:
    size = merkle.TILE * 5 + 37
    rows = [[merkle.leaf_hash(number.to_bytes(4)) for number in range(size)]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([merkle.node_hash(*row[at : at + 2]) for at in range(0, len(row) - 1, 2)])
    for level, row in enumerate(rows):
        for index, expected in enumerate(row):
            where = merkle.tile_of(level, index)
            begin = where.tile_index * merkle.TILE
            tile = b"".join(rows[8 * where.tile_level][begin : begin + merkle.TILE])
            assert merkle.hash_in_tile(tile, level, index) == expected
            if len(tile) == merkle.TILE * 32:
                assert merkle.tile_root(tile) == rows[8 * where.tile_level + 8][where.tile_index]


def test_a_tile_too_short_is_refused() -> None:
    with pytest.raises(ProofError, match="ends before"):
        merkle.hash_in_tile(bytes(32 * 3), 2, 0)
    with pytest.raises(ProofError, match="full tile"):
        merkle.tile_root(bytes(32 * 255))
