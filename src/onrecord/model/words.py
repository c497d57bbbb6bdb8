"""The words of a text, as search knows them: one function for both engines and every script.

Text is folded first: compatibility forms (NFKC), case, accents of Latin, Greek and Cyrillic, the
vowel points of Arabic and Hebrew, which are written or left out at will. Signs that are letters in
all but name, such as the vowel signs of India, stay.

A word is a run of letters, their marks and digits; whatever else stands between two words parts
them. That is finer than the boundaries of UAX #29, which keeps `example.com` and `O'Neill` whole:
here their pieces are found as well, and what is asked for without a space must be said without one
(`Term`). Scripts that put no spaces between words give every pair of neighbouring characters.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

VERSION: Final = 1
"""The version of what this module makes of a text. With another one everything is indexed anew."""
LONGEST: Final = 64
"""Characters of a word that count; longer ones are told apart by no more than these."""
NEEDED_MOST: Final = 16
"""Words of a query that the index is asked for; more are looked for in the texts found."""

# Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, Hiragana, Katakana, Han. Of their
# blocks only what is letter or mark; digits are ASCII by then.
_SPACELESS: Final = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109a-\u109d"
    "\u1780-\u17d3\u17d7\u17dc\u17dd\u3005-\u3007\u3021-\u3029\u3041-\u3096\u3099\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ef\ua9fa-\ua9fe"
    "\uaa60-\uaa76\uaa7a-\uaa7f\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_ASCII: Final = re.compile("[0-9a-z]+")
# Combining marks of Latin, Greek and Cyrillic; points and the stretching stroke of Hebrew and
# Arabic; then what is invisible within words: joiners, soft hyphens, variation selectors.
_DROPPED: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u0652\u0670"
    "\u00ad\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]"
)
_LETTERS: Final = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ħ": "h",
    "ŧ": "t",
    "\u0131": "i",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "ð": "d",
}
"""Letters whose stroke Unicode does not take for an accent, as people write them without it."""
_QUOTES: Final = re.compile('["\u201c-\u201f\u00ab\u00bb\uff02]')
_MARKS_UNTIL: Final = 0x1F000
"""No mark or digit that stands within words lies beyond."""


class _Tables(NamedTuple):
    others: dict[int, str]
    """Digits of all scripts, and the letters above."""
    pieces: re.Pattern[str]
    spaceless: re.Pattern[str]


@cache
def _tables() -> _Tables:
    """Ask Unicode once, when the first text needs it: it takes some 10 ms."""
    spaceless = re.compile(f"[{_SPACELESS}]")
    others = {ord(letter): plain for letter, plain in _LETTERS.items()}
    marks = []
    for code in range(0x80, _MARKS_UNTIL):
        category = unicodedata.category(chr(code))
        if category == "Nd":
            others[code] = str(unicodedata.decimal(chr(code)))
        elif category in {"Mn", "Mc"} and not spaceless.match(chr(code)):
            marks.append(chr(code))
    letter = f"[^\\W_{_SPACELESS}]"
    pieces = re.compile(f"[{_SPACELESS}]+|{letter}(?:{letter}|[{''.join(marks)}])*")
    return _Tables(others, pieces, spaceless)


def fold(text: str) -> str:
    """Give the form in which texts are compared."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _DROPPED.sub("", text).translate(_tables().others))


def words(text: str) -> list[str]:
    """Give the words of a text in their order.

    A run of a script without spaces gives each character with the one that follows it, the last
    one alone: 東京都 gives 東京, 京都 and 都. So each character begins exactly one of them.
    """
    if text.isascii():
        return [word[:LONGEST] for word in _ASCII.findall(text.lower())]
    found = []
    for piece in _tables().pieces.findall(fold(text)):
        if _is_spaceless(piece):
            found += [piece[at : at + 2] for at in range(len(piece))]
        else:
            found.append(piece[:LONGEST])
    return found


def _is_spaceless(word: str) -> bool:
    return word[0] > "\u0e00" and _tables().spaceless.match(word) is not None


# -- what is looked for --------------------------------------------------------------------------


class Needed(NamedTuple):
    """A word that a text must have, or how one of its words must begin."""

    word: str
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand one behind the other: a phrase, or what was typed without a space."""

    words: tuple[str, ...]
    is_open: bool = False
    """Whether the last word may go on: somebody may still be typing it."""

    def is_in(self, said: Sequence[str]) -> bool:
        """Whether a text of these words has it."""
        *whole, last = self.words
        goes_on = self.is_open or _is_lone(last)
        for at in range(len(whole), len(said)):
            fits = said[at].startswith(last) if goes_on else said[at] == last
            if fits and said[at - len(whole) : at] == whole:
                return True
        return False

    @property
    def telling(self) -> tuple[str, ...]:
        """The words but the character alone that the pair before it holds already."""
        if len(self.words) > 1 and _is_lone(self.words[-1]):
            pair = self.words[-2]
            if len(pair) > 1 and _is_spaceless(pair) and pair[1] == self.words[-1]:
                return self.words[:-1]
        return self.words


def _is_lone(word: str) -> bool:
    """Whether it is one character that, in a text, begins the pair with the next one."""
    return len(word) == 1 and _is_spaceless(word)


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for: all terms must be there."""

    terms: tuple[Term, ...]

    def needed(self) -> list[Needed]:
        """Give what the index is asked for, at most `NEEDED_MOST` words, each once."""
        return self._all_needed()[:NEEDED_MOST]

    def _all_needed(self) -> list[Needed]:
        found: dict[Needed, None] = {}
        for term in self.terms:
            last = len(term.words) - 1
            for number, word in enumerate(term.telling):
                found[_needed(word, is_open=term.is_open and number == last)] = None
        return list(found)

    @property
    def needs_look(self) -> bool:
        """Whether the index cannot tell it all: the texts that are found must be looked at."""
        is_phrase = any(len(term.telling) > 1 for term in self.terms)
        return is_phrase or len(self._all_needed()) > NEEDED_MOST

    def is_in(self, texts: Iterable[str]) -> bool:
        """Whether the texts of a message, each for itself where words follow on, have it."""
        said = [words(text) for text in texts]
        return all(any(term.is_in(one) for one in said) for term in self.terms)


def _needed(word: str, *, is_open: bool) -> Needed:
    if _is_spaceless(word):
        # A character begins the pair with the next one, whatever that is; a pair is whole.
        return Needed(word, len(word) == 1)
    return Needed(word, is_open and len(word) < LONGEST)


def parse(text: str) -> Query:
    """Read what somebody typed: words, all of which must be there, and "phrases" in quotes.

    The last word may be the beginning of a longer one, unless it stands in quotes. Nothing else
    has a meaning: what an engine takes for an operator is punctuation here. A query of no word at
    all has no terms.
    """
    parts = _QUOTES.split(text)
    terms = []
    for number, part in enumerate(parts):
        # A quotation mark without its partner is none.
        is_phrase = number % 2 == 1 and number < len(parts) - 1
        for chunk in [part] if is_phrase else part.split():
            found = tuple(words(chunk))
            if found:
                terms.append(Term(found))
    if terms and not _QUOTES.search(text.rstrip()[-1:]):
        terms[-1] = Term(terms[-1].words, is_open=True)
    return Query(tuple(dict.fromkeys(terms)))
