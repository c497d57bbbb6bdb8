"""One sheet: some pages of a transcript, set by typst. Runs in the child process.

The argument says what stands on it, as `domain.transcript_sheets` makes it. Texts reach typst as
data and never as markup: the template shows strings, and whatever a message holds stays a string.
"""

import json
from pathlib import Path
from typing import IO, Any, Final

import typst

from onrecord.outside.typst import glyphs, shown

HERE: Final = Path(__file__).parent
TEMPLATE: Final = "transcript.typ"

AS_IT_IS: Final = frozenset({"text", "digest", "time", "number", "script", "kind"})
"""Fields in which no line is broken: facts that are short, and texts, which have paragraphs."""


def main(argument: dict[str, Any], _files: list[IO[bytes]]) -> bytes:
    """Give the PDF of a sheet."""
    return set_pages(TEMPLATE, prepared(argument), argument["at"])


def set_pages(template: str, value: dict[str, Any], at: int) -> bytes:
    """Set pages from a template and what stands on them, made at a moment (seconds since 1970).

    The same value gives the same bytes. Tags would double the memory, and are lost when sheets
    are bound together.
    """
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=list(glyphs.directories()),
    )
    compiler = typst.Compiler(
        str(HERE / template),
        root=str(HERE),
        font_paths=fonts,
        ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(value | {"fonts": glyphs.families()}, ensure_ascii=False)},
        package_path="/nowhere",
        package_cache_path="/nowhere",
    )
    pages = compiler.compile(format="pdf", timestamp=at, pdf_tags=False)
    if not isinstance(pages, bytes):
        raise TypeError("a PDF is one file")
    return pages


def prepared(value: dict[str, Any]) -> dict[str, Any]:
    """Give what stands on a sheet as the template takes it."""
    found: dict[str, Any] = visible(value)
    for item in found["items"]:
        text = item.pop("text", None)
        if text is not None:
            item["paragraphs"] = shown.paragraphs(text)
            item["script"] = shown.script_of(text)
    return found


def visible(value: Any) -> Any:
    """Give a value with nothing in its texts that could not be seen."""
    return _visible(value, shown.unseen(value))


def _visible(value: Any, seen: dict[int, str], field: str = "") -> Any:
    if isinstance(value, str):
        plain = value.translate(seen)
        return plain if field in AS_IT_IS else shown.line(plain)
    if isinstance(value, dict):
        return {name: _visible(one, seen, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_visible(one, seen, field) for one in value]
    return value
