"""What crontab strings mean, and which are refused."""

from datetime import UTC, datetime

import pytest

from piko_flow.errors import ScheduleError
from piko_flow.planning.cron import Cron
from piko_flow.planning.trigger import next_fires

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)  # a Wednesday


def fires(text: str, n: int = 3) -> list[str]:
    return [fire.strftime("%m-%d %H:%M:%S") for fire in next_fires(Cron(text), after=NEW_YEAR, n=n)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 4 * * *", ["01-01 04:05:00", "01-02 04:05:00", "01-03 04:05:00"]),
        ("30 0 0 * * *", ["01-01 00:00:30", "01-02 00:00:30", "01-03 00:00:30"]),
        ("*/20 * * * * *", ["01-01 00:00:20", "01-01 00:00:40", "01-01 00:01:00"]),
        ("0 10-14/2 * * *", ["01-01 10:00:00", "01-01 12:00:00", "01-01 14:00:00"]),
        ("50/5 * * * *", ["01-01 00:50:00", "01-01 00:55:00", "01-01 01:50:00"]),
        ("0 0 1,15 feb-MAR *", ["02-01 00:00:00", "02-15 00:00:00", "03-01 00:00:00"]),
        ("0 0 * * 0", ["01-05 00:00:00", "01-12 00:00:00", "01-19 00:00:00"]),
        ("0 0 * * 7", ["01-05 00:00:00", "01-12 00:00:00", "01-19 00:00:00"]),
        ("0 0 * * Sun", ["01-05 00:00:00", "01-12 00:00:00", "01-19 00:00:00"]),
        ("0 0 * * 5-7", ["01-03 00:00:00", "01-04 00:00:00", "01-05 00:00:00"]),
        ("0 0 L * *", ["01-31 00:00:00", "02-28 00:00:00", "03-31 00:00:00"]),
        ("0 0 last * *", ["01-31 00:00:00", "02-28 00:00:00", "03-31 00:00:00"]),
        ("0 0 LW * *", ["01-31 00:00:00", "02-28 00:00:00", "03-31 00:00:00"]),
        ("0 0 LW 5,8 *", ["05-30 00:00:00", "08-29 00:00:00", "05-29 00:00:00"]),
        ("0 0 15,L * *", ["01-15 00:00:00", "01-31 00:00:00", "02-15 00:00:00"]),
        ("0 0 * * fri#2", ["01-10 00:00:00", "02-14 00:00:00", "03-14 00:00:00"]),
        ("0 0 * * 3#5", ["01-29 00:00:00", "04-30 00:00:00", "07-30 00:00:00"]),
        ("0 0 * * 5L", ["01-31 00:00:00", "02-28 00:00:00", "03-28 00:00:00"]),
        ("0 0 * * friL", ["01-31 00:00:00", "02-28 00:00:00", "03-28 00:00:00"]),
        ("@hourly", ["01-01 01:00:00", "01-01 02:00:00", "01-01 03:00:00"]),
        ("@daily", ["01-02 00:00:00", "01-03 00:00:00", "01-04 00:00:00"]),
        ("@midnight", ["01-02 00:00:00", "01-03 00:00:00", "01-04 00:00:00"]),
        ("@weekly", ["01-05 00:00:00", "01-12 00:00:00", "01-19 00:00:00"]),
        ("@Monthly", ["02-01 00:00:00", "03-01 00:00:00", "04-01 00:00:00"]),
        ("@yearly", ["01-01 00:00:00", "01-01 00:00:00", "01-01 00:00:00"]),
        ("@annually", ["01-01 00:00:00", "01-01 00:00:00", "01-01 00:00:00"]),
    ],
)
def test_a_string_fires_when_it_says(text: str, expected: list[str]) -> None:
    assert fires(text) == expected


def test_two_day_fields_mean_either_unless_one_begins_with_a_star() -> None:
    assert fires("0 0 13 * fri") == ["01-03 00:00:00", "01-10 00:00:00", "01-13 00:00:00"]
    assert fires("0 0 */2 * fri") == ["01-03 00:00:00", "01-17 00:00:00", "01-31 00:00:00"]
    assert fires("0 0 8-14 * */7") == ["01-12 00:00:00", "02-09 00:00:00", "03-09 00:00:00"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("61 * * * *", "minute takes 0 to 59; got '61'"),
        ("0 24 * * *", "hour takes 0 to 23; got '24'"),
        ("0 0 0 * *", "day of month takes 1 to 31; got '0'"),
        ("0 0 * foo *", "month takes 1 to 12 or jan to dec; got 'foo'"),
        ("0 0 * * 8", "weekday takes 0 to 7 or sun to sat; got '8'"),
        ("60 0 0 * * *", "second takes 0 to 59; got '60'"),
        ("* * * *", "five fields, or six; got 4 of them"),
        ("", "five fields, or six; got 0 of them"),
        ("* * * * * * *", "five fields, or six; got 7 of them"),
        ("*/90 * * * *", "a step of minute is 1 to 60; got '90'. A step begins again"),
        ("*/0 * * * *", "a step of minute is 1 to 60; got '0'"),
        ("*/-1 * * * *", "a step of minute is 1 to 60; got '-1'"),
        ("1//2 * * * *", "a step of minute is 1 to 60; got '/2'"),
        ("0 0 * * sat-sun", "a range of weekday goes upwards; got 'sat-sun'. Write it as two: sat-7,0-sun"),
        ("0 0 * * fri#6", "1 to 5; got 'fri#6'"),
        ("0 0 * * L", "weekday takes"),
        ("0 0 L/2 * *", "day of month takes"),
        ("0,,5 * * * *", "minute takes 0 to 59; got ''"),
        ("\u0663 * * * *", "minute takes 0 to 59"),
        ("@reboot", "the macros are @yearly"),
        ("0 0 30 2 *", "there must be a date on which it fires"),
        ("0 0 31 4,6,9,11 *", "there must be a date on which it fires"),
        ("0 0 */3 2 sun#5", "there must be a date on which it fires"),
        ("1," * 600 + "1 * * * *", "at most 1000 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_rule(text: str, words: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        Cron(text)
    assert words in str(caught.value)


def test_a_rare_date_is_found_and_a_missing_one_is_known_to_be_missing() -> None:
    leap_mondays = Cron("0 0 29 2 *")
    assert [fire.year for fire in next_fires(leap_mondays, after=NEW_YEAR, n=3)] == [2028, 2032, 2036]
    assert leap_mondays.next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    assert leap_mondays.at_or_before(datetime(2104, 2, 28, tzinfo=UTC)) == datetime(2096, 2, 29, tzinfo=UTC)


def test_a_fire_is_strictly_later_and_microseconds_count() -> None:
    hourly = Cron("0 * * * *")
    one = datetime(2025, 1, 1, 1, tzinfo=UTC)
    assert hourly.next_after(one.replace(hour=0, minute=59, second=59, microsecond=999_999)) == one
    assert hourly.next_after(one) == one.replace(hour=2)
    assert hourly.next_after(one.replace(microsecond=1)) == one.replace(hour=2)
