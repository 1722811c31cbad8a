"""What the clock on the wall of a zone shows, as stretches of time between two changes of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from piko_flow.planning.moment import SECOND

# Zones have changed their offset twice within seven days, and never within less.
PROBE_EVERY = timedelta(days=3)


class Stretch(NamedTuple):
    """From `start` up to `end` the wall clock is ahead of UTC by `offset`, which is negative west of Greenwich.

    `fresh` is where, counted with this offset, the readings begin that the clock had not shown before. After
    the clock was put forward `fresh` lies before `start`: what it would have shown between the two was skipped.
    After it was put back `fresh` lies after `start`: what it shows between the two comes for the second time.
    """

    start: datetime
    end: datetime
    offset: timedelta
    fresh: datetime


def stretch_at(zone: ZoneInfo, instant: datetime) -> Stretch:
    """The stretch that holds the instant. Stretches join without gap and also end where a year does in UTC."""
    stretches = _of_year(zone, instant.year)
    return stretches[bisect_right(stretches, instant, key=attrgetter("start")) - 1]


def comes_twice(zone: ZoneInfo, instant: datetime) -> bool:
    """Does the wall clock show the reading of this instant once more, before or after?"""
    here = instant.astimezone(zone)
    return here.replace(fold=1 - here.fold).utcoffset() != here.utcoffset()


@lru_cache(maxsize=4096)
def _of_year(zone: ZoneInfo, year: int) -> tuple[Stretch, ...]:
    first, after = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    # A change in the last days of the old year may still make readings of this year come twice.
    start = fresh = first - PROBE_EVERY
    offset = _offset(zone, start)
    stretches = []
    for change in _changes(zone, start, after):
        stretches.append(Stretch(start, change, offset, fresh))
        before, offset = offset, _offset(zone, change)
        start, fresh = change, change + (before - offset)
    stretches.append(Stretch(start, after, offset, fresh))
    return tuple(_cut(stretch, first) for stretch in stretches if stretch.end > first)


def _cut(stretch: Stretch, first: datetime) -> Stretch:
    if stretch.start >= first:
        return stretch
    return stretch._replace(start=first, fresh=max(stretch.fresh, first))


def _changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants, to the second, at which the offset becomes another one."""
    while start < end:
        probe = min(start + PROBE_EVERY, end)
        if _offset(zone, start) != _offset(zone, probe):
            change = _change_between(zone, start, probe)
            if change < end:  # one at the end itself opens the next year
                yield change
        start = probe


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _offset(zone, before)
    while after - before > SECOND:
        middle = (before + (after - before) // 2).replace(microsecond=0)
        if _offset(zone, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    return offset if offset is not None else timedelta()
