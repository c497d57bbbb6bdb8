"""What must hold of a record after whatever happened, checked from the tables alone.

The entries are replayed, and everything the tables show is compared with what they tell.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from onrecord.model import times
from onrecord.model.access import INSTALLATION_UUID, VIA, Kind
from onrecord.model.record import TYPES, check
from onrecord.proof import canonical, checkpoint, merkle, note
from onrecord.store import tree
from tests.world import World


@dataclass(slots=True)
class Told:
    """What the entries of one organisation tell, replayed from the first to the last."""

    entity: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, tuple[str, bool, set[str]]] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    chats: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    denied: Counter[str] = field(default_factory=Counter)

    def tell(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        """Take in the next entry."""
        act = getattr(self, "_" + entry["type"].replace(".", "_"), None)
        if act is not None:
            act(entry, parts)

    def _entity_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        if entry["organisation_uuid"] == entry["entity_uuid"]:
            assert entry["position"] == 1
            self.entity = {"name": parts["name"], "state": "active"}

    def _entity_state_changed(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self.entity["state"] = entry["data"]["state"]

    def _setting_changed(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        self.settings[entry["data"]["key"]] = parts["setting"]

    def _member_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        self.members[entry["entity_user_xref_uuid"]] = {
            **parts["profile"],
            "profile": entry["data"]["enum_profile_id"],
            "state": entry["data"]["state"],
        }

    def _member_joined(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self.members[entry["entity_user_xref_uuid"]]["state"] = "active"

    def _group_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        self.groups[entry["group_uuid"]] = (parts["name"], entry["data"]["is_default"], set())

    def _group_member_added(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        inside = self.groups[entry["group_uuid"]][2]
        assert entry["entity_user_xref_uuid"] not in inside
        inside.add(entry["entity_user_xref_uuid"])

    def _key_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        data = entry["data"]
        self.keys[entry["api_key_uuid"]] = {
            "name": parts["name"],
            "kind": data["kind"],
            "permissions": data["permissions"],
            "cidr_blocks": data["cidr_blocks"],
            "member": entry.get("entity_user_xref_uuid"),
            "state": "active",
        }

    def _key_deactivated(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        assert self.keys[entry["api_key_uuid"]]["state"] == "active"
        self.keys[entry["api_key_uuid"]]["state"] = "deactivated"

    def _key_used_denied(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        self.denied[entry["data"]["error_code"]] += entry["data"]["count"]

    def _chat_created(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        assert entry["chat_index"] == 1
        self.chats[entry["chat_uuid"]] = {
            "title": parts["title"],
            "state": "draft",
            "is_staff_only": int(entry["data"]["is_staff_only"]),
            "participants": {},
            "created": entry["position"],
        }
        self.messages[entry["chat_uuid"]] = []

    def _participant_joined(self, entry: dict[str, Any], _: dict[str, Any]) -> None:
        inside = self.chats[entry["chat_uuid"]]["participants"]
        assert entry["entity_user_xref_uuid"] not in inside
        inside[entry["entity_user_xref_uuid"]] = "active"

    def _message_sent(self, entry: dict[str, Any], parts: dict[str, Any]) -> None:
        said = self.messages[entry["chat_uuid"]]
        assert entry["seq"] == len(said)
        reply = entry["data"].get("reply_to_seq")
        assert reply is None or reply < entry["seq"]
        author = entry["actor"]["entity_user_xref_uuid"]
        assert self.chats[entry["chat_uuid"]]["participants"][author] == "active"
        self.chats[entry["chat_uuid"]]["state"] = "active"
        said.append(
            (
                entry["position"],
                author,
                times.read(entry["at"]),
                reply,
                VIA[Kind(entry["actor"]["kind"])],
                entry["actor"].get("api_key_uuid"),
                parts["text"],
            )
        )


def check_everything(world: World) -> dict[str, Told]:
    """Check every organisation's record, and give what each one tells."""
    return {
        uuid: check_record(world, number, uuid)
        for number, uuid in world.rows("SELECT id, uuid FROM entity ORDER BY id")
    }


def check_record(world: World, number: int, uuid: str) -> Told:
    """Check all that must hold of one organisation's record."""
    leaves = [
        bytes(row[0])
        for row in world.rows(
            "SELECT leaf FROM entry WHERE entity_id = $1 ORDER BY position", number
        )
    ]
    entries = [canonical.decode(leaf) for leaf in leaves]  # canonical, or ValueError
    assert all(isinstance(entry, dict) for entry in entries)
    _check_order(world, number, uuid, entries)
    parts = _check_parts(world, number, entries)
    _check_tree(world, number, leaves)
    told = Told()
    for entry, its_parts in zip(entries, parts, strict=True):
        assert isinstance(entry, dict)
        told.tell(entry, its_parts)
    if uuid != INSTALLATION_UUID:
        _compare_organisation(world, number, told)
    _compare_keys(world, number, told)
    _compare_chats(world, number, told)
    return told


