"""Looking into ZIP files, in the limited child: archives, and documents that are ZIP files.

Everything is unpacked, into nothing and within bounds, because what an archive says about itself
may be a lie: that is how bombs are found, and what is damaged.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Final

ENTRIES_MOST: Final = 10_000
"""Files in an archive, those of archives within it included."""
UNPACKED_MOST: Final = 1024**3
"""Bytes that all of them may have unpacked."""
RATIO_MOST: Final = 200
RATIO_FROM: Final = 64 * 1024**2
"""How many times its packed size an archive may become, once it becomes larger than this."""
DEPTH_MOST: Final = 3
"""An archive, one in it, and one in that: a document with a table in an archive."""
NESTED_MOST: Final = 64 * 1024**2
"""Bytes of an archive within an archive, which is held in memory."""
KEPT_MOST: Final = 4 * 1024**2
"""Bytes of a file that tells what a document is."""
PIECE: Final = 256 * 1024

LOCAL: Final = b"PK\x03\x04"
END: Final = b"PK\x05\x06"
END_SIZE: Final = 22
TAIL: Final = END_SIZE + 65_535
"""Where the end of the directory may stand: a comment may follow it."""
ENCRYPTED: Final = 0x2041
"""Flags of an entry: encrypted, strongly encrypted, its directory encrypted."""
AES: Final = 99
UTF8: Final = 0x800


class Refused(Exception):  # noqa: N818 - it becomes one
    """The file is not taken; the message is told to whoever sends it."""


class Other(Refused):
    """The file holds something else than its name says."""


PROTECTED: Final = "The file is password-protected or encrypted"
DAMAGED: Final = "The file is damaged"
BOMB: Final = "The file unpacks to far more than it may"
OVERLAPPING: Final = "The files in it overlap"
MACROS: Final = "The file holds macros"


@dataclass
class Found:
    """What has been met so far, in an archive and in those within it."""

    entries: int = 0
    unpacked: int = 0
    macros: bool = False


@dataclass
class Contents:
    """What stands in one archive."""

    names: list[str] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)
    """The files that were asked for."""
    first: zipfile.ZipInfo | None = None


# -- archives ------------------------------------------------------------------------------------


def look(
    file: IO[bytes], found: Found, keep: frozenset[str] = frozenset(), depth: int = 1
) -> Contents:
    """Look at everything in an archive; Refused says what is wrong with it."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(4) != LOCAL:
        raise Other
    if depth > DEPTH_MOST:
        raise Refused("The file holds archives within archives within archives")
    _check_end(file, size)
    try:
        archive = zipfile.ZipFile(file)
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
        return _contents(file, entries, archive.start_dir, found, keep, depth)
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, struct.error, ValueError) as error:
        raise Refused(DAMAGED) from error


def _check_end(file: IO[bytes], size: int) -> None:
    """The directory's last end is the file's: nothing stands behind it, and no reader sees two."""
    file.seek(max(size - TAIL, 0))
    tail = file.read(TAIL)
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + END_SIZE or at + END_SIZE + _comment(tail, at) != len(tail):
        raise Refused(DAMAGED)


def _comment(tail: bytes, at: int) -> int:
    return int.from_bytes(tail[at + 20 : at + 22], "little")


def hidden(file: IO[bytes], *, anywhere: bool) -> bool:
    """Whether the file can be read as a ZIP file too, from its end.

    A document may well hold a ZIP file as an attachment. So unless it is `anywhere`, only one that
    ends where the file ends, or counts from where the file begins, is meant to be found.
    """
    size = file.seek(0, io.SEEK_END)
    begin = max(size - TAIL, 0)
    file.seek(begin)
    tail = file.read(TAIL)
    at = tail.rfind(END)
    while at >= 0:
        if len(tail) >= at + END_SIZE:
            length, offset = struct.unpack("<II", tail[at + 12 : at + 20])
            directory = begin + at - length
            file.seek(max(directory, 0))
            meant = at + END_SIZE + _comment(tail, at) == len(tail) or directory == offset
            if directory >= 0 and file.read(4) == b"PK\x01\x02" and (anywhere or meant):
                return True
        at = tail.rfind(END, 0, at)
    return False


