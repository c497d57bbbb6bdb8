"""How text stands on a page: as it was sent, with nothing in it that could not be seen.

- A character that no font can draw stands as its code point, such as U+1F9FF, in angle quotes. So
  do the two that turn the direction of all that follows, with which a text could be made to look
  like another.
- Each paragraph is set in its own direction, that of its first letter (Unicode's bidirectional
  algorithm, rules P2 and P3).
- White space stands as wide as it was typed, and a word wider than a line is broken.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from onrecord.outside.typst import glyphs

OVERRIDES: Final = frozenset("\u202d\u202e")
"""LEFT-TO-RIGHT OVERRIDE and RIGHT-TO-LEFT OVERRIDE."""
INVISIBLE: Final = frozenset("\t\n\r\u2028\u2029")
"""Characters that lines are made of and that no font draws."""
WORD_MOST: Final = 20
"""Characters of a word that need no place to break."""
BREAK: Final = "\x1f"
"""Here a line may be broken. No text holds this character, and the template draws nothing for it:
what is copied from the page is what was sent."""
TAB: Final = "\u00a0" * 4
_LINES: Final = re.compile("\r\n|[\n\r\u2028\u2029]")
_LONG: Final = re.compile(rf"[^\s\u00a0]{{{WORD_MOST + 1},}}")
_EDGES: Final = re.compile("^ +| +$|(?<= ) +")
_JOINER: Final = "\u200d"
_SPACELESS: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]"
)
"""Scripts in which lines are broken without spaces: typst knows where."""


def strings_of(value: Any) -> Iterator[str]:
    """Give every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings_of(one)


def unseen(value: Any) -> dict[int, str]:
    """Give what stands in place of the characters of a value that cannot be drawn."""
    characters = {one for text in strings_of(value) for one in text}
    gone = glyphs.missing(one for one in characters if not _needs_none(one))
    return {ord(one): f"\u2039U+{ord(one):04X}\u203a" for one in gone | (characters & OVERRIDES)}


def _needs_none(character: str) -> bool:
    """Whether a character is seen by what it does to others, and has no need of a glyph."""
    if character in INVISIBLE:
        return True
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return is_selector or unicodedata.category(character) == "Cf"


def line(text: str) -> str:
    """Give a name, a title or the like as one line."""
    return _broken(" ".join(_LINES.split(text)).replace("\t", " "))


def paragraphs(text: str) -> list[list[Any]]:
    """Give [text, whether it runs from right to left] of neighbouring lines of one direction."""
    found: list[list[Any]] = []
    for one in _LINES.split(text):
        turned = is_right_to_left(one)
        spaced = _EDGES.sub(lambda spaces: "\u00a0" * len(spaces[0]), one.replace("\t", TAB))
        shown = _broken(spaced)
        # An empty line belongs to what stands above it.
        if found and (turned is None or found[-1][1] == turned):
            found[-1][0] += "\n" + shown
        else:
            found.append([shown, bool(turned)])
    return found


def is_right_to_left(text: str) -> bool | None:
    """Whether the first letter is of a script that runs from right to left; None for no letter."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in {"R", "AL"}:
            return True
        if direction == "L":
            return False
    return None


def script_of(text: str) -> str:
    """Give the language whose form of Han characters a text wants: ja, ko, or zh by default."""
    for character in text:
        if "\u3040" <= character <= "\u30ff":
            return "ja"
        if "\uac00" <= character <= "\ud7af" or "\u1100" <= character <= "\u11ff":
            return "ko"
    return "zh"


def _broken(text: str) -> str:
    """Give long words places where they may be broken: after signs, else every so often."""
    if len(text) <= WORD_MOST:
        return text
    return _LONG.sub(lambda word: _breakable(word[0]), text)


def _breakable(word: str) -> str:
    if _SPACELESS.search(word):
        return word
    made: list[str] = []
    run = 0
    for number, character in enumerate(word):
        made.append(character)
        run += 1
        ends = character in "/?&=._-:,;" and run > WORD_MOST // 3
        if (ends or run >= WORD_MOST // 2) and _may_break(word, number + 1):
            made.append(BREAK)
            run = 0
    return "".join(made)


def _may_break(word: str, at: int) -> bool:
    """Whether what is seen as one character is not torn apart."""
    if at >= len(word) or _JOINER in word[at - 1 : at + 1]:
        return False
    after = word[at]
    is_flag = "\U0001f1e6" <= after <= "\U0001f1ff"
    is_tone = "\U0001f3fb" <= after <= "\U0001f3ff"
    return not (is_flag or is_tone or unicodedata.category(after) in {"Mn", "Mc", "Me", "Cf"})
