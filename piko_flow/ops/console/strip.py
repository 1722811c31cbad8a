"""The last runs of a flow as a row of bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from math import log1p

from piko_flow.ops.console.formats import tone, took
from piko_flow.store.records import RunRecord

BARS = 20
WIDTH, HEIGHT, STEP, BAR = 168, 28, 8.4, 6.4
LEAST = 6.0  # of a bar's height


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: where its bar stands, how high it is, its colour, and what it says."""

    left: float
    top: float
    width: float
    height: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The bars, the newest on the right, and the same in words."""

    bars: tuple[Bar, ...]
    told: str


def strip_of(runs: Sequence[RunRecord]) -> Strip:
    """The strip of runs that come newest first. Higher bars took longer, on a scale that shows short ones, too."""
    shown = list(reversed(runs[:BARS]))
    longest = log1p(max((run.duration_ms or 0 for run in shown), default=0)) or 1.0
    first = BARS - len(shown)
    bars = []
    for place, run in enumerate(shown, first):
        height = LEAST + (HEIGHT - LEAST) * log1p(run.duration_ms or 0) / longest
        left = round(place * STEP, 1)
        bars.append(Bar(left, round(HEIGHT - height, 1), BAR, round(height, 1), tone(run), _title(run)))
    counts = Counter(run.status for run in shown)
    told = ", ".join(f"{count} {status.lower()}" for status, count in counts.most_common())
    return Strip(
        tuple(bars),
        f"The last {'run' if len(shown) == 1 else f'{len(shown)} runs'}: {told}" if shown else "No runs yet",
    )


def _title(run: RunRecord) -> str:
    due = f"{run.scheduled_time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    lasted = f", {took(run.duration_ms)}" if run.duration_ms is not None else ""
    return f"Run {run.id}: {run.status.lower()}{lasted}, for {due}"