# -- places ---------------------------------------------------------------------------------------


def _check_order(world: World, number: int, uuid: str, entries: list[Any]) -> None:
    rows = world.rows(
        "SELECT e.position, c.uuid, m.uuid FROM entry e LEFT JOIN chat c ON c.id = e.chat_id"
        " LEFT JOIN member m ON m.id = e.subject_id WHERE e.entity_id = $1 ORDER BY e.position",
        number,
    )
    ((position, at, access_position, _),) = _head(world, number)
    assert [entry["position"] for entry in entries] == list(range(1, position + 1))
    assert [row[0] for row in rows] == list(range(1, position + 1))
    moments = [entry["at"] for entry in entries]
    assert moments == sorted(moments)
    assert at == (times.read(moments[-1]) if moments else 0)
    changing = [e["position"] for e in entries if TYPES[e["type"]].changes_access]
    assert access_position == (changing[-1] if changing else 0)
    tips: dict[str, tuple[int, int]] = {}
    for entry, (_, chat_uuid, subject) in zip(entries, rows, strict=True):
        assert entry["entity_uuid"] == uuid
        assert entry.get("chat_uuid") == chat_uuid
        assert subject is None or subject == entry["entity_user_xref_uuid"]
        if chat_uuid is not None:
            index, previous = tips.get(chat_uuid, (0, 0))
            assert (entry["chat_index"], entry["chat_prev"]) == (index + 1, previous)
            tips[chat_uuid] = (index + 1, entry["position"])
    stored = world.rows(
        "SELECT uuid, last_index, last_position FROM chat WHERE entity_id = $1", number
    )
    assert {row[0]: (row[1], row[2]) for row in stored} == tips


def _head(world: World, number: int) -> list[tuple[Any, ...]]:
    return world.rows(
        "SELECT position, at, access_position, hashes FROM head WHERE entity_id = $1", number
    )


def _check_parts(world: World, number: int, entries: list[Any]) -> list[dict[str, Any]]:
    """Check every part against its commitment; give the parts' values by entry."""
    found: list[dict[str, Any]] = [{} for _ in entries]
    hashes: list[dict[str, str]] = [{} for _ in entries]
    rows = world.rows("SELECT position, name, salt, data FROM part WHERE entity_id = $1", number)
    for position, name, salt, data in rows:
        assert len(salt) == 32
        hashes[position - 1][name] = hashlib.sha256(bytes(salt) + bytes(data)).hexdigest()
        found[position - 1][name] = canonical.decode(bytes(data))
    salts = [bytes(row[2]) for row in rows]
    assert len(set(salts)) == len(salts)
    for entry, committed, values in zip(entries, hashes, found, strict=True):
        assert entry.get("content", {}) == committed
        ids = {name: entry[name] for name in TYPES[entry["type"]].ids if name in entry}
        check(TYPES[entry["type"]], ids, entry["data"], values)
    return found


# -- proof ----------------------------------------------------------------------------------------


