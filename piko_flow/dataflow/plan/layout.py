"""What a plan is made of, operators, the channels between them, units, and how they read as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from piko_flow.counting import counted
from piko_flow.dataflow.graph.boxes import Graph
from piko_flow.dataflow.plan.plan_options import Capacity
from piko_flow.dataflow.stages.option_words import options_in_words

OperatorKind = Literal[
    "fused", "source", "concurrent", "keyed", "flat_map", "cpu", "batch", "throttle", "merge", "sink"
]
_RUNS = {
    "fused": "one loop on the event loop",
    "source": "an asynchronous reader",
    "concurrent": "asynchronous workers",
    "keyed": "asynchronous workers, one item a key",
    "flat_map": "asynchronous workers",
    "cpu": "worker processes",
    "batch": "gathers with a timer",
    "throttle": "limits the rate",
    "merge": "hands on as items arrive",
    "sink": "writes lists",
}


@dataclass(frozen=True)
class Operator:
    """What runs as one: a box alone, or neighbouring synchronous boxes fused into one loop."""

    number: int
    kind: OperatorKind
    boxes: tuple[int, ...]


@dataclass(frozen=True)
class ChannelSpec:
    """A channel: the edge it carries, the operators at its ends, and its capacity."""

    edge: int
    start: int
    end: int
    capacity: Capacity


@dataclass(frozen=True)
class Unit:
    """One split of one run. `id` is the same whenever the same split is planned again at the same place.

    A unit that reads whole sources has their splits, as they were when it was planned, by the box's number.
    """

    id: str
    number: int
    split: Any = None
    has_split: bool = False
    splits: Mapping[int, tuple[Any, ...]] = field(default_factory=dict)


def explain(
    name: str,
    graph: Graph,
    operators: Sequence[Operator],
    channels: Sequence[ChannelSpec],
    units: Sequence[Unit],
) -> str:
    """The operators in order with their stages, the channels between them, and the units."""
    lines = [f"plan of {name}"]
    for operator in operators:
        lines.append(f"  operator {operator.number + 1}: {_how(operator)}")
        lines += [f"      {_stage(graph, box)}" for box in operator.boxes]
        for channel in channels:
            if channel.start == operator.number:
                held = counted(channel.capacity.items, "item")
                if channel.capacity.size is not None:
                    held += f" or a weight of {channel.capacity.size:,.0f}"
                lines.append(f"    -> channel to operator {channel.end + 1}, up to {held}")
    lines.append(f"  {len(units)} unit{'s' if len(units) != 1 else ''}: {_units(units)}")
    return "\n".join(lines)


def _how(operator: Operator) -> str:
    if operator.kind == "fused" and len(operator.boxes) > 1:
        return f"{len(operator.boxes)} stages fused into one loop"
    return _RUNS[operator.kind]


def _stage(graph: Graph, number: int) -> str:
    box = graph.boxes[number]
    extras = ", ".join(options_in_words(box.stage))
    return f"{box.stage.kind} {box.name}" + (f" ({extras})" if extras else "") + f"  {box.stage.origin}"


def _units(units: Sequence[Unit]) -> str:
    if not units or not units[0].has_split:
        return "the whole input at once"
    names = [repr(unit.split) for unit in units[:5]]
    return ", ".join(names) + (", ..." if len(units) > 5 else "")
