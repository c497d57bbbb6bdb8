"""The sealed record of a chat: what it shows, and that everything wrong in it is named."""

import json
import os
import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onrecord.proof import archive, canonical, chat, merkle, verify, verify_chat
from onrecord.proof.checkpoint import Checkpoint
from onrecord.proof.report import WrongError
from onrecord.proof.statements import Judge
from tests.proof import sealing
from tests.proof.sealing import CHATS, ENTITY, ORIGIN, SIGNER, STRANGER, Record
from tests.proof.test_verify import _mutated

MUTATIONS = 5_000 if os.environ.get("ONRECORD_TEST_LONG") == "1" else 250
CHAT, OTHER = CHATS
Change = Callable[[dict[str, object]], object]


def report_on(data: bytes, folder: Path, keys: Sequence[object] = ()) -> verify.Report:
    path = folder / "chat.jsonl"
    path.write_bytes(data)
    return verify.verify(path, keys)  # type: ignore[arg-type]  # keys are those of signers


def problem_of(data: bytes, folder: Path) -> str:
    problem = report_on(data, folder).problem
    assert problem
    assert "\n" not in problem
    assert len(problem) < 500
    return problem


def sealed_anew(lines: Sequence[bytes], as_of: int = 11) -> bytes:
    """Return a file of these lines under a seal that fits: who made it holds the key."""
    return sealing.sealed_chat(lines, as_of)


def lines_of_chat() -> list[bytes]:
    """Return header, entries at positions 2, 4, 6, 8, 11, an erasure at 10, and the proof."""
    return sealing.chat_lines(sealing.small_record(), CHAT)


def with_entry(number: int, change: Change) -> bytes:
    """Return the record of a chat in which an entry says something else, signed all the same.

    The entry is changed in the record itself, so that the root fits.
    """
    record = sealing.small_record()
    lines = sealing.chat_lines(record, CHAT)
    position = (2, 4, 6, 8, 11)[number]
    entry = canonical.decode(record.leaves[position - 1])
    assert isinstance(entry, dict)
    change(entry)
    record.leaves[position - 1] = canonical.encode(entry)
    lines[0] = sealing.chat_header(record, CHAT)
    lines[number + 1] = archive.entry_line(record.leaves[position - 1], record.parts[position - 1])
    return sealed_anew(lines)


# -- what holds ----------------------------------------------------------------------------------


def test_the_record_of_a_chat_holds(tmp_path: Path) -> None:
    report = report_on(sealing.chat_of(sealing.small_record(), CHAT), tmp_path, [SIGNER.key])
    assert report.ok, report.problem
    assert (report.kind, report.origin, report.as_of) == ("chat-record", ORIGIN, 11)
    assert report.signed_by == [SIGNER.key.id]
    assert report.trusted is True
    assert report.counts == {
        "bytes": report.counts["bytes"],
        "entries": 5,
        "messages": 3,
        "parts": 7,
        "erased_parts": 1,
        "erased_parts_explained": 1,
        "files_named": 0,
        "proof_hashes": 5,
    }
    told = "\n".join(report.told())
    assert "5 of chat 9a9e7a5e-1d5c-4b55-a0a6-9a4d5b5b2b33, indexes 1 to 5 without a gap" in told
    assert "that the chat had 5 entries as of position 11: its end rests on the sealed" in told
    assert "only for its window" not in told
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


@pytest.mark.parametrize("window", [(1, 5), (1, 1), (2, 4), (5, 5), (3, 2), (1, 0), (6, 5)])
def test_a_window_claims_to_be_complete_for_itself_alone(
    tmp_path: Path, window: tuple[int, int]
) -> None:
    record = sealing.small_record()
    report = report_on(sealing.chat_of(record, CHAT, window=window), tmp_path)
    assert report.ok, report.problem
    assert report.counts["entries"] == window[1] - window[0] + 1
    told = any("complete only for its window" in line for line in report.not_checked)
    assert told == (window != (1, 5))


