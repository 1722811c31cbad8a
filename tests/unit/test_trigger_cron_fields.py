"""What a dictionary of fields means, and which are refused."""

from datetime import UTC, datetime

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.trigger import next_fires

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)  # a Wednesday


def fires(fields: dict[str, str | int | None], n: int = 3) -> list[str]:
    trigger = Cron(fields=fields)
    return [fire.strftime("%y-%m-%d %H:%M:%S") for fire in next_fires(trigger, after=NEW_YEAR, n=n)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"minute": 7}, ["25-01-01 00:07:00", "25-01-01 01:07:00"]),
        ({"hour": "9-17/4"}, ["25-01-01 09:00:00", "25-01-01 13:00:00"]),
        ({"day_of_week": 0}, ["25-01-06 00:00:00", "25-01-13 00:00:00"]),
        ({"day_of_week": "sat-SUN", "hour": 8}, ["25-01-04 08:00:00", "25-01-05 08:00:00"]),
        ({"day": "last"}, ["25-01-31 00:00:00", "25-02-28 00:00:00"]),
        ({"day": "2nd fri"}, ["25-01-10 00:00:00", "25-02-14 00:00:00"]),
        ({"day": "last fri, 1st mon"}, ["25-01-06 00:00:00", "25-01-31 00:00:00"]),
        ({"day": "5th wed"}, ["25-01-29 00:00:00", "25-04-30 00:00:00"]),
        ({"day": "15,last"}, ["25-01-15 00:00:00", "25-01-31 00:00:00"]),
        ({"day": "*/10"}, ["25-01-11 00:00:00", "25-01-21 00:00:00"]),
        ({"month": "mar-apr"}, ["25-03-01 00:00:00", "25-04-01 00:00:00"]),
        ({"month": 2, "day": 29}, ["28-02-29 00:00:00", "32-02-29 00:00:00"]),
        ({"week": 2}, ["25-01-06 00:00:00", "25-01-07 00:00:00"]),
        ({"week": 53, "day_of_week": "mon"}, ["26-12-28 00:00:00", "32-12-27 00:00:00"]),
        ({"year": "2026-2027"}, ["26-01-01 00:00:00", "27-01-01 00:00:00"]),
        ({"year": 2026, "month": "*/6", "day": 31}, ["26-01-31 00:00:00", "26-07-31 00:00:00"]),
        ({"year": 2020}, []),
        ({"second": "*/25"}, ["25-01-01 00:00:25", "25-01-01 00:00:50"]),
        ({"hour": 3, "minute": None}, ["25-01-01 03:00:00", "25-01-02 03:00:00"]),
        ({"day": 13, "day_of_week": "fri"}, ["25-06-13 00:00:00", "26-02-13 00:00:00"]),
    ],
)
def test_all_fields_must_match_and_finer_ones_take_their_minimum(
    fields: dict[str, str | int | None], expected: list[str]
) -> None:
    assert fires(fields, n=2) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "at least one field is given"),
        ({"minute": None}, "at least one field is given"),
        ({"minutes": 5}, "got 'minutes'. Did you mean 'minute'?"),
        (
            {"minute": 61},
            "cron fields, minute: the last value (61) is higher than the maximum value (59); got '61'",
        ),
        ({"day_of_week": 7}, "Weekday 0 is Monday here"),
        ({"hour": "*/30"}, "the step value (30) is higher"),
        ({"day_of_week": "mon-fri/2"}, "of 'mon-fri/2' only mon-fri would be read"),
        ({"day": "lastday"}, "of 'lastday' only last would be read"),
        ({"hour": True}, "cron fields, hour"),
        ({"minute": "0 2 * * *"}, "crontab strings go to Cron(text)"),
        ({"hour": "9" * 5000}, "at most 1000 characters"),
        ({"month": 2, "day": 30}, "there must be a date on which it fires"),
        ({"year": 2025, "month": 2, "day": 29}, "there must be a date on which it fires"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_rule(
    fields: dict[str, str | int | None], words: str
) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron(fields=fields)
    assert words in str(caught.value)


def test_a_schedule_is_given_in_one_way() -> None:
    with pytest.raises(ScheduleError, match=r"Write Cron\('0 \* \* \* \*'\) or Cron\(fields="):
        Cron()
    with pytest.raises(ScheduleError, match="as a crontab string, or as a dictionary"):
        Cron("0 * * * *", fields={"minute": 0})


def test_bounds_belong_to_the_schedule_and_are_local_times() -> None:
    trigger = Cron(
        fields={"hour": 0}, zone="Asia/Shanghai", start_date="2025-02-01", end_date="2025-02-03 00:00:00"
    )
    found = next_fires(trigger, after=NEW_YEAR, n=10)
    assert [fire.day for fire in found] == [31, 1, 2]  # midnight in Shanghai, in UTC
    assert trigger.at_or_before(found[0].replace(hour=15)) is None
    assert trigger.at_or_before(datetime(2030, 1, 1, tzinfo=UTC)) == found[-1]


def test_bounds_off_the_second_leave_out_what_lies_outside() -> None:
    trigger = Cron(
        "* * * * * *", start_date="2025-01-01 00:00:00.000001", end_date="2025-01-01 00:00:02.999999"
    )
    assert [fire.second for fire in next_fires(trigger, after=NEW_YEAR, n=9)] == [1, 2]
    assert trigger.at_or_before(NEW_YEAR) is None
