"""Where a graph branches and meets again: the branches of a Route or Broadcast, and Merge."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Never, TypeGuard, overload

from typing_extensions import TypeIs, TypeVar, is_typeddict

from piko_flow.dataflow.graph.boxes import Ends, GraphBuilder
from piko_flow.dataflow.graph.function import name_of, signature_of
from piko_flow.dataflow.graph.generics import class_of, members_of, union_of
from piko_flow.dataflow.graph.typing import all_are, compatible, guarded, has_items, plain, show
from piko_flow.dataflow.stages.stage import (
    Branch,
    Either,
    Giving,
    In,
    Out,
    SinkLike,
    SourceLike,
    Stage,
    TransformLike,
    check_branch,
    check_distinct_sinks,
    describe,
)
from piko_flow.dataflow.stages.stage_options import OnError, check_call, check_names
from piko_flow.errors import StageTypeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
# The default is for branches that begin with a lambda: without one mypy takes it for a sink.
G = TypeVar("G", default=Any)
H = TypeVar("H")
R = TypeVar("R")
Test = TypeVar("Test", covariant=True)
Sees = TypeVar("Sees", covariant=True)
Sends = TypeVar("Sends", covariant=True)
Gives = TypeVar("Gives", covariant=True)
Class = type[Any]
Predicate = Callable[..., Any]


class On(Stage, Generic[Test, Sees, Sends, Gives]):
    """One branch of a Route: items of a type, or for which a predicate is true, go to a sink or a transform.

    For checkers: `Test` is how it decides, by Class or by Predicate, `Sees` what may come to it, `Sends` what it sends into the branch, `Gives` what the branch gives (Never for a sink).
    """

    test: Any
    branch: Stage

    @overload
    def __init__(
        self: On[Class, T | Either, T | Either, G], test: TypeForm[T], branch: Branch[T, G], /
    ) -> None: ...
    @overload
    def __init__(
        self: On[Predicate, I | Either, T | Either, G],
        test: Callable[[I], TypeGuard[T]] | Callable[[I], TypeIs[T]],
        branch: Branch[T, G],
        /,
    ) -> None: ...
    @overload
    def __init__(
        self: On[Predicate, I | Either, I | Either, G], test: Callable[[I], object], branch: Branch[I, G], /
    ) -> None: ...
    # mypy infers a branch inside a Route twice. The second time it takes what the whole Route sees for `T`, and only
    # these two fit, which leave that open.
    @overload
    def __init__(
        self: On[Any, R, Any, H],
        test: TypeForm[T] | Callable[[I], TypeGuard[T]] | Callable[[I], TypeIs[T]],
        branch: Branch[T, H],
        /,
    ) -> None: ...
    @overload
    def __init__(self: On[Any, R, Any, H], test: Callable[[I], object], branch: Branch[I, H], /) -> None: ...
    def __init__(self, test: Any, branch: Any, /) -> None:
        self._describe(name=None, fallback=_label(test))
        self._keep(test=self._checked(test))
        check_branch(self, branch)
        self._keep(branch=branch)
        if self.classes:
            self._check_fits(branch.first)

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

    def _check_fits(self, first: Stage) -> None:
        """Refuse a branch that takes neither the classes that are sent to it nor some of their subclasses."""
        for who, taken in first.inputs():
            if not any(compatible(kind, taken) or compatible(taken, kind) for kind in self.classes):
                first.mismatch(who, taken, self, union_of(list(self.classes)))

    @property
    def classes(self) -> tuple[type[Any], ...]:
        """The classes that this branch takes; empty when it goes by a predicate."""
        if isinstance(self.test, tuple):
            return self.test
        return (self.test,) if isinstance(self.test, type) else ()

    def leaves(self) -> Iterator[Stage]:
        yield from self.branch.leaves()

    def given(self, left: list[Any], before: Stage | None) -> Any:
        """The type that the branch gives, of items of the types that the branches before it have left."""
        return self._given_by_class(left, before) if self.classes else self._given_by_predicate(left, before)

    def not_taken(self, left: list[Any]) -> list[Any]:
        """The types of which items may pass by this branch."""
        if self.classes:
            return [kind for kind in left if not all_are(kind, self.classes)]
        returns = signature_of(self.test).returns
        promised = guarded(returns) if "TypeIs" in str(typing.get_origin(returns)) else Any
        return [kind for kind in left if promised is Any or not compatible(kind, promised)]

    def _given_by_class(self, left: list[Any], before: Stage | None) -> Any:
        if self.classes == (object,):
            return self.branch.outgoing(union_of(left), before or self)
        sure = [kind for kind in left if all_are(kind, self.classes)]
        perhaps = [kind for kind in self.classes if any(all_are(kind, (class_of(one),)) for one in left)]
        sent = union_of(sure + [kind for kind in perhaps if kind not in sure] or list(self.classes))
        if left == [Any] and not compatible(sent, self.branch.first.takes):
            sent = Any  # some of that class may come, and the branch may be made for those
        return self.branch.outgoing(sent, before or self)

    def _given_by_predicate(self, left: list[Any], before: Stage | None) -> Any:
        """A predicate may separate the members of a union, so one member that fits the branch is enough."""
        if before is not None:
            takes = signature_of(self.test).takes
            if not compatible(union_of(left), takes):
                self.mismatch("its predicate", takes, before, union_of(left))
        sent = guarded(signature_of(self.test).returns)
        if sent is not Any:
            return self.branch.outgoing(sent, self)
        gives, refusals = [], []
        for kind in left:
            try:
                gives.append(self.branch.outgoing(kind, before or self))
            except StageTypeError as refusal:
                refusals.append(refusal)
        if not gives and refusals:
            raise refusals[0]
        return union_of(gives)


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

    def outgoing(self, incoming: Any = Any, before: Stage | None = None) -> Any:
        gives = self._given(incoming, before)
        opened = [
            kind
            for branch, kind in zip(self.branches, gives, strict=True)
            if not isinstance(branch, SinkLike)
        ]
        return union_of(opened) if opened else Any

    def _given(self, incoming: Any, before: Stage | None) -> list[Any]:
        """The type that each branch gives."""
        return [branch.outgoing(incoming, before or self) for branch in self.branches]

    def flatten(self, graph: GraphBuilder, feeding: Ends) -> Ends:
        number = graph.box(self, feeding)
        ends: Ends = []
        for label, branch in zip(self._edge_labels(), self.branches, strict=True):
            ends += branch.flatten(graph, [(number, label)])
        if len(ends) < 2:
            return ends
        join = object.__new__(Join)
        join._keep(name=f"after {self.name}", origin=self.origin)
        return [(graph.box(join, ends), "")]

    def _edge_labels(self) -> tuple[str, ...]:
        return ("",) * len(self.branches)


class Join(Stage):
    """Where the open branches of a Route or a Broadcast meet again."""


class RouteFork(Fork):
    """A Route's branches: the first whose test holds gets the item."""

    ons: tuple[On[Any, Any, Any, Any], ...]
    on_error: OnError

    def _given(self, incoming: Any, before: Stage | None) -> list[Any]:
        left, gives = members_of(plain(incoming)), []
        for on in self.ons:
            gives.append(on.given(left, before))
            left = on.not_taken(left)
        if before is not None and all(on.classes for on in self.ons):
            self._check_covered(left, incoming, before)
        return gives

    def _edge_labels(self) -> tuple[str, ...]:
        return self.labels

    def _check_covered(self, left: list[Any], incoming: Any, before: Stage) -> None:
        """Refuse a Route of which no branch takes some of the types that are sent to it."""
        classes = tuple(kind for on in self.ons for kind in on.classes)
        missing = [kind for kind in left if has_items(kind, classes)]
        if not missing or object in classes:
            return
        names = [show(kind) for kind in missing]
        first = "type(None)" if names[0] == "None" else names[0].partition("[")[0]
        add = (
            "Add On(object, ...) last"
            if first == "object"
            else f"Add On({first}, ...), or On(object, ...) last"
        )
        raise StageTypeError(
            what=self.title,
            where=str(self.origin),
            rule="a Route has a branch for everything that comes",
            got=f"{before.title} ({before.origin}) gives {show(incoming)} and no branch takes {', '.join(names)}",
            advice=add,
        )


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

    def __init__(self: Merge[T], *sources: Giving[T], name: str | None = None, **unknown: Never) -> None:
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

    def outgoing(self, incoming: Any = Any, before: Stage | None = None) -> Any:
        return union_of([source.outgoing() for source in self.sources])

    def gives(self, incoming: Any) -> Any:
        return self.outgoing()

    def flatten(self, graph: GraphBuilder, feeding: Ends) -> Ends:
        ends = [end for source in self.sources for end in source.flatten(graph, [])]
        return [(graph.box(self, ends), "")]
