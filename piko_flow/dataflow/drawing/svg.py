"""The graph as a self-contained SVG picture, from left to right, for light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from piko_flow.dataflow.drawing.labels import TAIL, Label, columns, cut, labels_of, one_line, wrapped
from piko_flow.dataflow.drawing.layers import Layers, layers_of
from piko_flow.dataflow.drawing.placing import Place, curve_along, places_of
from piko_flow.dataflow.drawing.svg_style import STYLE, family_of
from piko_flow.dataflow.graph.boxes import Box, Edge, Graph, graph_of
from piko_flow.dataflow.stages.routing import Join
from piko_flow.dataflow.stages.stage import Stage

TEXT_COLUMNS = 26  # columns of a name, a branch's label or a line of options
EDGE, GAP = 20, 18  # around the picture, and between boxes one above the other
BETWEEN = 46  # from layer to layer
ACROSS = 16  # from a box's side to its words
KIND, NAME, LINE, FOOT = (
    22,
    18,
    16,
    12,
)  # heights, from the top of a box: its kind, its name, each line of options
ARROW = 7
NARROW, WIDE = frozenset("fijlrtI.,:;'|!()[]{} -"), frozenset("mwMW@%#")


def draw_svg(stage: Stage) -> str:
    """A picture of the graph; pointing at a box tells the file and line that wrote it."""
    graph = graph_of(stage)
    return _Picture(graph, layers_of(graph), labels_of(graph)).render(one_line(stage.name))


class _Picture:
    def __init__(self, graph: Graph, layers: Layers, labels: Sequence[Label]) -> None:
        self._graph, self._layers, self._labels = graph, layers, labels
        self._boxes = self._placed()
        self._width = max((box.right for box in self._boxes.values()), default=0.0) + EDGE
        self._height = max((box.top + box.height for box in self._boxes.values()), default=0.0) + EDGE

    def _placed(self) -> dict[int, Place]:
        sizes = {slot: self._size(slot) for layer in self._layers.layers for slot in layer}
        small = [box.number for box in self._graph.boxes if isinstance(box.stage, Join)]
        return places_of(self._layers, sizes, small=small, edge=EDGE, gap=GAP, between=self._between)

    def _between(self, number: int) -> float:
        named = [text_width(_branch(link.label), 11) for link in self._layers.links_after(number)]
        return max((BETWEEN, *(length + 44 for length in named if length)))

    def _size(self, slot: int) -> tuple[float, float]:
        if slot >= self._layers.count:
            return 0.0, 14.0
        if isinstance(self._graph.boxes[slot].stage, Join):
            return 12.0, 12.0
        label = self._labels[slot]
        lines = wrapped(label.options, TEXT_COLUMNS)
        longest = max(
            text_width(label.kind, 10.5) * 1.1,
            text_width(cut(label.name, TEXT_COLUMNS, tail=TAIL), 13) * 1.06,
            *(text_width(line, 11) for line in lines),
            56.0,
        )
        height = KIND + (NAME if label.name else 0) + LINE * len(lines) + FOOT
        return longest + 2 * ACROSS, float(max(height, 46))

    def render(self, title: str) -> str:
        width, height = round(self._width), round(self._height)
        size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        style = 'class="piko" role="img" style="max-width:100%;height:auto"'
        drawn = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {style} {size}>',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="piko-page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>',
        ]
        for edge, path in zip(self._graph.edges, self._layers.paths, strict=True):
            drawn += self._edge(edge, path)
        for place, label in zip(self._graph.boxes, self._labels, strict=True):
            drawn += self._stage(place, label)
        return "\n".join((*drawn, "</svg>\n"))

    def _edge(self, edge: Edge, path: Sequence[int]) -> Iterator[str]:
        arrives = not isinstance(self._graph.boxes[edge.end].stage, Join)
        curve = curve_along(path, self._boxes, short=ARROW - 1 if arrives else 0)
        yield f'<path class="piko-edge" d="{curve}"/>'
        if arrives:
            tip = self._boxes[edge.end]
            back = f"l{-ARROW} {-ARROW / 2 - 0.5}v{ARROW + 1}z"
            yield f'<path class="piko-arrow" d="M{tip.left:.1f} {tip.middle:.1f}{back}"/>'
        if edge.label:
            yield from self._branch_label(edge.label, self._boxes[path[1]])

    def _branch_label(self, label: str, towards: Place) -> Iterator[str]:
        text = _branch(label)
        width = text_width(text, 11) + 12
        middle = towards.left - ARROW - 6 - width / 2
        yield (
            f'<rect class="piko-way" x="{middle - width / 2:.1f}" y="{towards.middle - 9:.1f}" '
            f'width="{width:.1f}" height="18" rx="9"/>'
        )
        yield (
            f'<text class="piko-way-name" x="{middle:.1f}" y="{towards.middle + 4:.1f}">{escape(text)}</text>'
        )

    def _stage(self, place: Box, label: Label) -> Iterator[str]:
        box = self._boxes[place.number]
        if isinstance(place.stage, Join):
            yield f'<circle class="piko-join" cx="{box.left + 6:.1f}" cy="{box.middle:.1f}" r="5"/>'
            return
        family = family_of(place.stage)
        yield f'<g class="piko-stage piko-{family}">'
        yield f"<title>{escape(one_line(f'{label.title} ({place.stage.origin})'))}</title>"
        yield (
            f'<rect class="piko-box" x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="8"/>'
        )
        yield (
            f'<rect class="piko-mark" x="{box.left + 5:.1f}" y="{box.top + 8:.1f}" width="3" '
            f'height="{box.height - 16:.1f}" rx="1.5"/>'
        )
        lines = wrapped(label.options, TEXT_COLUMNS)
        content = KIND + (NAME if label.name else 0) + LINE * len(lines) + FOOT
        left, down = box.left + ACROSS, box.top + (box.height - content) / 2 + KIND - 2
        yield f'<text class="piko-kind" x="{left:.1f}" y="{down:.1f}">{escape(label.kind)}</text>'
        if label.name:
            down += NAME
            name = escape(cut(label.name, TEXT_COLUMNS, tail=TAIL))
            yield f'<text class="piko-name" x="{left:.1f}" y="{down:.1f}">{name}</text>'
        for line in lines:
            down += LINE
            yield f'<text class="piko-option" x="{left:.1f}" y="{down:.1f}">{escape(line)}</text>'
        yield "</g>"


def text_width(text: str, size: float) -> float:
    """About how wide the text is in a sans-serif font of that size; rather too much than too little."""
    return size * sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> float:
    if letter in NARROW:
        return 0.4
    if letter in WIDE:
        return 0.95
    if letter.isupper():
        return 0.74
    return 0.63 if letter.isascii() else 0.68 * max(columns(letter), 0.1) if columns(letter) < 2 else 1.05


def _branch(label: str) -> str:
    return cut(one_line(label), TEXT_COLUMNS)
