"""Verification of the sealed archive of an organisation (``archive``).

Files are read in one pass, in blocks: memory does not grow with the number of entries, and no
line may reach 1 MiB. Of a large file the blocks are shared out to several processes.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from onrecord.proof import archive, canonical, entries, seal, statements
from onrecord.proof.checkpoint import Checkpoint
from onrecord.proof.report import TRUTH, WITNESS, fail
from onrecord.proof.statements import Judge, Stated

BLOCK_BYTES: Final = 4 * 2**20
"""Read and checked at a time; some four thousand entries."""

_TAIL: Final = "the end of the file rests on the sealed statement of the number of entries"
_MEMBERS: Final = {"archive", "as_of", "checkpoint", "entity_uuid", "keys", "origin"}


@dataclass(frozen=True, slots=True)
class Task:
    """An archive being verified: ``size`` bytes of a file, from ``begin`` on."""

    path: Path
    file: BinaryIO
    begin: int
    size: int
    workers: int
    judge: Judge

    @property
    def end(self) -> int:
        """Where in the file the archive ends."""
        return self.begin + self.size


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the archive states, and what its entries add up to."""

    stated: Stated
    run: entries.Run


def verify(task: Task) -> Outcome:
    """Check everything about an archive; what is wrong first ends it."""
    judge, report = task.judge, task.judge.report
    line, stated = _read_header(task)
    report.origin, report.as_of = stated.origin, stated.as_of
    sealed, end = _read_seal(task, len(line), stated)
    root = judge.open_checkpoint(stated, "line 1")
    judge.tell(sealed, stated)
    sealer = seal.Sealer()
    sealer.update(line)
    run = _read_entries(task, len(line), end, stated, sealer)
    _check_sums(task, run, sealed, root, sealer)
    return Outcome(stated, run)


def _read_header(task: Task) -> tuple[bytes, Stated]:
    task.file.seek(task.begin)
    line = task.file.readline(min(archive.LINE_LIMIT, task.size))
    if not line.endswith(b"\n"):
        fail("line 1: the line is longer than 1 MiB, or the file is cut off within it")
    try:
        return line, _parse_header(line)
    except ValueError as error:
        fail(f"line 1: the header: {error}")


def _parse_header(line: bytes) -> Stated:
    """Return what the header states; raises ValueError with what is wrong in it."""
    value = canonical.decode(line[:-1])
    if type(value) is not dict or value.keys() != _MEMBERS:
        raise ValueError(f"it has not exactly the members {', '.join(sorted(_MEMBERS))}")
    if value["archive"] != archive.VERSION:
        raise ValueError(
            f"the format is {value['archive']!r:.60}; this verifier knows {archive.VERSION}"
        )
    return statements.parse_stated(value)


def _read_seal(task: Task, header: int, stated: Stated) -> tuple[seal.Seal, int]:
    """Return the seal, its signature checked, and the offset at which its line begins."""
    line, offset = _last_line(task, task.begin + header)
    try:
        value = canonical.decode(line[:-1])
    except ValueError as error:
        fail(f"the last line should be the seal: {error}")
    text = value.get("seal") if type(value) is dict and len(value) == 1 else None
    if type(text) is not str:
        fail("the last line is not a seal: the file is cut off, or was never sealed")
    return task.judge.open_seal(text, stated, archive.KIND, "last line"), offset


def _last_line(task: Task, floor: int) -> tuple[bytes, int]:
    """Return the last line, newline included, and its offset; the header ends at ``floor``."""
    begin = max(floor, task.end - archive.LINE_LIMIT)
    task.file.seek(begin)
    tail = task.file.read(task.end - begin)
    if not tail:
        fail("the file ends after its header: it has no seal")
    if not tail.endswith(b"\n"):
        fail("the file is cut off: its last line does not end")
    cut = tail.rfind(b"\n", 0, -1) + 1
    if cut == 0 and begin > floor:
        fail("the last line is longer than 1 MiB")
    return tail[cut:], begin + cut


def _read_entries(
    task: Task, header: int, end: int, stated: Stated, sealer: seal.Sealer
) -> entries.Run:
    """Check every line between header and seal; the first wrong one ends it."""
    run = entries.Run()
    blocks = _blocks(task, task.begin + header, end, stated.entity_uuid, sealer)
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
    fail(f"line {problem.position + 1} (position {problem.position}): {problem.text}")


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of the file: where they lie, and the position of the first."""

    path: Path
    offset: int
    size: int
    position: int
    entity_uuid: str


def _blocks(
    task: Task, begin: int, end: int, entity_uuid: str, sealer: seal.Sealer
) -> Iterator[tuple[Block, bytes]]:
    """Yield the file block by block, from ``begin`` to ``end``, feeding the sealer."""
    offset, position = begin, 1
    task.file.seek(offset)
    while offset < end:
        data = task.file.read(min(BLOCK_BYTES, end - offset))
        if not data.endswith(b"\n"):
            data += task.file.readline(archive.LINE_LIMIT)
        if not data or offset + len(data) > end:
            fail("the file was changed while it was read")
        sealer.update(data)
        yield Block(task.path, offset, len(data), position, entity_uuid), data
        offset += len(data)
        position += data.count(b"\n")


def _examine_all(blocks: Iterator[tuple[Block, bytes]], workers: int) -> Generator[entries.Stretch]:
    """Yield the sum of every block, in order, the work shared among so many processes."""
    if workers <= 1:
        for block, data in blocks:
            yield entries.examine(data, block.position, block.entity_uuid)
        return
    waiting: deque[Future[entries.Stretch]] = deque()
    pool = ProcessPoolExecutor(workers)
    try:
        for block, _ in blocks:
            waiting.append(pool.submit(examine_block, block))
            if len(waiting) > 2 * workers:  # enough to keep all busy; more would fill memory
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def examine_block(block: Block) -> entries.Stretch:
    """Examine a block in another process, which reads it anew: cheaper than sending it there."""
    with block.path.open("rb") as file:
        file.seek(block.offset)
        return entries.examine(file.read(block.size), block.position, block.entity_uuid)


def _check_sums(
    task: Task, run: entries.Run, sealed: seal.Seal, stated: Checkpoint, sealer: seal.Sealer
) -> None:
    """Check what holds of the file as a whole, and say what that does and does not show."""
    size = run.frontier.size
    if size != stated.size:
        fail(f"the file holds {size} entries, its checkpoint says {stated.size}")
    if run.frontier.root() != stated.root:
        fail("the root of the entries is not the checkpoint's: an entry was changed")
    if (sealer.size, sealer.digest()) != (sealed.size, sealed.digest):
        fail("size or SHA-256 of the lines are not what the seal states: bytes were changed")
    _sum_up(task, run)


def _sum_up(task: Task, run: entries.Run) -> None:
    report, size = task.judge.report, run.frontier.size
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
    report.not_checked += [f"that nothing followed position {size}: {_TAIL}", WITNESS, TRUTH]
