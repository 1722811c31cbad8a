"""Where a graph branches and meets again: Route, Broadcast, Merge."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from piko_flow.dataflow.stages.function import name_of, signature_of
from piko_flow.dataflow.stages.options import OnError, checked_on_error
from piko_flow.dataflow.stages.stage import In, Out, SinkLike, SourceLike, Stage, TransformLike, describe

T = TypeVar("T")


class On(Stage, Generic[In, Out]):
    """One branch of a Route: items of a type, or for which a predicate is true, go to a sink or a transform."""

    test: Any
    branch: Stage

    def __init__(self, test: type[Any] | Callable[[Any], object], branch: Stage, /) -> None:
        kind = test if isinstance(test, type) else typing.get_origin(test)
        self._describe(name=None, fallback=getattr(test, "__name__", None) or name_of(test))
        if isinstance(test, types.UnionType) or kind is typing.Union:
            test = typing.get_args(test)
            if not all(isinstance(member, type) for member in test):
                self.refuse("On takes a class, a union of classes or a predicate", f"got {test!r}")
        elif (kind is not None and not isinstance(test, type)) or isinstance(test, types.GenericAlias):
            self.refuse(
                "a branch is chosen by isinstance, which knows no type arguments",
                f"{test!r} came",
                f"Write On({getattr(kind, '__name__', kind)}, ...) or a predicate",
            )
        elif not callable(test):
            self.refuse("On takes a class or a predicate", f"{describe(test)} came")
        elif not isinstance(test, type) and signature_of(test).is_async:
            self.refuse(
                "On's predicate is a plain function",
                "an async function came",
                "Do the waiting in a Transform before",
            )
        check_branch(self, branch)
        self._keep(test=test, branch=branch)

    @property
    def classes(self) -> tuple[type[Any], ...]:
        """The classes that this branch takes; empty when it goes by a predicate."""
        if isinstance(self.test, tuple):
            return self.test
        return (self.test,) if isinstance(self.test, type) else ()

    def leaves(self) -> Iterator[Stage]:
        yield from self.branch.leaves()


class Fork:
    """What stages with branches share. The branches are told apart by `labels`."""

    branches: tuple[Stage, ...]
    labels: tuple[str, ...]
    title: str
    refuse: Callable[..., typing.NoReturn]

    def leaves(self) -> Iterator[Stage]:
        yield typing.cast("Stage", self)
        for branch in self.branches:
            yield from branch.leaves()


class RouteFork(Fork):
    """A Route's branches: the first whose test holds gets the item."""

    ons: tuple[On[Any, Any], ...]
    on_error: OnError


class OpenRoute(RouteFork, TransformLike[In, Out], Generic[In, Out]):
    """A Route of which at least one branch goes on."""


class ClosedRoute(RouteFork, SinkLike[In], Generic[In]):
    """A Route whose branches all end in sinks."""


class OpenBroadcast(Fork, TransformLike[In, Out], Generic[In, Out]):
    """A Broadcast of which at least one branch goes on."""


class ClosedBroadcast(Fork, SinkLike[In], Generic[In]):
    """A Broadcast whose branches all end in sinks."""


def Route(*branches: Any, on_error: OnError = "fail", name: str | None = None) -> Any:  # noqa: N802  # reads as a stage
    """Send each item down the first branch whose test holds: `Route(On(Order, x), On(is_refund, y))`.

    An item that matches none fails at the Route under `on_error`; `On(object, x)` last takes the rest.
    Order: each branch keeps its own; branches that go on meet again and hand on as items arrive.
    """
    closed = all(isinstance(on, On) and isinstance(on.branch, SinkLike) for on in branches)
    stage: Any = object.__new__(ClosedRoute if closed else OpenRoute)
    stage._describe(name=name, fallback="route")
    for on in branches:
        if not isinstance(on, On):
            stage.refuse("a Route is made of On(type or predicate, branch)", f"{describe(on)} came")
    if not branches:
        stage.refuse("a Route needs at least one branch", "none came")
    stage._keep(
        ons=branches,
        branches=tuple(on.branch for on in branches),
        labels=tuple(on.name for on in branches),
        on_error=checked_on_error(stage, on_error),
    )
    _check_shadows(stage)
    check_distinct_sinks(stage)
    return stage


def Broadcast(*branches: Any, name: str | None = None) -> Any:  # noqa: N802  # reads as a stage
    """Send every item down all branches; they share the one object, so none may change it.

    Order: each branch keeps its own; branches that go on meet again and hand on as items arrive. The
    slowest branch sets the pace.
    """
    closed = all(isinstance(branch, SinkLike) for branch in branches)
    stage: Any = object.__new__(ClosedBroadcast if closed else OpenBroadcast)
    stage._describe(name=name, fallback="broadcast")
    if len(branches) < 2:
        stage.refuse("a Broadcast needs at least two branches", f"{len(branches)} came")
    for branch in branches:
        check_branch(stage, branch)
    stage._keep(branches=branches, labels=tuple(str(number) for number in range(1, len(branches) + 1)))
    check_distinct_sinks(stage)
    return stage


class Merge(SourceLike[Out], Generic[Out]):
    """One source out of several: items are handed on as they arrive, each source keeping its own order.

    A merge makes the run one unit.
    """

    sources: tuple[Stage, ...]

    def __init__(self: Merge[T], *sources: SourceLike[T], name: str | None = None) -> None:
        self._describe(name=name, fallback="merge")
        if len(sources) < 2:
            self.refuse("a Merge needs at least two sources", f"{len(sources)} came")
        for source in sources:
            if not isinstance(source, SourceLike):
                self.refuse("a Merge is made of sources", f"{describe(source)} came")
        self._keep(sources=sources)

    def leaves(self) -> Iterator[Stage]:
        for source in self.sources:
            yield from source.leaves()
        yield self

    def gives(self, incoming: Any) -> Any:
        from piko_flow.dataflow.typing import outgoing, union_of

        return union_of([outgoing(source) for source in self.sources])


def check_branch(stage: Any, branch: object) -> None:
    """Refuse what cannot be a branch."""
    if not isinstance(branch, (SinkLike, TransformLike)):
        stage.refuse(
            "a branch is a sink or a transform",
            f"{describe(branch)} came",
            "Wrap a function in Sink(...) or Transform(...)",
        )


def check_distinct_sinks(stage: Any) -> None:
    """Refuse one sink in two places: its parts would be written twice under one name."""
    from piko_flow.dataflow.stages.sink import Sink

    seen: dict[int, Sink[Any]] = {}
    for leaf in stage.leaves():
        if isinstance(leaf, Sink):
            same = seen.setdefault(id(leaf if leaf.target is None else leaf.target), leaf)
            if same is not leaf or list(stage.leaves()).count(leaf) > 1:
                stage.refuse(
                    "a sink has one place in a pipeline",
                    f"{leaf.title} ({leaf.origin}) is in two",
                    "Let the branches meet before it, or make two sinks",
                )


def _check_shadows(route: Any) -> None:
    seen: list[type[Any]] = []
    for on in route.ons:
        for kind in on.classes:
            earlier = next((base for base in seen if issubclass(kind, base)), None)
            if earlier is not None:
                route.refuse(
                    "a branch must be reachable: the first that matches wins",
                    f"On({kind.__name__}) comes after On({earlier.__name__}), which takes all of it",
                    f"Put On({kind.__name__}) first",
                )
        seen.extend(on.classes)