def test_parts_that_are_withheld_are_said_to_be(tmp_path: Path) -> None:
    record = sealing.small_record()
    for names in (["address"], ["address", "request_id"], ["address", "text"]):
        report = report_on(sealing.chat_of(record, CHAT, withheld=names), tmp_path)
        assert report.ok, report.problem
        assert f"the parts {', '.join(names)}: they are withheld" in "\n".join(report.not_checked)


def test_an_erasure_after_the_position_rests_on_the_seal(tmp_path: Path) -> None:
    record = sealing.small_record()
    later = _erased_later(record, 8, "text")
    report = report_on(sealing.chat_of(record, CHAT, later=[later]), tmp_path)
    assert report.ok, report.problem
    assert report.counts["erased_parts_explained"] == 2
    assert any("1 of the erasures" in line for line in report.not_checked)


def _erased_later(record: Record, position: int, name: str) -> bytes:
    """Take a part away after the end of the record, and return the entry that says so."""
    beyond = Record([*record.leaves], [dict(one) for one in record.parts])
    beyond.erase(position, name)
    record.parts[position - 1][name] = None
    return beyond.leaves[-1]


def test_an_erasure_in_the_chat_itself_explains_what_is_missing(tmp_path: Path) -> None:
    record = sealing.small_record()
    index, prev, _ = record.chats[CHAT]
    record.parts[7]["text"] = None
    record.add(
        "content.erased",
        data={"position": 8, "parts": ["text"]},
        chat_uuid=CHAT,
        chat_index=index + 1,
        chat_prev=prev,
    )
    record.chats[CHAT] = (index + 1, 12, 0)
    for window in ((1, 6), (4, 5)):  # in the window, and behind it
        report = report_on(sealing.chat_of(record, CHAT, window=window), tmp_path)
        assert report.ok, report.problem


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_chat_of_any_record_holds_in_any_window(data: st.DataObject) -> None:
    record = Record()
    chats = data.draw(st.lists(st.sampled_from([None, CHAT, OTHER]), min_size=1, max_size=40))
    for one in chats:
        if one is None:
            record.add("group.created", {"name": "Everybody"})
        else:
            record.add_to_chat(one, "message.sent", {"text": "x", "address": "::1"})
    for position, parts in enumerate(record.parts[:], 1):
        if "text" in parts and data.draw(st.integers(0, 9)) == 0:
            record.erase(position, "text")
    if CHAT not in record.chats:
        return
    last = record.chats[CHAT][0]
    first = data.draw(st.integers(1, last))
    window = (first, data.draw(st.integers(first - 1, last)))
    judge = Judge((), verify.Report())
    made = sealing.chat_of(record, CHAT, window=window)
    cuts = data.draw(st.integers(1, 500))
    pieces = (made[at : at + cuts] for at in range(0, len(made), cuts))
    outcome = verify_chat.verify(pieces, judge)
    assert (outcome.window.first, outcome.window.last) == window
    changed = made.replace(b'"text"', b'"test"', 1)
    if changed != made:
        with pytest.raises(WrongError):
            verify_chat.verify([changed], judge)


def test_a_proof_of_more_than_one_line_is_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "PROOF_HASHES", 2)
    made = sealing.chat_of(sealing.small_record(), CHAT)
    assert made.count(b'{"proof":') == 3
    assert report_on(made, tmp_path).ok


# -- what does not -------------------------------------------------------------------------------


@pytest.mark.timeout(1800)
def test_any_change_anywhere_fails_and_is_named(tmp_path: Path) -> None:
    record = sealing.small_record()
    data = sealing.chat_of(record, CHAT, later=[_erased_later(record, 8, "text")])
    assert report_on(data, tmp_path).ok
    chance = random.Random(20261123)  # noqa: S311  # the same changes on every run
    for _ in range(MUTATIONS):
        changed = _mutated(data, chance)
        if changed != data:
            problem_of(changed, tmp_path)


