"""Verification of a sealed file: a path in, a report out.

Needs no server, no network and no database. A file is judged by what it says and by the keys the
caller trusts, in this order, and the first thing that is wrong is named:

1. its shape, and the signatures of seal and checkpoint: by keys that the file names, and with
   keys given, by one of those;
2. what seal, checkpoint and header state of each other;
3. line by line, every entry and every part (``entries``);
4. over all of them: their number, their root, and the size and digest which the seal states.

Bytes that no rule explains are caught by the last step, for the seal covers every byte before it
and the last line is compared with its only possible spelling. Files are read in one pass, in
blocks: memory does not grow with the number of entries, and no line may reach 1 MiB.
"""

import os
import shutil
import stat
import struct
import tempfile
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from onrecord.proof import archive, bundle, canonical, checkpoint, entries, note, seal
from onrecord.proof.note import VerifierKey

BLOCK_BYTES: Final = 4 * 2**20
"""Read and checked at a time; some four thousand entries."""

PARALLEL_BYTES: Final = 16 * 2**20
"""Files from this size on are shared out to several processes, which take a moment to start."""

KEY_LIMIT: Final = 64
"""Most keys in a header: every rotation since the first start adds one."""

_WORKER_LIMIT: Final = 8
_TAIL: Final = "the end of the file rests on the sealed statement of the number of entries"
_WITNESS: Final = (
    "there is no independent witness, and whoever holds the signing key and the database could "
    "show two histories; compare the checkpoint with one kept out of the operator's reach"
)


@dataclass(slots=True)
class Report:
    """What was found. ``to_json`` is what ``onrecord verify --json`` prints.

    ``trusted``: True when each signed statement has a signature by a key given to ``verify``,
    False when one has none, None when no keys were given or it did not come to that.
    """

    kind: str | None = None
    ok: bool = False
    problem: str | None = None
    """The first thing that is wrong, in one line; None if nothing is."""
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    origin: str | None = None
    as_of: int | None = None
    signed_by: list[str] = field(default_factory=list)
    """``<name>+<key hash>`` of everyone whose signature was verified."""
    trusted: bool | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain values."""
        return asdict(self)


class _WrongError(Exception):
    """The file is not what it says; the message is the report's problem."""


def _fail(message: str) -> NoReturn:
    raise _WrongError(message)


@dataclass(frozen=True, slots=True)
class _Task:
    """One file being verified."""

    path: Path
    file: BinaryIO
    size: int
    keys: Sequence[VerifierKey]
    workers: int
    report: Report


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
        _verify(Path(path), keys, workers, report)
    except _WrongError as wrong:
        report.problem = str(wrong)
    except OSError as error:
        report.problem = f"the file cannot be read: {error.strerror or error}"
    except BrokenExecutor:
        report.problem = "not checked to the end: a process that shared the work was killed"
    report.ok = report.problem is None
    return report


def _verify(path: Path, keys: Sequence[VerifierKey], workers: int | None, report: Report) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device might never end
        _fail("the path is not that of a file")
    if workers is None:
        shared = status.st_size >= PARALLEL_BYTES
        workers = min(os.cpu_count() or 1, _WORKER_LIMIT) if shared else 1
    with path.open("rb") as file:
        report.kind = _kind_of(file.read(32))
        file.seek(0)
        _VERIFIERS[report.kind](_Task(path, file, status.st_size, keys, workers, report))


def _kind_of(start: bytes) -> str:
    """Return the kind of file by its first bytes."""
    if not start:
        _fail("the file is empty")
    for kind, magic in _MAGIC.items():
        if start.startswith(magic):
            return kind
    _fail("line 1: this is no file of OnRecord that can be verified")


# -- the archive of an organisation -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Header:
    """The first line of an archive, its forms checked."""

    line: bytes
    as_of: int
    checkpoint: str
    entity_uuid: str
    keys: list[VerifierKey]
    origin: str


