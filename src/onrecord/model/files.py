"""The types of files that people may send, and how each is recognised by what it holds.

A type is known by the ending of a file's name, and only believed when the content is of the form
that belongs to it (`outside.inspection`). What is not here is never taken: no program, no script,
no page for a browser (HTML, SVG, XML), whatever its name.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple


class FileType(NamedTuple):
    """One type of file."""

    content_type: str
    kind: str
    """What people call it: document, text, image, audio, video, mail or archive."""
    form: str
    """How its content is recognised: a name of `FORMS`."""
    endings: tuple[str, ...]
    """In lower case; the first is the usual one."""
    default: bool = True
    """Whether an organisation that has set no `attachment_types` takes it."""


FORMS: Final[Mapping[str, str]] = {
    "pdf": "begins with %PDF- and is a PDF document",
    "docx": "a ZIP whose content types name a Word document without macros",
    "xlsx": "a ZIP whose content types name an Excel workbook without macros",
    "pptx": "a ZIP whose content types name a PowerPoint presentation without macros",
    "docm": "the same with macros",
    "xlsm": "the same with macros",
    "pptm": "the same with macros",
    "odf": "a ZIP whose first file names the very content type",
    "doc": "an OLE file that holds a Word document",
    "xls": "an OLE file that holds an Excel workbook",
    "ppt": "an OLE file that holds a PowerPoint presentation",
    "msg": "an OLE file that holds a mail",
    "zip": "a ZIP, from its first byte to its last",
    "rtf": "begins with {\\rtf",
    "text": "UTF-16 with its mark, or UTF-8 or any other encoding of bytes; no control characters",
    "ics": "text that begins with BEGIN:VCALENDAR",
    "vcf": "text that begins with BEGIN:VCARD",
    "eml": "text that begins with a header of a mail",
    "jpeg": "begins with FF D8 FF",
    "png": "begins with 89 PNG",
    "gif": "begins with GIF87a or GIF89a",
    "webp": "a RIFF file of the form WEBP",
    "tiff": "begins with II*, MM or their forms beyond 4 GB",
    "bmp": "begins with BM and the header of a bitmap",
    "heic": "an ISO media file of the brands of HEIF with HEVC",
    "avif": "an ISO media file of the brand avif",
    "mp3": "begins with ID3 or a frame of MPEG audio, layer III",
    "mp4": "an ISO media file of other brands than QuickTime's",
    "mov": "an ISO media file of QuickTime's brand, or of its form before brands",
    "wav": "a RIFF file of the form WAVE",
    "ogg": "begins with OggS",
    "flac": "begins with fLaC",
    "webm": "an EBML file of the type webm",
}
"""What each form is, for whoever reads; `outside.inspection_child` looks for it."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_OPEN: Final = "application/vnd.oasis.opendocument"
TYPES: Final = (
    FileType("application/pdf", "document", "pdf", ("pdf",)),
    FileType(f"{_OFFICE}.wordprocessingml.document", "document", "docx", ("docx",)),
    FileType(f"{_OFFICE}.spreadsheetml.sheet", "document", "xlsx", ("xlsx",)),
    FileType(f"{_OFFICE}.presentationml.presentation", "document", "pptx", ("pptx",)),
    FileType(f"{_OPEN}.text", "document", "odf", ("odt",)),
    FileType(f"{_OPEN}.spreadsheet", "document", "odf", ("ods",)),
    FileType(f"{_OPEN}.presentation", "document", "odf", ("odp",)),
    FileType("application/msword", "document", "doc", ("doc",)),
    FileType("application/vnd.ms-excel", "document", "xls", ("xls",)),
    FileType("application/vnd.ms-powerpoint", "document", "ppt", ("ppt",)),
    FileType("application/rtf", "document", "rtf", ("rtf",)),
    FileType("text/plain", "text", "text", ("txt", "log")),
    FileType("text/csv", "text", "text", ("csv",)),
    FileType("text/tab-separated-values", "text", "text", ("tsv",)),
    FileType("text/markdown", "text", "text", ("md",)),
    FileType("text/calendar", "text", "ics", ("ics",)),
    FileType("text/vcard", "text", "vcf", ("vcf",)),
    FileType("image/jpeg", "image", "jpeg", ("jpg", "jpeg")),
    FileType("image/png", "image", "png", ("png",)),
    FileType("image/gif", "image", "gif", ("gif",)),
    FileType("image/webp", "image", "webp", ("webp",)),
    FileType("image/tiff", "image", "tiff", ("tiff", "tif")),
    FileType("image/bmp", "image", "bmp", ("bmp",)),
    FileType("image/heic", "image", "heic", ("heic", "heif")),
    FileType("image/avif", "image", "avif", ("avif",)),
    FileType("audio/mpeg", "audio", "mp3", ("mp3",)),
    FileType("audio/mp4", "audio", "mp4", ("m4a",)),
    FileType("audio/wav", "audio", "wav", ("wav",)),
    FileType("audio/ogg", "audio", "ogg", ("ogg", "oga", "opus")),
    FileType("audio/flac", "audio", "flac", ("flac",)),
    FileType("video/mp4", "video", "mp4", ("mp4", "m4v")),
    FileType("video/quicktime", "video", "mov", ("mov",)),
    FileType("video/webm", "video", "webm", ("webm",)),
    # What follows is taken only where an organisation says so: it may hold files of any other type.
    FileType("application/zip", "archive", "zip", ("zip",), default=False),
    FileType("message/rfc822", "mail", "eml", ("eml",), default=False),
    FileType("application/vnd.ms-outlook", "mail", "msg", ("msg",), default=False),
    # And these may hold programs.
    FileType(
        "application/vnd.ms-word.document.macroEnabled.12",
        "document",
        "docm",
        ("docm",),
        default=False,
    ),
    FileType(
        "application/vnd.ms-excel.sheet.macroEnabled.12",
        "document",
        "xlsm",
        ("xlsm",),
        default=False,
    ),
    FileType(
        "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
        "document",
        "pptm",
        ("pptm",),
        default=False,
    ),
)
BY_ENDING: Final[Mapping[str, FileType]] = {ending: row for row in TYPES for ending in row.endings}
DEFAULT_ENDINGS: Final = tuple(ending for row in TYPES if row.default for ending in row.endings)
"""What is taken where an organisation has set no `attachment_types`."""


def type_of(ending: str, taken: Collection[str] = ()) -> FileType | None:
    """Give the type that an ending (lower case, no dot) stands for; None when it is not taken.

    `taken` are an organisation's `attachment_types`; none: our own. An ending that we do not know
    is not taken, even where an organisation names it.
    """
    if ending not in (taken or DEFAULT_ENDINGS):
        return None
    return BY_ENDING.get(ending)
