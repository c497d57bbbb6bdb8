"""Pictures that people upload: read by Pillow in a thread, and drawn anew.

Nothing of the file is given to anybody: what leaves here are the pixels of its first frame,
without any metadata.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final

from onrecord.model.people import Picture

CONTENT_TYPE: Final = "image/webp"
"""What squares are."""
PNG: Final = "image/png"
"""What logos are: mail programs show no WebP."""
_THREAD: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
"""One at a time: a picture may need 160 MB."""


async def squares(file: IO[bytes], sizes: Sequence[int]) -> list[Picture]:
    """Draw a picture in these sizes, from the middle of the one in the file, as WebP.

    RB016: no picture that we read, one of more than 40 megapixels, or a damaged one.
    """

    def draw() -> list[Picture]:
        from onrecord.outside import drawing  # noqa: PLC0415 - most have never loaded Pillow

        return drawing.squares(file, sizes)

    return await _in_thread(draw)


async def fitted(file: IO[bytes], boxes: Mapping[int, tuple[int, int]]) -> list[Picture]:
    """Draw a picture once for each box (width, height), whole and in its own shape, as PNG.

    What is smaller than a box is not made larger; what is transparent stays so. RB016 as `squares`.
    """

    def draw() -> list[Picture]:
        from onrecord.outside import drawing  # noqa: PLC0415 - as in `squares`

        return drawing.fitted(file, boxes)

    return await _in_thread(draw)


async def _in_thread(draw: Callable[[], list[Picture]]) -> list[Picture]:
    return await asyncio.get_running_loop().run_in_executor(_THREAD, draw)
