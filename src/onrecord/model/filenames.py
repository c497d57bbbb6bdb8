"""Names of files: made harmless on the way in, and safe on any system on the way out."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

LONGEST: Final = 255
"""Characters of a file's name at the most."""
BYTES_MOST: Final = 255
"""Bytes of a name that file systems take, in UTF-8."""
_ENDING_MOST: Final = 16
"""How long an ending may be that is kept when a name is cut."""

_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Characters that turn the direction of what follows: `gpj.exe` can be shown as `exe.jpg`."""
_LINES: Final = frozenset("\u2028\u2029\ufeff")
_RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.IGNORECASE
)
"""Names that are devices on Windows, whatever their ending."""
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]')
"""What some system takes for more than a letter of a name; % because browsers decode it."""


def cleaned(name: str) -> str:
    """Give a name without folders, control characters and characters that turn directions.

    At most 255 characters: a longer one is cut before its ending. It may come out empty.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(one for one in base if not _is_hidden(one)).strip(" ")
    if set(shown) <= {"."}:
        return ""
    if len(shown) <= LONGEST:
        return shown
    stem, dot, ending = shown.rpartition(".")
    if not dot or len(ending) > _ENDING_MOST:
        return shown[:LONGEST]
    return stem[: LONGEST - len(ending) - 1] + dot + ending


def _is_hidden(one: str) -> bool:
    return one in _TURNING or one in _LINES or unicodedata.category(one) in {"Cc", "Cs"}


def ending_of(name: str) -> str:
    """Give what stands behind the last dot, in lower case; empty when there is none."""
    stem, _, ending = name.rpartition(".")
    return ending.lower() if stem else ""


def safe(name: str) -> str:
    """Give a name that every system can write down: no device, no path, nothing hidden.

    At most 255 bytes of UTF-8.
    """
    plain = _FORBIDDEN.sub("_", cleaned(name)).rstrip(". ") or "file"
    plain = shortened(plain, BYTES_MOST - 1) or "file"  # a character may come before it
    plain = f"_{plain}" if _RESERVED.match(plain) else plain
    return f"_{plain[1:]}" if plain.startswith(("-", ".")) else plain


def shortened(name: str, most: int) -> str:
    """Give a name of at most so many bytes of UTF-8: a longer one is cut before its ending."""
    if len(name.encode()) <= most:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > _ENDING_MOST:
        stem, dot, ending = name, "", ""
    kept = stem.encode()[: most - len((dot + ending).encode())].decode(errors="ignore")
    return kept.rstrip(". ") + dot + ending


def disposition(name: str) -> str:
    """Give the Content-Disposition of a download under a name (RFC 6266, RFC 8187)."""
    shown = safe(name)
    ascii_only = "".join(one if " " <= one <= "~" else "_" for one in shown)
    told = f'attachment; filename="{ascii_only}"'
    if ascii_only != shown:
        told += f"; filename*=UTF-8''{quote(shown, safe='!#$&+-.^_`|~')}"
    return told
