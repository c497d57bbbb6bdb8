"""Files as spreadsheets write them: encodings, separators, headers, quotes, what is no CSV."""

import csv
import io

import pytest

from onrecord.domain import import_files
from onrecord.domain.import_files import KINDS, Sheet
from onrecord.model import sheets
from onrecord.model.errors import Refusal

CLIENTS = KINDS["clients"]
ROWS = [
    ["First Name", "Last Name", "E-Mail", "Shoe size"],
    ["Zoë", 'O\'Hara "the elder"', "zoe@example.com", "38"],
    ["", " ", "", ""],
    ["Two\nlines", "A, B; C\tD", "two@example.com", ""],
]
ENCODINGS = {
    "utf-8": "utf-8",
    "utf-8 with its mark": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16, the other way round": "utf-16-be",
    "windows": "cp1252",
}


def written(separator: str, encoding: str, end: str = "\r\n") -> bytes:
    text = io.StringIO()
    quoted = "excel" if end != "\r" else "unix"  # the first leaves a bare line feed unquoted
    csv.writer(text, quoted, delimiter=separator, lineterminator=end).writerows(ROWS)
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    return mark + text.getvalue().encode(encoding)


def read(data: bytes | str, kind: str = "clients") -> Sheet:
    data = data.encode() if isinstance(data, str) else data
    return import_files.read(KINDS[kind], io.BytesIO(data))


def refusal(data: bytes | str, kind: str = "clients") -> str:
    with pytest.raises(Refusal) as caught:
        list(read(data, kind).rows)
    return f"{caught.value.code} {caught.value.detail}"


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("separator", ",;\t", ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"], ids=["crlf", "lf", "cr"])
def test_a_file_is_read_however_a_spreadsheet_wrote_it(
    encoding: str, separator: str, end: str
) -> None:
    sheet = read(written(separator, encoding, end))
    rows = list(sheet.rows)
    assert sheet.unknown == ["Shoe size"]
    assert [row.cells for row in rows] == [
        {
            "first_name": "Zoë",
            "last_name": 'O\'Hara "the elder"',
            "primary_email": "zoe@example.com",
        },
        {
            "first_name": "Two\nlines",
            "last_name": "A, B; C\tD",
            "primary_email": "two@example.com",
        },
    ]
    assert [row.line for row in rows] == [2, 4], "a blank line counts, as an editor counts it"


def test_the_line_that_names_the_separator_is_obeyed() -> None:
    (row,) = read("sep=|\r\nFirst Name|Email\r\nA;B,C|a@example.com\r\n").rows
    assert row.cells == {"first_name": "A;B,C", "primary_email": "a@example.com"}
    assert row.line == 3


def test_headings_are_known_by_many_names_in_any_case_and_order() -> None:
    headings = " E-MAIL ;surname;FIRST_NAME;mobile number;Client Team(s);Team UUID;external id;role"
    (row,) = read(f"{headings}\na@example.com;B;A;+44;t1;u;X-1;partner\n").rows
    assert row.cells == {
        "primary_email": "a@example.com",
        "last_name": "B",
        "first_name": "A",
        "primary_phone_number": "+44",
        "group_identifiers": "t1",
        "group_uuids": "u",
        "identifier": "X-1",
        "profile": "partner",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_of_a_kind_is_a_file_of_that_kind_without_rows(kind: str) -> None:
    template = import_files.template(KINDS[kind])
    sheet = read(template, kind)
    assert template.startswith(b"\xef\xbb\xbf")
    assert not sheet.unknown
    assert not list(sheet.rows)


def test_the_columns_stand_where_files_for_the_original_have_them() -> None:
    headings = {
        kind: import_files.template(KINDS[kind]).decode("utf-8-sig").strip().split(",")
        for kind in KINDS
    }
    assert headings["clients"][6] == "Group Identifier(s)"
    assert headings["groups"][5] == "Staff Email(s)"
    assert headings["group_members"][:2] == ["Group UUID", "Entity Member UUID"]


def test_a_formula_is_text_and_comes_in_again_as_it_went_out() -> None:
    for text in ("=1+1", "+44123", "-5", "@me", "'quoted'", "plain"):
        out = sheets.lines([["First Name", "Email"], [text, "a@example.com"]])
        (row,) = read(out).rows
        assert row.cells["first_name"] == text
    for sign in "=+-@\t\r\n＝＋－＠":  # noqa: RUF001 - spreadsheets take the wide ones as well
        assert sheets.cell(f"{sign}1+1") == f"'{sign}1+1"
    assert sheets.cell("plain") == "plain"


def test_a_row_that_is_longer_than_the_header_says_so() -> None:
    long, empty = read("First Name,Email\nA,a@example.com,more\nB,b@example.com,,\n").rows
    assert long.has_more
    assert not empty.has_more


def test_what_is_no_file_of_the_kind_is_refused_in_words() -> None:
    assert refusal("").startswith("RB003 file is empty")
    assert refusal("\n\n").startswith("RB003 file is empty")
    assert "RB003 file has no column First Name" in refusal("Last Name,Email\n")
    assert "RB003 file has no column Email" in refusal("First Name\nA\n")
    assert "RB003 file has the column Email twice" in refusal("First Name,Email,e-mail\n")
    assert "RB003 file has 201 columns" in refusal("x," * 200 + "x\n")
    assert "Group UUID or Group Identifier" in refusal("Email\n", "group_members")
    assert refusal(b"PK\x03\x04rest").startswith("RB016 file is a spreadsheet")
    assert "no CSV from line 2" in refusal('First Name,Email\nA,"never ends\n')
    assert "no CSV from line 2" in refusal(f"First Name,Email\nA,{'x' * 200_000}\n")
    assert "line 3 holds a NUL" in refusal("First Name,Email\nA,a@b\nB\0,b@b\n")
    assert "line 1 holds a NUL" in refusal("First Name,Email\nA,a@b\n".encode("utf-16-le"))
    with pytest.raises(Refusal, match="kind is none of"):
        import_files.kind_of("chats")


def test_a_file_is_left_open_for_whoever_gave_it() -> None:
    file = io.BytesIO(b"First Name,Email\nA,a@example.com\n")
    list(import_files.read(CLIENTS, file).rows)
    assert not file.closed
