"""Windows join without gap or overlap: over changes of clocks and of the schedule, from any watermark."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from piko_flow.planning.cron import Cron
from piko_flow.planning.interval import Interval
from piko_flow.planning.trigger import Trigger, last_fire
from piko_flow.planning.window import Window, windows

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo")
CRONS = (
    "0 * * * *",
    "*/20 * * * *",
    "30 2 * * *",
    "15,45 0-3 * * *",
    "0 0 * * *",
    "10 */5 * * 1-5",
    "*/30 0 2 * * *",
)
# Shortly before changes of clocks: New York, Berlin and Cairo in spring; Lord Howe; New York in autumn; Apia.
STARTS = (
    datetime(2025, 3, 8, tzinfo=UTC),
    datetime(2025, 3, 29, tzinfo=UTC),
    datetime(2025, 4, 4, tzinfo=UTC),
    datetime(2025, 4, 24, tzinfo=UTC),
    datetime(2025, 11, 1, tzinfo=UTC),
    datetime(2011, 12, 28, tzinfo=UTC),
)

crons = st.builds(Cron, st.sampled_from(CRONS), zone=st.sampled_from(ZONES))
intervals = st.builds(
    Interval,
    hours=st.integers(0, 30),
    minutes=st.integers(20, 59),
    seconds=st.sampled_from([0, 0.000001, 12.5]),
    start_date=st.sampled_from([None, "2011-01-01 00:00:00.000003", "2025-03-09 02:30:00"]),
    zone=st.sampled_from(ZONES),
)
triggers = crons | intervals
spans = st.timedeltas(timedelta(0), timedelta(days=4))
watermarks = st.builds(lambda start, after: start + after, st.sampled_from(STARTS), spans)


def tile(found: list[Window], watermark: datetime) -> bool:
    """Does each window begin where the one before it ends, the first at the watermark?"""
    edges = [watermark, *(edge for window in found for edge in window)]
    return all(before == after for before, after in list(pairwise(edges))[::2])


@settings(max_examples=200)
@given(triggers, watermarks, spans)
def test_windows_tile_from_the_watermark_to_the_last_fire(
    trigger: Trigger, watermark: datetime, span: timedelta
) -> None:
    now = watermark + span
    found = windows(trigger, watermark=watermark, now=now, policy="catch_up")
    assert tile(found, watermark)
    assert all(trigger.at_or_before(window.end) == window.end for window in found)
    assert all(trigger.next_after(window.start) == window.end for window in found)
    last = last_fire(trigger, at=now)
    covered = found[-1].end if found else watermark
    assert covered == (last if last is not None and last > watermark else watermark)


@settings(max_examples=100)
@given(triggers, watermarks, spans, st.integers(1, 5))
def test_windows_in_small_bites_are_the_same(
    trigger: Trigger, watermark: datetime, span: timedelta, limit: int
) -> None:
    whole = windows(trigger, watermark=watermark, now=watermark + span, policy="catch_up")
    bites: list[Window] = []
    since = watermark
    while bite := windows(trigger, watermark=since, now=watermark + span, policy="catch_up", limit=limit):
        assert len(bite) <= limit
        bites += bite
        since = bite[-1].end
    assert bites == whole


@settings(max_examples=100)
@given(st.lists(st.tuples(triggers, spans), min_size=2, max_size=5), watermarks)
def test_windows_tile_across_changes_of_the_schedule(
    history: list[tuple[Trigger, timedelta]], watermark: datetime
) -> None:
    found: list[Window] = []
    since = now = watermark
    for trigger, passes in history:
        now += passes
        found += windows(trigger, watermark=since, now=now, policy="catch_up")
        since = found[-1].end if found else since
    assert tile(found, watermark)


@settings(max_examples=200)
@given(triggers, watermarks, spans, st.timedeltas(timedelta(0), timedelta(hours=3)))
def test_other_policies_choose_among_the_windows_of_catching_up(
    trigger: Trigger, watermark: datetime, span: timedelta, grace: timedelta
) -> None:
    now = watermark + span
    every = windows(trigger, watermark=watermark, now=now, policy="catch_up")
    assert windows(trigger, watermark=watermark, now=now, policy="skip") == every[-1:]
    fresh = [window for window in every if window.end >= now - grace]
    assert windows(trigger, watermark=watermark, now=now, policy="none", grace=grace) == fresh
