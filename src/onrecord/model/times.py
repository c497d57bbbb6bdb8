"""Times: whole microseconds since 1970 inside, RFC 3339 UTC with microseconds and Z outside."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Give the present in microseconds since 1970."""
    return time.time_ns() // 1000


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def wire(micros: int) -> str:
    """Write a time as the wire and the record do: 2026-11-22T10:00:00.000000Z."""
    seconds, rest = divmod(micros, SECOND)
    return f"{_to_the_second(seconds)}.{rest:06d}Z"


def wire_or_none(micros: int | None) -> str | None:
    """Write a time that may be absent."""
    return None if micros is None else wire(micros)


def read(text: str) -> int:
    """Read an RFC 3339 time with an offset; ValueError for anything else.

    A time without an offset is refused: it would mean another moment on another machine.
    """
    moment = datetime.fromisoformat(text.upper())  # T and Z may be written small
    if moment.tzinfo is None:
        msg = "a time needs an offset such as Z or +01:00"
        raise ValueError(msg)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # in another zone there would be no way to write it
        msg = "a time needs a year from 1 to 9999 in UTC"
        raise ValueError(msg) from None
    return (moment - _EPOCH) // timedelta(microseconds=1)
