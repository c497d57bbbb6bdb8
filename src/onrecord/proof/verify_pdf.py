"""Verification of a transcript: a PDF, its seal, and the record of a chat embedded in it.

The document ends in ``%%EOF`` and a newline, which some readers look for near the end. Then follow
the lines of the signed note over the seal text (kind ``transcript``) of all the bytes before, each
as a comment: ``%``, the line, a newline. The record says which keys may have signed.
"""

import re
from dataclasses import dataclass
from typing import Final

from onrecord.proof import pdf, seal, verify_chat
from onrecord.proof.note import NOTE_LIMIT
from onrecord.proof.report import Report, WrongError, fail
from onrecord.proof.statements import Judge

KIND: Final = "transcript"
"""The seal's kind."""
SIZE_LIMIT: Final = 2**30
"""Larger documents are not read: 1 GiB. A transcript of 20,000 messages has some ten MiB."""
RECORD: Final = b"(records.jsonl)"
"""What the embedded file is called, as a PDF spells it."""

_END: Final = b"\n%%EOF\n"
_is_comment = re.compile(rb"(?:%[^\r\n]*\n)+").fullmatch


@dataclass(frozen=True, slots=True)
class Outcome:
    """The record in the document."""

    record: verify_chat.Outcome


def seal_lines(note: str) -> bytes:
    """Return the end of a sealed document: the lines of the note over all before, as comments."""
    return b"".join(b"%" + line.encode() + b"\n" for line in note.removesuffix("\n").split("\n"))


def verify(data: bytes, judge: Judge) -> Outcome:
    """Check everything about a transcript; what is wrong first ends it."""
    report = judge.report
    if len(data) > SIZE_LIMIT:
        fail(f"the document is larger than {SIZE_LIMIT} bytes")
    text, size = _note_of(data)
    body = data[:size]
    try:
        name, file = pdf.embedded_file(body)
    except ValueError as error:
        fail(f"the PDF: {error}")
    if name != RECORD:
        fail(f"the PDF: its embedded file is not {RECORD.decode()}")
    inner = Report()
    opened = _opened(file)
    sealed = judge.open_seal(text, opened.stated, KIND, "the comments at the end of the PDF")
    sealer = seal.Sealer()
    sealer.update(body)
    if (sealer.size, sealer.digest()) != (sealed.size, sealed.digest):
        fail("size or SHA-256 of the document are not what the seal states: bytes were changed")
    report.origin, report.as_of = opened.stated.origin, opened.stated.as_of
    judge.open_checkpoint(opened.stated, "the embedded record: line 1")
    judge.tell(sealed, opened.stated)
    report.checked.append("the bytes: size and SHA-256 are what the seal states")
    record = _check(opened, Judge(judge.keys, inner))
    report.take("the embedded record", inner)
    report.counts |= inner.counts
    report.not_checked.append(
        "that the pages show what the record says: that rests on the seal; the pages were not"
        " compared with the record"
    )
    return Outcome(record)


def _note_of(data: bytes) -> tuple[str, int]:
    """Return the note in the comments at the end, and how many bytes precede it."""
    # A character of the note has four bytes at the most; the comment signs are few.
    at = data.rfind(_END, max(0, len(data) - 5 * NOTE_LIMIT))
    size = at + len(_END)
    if at < 0 or size == len(data):
        fail("the PDF ends without a seal: it is cut off, or was never sealed")
    lines = data[size:]
    if not _is_comment(lines):
        fail("what follows the end of the PDF is not a seal in comment lines")
    try:
        note = lines.decode()
    except UnicodeDecodeError:
        fail("the seal (the comments at the end of the PDF) is not in UTF-8")
    return "".join(line[1:] + "\n" for line in note.split("\n")[:-1]), size


def _opened(file: pdf.Embedded) -> verify_chat.Opened:
    try:
        return verify_chat.Opened(file.pieces())
    except (WrongError, ValueError) as wrong:
        fail(f"the embedded record: {wrong}")


def _check(opened: verify_chat.Opened, judge: Judge) -> verify_chat.Outcome:
    try:
        return verify_chat.check(opened, judge)
    except (WrongError, ValueError) as wrong:
        fail(f"the embedded record: {wrong}")