def _verify_archive(task: _Task) -> None:
    report = task.report
    header = _read_header(task.file)
    report.origin, report.as_of = header.origin, header.as_of
    sealed, end = _read_seal(task, header)
    stated = _open_checkpoint(task, header)
    report.checked += [
        f"the seal: signed, for this kind, origin and position, over {sealed.size} bytes",
        f"the checkpoint: signed, for this origin and exactly {stated.size} entries",
    ]
    _report_signers(report)
    sealer = seal.Sealer()
    run = _read_entries(task, header, end, sealer)
    _check_sums(task, run, sealed, stated, sealer)


def _read_header(file: BinaryIO) -> _Header:
    line = file.readline(archive.LINE_LIMIT)
    if not line.endswith(b"\n"):
        _fail("line 1: the line is longer than 1 MiB, or the file is cut off within it")
    try:
        return _parse_header(line)
    except ValueError as error:
        _fail(f"line 1: the header: {error}")


def _parse_header(line: bytes) -> _Header:
    """Return the header that a line spells; raises ValueError with what is wrong in it."""
    value = canonical.decode(line[:-1])
    names = {"archive", "as_of", "checkpoint", "entity_uuid", "keys", "origin"}
    if type(value) is not dict or value.keys() != names:
        raise ValueError(f"it has not exactly the members {', '.join(sorted(names))}")
    if value["archive"] != archive.VERSION:
        raise ValueError(
            f"the format is {value['archive']!r:.60}; this verifier knows {archive.VERSION}"
        )
    as_of, uuid, origin = value["as_of"], value["entity_uuid"], value["origin"]
    if type(as_of) is not int or as_of < 0:
        raise ValueError("as_of is not a position")
    if not entries.is_uuid(uuid):
        raise ValueError("entity_uuid is not a UUID in lower case")
    if type(origin) is not str or not origin.endswith(f"/{uuid}"):
        raise ValueError("the origin is not that of the organisation")
    if type(value["checkpoint"]) is not str:
        raise ValueError("the checkpoint is not a note")
    return _Header(line, as_of, value["checkpoint"], uuid, _parse_keys(value["keys"]), origin)


def _parse_keys(vkeys: object) -> list[VerifierKey]:
    if type(vkeys) is not list or not 0 < len(vkeys) <= KEY_LIMIT:
        raise ValueError(f"it does not name from 1 to {KEY_LIMIT} keys")
    keys = [VerifierKey.parse(vkey if type(vkey) is str else "") for vkey in vkeys]
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("it names a key twice")
    return keys


def _read_seal(task: _Task, header: _Header) -> tuple[seal.Seal, int]:
    """Return the seal, its signature checked, and the offset at which its line begins."""
    line, offset = _last_line(task, len(header.line))
    try:
        value = canonical.decode(line[:-1])
    except ValueError as error:
        _fail(f"the last line should be the seal: {error}")
    text = value.get("seal") if type(value) is dict and len(value) == 1 else None
    if type(text) is not str:
        _fail("the last line is not a seal: the file is cut off, or was never sealed")
    try:
        sealed = seal.parse(_open_note(task, "the seal", text, header.keys))
    except ValueError as error:
        _fail(f"the seal (last line): {error}")
    due = (archive.KIND, header.origin, header.as_of)
    if (sealed.kind, sealed.origin, sealed.as_of) != due:
        found = f"{sealed.kind} of {sealed.origin} as of {sealed.as_of}"
        _fail(f"the seal (last line) is that of another file: {found}")
    return sealed, offset


def _last_line(task: _Task, floor: int) -> tuple[bytes, int]:
    """Return the last line, newline included, and its offset; the header ends at ``floor``."""
    begin = max(floor, task.size - archive.LINE_LIMIT)
    task.file.seek(begin)
    tail = task.file.read(archive.LINE_LIMIT)
    if not tail:
        _fail("the file ends after its header: it has no seal")
    if not tail.endswith(b"\n"):
        _fail("the file is cut off: its last line does not end")
    cut = tail.rfind(b"\n", 0, -1) + 1
    if cut == 0 and begin > floor:
        _fail("the last line is longer than 1 MiB")
    return tail[cut:], begin + cut


