"""Make the frozen test vectors of the record: ``python -m tests.vectors.make``.

They were made once and must never change: files sealed years ago are verified by them. A test
compares what this script would write with what lies here. Keys, salts, ids and times are fixed.
"""

import json
from pathlib import Path

from onrecord.proof import archive, merkle, seal
from onrecord.proof.checkpoint import Checkpoint
from tests.proof import sealing
from tests.proof.sealing import ORIGIN, SIGNER

FOLDER = Path(__file__).parent
SIZES = (0, 1, 2, 3, 4, 7, 8, 11)

Vectors = list[dict[str, object]]


def entries() -> Vectors:
    """Return leaf bytes, as a string, and leaf hash of each entry of the small record."""
    return [
        {"leaf": leaf.decode(), "leaf_hash": merkle.leaf_hash(leaf).hex()}
        for leaf in sealing.small_record().leaves
    ]


def parts() -> Vectors:
    """Return salt, bytes and hash of each part that is still there."""
    found = [
        part
        for named in sealing.small_record().parts
        for part in named.values()
        if part is not None
    ]
    return [
        {"salt": salt.hex(), "bytes": data.decode(), "hash": archive.part_hash(salt, data)}
        for salt, data in found
    ]


def _leaves() -> list[bytes]:
    return list(map(merkle.leaf_hash, sealing.small_record().leaves))


def _frontier(size: int) -> merkle.Frontier:
    return merkle.Frontier().extend(_leaves()[:size])


def _proof(plan: list[merkle.Element]) -> list[str]:
    """Return the elements of a plan, each node hashed from the leaves under it."""
    leaves = _leaves()

    def hash_of(node: merkle.Node) -> bytes:
        begin, end = node.index << node.level, (node.index + 1) << node.level
        return merkle.Frontier().extend(leaves[begin:end]).root()

    return [merkle.fold([hash_of(node) for node in element]).hex() for element in plan]


def roots() -> Vectors:
    """Return root and frontier of the small record at several sizes."""
    return [
        {
            "size": size,
            "root": _frontier(size).root().hex(),
            "frontier": [hashed.hex() for hashed in _frontier(size).hashes],
        }
        for size in SIZES
    ]


def inclusion() -> Vectors:
    """Return an inclusion proof of each leaf in the whole tree."""
    size = len(_leaves())
    return [
        {"index": index, "size": size, "proof": _proof(merkle.inclusion_plan(index, size))}
        for index in range(size)
    ]


def consistency() -> Vectors:
    """Return consistency proofs between several sizes."""
    return [
        {"old_size": old, "new_size": new, "proof": _proof(merkle.consistency_plan(old, new))}
        for new in SIZES
        for old in SIZES
        if old <= new
    ]


def multiproof() -> Vectors:
    """Return multiproofs of some sets of leaves in the whole tree."""
    size = len(_leaves())
    return [
        {"indexes": indexes, "size": size, "proof": _proof(merkle.multiproof_plan(indexes, size))}
        for indexes in ([], [0], [10], [0, 10], [2, 3], [1, 3, 5, 7, 9], list(range(size)))
    ]


def statements() -> Vectors:
    """Return a note, a checkpoint and a seal, and the key that signed them."""
    stated = Checkpoint(ORIGIN, 11, _frontier(11).root()).text()
    sealed = seal.seal_text("archive", ORIGIN, 11, 1234, bytes(range(32)))
    return [
        {"vkey": str(SIGNER.key), "text": text, "note": SIGNER.sign(text)}
        for text in ("Signed.\n", stated, sealed)
    ]


def chat() -> bytes:
    """Return the record of a chat of the small record, without its source addresses."""
    return sealing.chat_of(sealing.small_record(), sealing.CHATS[0], withheld=["address"])


ALL = {
    "entries": entries,
    "parts": parts,
    "roots": roots,
    "inclusion": inclusion,
    "consistency": consistency,
    "multiproof": multiproof,
    "statements": statements,
}


def main() -> None:
    """Write them all beside this script."""
    for name, make in ALL.items():
        text = json.dumps(make(), ensure_ascii=False, indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    whole = sealing.archive_of(sealing.small_record())
    (FOLDER / "archive.jsonl").write_bytes(whole)
    (FOLDER / "chat.jsonl").write_bytes(chat())


if __name__ == "__main__":
    main()
