"""Drawing a small picture of a file, in the limited child: an image, or the first page of a PDF."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from PIL import Image

DECODED_MOST: Final = 40_000_000
"""Pixels that are decoded; a JPEG can be decoded at an eighth of its size."""
QUALITY: Final = 80


def main(argument: Any, files: list[IO[bytes]]) -> bytes:
    """Draw it; answer its longer side as two bytes, then a WebP picture. Nothing: it has none.

    `argument` has the `content_type` and `side`, the most pixels that a side may have.
    """
    draw = DRAWN[argument["content_type"]]
    image = draw(files[0], argument["side"])
    if image is None:
        return b""
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY)
    return max(image.size).to_bytes(2, "big") + out.getvalue()


def _image(formats: str, file: IO[bytes], side: int) -> "Image.Image | None":
    """Draw the first frame of an image anew: upright, and without any of its metadata."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # ours is below
    with Image.open(file, formats=formats.split()) as image:
        image.draft("RGB", (2 * side, 2 * side))
        if image.width * image.height > DECODED_MOST:
            return None
        upright = ImageOps.exif_transpose(image)
        small = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        return _clean(small)


def _clean(image: "Image.Image") -> "Image.Image":
    """Give the pixels alone."""
    from PIL import Image

    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    return clean


def _first_page(file: IO[bytes], side: int) -> "Image.Image | None":
    import pypdfium2  # type: ignore[import-untyped]  # it has no types

    document = pypdfium2.PdfDocument(file)
    page = document[0]
    longer = max(page.get_size())
    if longer <= 0:
        return None
    drawn: Image.Image = page.render(scale=side / longer, may_draw_forms=False).to_pil()
    drawn.thumbnail((side, side))  # a side may be a pixel too long
    return _clean(drawn.convert("RGB"))


DRAWN: Final[Mapping[str, Callable[[IO[bytes], int], "Image.Image | None"]]] = {
    "application/pdf": _first_page,
    "image/jpeg": partial(_image, "JPEG MPO"),
    "image/png": partial(_image, "PNG"),
    "image/gif": partial(_image, "GIF"),
    "image/webp": partial(_image, "WEBP"),
    "image/tiff": partial(_image, "TIFF"),
    "image/bmp": partial(_image, "BMP"),
    "image/avif": partial(_image, "AVIF"),
}
"""How each content type is drawn; others have no picture."""
