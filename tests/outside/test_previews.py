"""Small pictures of files."""

import asyncio
import io
import os
import tempfile

import pikepdf
import pytest
from PIL import Image

from onrecord.model import files
from onrecord.model.people import Picture
from onrecord.outside import previews, previews_child
from onrecord.outside.limited import Limits
from onrecord.outside.previews import ChildPreviewer
from tests import samples

PREVIEWER = ChildPreviewer()


def drawn(data: bytes, content_type: str) -> Picture | None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        return asyncio.run(PREVIEWER.preview(file, content_type))


def opened(picture: Picture | None) -> Image.Image:
    assert picture is not None
    image = Image.open(io.BytesIO(picture.data))
    assert image.format == "WEBP"
    assert max(image.size) == picture.size <= previews.SIDE
    return image


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_an_image_is_drawn_smaller_in_its_own_shape(form: str) -> None:
    large = samples.picture(form, (1600, 800))
    picture = drawn(large, f"image/{form.lower()}")
    image = opened(picture)
    assert image.size == (640, 320)
    assert picture is not None
    assert picture.content_type == "image/webp"
    red, green, blue = image.convert("RGB").getpixel((300, 150))  # type: ignore[misc]  # RGB has three
    assert red < 20
    assert 110 < green < 140
    assert 110 < blue < 140


def test_a_small_image_is_not_made_larger() -> None:
    assert opened(drawn(samples.picture("PNG", (30, 20)), "image/png")).size == (30, 20)


def test_an_image_stands_upright_and_brings_nothing_hidden_with_it() -> None:
    image = Image.new("RGB", (200, 100), "white")
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "taken at home"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    assert b"taken at home" in out.getvalue()
    picture = drawn(out.getvalue(), "image/jpeg")
    assert opened(picture).size == (100, 200)
    assert picture is not None
    assert b"taken at home" not in picture.data


def test_the_first_page_of_a_pdf_is_drawn() -> None:
    out = io.BytesIO()
    Image.new("RGB", (400, 200), "red").save(out, "PDF")
    image = opened(drawn(out.getvalue(), "application/pdf"))
    assert image.size == (640, 320)
    red, green, blue = image.convert("RGB").getpixel((300, 150))  # type: ignore[misc]  # RGB has three
    assert red > 230
    assert max(green, blue) < 30


def test_a_page_of_any_size_is_drawn_within_640_pixels() -> None:
    for size in ((14_400, 14_400), (14_400, 3), (3, 3)):
        out = io.BytesIO()
        with pikepdf.new() as document:
            document.add_blank_page(page_size=size)
            document.save(out)
        opened(drawn(out.getvalue(), "application/pdf"))


def test_other_types_have_no_picture() -> None:
    for name in ("a.docx", "a.txt", "a.heic", "a.mp4", "a.zip"):
        data, content_type = samples.honest()[name]
        assert drawn(data, content_type) is None


def test_what_cannot_be_drawn_has_no_picture_and_fails_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert drawn(samples.picture("JPEG")[:200], "image/jpeg") is None
    assert drawn(samples.huge_png(12_000, 9_000), "image/png") is None
    assert drawn(samples.pdf(encryption=pikepdf.Encryption(owner="a", user="b")), PDF) is None
    assert drawn(b"%PDF-1.7", PDF) is None
    monkeypatch.setattr(previews, "LIMITS", Limits(0.01, 768 * 1024**2, 1024**2))
    assert drawn(samples.picture("PNG"), "image/png") is None


PDF = "application/pdf"


def test_a_large_photograph_is_drawn_by_decoding_it_small() -> None:
    out = io.BytesIO()
    Image.new("L", (9000, 6000)).save(out, "JPEG")
    assert opened(drawn(out.getvalue(), "image/jpeg")).size == (640, 427)


def test_what_the_child_answers_is_believed_only_as_far_as_it_is_a_picture() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(samples.picture("PNG"))
        good = previews_child.main({"content_type": "image/png", "side": 640}, [file])
    assert previews._picture(good) is not None
    for bad in (b"", good[:-1], good + b"x", b"\0\0" + good[2:], b"\xff" + good[1:], PAGE):
        assert previews._picture(bad) is None


PAGE = b"\0\x10<script>alert(1)</script>" + os.urandom(100)


def test_what_can_be_drawn_is_known_on_both_sides_and_can_be_sent() -> None:
    assert set(previews_child.DRAWN) == previews.CONTENT_TYPES
    assert {row.content_type for row in files.TYPES} >= previews.CONTENT_TYPES
