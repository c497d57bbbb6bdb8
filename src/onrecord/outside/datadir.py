"""The data directory and its lock: who may change the schema, and when nobody may."""

import fcntl
import os
from pathlib import Path
from typing import Self

from onrecord.model.ports import Held

LOCK = "onrecord.lock"
PASSING = frozenset({"a command"})
"""Purposes that are over soon: the file goes on naming whoever stays."""


class DataDirectory:
    """A directory of one installation; servers share its lock, migrations take it alone."""

    def __init__(self, path: Path) -> None:
        """Use the directory, making it when it is missing (only its owner may look inside)."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path
        self._lock = path / LOCK
        self._descriptor: int | None = None

    def hold(self, purpose: str, *, alone: bool) -> Self:
        """Take the lock or raise Held, saying who holds it; the process's end lets it go.

        A lock held before is given back first: a process excludes itself as it does others.
        """
        self.let_go()
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            os.close(descriptor)
            msg = f"{self.path} is held by {holder or 'another process'}"
            raise Held(msg) from None
        self._descriptor = descriptor
        if alone or purpose not in PASSING:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{purpose} (process {os.getpid()})\n".encode(), 0)
        return self

    def let_go(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Use the lock for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back at the block's end."""
        self.let_go()


def holder(path: Path) -> str | None:
    """Say who holds a data directory, without making anything; None when nobody does."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
    finally:
        os.close(descriptor)
    return None
