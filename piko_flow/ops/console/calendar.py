"""The windows of a flow on a calendar: what became of each stretch of time, in cells of an hour or of a day."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from piko_flow.counting import counted
from piko_flow.planning.catch_up import WindowPolicy
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.ledger import Mark, clip, minus
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import BackfillPolicy, Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS, MONTHS = 14, 6  # rows of the two scales
LONG = timedelta(hours=6)  # windows longer than this are shown by days
MIXED = 6  # stretches of one cell that are told apart
TOLD = 3  # stretches of one cell whose times are told
WORST = ("failed", "gap", "running", "waiting", "incomplete", "skipped", "success")
WORDS = {
    "success": "done",
    "part": "done in part",
    "incomplete": "incomplete",
    "running": "running",
    "waiting": "waiting",
    "failed": "failed",
    "skipped": "skipped",
    "gap": "missing",
    "none": "before the flow began",
    "future": "not planned yet",
}
MARKS = {
    Mark.DONE: "success",
    Mark.INCOMPLETE: "incomplete",
    Mark.SKIPPED: "skipped",
    Mark.FAILED: "failed",
}


def why_skipped(policy: WindowPolicy) -> str:
    """Why windows of a flow with this policy are skipped: the ledger keeps that they were, and not by which rule."""
    lookback = f"older than its newest {counted(policy.lookback, 'window')} (max_lookback_window)"
    reasons = {
        BackfillPolicy.SKIP: ["a newer one was due before they began (its policy is SKIP)"],
        BackfillPolicy.NONE: ["they were due longer ago than the grace of its row (its policy is NONE)"],
        BackfillPolicy.CATCH_UP: [],
    }[policy.backfill]
    told = [*reasons, *([f"they are {lookback}"] if policy.lookback else [])]
    told.append("somebody moved last_data_time past them")
    return f"Skipped windows were not run because {', or '.join(told)}"


class Stretch(NamedTuple):
    """A span with what became of it."""

    start: datetime
    end: datetime
    tone: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its edges as people of the zone write them, its colour, and the stretches in it as shares of 1,000.

    `tone` is "none" where nothing was expected, "future" where nothing has been planned yet, and "part" where what was
    run is done and the rest is one of these: "success" is all of the cell.
    """

    start: str
    end: str
    tone: str
    told: str
    parts: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Calendar:
    """Rows of cells with their names, the names of columns, what is in it at all, and where to turn the page to."""

    scale: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    tones: tuple[str, ...]
    zone: str
    earlier: str
    later: str


def scale_for(trigger: Trigger | None, now: datetime) -> str:
    """Hours where windows are short, days where they are long."""
    if trigger is None:
        return "hours"
    fires = trigger.fires(now)
    one, two = next(fires, None), next(fires, None)
    return "days" if one is not None and two is not None and two - one > LONG else "hours"


def calendar_of(
    state: FlowState, *, now: datetime, zone: ZoneInfo, scale: str, last: date | None
) -> Calendar:
    """The calendar whose last row has this date, or today's."""
    today = now.astimezone(zone).date()
    until = min(last or today, today)
    days = _days(until, scale)
    begin = _midnight(min(day for _, row in days for day in row), zone)
    end = _midnight(max(day for _, row in days for day in row) + DAY, zone)
    stretches = _stretches(state, Window(begin, end))
    starts = [one.start for one in stretches]
    painter = _Painter(state, zone, stretches, starts)
    rows = tuple((name, tuple(painter.row(row, scale))) for name, row in days)
    shown = {tone for _, cells in rows for cell in cells for tone, _, _ in cell.parts} | {
        cell.tone for _, cells in rows for cell in cells
    }
    back = DAYS * DAY if scale == "hours" else timedelta(days=182)
    return Calendar(
        scale,
        tuple(f"{hour:02d}" for hour in range(24))
        if scale == "hours"
        else tuple(str(day) for day in range(1, 32)),
        rows,
        tuple(tone for tone in reversed(WORST) if tone in shown),
        zone.key,
        (until - back).isoformat(),
        "" if until >= today else min(until + back, today).isoformat(),
    )


