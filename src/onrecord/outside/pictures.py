"""Pictures that people upload: read by Pillow in a thread, and drawn anew.

Nothing of the file is given to anybody: what leaves here are the pixels of its first frame, cut to
a square and without any metadata.
"""

import asyncio
import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final

from PIL import Image, ImageOps, UnidentifiedImageError

from onrecord.model.errors import Refusal
from onrecord.model.people import Picture

PIXELS_MOST: Final = 40_000_000
"""The largest picture that is decoded: 160 MB while that lasts."""
FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
"""What is read; never a text such as SVG, which may hold scripts."""
CONTENT_TYPE: Final = "image/webp"
_QUALITY: Final = 85

# Pillow only warns of a picture that is too large. Ours is a refusal, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
_THREAD: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
"""One at a time: a picture may need 160 MB."""


async def squares(file: IO[bytes], sizes: Sequence[int]) -> list[Picture]:
    """Draw a picture in these sizes, from the middle of the one in the file.

    RB016: no picture that we read, one of more than 40 megapixels, or a damaged one.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREAD, _squares, file, sizes)


def _squares(file: IO[bytes], sizes: Sequence[int]) -> list[Picture]:
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image)
            square = _square(image, max(sizes))
            return [_picture(square, size) for size in sizes]
    except Refusal:
        raise
    except UnidentifiedImageError:
        raise Refusal("RB016", "The file is no JPEG, PNG, GIF or WebP picture") from None
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise Refusal("RB016", "The picture is damaged") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > PIXELS_MOST:
        raise Refusal("RB016", f"The picture has {width} x {height} pixels, that is too many")


def _square(image: Image.Image, most: int) -> Image.Image:
    image.draft("RGB", (2 * most, 2 * most))  # a JPEG can be decoded small at once
    upright = ImageOps.exif_transpose(image)
    whole = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    return ImageOps.fit(whole, (most, most), Image.Resampling.LANCZOS)


def _picture(square: Image.Image, size: int) -> Picture:
    small = (
        square if square.width == size else square.resize((size, size), Image.Resampling.LANCZOS)
    )
    clean = Image.new(small.mode, small.size)
    clean.paste(small)
    out = io.BytesIO()
    clean.save(out, "WEBP", quality=_QUALITY)
    data = out.getvalue()
    return Picture(size, hashlib.sha256(data).hexdigest()[:32], CONTENT_TYPE, data)
