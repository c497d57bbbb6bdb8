"""Sealed ZIPs: parts, manifest, record, transcripts and the files of messages."""

import io
import random
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from onrecord.proof import bundle, canonical, verify
from tests.proof import files, sealing
from tests.proof.sealing import CHATS, ENTITY, SIGNER, STRANGER, Record
from tests.proof.test_verify_chat import MUTATIONS, problem_of, report_on

CHAT, OTHER = CHATS
LETTER, SCAN = b"Dear Priya", b"a scan"
Parts = dict[str, bytes]


def attached(uuid: str, data: bytes) -> dict[str, object]:
    """Return how a message names a file."""
    return {
        "attachment_uuid": uuid,
        "filename": "a",
        "content_type": "text/plain",
        "size": len(data),
        "sha256": sha256(data).hexdigest(),
    }


UUIDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(5)]


def record() -> Record:
    """Return a record in which messages 3 and 4 of the first chat carry files."""
    made = sealing.small_record()
    letter, scan = attached(UUIDS[0], LETTER), attached(UUIDS[1], SCAN)
    made.add_to_chat(CHAT, "message.sent", {"text": "see", "file": [letter, scan]})
    made.add_to_chat(CHAT, "message.sent", {"file": [attached(UUIDS[2], LETTER)]})
    return made


def chat_parts() -> Parts:
    whole = sealing.chat_of(record(), CHAT)
    return {
        "README.txt": b"How to verify",
        "transcript.pdf": files.sealed_pdf(files.pdf(whole), 13),
        "records.jsonl": whole,
        "attachments/003-letter.txt": LETTER,
        "attachments/003-scan.txt": SCAN,
        "attachments/4-letter.txt": LETTER,
    }


def chat_zip(parts: Parts, **facts: Any) -> bytes:
    said = files.manifest(record(), parts, **(files.of_chat(CHAT, (1, 7)) | facts))
    return files.sealed_zip(parts, said, bundle.CHAT, 13)


def entities_zip(parts: Parts | None = None, **facts: Any) -> bytes:
    made = record()
    given = parts or entities_parts()
    return files.sealed_zip(given, files.manifest(made, given, **facts), bundle.ENTITIES, 13)


def entities_parts() -> Parts:
    return {
        "README.txt": b"How to verify",
        "members.csv": b"x",
        f"attachments/{CHAT}/3-letter": LETTER,
        f"attachments/{CHAT}/3-scan": SCAN,
        f"attachments/{CHAT}/4-letter": LETTER,
        "records.jsonl": sealing.archive_of(record()),
    }


# -- what holds ----------------------------------------------------------------------------------


def test_the_export_of_a_chat_holds(tmp_path: Path) -> None:
    report = report_on(chat_zip(chat_parts()), tmp_path, [SIGNER.key])
    assert report.ok, report.problem
    assert (report.kind, report.as_of, report.trusted) == ("chat", 13, True)
    assert report.counts["entries"] == 7
    assert (report.counts["files"], report.counts["attachments"]) == (6, 3)
    told = "\n".join(report.told())
    assert "records.jsonl: the root: recomputed from these" in told
    assert "transcript.pdf: the embedded record: the root: recomputed" in told
    assert "the attachments: 3, each is what its message says" in told
    assert told.count("that the pages show what the record says") == 1


def test_the_export_of_all_entities_holds_with_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = entities_zip()
    report = report_on(data, tmp_path, [SIGNER.key])
    assert report.ok, report.problem
    assert (report.kind, report.counts["attachments"]) == ("entities", 3)
    monkeypatch.setattr(verify, "PARALLEL_BYTES", 1)
    shared = report_on(data, tmp_path, [SIGNER.key])
    assert shared == report