def _contents(
    file: IO[bytes],
    entries: list[zipfile.ZipInfo],
    end: int,
    found: Found,
    keep: frozenset[str],
    depth: int,
) -> Contents:
    found.entries += len(entries)
    if found.entries > ENTRIES_MOST:
        raise Refused(f"The file holds more than {ENTRIES_MOST:,} files")
    for entry in entries:
        _check_entry(entry)
    if not entries or entries[0].header_offset != 0:
        raise Refused(DAMAGED)
    _check_sizes(entries, found)
    begins = _begins(file, entries, end)
    contents = Contents([entry.orig_filename for entry in entries], first=entries[0])
    found.macros = found.macros or any(map(_is_macro, contents.names))
    for entry, begin in zip(entries, begins, strict=True):
        kept = _unpacked(file, entry, begin, keep=entry.orig_filename in keep)
        if kept[:4] == LOCAL:
            look(io.BytesIO(kept), found, depth=depth + 1)
        elif entry.orig_filename in keep:
            if entry.orig_filename in contents.kept:
                raise Refused(DAMAGED)
            contents.kept[entry.orig_filename] = kept
    return contents


def _check_entry(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & ENCRYPTED or entry.compress_type == AES:
        raise Refused(PROTECTED)
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise Refused("The file is packed in a way that cannot be looked into")
    if "\0" in entry.orig_filename:
        raise Refused(DAMAGED)


def _check_sizes(entries: list[zipfile.ZipInfo], found: Found) -> None:
    """What it says that it unpacks to; that it says the truth is seen when it is unpacked."""
    packed = sum(entry.compress_size for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    found.unpacked += unpacked
    if found.unpacked > UNPACKED_MOST:
        raise Refused(BOMB)
    if unpacked > RATIO_FROM and unpacked > packed * RATIO_MOST:
        raise Refused(BOMB)


def _begins(file: IO[bytes], entries: list[zipfile.ZipInfo], end: int) -> list[int]:
    """Give where the data of each entry begins; each is a place of its own, as its header says."""
    begins = []
    limits = [*(entry.header_offset for entry in entries[1:]), end]
    for entry, limit in zip(entries, limits, strict=True):
        file.seek(entry.header_offset)
        header = file.read(30)
        mark, _, flags, method, *_, names, extras = struct.unpack("<4sHHHHHIIIHH", header)
        name = file.read(names)
        if flags & ENCRYPTED:
            raise Refused(PROTECTED)
        same = name.decode("utf-8" if flags & UTF8 else "cp437", "replace") == entry.orig_filename
        if mark != LOCAL or method != entry.compress_type or not same:
            raise Refused(DAMAGED)
        begin = entry.header_offset + len(header) + names + extras
        if begin + entry.compress_size > limit:
            raise Refused(OVERLAPPING)
        begins.append(begin)
    return begins


def _unpacked(file: IO[bytes], entry: zipfile.ZipInfo, begin: int, *, keep: bool) -> bytes:
    """Unpack an entry to its end, and give it back if it is to be kept or is an archive."""
    size = crc = 0
    kept = bytearray()
    nested = False
    for piece in _pieces(file, entry, begin):
        if not size and piece.startswith(LOCAL):
            nested = True
        size += len(piece)
        crc = zlib.crc32(piece, crc)
        if size > entry.file_size:
            raise Refused(BOMB)
        if nested or keep:
            kept += piece
            if len(kept) > (NESTED_MOST if nested else KEPT_MOST):
                raise Refused("The file holds something too large to look into")
    if size != entry.file_size or crc != entry.CRC:
        raise Refused(DAMAGED)
    return bytes(kept)


def _pieces(file: IO[bytes], entry: zipfile.ZipInfo, begin: int) -> Iterator[bytes]:
    """Give the content of an entry; the first piece has at least four bytes if there are."""
    file.seek(begin)
    left = entry.compress_size
    unpack = zlib.decompressobj(-15) if entry.compress_type == zipfile.ZIP_DEFLATED else None
    waiting = b""
    while left or waiting:
        if not waiting:
            waiting = file.read(min(left, PIECE))
            if not waiting:
                raise Refused(DAMAGED)
            left -= len(waiting)
        if unpack is None:
            piece, waiting = waiting, b""
        else:
            piece, waiting = unpack.decompress(waiting, PIECE), unpack.unconsumed_tail
            if unpack.eof and (left or unpack.unused_data):
                raise Refused(DAMAGED)
        if piece:
            yield piece
    if unpack is not None:
        while piece := unpack.decompress(unpack.unconsumed_tail, PIECE):
            yield piece
        if not unpack.eof:
            raise Refused(DAMAGED)


def check_archive(file: IO[bytes]) -> None:
    """Check an archive that people unpack: nothing in it leads out of the folder it is put into."""
    archive = look(file, Found())
    file.seek(0)
    for entry in zipfile.ZipFile(file).infolist():
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise Refused("The archive holds a link")
    for name in archive.names:
        path = name.replace("\\", "/")
        if path.startswith("/") or ".." in path.split("/") or re.match("[A-Za-z]:", path):
            raise Refused("The archive holds a path that leads out of its folder")


# -- documents that are archives -----------------------------------------------------------------

CONTENT_TYPES: Final = "[Content_Types].xml"
MAINS: Final = {
    "docx": "openxmlformats-officedocument.wordprocessingml.document.main+xml",
    "xlsx": "openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
    "pptx": "openxmlformats-officedocument.presentationml.presentation.main+xml",
    "docm": "ms-word.document.macroenabled.main+xml",
    "xlsm": "ms-excel.sheet.macroenabled.main+xml",
    "pptm": "ms-powerpoint.presentation.macroenabled.main+xml",
}
"""The end of the content type that the main part of a document has, in lower case."""
MANIFEST: Final = "META-INF/manifest.xml"


def check_office(form: str) -> Callable[[IO[bytes]], None]:
    """Give the check of a form of Office Open XML (ECMA-376)."""

    def check(file: IO[bytes]) -> None:
        found = Found()
        contents = look(file, found, frozenset({CONTENT_TYPES}))
        told = _xml(contents.kept.get(CONTENT_TYPES, b"")).lower()
        if len(set(contents.names)) != len(contents.names):
            raise Refused(DAMAGED)
        may_hold_macros = form.endswith("m")
        if not may_hold_macros and (found.macros or "macrosheet" in told or "macroenabled" in told):
            raise Refused(MACROS)
        if {one for one, main in MAINS.items() if main in told} != {form}:
            raise Other

    return check


def check_open_document(file: IO[bytes], content_type: str) -> None:
    """Check an OpenDocument file (ISO/IEC 26300-2, section 3): its first file names its type."""
    found = Found()
    contents = look(file, found, frozenset({"mimetype", MANIFEST}))
    first = contents.first
    if first is None or first.orig_filename != "mimetype" or first.compress_type:
        raise Other
    if contents.kept["mimetype"].strip() != content_type.encode():
        raise Other
    if MANIFEST not in contents.kept or len(set(contents.names)) != len(contents.names):
        raise Refused(DAMAGED)
    told = _xml(contents.kept[MANIFEST]).lower()
    if "encryption-data" in told or "encrypted-key" in told:
        raise Refused(PROTECTED)
    if found.macros or any(name.startswith(("Basic/", "Scripts/")) for name in contents.names):
        raise Refused(MACROS)


def _is_macro(name: str) -> bool:
    return name.lower().replace("\\", "/").rpartition("/")[2] == "vbaproject.bin"


def _xml(data: bytes) -> str:
    """Give the text of an XML file; looking for a word in it needs no more."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    return data.decode(encoding, "replace")
