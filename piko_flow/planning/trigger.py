"""What all triggers can answer: when next, when last, and why at that time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from math import isfinite
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from piko_flow.counting import is_whole
from piko_flow.errors import ScheduleError, shorten
from piko_flow.planning.moment import read_moment, utc
from piko_flow.planning.zones import find_zone

FireNote: TypeAlias = Literal["", "shifted", "doubled"]


@dataclass(frozen=True, init=False, repr=False)
class Trigger(ABC):
    """A rule that gives instants, the fires: a value, compared by what was written, that keeps no time and no state.

    Fires are aware datetimes in UTC, in rising order, none twice. They lie from `start_date` to `end_date`,
    both included (None: no bound); local times are meant in `zone`. `jitter` is kept for whoever starts runs:
    seconds by which a start may be put off at random. It moves no fire.
    """

    zone: str
    start_date: datetime | None
    end_date: datetime | None
    jitter: float
    _zone_info: ZoneInfo = field(compare=False)

    def __init__(
        self,
        *,
        zone: str | tzinfo | None,
        start_date: datetime | str | None = None,
        end_date: datetime | str | None = None,
        jitter: float | None = None,
    ) -> None:
        found = find_zone(zone)
        start = None if start_date is None else read_moment(start_date, found, "start_date")
        end = None if end_date is None else read_moment(end_date, found, "end_date")
        if start is not None and end is not None and end < start:
            got = f"{start_date} and {end_date}"
            raise ScheduleError(what="end_date", rule="it may not lie before start_date", got=got)
        wait = 0.0 if jitter is None else _seconds(jitter)
        self._set(zone=found.key, start_date=start, end_date=end, jitter=wait, _zone_info=found)

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @abstractmethod
    def fires(self, after: datetime) -> Iterator[datetime]:
        """All fires strictly after the instant, one by one; ends where the trigger does."""

    @abstractmethod
    def at_or_before(self, instant: datetime) -> datetime | None:
        """The last fire not later than the instant; None when there was none."""

    def note(self, fire: datetime) -> FireNote:
        """See `explain_fire`."""
        utc(fire, "fire")
        return ""

    def next_after(self, instant: datetime) -> datetime | None:
        """The first fire strictly after the instant; None when there is none any more."""
        return next(self.fires(instant), None)

    @property
    def identity(self) -> str:
        """Text that is the same for triggers with the same fires, written in the same way; jitter does not count."""
        return self._call(jitter=0)

    def __repr__(self) -> str:
        return self._call(jitter=self.jitter)

    @abstractmethod
    def _given(self) -> str:
        """What makes this trigger, as it is written in a call."""

    def _call(self, *, jitter: float) -> str:
        options = {"zone": "" if self.zone == "UTC" else self.zone, "jitter": jitter}
        options |= {"start_date": _iso(self.start_date), "end_date": _iso(self.end_date)}
        shown = "".join(f", {name}={value!r}" for name, value in options.items() if value)
        return f"{type(self).__name__}({self._given()}{shown})"

    def _suffix(self) -> str:
        """The zone and the bounds, for people."""
        zone = self._zone_info
        start = "" if self.start_date is None else f", from {_local(self.start_date, zone)}"
        end = "" if self.end_date is None else f", until {_local(self.end_date, zone)}"
        return f"{start}{end} ({self.zone})"


def fires(trigger: Trigger, *, after: datetime) -> Iterator[datetime]:
    """All fires strictly after the instant, one by one, as aware datetimes in UTC; ends where the trigger does."""
    return trigger.fires(after)


def next_fires(trigger: Trigger, *, after: datetime, n: int = 5) -> list[datetime]:
    """The first `n` fires strictly after the instant, as aware datetimes in UTC; fewer where the trigger ends."""
    if not is_whole(n, 0):
        raise ScheduleError(what="n", rule="the number of fires is a whole number >= 0", got=shorten(n))
    return list(islice(trigger.fires(after), n))


def last_fire(trigger: Trigger, *, at: datetime) -> datetime | None:
    """The last fire at that instant or before it, in UTC; None when the trigger had not fired by then."""
    return trigger.at_or_before(at)


def explain_fire(trigger: Trigger, fire: datetime) -> FireNote:
    """What clock changes have to do with this fire of the trigger; "" is nothing.

    "shifted": it stands for a local time that the clock skipped, and comes right after the gap. "doubled": its
    local time comes twice; a fixed time fires the first time only, a wildcard schedule both times.
    """
    return trigger.note(fire)


def _seconds(jitter: object) -> float:
    if isinstance(jitter, int | float) and not isinstance(jitter, bool) and isfinite(jitter) and jitter >= 0:
        return float(jitter)
    raise ScheduleError(what="jitter", rule="it is a number of seconds >= 0", got=shorten(jitter))


def _local(instant: datetime, zone: ZoneInfo) -> str:
    return str(instant.astimezone(zone).replace(tzinfo=None))


def _iso(instant: datetime | None) -> str:
    return "" if instant is None else instant.isoformat()
