import json
import os
import random
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from onrecord.proof import archive, canonical, entries, merkle, verify, verify_archive
from onrecord.proof.checkpoint import Checkpoint
from onrecord.proof.statements import Judge
from tests.proof import sealing
from tests.proof.sealing import CHATS, ENTITY, ORIGIN, SIGNER, STRANGER, Record

MUTATIONS = 20_000 if os.environ.get("ONRECORD_TEST_LONG") == "1" else 250

Change = Callable[[dict[str, object]], object]


def report_on(data: bytes, folder: Path, workers: int | None = None) -> verify.Report:
    path = folder / "archive.jsonl"
    path.write_bytes(data)
    return verify.verify(path, workers=workers)


def problem_of(data: bytes, folder: Path) -> str:
    problem = report_on(data, folder).problem
    assert problem
    assert "\n" not in problem
    assert len(problem) < 400
    return problem


def test_a_sealed_archive_holds(tmp_path: Path) -> None:
    report = report_on(sealing.archive_of(sealing.small_record()), tmp_path)
    assert report.ok, report.problem
    assert report.signed_by == [SIGNER.key.id]
    assert report.trusted is None
    assert f"signed by {SIGNER.key.id}; not compared with a key you trust (--key)" in (
        report.not_checked
    )
    assert report.counts["entries"] == report.as_of == 11
    assert (report.counts["chats"], report.counts["messages"]) == (2, 6)
    assert (report.counts["erased_parts"], report.counts["erased_parts_explained"]) == (1, 1)
    assert json.loads(json.dumps(report.to_json()))["ok"] is True


def test_an_empty_record_can_be_sealed_too(tmp_path: Path) -> None:
    report = report_on(sealing.archive_of(Record()), tmp_path)
    assert report.ok, report.problem


def test_the_signer_is_compared_with_the_keys_given(tmp_path: Path) -> None:
    path = tmp_path / "archive.jsonl"
    path.write_bytes(sealing.archive_of(sealing.small_record()))
    trusted = verify.verify(path, [STRANGER.key, SIGNER.key])
    assert (trusted.ok, trusted.trusted) == (True, True)
    other = verify.verify(path, [STRANGER.key])
    assert (other.ok, other.trusted) == (False, False)
    assert (
        other.problem == f"the seal is signed by {SIGNER.key.id}, which is not among the keys given"
    )


