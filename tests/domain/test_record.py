"""The record: checkpoints, proofs, the sealed archive, and what an entry may hold."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from onrecord import app as composition
from onrecord.domain import record
from onrecord.model.errors import Refusal
from onrecord.model.record import PARTS, RETENTION, TRACES, TYPES, check
from onrecord.proof import canonical, merkle, note, verify
from onrecord.store import record as ledger
from onrecord.store import tree
from onrecord.store.db import Session
from onrecord.store.work import Work
from tests.world import CHAT, ENTITY, World, accepted, refused

CHECKPOINT = f"{ENTITY}/record/checkpoint"
PROOF = f"{ENTITY}/record/proof"
CONSISTENCY = f"{ENTITY}/record/consistency"
SEND = f"{CHAT}/chats/messages/send-text"
INSTALLATION = "00000000-0000-0000-0000-000000000000"


def talk(world: World, messages: int) -> str:
    """A chat with so many messages."""
    cast = world.cast
    body: dict[str, Any] = {"entity_user_xref_uuids": [cast.priya.uuid], "text": "zero"}
    response = world.post(
        f"{CHAT}/chats/create", key=cast.master, on_behalf_of=cast.tomas, json=body
    )
    chat_uuid = str(accepted(response)["chat_uuid"])
    world.together(
        *(
            world.request(
                "POST",
                SEND,
                key=cast.master,
                on_behalf_of=cast.tomas,
                json={"chat_uuid": chat_uuid, "text": f"text {n}"},
            )
            for n in range(messages)
        )
    )
    return chat_uuid


def leaves_of(world: World, entity: str) -> list[bytes]:
    rows = world.rows(
        "SELECT leaf FROM entry WHERE entity_id = (SELECT id FROM entity WHERE uuid = $1)"
        " ORDER BY position",
        entity,
    )
    return [bytes(row[0]) for row in rows]


def root_of(hashes: list[bytes]) -> bytes:
    return merkle.Frontier().extend(hashes).root()


def keys_of(world: World) -> list[note.VerifierKey]:
    text = world.get("/.well-known/onrecord-keys").text
    return [note.VerifierKey.parse(line) for line in text.splitlines()]


def signed(world: World, **params: Any) -> str:
    response = world.get(CHECKPOINT, key=world.cast.system, params=params)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain")
    return response.text


# -- checkpoints ----------------------------------------------------------------------------------


def test_a_checkpoint_is_signed_by_the_published_key(world: World) -> None:
    cast = world.cast
    text = signed(world)
    (key,) = keys_of(world)
    body, _, _ = text.partition("\n\n")
    origin, size, root = body.split("\n")
    assert origin == f"onrecord/{cast.firm}"
    assert int(size) == world.head(cast.firm)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves_of(world, cast.firm)]
    assert base64.b64decode(root) == root_of(hashes)
    assert key.name == "onrecord"
    assert note.open_note(text, [key]).text == f"{body}\n"


def test_a_checkpoint_is_stored_once_and_given_again(world: World) -> None:
    cast = world.cast
    first = signed(world)
    assert signed(world) == first
    size = world.head(cast.firm)
    talk(world, 3)
    assert signed(world) != first
    assert signed(world, size=size) == first
    world.restart()
    assert signed(world, size=size) == first
    rows = world.rows("SELECT COUNT(*) FROM checkpoint WHERE size = $1", size)
    assert rows[0][0] >= 1


def test_reading_a_checkpoint_writes_no_entry(world: World) -> None:
    before = world.head(world.cast.firm)
    signed(world)
    assert world.head(world.cast.firm) == before


@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_any_size_up_to_the_present_has_a_checkpoint(world: World, size: int) -> None:
    text = signed(world, size=size)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves_of(world, world.cast.firm)[:size]]
    assert text.split("\n")[1] == str(size)
    assert base64.b64decode(text.split("\n")[2]) == root_of(hashes)


def test_a_size_that_is_not_reached_has_none(world: World) -> None:
    head = world.head(world.cast.firm)
    for params in (
        {"size": head + 1},
        {"size": 2**53 - 1},
    ):
        response = world.get(CHECKPOINT, key=world.cast.system, params=params)
        refused(response, "RN008", 404)
    for size in (-1, 2**53, "x"):
        response = world.get(CHECKPOINT, key=world.cast.system, params={"size": size})
        refused(response, "RB003", 400)


def test_checkpoints_are_made_of_whatever_has_grown(world: World) -> None:
    world.run(world.app.make_checkpoints())
    assert world.ask(ledger.without_checkpoint) == []
    talk(world, 1)
    grown = world.ask(ledger.without_checkpoint)
    assert [row[1] for row in grown] == [world.cast.firm]
    world.run(world.app.make_checkpoints())
    assert world.ask(ledger.without_checkpoint) == []


def test_an_orderly_stop_leaves_a_checkpoint(world: World) -> None:
    talk(world, 1)
    world.restart()
    assert world.ask(ledger.without_checkpoint) == []


# -- proofs ---------------------------------------------------------------------------------------


def test_every_proof_of_every_size_holds(sqlite_world: World) -> None:
    """Sizes around the borders of tiles (256), and a record that crosses two of them."""
    prove(sqlite_world, 560, step=23)


def test_proofs_hold_on_both_engines(world: World) -> None:
    prove(world, 300, step=61)


def prove(world: World, messages: int, step: int) -> None:
    firm = world.cast.firm
    talk(world, messages)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves_of(world, firm)]
    head = len(hashes)
    entity_id = world.rows("SELECT id FROM entity WHERE uuid = $1", firm)[0][0]
    borders = {n + d for n in (1, 128, 256, 512) for d in (-1, 0, 1)} | {head, head - 1}
    sizes = sorted(n for n in {*range(1, head, step), *borders} if 0 < n <= head)
    roots = {size: root_of(hashes[:size]) for size in range(1, head + 1)}

    async def all_roots(session: Session) -> dict[int, bytes]:
        return {size: await tree.root_at(session, entity_id, size) for size in range(1, head + 1)}

    assert world.ask(all_roots) == roots

    async def all_proofs(work: Work) -> tuple[Any, Any]:
        inclusions = {
            (position, size): await record.inclusion(work, position, size)
            for size in sizes
            for position in sorted({1, 2, size, size // 2, size - 1, *range(1, size, step)})
            if 1 <= position <= size
        }
        consistencies = {
            (first, second): await record.consistency(work, first, second)
            for second in sizes
            for first in [0, *sizes]
            if first <= second
        }
        return inclusions, consistencies

    inclusions, consistencies = world.work(firm, all_proofs)
    for (position, size), proof in inclusions.items():
        merkle.verify_inclusion(hashes[position - 1], position - 1, size, raw(proof), roots[size])
    for (first, second), proof in consistencies.items():
        if first == 0:
            assert proof == []
            continue
        merkle.verify_consistency(first, second, raw(proof), roots[first], roots[second])


def raw(proof: list[str]) -> list[bytes]:
    return [base64.b64decode(one) for one in proof]


def test_proofs_are_given_at_the_front_door(world: World) -> None:
    cast = world.cast
    head = world.head(cast.firm)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves_of(world, cast.firm)]
    params = {"position": 3, "size": head}
    proof = accepted(world.get(PROOF, key=cast.system, params=params))["hashes"]
    merkle.verify_inclusion(hashes[2], 2, head, raw(proof), root_of(hashes))
    params = {"from_size": 5, "to_size": head}
    proof = accepted(world.get(CONSISTENCY, key=cast.system, params=params))["hashes"]
    merkle.verify_consistency(5, head, raw(proof), root_of(hashes[:5]), root_of(hashes))
    same = {"from_size": head, "to_size": head}
    assert accepted(world.get(CONSISTENCY, key=cast.system, params=same)) == {"hashes": []}


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        (PROOF, {}, "RB002"),
        (PROOF, {"position": 1}, "RB002"),
        (PROOF, {"position": 0, "size": 1}, "RB003"),
        (PROOF, {"position": 2, "size": 1}, "RN008"),
        (PROOF, {"position": 1, "size": 10**6}, "RN008"),
        (PROOF, {"position": 1, "size": 2**53}, "RB003"),
        (CONSISTENCY, {}, "RB002"),
        (CONSISTENCY, {"from_size": 2, "to_size": 1}, "RB003"),
        (CONSISTENCY, {"from_size": 1, "to_size": 10**6}, "RN008"),
        (CONSISTENCY, {"from_size": -1, "to_size": 1}, "RB003"),
    ],
    ids=str,
)
def test_a_proof_of_nothing_is_refused(
    sqlite_world: World, path: str, params: dict[str, int], code: str
) -> None:
    refused(sqlite_world.get(path, key=sqlite_world.cast.system, params=params), code)


def test_a_position_below_one_is_refused_in_the_domain_too(sqlite_world: World) -> None:
    with pytest.raises(Refusal) as caught:
        sqlite_world.work(sqlite_world.cast.firm, lambda work: record.inclusion(work, 0, 1))
    assert caught.value.code == "RB003"


def test_the_feed_of_a_member_needs_a_member(sqlite_world: World) -> None:
    with pytest.raises(Refusal) as caught:
        sqlite_world.work(
            sqlite_world.cast.firm, lambda work: record.feed_of_member(work, 0, 10, None)
        )
    assert caught.value.code == "RF004"


@pytest.mark.parametrize("run", [1, 100, 257])
def test_higher_tiles_grow_as_lower_ones_become_full(sqlite_world: World, run: int) -> None:
    """65,536 entries fill a tile of level 1; their hashes are made up, their tree is not."""
    world = sqlite_world
    roots = [hashlib.sha256(b"%d" % index).digest() for index in range(257)]

    async def grow(work: Work) -> bytes:
        for index in range(0, 257, run):
            await tree._grow(work.db, 77, 1, index, roots[index : index + run])
        rows = await work.db.all("SELECT level, idx, hashes FROM tile WHERE entity_id = 77")
        sizes = {(row[0], row[1]): len(row[2]) // 32 for row in rows}
        assert sizes == {(1, 0): 256, (1, 1): 1, (2, 0): 1}
        full = next(bytes(row[2]) for row in rows if (row[0], row[1]) == (1, 0))
        assert full == b"".join(roots[:256])
        top = next(bytes(row[2]) for row in rows if row[0] == 2)
        assert top == merkle.tile_root(full)
        return top

    assert world.work(world.cast.firm, grow)


@pytest.mark.parametrize("count", [7, 255, 256, 700])
def test_tiles_are_the_same_however_many_entries_a_work_writes(world: World, count: int) -> None:
    firm = world.cast.firm

    async def note(work: Work) -> None:
        for _ in range(count):
            work.record("export.made", data={"kind": "archive", "as_of": 1})

    for _ in range(1 + 800 // count):
        world.work(firm, note)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves_of(world, firm)]
    tiles = world.rows(
        "SELECT idx, hashes FROM tile WHERE level = 0"
        " AND entity_id = (SELECT id FROM entity WHERE uuid = $1) ORDER BY idx",
        firm,
    )
    assert [row[0] for row in tiles] == list(range(len(hashes) // 256))
    whole = hashes[: len(hashes) // 256 * 256]
    assert b"".join(bytes(row[1]) for row in tiles) == b"".join(whole)


# -- what an entry holds --------------------------------------------------------------------------


def test_every_part_hashes_to_its_commitment(world: World) -> None:
    talk(world, 5)
    for entity in (world.cast.firm, world.cast.other, INSTALLATION):
        parts = world.rows(
            "SELECT position, name, salt, data FROM part"
            " WHERE entity_id = (SELECT id FROM entity WHERE uuid = $1)",
            entity,
        )
        by_entry: dict[int, dict[str, str]] = {}
        salts = set()
        for position, name, salt, data in parts:
            assert len(salt) == 32
            salts.add(bytes(salt))
            assert canonical.encode(json.loads(bytes(data))) == bytes(data)
            digest = hashlib.sha256(bytes(salt) + bytes(data)).hexdigest()
            by_entry.setdefault(position, {})[name] = digest
        assert len(salts) == len(parts)
        for entry in world.entries(entity):
            assert entry.get("content", {}) == by_entry.get(entry["position"], {})


def test_every_entry_says_what_its_row_allows_and_no_more(world: World) -> None:
    talk(world, 2)
    members = {"v", "entity_uuid", "position", "at", "type", "actor", "data", "content"}
    for entity in (world.cast.firm, world.cast.other, INSTALLATION):
        last: dict[str, int] = {}
        for entry in world.entries(entity):
            row = TYPES[entry["type"]]
            assert set(entry["data"]) <= row.data
            assert set(entry.get("content", {})) <= row.parts | TRACES
            in_chat = {"chat_uuid", "chat_index", "chat_prev"} if row.in_chat else set()
            seq = {"seq"} if entry["type"] == "message.sent" else set()
            assert set(entry) - members <= row.ids | in_chat | seq
            assert in_chat <= set(entry)
            assert set(entry["actor"]) <= {
                "kind",
                "entity_user_xref_uuid",
                "api_key_uuid",
                "request_id",
            }
            assert None not in entry.values()
            if row.in_chat:
                chat = entry["chat_uuid"]
                assert entry["chat_prev"] == last.get(chat, 0)
                last[chat] = entry["position"]


def test_the_table_of_entry_types_is_whole() -> None:
    for name, row in TYPES.items():
        assert row.name == name
        assert row.meaning.endswith(".")
        assert row.parts <= PARTS.keys()
    assert set(PARTS.values()) <= RETENTION.keys()
    assert PARTS.keys() >= TRACES


def test_an_entry_that_does_not_fit_its_row_is_a_mistake() -> None:
    row = TYPES["message.sent"]
    check(row, {}, {"reply_to_seq": 1}, {"text": "x", "address": "127.0.0.1"})
    for ids, data, parts in (
        ({"group_uuid": "x"}, {}, {}),
        ({}, {"colour": 1}, {}),
        ({}, {}, {"profile": {}}),
    ):
        with pytest.raises(ValueError, match=r"message\.sent has no"):
            check(row, ids, data, parts)


# -- the archive ----------------------------------------------------------------------------------


def export(world: World, entity: str, file: Path, as_of: int | None = None) -> dict[str, Any]:
    return world.run(composition.write_archive(world.app, entity, file, as_of))


def test_an_archive_verifies_and_holds_the_whole_record(world: World, tmp_path: Path) -> None:
    cast = world.cast
    talk(world, 5)
    head = world.head(cast.firm)
    facts = export(world, cast.firm, tmp_path / "record.jsonl")
    file = tmp_path / "record.jsonl"
    assert facts == {
        "file": str(file),
        "entity_uuid": cast.firm,
        "as_of": head,
        "bytes": file.stat().st_size,
    }
    report = verify.verify(file, keys_of(world))
    assert report.ok
    made = world.entries(cast.firm, head)
    assert [entry["type"] for entry in made] == ["export.made"]
    assert made[0]["data"] == {"kind": "archive", "as_of": head}
    assert list(tmp_path.glob(".*part")) == []


def test_made_twice_an_archive_is_the_same_byte_for_byte(world: World, tmp_path: Path) -> None:
    cast = world.cast
    export(world, cast.firm, tmp_path / "one", 30)
    talk(world, 2)
    world.restart()
    export(world, cast.firm, tmp_path / "two", 30)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert verify.verify(tmp_path / "two", []).ok


def test_an_archive_of_an_earlier_position_ends_there(world: World, tmp_path: Path) -> None:
    facts = export(world, world.cast.firm, tmp_path / "early", 7)
    assert facts["as_of"] == 7
    assert verify.verify(tmp_path / "early", keys_of(world)).ok
    first = leaves_of(world, world.cast.firm)[:8]
    data = (tmp_path / "early").read_bytes()
    assert json.dumps(first[6].decode())[1:-1].encode() in data or first[6] in data
    assert json.dumps(first[7].decode())[1:-1].encode() not in data


@pytest.mark.parametrize("as_of", [0, -1, 10**9])
def test_an_archive_of_a_position_that_is_not_there_is_refused(
    sqlite_world: World, tmp_path: Path, as_of: int
) -> None:
    before = sqlite_world.head(sqlite_world.cast.firm)
    with pytest.raises(Refusal) as caught:
        export(sqlite_world, sqlite_world.cast.firm, tmp_path / "none", as_of)
    assert caught.value.code == "RN008"
    assert not (tmp_path / "none").exists()
    assert sqlite_world.head(sqlite_world.cast.firm) == before


def test_an_archive_that_fails_half_way_leaves_no_file(
    sqlite_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        for message in ("no room on disk",):
            raise OSError(message)
        yield b""

    monkeypatch.setattr(record, "write_archive", broken)
    with pytest.raises(OSError, match="disk"):
        export(sqlite_world, sqlite_world.cast.firm, tmp_path / "half")
    assert list(tmp_path.glob("*half*")) == []
    assert list(tmp_path.glob(".half*")) == []


def test_a_part_that_vanished_without_an_entry_is_told(world: World, tmp_path: Path) -> None:
    cast = world.cast
    talk(world, 1)
    head = world.head(cast.firm)
    world.change(cast.firm, "DELETE FROM part WHERE position = $1 AND name = 'text'", head)
    export(world, cast.firm, tmp_path / "erased")
    report = verify.verify(tmp_path / "erased", keys_of(world))
    assert not report.ok
    assert f"position {head}" in str(report.problem)


def test_an_archive_in_pages_is_whole(world: World) -> None:
    cast = world.cast
    talk(world, 3)

    async def collected() -> list[bytes]:
        found = []
        async for page in ledger.archive_pages(
            world.app.store.ask, entity_of_firm, world_head, page=7
        ):
            assert len(page) <= 7
            found += [leaf for leaf, _ in page]
        return found

    entity_of_firm = world.rows("SELECT id FROM entity WHERE uuid = $1", cast.firm)[0][0]
    world_head = world.head(cast.firm)
    assert world.run(collected()) == leaves_of(world, cast.firm)


def test_an_unknown_organisation_has_no_record(sqlite_world: World, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        export(sqlite_world, "00000000-0000-4000-8000-000000000001", tmp_path / "none")
    assert caught.value.code == "RN007"


def test_the_installation_has_a_record_of_its_own(sqlite_world: World, tmp_path: Path) -> None:
    export(sqlite_world, INSTALLATION, tmp_path / "installation")
    report = verify.verify(tmp_path / "installation")
    assert report.ok, report.problem
