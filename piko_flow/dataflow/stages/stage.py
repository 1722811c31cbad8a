"""The frozen value that every stage is, the roles that a stage can play, and how stages are joined into a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, NoReturn, Self, TypeVar, overload

from piko_flow.dataflow.graph.boxes import Ends, GraphBuilder
from piko_flow.dataflow.graph.origin import Origin, caller
from piko_flow.dataflow.graph.typing import compatible, show
from piko_flow.dataflow.stages.either import Either as Either
from piko_flow.errors import PipelineError, StageTypeError

# isort: split
from typing import Never as Either  # type: ignore[assignment]  # noqa: F811  # mypy keeps the first, pyright the last

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from piko_flow.dataflow.plan.plan import Plan
    from piko_flow.dataflow.reports.report import RunReport
    from piko_flow.dataflow.running.run_options import RunValues
    from piko_flow.dataflow.stages.actions import Actions

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Next = TypeVar("Next")

RUNS = ("run", "run_sync", "start", "plan", "explain")


class Stage:
    """A described step; frozen, so it can be shared by any number of pipelines. It runs nothing."""

    actions: ClassVar[Actions]  # bound by piko_flow.dataflow

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

    if not TYPE_CHECKING:  # to checkers a stage has no attributes but those that it declares

        def __getattr__(self, name: str) -> NoReturn:
            if name in RUNS:  # what a closed pipeline can do
                closed(self, why=f"{name}()", kind=NotClosed)
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )

    @property
    def kind(self) -> str:
        """What users call this sort of stage: Source, Transform, Route, ..."""
        return type(self).__name__.removeprefix("Open").removeprefix("Closed")

    @property
    def title(self) -> str:
        """How messages call this stage: its kind and its name."""
        return self.kind if self.name == self.kind.lower() else f"{self.kind} {self.name!r}"

    def refuse(self, rule: str, got: str, advice: str = "") -> NoReturn:
        """Raise the PipelineError that names this stage, where it was written, the rule and what it got."""
        raise PipelineError(what=self.title, where=str(self.origin), rule=rule, got=got, advice=advice)

    def leaves(self) -> Iterator[Stage]:
        """Every single stage in here, in the order written; a stage alone is its own leaf."""
        yield self

    @property
    def first(self) -> Stage:
        """The leaf that takes the items sent to this."""
        return self

    @property
    def last(self) -> Stage:
        """The leaf that a message names when the items that leave this do not fit."""
        return self

    @property
    def writes_to(self) -> object:
        """What a sink writes through; None for every other stage."""
        return None

    @property
    def takes(self) -> Any:
        """The annotated type of the items this takes; Any where unknown."""
        return Any

    def inputs(self) -> Iterator[tuple[str, Any]]:
        """Who inside of this stage is called with the items ("it", "its key function"), and the type that it takes."""
        yield "it", self.takes

    def gives(self, incoming: Any) -> Any:
        """The type of the items this gives when it is sent `incoming`; Any where unknown."""
        return Any

    def outgoing(self, incoming: Any = Any, before: Stage | None = None) -> Any:
        """The type of the items that leave this when `before` sends it `incoming`; Any where unknown.

        Raises StageTypeError at the first joint, here or inside, whose two sides do not fit.
        """
        if before is not None:
            for who, taken in self.inputs():
                if not compatible(incoming, taken):
                    self.mismatch(who, taken, before, incoming)
        return self.gives(incoming)

    def mismatch(self, who: str, taken: Any, before: Stage, given: Any) -> NoReturn:
        """Raise the StageTypeError for a joint: `who` of this stage takes another type than `before` gives."""
        raise StageTypeError(
            what=self.title,
            where=str(self.origin),
            rule=f"{who} takes {show(taken)}",
            got=f"{before.title} ({before.origin}) gives {show(given)}",
            advice="Change one of the two annotations, or put a Transform or Parse between them",
        )

    def flatten(self, graph: GraphBuilder, feeding: Ends) -> Ends:
        """Add the boxes of this stage to a graph, behind those that feed it; gives the boxes that feed what follows."""
        return [(graph.box(self, feeding), "")]

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
        """What a notebook shows: the graph as a picture, and as text where pictures cannot be shown."""
        return {"image/svg+xml": self.actions.svg(self), "text/plain": self.actions.text(self)}


class Giving(Stage, Generic[Out]):
    """What checkers take a source for where several meet; see `either.py`."""


class SourceLike(Giving[Out | Either], Generic[Out]):  # noqa: RUF020  # Either is Never only to some
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
        return _joined(Pipeline if isinstance(other, SinkLike) else SourceChain, self, other)

    async def collect(self) -> list[Out]:
        """Run it into a list; everything is held in memory. Raises StageFailed like any run."""
        return await self.actions.collect(self)

    def take(self, count: int) -> list[Out]:
        """The first `count` items, for a script or a notebook; the source is read a few items further at most."""
        return self.actions.take(self, count)

    def preview(self, count: int = 5) -> Any:
        """The first items as a table that a notebook or a terminal shows."""
        return self.actions.preview(self, count)


class Branch(Stage, Generic[In, Out]):
    """Anything that items go into: a sink, which gives nothing (Never), or a transform."""


class TransformLike(Branch[In, Out | Either], Generic[In, Out]):  # noqa: RUF020  # Either is Never only to some
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
        return _joined(SinkChain if isinstance(other, SinkLike) else TransformChain, self, other)


class Keeping(Stage, Generic[In]):
    """A transform that hands on its items unchanged, or drops them: their type stays what it was."""

    def gives(self, incoming: Any) -> Any:
        return self.takes if incoming is Any else incoming


class Gathering(Stage, Generic[In]):
    """A transform that gives lists of its items."""


class SinkLike(Branch[In, Never], Generic[In]):
    """Anything that items go into and none come out of: a Sink, or transforms that end in one."""

    def flatten(self, graph: GraphBuilder, feeding: Ends) -> Ends:
        graph.box(self, feeding)
        return []

    def __rshift__(self, other: Never) -> NoReturn:
        self.refuse(
            "nothing can follow a sink", f"got {describe(other)} after it", "Use Broadcast to feed two sinks"
        )


class Chain(Stage):
    """Stages one after the other."""

    parts: tuple[Stage, ...]

    @classmethod
    def of(cls, parts: tuple[Stage, ...]) -> Self:
        """The chain of these parts. Raises StageTypeError where two neighbours do not fit, PipelineError for a sink in two places."""
        chain = object.__new__(cls)
        chain._describe(name=None, fallback=" >> ".join(part.name for part in parts))
        chain._keep(parts=parts)
        chain.outgoing()  # compares the annotations along the chain
        check_distinct_sinks(chain)
        return chain

    def leaves(self) -> Iterator[Stage]:
        for part in self.parts:
            yield from part.leaves()

    @property
    def title(self) -> str:
        return f"{type(self).__name__} {self.name!r}"

    @property
    def first(self) -> Stage:
        return self.parts[0].first

    @property
    def last(self) -> Stage:
        return self.parts[-1].last

    def outgoing(self, incoming: Any = Any, before: Stage | None = None) -> Any:
        for part in self.parts:
            incoming, before = part.outgoing(incoming, before), part.last
        return incoming

    def flatten(self, graph: GraphBuilder, feeding: Ends) -> Ends:
        for part in self.parts:
            feeding = part.flatten(graph, feeding)
        return feeding


class SourceChain(Chain, SourceLike[Out], Generic[Out]):
    """A source followed by transforms: still a source."""


class TransformChain(Chain, TransformLike[In, Out], Generic[In, Out]):
    """Transforms one after the other: still a transform."""


class SinkChain(Chain, SinkLike[In], Generic[In]):
    """Transforms that end in a sink: still a sink."""


class Pipeline(Chain):
    """A closed graph from source to sink: an immutable value that can be run any number of times."""

    def plan(self, **options: Unpack[RunValues]) -> Plan:
        """How it will run: operators, channels, units. Calls the splits function, if the source has one."""
        return self.actions.plan(self, **options)

    def explain(self, **options: Unpack[RunValues]) -> str:
        """The plan as text: which stages are fused, where the channels are, how many units there are."""
        return str(self.plan(**options))

    async def run(self, **options: Unpack[RunValues]) -> RunReport:
        """Run to the end and give the report; see `run`."""
        return await self.actions.run(self, **options)

    def run_sync(self, **options: Unpack[RunValues]) -> RunReport:
        """Run from a script; see `run_sync`."""
        return self.actions.run_sync(self, **options)

    def text(self) -> str:
        """The graph as text."""
        return self.actions.text(self)

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart."""
        return self.actions.mermaid(self)

    def svg(self) -> str:
        """The graph as an SVG picture."""
        return self.actions.svg(self)

    def __rshift__(self, other: Never) -> NoReturn:
        self.refuse("a pipeline is closed: nothing can follow it", f"got {describe(other)} after it")


