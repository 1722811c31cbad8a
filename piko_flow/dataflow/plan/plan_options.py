"""The options of a run that decide how it is planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from piko_flow.counting import whole_number
from piko_flow.dataflow.graph.origin import caller
from piko_flow.errors import PipelineError
from piko_flow.known_names import unknown_options_refused

DEFAULT_CAPACITY = 1024


def refuse_option(rule: str, got: str, advice: str = "") -> NoReturn:
    """Raise the PipelineError for an option of a run, naming the line that runs."""
    raise PipelineError(what="the run", where=str(caller()), rule=rule, got=got, advice=advice)


@unknown_options_refused
@dataclass(frozen=True)
class Capacity:
    """How much a channel holds: `items`, and at most `size` by the sum of `weigh(item)` (bytes, say) where given.

    One item heavier than `size` passes alone.
    """

    items: int = DEFAULT_CAPACITY
    size: float | None = None
    weigh: Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        whole_number("capacity", self.items, refuse_option)
        if (self.size is None) != (self.weigh is None):
            given = "size" if self.weigh is None else "weigh"
            refuse_option(
                "size and weigh of a Capacity go together: the bound, and a function that tells one item's share",
                f"got only {given}",
            )
        if self.size is not None and not self.size > 0:
            refuse_option("size of a Capacity must be above 0", f"got {self.size!r}")


@dataclass(frozen=True)
class PlanOptions:
    """What a plan needs to know of a run's options; it travels with the plan.

    `max_errors`: how many items (int), or which share of those read (float), may be skipped or dead.
    `capacity`: of each channel. `validate`: check the values at every joint with Pydantic. `since`: the
    position from which an unbounded source goes on. `teardown`: seconds that each step of cleaning up may take, such
    as a part's abort or a resource's closing; what has not ended then is named in the report and left alone.
    """

    max_errors: int | float | None = None
    capacity: Capacity = Capacity()
    validate: bool = False
    since: Any = None
    teardown: float = 30.0

    def __post_init__(self) -> None:
        if (
            isinstance(self.teardown, bool)
            or not isinstance(self.teardown, (int, float))
            or not self.teardown > 0
        ):
            refuse_option(
                "teardown must be a number of seconds or a timedelta above 0", f"got {self.teardown!r}"
            )
        limit = self.max_errors
        if limit is None:
            return
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < 0:
            refuse_option(
                "max_errors must be a number of items (int) or a share of them (float)", f"got {limit!r}"
            )
        if isinstance(limit, float) and not limit <= 1:
            refuse_option(
                "max_errors as a share lies between 0.0 and 1.0",
                f"got {limit!r}",
                "Give a whole number for a count of items",
            )