def _open_checkpoint(task: _Task, header: _Header) -> checkpoint.Checkpoint:
    try:
        stated = checkpoint.parse(
            _open_note(task, "the checkpoint", header.checkpoint, header.keys)
        )
    except ValueError as error:
        _fail(f"line 1: the checkpoint: {error}")
    if stated.origin != header.origin:
        _fail(f"line 1: the checkpoint is of another origin, {stated.origin}")
    if stated.size != header.as_of:
        _fail(f"line 1: the checkpoint is of size {stated.size}, not as of {header.as_of}")
    return stated


def _open_note(task: _Task, what: str, text: str, known: Sequence[VerifierKey]) -> str:
    """Return the text of a note, report its signers, and with keys given refuse all others."""
    opened = note.open_note(text, known)
    signers = [key.id for key in opened.signers]
    task.report.signed_by += [name for name in signers if name not in task.report.signed_by]
    if task.keys:
        task.report.trusted = any(key in task.keys for key in opened.signers)
        if not task.report.trusted:
            _fail(f"{what} is signed by {' and '.join(signers)}, which is not among the keys given")
    return opened.text


def _report_signers(report: Report) -> None:
    signers = " and ".join(report.signed_by)
    if report.trusted:
        report.checked.append(f"the signer: {signers}, compared with the keys given")
    else:
        sentence = f"signed by {signers}; not compared with a key you trust (--key)"
        report.not_checked.append(sentence)


def _read_entries(task: _Task, header: _Header, end: int, sealer: seal.Sealer) -> entries.Run:
    """Check every line between header and seal; the first wrong one ends it."""
    sealer.update(header.line)
    run = entries.Run()
    blocks = _blocks(task, header, end, sealer)
    with closing(_examine_all(blocks, task.workers)) as stretches:
        for stretch in stretches:
            problem = run.join(stretch)
            if problem:
                _fail_at(problem)
    problem = run.unexplained_erasure()
    if problem:
        _fail_at(problem)
    return run


def _fail_at(problem: entries.Problem) -> NoReturn:
    """Name the line, which in an archive follows from the position: the header is line 1."""
    _fail(f"line {problem.position + 1} (position {problem.position}): {problem.text}")


@dataclass(frozen=True, slots=True)
class _Block:
    """Some whole lines of the file: where they lie, and the position of the first."""

    path: Path
    offset: int
    size: int
    position: int
    entity_uuid: str


def _blocks(
    task: _Task, header: _Header, end: int, sealer: seal.Sealer
) -> Iterator[tuple[_Block, bytes]]:
    """Yield the file block by block, from its header to ``end``, feeding the sealer."""
    offset, position = len(header.line), 1
    task.file.seek(offset)
    while offset < end:
        data = task.file.read(min(BLOCK_BYTES, end - offset))
        if not data.endswith(b"\n"):
            data += task.file.readline(archive.LINE_LIMIT)
        if not data or offset + len(data) > end:
            _fail("the file was changed while it was read")
        sealer.update(data)
        yield _Block(task.path, offset, len(data), position, header.entity_uuid), data
        offset += len(data)
        position += data.count(b"\n")


def _examine_all(
    blocks: Iterator[tuple[_Block, bytes]], workers: int
) -> Generator[entries.Stretch]:
    """Yield the sum of every block, in order, the work shared among so many processes."""
    if workers <= 1:
        for block, data in blocks:
            yield entries.examine(data, block.position, block.entity_uuid)
        return
    waiting: deque[Future[entries.Stretch]] = deque()
    pool = ProcessPoolExecutor(workers)
    try:
        for block, _ in blocks:
            waiting.append(pool.submit(_examine_block, block))
            if len(waiting) > 2 * workers:  # enough to keep all busy; more would fill memory
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _examine_block(block: _Block) -> entries.Stretch:
    """Examine a block in another process, which reads it anew: cheaper than sending it there."""
    with block.path.open("rb") as file:
        file.seek(block.offset)
        return entries.examine(file.read(block.size), block.position, block.entity_uuid)


