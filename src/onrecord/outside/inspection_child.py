"""Looking into one file, in the limited child: whether it holds what its name says.

Each form of `model.files.FORMS` has its check here. It passes, or raises Refused with the sentence
that the sender is told. Libraries for a form are imported when a file of that form comes.
"""

import codecs
import json
import re
import struct
from collections.abc import Callable
from functools import partial
from typing import IO, Any, Final

from onrecord.outside.inspection_zip import (
    DAMAGED,
    PROTECTED,
    Other,
    Refused,
    check_archive,
    check_office,
    check_open_document,
    hidden,
)

PIXELS_MOST: Final = 250_000_000
"""The largest picture: more than any camera makes. Whoever looks at it needs 1 GB for it."""
HEAD: Final = 1024
"""Bytes of the beginning that are looked at; readers of PDF look no further for theirs."""
PIECE: Final = 1024 * 1024
DAMAGES: Final = (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error)
"""What Pillow's readers raise over damaged files."""
FRAMES_MOST: Final = 10_000
"""Pages of a TIFF file."""

Check = Callable[[IO[bytes]], None]


def main(argument: Any, files: list[IO[bytes]]) -> bytes:
    """Look into the file; answer `{"refused": sentence or null, "other": bool}`.

    `argument` has `form` and `content_type` of its type (`model.files`).
    """
    try:
        _check(files[0], argument["form"], argument["content_type"])
    except Refused as refused:
        return json.dumps({"refused": str(refused), "other": isinstance(refused, Other)}).encode()
    return b'{"refused": null, "other": false}'


def _check(file: IO[bytes], form: str, content_type: str) -> None:
    if not file.read(1):
        raise Refused("The file is empty")
    if form in OFFICE:
        from onrecord.outside import inspection_ole

        inspection_ole.check_no_package(file)
        check_office(form)(file)
    elif form == "odf":
        check_open_document(file, content_type)
    elif form in OLE:
        from onrecord.outside import inspection_ole

        inspection_ole.check_form(form)(file)
    else:
        CHECKS[form](file)
    if form != "zip":
        _check_single(file, form)


def _check_single(file: IO[bytes], form: str) -> None:
    """Refuse a file that other programs take for a PDF or ZIP file."""
    head = _head(file)
    if form != "pdf" and b"%PDF-" in head and form not in TEXTS:
        raise Refused("The file is two files in one")
    if form not in {*OFFICE, "odf"} and hidden(file, anywhere=form not in {*OLE, "pdf"}):
        raise Refused("The file is two files in one")


def _head(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(HEAD)


# -- what the first bytes tell -------------------------------------------------------------------


def _begins(*patterns: bytes) -> Check:
    """Give the check of a form that is known by how it begins: one of these patterns."""
    either = re.compile(b"|".join(b"(?:%s)" % one for one in patterns), re.DOTALL)

    def check(file: IO[bytes]) -> None:
        if not either.match(_head(file)):
            raise Other

    return check


def _brands(file: IO[bytes]) -> set[bytes]:
    """Give the brands of an ISO media file (ISO/IEC 14496-12, section 4.3), the first one main."""
    head = _head(file)
    if head[4:8] != b"ftyp":
        return set()
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    return {b"main:" + brands[0], *brands}


def _is_still(brands: set[bytes]) -> bool:
    return bool(brands & {*(b"main:" + one for one in (*HEIC, *AVIF)), b"main:mif1", b"main:msf1"})


def _mp4(file: IO[bytes]) -> None:
    brands = _brands(file)
    if not brands or _is_still(brands) or b"main:qt  " in brands:
        raise Other


def _mov(file: IO[bytes]) -> None:
    brands = _brands(file)
    old = re.match(rb".{4}(moov|mdat|wide|free|skip|pnot)", _head(file), re.DOTALL)
    if _is_still(brands) or not (brands or old):
        raise Other


def _bmp(file: IO[bytes]) -> None:
    head = _head(file)
    # The length of the header that follows tells a picture from a text that begins with BM.
    if head[:2] != b"BM" or head[14:18] not in BMP_HEADERS:
        raise Other
    _picture("BMP", file)


HEIC: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
AVIF: Final = (b"avif", b"avis")
BMP_HEADERS: Final = frozenset(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124))


# -- pictures ------------------------------------------------------------------------------------


def _check_pixels(width: int, height: int) -> None:
    if width * height > PIXELS_MOST:
        raise Refused(f"The picture has {width} x {height} pixels, that is too many")


