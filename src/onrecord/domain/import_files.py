"""What stands in a file that is to be imported: its encoding, its separator, its columns, its rows.

Files come out of spreadsheets: as UTF-8 or UTF-16 with the mark that tells so, as UTF-8 without
one, or in the encoding of Windows; with commas, semicolons or tabs. All of that is found out from
the file itself. A file is read as a stream, once to find out its encoding and once for its rows.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO, Final, NamedTuple

from onrecord.model import sheets
from onrecord.model.errors import Refusal, malformed

FILE_LIMIT: Final = 200 * 1024 * 1024
"""The largest file, in bytes."""
PIECE: Final = 2**18
"""Bytes looked at in one go."""
COLUMNS_MOST: Final = 200
SEPARATORS: Final = ",;\t"
_SEPARATOR_LINE: Final = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WINDOWS: Final = "cp1252"


class Column(NamedTuple):
    """A column: the field it fills, its heading in our template, and what else it may be called."""

    field: str
    heading: str
    synonyms: tuple[str, ...] = ()
    in_template: bool = True


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a kind of file may hold; of each group of fields one column must be there."""

    name: str
    columns: tuple[Column, ...]
    needs: tuple[tuple[str, ...], ...]


_GROUP_IDENTIFIER: Final = (
    "group identifier",
    "group identifiers",
    "group identifier(s)",
    "client team",
    "client team(s)",
    "client teams",
    "client team identifier",
    "client team identifier(s)",
    "team identifier",
)
_GROUP_UUID: Final = (
    "group uuids",
    "group uuid(s)",
    "client team uuid",
    "client team uuid(s)",
    "team uuid",
)
_MEMBER_UUID: Final = ("entity member uuid", "member uuid", "entity user xref uuid", "user uuid")
_PEOPLE: Final = (
    Column("first_name", "First Name", ("firstname", "given name", "forename")),
    Column("last_name", "Last Name", ("lastname", "surname", "family name")),
    Column("job_title", "Job Title", ("title", "position")),
    Column("primary_email", "Email", ("primary email", "email address", "e-mail", "mail")),
    Column(
        "primary_phone_number",
        "Phone",
        ("phone number", "primary phone number", "mobile", "mobile number", "telephone"),
    ),
    Column("identifier", "Identifier", ("reference", "external id", "user identifier", "id")),
    Column("group_identifiers", "Group Identifier(s)", _GROUP_IDENTIFIER),
    Column("group_uuids", "Group UUID(s)", ("group uuid", *_GROUP_UUID)),
    Column("profile", "Role", ("profile", "enum profile id"), in_template=False),
)
_NAMED: Final = (("first_name",), ("primary_email",))

KINDS: Final[Mapping[str, FileKind]] = {
    kind.name: kind
    for kind in (
        FileKind(
            "staff",
            _PEOPLE,
            _NAMED,
        ),
        FileKind(
            "clients",
            _PEOPLE,
            _NAMED,
        ),
        FileKind(
            "groups",
            (
                Column("name", "Group Name", ("name", "client team", "client team name", "team")),
                Column("identifier", "Group Identifier", ("identifier", *_GROUP_IDENTIFIER)),
                Column("description", "Description"),
                Column("staff_identifiers", "Staff Identifier(s)", ("staff identifier",)),
                Column("staff_uuids", "Staff UUID(s)", ("staff uuid",)),
                Column("staff_emails", "Staff Email(s)", ("staff email", "staff", "emails")),
            ),
            (("name",),),
        ),
        FileKind(
            "group_members",
            (
                Column("group_uuid", "Group UUID", _GROUP_UUID),
                Column("member_uuid", "Entity Member UUID", _MEMBER_UUID),
                Column("group_identifier", "Group Identifier", _GROUP_IDENTIFIER),
                Column("identifier", "Identifier", ("member identifier", "user identifier")),
                Column("primary_email", "Email", ("primary email", "email address", "e-mail")),
            ),
            (
                ("group_uuid", "group_identifier"),
                ("member_uuid", "identifier", "primary_email"),
            ),
        ),
    )
}
"""Every kind of file."""


class Row(NamedTuple):
    """A row: the line on which it begins, what stands in the known columns, and if it is longer."""

    line: int
    cells: dict[str, str]
    has_more: bool
    """Whether there is something beyond the columns of the header."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file whose header has been understood; its rows can be taken once."""

    kind: FileKind
    unknown: list[str]
    """Headings that mean nothing here."""
    rows: Iterator[Row]


