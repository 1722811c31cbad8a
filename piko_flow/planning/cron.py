"""Schedules by the calendar: from a crontab string, or from a dictionary of fields as APScheduler reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from piko_flow.errors import ScheduleError, shorten
from piko_flow.planning.cron_dates import EVERY_MONTH, LAST, CronDates, DayMatch
from piko_flow.planning.cron_fires import CronFires
from piko_flow.planning.cron_rule import CronRule, cron_rule
from piko_flow.planning.cron_text import LONGEST, parse_crontab
from piko_flow.planning.moment import EARLIEST, LATEST, SECOND, utc
from piko_flow.planning.trigger import FireNote, Trigger
from piko_flow.planning.wall_clock import comes_twice, stretch_at

# From coarse to fine, each with what it is when only coarser fields are given.
FIELDS = {
    "year": "*",
    "month": "1",
    "day": "1",
    "week": "*",
    "day_of_week": "*",
    "hour": "0",
    "minute": "0",
    "second": "0",
}
LIMITS = {
    "year": (1970, LATEST.year),
    "month": (1, 12),
    "day": (1, 31),
    "week": (1, 53),
    "day_of_week": (0, 6),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
MICROSECOND = timedelta(microseconds=1)
FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, init=False, repr=False)
class Cron(Trigger):
    """Fires when the wall clock of the zone shows certain readings. Raises ScheduleError, also when it never would.

    `text` is a crontab string: five fields, six with seconds first, or a macro; weekday 0 and 7 are Sunday.
    `fields` is a dictionary of year, month, day, week, day_of_week, hour, minute, second, all of which must
    match; weekday 0 is Monday, fields finer than the finest given take their minimum.

    A fixed time that the clock skips fires right after the gap, once; a fixed time that comes twice fires the
    first time. A schedule whose hours or minutes begin with `*` follows the clock.
    """

    text: str | None
    fields: tuple[tuple[str, str], ...]
    _fires: CronFires = field(compare=False)

    def __init__(
        self,
        text: str | None = None,
        *,
        fields: Mapping[str, str | int | None] | None = None,
        zone: str | tzinfo | None = "UTC",
        start_date: datetime | str | None = None,
        end_date: datetime | str | None = None,
        jitter: float | None = None,
    ) -> None:
        super().__init__(zone=zone, start_date=start_date, end_date=end_date, jitter=jitter)
        if isinstance(text, str) and fields is None:
            self._set(text=" ".join(text.split()), fields=())
            rule = parse_crontab(text)
        elif text is None and isinstance(fields, Mapping):
            written = _written(fields)
            self._set(text=None, fields=tuple(written.items()))
            rule = _parse_fields(written)
        else:
            raise ScheduleError(
                what="cron",
                rule="it is given as a crontab string, or as a dictionary fields={...}",
                got=shorten(fields) if text is None else shorten(text),
                advice="Write Cron('0 * * * *') or Cron(fields={'minute': 0})",
            )
        if rule.dates.first_from(FIRST_DAY) is None:
            raise ScheduleError(
                what=f"cron {self._shown()!r}",
                rule="there must be a date on which it fires",
                got="days that never come, as the 30th of February",
            )
        self._set(_fires=CronFires(rule, self._zone_info))

    def fires(self, after: datetime) -> Iterator[datetime]:
        """All fires strictly after the instant; see Trigger."""
        # A whole second is strictly after an instant when it is at least a microsecond later.
        later = min(utc(after, "after"), LATEST) + MICROSECOND
        start = _whole_second_from(max(later, self.start_date or EARLIEST))
        end = (self.end_date or LATEST).replace(microsecond=0) + SECOND
        return self._fires.between(start, end)

    def at_or_before(self, instant: datetime) -> datetime | None:
        """The last fire not later than the instant; see Trigger."""
        until = min(utc(instant, "at"), self.end_date or LATEST)
        return self._fires.last_between(self.start_date or EARLIEST, until)

    def note(self, fire: datetime) -> FireNote:
        """See `explain_fire`."""
        instant = utc(fire, "fire")
        if not EARLIEST <= instant <= LATEST:
            return ""
        stretch = stretch_at(self._zone_info, instant)
        if instant == stretch.start and self._fires.makes_up(stretch):
            return "shifted"
        return "doubled" if comes_twice(self._zone_info, instant) else ""

    def _shown(self) -> str:
        return self.text or " ".join(f"{name}={value}" for name, value in self.fields)

    def __str__(self) -> str:
        return f"{self._shown()}{self._suffix()}"

    def _given(self) -> str:
        return repr(self.text) if self.text else f"fields={dict(self.fields)!r}"


def _whole_second_from(moment: datetime) -> datetime:
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + SECOND


def _written(fields: Mapping[str, object]) -> dict[str, str]:
    """The fields that are given, as text, from coarse to fine."""
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        near = get_close_matches(str(unknown[0]), FIELDS, n=1)
        raise ScheduleError(
            what="cron fields",
            rule=f"the fields are {', '.join(FIELDS)}",
            got=shorten(unknown[0]),
            advice=f"Did you mean {near[0]!r}?" if near else "",
        )
    given = {name: fields[name] for name in FIELDS if fields.get(name) is not None}
    if not given:
        raise ScheduleError(
            what="cron fields",
            rule="at least one field is given",
            got=shorten(dict(fields)),
            advice="For every second write {'second': '*'}",
        )
    return {
        name: ",".join(part.strip() for part in str(value).lower().split(","))
        for name, value in given.items()
    }


def _parse_fields(written: Mapping[str, str]) -> CronRule:
    finest = max(list(FIELDS).index(name) for name in written)
    texts = {
        name: written.get(name, least if place > finest else "*")
        for place, (name, least) in enumerate(FIELDS.items())
    }
    dates = CronDates(
        _day_match(texts["day"]),
        DayMatch(weekdays=frozenset(_values("day_of_week", texts["day_of_week"]))),
        months=EVERY_MONTH if texts["month"] == "*" else _values("month", texts["month"]),
        years=None if texts["year"] == "*" else _values("year", texts["year"]),
        weeks=None if texts["week"] == "*" else frozenset(_values("week", texts["week"])),
    )
    return cron_rule(
        dates,
        hours=_values("hour", texts["hour"]),
        minutes=_values("minute", texts["minute"]),
        seconds=_values("second", texts["second"]),
        follows_clock=texts["minute"].startswith("*") or texts["hour"].startswith("*"),
    )


def _day_match(text: str) -> DayMatch:
    numbers: set[int] = set()
    positions: set[tuple[int, int]] = set()
    last_day = False
    for part, expression in zip(text.split(","), _compile("day", text).expressions, strict=True):
        kind = type(expression).__name__
        if kind == "WeekdayPositionExpression":
            nth = expression.option_num + 1
            positions.add((expression.weekday, LAST if nth == len(expression.options) else nth))
        elif kind == "LastDayOfMonthExpression":
            last_day = True
        else:
            numbers |= set(_values("day", part))
    return DayMatch(numbers=frozenset(numbers), positions=frozenset(positions), last_day=last_day)


@lru_cache(maxsize=1024)
def _values(name: str, text: str) -> tuple[int, ...]:
    """The values that the expression takes, in rising order; those of a day are of a month of 31."""
    compiled, found = _compile(name, text), []
    value, most = LIMITS[name]
    while value <= most:
        fitting = compiled.get_next_value(_moment_with(name, value))
        if fitting is None:
            break
        found.append(fitting)
        value = fitting + 1
    return tuple(found)


def _compile(name: str, text: str) -> Any:
    """APScheduler's field for the expression. What it would pass over in silence is refused too."""
    from apscheduler.triggers.cron import CronTrigger  # 70 ms to import; crontab strings do without it

    try:
        if len(text) > LONGEST:
            raise ValueError(f"it has at most {LONGEST} characters")
        compiled = CronTrigger.FIELDS_MAP[name](name, text)
        for part, expression in zip(text.split(","), compiled.expressions, strict=True):
            if not expression.value_re.fullmatch(part):
                raise ValueError(
                    f"of {part!r} only {expression} would be read; a step goes with numbers or *"
                )
    except ValueError as error:
        raise ScheduleError(
            what=f"cron fields, {name}",
            rule=str(error).removeprefix(f"Error validating expression {text!r}: "),
            got=shorten(text),
            advice="Weekday 0 is Monday here; crontab strings go to Cron(text) or {'cron': '...'}",
        ) from None
    return compiled


def _moment_with(name: str, value: int) -> datetime:
    if name == "week":
        return datetime.fromisocalendar(2020, value, 1)  # a year of 53 weeks
    if name == "day_of_week":
        return datetime(2001, 1, 1 + value)  # it began on a Monday
    return datetime(2000, 1, 1).replace(**{name: value})  # type: ignore[arg-type]
