"""The facts of a run: the counts of every stage and edge, where time went, what was written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal

from piko_flow.errors import shorten

SHOWN = 1000  # characters of an item or a position in `to_dict`
Outcome = Literal["succeeded", "drained", "cancelled"]


@dataclass(frozen=True)
class StageReport:
    """One stage's counts (in items) and times (in seconds).

    `received` = `emitted` + `filtered` + `skipped` + `dead` + `dropped` for stages that give one item for
    one; the others balance what they took: `emitted` counts what came of it. `dropped` is above 0 only when
    the run was stopped. Stages of one `operator` run in one loop and share `busy` (working), `waiting` (for
    input) and `blocked` (by a full output).
    """

    name: str
    kind: str
    where: str
    operator: int
    received: int = 0
    emitted: int = 0
    filtered: int = 0
    skipped: int = 0
    dead: int = 0
    dropped: int = 0
    retried: int = 0
    busy: float = 0.0
    waiting: float = 0.0
    blocked: float = 0.0


@dataclass(frozen=True)
class EdgeReport:
    """One joint: `sent` = `received` + `left`, where `left` is above 0 only when the run was stopped."""

    start: str
    end: str
    sent: int = 0
    received: int = 0
    left: int = 0


@dataclass(frozen=True)
class DeadLetter:
    """An item that failed for good: its stage, the item itself, and the error as text.

    `batch` says that `item` is a list of items that a sink could not write together. `place` is where in the flow's
    code it failed, the same for equal failures, and `trace` the traceback; of dead letters that are only counted both
    are empty.
    """

    stage: str
    where: str
    item: Any
    error: str
    error_type: str
    unit: str = ""
    batch: bool = False
    place: str = ""
    trace: str = ""

    @property
    def items(self) -> list[Any]:
        """The items that failed together; of a dead letter that is no batch its own alone."""
        return list(self.item) if self.batch else [self.item]


@dataclass(frozen=True)
class Progress:
    """Where a run stands, or stood when it ended. `units` counts units in all, `units_done` those that have ended."""

    run: str
    seconds: float
    stages: tuple[StageReport, ...]
    edges: tuple[EdgeReport, ...]
    units: int = 1
    units_done: int = 0

    @property
    def bottleneck(self) -> str:
        """The name of the stage that everything else waits for: the one whose operator was busy longest."""
        busiest = max(self.stages, key=lambda stage: stage.busy, default=None)
        return busiest.name if busiest is not None and busiest.busy > 0 else ""


@dataclass(frozen=True)
class RunFacts(Progress):
    """The account of an ended run.

    `outcome` is "succeeded" (committed), "drained" or "cancelled" (nothing committed). `written` has a line
    for each place that a sink published to; `uncommitted_writes` names the sinks of a run without a commit that write at once: what
    they had written is there all the same. `dead_letters` holds the first 1,000; the stages count all.
    `leftovers` names threads that could not be stopped and remains that could not be removed. `position` is
    where an unbounded source stands and `more` whether its slice ended before its input did.
    """

    outcome: Outcome = "succeeded"
    pipeline: str = ""
    started: datetime | None = None
    written: tuple[str, ...] = ()
    uncommitted_writes: tuple[str, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    leftovers: tuple[str, ...] = ()
    position: Any = None
    more: bool = False
    workers: dict[str, int] = field(default_factory=dict)

    @property
    def items(self) -> int:
        """How many items the sources gave."""
        return sum(stage.emitted for stage in self.stages if stage.kind == "Source")

    @property
    def dead(self) -> int:
        """How many items became dead letters, over all stages."""
        return sum(stage.dead for stage in self.stages)

    @property
    def skipped(self) -> int:
        """How many items were skipped, over all stages."""
        return sum(stage.skipped for stage in self.stages)

    def stage(self, name: str) -> StageReport:
        """The account of one stage. Raises KeyError with the names there are."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(
            f"no stage {name!r} in this run; it has {', '.join(stage.name for stage in self.stages)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values, the bottleneck included; items of dead letters are shown as text."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"bottleneck": self.bottleneck, "items": self.items}
        values["started"] = self.started.isoformat() if self.started else None
        values["position"] = None if self.position is None else shorten(self.position, SHOWN)
        values["stages"] = [asdict(stage) for stage in self.stages]
        values["edges"] = [asdict(edge) for edge in self.edges]
        values["dead_letters"] = [
            asdict(replace(dead_letter, item=shorten(dead_letter.item, SHOWN)))
            for dead_letter in self.dead_letters
        ]
        return values
