"""Broadcast: each item goes down all branches."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from piko_flow.dataflow.stages.options import check_names
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

I = TypeVar("I")  # noqa: E741
G1 = TypeVar("G1")
G2 = TypeVar("G2")
G3 = TypeVar("G3")
G4 = TypeVar("G4")
G5 = TypeVar("G5")
G6 = TypeVar("G6")
G7 = TypeVar("G7")
G8 = TypeVar("G8")


@overload
def Broadcast(  # type: ignore[overload-overlap]  # sinks give Never
    x1: SinkLike[I], x2: SinkLike[I], /, *more: SinkLike[I], name: str | None = ...
) -> SinkLike[I]: ...
@overload
def Broadcast(
    x1: Branch[I, G1], x2: Branch[I, G2], /, *, name: str | None = ...
) -> TransformLike[I, G1 | G2]: ...
@overload
def Broadcast(
    x1: Branch[I, G1], x2: Branch[I, G2], x3: Branch[I, G3], /, *, name: str | None = ...
) -> TransformLike[I, G1 | G2 | G3]: ...
@overload
def Broadcast(
    x1: Branch[I, G1], x2: Branch[I, G2], x3: Branch[I, G3], x4: Branch[I, G4], /, *, name: str | None = ...
) -> TransformLike[I, G1 | G2 | G3 | G4]: ...
@overload
def Broadcast(
    x1: Branch[I, G1],
    x2: Branch[I, G2],
    x3: Branch[I, G3],
    x4: Branch[I, G4],
    x5: Branch[I, G5],
    /,
    *,
    name: str | None = ...,
) -> TransformLike[I, G1 | G2 | G3 | G4 | G5]: ...
@overload
def Broadcast(
    x1: Branch[I, G1],
    x2: Branch[I, G2],
    x3: Branch[I, G3],
    x4: Branch[I, G4],
    x5: Branch[I, G5],
    x6: Branch[I, G6],
    /,
    *,
    name: str | None = ...,
) -> TransformLike[I, G1 | G2 | G3 | G4 | G5 | G6]: ...
@overload
def Broadcast(
    x1: Branch[I, G1],
    x2: Branch[I, G2],
    x3: Branch[I, G3],
    x4: Branch[I, G4],
    x5: Branch[I, G5],
    x6: Branch[I, G6],
    x7: Branch[I, G7],
    /,
    *,
    name: str | None = ...,
) -> TransformLike[I, G1 | G2 | G3 | G4 | G5 | G6 | G7]: ...
@overload
def Broadcast(
    x1: Branch[I, G1],
    x2: Branch[I, G2],
    x3: Branch[I, G3],
    x4: Branch[I, G4],
    x5: Branch[I, G5],
    x6: Branch[I, G6],
    x7: Branch[I, G7],
    x8: Branch[I, G8],
    /,
    *,
    name: str | None = ...,
) -> TransformLike[I, G1 | G2 | G3 | G4 | G5 | G6 | G7 | G8]: ...
@overload
def Broadcast(
    x1: Branch[I, Any],
    x2: Branch[I, Any],
    x3: Branch[I, Any],
    x4: Branch[I, Any],
    x5: Branch[I, Any],
    x6: Branch[I, Any],
    x7: Branch[I, Any],
    x8: Branch[I, Any],
    x9: Branch[I, Any],
    /,
    *more: Branch[I, Any],
    name: str | None = ...,
) -> Any: ...
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