def _check_sums(
    task: _Task,
    run: entries.Run,
    sealed: seal.Seal,
    stated: checkpoint.Checkpoint,
    sealer: seal.Sealer,
) -> None:
    """Check what holds of the file as a whole, and say what that does and does not show."""
    size = run.frontier.size
    if size != stated.size:
        _fail(f"the file holds {size} entries, its checkpoint says {stated.size}")
    if run.frontier.root() != stated.root:
        _fail("the root of the entries is not the checkpoint's: an entry was changed")
    if (sealer.size, sealer.digest()) != (sealed.size, sealed.digest):
        _fail("size or SHA-256 of the lines are not what the seal states: bytes were changed")
    _sum_up(task, run)


def _sum_up(task: _Task, run: entries.Run) -> None:
    report, size = task.report, run.frontier.size
    report.counts = {
        "bytes": task.size,
        "entries": size,
        "chats": len(run.chats),
        "messages": run.messages,
        "parts": run.parts,
        "erased_parts": run.erased,
        "erased_parts_explained": run.explained,
    }
    report.checked += [
        f"the entries: positions 1 to {size} without a gap, times never decreasing",
        f"the chats: {len(run.chats)}, their indexes, links and message numbers without a gap",
        f"the parts: {run.parts - run.erased} of {run.parts} hash to what their entries say",
        f"erased parts: {run.erased}, of which explained: {run.explained}",
        "the root: recomputed from every entry, it is the checkpoint's",
        "the bytes: size and SHA-256 are what the seal states",
    ]
    report.not_checked += [
        f"that nothing followed position {size}: {_TAIL}",
        f"that others were shown the same history: {_WITNESS}",
        "that what the entries say is true; their times are those of the server's clock",
    ]


# -- the ZIP of an export ---------------------------------------------------------------------

_ZIP_FAULTS: Final = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)
"""What Python's library says of a ZIP that is none, is damaged or is of another making."""


def _verify_bundle(task: _Task) -> None:
    report = task.report
    try:
        comment = bundle.comment_of(task.file, task.size)
        with zipfile.ZipFile(task.file) as parts:
            stated = _read_manifest(parts)
            keys = _parse_keys(stated["keys"])
            _check_bundle(task, parts, stated, keys, comment)
    except _ZIP_FAULTS as error:
        _fail(f"the ZIP: {error}")
    report.checked.append("the bytes: size and SHA-256 are what the seal states")
    report.not_checked.append(
        "that the members, groups, chats and messages shown beside the record follow from it:"
        " that they were put into this file together is what the seal states"
    )


def _read_manifest(parts: zipfile.ZipFile) -> dict[str, Any]:
    """Return what the manifest says; it is the last part."""
    listed = parts.infolist()
    last = listed[-1] if listed else None
    if last is None or last.filename != bundle.MANIFEST or last.file_size > bundle.MANIFEST_LIMIT:
        _fail(f"the last part is not {bundle.MANIFEST}")
    try:
        return bundle.parse_manifest(parts.read(last))
    except ValueError as error:
        _fail(f"{bundle.MANIFEST}: {error}")


