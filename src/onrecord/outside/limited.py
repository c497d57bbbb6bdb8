"""Running code of ours in a child process with limits, for what strangers send us.

Readers of pictures, documents and archives are large programs, and files made to break them are
sent to every server. So such a file is read in a process that has nothing: no environment, no
secret in its memory, no network, no files but those handed to it, and only so much memory and time.
What it answers is taken for a claim of the file's sender, and never as more.

The child is `limited_child.py`, a fresh Python that begins in some 40 ms; there the limits are set
before anything that was sent is touched.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from onrecord.model.errors import Refusal

CHILD: Final = Path(__file__).with_name("limited_child.py")
ROOT: Final = Path(__file__).parents[2]
"""Where the package `onrecord` lies."""
ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"}
"""All of a child's environment: one heap, so that threads do not each reserve memory."""
OUT_OF_MEMORY: Final = 3
FAILED: Final = 4
OUTPUT: Final = 5
NOT_IMPORTED: Final = 6
"""How a child ends when its memory did not do, when its code raised, when its answer was too long,
and when something is not installed (see limited_child.py)."""
TOLD_MOST: Final = 2048
"""Bytes of what a child says about its failure."""

log = logging.getLogger(__name__)


class TooMuch(Exception):  # noqa: N818 - the caller tells it as a refusal
    """The child needed more than it may have; `of` is time, memory or output."""

    def __init__(self, of: str) -> None:
        """Say which limit it was."""
        super().__init__(f"a child process needed too much {of}")
        self.of = of


class Failed(Exception):  # noqa: N818 - the caller tells it too
    """The child raised or died; the message says where or by which signal, never what it read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may have."""

    seconds: float
    """From start to end; then it is killed."""
    memory: int
    """Bytes of memory of its own; libraries and files that it maps come on top, up to 1 GiB."""
    output: int
    """Bytes of its answer."""
    cpu: int = 0
    """Seconds of the processor, of all its threads together; 0: as many as `seconds`."""


class Children:
    """Runs children, so many at once; others wait for their turn."""

    def __init__(
        self, at_once: int, *, waiting_most: int = 100, importable: Path | None = None
    ) -> None:
        """Start none yet.

        More than `waiting_most` callers are refused with RX503. `importable` is one more directory
        to import modules from.
        """
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="children")
        self._most = at_once + waiting_most
        self._callers = 0
        self._importable = [str(importable)] if importable else []

    async def run(
        self,
        module: str,
        argument: Any,
        *,
        limits: Limits,
        files: Sequence[IO[bytes]] = (),
        readable: Sequence[Path] = (),
        out: IO[bytes] | None = None,
    ) -> bytes:
        """Call `main(argument, files) -> bytes` of a module in a child and give what it returns.

        `argument` is anything of JSON. The files are handed over read-only, each from its
        beginning. `readable` are directories and files that the child may open by path. With `out`
        the answer is written there instead, from where that file stands.

        Raises TooMuch and Failed. RX503: too many wait, or the machine has no room for a process.
        Whoever is cancelled while waiting leaves no child behind.
        """
        if self._callers >= self._most:
            raise Refusal("RX503")
        self._callers += 1
        brief = {
            "module": module,
            "argument": argument,
            "paths": [*self._importable, *_import_paths()],
            "readable": [str(path) for path in readable],
            "limits": {
                "seconds": limits.seconds,
                "memory": limits.memory,
                "output": limits.output,
                "cpu": limits.cpu or int(limits.seconds) + 1,
            },
        }
        child = _Child(brief, limits, out)
        try:
            with _reopened(files) as descriptors:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, child.run, descriptors)
        finally:
            # Cancelled: from here on the thread starts no child, so it needs no descriptors.
            child.kill()
            self._callers -= 1


def _import_paths() -> list[str]:
    """Give where children import from: our package and installed ones, not the directory we are in.

    They may read these directories, so none may hold anything else.
    """
    installed = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    return list(dict.fromkeys([str(ROOT), *installed]))


@contextlib.contextmanager
def _reopened(files: Sequence[IO[bytes]]) -> Iterator[list[int]]:
    """Open files once more, read-only and from their beginning, though they may have no name."""
    opened: list[int] = []
    try:
        for file in files:
            file.flush()
            number = file.fileno()
            try:
                opened.append(os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_CLOEXEC))
            except FileNotFoundError:  # no Linux: the same place in the file for both, then
                opened.append(os.dup(number))
                os.lseek(opened[-1], 0, os.SEEK_SET)
        yield opened
    finally:
        for descriptor in opened:
            os.close(descriptor)


class _Child:
    """One child process, from its start to its end, in a thread of its own."""

    def __init__(self, brief: dict[str, Any], limits: Limits, out: IO[bytes] | None) -> None:
        self._brief = brief
        self._limits = limits
        self._out = out
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._late = False

    def run(self, descriptors: list[int]) -> bytes:
        """Start it, hand it its brief, wait for its answer and see it gone."""
        self._brief["files"] = descriptors
        self._brief["parent"] = os.getpid()
        with self._lock:
            if self._killed:
                raise Failed("killed before it began")
            try:
                process = self._process = self._started(descriptors)
            except OSError as error:
                log.exception("a child process could not be started")
                raise Refusal("RX503") from error
        timer = threading.Timer(self._limits.seconds, self._kill_late)
        timer.start()
        try:
            answer, told = self._heard(process)
            status = self._end(process)
        finally:
            timer.cancel()
            timer.join()
        return self._judged(status, answer, told)

    def _heard(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        """Say the brief, and read the answer and what is told about a failure."""
        with contextlib.ExitStack() as pipes:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipes.callback(_close, pipe)
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(json.dumps(self._brief).encode())
                _close(process.stdin)
            answer = process.stdout.read(self._limits.output + 1) if process.stdout else b""
            if len(answer) > self._limits.output:
                self.kill()
            return answer, process.stderr.read(TOLD_MOST) if process.stderr else b""

    def _started(self, descriptors: list[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter on our own file
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self._out is None else self._out,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd="/",
            pass_fds=descriptors,
            start_new_session=True,
        )

    def _judged(self, status: int, answer: bytes, told: bytes) -> bytes:
        if len(answer) > self._limits.output or status == OUTPUT:
            raise TooMuch("output")
        if status == 0:
            return answer
        if self._late or status in {-signal.SIGALRM, -signal.SIGXCPU}:
            raise TooMuch("time")
        if status == OUT_OF_MEMORY:
            raise TooMuch("memory")
        if status == NOT_IMPORTED:
            msg = f"a child process cannot import what it needs: {told.decode('utf-8', 'replace')}"
            raise RuntimeError(msg)
        if status == FAILED:
            raise Failed(told.decode("utf-8", "replace"))
        raise Failed(f"died of signal {-status}" if status < 0 else f"ended with {status}")

    def kill(self) -> None:
        """Kill it and whatever it may have started; one that has not begun never will."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                # Not waited for yet (`_end` takes the lock too), so the number is still its own.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _kill_late(self) -> None:
        self._late = True
        self.kill()

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for its end, which the timer brings about if nothing else does; give its status."""
        if hasattr(os, "waitid"):
            # The dead leader keeps its number, so that the group is surely its own.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            self.kill()
        with self._lock:
            self._process = None
            return process.wait()


def _close(pipe: IO[bytes]) -> None:
    """Close a pipe whose other end may be gone."""
    with contextlib.suppress(BrokenPipeError):
        pipe.close()
