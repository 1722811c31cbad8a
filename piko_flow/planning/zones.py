"""Time zones by name."""

from __future__ import annotations

from datetime import UTC, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from piko_flow.errors import ScheduleError, shorten


def find_zone(zone: str | tzinfo | None) -> ZoneInfo:
    """The zone of that name; UTC where none is given. Raises ScheduleError with the nearest name.

    A ZoneInfo made from a name and `datetime.UTC` are taken too; a bare offset is refused, because it does not
    say when clocks change.
    """
    name = _name(zone)
    try:
        return ZoneInfo(name)
    # An unknown name is a KeyError; a path outside the zone data, a folder or a name too long for a file are not.
    except (KeyError, ValueError, OSError):
        raise ScheduleError(
            what="zone",
            rule="a time zone is a name of the IANA zone data, such as 'Europe/Berlin'",
            got=shorten(name),
            advice=_nearest(name),
        ) from None


def _name(zone: str | tzinfo | None) -> str:
    if zone is None or zone == "" or zone is UTC:
        return "UTC"
    name = zone.key if isinstance(zone, ZoneInfo) else zone
    if isinstance(name, str):
        return name
    raise ScheduleError(
        what="zone",
        rule="a time zone is given by its name or as a ZoneInfo that has one",
        got=shorten(zone),
        advice="Name the place whose clocks the schedule follows, for example zone='Europe/Berlin'",
    )


def _nearest(name: str) -> str:
    by_lower_case = {known.lower(): known for known in sorted(available_timezones())}
    near = get_close_matches(name.lower()[:100], by_lower_case, n=1)
    return f"Did you mean {by_lower_case[near[0]]!r}?" if near else "Leave zone out for UTC"
