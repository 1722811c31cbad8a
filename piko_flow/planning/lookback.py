"""How far back so many windows reach."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger, fires, last_fire

SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=32)
FEW = 100  # fires in a stretch: the next may be longer


def end_of_older(trigger: Trigger, count: int, *, due: datetime, since: datetime) -> datetime | None:
    """Where the newest window ends that is not among the `count` newest which have ended by `due`.

    None where no window that old ends after `since`. Costs what lies between; not much more than `count` windows.
    """
    if isinstance(trigger, Interval):
        return _by_arithmetic(trigger, count, due, since)
    wanted, length = count + 1, SHORTEST
    while (last := last_fire(trigger, at=due)) is not None and last > since:
        due = max(last - length, since)
        stretch = list(_until(trigger, due, last))
        if len(stretch) >= wanted:
            return stretch[-wanted]
        wanted -= len(stretch)
        length = min(length * 2, LONGEST) if len(stretch) < FEW else max(length / 2, SHORTEST)
    return None


def _by_arithmetic(trigger: Interval, count: int, due: datetime, since: datetime) -> datetime | None:
    last = last_fire(trigger, at=due)
    if last is None or count > (last - trigger.anchor) // trigger.every:
        return None
    end = last - count * trigger.every
    return end if end > since else None


def _until(trigger: Trigger, after: datetime, last: datetime) -> Iterator[datetime]:
    return takewhile(lambda fire: fire <= last, fires(trigger, after=after))
