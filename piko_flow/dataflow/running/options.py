"""The options of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

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
            raise ValueError(f"capacity must be a whole number of items >= 1, got {self.items!r}")
        if (self.size is None) != (self.weigh is None):
            raise ValueError(
                "Capacity: size and weigh go together: size is the bound, weigh tells one item's share"
            )
        if self.size is not None and not self.size > 0:
            raise ValueError(f"Capacity: size must be above 0, got {self.size!r}")


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
            raise ValueError(
                f"max_errors must be a number of items (int) or a share of them (float), got {limit!r}"
            )
        if isinstance(limit, float) and limit > 1:
            raise ValueError(
                f"max_errors as a share lies between 0.0 and 1.0, got {limit!r}; a count is a whole number"
            )


def run_options(values: RunValues) -> RunOptions:
    """The options as given, checked. Raises ValueError for a bad value and TypeError for an unknown name."""
    unknown = set(values) - set(RunOptions.__dataclass_fields__)
    if unknown:
        known = ", ".join(RunOptions.__dataclass_fields__)
        raise TypeError(f"run() has no option {', '.join(map(repr, sorted(unknown)))}; it has {known}")
    given: dict[str, Any] = dict(values)
    capacity = given.get("capacity", Capacity())
    given["capacity"] = capacity if isinstance(capacity, Capacity) else Capacity(items=capacity)
    return RunOptions(**given)
