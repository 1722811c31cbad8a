"""How much a run moved, and how much was lost on the way; which runs have succeeded, for the log of an application."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from piko_flow.control.timing import DatabaseTime
from piko_flow.counting import counted
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.reports.words import duration
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Ending
from piko_flow.store.records import RunRecord


@dataclass(frozen=True, slots=True)
class ToldCounts:
    """Items of one attempt: read by its sources, that came to its sinks, skipped, made dead letters."""

    attempt: int
    read: int
    to_sinks: int
    skipped: int
    dead: int

    def __str__(self) -> str:
        return moved_text(self.read, self.to_sinks, self.skipped, self.dead)


def moved_text(read: int, to_sinks: int, skipped: int, dead: int) -> str:
    """The counts as people read them; of what was lost only what there is."""
    lost = (f", {skipped:,} skipped" if skipped else "") + (
        f", {counted(dead, 'dead letter')}" if dead else ""
    )
    return f"{counted(read, 'item')} read, {to_sinks:,} to its sinks{lost}"


def counts_in(reports: Mapping[int, str]) -> ToldCounts | None:
    """Those of the last attempt that left an account of its stages, written as this version does; None where none did."""
    for attempt in sorted(reports, reverse=True):
        found = _counts(attempt, reports[attempt])
        if found is not None:
            return found
    return None


def _counts(attempt: int, text: str) -> ToldCounts | None:
    try:
        stages = json.loads(text)["stages"]
        return ToldCounts(
            attempt,
            read=_sum(stages, "emitted", kind="Source"),
            to_sinks=_sum(stages, "received", kind="Sink"),
            skipped=_sum(stages, "skipped"),
            dead=_sum(stages, "dead"),
        )
    except (ValueError, LookupError, TypeError, RecursionError):  # RecursionError: thousands of brackets
        return None


def _sum(stages: list[dict[str, Any]], count: str, kind: str = "") -> int:
    return sum(int(stage[count]) for stage in stages if not kind or stage["kind"] == kind)


EVERY = timedelta(seconds=1)
MOST = 10_000  # reports of runs whose ends are not written yet

log = logging.getLogger("piko_flow.worker")


class RunNews:
    """A line for a run that has succeeded, not more than one a second; of the others their number.

    Runs that failed have lines of their own. While nobody listens at that level nothing is kept, and nothing is made.
    """

    def __init__(self, time: DatabaseTime) -> None:
        self._time = time
        self._reports: dict[int, RunReport] = {}
        self._told_at: datetime | None = None
        self._untold = 0

    def note(self, run: int, report: RunReport | None) -> None:
        """What the run has done, for when its end has been written."""
        if report is not None and len(self._reports) < MOST and log.isEnabledFor(logging.INFO):
            self._reports[run] = report

    def ended(self, run: RunRecord, ending: Ending) -> None:
        """The end of a run has been written; told where it is a good one."""
        report = self._reports.pop(run.id, None)
        if ending.status is not RunStatus.SUCCESS or not log.isEnabledFor(logging.INFO):
            return
        now = self._time.now()
        if self._told_at is not None and now - self._told_at < EVERY:
            self._untold += 1
            return
        self.tell_rest()
        self._told_at = now
        log.info("%s", sentence(run, ending, report), extra=fields_of(run))

    def forget(self, run: int) -> None:
        """The run is this replica's no more."""
        self._reports.pop(run, None)

    def tell_rest(self) -> None:
        """Tell how many have succeeded since the last line, if any."""
        if self._untold:
            log.info("%s succeeded", counted(self._untold, "more run"))
            self._untold = 0


def fields_of(run: RunRecord) -> dict[str, object]:
    """What a line about the run carries, which is not logged in its name."""
    return {"run": run.id, "flow": run.flow, "attempt": run.attempt}


def sentence(run: RunRecord, ending: Ending, report: RunReport | None) -> str:
    """That the run succeeded: of which flow, over which window, how long it took and what it moved."""
    over = f" over {run.window.as_given}" if run.window is not None else ""
    took = "" if ending.duration_ms is None else f" in {duration(ending.duration_ms / 1000)}"
    if report is not None:
        wrote = sum(stage.received for stage in report.stages if stage.kind == "Sink")
        moved = f": {moved_text(report.items, wrote, report.skipped, ending.dead_items)}"
    else:
        moved = f", {counted(ending.dead_items, 'dead letter')}" if ending.dead_items else ""
    return f"run {run.id} of {run.flow!r}{over} succeeded{took}{moved}"
