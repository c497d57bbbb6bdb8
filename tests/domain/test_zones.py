"""Local times: by the rules of the package tzdata, written so that nobody misreads them."""

import pytest

from onrecord.domain import zones
from onrecord.model import times
from onrecord.model.errors import Refusal

MOMENT = times.read("2026-03-29T00:59:59.999999Z")


@pytest.mark.parametrize(
    ("name", "day", "clock", "offset"),
    [
        ("UTC", "Sunday 29 March 2026", "00:59:59", "UTC+00:00"),
        ("Europe/Berlin", "Sunday 29 March 2026", "01:59:59", "UTC+01:00"),
        ("America/St_Johns", "Saturday 28 March 2026", "22:29:59", "UTC-02:30"),
        ("Asia/Kathmandu", "Sunday 29 March 2026", "06:44:59", "UTC+05:45"),
    ],
)
def test_a_moment_is_written_as_the_clocks_of_a_zone_show_it(
    name: str, day: str, clock: str, offset: str
) -> None:
    local = zones.local(MOMENT, zones.zone(name))
    assert (zones.day(local), zones.clock(local), zones.offset(local)) == (day, clock, offset)
    assert zones.stamp(local).endswith(clock)


def test_clocks_are_changed_in_the_middle_of_a_day() -> None:
    berlin = zones.zone("Europe/Berlin")
    after = zones.local(MOMENT + 1, berlin)
    assert (zones.clock(after), zones.offset(after)) == ("03:00:00", "UTC+02:00")


@pytest.mark.parametrize("name", ["Mars", "", "../etc/passwd", "europe/berlin", "zones"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="RB003"):
        zones.zone(name)
