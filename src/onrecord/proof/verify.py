"""Verification of a sealed file: a path in, a report out.

Needs no server, no network and no database. A file is judged by what it says and by the keys the
caller trusts, in this order, and the first thing that is wrong is named:

1. its shape, and the signatures of seal and checkpoint: by keys that the file names, and with
   keys given, by one of those;
2. what seal, checkpoint and header state of each other;
3. line by line, every entry and every part (``entries``);
4. over all of them: their number, their root, and the size and digest which the seal states.

A record of a chat is read once from its beginning, so that there the seal comes last.

Bytes that no rule explains are caught by the last step, for the seal covers every byte before it
and the last line is compared with its only possible spelling.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from onrecord.proof import verify_archive, verify_chat, verify_pdf, verify_zip
from onrecord.proof.note import VerifierKey
from onrecord.proof.report import Report, WrongError, fail
from onrecord.proof.statements import Judge

__all__ = ["Report", "verify"]

PARALLEL_BYTES: Final = 16 * 2**20
"""Files from this size on are shared out to several processes, which take a moment to start."""

_WORKER_LIMIT: Final = 8
_PROBLEM_LIMIT: Final = 400


@dataclass(frozen=True, slots=True)
class _File:
    """The file being verified."""

    path: Path
    file: BinaryIO
    size: int
    workers: int
    judge: Judge


def verify(
    path: str | os.PathLike[str], keys: Sequence[VerifierKey] = (), *, workers: int | None = None
) -> Report:
    """Verify the file at ``path``, and with ``keys`` that one of them signed it.

    ``workers`` is the number of processes to share a large file among: None for one a processor,
    8 at most; 1 to stay in this one. Never raises for what the file is or holds: that is the
    report's problem.
    """
    report = Report()
    try:
        _verify(Path(path), Judge(keys, report), workers)
    except WrongError as wrong:
        report.problem = _in_one_line(str(wrong))
    except OSError as error:
        report.problem = f"the file cannot be read: {error.strerror or error}"
    except BrokenExecutor:
        report.problem = "not checked to the end: a process that shared the work was killed"
    report.ok = report.problem is None
    return report


def _in_one_line(text: str) -> str:
    """Return a text as it may be shown: it can quote names that somebody chose to deceive."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return shown if len(shown) <= _PROBLEM_LIMIT else f"{shown[:_PROBLEM_LIMIT]}…"


def _verify(path: Path, judge: Judge, workers: int | None) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device might never end
        fail("the path is not that of a file")
    if workers is None:
        shared = status.st_size >= PARALLEL_BYTES
        workers = min(os.cpu_count() or 1, _WORKER_LIMIT) if shared else 1
    with path.open("rb") as file:
        judge.report.kind = kind = _kind_of(file.read(64))
        file.seek(0)
        _VERIFIERS[kind](_File(path, file, status.st_size, workers, judge))


def _kind_of(start: bytes) -> str:
    """Return the kind of file by its first bytes."""
    if not start:
        fail("the file is empty")
    kinds = (kind for kind, begins in _MAGIC.items() if begins(start))
    return next(kinds, None) or fail("line 1: this is no file of OnRecord that can be verified")


def _verify_archive(task: _File) -> None:
    inner = verify_archive.Task(task.path, task.file, 0, task.size, task.workers, task.judge)
    verify_archive.verify(inner)


def _verify_chat(task: _File) -> None:
    verify_chat.verify(_pieces(task.file), task.judge)
    task.judge.report.counts["bytes"] = task.size


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(verify_archive.BLOCK_BYTES):
        yield piece


def _verify_pdf(task: _File) -> None:
    verify_pdf.verify(task.file.read(verify_pdf.SIZE_LIMIT + 1), task.judge)
    task.judge.report.counts["bytes"] = task.size


def _verify_zip(task: _File) -> None:
    verify_zip.verify(verify_zip.Task(task.path, task.file, task.size, task.workers, task.judge))


_MAGIC: Final[dict[str, Callable[[bytes], object]]] = {
    "archive": re.compile(rb'\{"archive":"onrecord-archive/').match,
    "chat-record": re.compile(rb'\{"as_of":[0-9]{1,16},"chat":"onrecord-chat/').match,
    "export": re.compile(rb"PK\x03\x04").match,
    "transcript": re.compile(rb"%PDF-").match,
}
"""Kinds of file by their first bytes; an export says itself what kind it is."""

_VERIFIERS: Final[dict[str, Callable[[_File], None]]] = {
    "archive": _verify_archive,
    "chat-record": _verify_chat,
    "export": _verify_zip,
    "transcript": _verify_pdf,
}
