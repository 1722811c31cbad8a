"""Fires compared with cronsim, and with a walk through every minute, in zones whose clocks change in odd ways."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from piko_flow.planning.cron import Cron
from piko_flow.planning.trigger import last_fire, next_fires

MINUTE = timedelta(minutes=1)
# Zone, and the years in which something happens there.
ZONES = {
    "America/New_York": (1966, 2030),
    "Europe/Berlin": (1979, 2030),
    "Europe/London": (1967, 2030),
    "Australia/Lord_Howe": (1980, 2030),
    "Pacific/Chatham": (1973, 2030),
    "Asia/Kathmandu": (1985, 1987),
    "Africa/Casablanca": (2007, 2030),
    "America/Sao_Paulo": (1984, 2020),
    "Pacific/Apia": (2009, 2022),
    "Africa/Cairo": (2009, 2030),
    "Antarctica/Troll": (2004, 2030),
    "America/St_Johns": (1986, 2012),
    "Pacific/Kwajalein": (1992, 1994),
    "Asia/Kolkata": (2024, 2026),
    "UTC": (2024, 2026),
}
# cronsim steps through wildcard hours by whole hours and takes midnight for granted. Where clocks move by other
# amounts, off the hour or at midnight, it loses fires or invents some: there the walk through each minute is judge.
PLAIN_MOVES = ("America/New_York", "Europe/Berlin", "Europe/London", "Antarctica/Troll", "UTC")


def changes(zone: str) -> list[datetime]:
    """A day close to each change of the zone's offset."""
    first, last = ZONES[zone]
    day, found = datetime(first, 1, 1, tzinfo=UTC), []
    info = ZoneInfo(zone)
    while day.year <= last:
        after = day + timedelta(days=1)
        if day.astimezone(info).utcoffset() != after.astimezone(info).utcoffset():
            found.append(day)
        day = after
    return found or [datetime(first, 6, 1, tzinfo=UTC)]


CHANGES = {zone: changes(zone) for zone in ZONES}


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, *, star: int) -> str:
    """One field of a crontab string; `star` of eight are a wildcard."""
    if draw(st.integers(1, 8)) <= star:
        return draw(st.sampled_from(["*", "*", "*/2", "*/3", "*/5"]))
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    step = draw(st.integers(1, 7)) if first < last else 1
    other = draw(st.integers(low, high))
    forms = [f"{first}", f"{first},{other}", f"{first}-{last}", f"{first}/{step}"]
    # cronsim takes the range 5-5/2 for 5/2, which has no end.
    return draw(st.sampled_from(forms if first == last else [*forms, f"{first}-{last}/{step}"]))


@st.composite
def crontabs(draw: st.DrawFn) -> str:
    """A crontab string of five fields, with hours near midnight and early morning more often than others."""
    minute = draw(fields(0, 59, star=2) | st.sampled_from(["0", "15", "30", "45", "59"]))
    hour = draw(fields(0, 23, star=3) | fields(0, 4, star=3) | st.sampled_from(["23", "0", "1", "2", "3"]))
    day = draw(fields(1, 31, star=6) | st.sampled_from(["*", "L", "LW", "28-31"]))
    month = draw(st.just("*") | fields(1, 12, star=6))
    weekday = draw(fields(0, 7, star=6) | st.sampled_from(["*", "MON-FRI", "SUN", "FRI#2", "5L", "SUN#5"]))
    text = f"{minute} {hour} {day} {month} {weekday}"
    try:
        first = next(CronSim(text, datetime(2024, 1, 1)), None)
    except CronSimError:  # it refuses the 31st of a February
        first = None
    assume(first is not None)  # not the fifth Sunday of a February
    return text


