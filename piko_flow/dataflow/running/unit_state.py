"""What the operators of one unit share: counts, channels, policies, what is open, and the checks of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

from piko_flow.clock import monotonic
from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.plan.layout import Operator, Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.running.channel import AnyChannel, Channel
from piko_flow.dataflow.running.context import EngineContext
from piko_flow.dataflow.running.error_policy import ErrorPolicy
from piko_flow.dataflow.running.thread_pool import StageThreads


class UnitState:
    """The live state of one unit."""

    def __init__(self, plan: Plan, unit: Unit, context: EngineContext, *, attempt: int = 1) -> None:
        self.plan, self.unit, self.context, self.attempt = plan, unit, context, attempt
        self.started = monotonic()
        self.tallies = [StageTally() for _ in plan.graph.boxes]
        self.times = [OperatorTimes() for _ in plan.operators]
        self.working: dict[int, float] = {}
        self.channels: dict[int, AnyChannel] = {spec.edge: Channel(spec.capacity) for spec in plan.channels}
        self.error_policy = ErrorPolicy(
            run=context.info.run, unit=unit.id, budget=context.budget, observer=context.observer
        )
        self.group = context.group
        self.exhausted = False
        self.sources_left = sum(box.stage.kind == "Source" for box in plan.graph.boxes)
        self.position: Any = None
        self.more = False

    def source_ended(self) -> None:
        """A source has given all it has."""
        self.sources_left -= 1
        self.exhausted = self.sources_left == 0

    def times_now(self) -> list[OperatorTimes]:
        """The times of every operator at this moment, those in the middle of their work included."""
        times = [replace(one) for one in self.times]
        for number, began in self.working.items():
            times[number].busy = left_busy(times[number], monotonic() - began)
        return times

    def tallies_now(self) -> list[StageTally]:
        """The counts of every stage at this moment. Operators count by chunks, which slow items make last for seconds:
        what a stage has taken from its one channel, and handed on to its one channel, is known by these."""
        tallies, graph = [replace(one) for one in self.tallies], self.plan.graph
        for number, channel in self.channels.items():
            start, end = graph.edges[number].start, graph.edges[number].end
            if len(graph.out_of(start)) == 1:
                tallies[start].emitted = max(tallies[start].emitted, channel.sent)
            if len(graph.into(end)) == 1:
                tallies[end].received = max(tallies[end].received, channel.received)
        return tallies

    def edges(self) -> list[EdgeTally]:
        """The counts of every joint: of a channel where there is one, else of the stages that it joins.

        A loop that was stopped may have left the rest of a chunk that its source gave.
        """
        counts = []
        for number, edge in enumerate(self.plan.graph.edges):
            channel = self.channels.get(number)
            if channel is not None:
                counts.append(EdgeTally(channel.sent, channel.received, channel.count))
            else:
                sent, received = self.tallies[edge.start].emitted, self.tallies[edge.end].received
                counts.append(EdgeTally(sent, received, 0 if self.exhausted else max(sent - received, 0)))
        return counts


class OperatorState:
    """What one operator works with: its boxes, channels, counts and clocked waits."""

    def __init__(self, unit: UnitState, operator: Operator) -> None:
        graph = unit.plan.graph
        self.unit, self.context, self.operator = unit, unit.context, operator
        self.boxes: list[Box] = [graph.boxes[number] for number in operator.boxes]
        self.tallies = [unit.tallies[number] for number in operator.boxes]
        self.times = unit.times[operator.number]
        edges = list(enumerate(graph.edges))
        first, last = operator.boxes[0], operator.boxes[-1]
        self.inputs = [unit.channels[n] for n, edge in edges if edge.end == first and n in unit.channels]
        self.outputs = [unit.channels[n] for n, edge in edges if edge.start == last and n in unit.channels]
        self.name = self.boxes[0].name
        self._busy_reported = 0.0

    @property
    def input(self) -> AnyChannel:
        return self.inputs[0]

    @property
    def output(self) -> AnyChannel:
        return self.outputs[0]

    @property
    def tally(self) -> StageTally:
        return self.tallies[0]

    @property
    def threads(self) -> StageThreads:
        """The threads for the calls of the first stage."""
        return self.context.threads.stage(self.boxes[0].number, self.name)

    async def receive(self, limit: int) -> list[Any]:
        """Receive from the input, clocking the wait."""
        channel = self.inputs[0]
        if channel.count:
            return await channel.receive(limit)
        began = monotonic()
        try:
            return await channel.receive(limit)
        finally:
            self.times.waiting += monotonic() - began

    async def filled(self) -> None:
        """Wait until the input has items or has ended, clocking the wait."""
        began = monotonic()
        try:
            await self.inputs[0].filled()
        finally:
            self.times.waiting += monotonic() - began

    async def send(self, chunk: list[Any], channel: AnyChannel) -> None:
        """Send to an output, clocking the wait for room."""
        if not channel.full and channel.count + len(chunk) <= channel._items:
            await channel.send(chunk)
            return
        began = monotonic()
        try:
            await channel.send(chunk)
        finally:
            self._blocked(began)

    async def room(self) -> None:
        """Wait for room in the output, clocking the wait."""
        began = monotonic()
        try:
            await self.outputs[0].room()
        finally:
            self._blocked(began)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Count as busy what the clocked waits leave of the time in the block."""
        began = self.unit.working[self.operator.number] = monotonic()
        try:
            yield
        finally:
            del self.unit.working[self.operator.number]
            self.times.busy = left_busy(self.times, monotonic() - began)

    def close(self) -> None:
        """Say to all that follow that nothing more comes."""
        for channel in self.outputs:
            channel.close()

    async def bound(self, stage: Any) -> Callable[..., Any]:
        """The stage's function with its resources filled in."""
        uses = stage.options.uses if hasattr(stage, "options") else stage.uses
        function: Callable[..., Any] = stage.items if hasattr(stage, "items") else stage.function
        return partial(function, **await self.context.open_resources(uses)) if uses else function

    def validator(self, box: Box) -> Callable[[Any], Any] | None:
        """With `validate=True`, the check of the values that come to a box; None where its type is unknown."""
        return value_check(box.stage.takes) if self.unit.plan.options.validate else None

    def passed(self, items: int) -> None:
        """Tell the observer of items that went through, with the time that the operator was busy since the last."""
        observer = self.context.observer
        if observer is None:
            return
        began = self.unit.working.get(self.operator.number, self.unit.started)
        busy = left_busy(self.times, monotonic() - began)
        observer.chunk_finished(self.name, items=items, seconds=max(busy - self._busy_reported, 0.0))
        self._busy_reported = max(busy, self._busy_reported)

    def report_chunk(self, items: int, seconds: float) -> None:
        """Count busy time and tell the observer of a chunk."""
        self.times.busy += seconds
        if self.context.observer is not None:
            self.context.observer.chunk_finished(self.name, items=items, seconds=seconds)

    def _blocked(self, began: float) -> None:
        seconds = monotonic() - began
        self.times.blocked += seconds
        if self.context.observer is not None:
            self.context.observer.sender_waited(self.name, seconds=seconds)


