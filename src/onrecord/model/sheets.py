"""Tables for spreadsheets: how cells are written so that no spreadsheet runs them."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

MARK: Final = "\ufeff"
"""Tells spreadsheets that a file is UTF-8."""
RUN_BY_SPREADSHEETS: Final = (
    *("=", "+", "-", "@", "\t", "\r", "\n"),
    *("\uff1d", "\uff0b", "\uff0d", "\uff20"),  # the same four, as wide as Chinese signs
)
"""With one of these a cell begins that a spreadsheet takes for a formula."""


def cell(value: Any) -> str:
    """Give a value as text that a spreadsheet shows and never runs.

    What begins like a formula gets an apostrophe before it. Lists are joined with semicolons,
    yes and no are `true` and `false`, nothing is an empty cell.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        value = ";".join(map(str, value))
    text = str(value)
    return f"'{text}" if text.startswith(RUN_BY_SPREADSHEETS) else text


def plain(text: str) -> str:
    """Give the text of a cell as it was before `cell` put its apostrophe there."""
    return text[1:] if text.startswith("'") and text[1:].startswith(RUN_BY_SPREADSHEETS) else text


def lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Write rows as CSV (RFC 4180) in UTF-8."""
    written = io.StringIO()
    csv.writer(written).writerows([[cell(value) for value in row] for row in rows])
    return written.getvalue().encode()


def header(names: Sequence[str]) -> bytes:
    """Write the first line of a table, with the mark that tells spreadsheets its encoding."""
    return MARK.encode() + lines([names])
