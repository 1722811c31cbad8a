"""A plan as text."""

from __future__ import annotations

from collections.abc import Sequence

from piko_flow.counting import counted
from piko_flow.dataflow.graph.boxes import Graph
from piko_flow.dataflow.plan.layout import ChannelSpec, Operator, Unit
from piko_flow.dataflow.stages.option_words import options_in_words

_RUNS = {
    "fused": "one loop on the event loop",
    "source": "an asynchronous reader",
    "concurrent": "asynchronous workers",
    "keyed": "asynchronous workers, one item a key",
    "flat_map": "asynchronous workers",
    "cpu": "worker processes",
    "batch": "gathers with a timer",
    "throttle": "paces",
    "merge": "hands on as items arrive",
    "sink": "writes lists",
}


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