def left_busy(times: OperatorTimes, seconds: float) -> float:
    """What the waits leave of the seconds."""
    return max(seconds - times.waiting - times.blocked, 0.0)


def value_check(takes: Any) -> Callable[[Any], Any] | None:
    """A function that gives the value as the annotation has it, or raises ValidationError; None where all pass.

    What Pydantic knows is validated (and converted) by it. Of any other class, also inside a list, a union
    or the like, the value must be an instance. What has neither a schema nor instances (a protocol that is
    not runtime_checkable, a name that cannot be found) is not checked.
    """
    if takes is Any or _without_instances(takes):
        return None
    from pydantic import ConfigDict, InstanceOf, PydanticUserError, TypeAdapter

    for config in (None, ConfigDict(arbitrary_types_allowed=True)):
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(takes, config=config)
        except PydanticUserError:  # it has no schema for a class, or (of a dataclass) takes no configuration
            continue
        return adapter.validate_python if adapter.pydantic_complete else None
    if not isinstance(takes, type):
        return None
    instance: TypeAdapter[Any] = TypeAdapter(cast(Any, InstanceOf)[takes])
    return instance.validate_python


def _without_instances(takes: Any) -> bool:
    protocol = getattr(takes, "_is_protocol", False)
    return bool(protocol) and not getattr(takes, "_is_runtime_protocol", False)