def test_the_signers_of_checkpoint_and_seal_are_compared(tmp_path: Path) -> None:
    made = sealing.chat_of(sealing.small_record(), CHAT)
    report = report_on(made, tmp_path, [STRANGER.key])
    assert (report.ok, report.trusted) == (False, False)
    assert "which is not among the keys given" in (report.problem or "")
    lines = lines_of_chat()
    value = canonical.decode(lines[0][:-1])
    assert isinstance(value, dict)
    both = [str(SIGNER.key), str(STRANGER.key)]
    lines[0] = canonical.encode(value | {"keys": both}) + b"\n"
    mixed = sealing.sealed_chat(lines, 11, STRANGER)
    assert report_on(mixed, tmp_path).ok
    report = report_on(mixed, tmp_path, [SIGNER.key])
    assert report.problem == (
        f"the seal is signed by {STRANGER.key.id}, which is not among the keys given"
    )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"chat": "onrecord-chat/v2"}, "this verifier knows onrecord-chat/v1"),
        ({"as_of": 12}, "the checkpoint is of size 11, not as of 12"),
        ({"chat_uuid": "chat"}, "chat_uuid is not a UUID"),
        ({"chat_uuid": OTHER}, "it is of another chat"),
        ({"entity_uuid": CHAT}, "the origin is not that of the organisation"),
        ({"keys": []}, "from 1 to 64 keys"),
        ({"more": 1}, "has not exactly the members"),
        ({"entries": 4}, "do not fit each other"),
        ({"entries": True}, "its entries is not an integer"),
        ({"first_index": 0, "entries": 6}, "do not fit each other"),
        ({"last_index_of_chat": 4}, "do not fit each other"),
        ({"last_index": 6, "entries": 6, "last_index_of_chat": 6}, "not an entry with its parts"),
        ({"last_index": 4, "entries": 4}, "line 6: it is neither an erasure"),
        ({"first_index": 2, "entries": 4}, "its chat_index is 1, but the window begins at 2"),
        ({"withheld": ["text"]}, "its parts are ['address', 'text']"),
        ({"withheld": ["b", "a"]}, "sorted list of names"),
        ({"withheld": ["a", "a"]}, "sorted list of names"),
        ({"withheld": [1]}, "sorted list of names"),
        ({"withheld": "text"}, "sorted list of names"),
        ({"checkpoint": 1}, "the checkpoint is not a note"),
        (
            {"checkpoint": SIGNER.sign(Checkpoint(ORIGIN, 11, bytes(32)).text())},
            "the root from the entries and the proof is not the checkpoint's",
        ),
    ],
)
def test_a_wrong_header_is_named_though_it_is_sealed(
    tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    lines = lines_of_chat()
    value = canonical.decode(lines[0][:-1])
    assert isinstance(value, dict)
    lines[0] = canonical.encode(value | changed) + b"\n"
    assert named in problem_of(sealed_anew(lines), tmp_path)


def _set(**members: object) -> Change:
    return lambda entry: entry.update(members)


@pytest.mark.parametrize(
    ("number", "change", "named"),
    [
        (0, _set(chat_prev=1), "its chat_prev is 1, which cannot be at index 1"),
        (0, _set(seq=1), "its message number (seq) is 1 where 0 is due"),
        (0, _set(seq="0"), "its message number (seq) is '0' where 0 is due"),
        (0, _set(chat_index=2), "the window begins at 1"),
        (1, _set(position=12), "which is not after 2 and up to 11"),
        (1, _set(position=2), "which is not after 2 and up to 11"),
        (1, _set(position="4"), "its position is not an integer"),
        (1, _set(chat_uuid=OTHER), "it is of another chat"),
        (1, lambda entry: entry.pop("chat_uuid"), "it is of another chat"),
        (1, _set(chat_index=3), "its chat_index is 3 where 2 is due"),
        (2, _set(chat_prev=2), "its chat_prev is 2, but the entry before"),
        (2, _set(seq=0), "its message number (seq) is 0 where 1 is due"),
        (2, _set(at="2026-11-22T10:00:01.000000Z"), "is before that of the entry before"),
        (2, _set(entity_uuid=CHAT), "it belongs to another organisation"),
        (2, _set(content={"address": "0" * 64, "text": "0" * 64}), "does not hash"),
        (2, _set(v=2), "its form version is 2"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_named_though_all_is_signed(
    tmp_path: Path, number: int, change: Change, named: str
) -> None:
    problem = problem_of(with_entry(number, change), tmp_path)
    assert problem.startswith(f"line {number + 2}")
    assert named in problem


def test_in_a_window_the_first_link_must_be_possible(tmp_path: Path) -> None:
    for prev in (0, 4, 9):
        record = sealing.small_record()
        entry = canonical.decode(record.leaves[3])
        assert isinstance(entry, dict)
        record.leaves[3] = canonical.encode(entry | {"chat_prev": prev})
        problem = problem_of(sealing.chat_of(record, CHAT, window=(2, 3)), tmp_path)
        assert f"its chat_prev is {prev}, which cannot be at index 2" in problem


def _erasure(**members: object) -> bytes:
    record = sealing.small_record()
    entry = canonical.decode(record.leaves[9])
    assert isinstance(entry, dict)
    return canonical.encode({"erasure": canonical.encode(entry | members).decode()}) + b"\n"


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([], "line 3 (position 4): its part 'address' is missing, and no content.erased"),
        ([_erasure(type="content.kept")], "its type is 'content.kept'"),
        ([_erasure(position=8)], "it stands in the window already"),
        ([_erasure(position=0)], "its position is 0, but one before it has 0"),
        ([_erasure(), _erasure()], "its position is 10, but one before it has 10"),
        ([_erasure(), _erasure(position=12)], "nothing it names is missing"),
        ([_erasure(data={"position": 4, "parts": ["text"]})], "nothing it names is missing"),
        ([_erasure(data={"position": 5, "parts": ["address"]})], "nothing it names is missing"),
        ([_erasure(data={"position": 10, "parts": ["text"]})], "which parts of which earlier"),
        ([_erasure(chat_uuid=OTHER, chat_index=9, chat_prev=1)], "it is of another chat"),
        ([_erasure(entity_uuid=CHAT)], "another organisation"),
        ([b'{"erasure":1}\n'], "the line is not an erasure"),
        ([b'{"erasure":"{}","parts":null}\n'], "the line is not an erasure"),
        ([b'{"erasure":"[]"}\n'], "the entry is not an object"),
        ([b'{"erasure":"{ }"}\n'], "not in canonical form"),
        ([b'{"erasure": "{}"}\n'], "line 7: it is JSON, but not in canonical form"),
        ([b'{"Erasure":"{}"}\n'], "line 7: it is neither an erasure"),
    ],
)
def test_an_erasure_that_explains_nothing_is_named(
    tmp_path: Path, lines: list[bytes], named: str
) -> None:
    given = lines_of_chat()
    assert given[6].startswith(b'{"erasure"')
    assert named in problem_of(sealed_anew([*given[:6], *lines, *given[7:]]), tmp_path)


def _proof(*hashes: bytes) -> bytes:
    return chat.proof_line(hashes)


H = bytes(32)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda _: [], "the multiproof has too few nodes"),
        (lambda hashes: [_proof(*hashes[:-1])], "the multiproof has too few nodes"),
        (lambda hashes: [_proof(*hashes, H)], "the multiproof has too many nodes"),
        (lambda hashes: [_proof(*hashes[1:], hashes[0])], "is not the checkpoint's"),
        (lambda hashes: [_proof(hashes[0]), _proof(*hashes[1:])], "has not 4096 hashes"),
        (lambda hashes: [b'{"proof":""}\n', _proof(*hashes)], "in its one spelling"),
        (lambda hashes: [_proof(*hashes).replace(b":", b": ")], "in its one spelling"),
        (lambda hashes: [_proof(*hashes), b"{}\n"], "line 9: it should be the seal, and is none"),
        (lambda hashes: [_proof(*hashes).replace(b"=", b"")], "in its one spelling"),
        (lambda hashes: [_proof(*hashes, H[:31])], "in its one spelling"),
        (lambda hashes: [_proof(*hashes)[:-2] + b',"x":1}\n'], "in its one spelling"),
        (lambda _: [b'{"proof":1}\n'], "in its one spelling"),
        (lambda _: [_proof(*[H] * 4097)], "in its one spelling"),
    ],
)
def test_a_proof_in_another_form_is_named(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], named: str
) -> None:
    record = sealing.small_record()
    lines = lines_of_chat()
    leaves = list(map(merkle.leaf_hash, record.leaves))
    plan = merkle.multiproof_plan([1, 3, 5, 7, 9, 10], 11)
    hashes = [merkle.fold([sealing._node(leaves, one) for one in part]) for part in plan]
    assert lines[7:] == [_proof(*hashes)]
    assert named in problem_of(sealed_anew([*lines[:7], *change(hashes)]), tmp_path)


