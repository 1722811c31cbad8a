"""Crontab strings, as POSIX and Vixie's cron read them."""

from __future__ import annotations

from typing import NamedTuple

from piko_flow.errors import ScheduleError, shorten
from piko_flow.planning.cron_dates import LAST, CronDates, DayMatch
from piko_flow.planning.cron_rule import CronRule, cron_rule

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LONGEST = 1000
ORDER = "The order is: minute hour day-of-month month weekday; with six fields seconds come first"


class Place(NamedTuple):
    """One of the places of a crontab string, the numbers it takes, and their names."""

    name: str
    low: int
    high: int
    names: dict[str, int]

    @property
    def takes(self) -> str:
        """What may stand here, in words."""
        shown = f" or {next(iter(self.names))} to {list(self.names)[-1]}" if self.names else ""
        return f"{self.name} takes {self.low} to {self.high}{shown}"


SECOND = Place("second", 0, 59, {})
MINUTE = Place("minute", 0, 59, {})
HOUR = Place("hour", 0, 23, {})
DAY = Place("day of month", 1, 31, {})
MONTH = Place("month", 1, 12, {name: number for number, name in enumerate(MONTHS, 1)})
WEEKDAY = Place("weekday", 0, 7, {name: number for number, name in enumerate(WEEKDAYS)})


def parse_crontab(text: str) -> CronRule:
    """The rule of a string of five or six fields, or of a macro such as `@daily`. Raises ScheduleError."""
    if len(text) > LONGEST:
        raise _refusal(text, f"it has at most {LONGEST} characters", f"{len(text)}", ORDER)
    lowered = text.strip().lower()
    parts = MACROS.get(lowered, lowered).split()
    if lowered.startswith("@") and lowered not in MACROS:
        raise _refusal(
            text, f"the macros are {', '.join(MACROS)}", text, "For every so many minutes use Interval"
        )
    if len(parts) not in (5, 6):
        raise _refusal(text, "a crontab string has five fields, or six", f"{len(parts)} of them", ORDER)
    second, minute, hour, day, month, weekday = parts if len(parts) == 6 else ["0", *parts]
    dates = CronDates(
        _month_days(text, day),
        _weekdays(text, weekday),
        either=not (day.startswith("*") or weekday.startswith("*")),
        months=_numbers(text, MONTH, month),
    )
    return cron_rule(
        dates,
        hours=_numbers(text, HOUR, hour),
        minutes=_numbers(text, MINUTE, minute),
        seconds=_numbers(text, SECOND, second),
        follows_clock=minute.startswith("*") or hour.startswith("*"),
    )


def _month_days(text: str, field: str) -> DayMatch:
    terms = set(field.split(","))
    numbers = [term for term in terms if term not in ("l", "last", "lw")]
    return DayMatch(
        numbers=frozenset(_numbers(text, DAY, ",".join(numbers)) if numbers else ()),
        last_day=bool(terms & {"l", "last"}),
        last_working_day="lw" in terms,
    )


def _weekdays(text: str, field: str) -> DayMatch:
    weekdays: set[int] = set()
    positions: set[tuple[int, int]] = set()
    for term in field.split(","):
        if "#" in term:
            weekday, _, nth = term.partition("#")
            if nth not in ("1", "2", "3", "4", "5"):
                raise _refusal(
                    text, "after # stands which one of the month, 1 to 5", shorten(term), "As in fri#2"
                )
            positions.add((_from_monday(_number(text, WEEKDAY, weekday)), int(nth)))
        elif term.endswith("l") and term != "l":
            positions.add((_from_monday(_number(text, WEEKDAY, term[:-1])), LAST))
        else:
            weekdays |= {_from_monday(number) for number in _term(text, WEEKDAY, term)}
    return DayMatch(weekdays=frozenset(weekdays), positions=frozenset(positions))


def _from_monday(number: int) -> int:
    return (number - 1) % 7


def _numbers(text: str, place: Place, field: str) -> tuple[int, ...]:
    return tuple(sorted(set().union(*(_term(text, place, term) for term in field.split(",")))))


def _term(text: str, place: Place, term: str) -> set[int]:
    span, slash, step = term.partition("/")
    if span == "*":
        first, last = place.low, place.high
    elif "-" in span:
        low, _, high = span.partition("-")
        first, last = _number(text, place, low), _number(text, place, high)
        if first > last:
            advice = f"Write it as two: {low}-{place.high},{place.low}-{high}"
            raise _refusal(text, f"a range of {place.name} goes upwards", shorten(span), advice)
    else:
        first = _number(text, place, span)
        last = place.high if slash else first
    return set(range(first, last + 1, _step(text, place, step) if slash else 1))


def _step(text: str, place: Place, step: str) -> int:
    most = place.high - place.low + 1
    if step.isascii() and step.isdigit() and 1 <= int(step[:5]) <= most:
        return int(step[:5])
    advice = "A step begins again with each hour, day, month; for any other distance use Interval"
    raise _refusal(text, f"a step of {place.name} is 1 to {most}", shorten(step), advice)


def _number(text: str, place: Place, written: str) -> int:
    if written in place.names:
        return place.names[written]
    if written.isascii() and written.isdigit() and place.low <= int(written[:5]) <= place.high:
        return int(written[:5])
    raise _refusal(text, place.takes, shorten(written), ORDER)


def _refusal(text: str, rule: str, got: str, advice: str) -> ScheduleError:
    return ScheduleError(what=f"cron {shorten(text)}", rule=rule, got=got, advice=advice)
