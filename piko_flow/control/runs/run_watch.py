"""One pipeline at work: where it is, for people and for metrics, and the account it leaves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from piko_flow.control.params.line_redaction import LineRedaction
from piko_flow.control.runs.run_order import RunOrder
from piko_flow.dataflow.reports.facts import Progress
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.errors import StageFailed
from piko_flow.telemetry.figures import Figures, Labels
from piko_flow.telemetry.json_line import json_line
from piko_flow.telemetry.stage_counts import StageCounts


class RunWatch:
    """Follows a run of a pipeline on its loop; nothing is paid between two looks."""

    def __init__(
        self, order: RunOrder, active: ActiveRun, figures: Figures, redaction: LineRedaction
    ) -> None:
        self.run, self.attempt, self.flow = order.record.id, order.record.attempt, order.record.flow
        self._active, self._redaction = active, redaction
        self._counts = StageCounts(self.flow, figures)
        self._shown: Progress | None = None

    def look(self) -> Progress:
        """Where the run stands; what has come since the last look is counted."""
        progress = self._active.progress()
        self._counts.look(progress)
        return progress

    def fill(self, progress: Progress) -> dict[Labels, float]:
        """How full the channels are, by the stage that they lead to."""
        plan, fullest = self._active.plan, dict[Labels, float]()
        for channel in plan.channels:
            edge = progress.edges[channel.edge]
            labels = (self.flow, edge.end)
            fullest[labels] = max(fullest.get(labels, 0.0), min(edge.left / channel.capacity.items, 1.0))
        return fullest

    def live_text(self, progress: Progress) -> str:
        """Where the run stands, as JSON: progress, the bottleneck, how full the channels are, and by stage the items a
        second since this was asked last.
        """
        fill = {stage: round(part, 3) for (_, stage), part in self.fill(progress).items()}
        values = {
            **values_of(progress),
            "attempt": self.attempt,
            "fill": fill,
            "rates": rates(self._shown, progress),
        }
        self._shown = progress
        return json_line(values)

    def ended(self, report: RunReport | None, error: BaseException | None) -> dict[str, Any]:
        """The account of the attempt as JSON values: its report, or how far it came when it failed. No items are in it."""
        progress = self.look()
        if isinstance(error, StageFailed):
            self._counts.failed(error.stage)
        if report is None:
            return {**values_of(progress), "outcome": "failed"}
        values = {**report.to_dict(), "dead_letters": [], "position": None}  # they are kept by themselves
        values["written"] = [self._redaction(line) for line in report.written]
        values["leftovers"] = [self._redaction(line) for line in report.leftovers]
        return values


def rates(before: Progress | None, now: Progress) -> dict[str, float]:
    """By stage the items a second that it gave (a sink: took) between two looks; since the begin without a first one."""
    earlier = {} if before is None else {stage.name: stage for stage in before.stages}
    seconds = now.seconds - (0.0 if before is None else before.seconds)
    if seconds <= 0:
        return {}
    got = {}
    for stage in now.stages:
        old = earlier.get(stage.name)
        what = "received" if stage.kind == "Sink" else "emitted"
        items = getattr(stage, what) - (0 if old is None else getattr(old, what))
        got[stage.name] = round(max(items, 0) / seconds, 3)
    return got


def values_of(progress: Progress) -> dict[str, Any]:
    """Progress as JSON-able values, with the bottleneck."""
    return {
        "run": progress.run,
        "seconds": round(progress.seconds, 3),
        "stages": [asdict(stage) for stage in progress.stages],
        "edges": [asdict(edge) for edge in progress.edges],
        "units": progress.units,
        "units_done": progress.units_done,
        "bottleneck": progress.bottleneck,
    }