def _check_tree(world: World, number: int, leaves: list[bytes]) -> None:
    """Check frontier, tiles, roots of past sizes and checkpoints against the leaves."""
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    ((position, _, _, frontier),) = _head(world, number)
    whole = merkle.Frontier().extend(hashes)
    assert merkle.Frontier.from_bytes(position, bytes(frontier)) == whole
    assert _stored_root(world, number, position) == whole.root()
    tiles = world.rows(
        "SELECT level, idx, hashes FROM tile WHERE entity_id = $1 ORDER BY level, idx", number
    )
    assert [(level, index, bytes(data)) for level, index, data in tiles] == _tiles(hashes)
    roots: dict[int, bytes] = {}
    sizes = {0, 1, position // 3, position // 2, position - position % 256, position}
    notes = world.rows("SELECT size, note FROM checkpoint WHERE entity_id = $1", number)
    sizes |= {row[0] for row in notes}
    for size in sorted(sizes):
        roots[size] = merkle.Frontier().extend(hashes[:size]).root()
        assert _stored_root(world, number, size) == roots[size]
    ((known,),) = world.rows("SELECT value FROM meta WHERE key = 'signing_keys'")
    keys = [note.VerifierKey.parse(key) for key in known.split("\n")]
    ((origin,),) = world.rows("SELECT origin FROM entity WHERE id = $1", number)
    for size, text in notes:
        said = checkpoint.parse(note.open_note(text, keys).text)
        assert (said.origin, said.size, said.root) == (origin, size, roots[size])


def _stored_root(world: World, number: int, size: int) -> bytes:
    return world.ask(lambda session: tree.root_at(session, number, size))


def _tiles(hashes: list[bytes]) -> list[tuple[int, int, bytes]]:
    """Give every tile that should be stored: full ones of leaves, growing ones above."""
    tiles = []
    level = 0
    while hashes:
        full = len(hashes) // merkle.TILE * merkle.TILE
        stored = hashes[:full] if level == 0 else hashes
        tiles += [
            (level, start // merkle.TILE, b"".join(stored[start : start + merkle.TILE]))
            for start in range(0, len(stored), merkle.TILE)
        ]
        hashes = [
            merkle.Frontier().extend(hashes[start : start + merkle.TILE]).root()
            for start in range(0, full, merkle.TILE)
        ]
        level += 1
    return tiles


# -- the state ------------------------------------------------------------------------------------


def _compare_organisation(world: World, number: int, told: Told) -> None:
    ((name, state, settings),) = world.rows(
        "SELECT name, state, settings FROM entity WHERE id = $1", number
    )
    assert told.entity == {"name": name, "state": state}
    assert told.settings == json.loads(settings)
    members = world.rows(
        "SELECT uuid, first_name, last_name, job_title, identifier, primary_email,"
        " primary_phone_number, profile, state FROM member WHERE entity_id = $1",
        number,
    )
    names = ["first_name", "last_name", "job_title", "identifier", "primary_email"]
    names += ["primary_phone_number", "profile", "state"]
    assert told.members == {row[0]: dict(zip(names, row[1:], strict=True)) for row in members}
    groups: dict[str, tuple[str, bool, set[str]]] = {
        uuid: (name, bool(is_default), set())
        for uuid, name, is_default in world.rows(
            "SELECT uuid, name, is_default FROM client_group WHERE entity_id = $1", number
        )
    }
    for group, member in world.rows(
        "SELECT g.uuid, m.uuid FROM group_member gm JOIN client_group g ON g.id = gm.group_id"
        " JOIN member m ON m.id = gm.member_id WHERE g.entity_id = $1",
        number,
    ):
        groups[group][2].add(member)
    assert told.groups == groups


def _compare_keys(world: World, number: int, told: Told) -> None:
    keys = {}
    for uuid, name, kind, permissions, blocks, owner, state in world.rows(
        "SELECT k.uuid, k.name, k.kind, k.permissions, k.cidr_blocks, m.uuid, k.state"
        " FROM api_key k LEFT JOIN member m ON m.id = k.member_id WHERE k.entity_id = $1",
        number,
    ):
        keys[uuid] = {
            "name": name,
            "kind": kind,
            "permissions": json.loads(permissions),
            "cidr_blocks": json.loads(blocks),
            "member": owner,
            "state": state,
        }
    assert told.keys == keys


def _compare_chats(world: World, number: int, told: Told) -> None:
    chats: dict[str, dict[str, Any]] = {}
    ends = {}
    begins: dict[str, set[int]] = {}
    for uuid, title, state, staff_only, last_seq, last_at in world.rows(
        "SELECT uuid, title, state, is_staff_only, last_seq, last_at FROM chat"
        " WHERE entity_id = $1",
        number,
    ):
        chats[uuid] = {"title": title, "state": state, "is_staff_only": staff_only}
        chats[uuid]["participants"] = {}
        ends[uuid] = (last_seq, last_at)
    for chat, member, state, since in world.rows(
        "SELECT c.uuid, m.uuid, p.state, p.since_position FROM participant p"
        " JOIN chat c ON c.id = p.chat_id JOIN member m ON m.id = p.member_id"
        " WHERE c.entity_id = $1",
        number,
    ):
        chats[chat]["participants"][member] = state
        begins.setdefault(chat, set()).add(since)
    for uuid, chat in chats.items():
        # Its creator sees a chat from its making on, the others from its first message on; they
        # are one moment when it was made with a first text.
        chat["created"] = min(begins[uuid])
        assert begins[uuid] <= {chat["created"], *(said[0] for said in told.messages[uuid][:1])}
    assert told.chats == chats
    _compare_messages(world, number, told, ends)


def _compare_messages(
    world: World, number: int, told: Told, ends: dict[str, tuple[int, int]]
) -> None:
    messages: dict[str, list[tuple[Any, ...]]] = {uuid: [] for uuid in ends}
    for row in world.rows(
        "SELECT c.uuid, m.seq, m.position, b.uuid, m.at, m.reply_to_seq, m.via, k.uuid, p.data"
        " FROM message m JOIN chat c ON c.id = m.chat_id"
        " LEFT JOIN member b ON b.id = m.member_id LEFT JOIN api_key k ON k.id = m.api_key_id"
        " LEFT JOIN part p ON p.entity_id = c.entity_id AND p.position = m.position"
        " AND p.name = 'text' WHERE c.entity_id = $1 ORDER BY c.id, m.seq",
        number,
    ):
        chat, seq, *rest, data = row
        assert seq == len(messages[chat])
        messages[chat].append((*rest, canonical.decode(bytes(data))))
    assert told.messages == messages
    for uuid, (last_seq, last_at) in ends.items():
        said = messages[uuid]
        assert last_seq == len(said) - 1
        assert last_at == (said[-1][2] if said else 0)
