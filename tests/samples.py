"""Files as people send them, one of each type, and files made to do harm; all made here.

Nothing here is a file of the repository that a scanner on somebody's machine could object to.
"""

import functools
import io
import struct
import wave
import zipfile
import zlib
from collections.abc import Mapping

import pikepdf
from msoffcrypto.format import ooxml  # type: ignore[import-untyped]  # it has no types
from PIL import Image

OFFICE = "application/vnd.openxmlformats-officedocument"
MAINS = {
    "docx": f"{OFFICE}.wordprocessingml.document.main+xml",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet.main+xml",
    "pptx": f"{OFFICE}.presentationml.presentation.main+xml",
    "docm": "application/vnd.ms-word.document.macroEnabled.main+xml",
    "xlsm": "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    "pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml",
}
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
ODF = "application/vnd.oasis.opendocument"


def eicar() -> bytes:
    """Give what scanners call malware by agreement; put together, so that none finds it here."""
    begin = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$"
    return begin + b"-".join((b"EICAR", b"STANDARD", b"ANTIVIRUS", b"TEST", b"FILE!$H+H*"))


# -- archives ------------------------------------------------------------------------------------


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def flagged(archive: bytes, *, local: int = 0, central: int = 0) -> bytes:
    """Set flags of every entry of an archive, such as that it is encrypted."""
    data = bytearray(archive)
    for mark, at, flags in ((b"PK\x03\x04", 6, local), (b"PK\x01\x02", 8, central)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] |= flags
            place = data.find(mark, place + 1)
    return bytes(data)


def overlapping() -> bytes:
    """Give an archive in which two names share the data of one."""
    data = bytearray(zipped({"a": bytes(100_000), "b": b"x"}))
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 1)
    end = data.index(b"PK\x05\x06")
    entry = bytearray(data[first:second])
    entry[46:47] = b"b"  # the name
    return zip_of(bytes(data[:first]), bytes(data[first:second]) + bytes(entry), bytes(data[end:]))


def zip_of(before: bytes, directory: bytes, end: bytes) -> bytes:
    """Put an archive together, with the end of its directory told anew."""
    count = directory.count(b"PK\x01\x02")
    told = struct.pack("<HHII", count, count, len(directory), len(before))
    return before + directory + end[:8] + told + end[20:]


def claiming(archive: bytes, size: int) -> bytes:
    """Give an archive of one file that says to have another size unpacked than it has."""
    data = bytearray(archive)
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(mark) + at, size)
    return bytes(data)


# -- documents -----------------------------------------------------------------------------------


def pdf(pages: int = 1, *, encryption: pikepdf.Encryption | None = None) -> bytes:
    out = io.BytesIO()
    with pikepdf.new() as document:
        for _ in range(pages):
            document.add_blank_page(page_size=(595, 842))
        document.save(out, encryption=encryption or False)
    return out.getvalue()


def office(ending: str, **more: bytes) -> bytes:
    """Give a document of Office Open XML; `more` are further files by name."""
    types = f'<Types xmlns="{TYPES}"><Override ContentType="{MAINS[ending]}"/></Types>'
    files = {"[Content_Types].xml": types.encode(), "_rels/.rels": b"<Relationships/>"}
    return zipped({**files, "main.xml": b"<main/>", **more})


def office_with_password() -> bytes:
    out = io.BytesIO()
    plain = ooxml.OOXMLFile(io.BytesIO(office("docx")))
    plain.encrypt("quay", out)
    return out.getvalue()


def open_document(kind: str, *, encrypted: bool = False) -> bytes:
    out = io.BytesIO()
    inner = "<encryption-data/>" if encrypted else ""
    manifest = f'<manifest><file-entry full-path="content.xml">{inner}</file-entry></manifest>'
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", f"{ODF}.{kind}")
        archive.writestr("content.xml", "<content/>", zipfile.ZIP_DEFLATED)
        archive.writestr("META-INF/manifest.xml", manifest, zipfile.ZIP_DEFLATED)
    return out.getvalue()


