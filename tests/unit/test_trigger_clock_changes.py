"""What fires where the clocks of a zone are put forward or back, and how it is explained."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import FireNote, Trigger, explain_fire, next_fires

SPRING = datetime(2025, 3, 30, tzinfo=UTC)  # in Berlin 02:00 becomes 03:00 at 01:00 UTC
AUTUMN = datetime(2025, 10, 25, 22, tzinfo=UTC)  # in Berlin 03:00 becomes 02:00 at 01:00 UTC


def told(trigger: Trigger, after: datetime, n: int) -> list[tuple[str, FireNote]]:
    zone = ZoneInfo(trigger.zone)
    return [
        (fire.astimezone(zone).strftime("%d %H:%M%z"), explain_fire(trigger, fire))
        for fire in next_fires(trigger, after=after, n=n)
    ]


def test_a_fixed_time_in_a_gap_fires_right_after_it() -> None:
    daily = Cron("30 2 * * *", zone="Europe/Berlin")
    assert told(daily, SPRING, 2) == [("30 03:00+0200", "shifted"), ("31 02:30+0200", "")]


def test_several_fixed_times_in_a_gap_fire_once() -> None:
    often = Cron("0,20,40 2-3 * * *", zone="Europe/Berlin")
    assert told(often, SPRING, 3) == [
        ("30 03:00+0200", "shifted"),
        ("30 03:20+0200", ""),
        ("30 03:40+0200", ""),
    ]


def test_a_fixed_time_that_comes_twice_fires_the_first_time() -> None:
    daily = Cron("30 2 * * *", zone="Europe/Berlin")
    assert told(daily, AUTUMN, 2) == [("26 02:30+0200", "doubled"), ("27 02:30+0100", "")]


def test_wildcards_follow_the_clock() -> None:
    half_hours = Cron("*/30 * * * *", zone="Europe/Berlin")
    assert [time for time, _ in told(half_hours, SPRING, 4)] == [
        *("30 01:30+0100", "30 03:00+0200", "30 03:30+0200", "30 04:00+0200")
    ]
    assert told(half_hours, AUTUMN.replace(hour=23, minute=59), 5) == [
        ("26 02:00+0200", "doubled"),
        ("26 02:30+0200", "doubled"),
        ("26 02:00+0100", "doubled"),
        ("26 02:30+0100", "doubled"),
        ("26 03:00+0100", ""),
    ]


def test_a_wildcard_reading_that_is_skipped_does_not_fire() -> None:
    even_hours = Cron("0 */2 * * *", zone="Europe/Berlin")
    assert told(even_hours, SPRING, 1) == [("30 04:00+0200", "")]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo"])
def test_seconds_change_nothing_about_what_is_fixed(zone: str) -> None:
    for after in (
        datetime(2025, 3, 29, tzinfo=UTC),
        datetime(2011, 12, 28, tzinfo=UTC),
        datetime(2018, 11, 3, tzinfo=UTC),
    ):
        five, six = Cron("30 0-2 * * *", zone=zone), Cron("0 30 0-2 * * *", zone=zone)
        by_fields = Cron(fields={"hour": "0-2", "minute": 30, "second": 0}, zone=zone)
        expected = next_fires(five, after=after, n=12)
        assert next_fires(six, after=after, n=12) == expected
        assert next_fires(by_fields, after=after, n=12) == expected


def test_seconds_of_a_fixed_minute_in_a_gap_fire_once_right_after_it() -> None:
    bursts = Cron("*/20 30 2 * * *", zone="Europe/Berlin")
    found = next_fires(bursts, after=SPRING, n=2)
    assert found == [datetime(2025, 3, 30, 1, tzinfo=UTC), datetime(2025, 3, 31, 0, 30, tzinfo=UTC)]


def test_a_day_that_a_zone_left_out_is_made_up_for_by_the_next() -> None:
    midnight = Cron("0 0 * * *", zone="Pacific/Apia")
    assert told(midnight, datetime(2011, 12, 29, tzinfo=UTC), 3) == [
        *[("29 00:00-1000", ""), ("31 00:00+1400", "shifted"), ("01 00:00+1400", "")]
    ]
    evening = Cron("0 18 30 12 *", zone="Pacific/Apia")  # the 30th itself was left out
    assert told(evening, datetime(2011, 12, 29, tzinfo=UTC), 1) == [("31 00:00+1400", "shifted")]


def test_a_gap_is_made_up_for_only_inside_the_bounds() -> None:
    late = Cron("30 2 * * *", zone="Europe/Berlin", start_date="2025-03-30 03:00:01")
    assert told(late, SPRING, 1) == [("31 02:30+0200", "")]
    assert late.at_or_before(datetime(2025, 3, 30, 12, tzinfo=UTC)) is None


def test_an_interval_counts_elapsed_time() -> None:
    daily = Interval(days=1, start_date="2025-03-29 12:00:00", zone="Europe/Berlin")
    assert told(daily, SPRING.replace(day=29), 2) == [("29 12:00+0100", ""), ("30 13:00+0200", "")]


def test_a_date_in_a_gap_takes_the_offset_before_it() -> None:
    once = Date("2025-03-30 02:30:00", zone="Europe/Berlin")
    assert told(once, SPRING, 9) == [("30 03:30+0200", "shifted")]
    assert explain_fire(once, SPRING) == ""


def test_a_date_that_comes_twice_is_the_first_unless_it_says_otherwise() -> None:
    written = datetime(2025, 10, 26, 2, 30)
    assert told(Date(written, zone="Europe/Berlin"), AUTUMN, 9) == [("26 02:30+0200", "doubled")]
    assert told(Date(written.replace(fold=1), zone="Europe/Berlin"), AUTUMN, 9) == [
        ("26 02:30+0100", "doubled")
    ]
    assert told(Date("2025-10-26 02:30:00+01:00", zone="Europe/Berlin"), AUTUMN, 9) == [("26 02:30+0100", "")]


def test_an_explanation_is_asked_for_an_instant() -> None:
    for trigger in (Cron("@daily"), Interval(hours=1), Date("2025-01-01")):
        with pytest.raises(ScheduleError, match="fire: it must be an aware datetime"):
            explain_fire(trigger, datetime(2025, 1, 1))
