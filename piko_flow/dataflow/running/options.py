"""The options of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from typing_extensions import TypedDict

from piko_flow.dataflow.origin import caller
from piko_flow.errors import PipelineError

if TYPE_CHECKING:
    from piko_flow.dataflow.running.engine import Engine
    from piko_flow.dataflow.running.journal import Journal
    from piko_flow.dataflow.running.observer import Observer
    from piko_flow.dataflow.running.worker_pool import WorkerPool
    from piko_flow.dataflow.stages.resource import ResourcePool

DEFAULT_CAPACITY = 1024


@dataclass(frozen=True)
class Capacity:
    """How much a channel holds: `items`, and at most `size` by the sum of `weigh(item)` (bytes, say) where given.

    One item heavier than `size` passes alone.
    """

    items: int = DEFAULT_CAPACITY
    size: float | None = None
    weigh: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.items, bool) or not isinstance(self.items, int) or self.items < 1:
            _refuse("capacity must be a whole number of items of at least 1", f"got {self.items!r}")
        if (self.size is None) != (self.weigh is None):
            given = "size" if self.weigh is None else "weigh"
            _refuse(
                "size and weigh of a Capacity go together: the bound, and a function that tells one item's share",
                f"only {given} came",
            )
        if self.size is not None and not self.size > 0:
            _refuse("size of a Capacity must be above 0", f"got {self.size!r}")


class RunValues(TypedDict, total=False):
    """The options of `run`, `start` and `run_sync` as users give them."""

    max_errors: int | float | None
    capacity: int | Capacity
    validate: bool
    engine: Engine | None
    pool: WorkerPool | None
    resources: ResourcePool | None
    observer: Observer | None
    journal: Journal | None
    run_id: str | None
    since: Any


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, checked.

    `max_errors`: how many items (int), or which share of those read (float), may be skipped or dead.
    `capacity`: of each channel. `validate`: check the values at every joint with Pydantic. `engine`: where
    units run. `pool`: worker processes shared with other runs. `resources`: those of scope "app". `journal`:
    where receipts and decisions are kept, so that the run `run_id` can be resumed. `since`: the position
    from which an unbounded source goes on.
    """

    max_errors: int | float | None = None
    capacity: Capacity = Capacity()
    validate: bool = False
    engine: Engine | None = None
    pool: WorkerPool | None = None
    resources: ResourcePool | None = None
    observer: Observer | None = None
    journal: Journal | None = None
    run_id: str | None = None
    since: Any = None

    def __post_init__(self) -> None:
        limit = self.max_errors
        if limit is None:
            return
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < 0:
            _refuse("max_errors must be a number of items (int) or a share of them (float)", f"got {limit!r}")
        if isinstance(limit, float) and not limit <= 1:
            _refuse(
                "max_errors as a share lies between 0.0 and 1.0",
                f"got {limit!r}",
                "Give a whole number for a count of items",
            )


def run_options(values: RunValues) -> RunOptions:
    """The options as given, checked. Raises PipelineError for a bad value and for an unknown name."""
    known = list(RunOptions.__dataclass_fields__)
    for option in values:
        if option not in known:
            close = get_close_matches(option, known, n=1)
            advice = f"Did you mean {close[0]}=?" if close else ""
            _refuse(f"an option of a run is one of {', '.join(known)}", f"{option}= came", advice)
    given: dict[str, Any] = dict(values)
    capacity = given.get("capacity", Capacity())
    given["capacity"] = capacity if isinstance(capacity, Capacity) else Capacity(items=capacity)
    return RunOptions(**given)


def _refuse(rule: str, came: str, advice: str = "") -> NoReturn:
    raise PipelineError(what="the run", where=str(caller()), rule=rule, came=came, advice=advice)
