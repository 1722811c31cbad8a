"""Route: each item goes down the first branch whose test holds."""

from __future__ import annotations

from typing import Any, Never, TypeVar, overload

from typing_extensions import TypedDict, Unpack

from piko_flow.dataflow.stages.options import OnError, check_names, checked_on_error
from piko_flow.dataflow.stages.routing import (
    Class,
    ClosedRoute,
    On,
    OpenRoute,
    Predicate,
)
from piko_flow.dataflow.stages.stage import SinkLike, TransformLike, check_distinct_sinks, describe

G1 = TypeVar("G1")
G2 = TypeVar("G2")
G3 = TypeVar("G3")
G4 = TypeVar("G4")
G5 = TypeVar("G5")
G6 = TypeVar("G6")
G7 = TypeVar("G7")
G8 = TypeVar("G8")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
R5 = TypeVar("R5")
R6 = TypeVar("R6")
R7 = TypeVar("R7")
R8 = TypeVar("R8")
AnyOn = On[Any, Any, Any, Any]


class RouteOptions(TypedDict, total=False):
    """The options of a Route as users give them."""

    on_error: OnError
    name: str | None


# With a class first the Route takes what its branches take together; a predicate first sees everything that comes,
# so it alone says what the Route takes. R2 doubles R1 where R1 alone would let mypy widen it to whatever comes.
# With sinks only, nothing comes out.
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, R2, Never], /, **options: Unpack[RouteOptions]
) -> SinkLike[R1 | R2]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never], on2: On[Any, R2, Any, Never], /, **options: Unpack[RouteOptions]
) -> SinkLike[R1 | R2]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never],
    on2: On[Any, R2, Any, Never],
    on3: On[Any, R3, Any, Never],
    /,
    **options: Unpack[RouteOptions],
) -> SinkLike[R1 | R2 | R3]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never],
    on2: On[Any, R2, Any, Never],
    on3: On[Any, R3, Any, Never],
    on4: On[Any, R4, Any, Never],
    /,
    **options: Unpack[RouteOptions],
) -> SinkLike[R1 | R2 | R3 | R4]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never],
    on2: On[Any, R2, Any, Never],
    on3: On[Any, R3, Any, Never],
    on4: On[Any, R4, Any, Never],
    on5: On[Any, R5, Any, Never],
    /,
    **options: Unpack[RouteOptions],
) -> SinkLike[R1 | R2 | R3 | R4 | R5]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never],
    on2: On[Any, R2, Any, Never],
    on3: On[Any, R3, Any, Never],
    on4: On[Any, R4, Any, Never],
    on5: On[Any, R5, Any, Never],
    on6: On[Any, R6, Any, Never],
    /,
    **options: Unpack[RouteOptions],
) -> SinkLike[R1 | R2 | R3 | R4 | R5 | R6]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never],
    on2: On[Any, R2, Any, Never],
    on3: On[Any, R3, Any, Never],
    on4: On[Any, R4, Any, Never],
    on5: On[Any, R5, Any, Never],
    on6: On[Any, R6, Any, Never],
    on7: On[Any, R7, Any, Never],
    /,
    **options: Unpack[RouteOptions],
) -> SinkLike[R1 | R2 | R3 | R4 | R5 | R6 | R7]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Class, R1, Any, Never],
    on2: On[Any, R2, Any, Never],
    on3: On[Any, R3, Any, Never],
    on4: On[Any, R4, Any, Never],
    on5: On[Any, R5, Any, Never],
    on6: On[Any, R6, Any, Never],
    on7: On[Any, R7, Any, Never],
    on8: On[Any, R8, Any, Never],
    /,
    **options: Unpack[RouteOptions],
) -> SinkLike[R1 | R2 | R3 | R4 | R5 | R6 | R7 | R8]: ...
@overload
def Route(on1: On[Class, R1, R2, G1], /, **options: Unpack[RouteOptions]) -> TransformLike[R1 | R2, G1]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1], on2: On[Any, R2, Any, G2], /, **options: Unpack[RouteOptions]
) -> TransformLike[R1 | R2, G1 | G2]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1],
    on2: On[Any, R2, Any, G2],
    on3: On[Any, R3, Any, G3],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2 | R3, G1 | G2 | G3]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1],
    on2: On[Any, R2, Any, G2],
    on3: On[Any, R3, Any, G3],
    on4: On[Any, R4, Any, G4],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2 | R3 | R4, G1 | G2 | G3 | G4]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1],
    on2: On[Any, R2, Any, G2],
    on3: On[Any, R3, Any, G3],
    on4: On[Any, R4, Any, G4],
    on5: On[Any, R5, Any, G5],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2 | R3 | R4 | R5, G1 | G2 | G3 | G4 | G5]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1],
    on2: On[Any, R2, Any, G2],
    on3: On[Any, R3, Any, G3],
    on4: On[Any, R4, Any, G4],
    on5: On[Any, R5, Any, G5],
    on6: On[Any, R6, Any, G6],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2 | R3 | R4 | R5 | R6, G1 | G2 | G3 | G4 | G5 | G6]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1],
    on2: On[Any, R2, Any, G2],
    on3: On[Any, R3, Any, G3],
    on4: On[Any, R4, Any, G4],
    on5: On[Any, R5, Any, G5],
    on6: On[Any, R6, Any, G6],
    on7: On[Any, R7, Any, G7],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2 | R3 | R4 | R5 | R6 | R7, G1 | G2 | G3 | G4 | G5 | G6 | G7]: ...