def test_what_follows_or_replaces_the_seal_is_named(tmp_path: Path) -> None:
    lines = lines_of_chat()
    made = sealed_anew(lines)
    end = len(lines) + 1
    assert problem_of(made + b"x\n", tmp_path) == f"line {end + 1}: something follows the seal"
    assert "is cut off within the line" in problem_of(made[:-1], tmp_path)
    whole = b"".join(lines)
    assert problem_of(whole, tmp_path) == (
        f"the file ends after line {end - 1}: it is cut off, or was never sealed"
    )
    assert "it should be the seal" in problem_of(whole + b"{}\n", tmp_path)
    assert "it should be the seal, and is none" in problem_of(whole + b'{"seal":1}\n', tmp_path)
    assert "it should be the seal: " in problem_of(whole + b'{"seal": 1}\n', tmp_path)
    other = sealing.sealed(lines, 11, text=lambda sealer: sealer.text("archive", ORIGIN, 11))
    assert "is that of another file: archive of" in problem_of(other, tmp_path)
    short = sealing.sealed(
        lines, 11, text=lambda sealer: sealer.text("chat-record", ORIGIN, 11).replace("\n1", "\n2")
    )
    assert "the seal (last line)" in problem_of(short, tmp_path)


def test_lines_that_are_too_long_end_it_before_they_are_whole() -> None:
    asked = 0

    def pieces() -> object:
        nonlocal asked
        yield lines_of_chat()[0]
        while True:
            asked += 1
            yield b"x" * 2**16

    judge = Judge((), verify.Report())
    with pytest.raises(WrongError, match="line 2: the line is longer than 1 MiB"):
        verify_chat.verify(pieces(), judge)  # type: ignore[arg-type]  # it yields bytes
    assert asked <= 17
    with pytest.raises(WrongError, match="line 1: the line is longer than 1 MiB"):
        verify_chat.verify([b"x" * 2**20 + b"\n"], judge)


def test_the_files_of_messages_are_told(tmp_path: Path) -> None:
    record = sealing.small_record()
    facts = {"attachment_uuid": ENTITY, "filename": "a.pdf", "content_type": "application/pdf"}
    file: dict[str, object] = {**facts, "size": 3, "sha256": sha256(b"abc").hexdigest()}
    record.add_to_chat(CHAT, "message.sent", {"file": [file, file]})
    report = report_on(sealing.chat_of(record, CHAT), tmp_path)
    assert report.ok, report.problem
    assert report.counts["files_named"] == 2
    record.erase(12, "file")  # then nobody knows them any more
    report = report_on(sealing.chat_of(record, CHAT), tmp_path)
    assert report.ok, report.problem
    assert report.counts["files_named"] == 0
    wrongs: list[object] = [[], [1], {}, [file | {"size": "3"}], [file | {"attachment_uuid": "x"}]]
    for wrong in [*wrongs, [facts]]:
        record = sealing.small_record()
        record.add_to_chat(CHAT, "message.sent", {"file": wrong})
        made = sealing.chat_of(record, CHAT)
        assert "its part 'file' is not a list of files" in problem_of(made, tmp_path)
