"""Looking into OLE files, in the limited child: Office's documents of old, and Outlook's mails.

Newer documents with a password are OLE files too: the document lies in one, encrypted whole.
"""

import io
import struct
from collections.abc import Callable
from typing import IO, Final

import olefile  # type: ignore[import-untyped]  # it has no types

from onrecord.outside.inspection_zip import DAMAGED, MACROS, PROTECTED, Other, Refused

MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SECTOR: Final = 512
COUNTS: Final = (40, 44, 64, 72)
"""Where the header says how many sectors each table has ([MS-CFB], section 2.2)."""
MAINS: Final = {
    "doc": ("WordDocument",),
    "xls": ("Workbook", "Book"),
    "ppt": ("PowerPoint Document",),
    "msg": ("__properties_version1.0",),
}
"""The stream that each form has."""
FILE_PASS: Final = 0x2F
END_OF_GLOBALS: Final = 0x0A
"""Records of a workbook: it is encrypted from here on; the part about the whole of it ends."""
DAMAGES: Final = (OSError, ValueError, LookupError, TypeError, struct.error)
"""What olefile raises over damaged files."""
RECORDS_MOST: Final = 100_000
PPT_ENCRYPTED: Final = 0xF3D1C4DF
"""The token in "Current User" of a presentation that is encrypted ([MS-PPT], section 2.3.2)."""


def is_ole(file: IO[bytes]) -> bool:
    """Whether a file is an OLE file."""
    file.seek(0)
    return file.read(8) == MAGIC


def check_no_package(file: IO[bytes]) -> None:
    """Refuse what is a newer document under a password."""
    if is_ole(file) and _is_package(_opened(file)):
        raise Refused(PROTECTED)


def check_form(form: str) -> Callable[[IO[bytes]], None]:
    """Give the check of a form of OLE files."""

    def check(file: IO[bytes]) -> None:
        if not is_ole(file):
            raise Other
        ole = _opened(file)
        if _is_package(ole):
            raise Refused(PROTECTED)
        main = next((name for name in MAINS[form] if ole.exists(name)), None)
        if main is None:
            raise Other
        if ENCRYPTED[form](ole, main):
            raise Refused(PROTECTED)
        if form != "msg" and any(_is_macro(path) for path in ole.listdir(storages=True)):
            raise Refused(MACROS)

    return check


def _opened(file: IO[bytes]) -> "olefile.OleFileIO":
    _check_counts(file)
    file.seek(0)
    try:
        return olefile.OleFileIO(file)
    except DAMAGES as error:
        raise Refused(DAMAGED) from error


def _check_counts(file: IO[bytes]) -> None:
    """No table has more sectors than the file: its reader would follow a circle for long."""
    sectors = file.seek(0, io.SEEK_END) // SECTOR
    file.seek(0)
    head = file.read(SECTOR)
    if len(head) < SECTOR:
        raise Refused(DAMAGED)
    for at in COUNTS:
        if int.from_bytes(head[at : at + 4], "little") > sectors:
            raise Refused(DAMAGED)


def _is_package(ole: "olefile.OleFileIO") -> bool:
    return any(
        ole.exists(name) for name in ("EncryptionInfo", "EncryptedPackage", "\x09DRMContent")
    )


def _is_macro(path: list[str]) -> bool:
    """Whether a storage or stream is one that macros lie in."""
    return any(name.lower() in {"macros", "vba", "_vba_project_cur"} for name in path)


def _stream(ole: "olefile.OleFileIO", name: str) -> io.BytesIO:
    try:
        if ole.get_size(name) > ole.fp.seek(0, io.SEEK_END):
            raise Refused(DAMAGED)
        stream: io.BytesIO = ole.openstream(name)
    except DAMAGES as error:
        raise Refused(DAMAGED) from error
    return stream


def _doc(ole: "olefile.OleFileIO", main: str) -> bool:
    """Look at the flag fEncrypted of the file's information block ([MS-DOC], section 2.5.2)."""
    head = _stream(ole, main).read(12)
    return bool(len(head) == 12 and head[11] & 0x01)  # noqa: PLR2004 - the block's first fields


def _xls(ole: "olefile.OleFileIO", main: str) -> bool:
    """Look for the record FilePass among those about the whole workbook ([MS-XLS], 2.4.117)."""
    stream = _stream(ole, main)
    for _ in range(RECORDS_MOST):
        head = stream.read(4)
        if len(head) < 4:  # noqa: PLR2004 - a type and a length
            return False
        kind, length = struct.unpack("<HH", head)
        if kind in {FILE_PASS, END_OF_GLOBALS}:
            return bool(kind == FILE_PASS)
        stream.seek(length, io.SEEK_CUR)
    raise Refused(DAMAGED)


def _ppt(ole: "olefile.OleFileIO", main: str) -> bool:
    """Look at the token of the current user."""
    del main
    head = _stream(ole, "Current User").read(16)
    return bool(head[12:16] == struct.pack("<I", PPT_ENCRYPTED))


def _msg(ole: "olefile.OleFileIO", main: str) -> bool:
    """A mail is not encrypted as a file; what is in it was sent as it is."""
    del ole, main
    return False


ENCRYPTED: Final[dict[str, Callable[["olefile.OleFileIO", str], bool]]] = {
    "doc": _doc,
    "xls": _xls,
    "ppt": _ppt,
    "msg": _msg,
}
