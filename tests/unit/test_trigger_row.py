"""Triggers from the columns of a row."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.trigger_row import trigger_from_row

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("schedule_type", "expression", "expected"),
    [
        ("cron", {"hour": 2, "minute": 30}, Cron(fields={"hour": 2, "minute": 30}, zone=BERLIN)),
        ("cron", {"cron": "30 2 * * *"}, Cron("30 2 * * *", zone=BERLIN)),
        ("CRON ", {"minute": 0, "hour": None}, Cron(fields={"minute": 0}, zone=BERLIN)),
        (
            "cron",
            {
                "minute": 0,
                "start_date": "2025-01-01",
                "end_date": "2026-01-01",
                "jitter": 5,
                "timezone": "Asia/Tokyo",
            },
            Cron(
                fields={"minute": 0},
                zone="Asia/Tokyo",
                start_date="2025-01-01",
                end_date="2026-01-01",
                jitter=5,
            ),
        ),
        ("cron", {"cron": "@daily", "jitter": 7, "timezone": ""}, Cron("@daily", zone=BERLIN, jitter=7)),
        ("interval", {"seconds": 10}, Interval(seconds=10, zone=BERLIN)),
        (
            "interval",
            {
                "weeks": 1,
                "days": 2,
                "hours": 3,
                "minutes": 4,
                "seconds": 5,
                "start_date": "2025-01-01",
                "jitter": 1,
            },
            Interval(days=9, seconds=11045, start_date="2025-01-01", zone=BERLIN, jitter=1),
        ),
        ("date", {"run_date": "2026-01-08 10:00:00"}, Date("2026-01-08 10:00:00", zone=BERLIN)),
        (
            "date",
            {"run_date": "2026-01-08 10:00:00", "timezone": "Asia/Tokyo"},
            Date("2026-01-08 10:00:00", zone="Asia/Tokyo"),
        ),
    ],
)
def test_a_row_is_read_from_text_and_from_a_dictionary(
    schedule_type: str, expression: dict[str, Any], expected: Trigger
) -> None:
    assert trigger_from_row(schedule_type, json.dumps(expression), zone=BERLIN) == expected
    before = dict(expression)
    assert trigger_from_row(schedule_type, expression, zone=BERLIN) == expected
    assert expression == before


def test_every_key_of_a_dictionary_counts() -> None:
    row = {"year": "2026", "month": "jun", "day": "8-14", "week": "*", "day_of_week": "fri"}
    row |= {"hour": "23", "minute": "59", "second": "58"}
    trigger = trigger_from_row("cron", json.dumps(row))
    assert trigger.next_after(datetime(2025, 1, 1, tzinfo=UTC)) == datetime(
        2026, 6, 12, 23, 59, 58, tzinfo=UTC
    )
    assert trigger.next_after(datetime(2026, 7, 1, tzinfo=UTC)) is None


def test_the_last_day_of_february_is_found_in_a_leap_year() -> None:
    trigger = trigger_from_row("cron", {"month": 2, "day": "last", "hour": 12}, zone="UTC")
    found = trigger.next_after(datetime(2028, 1, 1, tzinfo=UTC))
    assert found == datetime(2028, 2, 29, tzinfo=UTC) + timedelta(hours=12)


@pytest.mark.parametrize(
    ("schedule_type", "expression", "words"),
    [
        ("corn", "{}", "schedule_type: it is one of cron, interval, date; got 'corn'"),
        (None, "{}", "schedule_type: it is one of cron, interval, date; got None"),
        ("cron", "0 * * * *", 'is a JSON object such as {"hour": 2, "minute": 30}'),
        ("interval", "{", 'is a JSON object such as {"minutes": 10}'),
        ("interval", "[1]", "is a JSON object"),
        ("interval", "[" * 100_000, "is a JSON object"),
        ("interval", None, "is a JSON object"),
        ("cron", "{}", "at least one field is given"),
        ("cron", '{"minutes": 5}', "the keys of type cron are year, month"),
        ("interval", '{"minute": 5}', "got 'minute'. Did you mean 'minutes'?"),
        ("interval", '{"cron": "@daily"}', "the keys of type interval are weeks"),
        ("interval", '{"minutes": NaN}', "interval, minutes: it is a number >= 0"),
        (
            "cron",
            '{"cron": "0 * * * *", "minute": 3}',
            "stands instead of fields; got cron='0 * * * *' beside minute",
        ),
        ("cron", '{"cron": 5}', "cron is a crontab string"),
        ("cron", '{"cron": "61 * * * *"}', "minute takes 0 to 59"),
        ("date", "{}", "type date needs run_date"),
        ("date", '{"run_date": "2026-01-08", "jitter": 5}', "the keys of type date are run_date, timezone"),
        ("interval", '{"minutes": 5, "timezone": "Mars"}', "a time zone is a name of the IANA zone data"),
        ("interval", '{"minutes": 5, "jitter": "a"}', "jitter: it is a number of seconds"),
    ],
)
def test_a_bad_row_is_refused_with_what_to_do(schedule_type: str, expression: str, words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        trigger_from_row(schedule_type, expression)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400