class _Painter:
    def __init__(
        self, state: FlowState, zone: ZoneInfo, stretches: Sequence[Stretch], starts: Sequence[datetime]
    ) -> None:
        self._state, self._zone, self._stretches, self._starts = state, zone, stretches, starts

    def row(self, days: Sequence[date], scale: str) -> Iterator[Cell]:
        """The cells of a row: the hours of its day, or its days."""
        for day in days:
            begin, end = _midnight(day, self._zone), _midnight(day + DAY, self._zone)
            if scale == "days":
                yield self._cell(begin, end)
                continue
            while begin < end:
                yield self._cell(begin, min(begin + HOUR, end))
                begin += HOUR

    def _cell(self, start: datetime, end: datetime) -> Cell:
        written = f"{_written(start, self._zone)}", f"{_written(end, self._zone)}"
        when = written[0][:16]
        whole = end - start
        parts = []
        for stretch in self._inside(start, end):
            left = round(1000 * ((max(stretch.start, start) - start) / whole))
            right = round(1000 * ((min(stretch.end, end) - start) / whole))
            parts.append((stretch.tone, left, max(right - left, 1)))
        tones = {tone for tone, _, _ in parts}
        known = [tone for tone in WORST if tone in tones]
        rest = [tone for tone in ("none", "future") if tone in tones]
        told = ", ".join(WORDS[tone] for tone in (*known, *rest))
        tone = known[0] if known else rest[-1]
        if tone == "success" and rest:
            tone = "part"
            told = f"{WORDS['part']} ({self._done(start, end)}), the rest {', '.join(WORDS[one] for one in rest)}"
        mixed = bool(known) and 1 < len(parts) <= MIXED
        return Cell(*written, tone, f"{when}: {told}", tuple(parts) if mixed else ())

    def _done(self, start: datetime, end: datetime) -> str:
        """The times of a cell that are done; the first few of many."""
        done = [one for one in self._inside(start, end) if one.tone == "success"]
        told = [
            " to ".join(
                f"{one.astimezone(self._zone):%H:%M}" for one in (max(span.start, start), min(span.end, end))
            )
            for span in done[:TOLD]
        ]
        return " and ".join([*told, *([f"{len(done) - TOLD} more"] if len(done) > TOLD else [])])

    def _inside(self, start: datetime, end: datetime) -> Iterator[Stretch]:
        first = max(bisect_left(self._starts, start) - 1, 0)
        for stretch in self._stretches[first:]:
            if stretch.start >= end:
                break
            if stretch.end > start:
                yield stretch


def _stretches(state: FlowState, shown: Window) -> list[Stretch]:
    """What became of all time in this span, in order and without overlaps; what is missing only of what was planned."""
    live = [
        (piece, "waiting" if run.queued else "running")
        for run in state.live
        if (piece := clip(run.window, shown)) is not None
    ]
    taken = [piece for piece, _ in live]
    found = [Stretch(*piece, tone) for piece, tone in live]
    for span in state.ledger.spans:
        if span.end > shown.start and span.start < shown.end:
            piece = clip(span.window, shown)
            found += [Stretch(*part, MARKS[span.mark]) for part in minus([piece] if piece else [], taken)]
    expected = _expected(state, shown)
    if expected is not None:
        found += [Stretch(*part, "gap") for part in minus(state.ledger.untouched(expected), taken)]
    found.sort()
    return sorted([*found, *_not_expected(state, shown, found)])


def _not_expected(state: FlowState, shown: Window, found: Sequence[Stretch]) -> Iterator[Stretch]:
    """What lies between the stretches that were found: before the flow began, or not planned yet."""
    began = shown.start
    if state.origin is not None and state.planned_until is not None:
        began = state.origin
    at = shown.start
    for one in [*found, Stretch(shown.end, shown.end, "")]:
        if at < min(began, one.start):
            yield Stretch(at, min(began, one.start), "none")
        if max(at, began) < one.start:
            yield Stretch(max(at, began), one.start, "future")
        at = max(at, one.end)


def _expected(state: FlowState, shown: Window) -> Window | None:
    if state.origin is None or state.planned_until is None or state.origin >= state.planned_until:
        return None
    return clip(Window(state.origin, state.planned_until), shown)


def _days(until: date, scale: str) -> list[tuple[str, list[date]]]:
    """The rows by name with their days, the newest first."""
    if scale == "hours":
        days = [until - number * DAY for number in range(DAYS)]
        return [(f"{day:%a} {day.isoformat()[5:]}", [day]) for day in days]
    rows = []
    first = until.replace(day=1)
    for _ in range(MONTHS):
        following = (first + timedelta(days=32)).replace(day=1)
        count = (following - first).days
        rows.append((f"{first:%b %Y}", [first + number * DAY for number in range(count)]))
        first = (first - DAY).replace(day=1)
    return rows


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _written(instant: datetime, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).isoformat(" ", timespec="minutes")
