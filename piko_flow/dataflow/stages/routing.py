"""Where a graph branches and meets again: the branches of a Route, Broadcast, Merge."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeGuard, TypeVar, overload

from typing_extensions import TypeIs

from piko_flow.dataflow.stages.function import name_of, signature_of
from piko_flow.dataflow.stages.options import OnError
from piko_flow.dataflow.stages.stage import (
    Branch,
    In,
    Out,
    SinkLike,
    SourceLike,
    Stage,
    TransformLike,
    describe,
)

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
G = TypeVar("G")
Test = TypeVar("Test", covariant=True)
Sees = TypeVar("Sees", covariant=True)
Sends = TypeVar("Sends", covariant=True)
Gives = TypeVar("Gives", covariant=True)
G1 = TypeVar("G1")
G2 = TypeVar("G2")
G3 = TypeVar("G3")
G4 = TypeVar("G4")
G5 = TypeVar("G5")
G6 = TypeVar("G6")
G7 = TypeVar("G7")
G8 = TypeVar("G8")
Class = type[Any]
Predicate = Callable[..., Any]


class On(Stage, Generic[Test, Sees, Sends, Gives]):
    """One branch of a Route: items of a type, or for which a predicate is true, go to a sink or a transform.

    For checkers: `Test` is how it decides, by Class or by Predicate, `Sees` what may come to it, `Sends` what it sends into the branch, `Gives` what the branch gives (Never for a sink).
    """

    test: Any
    branch: Stage

    @overload
    def __init__(self: On[Class, T, T, G], test: type[T], branch: Branch[T, G], /) -> None: ...
    @overload
    def __init__(
        self: On[Predicate, I, T, G], test: Callable[[I], TypeGuard[T]], branch: Branch[T, G], /
    ) -> None: ...
    @overload
    def __init__(
        self: On[Predicate, I, T, G], test: Callable[[I], TypeIs[T]], branch: Branch[T, G], /
    ) -> None: ...
    @overload
    def __init__(
        self: On[Predicate, I, I, G], test: Callable[[I], object], branch: Branch[I, G], /
    ) -> None: ...
    @overload
    def __init__(self: On[Class, I, I, G], test: types.UnionType, branch: Branch[I, G], /) -> None: ...
    def __init__(self, test: Any, branch: Any, /) -> None:
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

    ons: tuple[On[Any, Any, Any, Any], ...]
    on_error: OnError


class OpenRoute(RouteFork, TransformLike[In, Out], Generic[In, Out]):
    """A Route of which at least one branch goes on."""


class ClosedRoute(RouteFork, SinkLike[In], Generic[In]):
    """A Route whose branches all end in sinks."""


class OpenBroadcast(Fork, TransformLike[In, Out], Generic[In, Out]):
    """A Broadcast of which at least one branch goes on."""


class ClosedBroadcast(Fork, SinkLike[In], Generic[In]):
    """A Broadcast whose branches all end in sinks."""


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

    @overload
    def __init__(
        self: Merge[G1 | G2], s1: SourceLike[G1], s2: SourceLike[G2], /, *, name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Merge[G1 | G2 | G3],
        s1: SourceLike[G1],
        s2: SourceLike[G2],
        s3: SourceLike[G3],
        /,
        *,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Merge[G1 | G2 | G3 | G4],
        s1: SourceLike[G1],
        s2: SourceLike[G2],
        s3: SourceLike[G3],
        s4: SourceLike[G4],
        /,
        *,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Merge[G1 | G2 | G3 | G4 | G5],
        s1: SourceLike[G1],
        s2: SourceLike[G2],
        s3: SourceLike[G3],
        s4: SourceLike[G4],
        s5: SourceLike[G5],
        /,
        *,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Merge[G1 | G2 | G3 | G4 | G5 | G6],
        s1: SourceLike[G1],
        s2: SourceLike[G2],
        s3: SourceLike[G3],
        s4: SourceLike[G4],
        s5: SourceLike[G5],
        s6: SourceLike[G6],
        /,
        *,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Merge[G1 | G2 | G3 | G4 | G5 | G6 | G7],
        s1: SourceLike[G1],
        s2: SourceLike[G2],
        s3: SourceLike[G3],
        s4: SourceLike[G4],
        s5: SourceLike[G5],
        s6: SourceLike[G6],
        s7: SourceLike[G7],
        /,
        *,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Merge[G1 | G2 | G3 | G4 | G5 | G6 | G7 | G8],
        s1: SourceLike[G1],
        s2: SourceLike[G2],
        s3: SourceLike[G3],
        s4: SourceLike[G4],
        s5: SourceLike[G5],
        s6: SourceLike[G6],
        s7: SourceLike[G7],
        s8: SourceLike[G8],
        /,
        *,
        name: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(self: Merge[T], *sources: SourceLike[T], name: str | None = ...) -> None: ...
    def __init__(self, *sources: SourceLike[Any], name: str | None = None) -> None:
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
