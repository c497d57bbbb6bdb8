"""Which characters our fonts can draw: read from the table `cmap` of each font file.

Only what is asked for is read, and only from as many fonts as are needed: a page of English opens
one font. The forms of the table are those of the OpenType specification that fonts of today use,
4 (the first 65,536 characters) and 12 (all of them).
"""

import importlib.util
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

PACKAGES: Final = ("manimgx_fonts", "manimgx_fonts_cjk")
"""Packages that carry fonts; the second one may be missing."""
COLLECTION: Final = b"ttcf"
SEGMENTS: Final = 4
GROUPS: Final = 12

SCRIPTS: Final = (
    *("Arabic", "Hebrew", "Devanagari", "Bengali", "Gurmukhi", "Gujarati", "Oriya", "Tamil"),
    *("Telugu", "Kannada", "Malayalam", "Sinhala", "Thai", "Lao", "Khmer", "Myanmar"),
    *("Armenian", "Georgian", "Ethiopic"),
)
HAN: Final = {"zh": "SC", "ja": "JP", "ko": "KR"}
"""Which form of Han characters each language wants."""

Ranges = list[tuple[int, int]]
"""First and last character of each range, ascending."""


def directories() -> list[str]:
    """Give where the fonts lie, of the packages that are installed."""
    found = [importlib.util.find_spec(name) for name in PACKAGES]
    return [str(Path(spec.origin).parent) for spec in found if spec is not None and spec.origin]


def families() -> dict[str, list[str]]:
    """Give the names of the fonts by language, in the order in which they are tried."""
    scripts = [f"Noto Sans {script}" for script in SCRIPTS]
    usual = ["Noto Sans", *scripts, "Noto Emoji", "Noto Sans Symbols"]
    has_han = len(directories()) == len(PACKAGES)
    return {
        language: [*usual, f"Noto Sans CJK {form}"] if has_han else usual
        for language, form in HAN.items()
    }


@cache
def _fonts() -> tuple[Path, ...]:
    """Give all font files, those that draw what is written most often first."""
    files = [file for place in directories() for file in Path(place).iterdir()]
    fonts = [file for file in files if file.suffix in {".ttf", ".otf", ".ttc"}]
    return tuple(sorted(fonts, key=lambda file: (not file.name.startswith("NotoSans["), file.name)))


def missing(characters: Iterable[str]) -> set[str]:
    """Give those of the characters that no font has a glyph for."""
    left = set(characters)
    for font in _fonts():
        if not left:
            break
        ranges = _ranges(font)
        starts = [first for first, _ in ranges]
        left = {one for one in left if not _holds(ranges, starts, ord(one))}
    return left


def _holds(ranges: Ranges, starts: list[int], code: int) -> bool:
    place = bisect_right(starts, code) - 1
    return place >= 0 and code <= ranges[place][1]


@cache
def _ranges(font: Path) -> Ranges:
    return sorted(_read(font.read_bytes() if font.stat().st_size < 2**22 else _mapped(font)))


def _mapped(font: Path) -> bytes:
    """Give a large font from its beginning to the end of its `cmap`, which need not be all."""
    with font.open("rb") as file:
        head = file.read(2**16)
        start, length = _table(head)
        file.seek(0)
        return file.read(start + length)


def _table(data: bytes) -> tuple[int, int]:
    """Give where the table `cmap` of a font, or of a collection's first font, stands."""
    at = struct.unpack_from(">I", data, 12)[0] if data[:4] == COLLECTION else 0
    (count,) = struct.unpack_from(">H", data, at + 4)
    for number in range(count):
        tag, _, offset, length = struct.unpack_from(">4sIII", data, at + 12 + 16 * number)
        if tag == b"cmap":
            return offset, length
    raise LookupError("a font without a table of characters")


def _read(data: bytes) -> Iterator[tuple[int, int]]:
    table, _ = _table(data)
    (count,) = struct.unpack_from(">H", data, table + 2)
    forms = {}
    for number in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", data, table + 4 + 8 * number)
        if platform == 0 or (platform, encoding) in {(3, 1), (3, 10)}:
            at = table + offset
            forms[struct.unpack_from(">H", data, at)[0]] = at
    if GROUPS in forms:
        yield from _groups(data, forms[GROUPS])
    elif SEGMENTS in forms:
        yield from _segments(data, forms[SEGMENTS])


def _groups(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">I", data, at + 12)
    for number in range(count):
        first, last, glyph = struct.unpack_from(">III", data, at + 16 + 12 * number)
        # A group that begins with glyph 0 begins with a character that has none.
        yield (first + 1 if glyph == 0 else first), last


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    (double,) = struct.unpack_from(">H", data, at + 6)
    count = double // 2
    ends = struct.unpack_from(f">{count}H", data, at + 14)
    starts = struct.unpack_from(f">{count}H", data, at + 16 + double)
    deltas = struct.unpack_from(f">{count}H", data, at + 16 + 2 * double)
    places = at + 16 + 3 * double
    offsets = struct.unpack_from(f">{count}H", data, places)
    for number, (first, last) in enumerate(zip(starts, ends, strict=True)):
        for code in range(first, last + 1):
            glyph = code
            if offsets[number]:
                place = places + 2 * number + offsets[number] + 2 * (code - first)
                if place + 2 > len(data):
                    continue
                (glyph,) = struct.unpack_from(">H", data, place)
                if not glyph:
                    continue
            if (glyph + deltas[number]) & 0xFFFF:
                yield code, code