def test_work_shared_among_processes_gives_the_same_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_archive, "BLOCK_BYTES", 700)
    data = sealing.archive_of(sealing.small_record())
    alone = report_on(data, tmp_path, workers=1)
    assert alone.ok, alone.problem
    assert report_on(data, tmp_path, workers=2) == alone
    changed = data.replace(b"Papers", b"Pavers")
    alone = report_on(changed, tmp_path, workers=1)
    assert (
        alone.problem
        == "line 12 (position 11): its part 'text' does not hash to what the entry says"
    )
    assert report_on(changed, tmp_path, workers=2) == alone


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the file after one small change somewhere."""
    at = chance.randrange(len(data))
    match chance.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + data[at + 1 :]
        case 2:
            return data[:at] + bytes([chance.randrange(256)]) + data[at:]
        case 3:
            return data[:at]
        case 4:
            lines = data.splitlines(keepends=True)
            one, two = chance.sample(range(len(lines)), 2)
            lines[one], lines[two] = lines[two], lines[one]
            return b"".join(lines)
        case _:
            lines = data.splitlines(keepends=True)
            del lines[chance.randrange(len(lines))]
            return b"".join(lines)


@pytest.mark.timeout(1800)
def test_any_change_anywhere_fails_and_is_named(tmp_path: Path) -> None:
    data = sealing.archive_of(sealing.small_record())
    chance = random.Random(20261122)  # noqa: S311  # the same changes on every run
    for _ in range(MUTATIONS):
        changed = _mutated(data, chance)
        if changed != data:
            problem_of(changed, tmp_path)


def test_each_byte_of_the_last_line_counts(tmp_path: Path) -> None:
    data = sealing.archive_of(Record())
    for at in range(data.rindex(b"\n", 0, -1) + 1, len(data), 7):
        problem_of(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], tmp_path)


def test_hostile_files_are_refused_by_name(tmp_path: Path) -> None:
    start = b'{"archive":"onrecord-archive/'
    for data, named in (
        (b"", "the file is empty"),
        (b"\n", "no file of OnRecord"),
        (b"PK\x03\x04", "does not end as a ZIP ends"),
        (b"\x00" * 5000, "no file of OnRecord"),
        (b"\xff\xfe", "no file of OnRecord"),
        (start, "cut off within it"),
        (start + b"x" * 2**21, "longer than 1 MiB"),
        (start + b"\xff\n", "utf-8"),
        (start + b'v1","as_of":' + b"[" * 100_000 + b"\n", "nested too deep"),
        (start + b'v1","as_of":' + b"9" * 9999 + b"}\n", "line 1: the header"),
        (start + b'v1"}\n', "has not exactly the members"),
    ):
        assert named in problem_of(data, tmp_path)
    assert verify.verify(tmp_path).problem == "the path is not that of a file"
    missing = verify.verify(tmp_path / "missing").problem
    assert missing == "the file cannot be read: No such file or directory"


def test_a_file_cut_off_is_called_so(tmp_path: Path) -> None:
    record = sealing.small_record()
    lines = [sealing.header(record), *sealing.entry_lines(record)]
    assert "it has no seal" in problem_of(lines[0], tmp_path)
    assert "is not a seal" in problem_of(b"".join(lines), tmp_path)
    assert "does not end" in problem_of(b"".join(lines)[:-1], tmp_path)
    assert "should be the seal" in problem_of(b"".join(lines) + b"x\n", tmp_path)
    long = b"".join(lines) + b"x" * 2**21 + b"\n"
    assert "the last line is longer than 1 MiB" in problem_of(long, tmp_path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"as_of": 10}, "the seal (last line) is that of another file"),
        ({"as_of": -1}, "as_of is not a position"),
        ({"as_of": True}, "as_of is not a position"),
        ({"archive": "onrecord-archive/v2"}, "this verifier knows onrecord-archive/v1"),
        ({"checkpoint": 1}, "the checkpoint is not a note"),
        ({"checkpoint": "note"}, "line 1: the checkpoint: "),
        ({"entity_uuid": ENTITY.upper()}, "not a UUID"),
        ({"origin": "record.example/other"}, "the origin is not that of the organisation"),
        ({"keys": []}, "from 1 to 64 keys"),
        ({"keys": [1]}, "a vkey is"),
        ({"keys": [str(SIGNER.key)] * 2}, "it names a key twice"),
        ({"keys": [str(STRANGER.key)]}, "a key that is not known"),
        ({"more": 1}, "has not exactly the members"),
        (
            {"checkpoint": SIGNER.sign(Checkpoint(ORIGIN, 12, bytes(32)).text())},
            "the checkpoint is of size 12",
        ),
        (
            {"checkpoint": SIGNER.sign(Checkpoint("other", 11, bytes(32)).text())},
            "of another origin, other",
        ),
        (
            {"checkpoint": SIGNER.sign(Checkpoint(ORIGIN, 11, bytes(32)).text())},
            "the root of the entries is not the checkpoint's",
        ),
    ],
)
def test_a_wrong_header_is_named_though_it_is_sealed(
    tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    record = sealing.small_record()
    lines = [sealing.header(record, changed), *sealing.entry_lines(record)]
    assert named in problem_of(sealing.sealed(lines, 11), tmp_path)


def test_a_seal_that_says_something_else_is_named(tmp_path: Path) -> None:
    record = sealing.small_record()
    lines = [sealing.header(record), *sealing.entry_lines(record)]
    for said, named in (
        (lambda s: s.text("chat", ORIGIN, 11), "chat of"),
        (lambda s: s.text("archive", "other", 11), "archive of other"),
        (lambda s: s.text("archive", ORIGIN, 12), "as of 12"),
        (lambda s: s.text("archive", ORIGIN, 11).replace("v1", "v2"), "does not know"),
        (lambda s: s.text("archive", ORIGIN, 11) + "x\n", "six lines of a seal"),
    ):
        assert named in problem_of(sealing.sealed(lines, 11, text=said), tmp_path)


def _set(**members: object) -> Change:
    return lambda entry: entry.update(members)


def _without(name: str) -> Change:
    return lambda entry: entry.pop(name)


# Position 8 is the fifth message: chat 1's third, index 4 (after its creation), seq 2.
WRONG = [
    (8, _set(v=2), "its form version is 2"),
    (8, _set(v=True), "its v is not an integer"),
    (8, _set(position=9), "it calls itself position 9"),
    (8, _set(position="8"), "its position is not an integer"),
    (8, _set(entity_uuid=CHATS[0]), "another organisation"),
    (8, _without("type"), "no type or no actor"),
    (8, _set(actor=[]), "no type or no actor"),
    (8, _set(reply_uuid=None), "a member is null"),
    (8, _set(at="2026-11-22T10:00:08Z"), "is not RFC 3339"),
    (8, _set(at="2026-11-22T10:00:60.000000Z"), "is not RFC 3339"),
    (8, _set(at="2026-11-22T10:00:08.000000Z\n"), "is not RFC 3339"),
    (8, _set(at="2026-11-22T10:00:0\u0668.000000Z"), "is not RFC 3339"),
    (8, _set(at="2026-11-31T10:00:08.000000Z"), "is not RFC 3339"),
    (8, _set(at="2026-11-22 10:00:08.000000Z"), "is not RFC 3339"),
    (8, _set(at="2026-11-22T10:00:08.000000+00:00"), "is not RFC 3339"),
    (8, _set(at=""), "is not RFC 3339"),
    (8, _without("at"), "is not RFC 3339"),
    (8, _set(at="2026-11-22T10:00:06.000000Z"), "is before that of the entry before"),
    (8, _without("chat_uuid"), "a place in a chat, but no chat"),
    (8, _set(chat_uuid="chat"), "is not a UUID in lower case"),
    (8, _set(chat_uuid=["chat"]), "is not a UUID in lower case"),
    (8, _set(chat_uuid=ENTITY), "its chat_index is 4 where 1 is due"),
    (8, _set(chat_index=5), "its chat_index is 5 where 4 is due"),
    (8, _set(chat_prev=7), "its chat_prev is 7, but the entry before"),
    (8, _without("chat_prev"), "its chat_prev is not an integer"),
    (8, _set(seq=3), "its message number (seq) is 3 where 2 is due"),
    (4, _set(seq=1), "its message number (seq) is 1 where 0 is due"),
    (2, _set(chat_prev=1), "its chat_prev is 1, but the entry before"),
    (8, _set(content={}), "parts without content"),
    (8, _without("content"), "parts without content"),
    (8, _set(content={"text": "0" * 64}), "its content names ['text']"),
    (8, _set(content={"text": "0" * 64, "address": "0" * 64}), "does not hash"),
    (4, _set(content={"text": "0" * 64, "address": "G" * 64}), "hash"),
    (10, _set(data={"position": 4, "parts": ["text"]}), "its part 'address' is missing"),
    (10, _set(data={"position": 10, "parts": ["text"]}), "which parts of which earlier"),
    (10, _set(data={"position": 4, "parts": []}), "which parts of which earlier"),
    (10, _set(data=[]), "which parts of which earlier"),
]


@pytest.mark.parametrize(("position", "change", "named"), WRONG)
def test_an_entry_that_breaks_a_rule_is_named_though_all_is_signed(
    tmp_path: Path, position: int, change: Change, named: str
) -> None:
    record = sealing.small_record()
    entry = canonical.decode(record.leaves[position - 1])
    assert isinstance(entry, dict)
    change(entry)
    record.leaves[position - 1] = canonical.encode(entry)
    problem = problem_of(sealing.archive_of(record), tmp_path)
    assert named in problem
    if "missing" not in problem:
        assert problem.startswith(f"line {position + 1} (position {position}): ")


@pytest.mark.parametrize("size", [1, 300, 2**20])
def test_seams_between_blocks_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(verify_archive, "BLOCK_BYTES", size)
    assert report_on(sealing.archive_of(sealing.small_record()), tmp_path).ok
    for position, change, named in WRONG:
        record = sealing.small_record()
        entry = canonical.decode(record.leaves[position - 1])
        assert isinstance(entry, dict)
        change(entry)
        record.leaves[position - 1] = canonical.encode(entry)
        assert named in problem_of(sealing.archive_of(record), tmp_path)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"", "Expecting value"),
        (b"[]", "not an entry with its parts"),
        (b'{"entry":1}', "not an entry with its parts"),
        (b'{"entry":"{}","parts":null}', "not an entry with its parts"),
        (b'{"entry":"{}","more":1}', "not an entry with its parts"),
        (b'{"entry":"[]"}', "the entry is not an object"),
        (b'{"entry": "{}"}', "not in canonical form"),
        (b'{"entry":"{ }"}', "not in canonical form"),
        (b'{"entry":"{\\"v\\":1.5}"}', "float"),
        (b'{"entry":"{}"}', "its v is not an integer"),
        (b'{"entry":"{}","parts":{"' + b"x" * 9999 + b'":1}}', "is not bytes and a salt"),
        (b'{"entry":"{}","parts":{"text":{"bytes":1,"salt":""}}}', "is not bytes and a salt"),
        (b"\xff", "utf-8"),
        (b'{"entry":"' + b"x" * 2**20 + b'"}', "longer than 1 MiB"),
        (b'{"entry":"' + b"x" * 2**23 + b'"}', "longer than 1 MiB"),
        (b'{"entry":"' + b"[" * 2**19 + b'"}', "nested"),
    ],
)
def test_a_line_that_is_no_entry_is_named_though_it_is_sealed(
    tmp_path: Path, line: bytes, named: str
) -> None:
    record = sealing.small_record()
    lines = [sealing.header(record), *sealing.entry_lines(record)]
    lines[3] = line + b"\n"
    problem = problem_of(sealing.sealed(lines, 11), tmp_path)
    assert problem.startswith("line 4 (position 3): ")
    assert named in problem


def test_a_member_of_any_type_is_answered() -> None:
    odd: list[object] = [None, True, 0, -1, 2**52, "", "x" * 5000, [], [[]], {}, {"a": [1]}]
    record = sealing.small_record()
    for position, (leaf, parts) in enumerate(zip(record.leaves, record.parts, strict=True), 1):
        entry = canonical.decode(leaf)
        assert isinstance(entry, dict)
        for name in (*entry, "content", "data", "seq", "new"):
            for value in odd:
                line = archive.entry_line(canonical.encode(entry | {name: value}), parts)
                problem = entries.examine(line, position, ENTITY).problem
                assert problem is None or problem.position == position


@pytest.mark.parametrize(
    "part", [1, {}, {"bytes": "x"}, {"bytes": "x", "salt": 1}, {"bytes": "x", "salt": "AB=="}]
)
def test_a_part_in_another_form_is_named(tmp_path: Path, part: object) -> None:
    record = sealing.small_record()
    lines = [sealing.header(record), *sealing.entry_lines(record)]
    value = canonical.decode(lines[1][:-1])
    assert isinstance(value, dict)
    lines[1] = canonical.encode(value | {"parts": {"profile": part}}) + b"\n"
    assert problem_of(sealing.sealed(lines, 11), tmp_path).startswith("line 2 (position 1): ")


def test_entries_left_out_at_the_end_are_missed(tmp_path: Path) -> None:
    record = sealing.small_record()
    lines = [sealing.header(record), *sealing.entry_lines(record)][:-1]
    named = "the file holds 10 entries, its checkpoint says 11"
    assert problem_of(sealing.sealed(lines, 11), tmp_path) == named


def test_a_block_is_read_anew_by_the_process_that_examines_it(tmp_path: Path) -> None:
    lines = sealing.entry_lines(sealing.small_record())
    path = tmp_path / "archive.jsonl"
    path.write_bytes(b"".join(lines))
    block = verify_archive.Block(path, len(lines[0]), len(lines[1]), 2, ENTITY)
    assert verify_archive.examine_block(block) == entries.examine(lines[1], 2, ENTITY)


def test_a_change_that_touches_no_entry_breaks_the_seal(tmp_path: Path) -> None:
    record = sealing.small_record()
    data = sealing.archive_of(record)
    more_keys = sealing.header(record, {"keys": [str(SIGNER.key), str(STRANGER.key)]})
    changed = more_keys + data[data.index(b"\n") + 1 :]
    assert "not what the seal states" in problem_of(changed, tmp_path)


def test_a_file_that_shrinks_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sealing.archive_of(sealing.small_record())
    begin = data.index(b"\n") + 1
    path = tmp_path / "archive.jsonl"
    path.write_bytes(data)
    monkeypatch.setattr(Judge, "tell", lambda *_: os.truncate(path, begin))
    report = verify.verify(path)
    assert report.problem == "the file was changed while it was read"


def test_a_process_killed_meanwhile_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise BrokenExecutor

    monkeypatch.setattr(Judge, "tell", die)
    named = "not checked to the end: a process that shared the work was killed"
    assert problem_of(sealing.archive_of(sealing.small_record()), tmp_path) == named


def test_a_line_too_long_or_a_salt_too_short_is_not_written() -> None:
    with pytest.raises(ValueError, match="too long"):
        archive.entry_line(b"x" * 2**20, {})
    with pytest.raises(ValueError, match="32 bytes"):
        archive.part_hash(b"short", b"")


def test_a_stretch_knows_nothing_of_what_precedes_it() -> None:
    record = sealing.small_record()
    lines = sealing.entry_lines(record)
    run = entries.Run()
    for start, end in ((0, 4), (4, 5), (5, 5), (5, 11)):
        stretch = entries.examine(b"".join(lines[start:end]), start + 1, ENTITY)
        assert run.join(stretch) is None
    assert run.unexplained_erasure() is None
    assert run.frontier == record.frontier()
    assert isinstance(run.frontier, merkle.Frontier)
