"""Local times, by the rules of the package `tzdata`.

The machine's own rules are not asked: two machines must not write the same moment differently.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from onrecord.model.errors import malformed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Give the names of all time zones."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())


@lru_cache(maxsize=100)
def zone(name: str, field: str = "timezone") -> ZoneInfo:
    """Give the time zone of a name such as Europe/London; RB003 for any other."""
    if name not in names():
        raise malformed(field, "must be a time zone such as Europe/London")
    file = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with file.open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def local(micros: int, where: ZoneInfo) -> datetime:
    """Give a moment, in microseconds since 1970, as the clocks of a zone show it."""
    return (_EPOCH + timedelta(microseconds=micros)).astimezone(where)


def day(moment: datetime) -> str:
    """Write a day so that nobody takes the month for the day: Monday 2 November 2026."""
    return f"{_DAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def offset(moment: datetime) -> str:
    """Write how far the clocks of a moment's zone are from UTC: UTC+05:30."""
    ahead = moment.utcoffset() or timedelta(0)
    sign = "-" if ahead < timedelta(0) else "+"
    return f"UTC{sign}{abs(ahead) // _HOUR:02d}:{abs(ahead) % _HOUR // _MINUTE:02d}"


def clock(moment: datetime) -> str:
    """Write the time of a day: 17:05:33."""
    return moment.strftime("%H:%M:%S")


def stamp(moment: datetime) -> str:
    """Write day and time in short: 2026-11-02 17:05:33."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")
