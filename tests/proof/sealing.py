"""A small organisation's record, sealed into an archive: what the tests and vectors are made of.

Everything is fixed: the key, the salts, the ids and the times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onrecord.proof import archive, canonical, chat, merkle, note
from onrecord.proof.checkpoint import Checkpoint

ENTITY = "f4b9b8c6-2a3e-4d5f-8a1b-1c2d3e4f5a66"
ORIGIN = f"record.example/{ENTITY}"
CHATS = ("9a9e7a5e-1d5c-4b55-a0a6-9a4d5b5b2b33", "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9")
ADVISER = "0c9d6f52-6f0b-4b7e-8a45-9d5f2b1f4e22"
NAME = "record.example"

Part = tuple[bytes, bytes] | None


@dataclass(frozen=True)
class Signer:
    """A key that signs, from a fixed seed of one repeated byte."""

    seed: int
    name: str = NAME

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.seed]) * 32)

    @property
    def key(self) -> note.VerifierKey:
        return note.VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        return note.sign(text, self.name, self.key.public, self._private.sign)


SIGNER = Signer(7)
STRANGER = Signer(8)


@dataclass
class Record:
    """Entries as they are stored, and what is kept of each chat."""

    leaves: list[bytes] = field(default_factory=list)
    parts: list[dict[str, Part]] = field(default_factory=list)
    chats: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def add(self, kind: str, parts: dict[str, object] | None = None, **facts: object) -> int:
        """Append an entry and return its position."""
        position = len(self.leaves) + 1
        made = {name: self._part(position, name, value) for name, value in (parts or {}).items()}
        entry: dict[str, object] = {
            "actor": {"entity_user_xref_uuid": ADVISER, "kind": "session"},
            "at": f"2026-11-22T10:{position // 60:02d}:{position % 60:02d}.000000Z",
            "data": {},
            "entity_uuid": ENTITY,
            "position": position,
            "type": kind,
            "v": 1,
            **facts,
        }
        if made:
            entry["content"] = {name: archive.part_hash(*part) for name, part in made.items()}
        self.leaves.append(canonical.encode(entry))
        self.parts.append(dict(made))
        return position

    def add_to_chat(self, chat: str, kind: str, parts: dict[str, object] | None = None) -> int:
        """Append an entry of a chat; a message takes the next number."""
        index, prev, seq = self.chats.get(chat, (0, 0, 0))
        number = {"seq": seq} if kind == "message.sent" else {}
        index += 1
        position = self.add(kind, parts, chat_uuid=chat, chat_index=index, chat_prev=prev, **number)
        self.chats[chat] = (index, position, seq + len(number))
        return position

    def erase(self, position: int, *names: str) -> int:
        """Take parts away and say so in the record."""
        for name in names:
            self.parts[position - 1][name] = None
        return self.add("content.erased", data={"position": position, "parts": list(names)})

    def frontier(self) -> merkle.Frontier:
        return merkle.Frontier().extend(map(merkle.leaf_hash, self.leaves))

    @staticmethod
    def _part(position: int, name: str, value: object) -> tuple[bytes, bytes]:
        return sha256(f"salt {position} {name}".encode()).digest(), canonical.encode(value)


def small_record() -> Record:
    """Return a day of a small firm: two chats, six messages, one part erased."""
    record = Record()
    record.add("member.created", {"profile": {"first_name": "Zoë", "last_name": "Åström"}})
    for one in CHATS:
        record.add_to_chat(one, "chat.created")
    for number, text in enumerate(("Good morning", "שלום", "💼 ready", "line\nbreak", '"so"', "")):
        record.add_to_chat(
            CHATS[number % 2], "message.sent", {"text": text, "address": f"203.0.113.{number}"}
        )
    record.erase(4, "address")
    record.add_to_chat(CHATS[0], "chat.renamed", {"text": "Papers"})
    return record


def entry_lines(record: Record) -> list[bytes]:
    return [
        archive.entry_line(leaf, parts)
        for leaf, parts in zip(record.leaves, record.parts, strict=True)
    ]


def header(
    record: Record, changed: dict[str, object] | None = None, signer: Signer = SIGNER
) -> bytes:
    """Return the header line; members can be changed after they were made."""
    frontier = record.frontier()
    stated = Checkpoint(ORIGIN, frontier.size, frontier.root())
    line = archive.header_line(
        origin=ORIGIN,
        entity_uuid=ENTITY,
        as_of=frontier.size,
        checkpoint=signer.sign(stated.text()),
        keys=[signer.key],
    )
    if not changed:
        return line
    value = canonical.decode(line[:-1])
    assert isinstance(value, dict)
    return canonical.encode(value | changed) + b"\n"


def sealed(
    lines: Sequence[bytes],
    as_of: int,
    signer: Signer = SIGNER,
    text: Callable[[archive.Sealer], str] | None = None,
) -> bytes:
    """Return the file of these lines with a seal that fits them, or says what ``text`` makes."""
    sealer = archive.Sealer()
    body = b"".join(map(sealer.update, lines))
    said = text(sealer) if text else sealer.text("archive", ORIGIN, as_of)
    return body + archive.seal_line(signer.sign(said))


def archive_of(record: Record, signer: Signer = SIGNER) -> bytes:
    """Return the whole sealed archive of a record."""
    return sealed([header(record, signer=signer), *entry_lines(record)], len(record.leaves), signer)


# -- one chat ---------------------------------------------------------------------------------


def chat_header(record: Record, chat_uuid: str, **changed: object) -> bytes:
    """Return the header line of the record of a chat; members can be changed after they were made.

    The window is the whole chat as of the end of the record, or what ``window`` gives.
    """
    frontier = record.frontier()
    stated = Checkpoint(ORIGIN, frontier.size, frontier.root())
    last = record.chats[chat_uuid][0]
    line = chat.header_line(
        origin=ORIGIN,
        entity_uuid=ENTITY,
        chat_uuid=chat_uuid,
        as_of=frontier.size,
        checkpoint=SIGNER.sign(stated.text()),
        keys=[SIGNER.key],
        window=(1, last, last),
    )
    value = canonical.decode(line[:-1])
    assert isinstance(value, dict)
    return canonical.encode(value | changed) + b"\n"


def chat_lines(
    record: Record,
    chat_uuid: str,
    *,
    window: tuple[int, int] | None = None,
    withheld: Sequence[str] = (),
    later: Sequence[bytes] = (),
) -> list[bytes]:
    """Return all lines of the record of a chat but the seal, made in the plainest way.

    ``later`` are erasures above the end of the record.
    """
    last_of_chat = record.chats[chat_uuid][0]
    first, last = window or (1, last_of_chat)
    lines, proven, gone = [], {}, set()
    for position, (leaf, parts) in enumerate(zip(record.leaves, record.parts, strict=True), 1):
        entry = _entry(leaf)
        if entry.get("chat_uuid") == chat_uuid and first <= _int(entry["chat_index"]) <= last:
            shown = {name: part for name, part in parts.items() if name not in withheld}
            lines.append(chat.entry_line(leaf, shown))
            proven[position - 1] = merkle.leaf_hash(leaf)
            gone |= {(position, name) for name, part in shown.items() if part is None}
    for position, leaf in enumerate([*record.leaves, *later], 1):
        entry = _entry(leaf)
        data = entry["data"]
        if entry["type"] != "content.erased" or position - 1 in proven:
            continue
        assert isinstance(data, dict)
        if {(data["position"], part) for part in data["parts"]} & gone:
            lines.append(chat.erasure_line(leaf))
            if position <= len(record.leaves):
                proven[position - 1] = merkle.leaf_hash(leaf)
    header = chat_header(
        record,
        chat_uuid,
        entries=last - first + 1,
        first_index=first,
        last_index=last,
        withheld=sorted(withheld),
    )
    leaves = list(map(merkle.leaf_hash, record.leaves))
    plan = merkle.multiproof_plan(sorted(proven), len(leaves))
    hashes = [merkle.fold([_node(leaves, node) for node in element]) for element in plan]
    return [header, *lines, *chat.proof_lines(hashes)]


def chat_of(record: Record, chat_uuid: str, signer: Signer = SIGNER, **how: Any) -> bytes:
    """Return the whole sealed record of a chat; see ``chat_lines``."""
    return sealed_chat(chat_lines(record, chat_uuid, **how), len(record.leaves), signer)


def sealed_chat(lines: Sequence[bytes], as_of: int, signer: Signer = SIGNER) -> bytes:
    """Return the file of these lines with a seal that fits them."""
    return sealed(lines, as_of, signer, lambda sealer: sealer.text(chat.KIND, ORIGIN, as_of))


def _entry(leaf: bytes) -> dict[str, object]:
    entry = canonical.decode(leaf)
    assert isinstance(entry, dict)
    return entry


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _node(leaves: Sequence[bytes], node: merkle.Node) -> bytes:
    """Return the hash of a complete node, from all the leaves under it."""
    begin = node.index << node.level
    return merkle.Frontier().extend(leaves[begin : begin + (1 << node.level)]).root()
