"""Counts of the stages of one run, brought into those of the process as they grow."""

from __future__ import annotations

from piko_flow.dataflow.reports.facts import Progress, StageReport
from piko_flow.telemetry.figures import Figures, Labels, add


class StageCounts:
    """Follows one run's stages: what has come since it looked last is added to the figures.

    A count that has gone back, as that of a time still under way may, adds nothing until it has passed where it was,
    so the figures only grow.
    """

    def __init__(self, flow: str, figures: Figures) -> None:
        self._flow, self._figures = flow, figures
        self._counted: dict[str, tuple[int, ...]] = {}
        self._spent: dict[int, list[float]] = {}

    def look(self, progress: Progress) -> None:
        """Take in where the run stands, or stood when it ended."""
        met: set[int] = set()
        for stage in progress.stages:
            self._count(stage)
            if stage.operator not in met:
                met.add(stage.operator)
                self._spend(stage)

    def failed(self, stage: str) -> None:
        """A failure of the stage has ended the run."""
        add(self._figures.stage_errors, (self._flow, self._figures.stage_of(self._flow, stage)), 1)

    def _count(self, stage: StageReport) -> None:
        now = (stage.received, stage.emitted, stage.filtered, stage.skipped, stage.dead, stage.retried)
        before = self._counted.get(stage.name)
        if now == before:
            return
        before = before or (0,) * len(now)
        got = [max(new - old, 0) for new, old in zip(now, before, strict=True)]
        self._counted[stage.name] = tuple(old + more for old, more in zip(before, got, strict=True))
        figures, flow = self._figures, self._flow
        name = figures.stage_of(flow, stage.name)
        for state, amount in zip(("in", "out", "filtered", "skipped", "dead"), got, strict=False):
            if amount or state in ("in", "out"):
                add(figures.stage_items, (flow, name, state), amount)
        if got[5]:
            add(figures.stage_retries, (flow, name), got[5])
        if got[3] or got[4]:
            add(figures.stage_errors, (flow, name), got[3] + got[4])

    def _spend(self, stage: StageReport) -> None:
        spent = self._spent.setdefault(stage.operator, [0.0, 0.0, 0.0])
        now = (stage.busy, stage.waiting, stage.blocked)
        name = self._figures.stage_of(self._flow, stage.name)
        for place, state in enumerate(("busy", "waiting", "blocked")):
            if now[place] > spent[place]:
                labels: Labels = (self._flow, name, state)
                add(self._figures.stage_time, labels, now[place] - spent[place])
                spent[place] = now[place]