def test_transcripts_in_parts_have_windows_within_that_of_the_export(tmp_path: Path) -> None:
    parts = chat_parts()
    del parts["transcript.pdf"]
    for number, window in ((1, (1, 3)), (2, (4, 7))):
        inner = sealing.chat_of(record(), CHAT, window=window)
        parts[f"transcript-00{number}.pdf"] = files.sealed_pdf(files.pdf(inner), 13)
    assert report_on(chat_zip(parts), tmp_path).ok
    small = sealing.chat_of(record(), CHAT, window=(2, 6))
    for wrong in (sealing.chat_of(record(), OTHER), parts["records.jsonl"]):
        parts = {
            "records.jsonl": small,
            "transcript.pdf": files.sealed_pdf(files.pdf(wrong), 13),
        }
        named = "transcript.pdf is the transcript of another chat or window"
        made = chat_zip(parts, **files.of_chat(CHAT, (2, 6)))
        assert problem_of(made, tmp_path) == named


def test_files_that_are_missing_are_named_as_such(tmp_path: Path) -> None:
    parts = chat_parts()
    del parts["attachments/003-scan.txt"]
    missing = [{"attachment_uuid": UUIDS[1], "seq": 3, "reason": "it is not in the storage"}]
    report = report_on(chat_zip(parts, missing=missing), tmp_path)
    assert report.ok, report.problem
    assert report.counts["attachments_missing"] == 1
    assert any("1 attachments: they were missing" in line for line in report.not_checked)
    whole = entities_parts()
    del whole[f"attachments/{CHAT}/3-scan"]
    named = [{"attachment_uuid": UUIDS[1], "seq": 3, "chat_uuid": CHAT}]
    assert report_on(entities_zip(whole, missing=named), tmp_path).ok


# -- what does not -------------------------------------------------------------------------------


def _without(name: str) -> Callable[[Parts], object]:
    return lambda parts: parts.pop(name)


def _with(**more: bytes) -> Callable[[Parts], object]:
    return lambda parts: parts.update({name.replace("__", "/"): one for name, one in more.items()})


LACKS = f"a file of message 3 of chat {CHAT} is neither there nor named as missing"


@pytest.mark.parametrize(
    ("change", "facts", "named"),
    [
        (_without("attachments/003-scan.txt"), {}, LACKS),
        (_with(attachments__more=SCAN), {}, "attachments/more is not named as a file"),
        (
            lambda parts: parts.update({f"attachments/{CHAT}/3-x": SCAN}),
            {},
            "is not named as a file",
        ),
        (
            lambda parts: parts.update({"attachments/3-x": SCAN}),
            {},
            "attachments/3-x is not a file that this message carries",
        ),
        (
            lambda parts: parts.update({"attachments/003-scan.txt": b"another scan"}),
            {},
            "attachments/003-scan.txt is not a file that this message carries",
        ),
        (
            lambda parts: parts.update({"attachments/003-letter.txt": SCAN}),
            {},
            "attachments/003-scan.txt is not a file that this message carries",
        ),
        (_with(more=b""), {}, "more does not belong into the export of a chat"),
        (_without("records.jsonl"), {}, "records.jsonl is not in the file"),
        (
            lambda _: None,
            {"missing": [{"attachment_uuid": UUIDS[3], "seq": 3}]},
            f"it misses {UUIDS[3]}, which no message carries",
        ),
        (
            lambda _: None,
            {"missing": [{"attachment_uuid": UUIDS[1], "seq": 3}]},
            "attachments/003-scan.txt is not a file that this message carries",
        ),
        (lambda _: None, {"missing": [1]}, "is not a file of a message"),
        (lambda _: None, {"missing": [{"attachment_uuid": "x"}]}, "is not a file of a message"),
        (lambda _: None, {"missing": {}}, "missing is of another type"),
        (lambda _: None, {"first_index": 2}, "is of another chat or window than"),
        (lambda _: None, {"chat_uuid": OTHER}, "is of another chat or window than"),
        (lambda _: None, {"first_index": True}, "first_index is of another type"),
        (lambda _: None, {"kind": "chats"}, "has not exactly the members"),
        (lambda _: None, {"kind": 1}, "has not exactly the members"),
        (lambda _: None, {"keys": []}, "from 1 to 64 keys"),
        (lambda _: None, {"as_of": -1}, "as_of is not a position"),
        (lambda _: None, {"as_of": 12}, "as of 13"),
        (lambda _: None, {"origin": "other"}, "the origin is not that"),
        (lambda _: None, {"export": "onrecord-export/v2"}, "this verifier knows"),
    ],
)
def test_what_does_not_fit_the_messages_is_named_though_it_is_sealed(
    tmp_path: Path, change: Callable[[Parts], object], facts: dict[str, Any], named: str
) -> None:
    parts = chat_parts()
    change(parts)
    assert named in problem_of(chat_zip(parts, **facts), tmp_path)


