"""Broadcast: each item goes down all branches."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from piko_flow.dataflow.stages.routing import (
    ClosedBroadcast,
    OpenBroadcast,
)
from piko_flow.dataflow.stages.stage import (
    Branch,
    SinkLike,
    TransformLike,
    check_branch,
    check_distinct_sinks,
)
from piko_flow.dataflow.stages.stage_options import check_names

I = TypeVar("I")  # noqa: E741
G = TypeVar("G")
G2 = TypeVar("G2")


# Two branches have a variable each: where they share one, pyright forgets what a generic function gives.
@overload
def Broadcast(  # type: ignore[overload-overlap]  # sinks give Never
    x1: SinkLike[I], x2: SinkLike[I], /, *more: SinkLike[I], name: str | None = ...
) -> SinkLike[I]: ...
@overload
def Broadcast(
    x1: Branch[I, G], x2: Branch[I, G2], /, *, name: str | None = ...
) -> TransformLike[I, G | G2]: ...
@overload
def Broadcast(
    x1: Branch[I, G], x2: Branch[I, G], /, *more: Branch[I, G], name: str | None = ...
) -> TransformLike[I, G]: ...
def Broadcast(*branches: Any, name: str | None = None, **unknown: Any) -> Any:  # noqa: N802  # reads as a stage
    """Send every item down all branches; they share the one object, so none may change it.

    Order: each branch keeps its own; branches that go on meet again and hand on as items arrive. The
    slowest branch sets the pace.
    """
    closed = all(isinstance(branch, SinkLike) for branch in branches)
    stage: Any = object.__new__(ClosedBroadcast if closed else OpenBroadcast)
    stage._describe(name=name, fallback="broadcast")
    check_names(stage, unknown, ())
    if len(branches) < 2:
        stage.refuse("a Broadcast needs at least two branches", f"got {len(branches)}")
    for branch in branches:
        check_branch(stage, branch)
    stage._keep(branches=branches, labels=tuple(str(number) for number in range(1, len(branches) + 1)))
    check_distinct_sinks(stage)
    return stage
