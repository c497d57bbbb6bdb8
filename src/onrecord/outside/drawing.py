"""Drawing a picture anew, by Pillow: the part of `pictures` that is loaded with the first one."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Final, Literal

from PIL import Image, ImageOps, UnidentifiedImageError

from onrecord.model.errors import Refusal
from onrecord.model.people import Picture

PIXELS_MOST: Final = 40_000_000
"""The largest picture that is decoded: 160 MB while that lasts."""
FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
"""What is read; never a text such as SVG, which may hold scripts."""
_QUALITY: Final = 85

# Pillow only warns of a picture that is too large. Ours is a refusal, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

Draw = Callable[[Image.Image], list[Picture]]


def squares(file: IO[bytes], sizes: Sequence[int]) -> list[Picture]:
    """Draw a picture in these sizes, from the middle of the one in the file, as WebP (RB016)."""

    def draw(image: Image.Image) -> list[Picture]:
        square = _square(image, max(sizes))
        return [_picture(_scaled(square, size), size, "WEBP") for size in sizes]

    return _drawn(file, draw)


def fitted(file: IO[bytes], boxes: Mapping[int, tuple[int, int]]) -> list[Picture]:
    """Draw a picture once for each box, whole and in its own shape, as PNG (RB016)."""

    def draw(image: Image.Image) -> list[Picture]:
        width, height = (max(sides) for sides in zip(*boxes.values(), strict=True))
        whole = _whole(image, (2 * width, 2 * height))
        return [_picture(_inside(whole, box), size, "PNG") for size, box in boxes.items()]

    return _drawn(file, draw)


def _drawn(file: IO[bytes], draw: Draw) -> list[Picture]:
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check_size(image)
            return draw(image)
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


def _whole(image: Image.Image, enough: tuple[int, int]) -> Image.Image:
    """Give the pixels of a picture, upright; of a large JPEG not many more than are enough."""
    image.draft("RGB", enough)
    upright = ImageOps.exif_transpose(image)
    return upright.convert("RGBA" if upright.has_transparency_data else "RGB")


def _square(image: Image.Image, most: int) -> Image.Image:
    whole = _whole(image, (2 * most, 2 * most))
    return ImageOps.fit(whole, (most, most), Image.Resampling.LANCZOS)


def _scaled(square: Image.Image, size: int) -> Image.Image:
    if square.width == size:
        return square
    return square.resize((size, size), Image.Resampling.LANCZOS)


def _inside(whole: Image.Image, box: tuple[int, int]) -> Image.Image:
    small = whole.copy()
    small.thumbnail(box, Image.Resampling.LANCZOS)
    return small


def _picture(drawn: Image.Image, size: int, form: Literal["WEBP", "PNG"]) -> Picture:
    clean = Image.new(drawn.mode, drawn.size)
    clean.paste(drawn)
    out = io.BytesIO()
    if form == "PNG":
        clean.save(out, "PNG")
    else:
        clean.save(out, "WEBP", quality=_QUALITY)
    data = out.getvalue()
    kind = f"image/{form.lower()}"
    return Picture(size, hashlib.sha256(data).hexdigest()[:32], kind, data)
