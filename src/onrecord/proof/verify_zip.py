"""Verification of the sealed ZIP of an export (``bundle``): of all entities, or of one chat."""

import re
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from onrecord.proof import (
    bundle,
    entries,
    seal,
    statements,
    tables,
    verify_archive,
    verify_chat,
    verify_pdf,
)
from onrecord.proof.report import Report, WrongError, fail
from onrecord.proof.statements import Judge, Stated

_FAULTS: Final = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)
"""What Python's library says of a ZIP that is none, is damaged or is of another making."""

_WHERE: Final = "the comment of the ZIP"
_LOCAL: Final = struct.Struct("<26xHH")
"""The header before a part: where the lengths of its name and of its extra field stand."""

_transcript = re.compile(r"transcript(?:-[0-9]{3,})?\.pdf").fullmatch
_attachment = re.compile(r"attachments/(?:([0-9a-f-]{36})/)?([0-9]{1,15})-[^/]+").fullmatch
_FOLDER: Final = "attachments/"
_README: Final = "README.txt"


@dataclass(frozen=True, slots=True)
class Task:
    """A ZIP being verified."""

    path: Path
    file: BinaryIO
    size: int
    workers: int
    judge: Judge


@dataclass(frozen=True, slots=True)
class _Bundle:
    """A ZIP whose manifest was read and whose parts are those it names."""

    task: Task
    zip: zipfile.ZipFile
    manifest: dict[str, Any]
    stated: Stated

    @property
    def judge(self) -> Judge:
        """Who opens the notes."""
        return self.task.judge


def verify(task: Task) -> None:
    """Check everything about a ZIP; what is wrong first ends it."""
    try:
        comment = bundle.comment_of(task.file, task.size)
        with zipfile.ZipFile(task.file) as parts:
            manifest = _read_manifest(parts)
            try:
                stated = statements.parse_stated(manifest)
            except ValueError as error:
                fail(f"{bundle.MANIFEST}: {error}")
            _check(_Bundle(task, parts, manifest, stated), comment)
    except _FAULTS as error:
        fail(f"the ZIP: {error}")


def _read_manifest(parts: zipfile.ZipFile) -> dict[str, Any]:
    """Return what the manifest says; it is the last part."""
    listed = parts.infolist()
    last = listed[-1] if listed else None
    if last is None or last.filename != bundle.MANIFEST or last.file_size > bundle.MANIFEST_LIMIT:
        fail(f"the last part is not {bundle.MANIFEST}")
    try:
        return bundle.parse_manifest(parts.read(last))
    except ValueError as error:
        fail(f"{bundle.MANIFEST}: {error}")


