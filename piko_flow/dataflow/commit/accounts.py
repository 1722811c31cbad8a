"""What the units of a run leave when they have ended, and the sums over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.facts import (
    DeadLetter,
    EdgeReport,
    Outcome,
    Progress,
    StageReport,
)
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally, Tally
from piko_flow.dataflow.stages.sink import Receipt

Sum = TypeVar("Sum", bound=Tally)
KEPT = 1000  # dead letters that a run holds; the rest are only counted


@dataclass(frozen=True)
class UnitResult:
    """What a unit leaves: its receipts by sink name, its counts and times, its dead letters.

    `exhausted` says that its source was read to the end; only then are there receipts. `lasting` says that
    every receipt outlives the process that made it.
    """

    unit: str
    exhausted: bool
    tallies: list[StageTally]
    times: list[OperatorTimes]
    edges: list[EdgeTally]
    receipts: dict[str, Receipt] = field(default_factory=dict)
    lasting: bool = True
    dead_letters: list[DeadLetter] = field(default_factory=list)
    position: Any = None
    more: bool = False


class Accounts:
    """The results of a run's units, and the sums over them and over what is still in work."""

    def __init__(self, plan: Plan, run: str) -> None:
        self.plan, self.run = plan, run
        self._results: dict[str, UnitResult] = {}
        self._order = [unit.id for unit in plan.units]
        self.restored = False

    @property
    def missing(self) -> list[str]:
        """The units that have not read their source to the end and prepared their parts, in order."""
        ended = {unit for unit, result in self._results.items() if result.exhausted}
        return [unit for unit in self._order if unit not in ended]

    def add(self, result: UnitResult) -> None:
        """Take in a unit that has ended."""
        self._results[result.unit] = result

    def restore(self, results: Sequence[UnitResult]) -> None:
        """Take in the units of a run decided earlier; they are the run's units, whatever is planned today."""
        self.restored, self._order = True, [result.unit for result in results]
        for result in results:
            self.add(result)

    def results(self) -> list[UnitResult]:
        """The results in the order of the units."""
        return [self._results[unit] for unit in self._order if unit in self._results]

    def progress(self, watched: Mapping[str, Any], seconds: float) -> Progress:
        """The sums so far, units in work included."""
        tallies, times, edges = self._sums(watched)
        boxes = self.plan.graph.boxes
        owner = {box: operator.number for operator in self.plan.operators for box in operator.boxes}
        stages = tuple(
            StageReport(
                name=box.name,
                kind=box.stage.kind,
                where=str(box.stage.origin),
                operator=owner[box.number],
                **asdict(tally),
                **asdict(times[owner[box.number]]),
            )
            for box, tally in zip(boxes, tallies, strict=True)
        )
        joints = tuple(
            EdgeReport(boxes[edge.start].name, boxes[edge.end].name, **asdict(counts))
            for edge, counts in zip(self.plan.graph.edges, edges, strict=True)
        )
        return Progress(
            run=self.run,
            seconds=seconds,
            stages=stages,
            edges=joints,
            units=len(self._order),
            units_done=len(self._results),
        )

    def _sums(
        self, watched: Mapping[str, Any]
    ) -> tuple[list[StageTally], list[OperatorTimes], list[EdgeTally]]:
        tallies = [StageTally() for _ in self.plan.graph.boxes]
        times = [OperatorTimes() for _ in self.plan.operators]
        edges = [EdgeTally() for _ in self.plan.graph.edges]
        live = [
            counts
            for unit, watch in watched.items()
            if unit not in self._results and (counts := watch()) is not None
        ]
        for part in (*self._results.values(), *live):
            _add(tallies, part.tallies)
            _add(times, part.times)
            _add(edges, part.edges)
        return tallies, times, edges

    def report(
        self,
        progress: Progress,
        *,
        outcome: Outcome,
        started: datetime,
        written: tuple[str, ...],
        uncommitted_writes: tuple[str, ...],
        leftovers: tuple[str, ...],
        workers: dict[str, int],
    ) -> RunReport:
        """The account of the ended run."""
        dead_letters: list[DeadLetter] = []
        for result in self.results():
            dead_letters += result.dead_letters[: KEPT - len(dead_letters)]
        last = self.results()[-1] if self._results else None
        return RunReport(
            run=progress.run,
            seconds=progress.seconds,
            stages=progress.stages if outcome == "succeeded" else self._stopped(progress.stages),
            edges=progress.edges,
            units=progress.units,
            units_done=progress.units_done,
            outcome=outcome,
            pipeline=self.plan.name,
            started=started,
            written=written,
            uncommitted_writes=uncommitted_writes,
            dead_letters=tuple(dead_letters),
            leftovers=leftovers,
            position=last.position if last else None,
            more=last.more if last else False,
            workers=workers,
        )

    def _stopped(self, stages: tuple[StageReport, ...]) -> tuple[StageReport, ...]:
        """The stages of a run that was stopped: what they took and did not account for was dropped with the run."""
        single = one_to_one(self.plan)
        return tuple(
            replace(
                stage, dropped=stage.received - stage.emitted - stage.filtered - stage.skipped - stage.dead
            )
            if box.number in single
            else stage
            for box, stage in zip(self.plan.graph.boxes, stages, strict=True)
        )


def _add(sums: Sequence[Sum], added: Sequence[Sum]) -> None:
    for one, other in zip(sums, added, strict=True):
        one.add(other)


def one_to_one(plan: Plan) -> frozenset[int]:
    """The boxes that give at most one item for each they take."""
    several = {"FlatMap", "Batch", "Fold"}
    return frozenset(box.number for box in plan.graph.boxes if box.stage.kind not in several)
