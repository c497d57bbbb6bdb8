"""The frozen vectors still hold: what was sealed once can be verified for ever."""

import json

import pytest

from onrecord.proof import archive, canonical, merkle, note, verify
from tests.proof import sealing
from tests.proof.sealing import SIGNER
from tests.vectors import make


def frozen(name: str) -> list[dict[str, object]]:
    text = (make.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    vectors: list[dict[str, object]] = json.loads(text)
    return vectors


@pytest.mark.parametrize("name", make.ALL)
def test_the_vectors_are_what_would_be_made_today(name: str) -> None:
    assert frozen(name) == make.ALL[name]()


def test_the_frozen_archive_is_made_and_verified_as_it_was() -> None:
    path = make.FOLDER / "archive.jsonl"
    assert path.read_bytes() == sealing.archive_of(sealing.small_record())
    report = verify.verify(path, [SIGNER.key])
    assert report.ok, report.problem


def test_the_frozen_record_of_a_chat_is_made_and_verified_as_it_was() -> None:
    path = make.FOLDER / "chat.jsonl"
    assert path.read_bytes() == make.chat()
    report = verify.verify(path, [SIGNER.key])
    assert report.ok, report.problem


def test_the_frozen_entries_and_parts_hash_as_they_did() -> None:
    for vector in frozen("entries"):
        leaf = str(vector["leaf"]).encode()
        assert merkle.leaf_hash(leaf).hex() == vector["leaf_hash"]
        assert canonical.encode(json.loads(leaf)) == leaf
    for vector in frozen("parts"):
        salt, data = bytes.fromhex(str(vector["salt"])), str(vector["bytes"]).encode()
        assert archive.part_hash(salt, data) == vector["hash"]


def test_the_frozen_notes_open() -> None:
    for vector in frozen("statements"):
        key = note.VerifierKey.parse(str(vector["vkey"]))
        assert note.open_note(str(vector["note"]), [key]) == (vector["text"], [key])
