"""Forms with files (multipart/form-data, RFC 7578), read as they arrive.

A file above one mebibyte lies on disk while the request lasts, in a file without a name; nothing
is ever held in memory whole. Which parts a form has, its digest tells: two forms that differ in
nothing but their boundary are the same request.
"""

import asyncio
import base64
import contextlib
import hashlib
import re
import tempfile
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from onrecord.model import filenames
from onrecord.model.errors import Refusal, malformed, missing

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

SPOOLED: Final = 1024 * 1024
"""From how many bytes on a file lies on disk."""
TEXT_LIMIT: Final = 1024 * 1024
"""How many bytes the text fields may have together, and the frame around all parts."""
PARTS_MOST: Final = 100
STALLED_SECONDS: Final = 60
"""How long a client may send nothing."""
UPLOAD_SECONDS: Final = 3600
"""How long a client may take for the whole form."""

_FORM: Final = re.compile(rb"multipart/form-data\s*;", re.IGNORECASE)
_OPTION: Final = re.compile(rb';\s*([\w*]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)')
_EXTENDED: Final = re.compile(rb"(utf-8|iso-8859-1)'[^']*'([^']*)", re.IGNORECASE)
_ENCODED_WORD: Final = re.compile(rb"=\?utf-8\?b\?([a-z0-9+/]+=*)\?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limits:
    """Which fields are files, and how many bytes one of them may have."""

    files: tuple[str, ...]
    file_bytes: int
    directory: str | None = None
    """Where large files lie while the request lasts; None: where the system puts such files."""

    @property
    def body_bytes(self) -> int:
        """How many bytes the form may have."""
        return len(self.files) * self.file_bytes + TEXT_LIMIT


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form; it is gone when the request has been answered."""

    filename: str
    """As the sender says, made harmless (`filenames.cleaned`); may be empty."""
    content_type: str
    """As the sender says: believe nothing of it."""
    size: int
    sha256: str
    file: IO[bytes]
    """Stands at its beginning."""
    crc32: int = 0


def _let_go(file: IO[bytes]) -> None:
    """Close a file; on a full disk what was not written yet fails once more, and is not missed."""
    with contextlib.suppress(OSError):
        file.close()


@dataclass(slots=True)
class Form:
    """The parts of a form."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    """The texts, as a query string would have them."""
    files: dict[str, Upload] = field(default_factory=dict)
    digest: bytes = b""
    """Tells two forms apart: SHA-256 over names, kinds and contents, in their order."""

    def close(self) -> None:
        """Let go of the files."""
        for upload in self.files.values():
            _let_go(upload.file)


def is_form(content_type: bytes | None) -> bool:
    """Whether a content type is that of a form that can be read."""
    return bool(content_type and _FORM.match(content_type))


async def read_form(
    receive: Callable[[], Awaitable[Any]], headers: Mapping[bytes, bytes], limits: Limits
) -> Form:
    """Read a form to its end; the caller closes it.

    RB026: another content type. RB001: no form, or one that ends early or stalls. RB002: a file is
    missing. RB003: a part has no name, is given twice, is a file where a text belongs or the other
    way round, or is no UTF-8. RB016: a file is too large. RB024: the rest is. RX503: no room.
    """
    kind = headers.get(b"content-type", b"")
    if not _FORM.match(kind):
        raise Refusal("RB026", "The content type must be multipart/form-data")
    boundary = parse_options_header(kind)[1].get(b"boundary")
    if not boundary:
        raise Refusal("RB001", "The content type names no boundary")
    reading = _Reading(limits)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            await _read(receive, reading, boundary)
        return reading.whole()
    except TimeoutError:
        reading.close()
        raise Refusal("RB001", "The body did not arrive in time") from None
    except OSError as error:
        reading.close()
        raise Refusal("RX503", "There is no room for the file") from error
    except BaseException:
        reading.close()
        raise


async def _read(
    receive: Callable[[], Awaitable[Any]], reading: "_Reading", boundary: bytes
) -> None:
    try:
        # It limits the headers of a part by itself; how much may follow, `reading` knows.
        parser = MultipartParser(boundary, reading.callbacks)
        more = True
        while more:
            async with asyncio.timeout(STALLED_SECONDS):
                message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal("RB001", "The body ended early")
            parser.write(message.get("body", b""))
            reading.took(len(message.get("body", b"")))
            more = message.get("more_body", False)
        parser.finalize()
    except MultipartParseError as error:
        raise Refusal("RB001", "The body is not a form") from error


@dataclass(slots=True)
class _Part:
    """The part that is being read."""

    name: str = ""
    filename: str | None = None
    content_type: str = ""
    size: int = 0
    text: bytearray = field(default_factory=bytearray)
    file: IO[bytes] | None = None
    crc32: int = 0
    hashed: Any = field(default_factory=hashlib.sha256)


class _Reading:
    """Takes what the parser finds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._form = Form()
        self._parts: list[tuple[str, str | None, str, str]] = []
        self._part = _Part()
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._left = TEXT_LIMIT
        self._received = 0
        self._ended = False
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def took(self, size: int) -> None:
        """Count what arrived, after a file that is too large was named as such."""
        self._received += size
        if self._received > self._limits.body_bytes:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        return Refusal("RB024", f"At most {self._limits.body_bytes} bytes are taken")

    def whole(self) -> Form:
        """Give the form, when all of it is here."""
        if not self._ended:
            raise Refusal("RB001", "The form ends early")
        for name in self._limits.files:
            if name not in self._form.files:
                raise missing(name)
        self._form.digest = hashlib.sha256(msgspec.json.encode(self._parts)).digest()
        return self._form

    def close(self) -> None:
        """Let go of what was read."""
        if self._part.file is not None:
            _let_go(self._part.file)
        self._form.close()

    # -- what the parser calls -------------------------------------------------------------------

    def _begin(self) -> None:
        if len(self._parts) >= PARTS_MOST:
            raise Refusal("RB024", f"At most {PARTS_MOST} parts are taken")
        self._part = _Part()
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        part = self._part
        how, options = parse_options_header(self._headers.get(b"content-disposition"))
        if how != b"form-data" or not options.get(b"name"):
            raise Refusal("RB003", "A part of the form has no name")
        part.name = _text("A part's name", options[b"name"])
        part.content_type = self._headers.get(b"content-type", b"")[:255].decode("latin-1")
        filename = _filename(self._headers[b"content-disposition"], options.get(b"filename"))
        part.filename = None if filename is None else filenames.cleaned(filename)
        if part.name in self._limits.files:
            if part.name in self._form.files:
                raise malformed(part.name, "is given twice")
            part.filename = part.filename or ""
            part.file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed with the form
                max_size=SPOOLED, dir=self._limits.directory
            )
        elif part.filename is not None:
            raise malformed(part.name, "is a file; no file belongs there")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part, piece = self._part, data[start:end]
        part.size += len(piece)
        part.hashed.update(piece)
        if part.file is not None:
            if part.size > self._limits.file_bytes:
                most = self._limits.file_bytes
                raise Refusal("RB016", f"{part.name} is too large: at most {most} bytes are taken")
            part.crc32 = zlib.crc32(piece, part.crc32)
            part.file.write(piece)
            return
        self._left -= len(piece)
        if self._left < 0:
            raise self._too_large()
        part.text += piece

    def _end(self) -> None:
        part = self._part
        digest = part.hashed.hexdigest()
        self._parts.append((part.name, part.filename, part.content_type, digest))
        if part.file is not None:
            part.file.seek(0)
            self._form.files[part.name] = Upload(
                part.filename or "", part.content_type, part.size, digest, part.file, part.crc32
            )
        else:
            text = _text(part.name, bytes(part.text))
            self._form.fields.setdefault(part.name, []).append(text)
        self._part = _Part()

    def _all(self) -> None:
        self._ended = True


def _filename(header: bytes, plain: bytes | None) -> str | None:
    """Give the name of a part's file, None when it has none.

    Browsers write any name plainly. .NET and older clients in Python write `filename*` (RFC 8187),
    .NET beside an encoded word (RFC 2047) that nobody would call a file.
    """
    for name, value in _OPTION.findall(header):
        extended = (
            _EXTENDED.fullmatch(value.strip(b' \t"')) if name.lower() == b"filename*" else None
        )
        if extended:
            return unquote_to_bytes(extended[2]).decode(extended[1].decode(), "replace")
    if plain is None:
        return None
    word = _ENCODED_WORD.fullmatch(plain)
    if word:
        with contextlib.suppress(ValueError):
            plain = base64.b64decode(word[1])
    return plain.decode("utf-8", "replace")


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise malformed(name, "is not UTF-8") from None
    if "\0" in text:  # nothing that is stored holds one, and PostgreSQL takes none
        raise malformed(name, "holds a NUL character")
    return text
