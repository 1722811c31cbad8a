"""One look at the store: which runs live, which are new, which have ended, and what some of them are at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.protocols import RunFilter
from piko_flow.store.records import RunRecord

NEWEST: Final = 100
"""Runs that one look reads besides the running ones: what waits, and what began and ended between two looks."""
RUNNING: Final = 1000
"""Running runs that one look reads."""
ENDED: Final = 50
"""Ended runs that one look asks for by number; the others are asked for with the next one."""

Shown = dict[int, tuple[datetime, str]]
"""What runs are at: since when, and as JSON."""


class Look(NamedTuple):
    """What was found: `unsure` are runs that run no more and whose ends the next look asks for; `lines` has by run the
    number of the last line of its log."""

    seen: list[RunRecord]
    unsure: dict[int, RunRecord]
    shown: Shown
    lines: dict[int, int]


async def read_runs(plane: ControlPlane) -> list[RunRecord]:
    """The running runs, and the newest ones. Two statements."""
    running = await plane.store.runs(RunFilter(statuses={RunStatus.RUNNING}, limit=RUNNING))
    newest = await plane.store.runs(RunFilter(limit=NEWEST))
    return list({run.id: run for run in (*running, *newest)}.values())  # what was read last is the later one


async def look_again(
    plane: ControlPlane,
    before: Mapping[int, RunRecord],
    since: int,
    watched: Sequence[int],
    read: Sequence[int] = (),
) -> Look:
    """The runs that live, those above number `since`, those of `before` that ended, what the watched ones are at, and
    where the logs end of those that somebody reads.

    A run that waits and is no longer among the newest is left out until it begins.
    """
    runs = await read_runs(plane)
    seen = {run.id: run for run in runs if run.status in LIVE or run.id > since or run.id in before}
    gone = [run for run in before.values() if run.id not in seen and run.status is RunStatus.RUNNING]
    for one in gone[:ENDED]:
        run = await plane.store.run(one.id)
        if run is not None:
            seen[run.id] = run
    shown = await plane.store.shown_live(watched) if watched else {}
    lines = await plane.store.last_lines(read) if read else {}
    return Look(list(seen.values()), {run.id: run for run in gone[ENDED:]}, shown, lines)
