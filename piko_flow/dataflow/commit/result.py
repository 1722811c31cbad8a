"""What a unit leaves when it has ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.stages.sink import Receipt


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


def one_to_one(plan: Plan) -> frozenset[int]:
    """The boxes that give at most one item for each they take."""
    several = {"FlatMap", "Batch", "Fold"}
    return frozenset(box.number for box in plan.graph.boxes if box.stage.kind not in several)
