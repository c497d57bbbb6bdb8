"""Spools: files without a name, for what must be known whole before it can be sent."""

import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

IN_MEMORY: Final = 256 * 1024
"""Bytes that need no file."""
PIECE: Final = 256 * 1024
"""Bytes read in one go."""


class FileSpool:
    """Bytes written once and read once; gone when closed, and when the process ends."""

    def __init__(self, directory: Path) -> None:
        """Begin empty; the file, if one is needed, lies in this directory."""
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(directory))  # noqa: SIM115 - `close` closes it
        self._hash = hashlib.sha256()
        self.size = 0
        self.crc = 0

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)

    @property
    def sha256(self) -> str:
        """The digest of what was written, in lower-case hex."""
        return self._hash.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """Give everything from the beginning, piece by piece."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