SECTOR = 512
NO_ENTRY = 0xFFFFFFFF
END_OF_CHAIN = 0xFFFFFFFE
FAT = 0xFFFFFFFD


def ole(streams: Mapping[str, bytes], storages: tuple[str, ...] = ()) -> bytes:
    """Give an OLE file with these streams and empty storages ([MS-CFB])."""
    sectors: list[bytes] = []
    chains: list[int] = []
    entries = [("Root Entry", 5, END_OF_CHAIN, 0)]
    for name, data in streams.items():
        whole = data.ljust(4096, b"\0")  # a shorter stream would lie somewhere else
        count = -(-len(whole) // SECTOR)
        entries.append((name, 2, len(sectors), len(whole)))
        chains += [*range(len(sectors) + 1, len(sectors) + count), END_OF_CHAIN]
        sectors += [
            whole[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(whole), SECTOR)
        ]
    entries += [(name, 1, 0, 0) for name in storages]
    directory = b"".join(_entry(number, len(entries), *one) for number, one in enumerate(entries))
    begins = len(sectors)
    pieces = [directory[at : at + SECTOR] for at in range(0, len(directory), SECTOR)]
    chains += [*range(begins + 1, begins + len(pieces)), END_OF_CHAIN, FAT]
    sectors += [piece.ljust(SECTOR, b"\0") for piece in pieces]
    table = len(sectors)
    sectors.append(struct.pack(f"<{len(chains)}I", *chains).ljust(SECTOR, b"\xff"))
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIIII",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 62, 3, 0xFFFE, 9, 6, b""),
        *(0, 1, begins, 0, 4096, END_OF_CHAIN, 0, END_OF_CHAIN, 0, table),
    )
    return header.ljust(SECTOR, b"\xff") + b"".join(sectors)


def _entry(number: int, count: int, name: str, kind: int, begin: int, size: int) -> bytes:
    """Give an entry of the directory; each hangs on the right of the one before."""
    following = number + 1 if 0 < number < count - 1 else NO_ENTRY
    child = 1 if number == 0 and count > 1 else NO_ENTRY
    words = name.encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sI8s8sIQ",
        *(words, len(words) + 2, kind, 1, NO_ENTRY, following, child),
        *(b"", 0, b"", b"", begin, size),
    )


def doc(*, encrypted: bool = False) -> bytes:
    flags = 0x0100 if encrypted else 0
    return ole({"WordDocument": struct.pack("<HHHHHH", 0xA5EC, 193, 0, 0, 0, flags)})


def xls(*, encrypted: bool = False) -> bytes:
    begin = struct.pack("<HH", 0x809, 8) + bytes(8)
    locked = struct.pack("<HHH", 0x2F, 2, 1) if encrypted else b""
    return ole({"Workbook": begin + locked + struct.pack("<HH", 0x0A, 0)})


def ppt(*, encrypted: bool = False) -> bytes:
    token = 0xF3D1C4DF if encrypted else 0xE391C05F
    user = struct.pack("<HHIII", 0, 0x0FF6, 20, 20, token)
    return ole({"Current User": user, "PowerPoint Document": b"slides"})


# -- pictures, sound and film --------------------------------------------------------------------


def picture(form: str, size: tuple[int, int] = (64, 48), colour: str = "teal") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, form)
    return out.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """Give a picture that says how large it is, and holds next to nothing."""
    data = bytearray(picture("PNG"))
    struct.pack_into(">II", data, 16, width, height)
    checked = bytes(data[12:29])
    struct.pack_into(">I", data, 29, zlib.crc32(checked))
    return bytes(data)


def media(brand: bytes, *others: bytes) -> bytes:
    """Give the beginning of an ISO media file."""
    brands = b"".join(others)
    box = b"ftyp" + brand + bytes(4) + brands
    return struct.pack(">I", len(box) + 4) + box + struct.pack(">I4s", 16, b"mdat") + bytes(8)


