"""How a pipeline will run: which stages are fused into one operator, where the channels are, which units there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from piko_flow.dataflow.graph.boxes import Box, Graph, graph_of
from piko_flow.dataflow.graph.function import signature_of
from piko_flow.dataflow.plan.entry import Entry, entered
from piko_flow.dataflow.plan.fingerprint import fingerprint
from piko_flow.dataflow.plan.layout import ChannelSpec, Operator, OperatorKind, Unit, explain
from piko_flow.dataflow.plan.plan_options import Capacity, PlanOptions
from piko_flow.dataflow.plan.split_ids import NoIdentity, split_id
from piko_flow.dataflow.stages.batch import Batch, Fold, Throttle
from piko_flow.dataflow.stages.cpu import CpuMap
from piko_flow.dataflow.stages.routing import Fork, Join, Merge
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Pipeline, Stage, closed
from piko_flow.dataflow.stages.transform import CallStage, Filter, FlatMap, Parse, Transform


@dataclass(frozen=True)
class Plan:
    """A value that every engine reads: the graph, its operators, channels and units. `str()` prints it."""

    name: str
    graph: Graph
    operators: tuple[Operator, ...]
    channels: tuple[ChannelSpec, ...]
    units: tuple[Unit, ...]
    options: PlanOptions
    fingerprint: str

    @property
    def sinks(self) -> list[Box]:
        """The boxes that are sinks, in the order declared: the order in which they commit."""
        return [box for box in self.graph.boxes if isinstance(box.stage, Sink)]

    def travelling(self) -> Plan:
        """The plan without its units, fit to be sent to another interpreter with one of them."""
        return replace(self, units=())

    def __str__(self) -> str:
        return explain(self.name, self.graph, self.operators, self.channels, self.units)


def make_plan(
    pipeline: Pipeline, options: PlanOptions, *, decided: bool = False, entry: Entry | None = None
) -> Plan:
    """Plan a pipeline. Calls the splits function, if there is one; raises PipelineError for what is not closed.

    The plan of a run that is decided has no units: it is to be committed, whatever is left of its input. With an
    `entry` it is a plan of what lies behind that stage alone.
    """
    pipeline = closed(pipeline, why="a run")
    graph = graph_of(pipeline)
    if entry is not None:
        graph = entered(graph, entry)
    operators = _fuse(graph)
    return Plan(
        name=pipeline.name,
        graph=graph,
        operators=operators,
        channels=_channels(graph, operators, options.capacity),
        units=() if decided else _units(graph),
        options=options,
        fingerprint=fingerprint(graph),
    )


def is_fusable(stage: Stage) -> bool:
    """Whether a stage can share a loop with its neighbours: synchronous, inline, never waiting."""
    if isinstance(stage, (Transform, Filter, FlatMap)):
        return _inline(stage)
    if isinstance(stage, Sink):
        return stage.target is None and _inline(stage)
    if isinstance(stage, Batch):
        return stage.within is None and stage.weight is None
    return isinstance(stage, (Parse, Fold, Fork))


def ends_loop(stage: Stage) -> bool:
    """Whether nothing can be fused behind this stage."""
    return isinstance(stage, (Fork, Fold, Batch, Sink))


def reads_async(source: Source[Any]) -> bool:
    """Whether a source is known to be read by waiting, so that it is an operator of its own."""
    if source.reads == "async_iterable":
        return True
    if source.reads == "slices":
        return signature_of(source.items.read).shape == "async_generator"
    return source.signature is not None and source.signature.shape == "async_generator"


def _inline(stage: CallStage[Any, Any] | Sink[Any]) -> bool:
    options = stage.options
    return (
        not stage.signature.is_async
        and options.on == "loop"
        and options.retry is None
        and options.key is None
    )


def _kind(stage: Stage) -> OperatorKind:
    if is_fusable(stage):
        return "fused"
    if isinstance(stage, Source):
        return "source" if reads_async(stage) else "fused"
    if isinstance(stage, Sink):
        return (
            "sink"
            if stage.target is not None
            else ("keyed" if stage.options.key is not None else "concurrent")
        )
    if isinstance(stage, FlatMap):
        return "flat_map"
    if isinstance(stage, CallStage):
        return "keyed" if stage.options.key is not None else "concurrent"
    kinds: dict[type[Stage], OperatorKind] = {
        CpuMap: "cpu",
        Batch: "batch",
        Throttle: "throttle",
        Merge: "merge",
        Join: "merge",
    }
    return kinds[type(stage)]


def _fuse(graph: Graph) -> tuple[Operator, ...]:
    operators: list[Operator] = []
    owner: dict[int, int] = {}
    for box in graph.boxes:
        before = graph.into(box.number)
        if len(before) == 1 and is_fusable(box.stage):
            upstream = operators[owner[before[0].start]]
            last = graph.boxes[upstream.boxes[-1]]
            if upstream.kind == "fused" and not ends_loop(last.stage):
                operators[upstream.number] = replace(upstream, boxes=(*upstream.boxes, box.number))
                owner[box.number] = upstream.number
                continue
        owner[box.number] = len(operators)
        operators.append(Operator(len(operators), _kind(box.stage), (box.number,)))
    return tuple(operators)


def _channels(graph: Graph, operators: tuple[Operator, ...], capacity: Capacity) -> tuple[ChannelSpec, ...]:
    owner = {box: operator.number for operator in operators for box in operator.boxes}
    specs = []
    for number, edge in enumerate(graph.edges):
        if owner[edge.start] != owner[edge.end]:
            before = graph.boxes[edge.start].stage
            held = capacity
            if isinstance(before, Batch):
                # The items in the batches count, not the batches; two let both sides work.
                held = replace(capacity, items=max(2, capacity.items // before.count))
            specs.append(ChannelSpec(number, owner[edge.start], owner[edge.end], held))
    return tuple(specs)


def _units(graph: Graph) -> tuple[Unit, ...]:
    sources = [box for box in graph.boxes if isinstance(box.stage, Source)]
    slices = [box for box in sources if box.stage.reads == "slices"]  # type: ignore[attr-defined]
    if len(slices) > 1:
        slices[1].stage.refuse(
            "a run has one position, so one unbounded source",
            f"{slices[0].stage.title} ({slices[0].stage.origin}) is another",
            "Read them by pipelines of their own",
        )
    found = {box.number: splits for box in sources if (splits := _splits(box)) is not None}
    if len(sources) > 1 or not found or any(isinstance(box.stage, Fold) for box in graph.boxes):
        return (Unit(id="all", number=0, splits=found),)
    ((number, splits),) = found.items()
    source = graph.boxes[number].stage
    return tuple(
        Unit(_unit_id(source, place, split), place, split, True) for place, split in enumerate(splits)
    )


def _splits(box: Box) -> tuple[Any, ...] | None:
    """The splits of a source as of now; None where it has none. Raises PipelineError for an empty sequence."""
    assert isinstance(box.stage, Source)
    splits = box.stage.resolve_splits()
    if splits is not None and not splits:
        box.stage.refuse(
            "a run needs something to read",
            "splits gave nothing",
            "Check the pattern or the function that gives the splits",
        )
    return None if splits is None else tuple(splits)


def _unit_id(source: Stage, place: int, split: Any) -> str:
    try:
        return f"{place:04d}-{split_id(split)}"
    except NoIdentity as error:
        source.refuse(
            "a split says what it is, so that a resumed run finds the units it has done",
            f"got {error}",
            "Give plain values, dataclasses or models of them, or an object with a split_id, a text",
        )