class NotClosed(PipelineError, AttributeError):
    """What only a closed pipeline can do was asked of a stage or a chain; `hasattr` is False for it."""


def closed(value: object, *, why: str, kind: type[PipelineError] = PipelineError) -> Pipeline:
    """The value, if it is a closed pipeline; otherwise an error that says what is missing."""
    if isinstance(value, Pipeline):
        return value
    rule = f"{why} needs a closed pipeline: source >> ... >> sink"
    where = str(value.origin) if isinstance(value, Stage) else str(caller())
    if isinstance(value, SourceLike):
        got, advice = "it has no sink", "Add >> Sink(...), or use collect(), take() or preview()"
    elif isinstance(value, TransformLike):
        got, advice = "it has neither source nor sink", "Put a Source before it and a Sink behind it"
    elif isinstance(value, SinkLike):
        got, advice = "it has no source", "Put a Source before it"
    else:
        got, advice = f"got {describe(value)}", ""
    raise kind(what=describe(value), where=where, rule=rule, got=got, advice=advice)


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


def check_distinct_sinks(stage: Stage) -> None:
    """Refuse one sink in two places: its parts would be written twice under one name."""
    seen: set[int] = set()
    for leaf in stage.leaves():
        if leaf.writes_to is None:
            continue
        if id(leaf.writes_to) in seen:
            stage.refuse(
                "a sink has one place in a pipeline",
                f"{leaf.title} ({leaf.origin}) is in two",
                "Let the branches meet before it, or make two sinks",
            )
        seen.add(id(leaf.writes_to))


def check_branch(stage: Stage, branch: object) -> None:
    """Refuse what cannot be a branch."""
    if not isinstance(branch, (SinkLike, TransformLike)):
        stage.refuse(
            "a branch is a sink or a transform",
            f"got {describe(branch)}",
            "Wrap a function in Sink(...) or Transform(...)",
        )


def _joined(kind: type[Chain], left: Stage, right: Any) -> Chain:
    """What `left >> right` is, for a chain of this kind."""
    if isinstance(right, (SinkLike, TransformLike)):
        return kind.of((*_parts(left), *_parts(right)))
    advice = ""
    if isinstance(right, SourceLike):
        advice = "Use Merge(a, b) to read two sources"
    elif callable(right):
        advice = "Wrap it: Transform(...), Filter(...), CpuMap(...) or Sink(...)"
    raise PipelineError(
        what=f">> after {left.title}",
        where=str(caller()),
        rule="a transform or a sink must follow",
        got=f"got {describe(right)}",
        advice=advice,
    )


def _parts(stage: Stage) -> tuple[Stage, ...]:
    return stage.parts if isinstance(stage, Chain) else (stage,)