@overload
def Route(
    on1: On[Class, R1, Any, G1],
    on2: On[Any, R2, Any, G2],
    on3: On[Any, R3, Any, G3],
    on4: On[Any, R4, Any, G4],
    on5: On[Any, R5, Any, G5],
    on6: On[Any, R6, Any, G6],
    on7: On[Any, R7, Any, G7],
    on8: On[Any, R8, Any, G8],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2 | R3 | R4 | R5 | R6 | R7 | R8, G1 | G2 | G3 | G4 | G5 | G6 | G7 | G8]: ...
@overload
def Route(  # type: ignore[overload-overlap]  # sinks give Never
    on1: On[Predicate, R1, R2, Never], /, *more: On[Any, Any, Any, Never], **options: Unpack[RouteOptions]
) -> SinkLike[R1 | R2]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1], /, **options: Unpack[RouteOptions]
) -> TransformLike[R1 | R2, G1]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1], on2: On[Any, Any, Any, G2], /, **options: Unpack[RouteOptions]
) -> TransformLike[R1 | R2, G1 | G2]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1],
    on2: On[Any, Any, Any, G2],
    on3: On[Any, Any, Any, G3],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2, G1 | G2 | G3]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1],
    on2: On[Any, Any, Any, G2],
    on3: On[Any, Any, Any, G3],
    on4: On[Any, Any, Any, G4],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2, G1 | G2 | G3 | G4]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1],
    on2: On[Any, Any, Any, G2],
    on3: On[Any, Any, Any, G3],
    on4: On[Any, Any, Any, G4],
    on5: On[Any, Any, Any, G5],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2, G1 | G2 | G3 | G4 | G5]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1],
    on2: On[Any, Any, Any, G2],
    on3: On[Any, Any, Any, G3],
    on4: On[Any, Any, Any, G4],
    on5: On[Any, Any, Any, G5],
    on6: On[Any, Any, Any, G6],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2, G1 | G2 | G3 | G4 | G5 | G6]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1],
    on2: On[Any, Any, Any, G2],
    on3: On[Any, Any, Any, G3],
    on4: On[Any, Any, Any, G4],
    on5: On[Any, Any, Any, G5],
    on6: On[Any, Any, Any, G6],
    on7: On[Any, Any, Any, G7],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2, G1 | G2 | G3 | G4 | G5 | G6 | G7]: ...
@overload
def Route(
    on1: On[Predicate, R1, R2, G1],
    on2: On[Any, Any, Any, G2],
    on3: On[Any, Any, Any, G3],
    on4: On[Any, Any, Any, G4],
    on5: On[Any, Any, Any, G5],
    on6: On[Any, Any, Any, G6],
    on7: On[Any, Any, Any, G7],
    on8: On[Any, Any, Any, G8],
    /,
    **options: Unpack[RouteOptions],
) -> TransformLike[R1 | R2, G1 | G2 | G3 | G4 | G5 | G6 | G7 | G8]: ...
@overload
def Route(
    on1: AnyOn,
    on2: AnyOn,
    on3: AnyOn,
    on4: AnyOn,
    on5: AnyOn,
    on6: AnyOn,
    on7: AnyOn,
    on8: AnyOn,
    on9: AnyOn,
    /,
    *more: AnyOn,
    **options: Unpack[RouteOptions],
) -> Any: ...
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
