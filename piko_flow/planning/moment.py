"""Moments as people write them, and as this library keeps them: aware, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from piko_flow.errors import ScheduleError, shorten

SECOND = timedelta(seconds=1)
# A year at either end is kept free, so that a zone's offset never leads out of what datetime can hold.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, tzinfo=UTC)
IN_REACH = f"a moment lies between the years {EARLIEST.year} and {LATEST.year}"
WRITTEN = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:[ Tt](?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,6}))?)?"
    r" ?(?P<offset>[Zz]|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)


def utc(moment: datetime, what: str) -> datetime:
    """The same instant in UTC. A naive datetime is refused: nobody can say which instant it means."""
    if isinstance(moment, datetime) and moment.utcoffset() is not None:
        return moment if moment.tzinfo is UTC else _in_utc(moment, what)
    raise ScheduleError(
        what=what,
        rule="it must be an aware datetime",
        got=shorten(moment),
        advice="Give it a zone, for example datetime(2025, 1, 1, tzinfo=UTC)",
    )


def read_moment(written: object, zone: ZoneInfo, what: str) -> datetime:
    """The instant, in UTC, that was written as a datetime, a date or text; without an offset it is a local time.

    A local time that the zone's clock skips takes the offset before the gap, so it is as far past the gap as it
    was written into it. One that comes twice means the first, unless the datetime says `fold=1`.
    """
    return _in_utc(read_local(written, zone, what), what)


def read_local(written: object, zone: ZoneInfo, what: str) -> datetime:
    """As `read_moment`, still with the offset or the zone that it was written with."""
    moment = written
    if isinstance(moment, str):
        moment = _parse(moment.strip(), what)
    elif isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    if not isinstance(moment, datetime):
        raise _unreadable(written, what)
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=zone)


def _parse(text: str, what: str) -> datetime:
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise _unreadable(text, what)
    parts = {name: int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")}
    fraction = int((found["fraction"] or "").ljust(6, "0"))
    try:
        return datetime(**parts, microsecond=fraction, tzinfo=_offset(found["offset"]))
    except ValueError:  # the 31st of April, 25 o'clock
        raise _unreadable(text, what) from None


def _offset(text: str | None) -> timezone | None:
    if not text:
        return None
    if text in "Zz":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)


def _in_utc(moment: datetime, what: str) -> datetime:
    try:
        found = moment.astimezone(UTC)
    except OverflowError:
        raise _out_of_reach(moment, what) from None
    if EARLIEST <= found <= LATEST:
        return found
    raise _out_of_reach(moment, what)


def _out_of_reach(moment: datetime, what: str) -> ScheduleError:
    return ScheduleError(
        what=what,
        rule=IN_REACH,
        got=str(moment),
    )


def _unreadable(written: object, what: str) -> ScheduleError:
    return ScheduleError(
        what=what,
        rule="it must be a datetime, a date, or text such as '2026-01-08 10:00:00' or '2026-01-08T10:00:00Z'",
        got=shorten(written),
    )
