"""Times: microseconds inside, RFC 3339 outside."""

import pytest

from onrecord.model import times


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_795_341_600_123_456, "2026-11-22T10:00:00.123456Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_is_written_and_read_back(micros: int, shown: str) -> None:
    assert times.wire(micros) == shown
    assert times.read(shown) == micros
    assert times.wire_or_none(micros) == shown


def test_no_time_is_none() -> None:
    assert times.wire_or_none(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:00:00Z",
        "2026-11-22T11:00:00+01:00",
        "2026-11-22T04:30:00-05:30",
        "2026-11-22 10:00:00.0+00:00",
    ],
)
def test_any_offset_names_one_moment(text: str) -> None:
    assert times.read(text) == 1_795_341_600_000_000


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-11-22", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z", "1", "a\x00",
     "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"],
)  # fmt: skip
def test_what_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        times.read(text)


def test_now_moves_on() -> None:
    first = times.now()
    assert times.now() >= first > 1_700_000_000_000_000
