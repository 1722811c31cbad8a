"""What a cron schedule says, however it was written: dates, times of day, and how they meet a change of clocks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from piko_flow.planning.cron_dates import CronDates

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MIDNIGHT = time()


@dataclass(frozen=True)
class CronRule:
    """Readings of a wall clock: all `within` (counted from the full hour) of all `hours` (from midnight) of `dates`.

    `follows_clock` is what wildcard hours or minutes ask for: it fires whenever the clock shows a reading, so
    not at all for one that is skipped and twice for one that comes twice. Without it each reading fires once.
    """

    dates: CronDates
    hours: tuple[timedelta, ...]
    within: tuple[timedelta, ...]
    follows_clock: bool

    def instants(self, start: datetime, end: datetime, offset: timedelta) -> Iterator[datetime]:
        """The instants from `start` up to `end`, as if the wall clock were ahead of UTC by `offset` all the time."""
        day = self.dates.first_from((start + offset).date())
        while day is not None:
            midnight = _midnight(day) - offset
            if midnight >= end:
                return
            for hour in self.hours:
                full = midnight + hour
                if full + HOUR > start:
                    if full >= end:
                        return
                    first = 0 if full >= start else bisect_left(self.within, start - full)
                    last = len(self.within) if full + HOUR <= end else bisect_left(self.within, end - full)
                    for index in range(first, last):
                        yield full + self.within[index]
            day = self.dates.first_from(day + DAY)

    def latest(self, start: datetime, until: datetime, offset: timedelta) -> datetime | None:
        """The last of these instants from `start` to `until`, both included; None when there is none."""
        first_day = (start + offset).date()
        day = self.dates.last_until((until + offset).date())
        while day is not None and day >= first_day:
            midnight = _midnight(day) - offset
            for hour in reversed(self.hours):
                full = midnight + hour
                if full <= until and (count := bisect_right(self.within, until - full)):
                    found = full + self.within[count - 1]
                    return found if found >= start else None
            day = self.dates.last_until(day - DAY)
        return None


def cron_rule(
    dates: CronDates,
    *,
    hours: tuple[int, ...],
    minutes: tuple[int, ...],
    seconds: tuple[int, ...],
    follows_clock: bool,
) -> CronRule:
    """The rule for these hours, minutes and seconds, each in rising order."""
    return CronRule(dates, _hours(hours), _within_hour(minutes, seconds), follows_clock)


@lru_cache(maxsize=256)
def _hours(hours: tuple[int, ...]) -> tuple[timedelta, ...]:
    return tuple(timedelta(hours=hour) for hour in hours)


@lru_cache(maxsize=256)
def _within_hour(minutes: tuple[int, ...], seconds: tuple[int, ...]) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=minute, seconds=second) for minute in minutes for second in seconds)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, MIDNIGHT, UTC)