def _picture(formats: str, file: IO[bytes]) -> None:
    """Look at the head of a picture; nothing of it is decoded."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # ours is a refusal
    file.seek(0)
    try:
        with Image.open(file, formats=formats.split()) as image:
            _check_pixels(*image.size)
            if formats == "TIFF":
                for frame in range(1, min(getattr(image, "n_frames", 1), FRAMES_MOST)):
                    image.seek(frame)
                    _check_pixels(*image.size)
    except DAMAGES as error:
        raise Refused(DAMAGED) from error


def _known_picture(formats: str, *patterns: bytes) -> Check:
    """Give the check of a form of pictures that Pillow reads."""
    begins = _begins(*patterns)

    def check(file: IO[bytes]) -> None:
        begins(file)
        _picture(formats, file)

    return check


def _still(own: tuple[bytes, ...], file: IO[bytes]) -> None:
    """Look at a picture of the HEIF family (ISO/IEC 23008-12), and at the sizes it tells."""
    brands = _brands(file)
    if not (_is_still(brands) and brands & set(own)):
        raise Other
    file.seek(0)
    head = file.read(4 * PIECE)
    for size in re.finditer(rb"ispe\0\0\0\0(.{8})", head, re.DOTALL):
        _check_pixels(*struct.unpack(">II", size[1]))


# -- documents -----------------------------------------------------------------------------------


def _pdf(file: IO[bytes]) -> None:
    """Look at a PDF document: read by PDFium, one page at least, and no encryption of any kind."""
    if not re.match(rb"%PDF-[12]\.[0-9]", _head(file)):
        raise Other
    import pypdfium2  # type: ignore[import-untyped]  # it has no types
    from pypdfium2 import raw

    file.seek(0)
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}:
            raise Refused(PROTECTED) from error
        raise Refused(DAMAGED) from error
    # Also a document that opens without a password may be encrypted.
    if raw.FPDF_GetSecurityHandlerRevision(document) != -1:
        raise Refused(PROTECTED)
    if not len(document):
        raise Refused(DAMAGED)


# -- texts ---------------------------------------------------------------------------------------

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
"""Characters that no text has. Tabulator, ends of lines and pages, DOS's end and escape may be."""
_WIDE_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x19\x1c-\x1f]")


def _text(file: IO[bytes]) -> None:
    """Look at a text: UTF-16 by its mark; else any encoding of bytes, without control characters.

    Which encoding it is, its readers must find out; in UTF-8 and those of Windows, in Shift JIS or
    GB 18030 a control character is the same byte.
    """
    head = _head(file)
    if head.startswith(b"%PDF-"):
        raise Other
    file.seek(0)
    if head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        _wide_text(file)
        return
    while piece := file.read(PIECE):
        if _CONTROL.search(piece):
            raise Other


def _wide_text(file: IO[bytes]) -> None:
    decoder = codecs.getincrementaldecoder("utf-16")()
    try:
        while piece := file.read(PIECE):
            if _WIDE_CONTROL.search(decoder.decode(piece)):
                raise Other
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Other from error


def _text_that(begins: bytes, file: IO[bytes]) -> None:
    """Look at a text that has to begin in one way."""
    head = _head(file).removeprefix(codecs.BOM_UTF8).lstrip()
    if not re.match(begins, head, re.IGNORECASE):
        raise Other
    _text(file)


OFFICE: Final = ("docx", "xlsx", "pptx", "docm", "xlsm", "pptm")
OLE: Final = ("doc", "xls", "ppt", "msg")
TEXTS: Final = ("text", "ics", "vcf", "eml")
CHECKS: Final[dict[str, Check]] = {
    "pdf": _pdf,
    "zip": check_archive,
    "rtf": _begins(rb"\{\\rtf"),
    "text": _text,
    "ics": partial(_text_that, rb"BEGIN:VCALENDAR"),
    "vcf": partial(_text_that, rb"BEGIN:VCARD"),
    "eml": partial(_text_that, rb"(?:From |[!-9;-~]+[ \t]*:)"),
    "jpeg": _known_picture("JPEG MPO", rb"\xff\xd8\xff"),
    "png": _known_picture("PNG", rb"\x89PNG\r\n\x1a\n"),
    "gif": _known_picture("GIF", rb"GIF8[79]a"),
    "webp": _known_picture("WEBP", rb"RIFF.{4}WEBP"),
    "tiff": _known_picture("TIFF", rb"II[\x2a\x2b]\0", rb"MM\0[\x2a\x2b]"),
    "bmp": _bmp,
    "heic": partial(_still, HEIC),
    "avif": partial(_still, AVIF),
    "mp3": _begins(rb"ID3[\x02-\x04]", rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\x00\x0f\xf0-\xff]"),
    "mp4": _mp4,
    "mov": _mov,
    "wav": _begins(rb"RIFF.{4}WAVE"),
    "ogg": _begins(rb"OggS\0"),
    "flac": _begins(rb"fLaC"),
    "webm": _begins(rb"\x1a\x45\xdf\xa3.{0,64}\x42\x82.{1,8}webm"),
}
"""The forms that are neither Office's, old or new, nor OpenDocument's."""
