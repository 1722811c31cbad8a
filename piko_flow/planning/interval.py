"""Every so long, counted from an anchor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import isfinite

from piko_flow.errors import ScheduleError, shorten
from piko_flow.planning.moment import LATEST, utc
from piko_flow.planning.trigger import Trigger

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = ("weeks", "days", "hours", "minutes", "seconds")


@dataclass(frozen=True, init=False, repr=False)
class Interval(Trigger):
    """Fires at its anchor and then every `every` of elapsed time: a day is 24 hours, whatever the clocks do.

    The anchor is `start_date`, else 1970-01-01 00:00 UTC, so a restart shifts nothing. Raises ScheduleError.
    """

    every: timedelta

    def __init__(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        start_date: datetime | str | None = None,
        end_date: datetime | str | None = None,
        zone: str | tzinfo | None = "UTC",
        jitter: float | None = None,
    ) -> None:
        super().__init__(zone=zone, start_date=start_date, end_date=end_date, jitter=jitter)
        amounts = (weeks, days, hours, minutes, seconds)
        self._set(every=_length(dict(zip(UNITS, amounts, strict=True))))

    @property
    def anchor(self) -> datetime:
        """The first fire, from which the others are counted."""
        return UNIX_EPOCH if self.start_date is None else self.start_date

    def fires(self, after: datetime) -> Iterator[datetime]:
        """All fires strictly after the instant; see Trigger."""
        return self._fires(utc(after, "after"))

    def _fires(self, after: datetime) -> Iterator[datetime]:
        anchor, every = self.anchor, self.every
        first = 0 if after < anchor else (after - anchor) // every + 1
        last = ((self.end_date or LATEST) - anchor) // every
        for count in range(first, last + 1):
            yield anchor + count * every

    def at_or_before(self, instant: datetime) -> datetime | None:
        """The last fire not later than the instant; see Trigger."""
        until = min(utc(instant, "at"), self.end_date or LATEST)
        if until < self.anchor:
            return None
        return self.anchor + (until - self.anchor) // self.every * self.every

    def __str__(self) -> str:
        return f"every {_words(self.every)}{self._suffix()}"

    def _given(self) -> str:
        return f"seconds={self.every.total_seconds():.15g}"


def _length(amounts: dict[str, float]) -> timedelta:
    for unit, amount in amounts.items():
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not number or not isfinite(amount) or amount < 0:
            raise ScheduleError(what=f"interval, {unit}", rule="it is a number >= 0", got=shorten(amount))
    try:
        length = timedelta(**amounts)
    except OverflowError:
        length = timedelta.max
    if timedelta(0) < length < LATEST - UNIX_EPOCH:
        return length
    given = ", ".join(f"{unit}={amount:.15g}" for unit, amount in amounts.items() if amount)
    raise ScheduleError(
        what="interval",
        rule=f"its length is from a microsecond to {(LATEST - UNIX_EPOCH).days} days",
        got=given or "no length at all",
        advice=f"Give one or more of {', '.join(UNITS)}",
    )


def _words(length: timedelta) -> str:
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    exact = seconds + length.microseconds / 1_000_000
    counts = (("day", length.days), ("hour", hours), ("minute", minutes), ("second", exact))
    parts = [f"{count:.15g} {unit}{'s' if count != 1 else ''}" for unit, count in counts if count]
    return " ".join(parts).removeprefix("1 ") if len(parts) == 1 else " ".join(parts)