def heic(width: int = 4032, height: int = 3024) -> bytes:
    told = struct.pack(">I4sIII", 20, b"ispe", 0, width, height)
    return media(b"heic", b"mif1", b"heic") + told


def wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return out.getvalue()


@functools.cache
def honest() -> dict[str, tuple[bytes, str]]:
    """Give a file of each type by its name, with its content type."""
    return {
        "letter.pdf": (pdf(), "application/pdf"),
        **{f"a.{ending}": (office(ending), mime) for ending, mime in OFFICE_TYPES.items()},
        "a.odt": (open_document("text"), f"{ODF}.text"),
        "a.ods": (open_document("spreadsheet"), f"{ODF}.spreadsheet"),
        "a.odp": (open_document("presentation"), f"{ODF}.presentation"),
        "a.doc": (doc(), "application/msword"),
        "a.xls": (xls(), "application/vnd.ms-excel"),
        "a.ppt": (ppt(), "application/vnd.ms-powerpoint"),
        "a.msg": (ole({"__properties_version1.0": b""}), "application/vnd.ms-outlook"),
        "a.rtf": (rb"{\rtf1 Hello}", "application/rtf"),
        "a.txt": ("Grüße\r\n".encode(), "text/plain"),
        "a.log": ("wide".encode("utf-16"), "text/plain"),
        "a.csv": ("name;město\nJanůžek".encode("cp1250"), "text/csv"),
        "a.tsv": ("\ufeffa\tb".encode(), "text/tab-separated-values"),
        "a.md": ("# 見出し".encode("shift_jis"), "text/markdown"),
        "a.ics": (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "text/calendar"),
        "a.vcf": (b"BEGIN:VCARD\r\nEND:VCARD\r\n", "text/vcard"),
        "a.eml": (b"Subject: Hello\r\n\r\nHello", "message/rfc822"),
        "a.jpg": (picture("JPEG"), "image/jpeg"),
        "a.JPEG": (picture("JPEG"), "image/jpeg"),
        "a.png": (picture("PNG"), "image/png"),
        "a.gif": (picture("GIF"), "image/gif"),
        "a.webp": (picture("WEBP"), "image/webp"),
        "a.tif": (picture("TIFF"), "image/tiff"),
        "a.tiff": (picture("TIFF"), "image/tiff"),
        "a.bmp": (picture("BMP"), "image/bmp"),
        "a.heic": (heic(), "image/heic"),
        "a.heif": (heic(), "image/heic"),
        "a.avif": (picture("AVIF"), "image/avif"),
        "a.mp3": (b"ID3\x04\x00" + bytes(100), "audio/mpeg"),
        "a.m4a": (media(b"M4A ", b"isom"), "audio/mp4"),
        "a.wav": (wav(), "audio/wav"),
        "a.ogg": (b"OggS\0\x02" + bytes(50), "audio/ogg"),
        "a.oga": (b"OggS\0\x02" + bytes(50), "audio/ogg"),
        "a.opus": (b"OggS\0\x02" + bytes(50), "audio/ogg"),
        "a.flac": (b"fLaC" + bytes(50), "audio/flac"),
        "a.mp4": (media(b"isom", b"avc1"), "video/mp4"),
        "a.m4v": (media(b"M4V ", b"isom"), "video/mp4"),
        "a.mov": (media(b"qt  "), "video/quicktime"),
        "a.webm": (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm"),
        "a.zip": (zipped({"letters/a.txt": b"hello", "b.docx": office("docx")}), "application/zip"),
    }


OFFICE_TYPES = {
    "docx": f"{OFFICE}.wordprocessingml.document",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet",
    "pptx": f"{OFFICE}.presentationml.presentation",
    "docm": "application/vnd.ms-word.document.macroEnabled.12",
    "xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    "pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
}
