"""The graph as text: boxes from top to bottom, joined by lines; an indented list where the boxes would be too wide."""

from __future__ import annotations

from collections.abc import Sequence

from piko_flow.dataflow.drawing.labels import TAIL, Label, columns, cut, labels_of, one_line, wrapped
from piko_flow.dataflow.drawing.layers import Layers, Link, aligned, layers_of
from piko_flow.dataflow.graph.boxes import Edge, Graph, graph_of
from piko_flow.dataflow.stages.routing import Join
from piko_flow.dataflow.stages.stage import Stage

WIDEST = 100  # columns of a drawing
TEXT_WIDTHS = (40, 28, 22, 16)  # of a box, tried in turn until the drawing fits
BETWEEN = 2  # columns between boxes side by side
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
# Light lines by the sides they reach; round corners.
STROKES = dict(enumerate(" ╵╷│╴╯╮┤╶╰╭├─┴┬┼"))


def draw_text(stage: Stage, *, widest: int = WIDEST) -> str:
    """The graph in at most `widest` columns, drawn with Unicode lines; branches side by side, in their order."""
    graph = graph_of(stage)
    layers, labels = layers_of(graph), labels_of(graph)
    for width in TEXT_WIDTHS:
        drawing = _Drawing(graph, layers, labels, width)
        if drawing.width <= widest:
            return drawing.render()
    return _Outline(graph, labels, widest).render()


class _Canvas:
    """Strokes and letters by row and column; strokes that meet in one place join."""

    def __init__(self) -> None:
        self._strokes: dict[tuple[int, int], int] = {}
        self._letters: dict[tuple[int, int], str] = {}

    def stroke(self, row: int, column: int, sides: int) -> None:
        self._strokes[row, column] = self._strokes.get((row, column), 0) | sides

    def across(self, row: int, start: int, end: int) -> None:
        for column in range(start, end + 1):
            self.stroke(row, column, (LEFT if column > start else 0) | (RIGHT if column < end else 0))

    def down(self, column: int, start: int, end: int) -> None:
        for row in range(start, end + 1):
            self.stroke(row, column, UP | DOWN)

    def write(self, row: int, column: int, text: str) -> None:
        for letter in text:
            wide = columns(letter)
            if wide == 0 and (row, column - 1) in self._letters:
                self._letters[row, column - 1] += letter
                continue
            self._letters[row, column] = letter
            if wide == 2:
                self._letters[row, column + 1] = ""
            column += wide

    def __str__(self) -> str:
        marks = {place: STROKES[sides] for place, sides in self._strokes.items()} | self._letters
        height = max((row for row, _ in marks), default=-1) + 1
        lines: list[dict[int, str]] = [{} for _ in range(height)]
        for (row, column), mark in marks.items():
            lines[row][column] = mark
        return "\n".join(
            "".join(line.get(column, " ") for column in range(max(line, default=-1) + 1)).rstrip()
            for line in lines
        )


