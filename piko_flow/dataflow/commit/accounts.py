"""Adding up what the units of a run have done, whether the counts balance, and how many items may have failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypeVar

from piko_flow.counting import counted
from piko_flow.dataflow.commit.result import UnitResult, one_to_one
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
from piko_flow.errors import ErrorBudgetExceeded, StageFailed, Unbalanced

Sum = TypeVar("Sum", bound=Tally)
KEPT = 1000  # dead letters that a run holds; the rest are only counted


class Accounts:
    """The results of a run's units, and the sums over them and over what is still in work."""

    def __init__(self, plan: Plan, run: str) -> None:
        self._plan, self._run = plan, run
        self._results: dict[str, UnitResult] = {}
        self._order = [unit.id for unit in plan.units]
        self.restored = False

    @property
    def complete(self) -> bool:
        """Whether every unit has read its source to the end and prepared its parts."""
        return all(unit in self._results and self._results[unit].exhausted for unit in self._order)

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

    def check(self, budget: Budget) -> None:
        """Raises Unbalanced where a unit is missing or counts do not add up, ErrorBudgetExceeded for too many bad items."""
        if not self.complete:
            missing = [
                unit for unit in self._order if unit not in self._results or not self._results[unit].exhausted
            ]
            shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            lines = [
                f"{len(missing)} of {counted(len(self._order), 'unit')} did not read their source to the end: {shown}"
            ]
            raise Unbalanced(lines=lines, run=self._run)
        progress = self.progress({}, 0.0)
        names = frozenset(self._plan.graph.boxes[number].name for number in one_to_one(self._plan))
        lines = imbalances(progress.stages, progress.edges, names)
        if lines:
            raise Unbalanced(lines=lines, run=self._run)
        bad = sum(stage.skipped + stage.dead for stage in progress.stages)
        read = sum(stage.received for stage in progress.stages if stage.kind == "Source")
        budget.judge(
            bad, read, (dead_letter for result in self.results() for dead_letter in result.dead_letters)
        )

    def progress(self, watched: Mapping[str, Any], seconds: float) -> Progress:
        """The sums so far, units in work included."""
        tallies, times, edges = self._sums(watched)
        boxes = self._plan.graph.boxes
        owner = {box: operator.number for operator in self._plan.operators for box in operator.boxes}
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
            for edge, counts in zip(self._plan.graph.edges, edges, strict=True)
        )
        return Progress(
            run=self._run,
            seconds=seconds,
            stages=stages,
            edges=joints,
            units=len(self._order),
            units_done=len(self._results),
        )

    def _sums(
        self, watched: Mapping[str, Any]
    ) -> tuple[list[StageTally], list[OperatorTimes], list[EdgeTally]]:
        tallies = [StageTally() for _ in self._plan.graph.boxes]
        times = [OperatorTimes() for _ in self._plan.operators]
        edges = [EdgeTally() for _ in self._plan.graph.edges]
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
            pipeline=self._plan.name,
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
        single = one_to_one(self._plan)
        return tuple(
            replace(
                stage, dropped=stage.received - stage.emitted - stage.filtered - stage.skipped - stage.dead
            )
            if box.number in single
            else stage
            for box, stage in zip(self._plan.graph.boxes, stages, strict=True)
        )


def _add(sums: Sequence[Sum], added: Sequence[Sum]) -> None:
    for one, other in zip(sums, added, strict=True):
        one.add(other)


class Budget:
    """How many items of a run may be skipped or dead, and how many dead letters it holds. A share of the items is judged when the run has read them all."""

    def __init__(self, limit: int | float | None, *, run: str) -> None:
        self._limit, self._run = limit, run
        self.bad = self.dead_letters = 0
        self._first: StageFailed | None = None

    def note(self, failure: Callable[[], StageFailed]) -> None:
        """Keep the first item that failed, as its failure tells of it, for the error of a run that may have too many."""
        if self._first is None and self._limit is not None:
            self._first = failure()

    def spend(self, items: int) -> None:
        """Count bad items. Raises ErrorBudgetExceeded as soon as a limit in items is passed."""
        self.bad += items
        if isinstance(self._limit, int) and self.bad > self._limit:
            raise self._exceeded(self.bad, None, self._limit, self._first)

    def keep(self) -> bool:
        """Whether one more dead letter is held; those of all units of a process are counted together."""
        self.dead_letters += 1
        return self.dead_letters <= KEPT

    def judge(self, bad: int, read: int, dead_letters: Iterable[DeadLetter] = ()) -> None:
        """Judge a whole run by its totals. Raises ErrorBudgetExceeded.

        Of one whose items failed elsewhere the first of the `dead_letters` says.
        """
        if self._limit is None:
            return
        allowed = self._limit if isinstance(self._limit, int) else self._limit * read
        if bad > allowed:
            kept = (
                StageFailed(stage=one.stage, where=one.where, item=one.item, run=self._run, cause=one.error)
                for one in dead_letters
            )
            raise self._exceeded(bad, read, self._limit, self._first or next(kept, None))

    def _exceeded(
        self, bad: int, of: int | None, limit: int | float, first: StageFailed | None
    ) -> ErrorBudgetExceeded:
        error = ErrorBudgetExceeded(bad=bad, of=of, allowed=limit, run=self._run, first=first)
        error.__cause__ = None if first is None else first.__cause__
        return error


def imbalances(
    stages: Sequence[StageReport], edges: Sequence[EdgeReport], one_to_one: frozenset[str]
) -> list[str]:
    """A line for each stage and edge of a whole run whose counts do not add up.

    Stages not in `one_to_one` balance by their edges alone: what each sent is what the stage emitted, what
    each delivered is what the stage received. Stage and edge count for themselves, so neither can hide a loss.
    """
    lines = []
    for stage in stages:
        ended = stage.emitted + stage.filtered + stage.skipped + stage.dead + stage.dropped
        if stage.name in one_to_one and stage.received != ended:
            lines.append(f"{stage.name} received {stage.received} items and accounts for {ended}")
        got = [edge.received for edge in edges if edge.end == stage.name]
        if got and sum(got) != stage.received:
            lines.append(f"{stage.name} was sent {sum(got)} items and received {stage.received}")
        sent = [edge.sent for edge in edges if edge.start == stage.name]
        left = set(sent) if stage.kind == "Broadcast" else {sum(sent)}
        if sent and left != {stage.emitted}:
            lines.append(
                f"{stage.name} emitted {stage.emitted} items and sent {' and '.join(map(str, sent))}"
            )
    lines += [
        f"{edge.start} sent {edge.sent} items to {edge.end}, which received {edge.received}"
        for edge in edges
        if edge.sent != edge.received + edge.left
    ]
    return lines