def test_a_kind_that_is_not_known_is_named(tmp_path: Path) -> None:
    parts = {"records.jsonl": b""}
    said = files.manifest(record(), parts, kind="members")
    problem = problem_of(files.sealed_zip(parts, said, "members", 13), tmp_path)
    assert "its kind is 'members', which this verifier does not know" in problem


def test_a_record_of_something_else_is_named(tmp_path: Path) -> None:
    other = record()
    other.add("group.created", {"name": "x"})
    for parts, make in ((chat_parts(), chat_zip), (entities_parts(), entities_zip)):
        of_chat = "transcript.pdf" in parts
        later = sealing.chat_of(other, CHAT) if of_chat else sealing.archive_of(other)
        problem = problem_of(make(parts | {"records.jsonl": later}), tmp_path)
        assert "records.jsonl is that of another export" in problem
        swapped = sealing.archive_of(record()) if of_chat else sealing.chat_of(record(), CHAT)
        problem = problem_of(make(parts | {"records.jsonl": swapped}), tmp_path)
        assert problem.startswith("records.jsonl: line 1: the header: it has not exactly")
        changed = parts["records.jsonl"].replace(b"Papers", b"Pavers")
        problem = problem_of(make(parts | {"records.jsonl": changed}), tmp_path)
        assert problem.endswith("its part 'text' does not hash to what the entry says")
    parts = chat_parts()
    parts["transcript.pdf"] = files.sealed_pdf(files.pdf(sealing.chat_of(other, CHAT)), 14)
    problem = problem_of(chat_zip(parts), tmp_path)
    assert "transcript.pdf is that of another export" in problem
    parts["transcript.pdf"] = b"%PDF-1.7"
    assert "transcript.pdf: the PDF ends without a seal" in problem_of(chat_zip(parts), tmp_path)


