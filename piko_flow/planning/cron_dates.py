"""Which dates a cron schedule fires on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from piko_flow.planning.moment import EARLIEST, LATEST

EVERY_MONTH = tuple(range(1, 13))
LAST = -1
# The calendar repeats after 400 years: what has not come by then never comes.
CYCLE = 400
FRIDAY = 4


class DayMatch(NamedTuple):
    """Days by any of these: the number in the month, the weekday (0 = Monday), a rule about the month's end.

    `positions` are (weekday, n): the n-th such weekday of the month, or the last for LAST.
    """

    numbers: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    positions: frozenset[tuple[int, int]] = frozenset()
    last_day: bool = False
    last_working_day: bool = False

    def fits(self, day: int, weekday: int, length: int) -> bool:
        """Does the day, of a month of that length, fit one of them?"""
        if day in self.numbers or weekday in self.weekdays:
            return True
        if self.last_day and day == length:
            return True
        if self.last_working_day and _is_last_working_day(day, weekday, length):
            return True
        if not self.positions:
            return False
        if (weekday, (day + 6) // 7) in self.positions:
            return True
        return day + 7 > length and (weekday, LAST) in self.positions


class CronDates(NamedTuple):
    """Dates that fit the years, months and ISO weeks (None: all), and both day fields, or `either` of them."""

    of_month: DayMatch
    of_week: DayMatch
    either: bool = False
    months: tuple[int, ...] = EVERY_MONTH
    years: tuple[int, ...] | None = None
    weeks: frozenset[int] | None = None

    def first_from(self, day: date) -> date | None:
        """The first such date from `day` on; None when there is none any more."""
        for year, month, days in self._months_from(day):
            at = bisect_left(days, day.day) if (year, month) == (day.year, day.month) else 0
            if at < len(days):
                return date(year, month, days[at])
        return None

    def last_until(self, day: date) -> date | None:
        """The last such date up to `day`, itself included; None when there was none."""
        for year, month, days in self._months_back_from(day):
            at = bisect_right(days, day.day) if (year, month) == (day.year, day.month) else len(days)
            if at:
                return date(year, month, days[at - 1])
        return None

    def _months_from(self, day: date) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        for year in self._years(day.year, min(day.year + CYCLE, LATEST.year)):
            for month in self.months:
                if year > day.year or month >= day.month:
                    yield year, month, _days_of(self, year, month)

    def _months_back_from(self, day: date) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        for year in reversed(self._years(max(day.year - CYCLE, EARLIEST.year), day.year)):
            for month in reversed(self.months):
                if year < day.year or month <= day.month:
                    yield year, month, _days_of(self, year, month)

    def _years(self, first: int, last: int) -> range | tuple[int, ...]:
        if self.years is None:
            return range(first, last + 1)
        return self.years[bisect_left(self.years, first) : bisect_right(self.years, last)]

    def _fits(self, day: int, weekday: int, length: int) -> bool:
        in_month = self.of_month.fits(day, weekday, length)
        if in_month == self.either:  # the other field cannot change the answer
            return in_month
        return self.of_week.fits(day, weekday, length)


@lru_cache(maxsize=4096)
def _days_of(dates: CronDates, year: int, month: int) -> tuple[int, ...]:
    first, length = monthrange(year, month)
    return tuple(
        day
        for day in range(1, length + 1)
        if dates._fits(day, (first + day - 1) % 7, length)
        and (dates.weeks is None or date(year, month, day).isocalendar().week in dates.weeks)
    )


def _is_last_working_day(day: int, weekday: int, length: int) -> bool:
    return weekday <= FRIDAY and day + (3 if weekday == FRIDAY else 1) > length