@st.composite
def bases(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and an instant at most a day from one of its changes, often off the second."""
    zone = draw(st.sampled_from(list(ZONES)))
    near = draw(st.sampled_from(CHANGES[zone]))
    away = timedelta(minutes=draw(st.integers(-1440, 1440)))
    return zone, near + away + timedelta(microseconds=draw(st.sampled_from([0, 0, 1, 30_000_001])))


def by_cronsim(text: str, zone: str, base: datetime) -> Iterator[datetime]:
    """What cronsim gives, without the repetitions it has where several fixed times fall in a gap."""
    previous = base
    for fire in CronSim(text, base.astimezone(ZoneInfo(zone))):
        instant = fire.astimezone(UTC)
        if instant > previous:
            yield instant
            previous = instant


def minute_by_minute(text: str, zone: str, base: datetime, end: datetime) -> Iterator[datetime]:
    """The rule itself, told by looking at the clock each minute: what does it show, what has it passed over?"""
    sim = CronSim(text, datetime(2000, 1, 1))
    minute, hour = text.split()[:2]
    follows_clock = minute.startswith("*") or hour.startswith("*")

    def fits(reading: datetime) -> bool:
        in_day = reading.minute in sim.minutes and reading.hour in sim.hours and reading.month in sim.months
        return in_day and sim.match_day(reading.date())

    info = ZoneInfo(zone)
    now = base.replace(second=0, microsecond=0) - timedelta(
        hours=4
    )  # longer than any clock was put back here
    highest = now.astimezone(info).replace(tzinfo=None)
    while (now := now + MINUTE) <= end:
        reading = now.astimezone(info).replace(tzinfo=None)
        if follows_clock:
            fires = fits(reading)
        else:
            passed = range(1, (reading - highest) // MINUTE + 1)
            fires = any(fits(highest + number * MINUTE) for number in passed)
            highest = max(highest, reading)
        if fires and now > base:
            yield now


@settings(max_examples=1500)
@given(crontabs(), bases())
def test_fires_are_those_of_cronsim(text: str, where: tuple[str, datetime]) -> None:
    zone, base = where
    minute, hour = text.split()[:2]
    assume(zone in PLAIN_MOVES or not (minute.startswith("*") or hour.startswith("*")))
    trigger = Cron(text, zone=zone)
    assert next_fires(trigger, after=base, n=6) == list(islice(by_cronsim(text, zone, base), 6))


@settings(max_examples=300)
@given(crontabs(), bases())
def test_fires_are_what_the_clock_shows_or_passes_over(text: str, where: tuple[str, datetime]) -> None:
    zone, base = where
    end = base + timedelta(hours=30)
    found = [fire for fire in islice(Cron(text, zone=zone).fires(base), 5000) if fire <= end]
    assert found == list(minute_by_minute(text, zone, base, end))


@settings(max_examples=600)
@given(crontabs(), bases())
def test_the_last_fire_is_found_from_any_instant(text: str, where: tuple[str, datetime]) -> None:
    zone, base = where
    trigger = Cron(text, zone=zone)
    first, second = next_fires(trigger, after=base, n=2)
    assert last_fire(trigger, at=first) == first
    assert last_fire(trigger, at=second - timedelta(microseconds=1)) == first
    before = last_fire(trigger, at=base)
    assert before is not None
    assert before <= base
    assert trigger.next_after(before) == first


NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@settings(max_examples=400)
@given(
    fields(0, 59, star=3),
    fields(0, 23, star=3),
    fields(1, 31, star=8) | st.sampled_from(["last", "1", "28-31"]),
    st.sampled_from(["*", "mon-fri", "sun", "0,3", "4-6", "2nd fri", "last sun"]),
    bases(),
)
def test_a_dictionary_fires_as_the_crontab_string_of_the_same_meaning(
    minute: str, hour: str, day: str, weekday: str, where: tuple[str, datetime]
) -> None:
    zone, base = where
    same = {"*": "*", "mon-fri": "1-5", "sun": "0", "0,3": "mon,thu", "4-6": "5-7"}
    if weekday in same:
        assume(day == "*" or weekday == "*")  # of two day fields a string takes either, a dictionary both
        given_as = {"minute": minute, "hour": hour, "day": day, "day_of_week": weekday}
        text = f"{minute} {hour} {day.replace('last', 'L')} * {same[weekday]}"
    else:
        given_as = {"minute": minute, "hour": hour, "day": weekday}
        text = f"{minute} {hour} * * {'fri#2' if weekday == '2nd fri' else 'sunL'}"
    assume(readable(given_as))
    by_fields, by_text = Cron(fields=given_as, zone=zone), Cron(text, zone=zone)
    assert next_fires(by_fields, after=base, n=8) == next_fires(by_text, after=base, n=8)


def readable(given_as: dict[str, str]) -> bool:
    """APScheduler refuses steps longer than their range."""
    try:
        Cron(fields=given_as)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("zone", ["Africa/Monrovia", "Europe/Amsterdam", "Africa/Casablanca"])
def test_zones_whose_offset_had_seconds_fire_on_whole_local_minutes(zone: str) -> None:
    info = ZoneInfo(zone)
    for fire in next_fires(Cron("*/30 * * * *", zone=zone), after=datetime(1911, 1, 1, tzinfo=UTC), n=200):
        assert fire.astimezone(info).strftime("%M:%S") in ("00:00", "30:00")