def test_parts_are_those_of_the_manifest(tmp_path: Path) -> None:
    parts = chat_parts()
    said = files.manifest(record(), parts, **files.of_chat(CHAT, (1, 7)))
    names = list(parts)

    def sealed(given: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
        return files.seal_zip(files.zipped(given, method), bundle.CHAT, 13)

    end = (bundle.MANIFEST, said)
    value = canonical.decode(said)
    assert isinstance(value, dict)
    strange = canonical.encode(value | {"files": {"a": 1}})
    whole = [*parts.items(), end]
    for changed, named in (
        ([*whole[1:-1], end], "README.txt is not in the file exactly once"),
        ([("more", b""), *whole], "more is in the file, but not in its manifest.json"),
        ([*whole, ("more", b"")], "the last part is not manifest.json"),
        (whole[:-1], "the last part is not manifest.json"),
        ([(names[0], b"x"), *whole[1:]], "README.txt is not what the manifest.json states"),
        ([("Readme.txt", whole[0][1]), *whole[1:]], "Readme.txt is in the file, but not in its"),
        ([*whole[:-1], (end[0], strange)], "a has not exactly a size and a SHA-256"),
        ([*whole[:-1], (end[0], b"{}")], "manifest.json: it has not exactly the members"),
        ([*whole[:-1], (end[0], b"[]")], "manifest.json: it has not exactly the members"),
        ([*whole[:-1], (end[0], b"{ }")], "manifest.json: it is JSON, but not in canonical"),
    ):
        assert named in problem_of(sealed(changed), tmp_path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = sealed([whole[0], *whole])
    assert "README.txt is not in the file exactly once" in problem_of(twice, tmp_path)
    packed = sealed(whole, zipfile.ZIP_DEFLATED)
    assert "README.txt is compressed" in problem_of(packed, tmp_path)
    assert report_on(sealed([*whole[::-1][1:], end]), tmp_path).ok  # any order, the manifest last


def test_a_name_that_would_deceive_a_terminal_is_shown_in_one_line(tmp_path: Path) -> None:
    name = "x\nchecked      everything\x1b[2J" + "y" * 999
    problem = problem_of(chat_zip(chat_parts() | {name: b""}), tmp_path)
    assert problem.startswith("x\ufffdchecked      everything\ufffd[2Jyyy")


def test_the_signers_are_compared(tmp_path: Path) -> None:
    data = chat_zip(chat_parts())
    report = report_on(data, tmp_path, [STRANGER.key])
    assert (report.ok, report.trusted) == (False, False)
    parts = chat_parts()
    said = files.manifest(record(), parts, **files.of_chat(CHAT, (1, 7)))
    stranger = files.sealed_zip(parts, said, bundle.CHAT, 13, STRANGER)
    assert "a key that is not known" in problem_of(stranger, tmp_path)
    other = files.seal_zip(files.zipped([*parts.items(), (bundle.MANIFEST, said)]), "entities", 13)
    assert "is that of another file: entities of" in problem_of(other, tmp_path)


def zip_mutated(data: bytes, chance: random.Random) -> bytes:
    """Return a ZIP after one change somewhere, or with its parts swapped, renamed or dropped."""
    at = chance.randrange(len(data))
    match chance.randrange(8):
        case 0 | 1:
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 2:
            return data[:at] + data[at + chance.choice([1, 1, 100]) :]
        case 3:
            return data[:at] + chance.randbytes(chance.choice([1, 1, 100])) + data[at:]
        case 4:
            return data[:at]
        case 5:
            return data + chance.randbytes(3)
        case _:
            return _other_parts(data, chance)


def _other_parts(data: bytes, chance: random.Random) -> bytes:
    """Return the ZIP with the same seal over other parts."""
    path = io.BytesIO(data)
    with zipfile.ZipFile(path) as file:
        parts = [(one.filename, file.read(one)) for one in file.infolist()]
        comment = file.comment
    one, two = chance.sample(range(len(parts)), 2)
    match chance.randrange(4):
        case 0:
            parts[one], parts[two] = (parts[one][0], parts[two][1]), (parts[two][0], parts[one][1])
        case 1:
            del parts[one]
        case 2:
            parts[one] = (parts[one][0] + "x", parts[one][1])
        case _:
            parts.insert(one, ("more.txt", b"more"))
    plain = files.zipped(parts)
    return plain[:-2] + len(comment).to_bytes(2, "little") + comment


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("make", [chat_zip, entities_zip])
def test_any_change_anywhere_fails_and_is_named(
    tmp_path: Path, make: Callable[[Parts], bytes]
) -> None:
    data = make(chat_parts() if make is chat_zip else entities_parts())
    assert report_on(data, tmp_path).ok
    chance = random.Random(20261123)  # noqa: S311  # the same changes on every run
    for _ in range(MUTATIONS):
        changed = zip_mutated(data, chance)
        if changed != data:
            problem_of(changed, tmp_path)


def test_the_manifest_is_written_as_it_is_read() -> None:
    said = files.manifest(record(), {"a": b"b"}, **files.of_chat(CHAT, (1, 7)))
    read = bundle.parse_manifest(said)
    assert canonical.encode(read) == said
    assert (read["chat_uuid"], read["entity_uuid"]) == (CHAT, ENTITY)
