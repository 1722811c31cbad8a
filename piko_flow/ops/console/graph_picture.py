"""The graph of a flow as shapes that a template draws, with what its stages do at the moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from piko_flow.dataflow.drawing.labels import TAIL, Label, cut, labels_of, wrapped
from piko_flow.dataflow.drawing.layers import Layers, layers_of
from piko_flow.dataflow.drawing.placing import Place, curve_along, places_of
from piko_flow.dataflow.drawing.svg import text_width
from piko_flow.dataflow.graph.boxes import Edge, Graph, graph_of
from piko_flow.dataflow.stages.routing import Join
from piko_flow.dataflow.stages.stage import Stage
from piko_flow.ops.console.formats import number, rate
from piko_flow.ops.console.stage_rows import StageRow, Stages

LONGEST = 26  # columns of a name or a line of options
EDGE, GAP, BETWEEN, ACROSS = 24, 26, 84, 14  # around, between boxes, from layer to layer, beside words
KIND, NAME, LINE, FOOT = 22, 18, 16, 12
NARROWEST, LOWEST, DOT, TIP = 92.0, 46, 12.0, 7


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in a box."""

    text: str
    style: str
    left: float
    down: float


@dataclass(frozen=True, slots=True)
class Box:
    """A stage: a rectangle, its lines, how it stands, and what pointing at it tells."""

    left: float
    top: float
    width: float
    height: float
    state: str
    told: str
    lines: tuple[Line, ...]
    meeting: bool = False


@dataclass(frozen=True, slots=True)
class Joint:
    """An edge: its curve and its tip, and what flows there."""

    curve: str
    tip: str
    flows: str
    blocked: bool
    left: float
    down: float
    way: str


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it, and its size; `told` says the same in words."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    joints: tuple[Joint, ...]
    told: str


class GraphPicture:
    """A graph that is laid out once, and drawn with other numbers each time."""

    def __init__(self, stage: Stage) -> None:
        self._graph: Graph = graph_of(stage)
        self._labels: list[Label] = labels_of(self._graph)
        self._layers: Layers = layers_of(self._graph)
        self._places = self._placed()

    def drawn(self, stages: Stages | None, *, live: bool) -> Picture:
        """The picture; of a live run edges tell items a second, else how many items there were in all."""
        rows = stages.named() if stages is not None else {}
        places = self._places.values()
        return Picture(
            round(max((place.right for place in places), default=0) + EDGE),
            round(max((place.top + place.height for place in places), default=0) + EDGE),
            tuple(self._box(box.number, rows.get(box.name)) for box in self._graph.boxes),
            tuple(self._joints(rows, live=live)),
            " to ".join(label.title for label in self._labels if label.kind),
        )

    def _placed(self) -> dict[int, Place]:
        sizes = {slot: self._size(slot) for layer in self._layers.layers for slot in layer}
        small = [box.number for box in self._graph.boxes if self._meets(box.number)]
        return places_of(self._layers, sizes, small=small, edge=EDGE, gap=GAP, between=lambda _: BETWEEN)

    def _meets(self, slot: int) -> bool:
        return slot < self._layers.count and isinstance(self._graph.boxes[slot].stage, Join)

    def _size(self, slot: int) -> tuple[float, float]:
        if slot >= self._layers.count:
            return 0.0, 14.0
        if self._meets(slot):
            return DOT, DOT
        label = self._labels[slot]
        lines = wrapped(label.options, LONGEST)
        name = text_width(cut(label.name, LONGEST, tail=TAIL), 13) * 1.06
        widest = max(text_width(label.kind, 11) * 1.1, name, *(text_width(line, 11) for line in lines), 0.0)
        height = KIND + (NAME if label.name else 0) + LINE * len(lines) + FOOT
        return max(widest + 2 * ACROSS, NARROWEST), float(max(height, LOWEST))

    def _box(self, slot: int, row: StageRow | None) -> Box:
        place, label = self._places[slot], self._labels[slot]
        if self._meets(slot):
            return Box(place.left, place.top, place.width, place.height, "", "branches meet", (), True)
        options = wrapped(label.options, LONGEST)
        texts = [
            (label.kind, "g-kind"),
            *([(cut(label.name, LONGEST, tail=TAIL), "g-name")] if label.name else []),
        ]
        down, lines = place.top + KIND - 3, []
        for text, style in [*texts, *((line, "g-option") for line in options)]:
            lines.append(Line(text, style, round(place.left + ACROSS, 1), round(down, 1)))
            down += NAME if style == "g-kind" else LINE
        told = f"{label.title} ({self._graph.boxes[slot].stage.origin})" + (f": {row.told}" if row else "")
        return Box(
            round(place.left, 1),
            round(place.top, 1),
            round(place.width, 1),
            round(place.height, 1),
            _state(row),
            told,
            tuple(lines),
        )

    def _joints(self, rows: Mapping[str, StageRow], *, live: bool) -> Iterator[Joint]:
        for edge, path in zip(self._graph.edges, self._layers.paths, strict=True):
            row = rows.get(self._graph.boxes[edge.start].name)
            flows = "" if row is None else rate(row.rate) if live else number(row.emitted)
            yield self._joint(edge, path, flows, blocked=row is not None and row.held_up)

    def _joint(self, edge: Edge, path: Sequence[int], flows: str, *, blocked: bool) -> Joint:
        arrives = not self._meets(edge.end)
        curve = curve_along(path, self._places, short=TIP - 1 if arrives else 0)
        last, first, second = self._places[edge.end], self._places[path[0]], self._places[path[1]]
        tip = f"M{last.left:.1f} {last.middle:.1f}l{-TIP} {-TIP / 2 - 0.5}v{TIP + 1}z" if arrives else ""
        left = (first.right + second.left) / 2
        down = (first.middle + second.middle) / 2
        return Joint(curve, tip, flows, blocked, round(left, 1), round(down, 1), cut(edge.label, 12))


def _state(row: StageRow | None) -> str:
    if row is None:
        return ""
    return (
        "blocked" if row.held_up else "bottleneck" if row.bottleneck else "dead" if row.counts["dead"] else ""
    )
