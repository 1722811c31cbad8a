"""Which windows are due, and what a window is."""

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import BackfillPolicy, Window, newest_window, windows

HOURLY = Cron("0 * * * *")
EVERY_POLICY = list(BackfillPolicy)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 6, 10, hour, minute, tzinfo=UTC)


def due(
    trigger: Trigger = HOURLY, *, since: datetime | None, now: datetime, **options: object
) -> list[tuple[int, int]]:
    """The windows as pairs of hours."""
    found = windows(trigger, watermark=since, now=now, **options)  # type: ignore[arg-type]
    return [(window.start.hour, window.end.hour) for window in found]


def test_catching_up_gives_all_that_has_ended_and_skipping_the_newest() -> None:
    assert due(since=at(5), now=at(8), policy="catch_up") == [(5, 6), (6, 7), (7, 8)]
    assert due(since=at(5), now=at(8, 59), policy=BackfillPolicy.CATCH_UP, limit=2) == [(5, 6), (6, 7)]
    assert due(since=at(5), now=at(8), policy="skip") == [(7, 8)]
    assert due(since=at(5), now=at(8)) == [(7, 8)]  # the default


def test_what_has_not_ended_is_not_due() -> None:
    for policy in EVERY_POLICY:
        assert due(since=at(7), now=at(7, 59), policy=policy) == []
        assert due(since=at(9), now=at(7), policy=policy) == []


def test_without_backfill_only_what_has_just_fallen_due_is_given() -> None:
    assert due(since=at(5), now=at(8), policy="none") == [(7, 8)]
    assert due(since=at(5), now=at(8, 1), policy="none") == []
    five_minutes = timedelta(minutes=5)
    assert due(since=at(5), now=at(8, 5), policy="none", grace=five_minutes) == [(7, 8)]
    assert due(since=at(5), now=at(8, 6), policy="none", grace=five_minutes) == []
    assert due(since=at(5), now=at(8, 6), policy="none", grace=timedelta(hours=2)) == [(6, 7), (7, 8)]
    assert due(since=at(5), now=at(8), policy="none", grace=timedelta.max) == [(5, 6), (6, 7), (7, 8)]


def test_a_watermark_off_the_grid_is_where_the_first_window_begins() -> None:
    since = at(5, 17).replace(microsecond=1)
    for policy in EVERY_POLICY:
        assert windows(HOURLY, watermark=since, now=at(6), policy=policy) == [(since, at(6))]


def test_a_first_run_takes_the_newest_complete_window_under_every_policy() -> None:
    for policy in EVERY_POLICY:
        assert due(since=None, now=at(8), policy=policy) == [(7, 8)]
    assert due(since=None, now=at(8, 30), policy="catch_up") == [(7, 8)]
    assert due(since=None, now=at(8, 30), policy="none") == []
    assert due(since=None, now=at(8, 30), policy="none", grace=timedelta(minutes=30)) == [(7, 8)]


def test_a_first_run_waits_for_the_second_fire() -> None:
    started = Interval(hours=1, start_date=at(8))
    assert newest_window(started, now=at(7, 59)) is None
    assert newest_window(started, now=at(8, 59)) is None
    assert newest_window(started, now=at(9)) == (at(8), at(9))
    for policy in EVERY_POLICY:
        assert due(started, since=None, now=at(8, 30), policy=policy) == []
        assert due(Date(at(8)), since=None, now=at(8), policy=policy) == []


def test_time_before_the_first_fire_belongs_to_the_first_window() -> None:
    started = Interval(hours=1, start_date=at(8))
    assert due(started, since=at(2), now=at(9), policy="catch_up") == [(2, 8), (8, 9)]
    assert due(Date(at(8)), since=at(2), now=at(9), policy="skip") == [(2, 8)]


def test_a_schedule_that_has_ended_gives_no_more_windows() -> None:
    ended = Cron("0 * * * *", end_date=at(8))
    assert due(ended, since=at(6), now=at(23), policy="catch_up") == [(6, 7), (7, 8)]
    assert due(ended, since=at(8), now=at(23), policy="catch_up") == []


def test_limits_cut_from_the_oldest_on() -> None:
    for policy in EVERY_POLICY:
        assert due(since=at(5), now=at(8), policy=policy, limit=0) == []
        assert len(due(since=at(5), now=at(8), policy=policy, limit=1)) == 1


def test_too_many_windows_are_told_not_cut_off() -> None:
    with pytest.raises(ScheduleError, match="without a limit at most 1000000") as caught:
        windows(Interval(seconds=1), watermark=at(0) - timedelta(days=30), now=at(0), policy="catch_up")
    assert "Give a limit, and ask again from the end of the last window" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "all"}, "the policy is one of catch_up, skip, none; got 'all'"),
        ({"limit": -1}, "limit: it is a whole number >= 0, or None; got -1"),
        ({"limit": True}, "limit: it is a whole number >= 0, or None; got True"),
        ({"policy": "none", "grace": timedelta(-1)}, "grace: it is a timedelta >= 0"),
        ({"now": datetime(2025, 1, 1)}, "now: it must be an aware datetime"),
        ({"watermark": datetime(2025, 1, 1)}, "watermark: it must be an aware datetime"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        windows(HOURLY, **{"watermark": at(5), "now": at(8), **options})  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_a_window_is_a_pair_in_utc() -> None:
    window = Window(datetime(2025, 6, 10, 7, tzinfo=timezone(timedelta(hours=2))), at(6))
    start, end = window
    assert (start, end) == (at(5), at(6))
    assert start.tzinfo is UTC
    assert window.length == timedelta(hours=1)
    assert str(window) == "[2025-06-10T05:00:00+00:00, 2025-06-10T06:00:00+00:00)"
    assert pickle.loads(pickle.dumps(window)) == window
    assert {window: 1}[Window(at(5), at(6))] == 1


def test_a_window_has_a_length_and_aware_ends() -> None:
    with pytest.raises(ScheduleError, match="the start lies before the end"):
        Window(at(5), at(5))
    with pytest.raises(ScheduleError, match="window end: it must be an aware datetime"):
        Window(at(5), datetime(2025, 6, 10, 6))
