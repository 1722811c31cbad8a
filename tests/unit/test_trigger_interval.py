"""Intervals keep to their anchor."""

from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import last_fire, next_fires

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


def test_without_a_start_the_anchor_is_the_unix_epoch() -> None:
    assert Interval(minutes=10).next_after(NEW_YEAR) == NEW_YEAR + timedelta(minutes=10)
    since = datetime(1970, 1, 1, tzinfo=UTC)
    assert (next_fires(Interval(days=7), after=NEW_YEAR, n=1)[0] - since) % timedelta(days=7) == timedelta(0)


def test_fires_are_anchor_plus_whole_intervals_never_before_the_anchor() -> None:
    trigger = Interval(minutes=7, start_date="2025-01-01 00:00:03")
    anchor = NEW_YEAR + timedelta(seconds=3)
    assert next_fires(trigger, after=datetime(2020, 1, 1, tzinfo=UTC), n=2) == [
        anchor,
        anchor + timedelta(minutes=7),
    ]
    assert trigger.next_after(anchor) == anchor + timedelta(minutes=7)
    assert last_fire(trigger, at=anchor + timedelta(minutes=20)) == anchor + timedelta(minutes=14)
    assert last_fire(trigger, at=anchor) == anchor
    assert last_fire(trigger, at=anchor - timedelta(microseconds=1)) is None


def test_the_end_is_included_and_nothing_comes_after_it() -> None:
    trigger = Interval(hours=1, start_date="2025-01-01", end_date="2025-01-01 02:00:00")
    assert [fire.hour for fire in next_fires(trigger, after=NEW_YEAR, n=9)] == [1, 2]
    assert trigger.next_after(NEW_YEAR + timedelta(hours=2)) is None
    assert last_fire(trigger, at=datetime(2030, 1, 1, tzinfo=UTC)) == NEW_YEAR + timedelta(hours=2)


def test_units_add_up_and_fractions_are_kept_to_the_microsecond() -> None:
    trigger = Interval(weeks=1, days=1, hours=1, minutes=1, seconds=1.000001)
    assert trigger.every == timedelta(days=8, seconds=3661, microseconds=1)
    short = Interval(seconds=0.000001)
    assert short.next_after(NEW_YEAR) == NEW_YEAR + timedelta(microseconds=1)


def test_an_interval_longer_than_time_itself_fires_once() -> None:
    trigger = Interval(weeks=400_000)
    assert next_fires(trigger, after=datetime(1969, 12, 31, tzinfo=UTC), n=5)[1:] == [
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(weeks=400_000)
    ]


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        ({}, "got no length at all. Give one or more of weeks, days"),
        ({"minutes": 0}, "got no length at all"),
        ({"seconds": 1e-9}, "from a microsecond"),
        ({"minutes": -5}, "interval, minutes: it is a number >= 0; got -5"),
        ({"minutes": "5"}, "interval, minutes: it is a number >= 0; got '5'"),
        ({"hours": True}, "interval, hours: it is a number >= 0; got True"),
        ({"seconds": float("nan")}, "interval, seconds: it is a number >= 0; got nan"),
        ({"weeks": 10**12}, "got weeks=1000000000000"),
        ({"minutes": 1, "jitter": -1}, "jitter: it is a number of seconds >= 0; got -1"),
        ({"minutes": 1, "jitter": float("inf")}, "jitter: it is a number of seconds >= 0; got inf"),
        (
            {"minutes": 1, "start_date": "2025-01-02", "end_date": "2025-01-01"},
            "may not lie before start_date",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_rule(amounts: dict[str, float], words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Interval(**amounts)  # type: ignore[arg-type]
    assert words in str(caught.value)
