"""Entering a pipeline in the middle: what lies behind one stage, fed by items of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from piko_flow.dataflow.graph.boxes import Box, Edge, Graph
from piko_flow.dataflow.stages.batch import Fold
from piko_flow.dataflow.stages.routing import Fork, Join
from piko_flow.dataflow.stages.sink import Sink
from piko_flow.dataflow.stages.source import Source
from piko_flow.dataflow.stages.stage import Keeping, Stage

ENTRY = "entry"


@dataclass(frozen=True)
class Entry:
    """Where a run enters: `stage` is the name of a box, `read` gives (asynchronously) what comes to it."""

    stage: str
    read: Callable[[], Any]


def entered(graph: Graph, entry: Entry) -> Graph:
    """The graph of what lies behind the entry, its boxes under their names, fed by a source of the entry's items.

    Raises LookupError when there is no such stage; see `why_closed` for where it would be wrong to enter.
    """
    first = find(graph, entry.stage)
    if first is None:
        raise LookupError(f"there is no stage {entry.stage!r}")
    behind = _behind(graph, first.number)
    source = Source(entry.read, name=_free_name(graph))
    kept = [box for box in graph.boxes if box.number in behind]
    number = {box.number: place for place, box in enumerate(kept, start=1)}
    edges = [
        replace(edge, start=number[edge.start], end=number[edge.end])
        for edge in graph.edges
        if edge.start in behind and edge.end in behind
    ]
    return Graph(
        (Box(0, source.name, source), *(replace(box, number=number[box.number]) for box in kept)),
        (Edge(0, number[first.number]), *edges),
    )


def find(graph: Graph, stage: str) -> Box | None:
    """The box of this name."""
    return next((box for box in graph.boxes if box.name == stage), None)


def why_closed(graph: Graph, box: Box) -> str:
    """Why some items alone must not enter at this box; empty where they may."""
    if isinstance(box.stage, Source):
        return f"{box.stage.title} reads items, none can be handed to it"
    behind = _behind(graph, box.number)
    for other in graph.boxes:
        if other.number not in behind:
            continue
        if isinstance(other.stage, Fold):
            return f"{other.stage.title} makes one value of all items, and some alone would make another"
        if isinstance(other.stage, Sink) and other.stage.replaces:
            return f"{other.stage.title} replaces all that its window wrote, and some items alone would remove the rest"
    return ""


def taken_at(graph: Graph, box: Box) -> Any:
    """The type of the items that come to the box: what it takes, else what the boxes before it give; Any where unknown."""
    if box.stage.takes is not Any:
        return box.stage.takes
    before = [graph.boxes[edge.start] for edge in graph.into(box.number)]
    return _given_by(graph, before[0]) if len(before) == 1 else Any


def _given_by(graph: Graph, box: Box) -> Any:
    stage = box.stage
    if isinstance(stage, (Keeping, Fork)):
        return taken_at(graph, box)
    return Any if isinstance(stage, Join) else stage.gives(Any)


def _behind(graph: Graph, number: int) -> set[int]:
    """The box and all that its items reach."""
    found, waiting = {number}, [number]
    while waiting:
        for edge in graph.out_of(waiting.pop()):
            if edge.end not in found:
                found.add(edge.end)
                waiting.append(edge.end)
    return found


def _free_name(graph: Graph) -> str:
    names, name, count = {box.name for box in graph.boxes}, ENTRY, 1
    while name in names:
        count += 1
        name = f"{ENTRY}#{count}"
    return name


def named(graph: Graph) -> list[str]:
    """The names of the boxes that items can enter at."""
    return [box.name for box in graph.boxes if _open(box.stage)]


def _open(stage: Stage) -> bool:
    return not isinstance(stage, (Source, Join))
