"""Where a graph branches and meets again: the branches of a Route or Broadcast, and Merge."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Generic, Never, TypeGuard, overload

from typing_extensions import TypeIs, TypeVar, is_typeddict

from piko_flow.dataflow.graph.function import name_of, signature_of
from piko_flow.dataflow.graph.generics import members_of, union_of
from piko_flow.dataflow.graph.typing import show
from piko_flow.dataflow.stages.calling import check_call
from piko_flow.dataflow.stages.options import OnError, check_names
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
# The default is for branches that begin with a lambda: without one mypy takes it for a sink.
G = TypeVar("G", default=Any)
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
        self._describe(name=None, fallback=_label(test))
        self._keep(test=self._checked(test))
        check_branch(self, branch)
        self._keep(branch=branch)
        if self.classes:
            from piko_flow.dataflow.stages.joints import check_branch_of_class

            check_branch_of_class(self)

    def _checked(self, test: Any) -> Any:
        if isinstance(test, (tuple, types.UnionType)) or typing.get_origin(test) is typing.Union:
            members = test if isinstance(test, tuple) else typing.get_args(test)
            return tuple(self._checked_class(member) for member in members)
        if isinstance(test, type) or typing.get_origin(test) is not None:
            return self._checked_class(test)
        if not callable(test) or isinstance(test, Stage):
            self.refuse("On takes a class or a predicate", f"got {describe(test)}")
        if signature_of(test).shape != "plain":
            self.refuse(
                "On's predicate is a plain function",
                f"{describe(test)} is {signature_of(test).shape.replace('_', ' ')}",
                "Do the waiting in a Transform before it",
            )
        check_call(self, test, role="predicate")
        return test

    def _checked_class(self, kind: Any) -> type[Any]:
        origin = typing.get_origin(kind)
        if origin is not None:
            self.refuse(
                "a branch is chosen by isinstance, which knows no type arguments",
                f"got {show(kind)}",
                f"Write On({getattr(origin, '__name__', origin)}, ...) or a predicate",
            )
        if not isinstance(kind, type) or kind is Any:
            self.refuse("On takes a class, a union of classes or a predicate", f"got {describe(kind)}")
        if is_typeddict(kind):
            self.refuse(
                "a branch is chosen by isinstance, which knows no TypedDict",
                f"got {show(kind)}",
                "Write On(dict, ...) or a predicate",
            )
        try:
            isinstance(None, kind)
        except TypeError as error:
            self.refuse("a branch is chosen by isinstance", f"got {show(kind)}: {error}", "Write a predicate")
        return kind

    @property
    def classes(self) -> tuple[type[Any], ...]:
        """The classes that this branch takes; empty when it goes by a predicate."""
        if isinstance(self.test, tuple):
            return self.test
        return (self.test,) if isinstance(self.test, type) else ()

    def leaves(self) -> Iterator[Stage]:
        yield from self.branch.leaves()


def _label(test: Any) -> str:
    members = test if isinstance(test, tuple) else members_of(test)
    names = [getattr(one, "__name__", None) or name_of(one) for one in members]
    return " | ".join("lambda" if name == "<lambda>" else name for name in names)


class Fork(Stage):
    """What stages with branches share. The branches are told apart by `labels`."""

    branches: tuple[Stage, ...]
    labels: tuple[str, ...]

    def leaves(self) -> Iterator[Stage]:
        yield self
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
    def __init__(self, *sources: SourceLike[Any], name: str | None = None, **unknown: Never) -> None:
        self._describe(name=name, fallback="merge")
        check_names(self, unknown, ())
        if len(sources) < 2:
            self.refuse("a Merge needs at least two sources", f"got {len(sources)}")
        for source in sources:
            if not isinstance(source, SourceLike):
                self.refuse("a Merge is made of sources", f"got {describe(source)}")
        self._keep(sources=sources)
        check_distinct_sinks(self)

    def leaves(self) -> Iterator[Stage]:
        for source in self.sources:
            yield from source.leaves()
        yield self

    def gives(self, incoming: Any) -> Any:
        from piko_flow.dataflow.stages.joints import outgoing

        return union_of([outgoing(source) for source in self.sources])


def check_branch(stage: Any, branch: object) -> None:
    """Refuse what cannot be a branch."""
    if not isinstance(branch, (SinkLike, TransformLike)):
        stage.refuse(
            "a branch is a sink or a transform",
            f"got {describe(branch)}",
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