def _check(held: _Bundle, comment: bytes) -> None:
    task, stated, report = held.task, held.stated, held.judge.report
    kind = held.manifest["kind"]
    report.origin, report.as_of = stated.origin, stated.as_of
    if kind not in _RECORDS:
        fail(f"{bundle.MANIFEST}: its kind is {kind!r:.40}, which this verifier does not know")
    report.kind = kind
    sealed = held.judge.open_seal(comment.decode(), stated, kind, _WHERE)
    held.judge.open_checkpoint(stated, bundle.MANIFEST)
    held.judge.tell(sealed, stated)
    _check_parts(held)
    sealer = seal.Sealer()
    task.file.seek(0)
    for piece in _pieces(task.file, task.size - len(comment)):
        sealer.update(piece)
    if (sealer.size, sealer.digest()) != (sealed.size, sealed.digest):
        fail("size or SHA-256 of the file are not what the seal states: bytes were changed")
    files = _RECORDS[kind](held)
    _check_files(held, files)
    report.counts["bytes"] = task.size
    report.checked.append("the bytes: size and SHA-256 are what the seal states")


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield so many bytes of a file, piece by piece."""
    while size and (piece := file.read(min(verify_archive.BLOCK_BYTES, size))):
        yield piece
        size -= len(piece)


def _check_parts(held: _Bundle) -> None:
    """Hold every part against the manifest: none is missing, strange, doubled or changed."""
    files = held.manifest["files"]
    parts = held.zip.infolist()[:-1]
    listed = Counter(one.filename for one in parts)
    for name in listed:
        if name not in files:
            fail(f"{name[:80]} is in the file, but not in its {bundle.MANIFEST}")
    for name in files:
        if listed[name] != 1:
            fail(f"{name[:80]} is not in the file exactly once")
    for one in parts:
        if one.compress_type != zipfile.ZIP_STORED:
            fail(f"{one.filename[:80]} is compressed; parts of an export are stored")
        found = seal.Sealer()
        with held.zip.open(one) as part:
            try:
                for piece in _pieces(part, one.file_size):  # type: ignore[arg-type]  # it reads as files do
                    found.update(piece)
            except zipfile.BadZipFile as error:
                fail(f"{one.filename[:80]} was changed: {error}")
        due = files[one.filename]
        if (found.size, found.digest().hex()) != (due["size"], due["sha256"]):
            fail(f"{one.filename[:80]} is not what the {bundle.MANIFEST} states")
    report = held.judge.report
    report.counts["files"] = len(files)
    report.checked.append(
        f"the parts: {len(files)}, each with the size and SHA-256 of the {bundle.MANIFEST}"
    )


def _within(name: str, held: _Bundle, check: Callable[[Judge], Any]) -> Any:
    """Check a file within the ZIP and take its report in; what is wrong is named with it."""
    inner = Report()
    try:
        outcome = check(Judge(held.judge.keys, inner))
    except (WrongError, ValueError) as wrong:
        fail(f"{name}: {wrong}")
    held.judge.report.take(name, inner)
    return outcome, inner


def _check_same(name: str, held: _Bundle, own: Stated) -> None:
    same = (own.origin, own.as_of, own.checkpoint, own.entity_uuid)
    stated = held.stated
    if same != (stated.origin, stated.as_of, stated.checkpoint, stated.entity_uuid):
        fail(f"{name} is that of another export: its header and the {bundle.MANIFEST} differ")


# -- the record in it -------------------------------------------------------------------------


def _records_part(held: _Bundle) -> zipfile.ZipInfo:
    try:
        return held.zip.getinfo(bundle.RECORDS)
    except KeyError:
        fail(f"{bundle.RECORDS} is not in the file")


def _check_archive(held: _Bundle) -> list[entries.File]:
    """Verify the record of an organisation where it lies: a stored part is a piece of the file."""
    task, part = held.task, _records_part(held)
    task.file.seek(part.header_offset)
    lengths = _LOCAL.unpack(task.file.read(_LOCAL.size))
    begin = part.header_offset + _LOCAL.size + sum(lengths)

    def check(judge: Judge) -> verify_archive.Outcome:
        inner = verify_archive.Task(
            task.path, task.file, begin, part.file_size, task.workers, judge
        )
        return verify_archive.verify(inner)

    outcome, inner = _within(bundle.RECORDS, held, check)
    _check_same(bundle.RECORDS, held, outcome.stated)
    held.judge.report.counts |= inner.counts
    _check_tables(held, part)
    return list(outcome.run.files)


def _check_tables(held: _Bundle, part: zipfile.ZipInfo) -> None:
    """Compare what is shown beside the record with it."""
    report, listed = held.judge.report, held.manifest["files"]
    names = [name for name in tables.NAMES if name in listed]
    told = ", ".join(names)
    with ExitStack() as stack:
        record = stack.enter_context(held.zip.open(part))
        shown = {name: stack.enter_context(held.zip.open(name)) for name in names}
        if names and tables.compare(held.stated.entity_uuid, record, shown):
            report.checked.append(
                f"{told}: made again from the entries, but for updated_at and invitation"
            )
            beside = "what else is shown"
        else:
            beside = "what is shown"
    report.not_checked.append(
        f"that {beside} beside the record follows from it, such as the tables for spreadsheets:"
        " that it was put into this file together is what the seal states"
    )


def _check_chat(held: _Bundle) -> list[entries.File]:
    """Verify the record of a chat, and the transcripts made of it."""
    manifest, report = held.manifest, held.judge.report
    part = _records_part(held)

    def check(judge: Judge) -> verify_chat.Outcome:
        with held.zip.open(part) as file:
            return verify_chat.verify(_pieces(file, part.file_size), judge)  # type: ignore[arg-type]  # it reads as files do

    outcome, inner = _within(bundle.RECORDS, held, check)
    _check_same(bundle.RECORDS, held, outcome.stated)
    window = outcome.window
    named = (manifest["chat_uuid"], manifest["first_index"], manifest["last_index"])
    if named != (window.chat_uuid, window.first, window.last):
        fail(f"{bundle.RECORDS} is of another chat or window than the {bundle.MANIFEST} says")
    report.counts |= inner.counts
    for name in held.manifest["files"]:
        if _transcript(name):
            _check_transcript(name, held, window)
        elif not (name.startswith(_FOLDER) or name in {bundle.RECORDS, _README}):
            fail(f"{name[:80]} does not belong into the export of a chat")
    return list(outcome.files)


def _check_transcript(name: str, held: _Bundle, window: verify_chat.Window) -> None:
    """Verify a transcript in the export of a chat: of the same chat, within the same window."""

    def check(judge: Judge) -> verify_pdf.Outcome:
        with held.zip.open(name) as file:
            return verify_pdf.verify(file.read(verify_pdf.SIZE_LIMIT + 1), judge)

    outcome, _ = _within(name, held, check)
    _check_same(name, held, outcome.record.stated)
    own = outcome.record.window
    inside = window.first <= own.first and own.last <= window.last
    if own.chat_uuid != window.chat_uuid or not inside:
        fail(f"{name} is the transcript of another chat or window")


_RECORDS: Final[dict[str, Callable[[_Bundle], list[entries.File]]]] = {
    bundle.ENTITIES: _check_archive,
    bundle.CHAT: _check_chat,
}
"""By kind of export: what checks its record and returns the files its messages carry."""


# -- the files of messages --------------------------------------------------------------------


def _check_files(held: _Bundle, named: Iterable[entries.File]) -> None:
    """Match the files with the messages: each is one that a message carries, and none lacks."""
    chat = held.manifest.get("chat_uuid")
    wanted = _wanted(held, named, chat)
    count = 0
    for name, facts in held.manifest["files"].items():
        if not name.startswith(_FOLDER):
            continue
        match = _attachment(name)
        if match is None or (match[1] is None) != (chat is not None):
            fail(f"{name[:80]} is not named as a file of a message is")
        here = (match[1] or str(chat), int(match[2]), facts["size"], facts["sha256"])
        if not wanted[here]:
            fail(f"{name[:80]} is not a file that this message carries")
        wanted[here] -= 1
        count += 1
    for chat_uuid, seq, _, _ in +wanted:
        place = f"message {seq} of chat {chat_uuid}"
        fail(f"a file of {place} is neither there nor named as missing")
    _tell_files(held, count)


def _wanted(
    held: _Bundle, named: Iterable[entries.File], chat: object
) -> Counter[tuple[str, int, int, str]]:
    """Count the files that should be there, by chat, message, size and SHA-256."""
    lacking = Counter(_missing_of(one, chat) for one in held.manifest.get("missing", []))
    wanted: Counter[tuple[str, int, int, str]] = Counter()
    for file in named:
        place = (file.chat_uuid, file.seq, file.attachment_uuid)
        if lacking[place]:
            lacking[place] -= 1
        else:
            wanted[file.chat_uuid, file.seq, file.size, file.sha256] += 1
    for _, _, uuid in +lacking:
        fail(f"{bundle.MANIFEST}: it misses {uuid:.80}, which no message carries")
    return wanted


def _missing_of(one: object, chat: object) -> tuple[str, int, str]:
    """Return chat, message and attachment of a file that the manifest names as missing."""
    facts = one if type(one) is dict else {}
    uuid, seq = facts.get("attachment_uuid"), facts.get("seq")
    where = facts.get("chat_uuid", chat)
    if type(uuid) is not str or type(seq) is not int or type(where) is not str:
        fail(f"{bundle.MANIFEST}: what it names as missing is not a file of a message")
    return where, seq, uuid


def _tell_files(held: _Bundle, count: int) -> None:
    report, missing = held.judge.report, len(held.manifest.get("missing", []))
    report.counts |= {"attachments": count, "attachments_missing": missing}
    report.checked.append(
        f"the attachments: {count}, each is what its message says, and none lacks but those named"
        " as missing"
    )
    if missing:
        report.not_checked.append(
            f"{missing} attachments: they were missing when the file was made, and are named in"
            f" its {bundle.MANIFEST}"
        )
