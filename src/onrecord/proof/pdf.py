"""As much of a PDF as is needed to find the file embedded in it (ISO 32000-1, chapter 7).

The way is the one a reader takes: the table of objects, the catalogue, the tree of embedded files,
the file. Documents with a classic table and one embedded file are understood; that is how
transcripts are written. Everything else is refused with a ValueError, never guessed at.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

_DEPTH_LIMIT: Final = 32
_STEPS_LIMIT: Final = 100_000
"""Most values read of one object; those on the way to the file have some dozens."""
_TAIL: Final = 1024
_ROW: Final = 20
"""Bytes of a row in the table of objects."""
_PIECE: Final = 2**20

_space = re.compile(rb"[\x00\t\n\x0c\r ]+|%[^\r\n]*").match
_word = re.compile(rb"[^\x00\t\n\x0c\r ()<>\[\]{}/%]+").match
_name = re.compile(rb"/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*").match
_hex = re.compile(rb"<[0-9A-Fa-f\x00\t\n\x0c\r ]*>").match
_string_mark = re.compile(rb"[()]|\\.", re.DOTALL).search
_reference = re.compile(rb"([0-9]{1,9}) ([0-9]{1,5}) R(?![A-Za-z0-9])").match
_object = re.compile(rb"([0-9]{1,9}) ([0-9]{1,5}) obj(?![A-Za-z0-9])").match
_number = re.compile(rb"[0-9]{1,15}").fullmatch
_start = re.compile(rb"startxref[\r\n]+([0-9]{1,15})[\r\n]+%%EOF\s*$").search
_table = re.compile(rb"xref[\r\n]+0 ([0-9]{1,9}) ?[\r\n]+").match
_row = re.compile(rb"([0-9]{10}) [0-9]{5} n[ \r][\r\n]").fullmatch
_stream = re.compile(rb"stream\r?\n").match


class Name(bytes):
    """A name, such as ``/Type``, with its slash."""


class Reference(NamedTuple):
    """Where a value stands that is an object of its own."""

    number: int


Value = dict[bytes, "Value"] | list["Value"] | Name | Reference | bytes
"""Strings are bytes as they were written, with their brackets; so are numbers and other words."""


class _Reader:
    """Reads values from one place of the document on."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at
        self._left = _STEPS_LIMIT

    def skip(self) -> int:
        """Step over white space and comments, and return where that leads."""
        while found := _space(self.data, self.at):
            self.at = found.end()
        return self.at

    def value(self, depth: int = _DEPTH_LIMIT) -> Value:
        """Read the next value."""
        self._left -= 1
        if not depth or not self._left:
            raise ValueError("an object is too large or nested too deep")
        at = self.skip()
        two = self.data[at : at + 2]
        if two == b"<<":
            return self._dictionary(depth)
        if two[:1] == b"[":
            return self._array(depth)
        if two[:1] == b"(":
            return self._string()
        for kind, found in ((Reference, _reference), (Name, _name), (bytes, _word), (bytes, _hex)):
            if match := found(self.data, at):
                self.at = match.end()
                return Reference(int(match[1])) if kind is Reference else kind(match[0])  # type: ignore[arg-type]  # a name or bytes
        raise ValueError(f"there is no value at byte {at}")

    def _dictionary(self, depth: int) -> dict[bytes, Value]:
        self.at += 2
        made: dict[bytes, Value] = {}
        while self.data[self.skip() : self.at + 2] != b">>":
            key = self.value(depth - 1)
            if not isinstance(key, Name) or key in made:
                raise ValueError(f"the dictionary before byte {self.at} is not in order")
            made[key] = self.value(depth - 1)
        self.at += 2
        return made

    def _array(self, depth: int) -> list[Value]:
        self.at += 1
        made: list[Value] = []
        while self.data[self.skip() : self.at + 1] != b"]":
            made.append(self.value(depth - 1))
        self.at += 1
        return made

    def _string(self) -> bytes:
        begin, open_ = self.at, 0
        while mark := _string_mark(self.data, self.at):
            self.at = mark.end()
            open_ += {b"(": 1, b")": -1}.get(mark[0], 0)
            if not open_:
                return self.data[begin : self.at]
        raise ValueError(f"the string at byte {begin} does not end")


