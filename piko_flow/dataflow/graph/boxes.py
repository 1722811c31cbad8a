"""The flat picture of a pipeline: single stages as boxes, the joints between them as edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from piko_flow.dataflow.stages.stage import Stage

Ends = list[tuple[int, str]]
"""Boxes whose items go on to what follows: the number of each, and the label of the branch that leaves it."""


@dataclass(frozen=True)
class Box:
    """A stage's place in a graph. `name` is unique in the graph: a second `enrich` is `enrich#2`."""

    number: int
    name: str
    stage: Stage


@dataclass(frozen=True)
class Edge:
    """A joint between two boxes, by number; `label` tells a branch from its siblings, else it is empty."""

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True)
class Graph:
    """Boxes in the order written (each after all that feed it) and the edges between them."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]

    def into(self, number: int) -> list[Edge]:
        """The edges that feed a box."""
        return [edge for edge in self.edges if edge.end == number]

    def out_of(self, number: int) -> list[Edge]:
        """The edges that a box feeds, in the order of its branches."""
        return [edge for edge in self.edges if edge.start == number]


def graph_of(stage: Stage) -> Graph:
    """The graph of a pipeline or of any part of one."""
    builder = GraphBuilder()
    stage.flatten(builder, [])
    return Graph(tuple(builder.boxes), tuple(builder.edges))


class GraphBuilder:
    """A graph in the making: each stage adds its own boxes, by its method `flatten`."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.edges: list[Edge] = []
        self._names: set[str] = set()

    def box(self, stage: Stage, feeding: Ends) -> int:
        """Add one box behind those that feed it, under a name of its own; gives its number."""
        number = len(self.boxes)
        name, count = stage.name, 1
        while name in self._names:
            count += 1
            name = f"{stage.name}#{count}"
        self._names.add(name)
        self.boxes.append(Box(number, name, stage))
        self.edges += [Edge(start, number, label) for start, label in feeding]
        return number