class _Drawing:
    """One attempt at a drawing, with at most `limit` columns of text in a box."""

    def __init__(self, graph: Graph, layers: Layers, labels: Sequence[Label], limit: int) -> None:
        self._layers = layers
        self._texts: dict[int, list[str]] = {
            place.number: [cut(label.title, limit, tail=TAIL), *wrapped(label.options, limit)]
            for place, label in zip(graph.boxes, labels, strict=True)
            if not isinstance(place.stage, Join)
        }
        named = {link.end: columns(_branch(link, limit)) for link in layers.links if link.label}
        self._box = {slot: max(map(columns, lines)) + 4 for slot, lines in self._texts.items()}
        extent = {
            slot: float(max(self._box.get(slot, 1), named.get(slot, 0)))
            for layer in layers.layers
            for slot in layer
        }
        middle = aligned(layers, extent, BETWEEN)
        self._column = {slot: int(middle[slot]) for slot in middle}
        self._limit = limit
        self.width = max((int(middle[slot] + extent[slot] / 2) + 1 for slot in middle), default=0)

    def render(self) -> str:
        self._canvas, row = _Canvas(), 0
        last = len(self._layers.layers) - 1
        for number, layer in enumerate(self._layers.layers):
            height = max((len(self._texts[slot]) + 2 for slot in layer if slot in self._texts), default=0)
            after = self._layers.links_after(number)
            for slot in layer:
                self._place(slot, row, height, goes_on=any(link.start == slot for link in after))
            row += height
            if number < last:
                row = self._join(after, row)
        return str(self._canvas)

    def _place(self, slot: int, row: int, height: int, *, goes_on: bool) -> None:
        canvas, column = self._canvas, self._column[slot]
        lines = self._texts.get(slot)
        if lines is None:
            canvas.down(column, row, row + height - 1)
            return
        width, bottom = self._box[slot], row + len(lines) + 1
        left = column - width // 2
        right = left + width - 1
        for edge, side in ((row, DOWN), (bottom, UP)):
            canvas.across(edge, left, right)
            canvas.stroke(edge, left, side)
            canvas.stroke(edge, right, side)
        for offset, line in enumerate(lines, 1):
            canvas.down(left, row + offset, row + offset)
            canvas.down(right, row + offset, row + offset)
            canvas.write(row + offset, left + 2, line)
        if any(link.end == slot for link in self._layers.links):
            canvas.write(row, column, "▼")
        if goes_on:
            canvas.stroke(bottom, column, DOWN)
            canvas.down(column, bottom + 1, row + height - 1)

    def _join(self, links: Sequence[Link], row: int) -> int:
        """Draw the links from this row on; gives the row below them."""
        tracks = _tracks(links, self._column)
        below = row + max(tracks.values(), default=-1) + 1
        for (start, end), track in tracks.items():
            one, two = self._column[start], self._column[end]
            turn = row + track
            self._canvas.down(one, row, turn - 1)
            self._canvas.stroke(turn, one, UP)
            self._canvas.across(turn, min(one, two), max(one, two))
            self._canvas.stroke(turn, two, DOWN)
            self._canvas.down(two, turn + 1, below - 1)
        for link in links:
            if (link.start, link.end) not in tracks:
                self._canvas.down(self._column[link.end], row, below - 1)
        if not any(link.label for link in links):
            return below
        for link in links:
            text = _branch(link, self._limit)
            self._canvas.down(self._column[link.end], below, below)
            if text:
                self._canvas.write(below, self._column[link.end] - columns(text) // 2, text)
        return below + 1


def _tracks(links: Sequence[Link], column: dict[int, int]) -> dict[tuple[int, int], int]:
    """The row, from 0, in which each link that is not straight runs across; what shares an end shares the row."""
    forks = {link.start for link in links if sum(other.start == link.start for other in links) > 1}
    groups: dict[tuple[str, int], list[Link]] = {}
    for link in links:
        group = ("from", link.start) if link.start in forks else ("to", link.end)
        groups.setdefault(group, []).append(link)
    taken: list[list[tuple[int, int]]] = []
    tracks: dict[tuple[int, int], int] = {}
    for sharing in groups.values():
        ends = [column[slot] for link in sharing for slot in (link.start, link.end)]
        low, high = min(ends), max(ends)
        if low == high:
            continue
        free = (
            track
            for track, spans in enumerate(taken)
            if all(high < start or low > end for start, end in spans)
        )
        track = next(free, len(taken))
        if track == len(taken):
            taken.append([])
        taken[track].append((low, high))
        tracks |= {(link.start, link.end): track for link in sharing}
    return tracks


def _branch(link: Link, limit: int) -> str:
    return cut(one_line(link.label), limit)


class _Outline:
    """Every stage on a line of its own, branches indented; what several stages feed comes after the last of them."""

    def __init__(self, graph: Graph, labels: Sequence[Label], widest: int) -> None:
        self._graph, self._labels, self._widest = graph, labels, widest
        self._arrived: dict[int, int] = {}
        self._listed: set[int] = set()
        self.lines: list[str] = []

    def render(self) -> str:
        roots = [place.number for place in self._graph.boxes if not self._graph.into(place.number)]
        lead, below = ("├─ ", "│  ") if len(roots) > 1 else ("", "")
        for root in roots:
            fed = self._walk(root, lead, below)
            while fed is not None and self._complete(fed):
                last = root == roots[-1]
                fed = self._walk(fed, "" if last else lead, "" if last else below)
        return "\n".join(cut(line, self._widest) for line in self.lines)

    def _walk(self, number: int, lead: str, below: str) -> int | None:
        """List a stage and what follows it; gives the stage fed by several that it ends at, if it does."""
        while True:
            self._listed.add(number)
            label = self._labels[number]
            words = " · ".join(filter(None, (label.title, *label.options)))
            self.lines.append(lead + (words or "where the branches meet"))
            lead, following = below, self._graph.out_of(number)
            ends = [self._branch(edge, below, len(following) - place) for place, edge in enumerate(following)]
            fed = next((end for end in ends if end is not None and end not in self._listed), None)
            if fed is None or len(following) == 1 or not self._complete(fed):
                return fed
            number = fed

    def _branch(self, edge: Edge, below: str, remaining: int) -> int | None:
        several = len(self._graph.out_of(edge.start)) > 1
        if len(self._graph.into(edge.end)) > 1:
            self._arrived[edge.end] = self._arrived.get(edge.end, 0) + 1
            return edge.end
        if not several:
            return self._walk(edge.end, below, below)
        name = f"{one_line(edge.label)}: " if edge.label else ""
        corner, rail = ("├─ ", "│  ") if remaining > 1 else ("╰─ ", "   ")
        return self._walk(edge.end, f"{below}{corner}{name}", below + rail)

    def _complete(self, number: int) -> bool:
        return self._arrived[number] == len(self._graph.into(number))
