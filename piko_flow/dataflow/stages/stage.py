"""The frozen value that every box of a graph is, and the three roles a box can play."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Never, NoReturn, TypeVar, overload

from piko_flow.dataflow.graph.origin import Origin, caller
from piko_flow.errors import PipelineError

if TYPE_CHECKING:
    from piko_flow.dataflow.stages.pipeline import Pipeline

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Next = TypeVar("Next")


class Stage:
    """A described step; frozen, so it can be shared by any number of pipelines. It runs nothing."""

    name: str
    origin: Origin

    def _describe(self, *, name: str | None, fallback: str) -> None:
        """Store the name (or the fallback) and the line that wrote this stage."""
        vars(self).update(name=name or fallback, origin=caller())
        if name is not None and (not isinstance(name, str) or not name.strip()):
            self.refuse(
                "name must be a string that is not blank",
                f"got {name!r}",
                "Leave it out to use the function's name",
            )

    def _keep(self, **values: object) -> None:
        vars(self).update(values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self.title} is frozen: make a new stage instead of setting {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.title} is frozen: {name!r} cannot be removed")

    @property
    def kind(self) -> str:
        """What users call this sort of stage: Source, Transform, Route, ..."""
        return type(self).__name__.removeprefix("Open").removeprefix("Closed")

    @property
    def title(self) -> str:
        """How messages call this stage: its kind and its name."""
        return self.kind if self.name == self.kind.lower() else f"{self.kind} {self.name!r}"

    def refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        """Raise the PipelineError that names this stage, where it was written, the rule and what came."""
        raise PipelineError(what=self.title, where=str(self.origin), rule=rule, got=got, advice=advice)

    def leaves(self) -> Iterator[Stage]:
        """Every single stage in here, in the order written; a stage alone is its own leaf."""
        yield self

    @property
    def takes(self) -> Any:
        """The annotated type of the items this takes; Any where unknown."""
        return Any

    def asks(self) -> Iterator[tuple[str, Any]]:
        """Whose parameter what comes must fit ("it", "its key function"), and the type of that parameter."""
        yield "it", self.takes

    def gives(self, incoming: Any) -> Any:
        """The type of the items this gives when it is sent `incoming`; Any where unknown."""
        return Any

    def __rrshift__(self, other: Never) -> NoReturn:
        raise PipelineError(
            what=f">> before {self.title}",
            where=str(caller()),
            rule="a pipeline is made of stages",
            got=f"got {describe(other)}",
            advice="Wrap it: Source(...) for what is read, Transform(...) for a function",
        )

    def __repr__(self) -> str:
        return f"<{self.title} at {self.origin}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from piko_flow.dataflow.drawing import mimebundle

        return mimebundle(self)


class SourceLike(Stage, Generic[Out]):
    """Anything that items come out of and none go into: a Source, a Merge, or one with transforms behind it."""

    @overload
    def __rshift__(self, other: SinkLike[Out]) -> Pipeline: ...
    @overload
    def __rshift__(self, other: Gathering[Out]) -> SourceLike[list[Out]]: ...
    @overload
    def __rshift__(self, other: Keeping[Out]) -> SourceLike[Out]: ...
    @overload
    def __rshift__(self, other: TransformLike[Out, Next]) -> SourceLike[Next]: ...
    def __rshift__(self, other: Any) -> Any:
        from piko_flow.dataflow.stages.pipeline import join

        return join(self, other)

    async def collect(self) -> list[Out]:
        """Run it into a list; everything is held in memory. Raises StageFailed like any run."""
        from piko_flow.dataflow.running.collect import collect

        return await collect(self)

    def take(self, count: int) -> list[Out]:
        """The first `count` items, for a script or a notebook; the source is read a few items further at most."""
        from piko_flow.dataflow.running.collect import take

        return take(self, count)

    def preview(self, count: int = 5) -> Any:
        """The first items as a table that a notebook or a terminal shows."""
        from piko_flow.dataflow.running.collect import preview

        return preview(self, count)


class Branch(Stage, Generic[In, Out]):
    """Anything that items go into: a sink, which gives nothing (Never), or a transform."""


class TransformLike(Branch[In, Out], Generic[In, Out]):
    """Anything that items go into and come out of: one transform or a chain of them."""

    @overload
    def __rshift__(self, other: SinkLike[Out]) -> SinkLike[In]: ...
    @overload
    def __rshift__(self, other: Gathering[Out]) -> TransformLike[In, list[Out]]: ...
    @overload
    def __rshift__(self, other: Keeping[Out]) -> TransformLike[In, Out]: ...
    @overload
    def __rshift__(self, other: TransformLike[Out, Next]) -> TransformLike[In, Next]: ...
    def __rshift__(self, other: Any) -> Any:
        from piko_flow.dataflow.stages.pipeline import join

        return join(self, other)


class Keeping(Stage, Generic[In]):
    """A transform that hands on what it gets unchanged, or drops it: the type of the items stays what it was."""

    def gives(self, incoming: Any) -> Any:
        return self.takes if incoming is Any else incoming


class Gathering(Stage, Generic[In]):
    """A transform that gives lists of what it gets."""


class SinkLike(Branch[In, Never], Generic[In]):
    """Anything that items go into and none come out of: a Sink, or transforms that end in one."""

    def __rshift__(self, other: Never) -> NoReturn:
        self.refuse(
            "nothing can follow a sink", f"got {describe(other)} after it", "Use Broadcast to feed two sinks"
        )


def describe(value: object) -> str:
    """How messages call a value that was given where a stage was wanted."""
    if isinstance(value, Stage):
        return value.title
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    name = getattr(value, "__qualname__", None)
    return f"the function {name}" if name and callable(value) else f"{type(value).__name__} {value!r:.80}"