@dataclass(frozen=True, slots=True)
class _Document:
    data: bytes
    table: int
    """Where the rows of the table begin."""
    count: int

    def object_at(self, reference: Value | None) -> tuple[Value, int]:
        """Return the value of an object, and where it ends."""
        if not isinstance(reference, Reference) or reference.number >= self.count:
            raise ValueError("something refers to an object that is not there")
        begin = self.table + _ROW * reference.number
        row = _row(self.data[begin : begin + _ROW])
        at = int(row[1]) if row else len(self.data)
        head = _object(self.data, at)
        if head is None or int(head[1]) != reference.number:
            raise ValueError(f"object {reference.number} is not where the table says")
        reader = _Reader(self.data, head.end())
        return reader.value(), reader.at

    def dictionary(self, value: Value | None) -> dict[bytes, Value]:
        """Return a dictionary, in place or an object of its own."""
        if isinstance(value, Reference):
            value, _ = self.object_at(value)
        if not isinstance(value, dict):
            raise ValueError("a dictionary is missing on the way to the embedded file")  # noqa: TRY004 - what is wrong is the document
        return value


@dataclass(frozen=True, slots=True)
class Embedded:
    """The file in a document: where its bytes stand, and whether they are deflated."""

    data: bytes
    begin: int
    size: int
    deflated: bool

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes of the file piece by piece; raises ValueError where they are damaged.

        Nothing is unpacked that is not asked for: whoever stops asking meets no bomb.
        """
        end = self.begin + self.size
        if not self.deflated:
            yield from (
                self.data[at : min(at + _PIECE, end)] for at in range(self.begin, end, _PIECE)
            )
            return
        packed = zlib.decompressobj()
        try:
            for at in range(self.begin, end, _PIECE):
                piece = packed.decompress(self.data[at : min(at + _PIECE, end)], _PIECE)
                while piece:
                    yield piece
                    piece = packed.decompress(packed.unconsumed_tail, _PIECE)
        except zlib.error as error:
            raise ValueError(f"the embedded file is damaged: {error}") from error
        if not packed.eof or packed.unused_data:
            raise ValueError("the embedded file does not end where its bytes end")


def embedded_file(data: bytes) -> tuple[bytes, Embedded]:
    """Return name and place of the one file embedded in a document.

    Raises ValueError where there is none, several, or a document of another making.
    """
    start = _start(data, max(0, len(data) - _TAIL))
    table = _table(data, int(start[1])) if start else None
    if table is None:
        raise ValueError("it has no table of objects where its end says")
    count = int(table[1])
    document = _Document(data, table.end(), count)
    trailer = _Reader(data, table.end() + _ROW * count)
    if data[trailer.skip() : trailer.at + 7] != b"trailer":
        raise ValueError("its table of objects is not followed by a trailer")
    trailer.at += 7
    root = document.dictionary(document.dictionary(trailer.value()).get(b"/Root"))
    files = document.dictionary(document.dictionary(root.get(b"/Names")).get(b"/EmbeddedFiles"))
    match files.get(b"/Names"):
        case [bytes() as name, Reference() as place] if b"/Kids" not in files:
            specification = document.dictionary(place)
        case _:
            raise ValueError("it has not exactly one embedded file")
    stream = document.dictionary(specification.get(b"/EF")).get(b"/F")
    return name, _stream_at(document, stream)


def _stream_at(document: _Document, reference: Value | None) -> Embedded:
    facts, end = document.object_at(reference)
    reader = _Reader(document.data, end)
    begin = _stream(document.data, reader.skip())
    if not isinstance(facts, dict) or begin is None or facts.get(b"/Type") != b"/EmbeddedFile":
        raise ValueError("what is named as its embedded file is none")
    length, way = facts.get(b"/Length"), facts.get(b"/Filter")
    if isinstance(way, list) and len(way) == 1:
        way = way[0]
    if way not in {None, b"/FlateDecode"} or b"/DecodeParms" in facts or b"/F" in facts:
        raise ValueError("its embedded file is packed in a way that is not known here")
    if not isinstance(length, bytes) or not _number(length):
        raise ValueError("the length of its embedded file is not stated in place")
    size = int(length)
    after = _Reader(document.data, begin.end() + size)
    if document.data[after.skip() : after.at + 9] != b"endstream":
        raise ValueError("its embedded file does not end where it says")
    return Embedded(document.data, begin.end(), size, way is not None)