def _check_bundle(
    task: _Task,
    parts: zipfile.ZipFile,
    stated: dict[str, Any],
    keys: list[VerifierKey],
    comment: bytes,
) -> None:
    report, origin, as_of = task.report, stated["origin"], stated["as_of"]
    report.kind, report.origin, report.as_of = stated["kind"], origin, as_of
    header = _Header(b"", as_of, stated["checkpoint"], stated["entity_uuid"], keys, origin)
    try:
        sealed = seal.parse(_open_note(task, "the seal", comment.decode(), keys))
    except ValueError as error:
        _fail(f"the seal (the comment of the ZIP): {error}")
    if (sealed.kind, sealed.origin, sealed.as_of) != (stated["kind"], origin, as_of):
        found = f"{sealed.kind} of {sealed.origin} as of {sealed.as_of}"
        _fail(f"the seal (the comment of the ZIP) is that of another file: {found}")
    _open_checkpoint(task, header)
    report.checked += [
        f"the seal: signed, for this kind, origin and position, over {sealed.size} bytes",
        f"the checkpoint: signed, for this origin and exactly {as_of} entries",
    ]
    _report_signers(report)
    _check_parts(parts, stated["files"], report)
    sealer = seal.Sealer()
    task.file.seek(0)
    for size in _pieces(task.size - len(comment)):
        sealer.update(task.file.read(size))
    if (sealer.size, sealer.digest()) != (sealed.size, sealed.digest):
        _fail("size or SHA-256 of the file are not what the seal states: bytes were changed")
    _check_records(task, parts, header)


def _pieces(size: int) -> Iterator[int]:
    """Yield the sizes of the pieces in which so many bytes are read."""
    for begin in range(0, size, BLOCK_BYTES):
        yield min(BLOCK_BYTES, size - begin)


def _check_parts(parts: zipfile.ZipFile, files: dict[str, Any], report: Report) -> None:
    """Hold every part against the manifest: none is missing, strange, doubled or changed."""
    listed = [one.filename for one in parts.infolist()][:-1]
    for name in listed:
        if name not in files:
            _fail(f"{name[:80]} is in the file, but not in its {bundle.MANIFEST}")
    for name in files:
        if listed.count(name) != 1:
            _fail(f"{name[:80]} is not in the file exactly once")
    for one in parts.infolist()[:-1]:
        if one.compress_type != zipfile.ZIP_STORED:
            _fail(f"{one.filename} is compressed; parts of an export are stored")
        found = seal.Sealer()
        with parts.open(one) as part:
            try:
                while data := part.read(BLOCK_BYTES):
                    found.update(data)
            except zipfile.BadZipFile as error:
                _fail(f"{one.filename} was changed: {error}")
        due = files[one.filename]
        if (found.size, found.digest().hex()) != (due["size"], due["sha256"]):
            _fail(f"{one.filename} is not what the {bundle.MANIFEST} states")
    report.counts["files"] = len(files)
    report.checked.append(
        f"the parts: {len(files)}, each with the size and SHA-256 of the manifest"
    )


def _check_records(task: _Task, parts: zipfile.ZipFile, header: _Header) -> None:
    """Verify the record in the file as an archive of its own, for the same position."""
    report = Report()
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as copy:
        with parts.open(bundle.RECORDS) as part:
            shutil.copyfileobj(part, copy, BLOCK_BYTES)
        copy.flush()
        path = Path(copy.name)
        with path.open("rb") as file:
            inner = _Task(path, file, path.stat().st_size, task.keys, task.workers, report)
            try:
                _verify_archive(inner)
                own = _read_header(_rewound(file))
            except _WrongError as wrong:
                _fail(f"{bundle.RECORDS}: {wrong}")
    same = (own.origin, own.as_of, own.checkpoint, own.entity_uuid)
    if same != (header.origin, header.as_of, header.checkpoint, header.entity_uuid):
        _fail(f"{bundle.RECORDS} is that of another export: its header and the manifest differ")
    task.report.checked += [f"{bundle.RECORDS}: {line}" for line in report.checked]
    task.report.not_checked += [
        line for line in report.not_checked if line not in task.report.not_checked
    ]
    task.report.counts |= {**report.counts, "bytes": task.size}


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


_MAGIC: Final = {"archive": b'{"archive":"onrecord-archive/', "export": bundle.MAGIC}
"""Kinds of file by their first bytes; a PDF would have a row here and one below."""

_VERIFIERS: Final[dict[str, Callable[[_Task], None]]] = {
    "archive": _verify_archive,
    "export": _verify_bundle,
}
