"""Windows of event time, from one fire to the next, and which of them are due."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from piko_flow.counting import is_whole
from piko_flow.errors import ScheduleError, shorten
from piko_flow.planning.moment import EARLIEST, utc
from piko_flow.planning.trigger import Trigger, last_fire

MOST = 1_000_000  # windows that one call gives when no limit is given
MICROSECOND = timedelta(microseconds=1)
NO_GRACE = timedelta(0)


class BackfillPolicy(StrEnum):
    """What a stateful flow does about windows that were missed."""

    CATCH_UP = "catch_up"
    """All of them, oldest first."""
    SKIP = "skip"
    """Only the newest."""
    NONE = "none"
    """None: only what has just fallen due."""


class _Span(NamedTuple):
    start: datetime
    end: datetime


class Window(_Span):
    """The span of event time `[start, end)`: aware datetimes in UTC, the end left out. Unpacks as a pair.

    Naive datetimes and spans without length raise ScheduleError.
    """

    __slots__ = ()

    def __new__(cls, start: datetime, end: datetime) -> Window:
        first, last = utc(start, "window start"), utc(end, "window end")
        if first >= last:
            raise ScheduleError(what="window", rule="the start lies before the end", got=f"{first} to {last}")
        return super().__new__(cls, first, last)

    @property
    def length(self) -> timedelta:
        """Elapsed time from start to end."""
        return self.end - self.start

    @property
    def as_given(self) -> str:
        """As commands take it: `2026-03-02T09:00:00Z..2026-03-02T10:00:00Z`."""
        return "..".join(edge.isoformat().replace("+00:00", "Z") for edge in self)

    def __str__(self) -> str:
        return f"[{self.start.isoformat()}, {self.end.isoformat()})"


def window_around(trigger: Trigger, instant: datetime) -> Window | None:
    """The window of the trigger that holds the instant; None before its first fire and from its last one on."""
    before, after = last_fire(trigger, at=instant), trigger.next_after(instant)
    return None if before is None or after is None else Window(before, after)


def windows(
    trigger: Trigger,
    *,
    watermark: datetime | None,
    now: datetime,
    policy: BackfillPolicy | str = BackfillPolicy.SKIP,
    limit: int | None = None,
    grace: timedelta = NO_GRACE,
) -> list[Window]:
    """The windows that the policy asks for between the watermark and now, oldest first, at most `limit`.

    A window runs from one fire to the next and is complete when it has ended by `now`; the first one begins at
    the watermark, on the grid of fires or off it. So windows that follow one another join without gap or
    overlap, also after a change of the trigger.

    Without a watermark only the newest complete window is considered, under every policy. NONE leaves out what
    ended longer than `grace` before now. More than a million windows without a `limit` raise ScheduleError:
    nothing is cut off in silence.
    """
    until = utc(now, "now")
    since = None if watermark is None else utc(watermark, "watermark")
    chosen = _policy(policy)
    _check_limit(limit)
    if chosen is BackfillPolicy.NONE:
        found = _not_missed(trigger, since, until, grace)
    elif chosen is BackfillPolicy.CATCH_UP and since is not None:
        found = _complete(trigger, since, until)
    else:
        newest = newest_window(trigger, watermark=since, now=until)
        found = iter(() if newest is None else (newest,))
    if limit is not None:
        return list(islice(found, limit))
    every = list(islice(found, MOST + 1))
    if len(every) > MOST:
        got = f"more, from {every[0].start.isoformat()} on"
        advice = "Give a limit, and ask again from the end of the last window"
        raise ScheduleError(what="windows", rule=f"without a limit at most {MOST}", got=got, advice=advice)
    return every


def newest_window(trigger: Trigger, *, watermark: datetime | None = None, now: datetime) -> Window | None:
    """The newest window that has ended by `now`, cut at the watermark; None when there is none after it.

    Without a watermark it takes two fires to make a window.
    """
    end = trigger.at_or_before(utc(now, "now"))
    if end is None:
        return None
    start = trigger.at_or_before(end - MICROSECOND)
    if watermark is not None:
        since = utc(watermark, "watermark")
        start = since if start is None else max(start, since)
    return None if start is None or start >= end else Window(start, end)


def _complete(trigger: Trigger, since: datetime, until: datetime) -> Iterator[Window]:
    start = since
    for end in trigger.fires(since):
        if end > until:
            return
        yield tuple.__new__(Window, (start, end))  # both are in UTC and in order: nothing to check
        start = end


def _not_missed(
    trigger: Trigger, since: datetime | None, until: datetime, grace: timedelta
) -> Iterator[Window]:
    """The windows that ended at most `grace` ago, the newest only where there is no watermark."""
    if grace < NO_GRACE:
        raise ScheduleError(what="grace", rule="it is a timedelta >= 0", got=shorten(grace))
    soonest = until - min(grace, until - EARLIEST)
    if since is None:
        newest = newest_window(trigger, now=until)
        return iter((newest,) if newest is not None and newest.end >= soonest else ())
    last_missed = trigger.at_or_before(soonest - MICROSECOND)
    return _complete(trigger, since if last_missed is None else max(since, last_missed), until)


def _policy(policy: BackfillPolicy | str) -> BackfillPolicy:
    try:
        return BackfillPolicy(policy)
    except ValueError:
        rule = f"the policy is one of {', '.join(BackfillPolicy)}"
        raise ScheduleError(what="policy", rule=rule, got=shorten(policy)) from None


def _check_limit(limit: int | None) -> None:
    if limit is not None and not is_whole(limit, 0):
        raise ScheduleError(what="limit", rule="it is a whole number >= 0, or None", got=shorten(limit))
