"""What looking into a file costs: the child process itself, and files of the largest kinds.

Each file is made anew, looked into or drawn three times, and the median told.
"""

import argparse
import asyncio
import io
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from typing import IO, Any, Final

import common
from PIL import Image

from onrecord.outside.inspection import ChildInspector
from onrecord.outside.limited import Children, Limits
from onrecord.outside.previews import ChildPreviewer

TIMES: Final = 3
MEGABYTE: Final = 1024**2
TYPES: Final = (
    '<Types><Override ContentType="application/vnd.openxmlformats-officedocument'
    '.wordprocessingml.document.main+xml"/></Types>'
)


def main() -> None:
    """Measure and print."""
    asyncio.run(_measure(common.options(__doc__).parse_args()))


async def _measure(given: argparse.Namespace) -> None:
    children, limits = Children(1), Limits(20, 64 * MEGABYTE, 1000)
    probe = {"path": os.devnull, "modules": []}
    module = "onrecord.outside.limited_probe"
    await _tell(
        given, "a child that does nothing", lambda: children.run(module, probe, limits=limits)
    )
    inspector, previewer = ChildInspector(children), ChildPreviewer(children)
    for name, ending, data in _files():
        with tempfile.TemporaryFile() as file:
            file.write(data)
            content_type = await inspector.inspect(file, f"a.{ending}")
            await _tell(given, f"looking into {name}", _inspecting(inspector, file, ending))
            if await previewer.preview(file, content_type) is not None:
                await _tell(given, f"drawing {name}", _drawing(previewer, file, content_type))


def _inspecting(inspector: ChildInspector, file: IO[bytes], ending: str) -> Any:
    return lambda: inspector.inspect(file, f"a.{ending}")


def _drawing(previewer: ChildPreviewer, file: IO[bytes], content_type: str) -> Any:
    return lambda: previewer.preview(file, content_type)


async def _tell(given: argparse.Namespace, name: str, act: Callable[[], Awaitable[Any]]) -> None:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await act()
        took.append(time.perf_counter() - began)
    seconds = statistics.median(took)
    common.say(f"  {name}: {seconds * 1000:,.0f} ms")
    common.keep(given, name, seconds=seconds)


def _files() -> Iterator[tuple[str, str, bytes]]:
    """Give what is measured: what it is, its ending, and its bytes."""
    noise = os.urandom(100 * MEGABYTE)
    yield "a text of 100 MB", "txt", b"a line of text as long as many are\n" * 3_000_000
    yield "a document of 100 MB", "docx", _document(noise, zipfile.ZIP_STORED)
    yield "a document that unpacks to 1,000 MB", "docx", _document(_prose(), zipfile.ZIP_DEFLATED)
    yield "a photograph of 24 megapixels", "jpg", _picture("JPEG", (6000, 4000))
    yield "a picture of 39 megapixels", "png", _picture("PNG", (7500, 5200))
    yield "a scanned page", "pdf", _picture("PDF", (2480, 3508))


def _prose() -> bytes:
    """Give a text that is packed to about a thirtieth."""
    return b"".join(os.urandom(3).hex().encode() * 33 for _ in range(5_000_000))


def _document(data: bytes, method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("word/media/a", data)
    return out.getvalue()


def _picture(form: str, size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, form)
    return out.getvalue()


if __name__ == "__main__":
    main()
