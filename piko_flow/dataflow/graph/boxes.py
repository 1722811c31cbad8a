"""The flat picture of a pipeline: single stages as boxes, the joints between them as edges."""

from __future__ import annotations

from dataclasses import dataclass

from piko_flow.dataflow.stages.routing import Fork, Merge, RouteFork
from piko_flow.dataflow.stages.stage import SinkLike, Stage


class Join(Stage):
    """Where the open branches of a Route or a Broadcast meet again."""


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
    building = _Building()
    building.add(stage, [])
    return Graph(tuple(building.boxes), tuple(building.edges))


class _Building:
    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.edges: list[Edge] = []
        self._names: set[str] = set()

    def add(self, stage: Stage, feeding: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Add a stage behind the given boxes (number and branch label); gives the boxes that feed what follows."""
        parts: tuple[Stage, ...] | None = getattr(stage, "parts", None)
        if parts is not None:
            for part in parts:
                feeding = self.add(part, feeding)
            return feeding
        if isinstance(stage, Merge):
            sources = [end for source in stage.sources for end in self.add(source, [])]
            return [(self._box(stage, sources), "")]
        if isinstance(stage, Fork):
            return self._add_fork(stage, feeding)
        number = self._box(stage, feeding)
        return [] if isinstance(stage, SinkLike) else [(number, "")]

    def _add_fork(self, stage: Fork, feeding: list[tuple[int, str]]) -> list[tuple[int, str]]:
        assert isinstance(stage, Stage)
        number = self._box(stage, feeding)
        routed = isinstance(stage, RouteFork)
        ends: list[tuple[int, str]] = []
        for label, branch in zip(stage.labels, stage.branches, strict=True):
            ends += self.add(branch, [(number, label if routed else "")])
        if len(ends) < 2:
            return ends
        meeting = object.__new__(Join)
        vars(meeting).update(name=f"after {stage.name}", origin=stage.origin)
        return [(self._box(meeting, ends), "")]

    def _box(self, stage: Stage, feeding: list[tuple[int, str]]) -> int:
        number = len(self.boxes)
        name, count = stage.name, 1
        while name in self._names:
            count += 1
            name = f"{stage.name}#{count}"
        self._names.add(name)
        self.boxes.append(Box(number, name, stage))
        self.edges += [Edge(start, number, label) for start, label in feeding]
        return number
