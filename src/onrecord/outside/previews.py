"""Small pictures of files, drawn in a child process with limits (`previews_child`)."""

import hashlib
import logging
from typing import IO, Final

from onrecord.model.errors import Refusal
from onrecord.model.people import Picture
from onrecord.outside.limited import Children, Failed, Limits, TooMuch

SIDE: Final = 640
"""Pixels that the longer side of a picture has at the most."""
AT_ONCE: Final = 1
LIMITS: Final = Limits(seconds=20, cpu=15, memory=768 * 1024**2, output=1024**2)
"""An image of 40 megapixels takes a second and 160 MB for each copy of it."""
CONTENT_TYPES: Final = frozenset(
    {
        "application/pdf",
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/tiff",
        "image/bmp",
        "image/avif",
    }
)
"""What there are pictures of. Drawing HEIC would need one more library with a past."""

log = logging.getLogger(__name__)


class ChildPreviewer:
    """Draws pictures of files, one at a time."""

    def __init__(self, children: Children | None = None) -> None:
        """Draw with these children, or with own ones."""
        self._children = children or Children(AT_ONCE)

    async def preview(self, file: IO[bytes], content_type: str) -> Picture | None:
        """Draw an image or the first page of a PDF, at most 640 pixels a side, as WebP.

        None for any other type, for what is too large or damaged, and when too many wait: a file
        without a picture is a file all the same.
        """
        if content_type not in CONTENT_TYPES:
            return None
        argument = {"content_type": content_type, "side": SIDE}
        try:
            drawn = await self._children.run(
                "onrecord.outside.previews_child", argument, limits=LIMITS, files=[file]
            )
        except (TooMuch, Failed, Refusal) as error:
            log.info("no preview of a file of %s: %s", content_type, error)
            return None
        return _picture(drawn)


def _picture(drawn: bytes) -> Picture | None:
    """Read what the child answers, which is believed no more than the file itself."""
    size, data = int.from_bytes(drawn[:2], "big"), drawn[2:]
    told = int.from_bytes(data[4:8], "little")
    if not 0 < size <= SIDE or data[:4] + data[8:12] != b"RIFFWEBP" or told + 8 != len(data):
        return None
    return Picture(size, hashlib.sha256(data).hexdigest()[:32], "image/webp", data)
