"""Route and Broadcast as users write them: each item goes down the first branch whose test holds, or down all branches."""

from __future__ import annotations

from typing import Any, Never, TypeVar, overload

from typing_extensions import TypedDict, Unpack

from piko_flow.dataflow.stages.routing import (
    Class,
    ClosedBroadcast,
    ClosedRoute,
    On,
    OpenBroadcast,
    OpenRoute,
    Predicate,
)
from piko_flow.dataflow.stages.stage import (
    Branch,
    SinkLike,
    TransformLike,
    check_branch,
    check_distinct_sinks,
    describe,
)
from piko_flow.dataflow.stages.stage_options import OnError, check_names, checked_on_error

R = TypeVar("R")
S = TypeVar("S")
I = TypeVar("I")  # noqa: E741
G = TypeVar("G")
G2 = TypeVar("G2")


class RouteOptions(TypedDict, total=False):
    """The options of a Route as users give them."""

    on_error: OnError
    name: str | None


# With a class first the Route takes what its branches take together; a predicate first sees everything that comes,
# so it alone says what the Route takes. S doubles R where R alone would let mypy widen it to whatever comes.
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R, S, Never], /, *more: On[Any, R, Any, Never], **options: Unpack[RouteOptions]
) -> SinkLike[R | S]: ...
@overload
def Route(
    on1: On[Class, R, S, G], /, *more: On[Any, R, Any, G], **options: Unpack[RouteOptions]
) -> TransformLike[R | S, G]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Predicate, R, S, Never], /, *more: On[Any, Any, Any, Never], **options: Unpack[RouteOptions]
) -> SinkLike[R | S]: ...
@overload
def Route(
    on1: On[Predicate, R, S, G], /, *more: On[Any, Any, Any, G], **options: Unpack[RouteOptions]
) -> TransformLike[R | S, G]: ...
def Route(*branches: Any, on_error: OnError = "fail", name: str | None = None, **unknown: Any) -> Any:  # noqa: N802  # reads as a stage
    """Send each item down the first branch whose test holds: `Route(On(Order, x), On(is_refund, y))`.

    An item that matches none fails at the Route under `on_error`; `On(object, x)` last takes the rest.
    Order: each branch keeps its own; branches that go on meet again and hand on as items arrive.
    """
    closed = all(isinstance(on, On) and isinstance(on.branch, SinkLike) for on in branches)
    stage: Any = object.__new__(ClosedRoute if closed else OpenRoute)
    stage._describe(name=name, fallback="route")
    check_names(stage, unknown, ("on_error",))
    for on in branches:
        if not isinstance(on, On):
            stage.refuse("a Route is made of On(type or predicate, branch)", f"got {describe(on)}")
    if not branches:
        stage.refuse("a Route needs at least one branch", "got none")
    stage._keep(
        ons=branches,
        branches=tuple(on.branch for on in branches),
        labels=tuple(on.name for on in branches),
        on_error=checked_on_error(stage, on_error),
    )
    _check_shadows(stage)
    check_distinct_sinks(stage)
    return stage


def _check_shadows(route: Any) -> None:
    """Refuse a branch for classes of which every one goes to earlier branches."""
    seen: list[tuple[type[Any], On[Any, Any, Any, Any]]] = []
    for on in route.ons:
        earlier = [next((on for base, on in seen if issubclass(kind, base)), None) for kind in on.classes]
        if earlier and all(earlier):
            names = " and ".join(dict.fromkeys(f"On({one.name})" for one in earlier if one is not None))
            route.refuse(
                "a branch must be reachable: the first that matches wins",
                f"On({on.name}) comes after {names}, which {'take' if ' and ' in names else 'takes'} all of it",
                f"Put On({on.name}) first",
            )
        seen += [(kind, on) for kind in on.classes]


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
    slowest branch limits the others.
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
