"""Moments as they may be written, and zones by name."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import explain_fire, last_fire, next_fires

TEN = datetime(2026, 1, 8, 2, tzinfo=UTC)  # ten o'clock in Shanghai


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-08 10:00:00",
        "2026-01-08T10:00:00",
        "2026-1-8 10:00",
        " 2026-01-08 10:00:00.0 ",
        "2026-01-08 10:00:00.000000",
        "2026-01-08T02:00:00Z",
        "2026-01-08T02:00:00+00:00",
        "2026-01-07T21:00:00-0500",
        datetime(2026, 1, 8, 10),
        datetime(2026, 1, 8, 3, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_time_without_an_offset_is_local_and_one_with_an_offset_is_not(written: str | datetime) -> None:
    assert Date(written, zone="Asia/Shanghai").run_date == TEN


def test_a_date_alone_is_midnight() -> None:
    midnight = datetime(2026, 1, 7, 16, tzinfo=UTC)
    assert Date("2026-01-08", zone="Asia/Shanghai").run_date == midnight
    assert Date(date(2026, 1, 8), zone="Asia/Shanghai").run_date == midnight  # type: ignore[arg-type]


def test_a_date_fires_once() -> None:
    once = Date(TEN)
    assert next_fires(once, after=TEN - timedelta(microseconds=1), n=5) == [TEN]
    assert next_fires(once, after=TEN, n=5) == []
    assert last_fire(once, at=TEN) == TEN
    assert last_fire(once, at=TEN - timedelta(microseconds=1)) is None


@pytest.mark.parametrize(
    "written",
    [
        "soon",
        "2026-02-30",
        "2026-01-08 25:00",
        "2026-01-08 10",
        "20260108",
        "2026-01-08T10:00+25:00",
        17,
        None,
    ],
)
def test_what_is_no_moment_is_refused(written: str) -> None:
    with pytest.raises(
        ScheduleError, match=r"run_date: it must be a datetime, a date, or text such as '2026-01-08"
    ):
        Date(written)


@pytest.mark.parametrize("written", ["9999-12-31", "0001-01-01", datetime.max, datetime.min])
def test_the_ends_of_the_calendar_are_out_of_reach(written: str | datetime) -> None:
    with pytest.raises(ScheduleError, match="between the years 2 and 9998"):
        Date(written, zone="Asia/Shanghai")


def test_at_the_ends_of_the_calendar_fires_end() -> None:
    end, beginning = datetime(9998, 12, 31, tzinfo=UTC), datetime(2, 1, 1, tzinfo=UTC)
    for trigger in (Cron("@daily", zone="Pacific/Apia"), Interval(days=1, start_date=beginning)):
        assert trigger.next_after(end) is None
        assert len(next_fires(trigger, after=end - timedelta(days=3), n=9)) in (2, 3)
        assert last_fire(trigger, at=beginning - timedelta(microseconds=1)) is None
        found = trigger.next_after(beginning - timedelta(days=1))
        assert found is not None
        assert found - beginning < timedelta(days=1)


def test_instants_that_no_fire_can_have_may_be_asked_about() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for trigger in (Cron("0 2 * * *", zone="Asia/Shanghai"), Interval(days=1), Date(TEN)):
        assert trigger.next_after(last) is None
        assert last_fire(trigger, at=first) is None
        assert trigger.next_after(first) is not None
        assert last_fire(trigger, at=last) is not None
        assert explain_fire(trigger, first) == explain_fire(trigger, last) == ""


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Berln", "got 'Europe/Berln'. Did you mean 'Europe/Berlin'?"),
        ("asia/shanghai", "got 'asia/shanghai'. Did you mean 'Asia/Shanghai'?"),
        ("Zzzzzzzz", "got 'Zzzzzzzz'. Leave zone out for UTC"),
        ("../etc/passwd", "a time zone is a name of the IANA zone data"),
        ("America", "a time zone is a name of the IANA zone data"),
        ("x" * 5000, "a time zone is a name of the IANA zone data"),
        ("\0", "a time zone is a name of the IANA zone data"),
        (timezone(timedelta(hours=8)), "Name the place whose clocks the schedule follows"),
        (8, "a time zone is given by its name"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(zone: str, words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron("0 * * * *", zone=zone)
    assert words in str(caught.value)


def test_a_zone_is_a_name_and_utc_where_none_is_given() -> None:
    assert Cron("0 * * * *", zone=ZoneInfo("Asia/Tokyo")).zone == "Asia/Tokyo"
    assert {Cron("0 * * * *", zone=zone).zone for zone in (None, "", UTC, "UTC")} == {"UTC"}
    assert Interval(hours=1).zone == Date(TEN).zone == "UTC"


@pytest.mark.parametrize("moment", [datetime(2025, 1, 1), "2025-01-01", None])
def test_a_question_needs_an_aware_instant(moment: datetime) -> None:
    for trigger in (Cron("@daily"), Interval(hours=1), Date(TEN)):
        for ask in (trigger.next_after, trigger.at_or_before, trigger.fires):
            with pytest.raises(ScheduleError, match="it must be an aware datetime"):
                ask(moment)


@pytest.mark.parametrize("n", [-1, 1.5, True, "3"])
def test_a_number_of_fires_is_a_whole_number(n: int) -> None:
    with pytest.raises(ScheduleError, match="the number of fires is a whole number >= 0"):
        next_fires(Interval(hours=1), after=TEN, n=n)


def test_no_fires_are_no_fires() -> None:
    assert next_fires(Interval(hours=1), after=TEN, n=0) == []