def kind_of(name: str) -> FileKind:
    """Give a kind of file by its name (RB003)."""
    if name not in KINDS:
        raise malformed("kind", f"is none of {', '.join(KINDS)}")
    return KINDS[name]


def template(kind: FileKind) -> bytes:
    """Give an empty file of a kind: the header, in the form that spreadsheets open rightly."""
    return sheets.header([one.heading for one in kind.columns if one.in_template])


def read(kind: FileKind, file: IO[bytes]) -> Sheet:
    """Understand a file as far as its header.

    RB003: it is empty, a column that is needed is missing or named twice, or (while its rows are
    taken) it is no CSV or holds a NUL character. RB016: it is a spreadsheet's own format.
    """
    encoding = _encoding(file)
    text = io.TextIOWrapper(_Kept(file), encoding, errors="replace", newline="")
    first = text.readline()
    told = _SEPARATOR_LINE.fullmatch(first.strip("\r\n"))
    before = 1 if told else 0
    if told:
        first = text.readline()
    reader = csv.reader(
        chain([first], text), delimiter=told[1] if told else _separator(first), strict=True
    )
    lines = _lines(reader, before)
    _, header = next(lines, (1, []))
    fields, unknown = _fields(kind, header)
    return Sheet(kind, unknown, _rows(lines, fields))


class _Kept(io.BufferedReader):
    """Reads a file that somebody else closes."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(_Raw(file))


class _Raw(io.RawIOBase):
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int] | bytearray") -> int:  # type: ignore[override]  # the type of buffers has no name before 3.12
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _encoding(file: IO[bytes]) -> str:
    """Find out how a file is encoded, and stand at its beginning again."""
    head = file.read(4)
    file.seek(0)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Refusal("RB016", "file is a spreadsheet; save it as CSV")
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _WINDOWS
    finally:
        file.seek(0)
    return "utf-8"


def _separator(header: str) -> str:
    """Give what separates the headings: whichever stands there most often outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count)


def _lines(reader: Iterator[list[str]], before: int) -> Iterator[tuple[int, list[str]]]:
    """Give rows with the line on which each begins; blank ones are passed over."""
    begins = before + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise malformed("file", f"is no CSV from line {begins} on: {error}") from None
        line, begins = begins, before + reader.line_num + 1  # type: ignore[attr-defined]  # a csv.reader
        if any("\0" in cell for cell in cells):  # PostgreSQL could not even look for it
            raise malformed("file", f"is no text: line {line} holds a NUL character")
        if any(cell.strip() for cell in cells):
            yield line, cells


def _plain(heading: str) -> str:
    return re.sub(r"[\s_]+", " ", heading.strip().strip("*").strip().casefold())


def _fields(kind: FileKind, header: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """Give the field of each column, None for those unknown, and the headings of these."""
    if not header:
        raise malformed("file", "is empty; its first line must name the columns")
    if len(header) > COLUMNS_MOST:
        raise malformed("file", f"has {len(header)} columns, at most {COLUMNS_MOST} are taken")
    names = {
        _plain(name): column.field
        for column in reversed(kind.columns)
        for name in (*column.synonyms, column.field, column.heading)
    }
    fields = [names.get(_plain(heading)) for heading in header]
    headings = {column.field: column.heading for column in kind.columns}
    known = [field for field in fields if field is not None]
    for field in known:
        if known.count(field) > 1:
            raise malformed("file", f"has the column {headings[field]} twice")
    for needed in kind.needs:
        if not set(needed) & set(known):
            wanted = " or ".join(headings[field] for field in needed)
            raise malformed("file", f"has no column {wanted}; its first line must name the columns")
    unknown = [
        heading.strip()[:100]
        for heading, field in zip(header, fields, strict=True)
        if field is None and heading.strip()
    ]
    return fields, unknown


def _rows(lines: Iterator[tuple[int, list[str]]], fields: Sequence[str | None]) -> Iterator[Row]:
    for line, cells in lines:
        found = {
            field: sheets.plain(cell.strip())
            for field, cell in zip(fields, cells, strict=False)
            if field is not None
        }
        yield Row(line, found, any(cell.strip() for cell in cells[len(fields) :]))
