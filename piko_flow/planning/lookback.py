"""How far back so many windows reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger, fires, last_fire

STRETCH = timedelta(hours=1)  # at most 3,600 fires of a cron are looked at in one go


def end_of_older(trigger: Trigger, count: int, *, due: datetime, since: datetime) -> datetime | None:
    """Where the newest window ends that is not among the `count` newest which have ended by `due`.

    None where no window that old ends after `since`. Costs what lies between, never more than `count` windows.
    """
    if isinstance(trigger, Interval):
        return _by_arithmetic(trigger, count, due, since)
    wanted = count + 1
    while (last := last_fire(trigger, at=due)) is not None and last > since:
        due = max(last - STRETCH, since)
        stretch = list(_until(trigger, due, last))
        if len(stretch) >= wanted:
            return stretch[-wanted]
        wanted -= len(stretch)
    return None


def _by_arithmetic(trigger: Interval, count: int, due: datetime, since: datetime) -> datetime | None:
    last = last_fire(trigger, at=due)
    if last is None or count > (last - trigger.anchor) // trigger.every:
        return None
    end = last - count * trigger.every
    return end if end > since else None


def _until(trigger: Trigger, after: datetime, last: datetime) -> Iterator[datetime]:
    return takewhile(lambda fire: fire <= last, fires(trigger, after=after))
