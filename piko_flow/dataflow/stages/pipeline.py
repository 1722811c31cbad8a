"""Joining stages into chains and closing them into a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Never, NoReturn

from piko_flow.dataflow.graph.origin import caller
from piko_flow.dataflow.stages.joints import outgoing
from piko_flow.dataflow.stages.routing import check_distinct_sinks
from piko_flow.dataflow.stages.stage import In, Out, SinkLike, SourceLike, Stage, TransformLike, describe
from piko_flow.errors import PipelineError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from piko_flow.dataflow.plan.plan import Plan
    from piko_flow.dataflow.reports.report import RunReport
    from piko_flow.dataflow.running.run_options import RunValues


class Chain(Stage):
    """Stages one after the other."""

    parts: tuple[Stage, ...]

    def leaves(self) -> Iterator[Stage]:
        for part in self.parts:
            yield from part.leaves()

    @property
    def title(self) -> str:
        return f"{type(self).__name__} {self.name!r}"


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
        from piko_flow.dataflow.plan.plan import make_plan
        from piko_flow.dataflow.running.run_options import run_options

        checked = run_options(options)
        plan = make_plan(self, checked.plan)
        if checked.engine is not None:
            checked.engine.check(plan)
        return plan

    def explain(self, **options: Unpack[RunValues]) -> str:
        """The plan as text: which stages are fused, where the channels are, how many units there are."""
        return str(self.plan(**options))

    async def run(self, **options: Unpack[RunValues]) -> RunReport:
        """Run to the end and give the report; see `run`."""
        from piko_flow.dataflow.running.run import run

        return await run(self, **options)

    def run_sync(self, **options: Unpack[RunValues]) -> RunReport:
        """Run from a script; see `run_sync`."""
        from piko_flow.dataflow.running.run import run_sync

        return run_sync(self, **options)

    def text(self) -> str:
        """The graph as text."""
        from piko_flow.dataflow.drawing import draw_text

        return draw_text(self)

    def mermaid(self) -> str:
        """The graph as a Mermaid flowchart."""
        from piko_flow.dataflow.drawing import draw_mermaid

        return draw_mermaid(self)

    def svg(self) -> str:
        """The graph as an SVG picture."""
        from piko_flow.dataflow.drawing import draw_svg

        return draw_svg(self)

    def __rshift__(self, other: Never) -> NoReturn:
        self.refuse("a pipeline is closed: nothing can follow it", f"got {describe(other)} after it")


def join(left: Stage, right: Any) -> Any:
    """What `left >> right` is. Raises PipelineError where the two cannot be joined, StageTypeError where they do not fit."""
    if not isinstance(right, (SinkLike, TransformLike)):
        _refuse_joint(left, right)
    parts = (*_parts(left), *_parts(right))
    if isinstance(left, SourceLike):
        kind: type[Chain] = Pipeline if isinstance(right, SinkLike) else SourceChain
    else:
        kind = SinkChain if isinstance(right, SinkLike) else TransformChain
    chain = object.__new__(kind)
    chain._describe(name=None, fallback=" >> ".join(part.name for part in parts))
    chain._keep(parts=parts)
    outgoing(chain)  # compares the annotations along the chain
    check_distinct_sinks(chain)
    return chain


def closed(value: object, *, why: str) -> Pipeline:
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
    raise PipelineError(what=describe(value), where=where, rule=rule, got=got, advice=advice)


def _parts(stage: Stage) -> tuple[Stage, ...]:
    return stage.parts if isinstance(stage, Chain) else (stage,)


def _refuse_joint(left: Stage, right: object) -> NoReturn:
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
