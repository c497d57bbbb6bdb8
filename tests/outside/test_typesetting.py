"""Setting type: what is drawn and what not, the direction of paragraphs, binding, limits."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no types

from onrecord.outside import typesetting
from onrecord.outside.limited import Failed, Limits, TooMuch
from onrecord.outside.spool import FileSpool
from onrecord.outside.typesetting import ChildTypesetter
from onrecord.outside.typst import binding, glyphs, sheet, shown

AT = 1_790_000_000


def message(text: str, **more: Any) -> dict[str, Any]:
    """A message as it stands on a sheet."""
    return {
        "kind": "message",
        "number": "1",
        "time": "10:00:00",
        "author": "Anna",
        "role": "Staff",
        "text": text,
        **more,
    }


def sheet_of(*items: dict[str, Any]) -> dict[str, Any]:
    """A sheet without a first page."""
    return {"title": "Title", "at": AT, "items": list(items)}


def text_of(pdf: bytes) -> str:
    """Give what stands on the pages, with its lines."""
    with pypdfium2.PdfDocument(pdf) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def set_whole(folder: Path, *sheets: dict[str, Any], attached: bytes = b"{}\n") -> bytes:
    """Set sheets, bind them and give the PDF."""

    async def run() -> bytes:
        job = ChildTypesetter(folder).begin()
        inside, out = FileSpool(folder), FileSpool(folder)
        inside.write(attached)
        try:
            for one in sheets:
                await job.add(one)
            about = {
                "frame": {"title": "A title", "position": "As of position 7", "origin": "o/1"},
                "at": AT,
                "attachment": {
                    "name": "records.jsonl",
                    "content_type": "application/jsonl",
                    "description": "The record",
                },
                "language": "en",
            }
            await job.bind(about, inside, out)
            return b"".join(out.pieces())
        finally:
            await job.close()
            inside.close()
            out.close()

    return asyncio.run(run())


@pytest.mark.parametrize("font", glyphs._fonts(), ids=lambda font: font.name)
def test_what_a_font_draws_is_what_others_read_in_it(font: Path) -> None:
    ours = {code for first, last in glyphs._ranges(font) for code in range(first, last + 1)}
    with TTFont(font, lazy=True, fontNumber=0) as theirs:
        assert ours == set(theirs.getBestCmap())


def test_what_no_font_draws_is_missing_and_nothing_else() -> None:
    assert glyphs.missing("aß→Ж中กא👍🏽☎") == set()
    assert glyphs.missing("a\u0f00b\U00013080") == {"\u0f00", "\U00013080"}


def test_without_the_large_fonts_han_stands_as_code_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "PACKAGES", ("manimgx_fonts", "no_such_package"))
    glyphs._fonts.cache_clear()
    try:
        assert shown.unseen({"text": "a中"}) == {0x4E2D: "\u2039U+4E2D\u203a"}
        assert not any("CJK" in name for names in glyphs.families().values() for name in names)
    finally:
        glyphs._fonts.cache_clear()


@pytest.mark.parametrize("form", [glyphs.SEGMENTS, glyphs.GROUPS])
def test_a_character_that_a_table_maps_to_nothing_is_missing(form: int) -> None:
    if form == glyphs.GROUPS:
        table = b"\0\x0c\0\0" + b"\0" * 8 + (1).to_bytes(4, "big")
        table += (65).to_bytes(4, "big") + (67).to_bytes(4, "big") + b"\0" * 4
        assert list(glyphs._groups(table, 0)) == [(66, 67)]
        return
    numbers = [4, 0, 0, 4, 0, 0, 0, 66, 0xFFFF, 0, 65, 0xFFFF, 0, 1, 4, 0, 0, 9]
    table = b"".join(number.to_bytes(2, "big") for number in numbers)
    assert list(glyphs._segments(table, 0)) == [(66, 66)]


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("one\ntwo", [["one\ntwo", False]]),
        ("one\r\n\r\ntwo", [["one\n\ntwo", False]]),
        ("שלום\nhello\n123\nمرحب", [["שלום", True], ["hello\n123", False], ["مرحب", True]]),
        ("123 שלום", [["123 שלום", True]]),
        ("…", [["…", False]]),
        ("  a  b ", [["\u00a0\u00a0a \u00a0b\u00a0", False]]),
        ("\tx", [["\u00a0\u00a0\u00a0\u00a0x", False]]),
    ],
)
def test_paragraphs_have_a_direction_and_keep_their_white_space(
    text: str, paragraphs: list[list[Any]]
) -> None:
    assert shown.paragraphs(text) == paragraphs


@pytest.mark.parametrize(
    "text", ["x" * 400, "https://example.com/" + "a/b?c=" * 30, "👨\u200d👩" * 50]
)
def test_a_long_word_may_be_broken_and_loses_nothing(text: str) -> None:
    broken = shown.line(text)
    assert broken.replace(shown.BREAK, "") == text
    assert max(map(len, broken.split(shown.BREAK))) <= shown.WORD_MOST + 2
    assert not any(one.startswith(("\u200d", "\U0001f3fd")) for one in broken.split(shown.BREAK))


def test_words_of_scripts_without_spaces_are_left_to_the_typesetter() -> None:
    assert shown.BREAK not in shown.line("ก" * 100)
    assert shown.BREAK not in shown.line("中" * 100)


@pytest.mark.parametrize(
    ("text", "language"), [("中文", "zh"), ("日本語です", "ja"), ("한국어", "ko"), ("", "zh")]
)
def test_han_is_drawn_as_the_language_of_the_text_draws_it(text: str, language: str) -> None:
    assert shown.script_of(text) == language


def test_a_page_shows_text_and_never_runs_it() -> None:
    pdf = sheet.main(sheet_of(message('#read("transcript.typ") *b* $x$ \\ // c')), [])
    assert '#read("transcript.typ") *b* $x$ \\ // c' in text_of(pdf)


def test_what_is_copied_from_a_page_is_what_was_sent() -> None:
    url = "https://example.com/" + "0123456789" * 30
    copied = text_of(sheet.main(sheet_of(message(url)), []))
    assert url in copied.replace("\r\n", "").replace("\n", "")


def test_sheets_are_bound_in_order_and_numbered(tmp_path: Path) -> None:
    sheets = [sheet_of(message(f"sheet {number}")) for number in range(5)]
    pdf = set_whole(tmp_path, *sheets, attached=b'{"a":1}\n')
    text = text_of(pdf)
    places = [text.index(f"sheet {number}") for number in range(5)]
    assert places == sorted(places)
    assert all(f"Page {number} of 5" in text for number in range(1, 6))
    assert text.count("A title") == 4  # the first page has its own
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert document.attachments["records.jsonl"].get_file().read_bytes() == b'{"a":1}\n'
        assert document.docinfo["/Title"] == "A title"
        assert document.Root.Lang == "en"
    assert pdf.endswith(b"\n%%EOF\n")
    assert set_whole(tmp_path, *sheets, attached=b'{"a":1}\n') == pdf
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_needs_too_much_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Limits(seconds=60, memory=2**20 * 20, output=2**20)
    monkeypatch.setattr(typesetting, "SHEET", small)
    long = sheet_of(*[message("x " * 5000) for _ in range(200)])
    with pytest.raises((TooMuch, Failed)):  # typst aborts where it gets no memory
        set_whole(tmp_path, *[long] * 3)
    assert list(tmp_path.iterdir()) == []


def test_the_versions_say_what_decides_about_the_bytes() -> None:
    versions = dict(ChildTypesetter(Path()).versions)
    assert all(versions.values())
    assert "manimgx-fonts-cjk" in versions["fonts"]
    assert typesetting._version("no-such-package") == ""


def test_the_child_binds_what_the_parent_describes() -> None:
    page = sheet.main(sheet_of(message("hello")), [])
    argument = {
        "sizes": [len(page)],
        "frame": {"title": "w" * 300, "position": "p", "origin": "o"},
        "at": AT,
        "attachment": {
            "name": "n.jsonl",
            "content_type": "application/jsonl",
            "description": "d",
            "date": "D:20260101000000Z",
        },
        "language": "en",
        "software": "OnRecord",
    }
    pdf = binding.main(json.loads(json.dumps(argument)), [io.BytesIO(b"{}"), io.BytesIO(page)])
    assert "hello" in text_of(pdf)
    assert shown.BREAK not in text_of(pdf)
