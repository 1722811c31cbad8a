"""How instants and windows are told to people."""

from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.cli.viewer_zone import viewer_zone
from piko_flow.control.flows.told_times import Times
from piko_flow.planning.window import Window
from piko_flow.planning.zones import find_zone

BERLIN = Times(find_zone("Europe/Berlin"), offsets=False)
NIGHT = datetime(2026, 10, 25, tzinfo=UTC)  # in which the clocks of Berlin are set back from three to two


@pytest.mark.parametrize(
    ("instant", "told"),
    [
        (datetime(2026, 7, 1, 6, tzinfo=UTC), "2026-07-01 08:00"),
        (datetime(2026, 1, 1, 6, 0, 5, tzinfo=UTC), "2026-01-01 07:00:05"),
        (datetime(2026, 1, 1, 6, 0, 0, 7, tzinfo=UTC), "2026-01-01 07:00:00"),
        (NIGHT - timedelta(minutes=1), "2026-10-25 01:59"),
        (NIGHT, "2026-10-25 02:00+02:00"),
        (NIGHT + timedelta(hours=1, minutes=59), "2026-10-25 02:59+01:00"),
        (NIGHT + timedelta(hours=2), "2026-10-25 03:00"),
    ],
)
def test_an_instant_has_its_offset_only_where_its_local_time_comes_twice(
    instant: datetime, told: str
) -> None:
    assert BERLIN.at(instant) == told


def test_in_a_sentence_an_instant_always_has_its_offset() -> None:
    assert BERLIN.exact.at(NIGHT - timedelta(days=1)) == "2026-10-24 02:00+02:00"
    assert BERLIN.exact.at(NIGHT + timedelta(days=1)) == "2026-10-26 01:00+01:00"


# Hours from the night to the window's start, and its length.
WINDOWS = [
    (-26, 24, "2026-10-24 .. 2026-10-25", "2026-10-24 00:00+02:00 .. 2026-10-25 00:00+02:00"),
    (-2, 25, "2026-10-25 .. 2026-10-26", "2026-10-25 00:00+02:00 .. 2026-10-26 00:00+01:00"),
    (-3, 1, "2026-10-24 23:00 .. 2026-10-25 00:00", "2026-10-24 23:00+02:00 .. 2026-10-25 00:00+02:00"),
    (5, 1, "2026-10-25 06:00 .. 07:00", "2026-10-25 06:00 .. 07:00+01:00"),
    (0, 1, *["2026-10-25 02:00+02:00 .. 2026-10-25 02:00+01:00"] * 2),
    (1, 1, *["2026-10-25 02:00 .. 03:00+01:00"] * 2),
]


@pytest.mark.parametrize(("start", "hours", "told", "exact"), WINDOWS)
def test_a_window_says_once_what_both_its_ends_have(start: int, hours: int, told: str, exact: str) -> None:
    begins = NIGHT + timedelta(hours=start)
    window = Window(begins, begins + timedelta(hours=hours))
    assert (BERLIN.span(window), BERLIN.exact.span(window)) == (told, exact)


@pytest.mark.parametrize(
    ("variable", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":America/New_York", "America/New_York"),
        ("Etc/UTC", "UTC"),
        ("CET-1CEST", "UTC"),
        ("nowhere", "UTC"),
        ("../etc/passwd", "UTC"),
    ],
)
def test_the_zone_of_a_terminal_is_what_tz_names_and_utc_where_that_is_no_zone(
    variable: str, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", variable)
    assert viewer_zone().key == zone
