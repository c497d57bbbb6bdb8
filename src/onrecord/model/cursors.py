"""Cursors: where a list goes on. Opaque outside; inside the ids of the last row that was given."""

import base64
import json
from typing import Final

from onrecord.model.errors import malformed

_MOST: Final = 2**53
"""No id of a row is as large as this."""


def cursor_after(*ids: int) -> str:
    """Give the cursor that goes on after the row of these ids."""
    return base64.urlsafe_b64encode(json.dumps(ids).encode()).decode()


def read_cursor(cursor: str | None, count: int = 1) -> tuple[int, ...]:
    """Give the `count` ids of a cursor, zeros for none; RB003 for one that was never given out."""
    if cursor is None:
        return (0,) * count
    try:
        ids = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise malformed("cursor", "is not one that was given out") from None
    if not isinstance(ids, list) or len(ids) != count:
        raise malformed("cursor", "is not one that was given out")
    if not all(type(number) is int and 0 <= number < _MOST for number in ids):
        raise malformed("cursor", "is not one that was given out")
    return tuple(ids)
