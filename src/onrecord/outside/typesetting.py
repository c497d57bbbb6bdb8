"""Typesetting transcripts: typst and pikepdf in child processes with limits.

A transcript is set sheet by sheet, each some pages long, so that one of any length takes no more
memory than a short one, and two sheets at once. Then the sheets are bound together.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Final

from onrecord import __version__
from onrecord.model.ports import Spool
from onrecord.outside.limited import Children, Limits

HERE: Final = Path(__file__).parent / "typst"
AT_ONCE: Final = 2
"""Children of all transcripts together."""
MEBIBYTE: Final = 2**20
SHEET: Final = Limits(seconds=120, memory=600 * MEBIBYTE, output=128 * MEBIBYTE)
BINDING: Final = Limits(seconds=300, memory=1024 * MEBIBYTE, output=1024 * MEBIBYTE)
PIECE: Final = 2**16
FONTS: Final = ("manimgx-fonts", "manimgx-fonts-cjk")


class ChildTypesetter:
    """Sets transcripts in child processes."""

    def __init__(self, directory: Path) -> None:
        """Begin with none; sheets wait in files without a name in this directory."""
        self._directory = directory

    @cached_property
    def _children(self) -> Children:
        return Children(AT_ONCE)

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Give the versions that decide which bytes are made of the same text."""
        templates = hashlib.sha256()
        for file in sorted(HERE.iterdir()):
            if file.suffix in {".typ", ".py"}:
                templates.update(file.read_bytes())
        fonts = [f"{name} {version}" for name in FONTS if (version := _version(name))]
        return {
            "typst": _version("typst"),
            "pikepdf": _version("pikepdf"),
            "template": templates.hexdigest()[:16],
            "fonts": ", ".join(fonts),
            "tzdata": _version("tzdata"),
        }

    def begin(self) -> "Job":
        """Begin a transcript."""
        return Job(self._children, self._directory)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


class Job:
    """One transcript on its way: sheets are added in order, then bound. Closed in any case."""

    def __init__(self, children: Children, directory: Path) -> None:
        """Begin with no sheet."""
        self._children = children
        self._directory = directory
        self._files = contextlib.ExitStack()
        self._sheets: list[IO[bytes]] = []
        self._under_way: set[asyncio.Task[bytes]] = set()

    def _file(self) -> IO[bytes]:
        return self._files.enter_context(tempfile.TemporaryFile(dir=self._directory))

    async def add(self, sheet: Mapping[str, Any]) -> None:
        """Set one sheet more; waits while as many are under way as may be."""
        await self._until(AT_ONCE - 1)
        file = self._file()
        self._sheets.append(file)
        running = self._children.run("onrecord.outside.typst.sheet", sheet, limits=SHEET, out=file)
        self._under_way.add(asyncio.create_task(running))

    async def _until(self, most: int) -> None:
        while len(self._under_way) > most:
            done, self._under_way = await asyncio.wait(
                self._under_way, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                one.result()

    async def bind(self, about: Mapping[str, Any], attached: Spool, out: Spool) -> None:
        """Bind the sheets, with a file inside, and write the PDF.

        `about` has `frame` (what stands on every page: title, position, origin), `at` (seconds
        since 1970), `attachment` (name, content_type, description) and `language`.
        """
        await self._until(0)
        inside, sheets, bound = self._file(), self._file(), self._file()
        for piece in attached.pieces():
            inside.write(piece)
        sizes = [_append(one, sheets) for one in self._sheets]
        moment = datetime.fromtimestamp(about["at"], UTC)
        argument = {
            **about,
            "sizes": sizes,
            "attachment": {**about["attachment"], "date": moment.strftime("D:%Y%m%d%H%M%SZ")},
            "software": f"OnRecord {__version__}",
        }
        await self._children.run(
            "onrecord.outside.typst.binding",
            argument,
            limits=BINDING,
            files=[inside, sheets],
            out=bound,
        )
        bound.seek(0)
        while piece := bound.read(PIECE):
            out.write(piece)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Let go of everything; what is under way is stopped."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._files.close()


def _append(file: IO[bytes], end: IO[bytes]) -> int:
    """Copy a file to the end of another; give how many bytes it has."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    shutil.copyfileobj(file, end)
    return size
