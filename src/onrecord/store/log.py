"""SQLite's log (the WAL), and how it is brought into the file while the writer goes on.

SQLite does so itself after a commit, and whoever waits for that commit waits for the disk to write
everything that changed since the last time. In a big installation these are thousands of pages.
"""

import ctypes
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import apsw

PAGES: Final = 16_000
"""Pages of the log (64 MB) after which they are brought into the file. A busy chat changes the same
few pages with each text: the longer the log, the more often one is changed before it is written."""
_XSYNC: Final = 5
"""The place of xSync in sqlite3_io_methods (https://www.sqlite.org/c3ref/io_methods.html)."""

log = logging.getLogger(__name__)


class Log:
    """Commits for the writer, and brings the log in whenever it has grown by `PAGES`.

    A pass by a connection of its own, in a thread of its own, copies what the log holds when it
    begins, and syncs the file. What came meanwhile is little; it is copied right after a commit,
    by the writer itself, so that nothing is missing from the file and the next commit can begin
    the log anew. A pass that fails, or is kept back by a reader, leaves the pages in the log, where
    they are safe, and is followed by another.
    """

    def __init__(self, writer: apsw.Connection, own: apsw.Connection) -> None:
        """Watch the log of `writer`; both connections must leave the log alone by themselves."""
        self._writer = writer
        self._own = own
        self._thread = ThreadPoolExecutor(1, "onrecord-log")
        self._pages = 0
        self._begin_at = PAGES
        self._pass: Future[None] | None = None
        writer.set_wal_hook(self._grown)

    def commit(self) -> None:
        """Commit what the writer has begun; blocks until it is durable."""
        self._writer.execute("COMMIT")
        if self._pass is None:
            if self._pages >= self._begin_at:
                self._pass = self._thread.submit(_bring_in_and_sync, self._own)
        elif self._pass.done():
            self._pass = None
            self._begin_at = self._pages + PAGES
            _bring_in(self._writer)

    def close(self) -> None:
        """Wait for a pass that runs, and close its connection."""
        self._thread.shutdown()
        self._own.close()

    def _grown(self, _: apsw.Connection, __: str, pages: int) -> int:
        if pages < self._pages:  # begun anew
            self._begin_at = PAGES
        self._pages = pages
        return apsw.SQLITE_OK


def _bring_in(connection: apsw.Connection) -> bool:
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error as error:
        log.warning("the log stays beside the file: %s: %s", type(error).__name__, error)
        return False
    return True


def _bring_in_and_sync(connection: apsw.Connection) -> None:
    if _bring_in(connection):
        _sync(connection)


def _sync(connection: apsw.Connection) -> None:
    """Have the disk write what the pass copied, so that the last pass has little left to wait for.

    SQLite syncs the file only when nothing is missing from it. A file opened by ourselves would
    do, but closing it would drop SQLite's locks on it, so this is SQLite's own way to sync its own
    file. What it answers does not matter: before the log is begun anew SQLite syncs once more.
    """
    file = ctypes.c_void_p()
    connection.file_control("main", apsw.SQLITE_FCNTL_FILE_POINTER, ctypes.addressof(file))
    methods = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))[0]
    address = ctypes.cast(methods, ctypes.POINTER(ctypes.c_void_p))[_XSYNC]
    if address is not None:
        x_sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(address)
        x_sync(file, apsw.SQLITE_SYNC_NORMAL)
