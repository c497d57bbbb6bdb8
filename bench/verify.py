"""How many entries a second `onrecord.proof.verify` checks, with one worker and with two.

And how long the record of a chat takes whose entries are spread over the same record.
"""

import os
import statistics
import tempfile
import time
from base64 import b64encode
from pathlib import Path
from typing import Final

import common
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onrecord.proof import archive, canonical, chat, checkpoint, merkle, note
from onrecord.proof.verify import verify

ENTITY: Final = "f4b9b8c6-2a3e-4d5f-8a1b-1c2d3e4f5a66"
ORIGIN: Final = f"bench/{ENTITY}"
CHATS: Final = 200
MICROSECONDS: Final = 10**6


def write_archive(path: Path, count: int) -> None:
    """Write the sealed archive of a record of so many messages, two parts each."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    body = path.with_suffix(".body")
    frontier = merkle.Frontier()
    tips = [(0, 0)] * CHATS
    with body.open("wb") as file:
        for first in range(1, count + 1, 1000):
            leaves = []
            for position in range(first, min(first + 1000, count + 1)):
                leaf, line = _entry(position, tips)
                leaves.append(merkle.leaf_hash(leaf))
                file.write(line)
            frontier = frontier.extend(leaves)
    stated = checkpoint.Checkpoint(ORIGIN, count, frontier.root()).text()
    sealer = archive.Sealer()
    with path.open("wb") as file, body.open("rb") as lines:
        header = archive.header_line(
            origin=ORIGIN,
            entity_uuid=ENTITY,
            as_of=count,
            checkpoint=note.sign(stated, "bench", public, key.sign),
            keys=[note.VerifierKey("bench", public)],
        )
        file.write(sealer.update(header))
        while block := lines.read(2**20):
            file.write(sealer.update(block))
        text = sealer.text(archive.KIND, ORIGIN, count)
        file.write(archive.seal_line(note.sign(text, "bench", public, key.sign)))
    body.unlink()


def _chat_uuid(number: int) -> str:
    return f"1b2c3d4e-5f60-4718-8293-{number:012x}"


def _entry(
    position: int, tips: list[tuple[int, int]], number: int | None = None
) -> tuple[bytes, bytes]:
    """Give the bytes of an entry and its line: a text by a master-user key."""
    number = position % CHATS if number is None else number
    index, previous = tips[number]
    tips[number] = (index + 1, position)
    parts = {
        name: (os.urandom(32), canonical.encode(value))
        for name, value in (("text", f"{common.TEXT} {position}"), ("address", "203.0.113.7"))
    }
    seconds, micros = divmod(position * 997, MICROSECONDS)
    minutes, seconds = divmod(seconds, 60)
    leaf = canonical.encode(
        {
            "v": 1,
            "entity_uuid": ENTITY,
            "position": position,
            "at": f"2026-11-22T10:{minutes:02d}:{seconds:02d}.{micros:06d}Z",
            "type": "message.sent",
            "actor": {
                "kind": "master_user",
                "entity_user_xref_uuid": "0c9d6f52-6f0b-4b7e-8a45-9d5f2b1f4e22",
                "api_key_uuid": "9a9e7a5e-1d5c-4b55-a0a6-9a4d5b5b2b33",
                "request_id": b64encode(os.urandom(12)).hex(),
            },
            "data": {},
            "chat_uuid": _chat_uuid(number),
            "chat_index": index + 1,
            "chat_prev": previous,
            "seq": index,
            "content": {name: archive.part_hash(*part) for name, part in parts.items()},
        }
    )
    return leaf, archive.entry_line(leaf, parts)


def write_chat(path: Path, count: int, chat_entries: int) -> int:
    """Write the record of a chat that has an entry in so many, to the end; its proof's size.

    All other leaves of the tree are alike: nobody who verifies ever sees them.
    """
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    step, tip = count // chat_entries, [(0, 0)] * CHATS
    leaves = [bytes(merkle.HASH_BYTES)] * count
    lines = []
    for position in range(step, step * chat_entries + 1, step):
        leaf, line = _entry(position, tip, CHATS - 1)
        leaves[position - 1] = merkle.leaf_hash(leaf)
        lines.append(line)
    root = merkle.Frontier().extend(leaves).root()
    indexes = range(step - 1, step * chat_entries, step)
    nodes = _complete_nodes(leaves)
    plan = merkle.multiproof_plan(indexes, count)
    proof = [merkle.fold([nodes[one.level][one.index] for one in element]) for element in plan]
    stated = checkpoint.Checkpoint(ORIGIN, count, root).text()
    sealer = archive.Sealer()
    with path.open("wb") as file:
        header = chat.header_line(
            origin=ORIGIN,
            entity_uuid=ENTITY,
            chat_uuid=_chat_uuid(CHATS - 1),
            as_of=count,
            checkpoint=note.sign(stated, "bench", public, key.sign),
            keys=[note.VerifierKey("bench", public)],
            window=(1, chat_entries, chat_entries),
        )
        for line in (header, *lines, *chat.proof_lines(proof)):
            file.write(sealer.update(line))
        text = sealer.text(chat.KIND, ORIGIN, count)
        file.write(chat.seal_line(note.sign(text, "bench", public, key.sign)))
    return len(proof)


def _complete_nodes(leaves: list[bytes]) -> list[list[bytes]]:
    """Give the hashes of all complete nodes, level by level."""
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([merkle.node_hash(*below[at : at + 2]) for at in range(0, len(below) - 1, 2)])
    return levels


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--entries", type=int, default=200_000, help="in the archive (200,000)")
    parser.add_argument("--chat", type=int, default=10_000, help="entries of the chat (10,000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.jsonl"
        write_archive(path, given.entries)
        megabytes = path.stat().st_size / 2**20
        common.say(f"verify of an archive of {given.entries:,} entries, {megabytes:.0f} MB")
        rates: dict[int, list[float]] = {1: [], 2: []}
        for number in range(1, given.rounds + 1):
            for workers, found in rates.items():
                began = time.perf_counter()
                report = verify(path, workers=workers)
                if not report.ok:
                    raise SystemExit(f"the archive is wrong: {report.problem}")
                found.append(given.entries / (time.perf_counter() - began))
                common.say(f"  round {number}  {workers} worker(s)  {found[-1]:9,.0f} entries/s")
        path.unlink()
        hashes = write_chat(path, given.entries, given.chat)
        seconds = []
        for _ in range(given.rounds):
            began = time.perf_counter()
            report = verify(path)
            if not report.ok:
                raise SystemExit(f"the record of the chat is wrong: {report.problem}")
            seconds.append(time.perf_counter() - began)
        of_chat = statistics.median(seconds)
        common.say(
            f"  a chat of {given.chat:,} entries, {hashes:,} hashes of proof: {of_chat:.2f} s"
        )
    one, two = (statistics.median(found) for found in rates.values())
    common.say(f"  median   {one:,.0f} entries/s with one worker, {two:,.0f} with two")
    common.keep(given, "verify", one_worker=one, two_workers=two, chat=of_chat)


if __name__ == "__main__":
    main()
