"""Where the boxes of a graph stand: in layers, with few crossings, neighbours in line with each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from piko_flow.dataflow.graph.boxes import Edge, Graph

ROUNDS = 4  # of reordering and of aligning; more changed nothing in graphs of a hundred stages


@dataclass(frozen=True)
class Link:
    """A joint between two neighbouring layers, by slot; `label` is given on the first link of an edge."""

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True)
class Layers:
    """Slots in layers, each in order. A slot below `count` is the stage of that number, others are bends of long edges.

    `paths` has for each edge of the graph, in its order, the slots that it goes through.
    """

    count: int
    layers: tuple[tuple[int, ...], ...]
    links: tuple[Link, ...]
    paths: tuple[tuple[int, ...], ...]

    def links_after(self, layer: int) -> list[Link]:
        """The links between this layer and the next."""
        slots = set(self.layers[layer])
        return [link for link in self.links if link.start in slots]


def layers_of(graph: Graph) -> Layers:
    """Lay a graph out: every stage as early as its inputs allow, but the sources next to what they feed."""
    depth = _depths(graph)
    slots: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for number, layer in enumerate(depth):
        slots[layer].append(number)
    links, paths, following = [], [], len(graph.boxes)
    for edge in graph.edges:
        bends = range(following, following + depth[edge.end] - depth[edge.start] - 1)
        following += len(bends)
        for layer, bend in enumerate(bends, depth[edge.start] + 1):
            slots[layer].append(bend)
        path = (edge.start, *bends, edge.end)
        paths.append(path)
        links += [
            Link(start, end, "" if step else edge.label) for step, (start, end) in enumerate(pairwise(path))
        ]
    ordered = _few_crossings(slots, links)
    return Layers(len(graph.boxes), tuple(map(tuple, ordered)), tuple(links), tuple(paths))


def aligned(layers: Layers, extent: Mapping[int, float], gap: float) -> dict[int, float]:
    """The middle of each slot across the layers, from 0 on: neighbours in a layer keep the gap, joined slots line up.

    `extent` is how far each slot reaches across.
    """
    before, after = _neighbours(layers.links)
    middle: dict[int, float] = {}
    for layer in layers.layers:
        edge = 0.0
        for slot in layer:
            middle[slot] = edge + extent[slot] / 2
            edge += extent[slot] + gap
    for turn in range(2 * ROUNDS + 1):
        forward = turn % 2 == 0
        for layer in layers.layers if forward else reversed(layers.layers):
            wanted = [_mean((before if forward else after).get(slot), middle, middle[slot]) for slot in layer]
            apart = [(extent[one] + extent[two]) / 2 + gap for one, two in pairwise(layer)]
            middle.update(zip(layer, spread(wanted, apart), strict=True))
    least = min((middle[slot] - extent[slot] / 2 for slot in middle), default=0.0)
    return {slot: value - least for slot, value in middle.items()}


def spread(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (least squares) that keep the order and the distances `apart`."""
    offset = [0.0]
    for distance in apart:
        offset.append(offset[-1] + distance)
    blocks: list[tuple[float, int]] = []  # sum of wanted places less offsets, and how many share it
    for place, shift in zip(wanted, offset, strict=False):
        total, count = place - shift, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            earlier, more = blocks.pop()
            total, count = total + earlier, count + more
        blocks.append((total, count))
    shared = [total / count for total, count in blocks for _ in range(count)]
    return [place + shift for place, shift in zip(shared, offset, strict=False)]


def _depths(graph: Graph) -> list[int]:
    depth = [0] * len(graph.boxes)
    behind_fork = [False] * len(graph.boxes)
    for number in range(len(graph.boxes)):
        for edge in graph.into(number):
            depth[number] = max(depth[number], depth[edge.start] + 1)
            behind_fork[number] |= behind_fork[edge.start] or len(graph.out_of(edge.start)) > 1
    for number in reversed(range(len(graph.boxes))):
        fed = graph.out_of(number)
        if len(fed) == 1 and not behind_fork[number]:
            depth[number] = depth[fed[0].end] - 1
    return depth


def _few_crossings(slots: list[list[int]], links: Sequence[Link]) -> list[list[int]]:
    before, after = _neighbours(links)
    best = [list(layer) for layer in slots]
    least = _crossings(best, links)
    current = [list(layer) for layer in slots]
    for turn in range(2 * ROUNDS):
        sides = before if turn % 2 == 0 else after
        for layer in current if turn % 2 == 0 else reversed(current):
            rank = _ranks(current)
            layer.sort(key=_by_mean(sides, rank))
        if (crossings := _crossings(current, links)) < least:
            best, least = [list(layer) for layer in current], crossings
    return best


def _by_mean(sides: Mapping[int, list[int]], rank: Mapping[int, float]) -> Callable[[int], float]:
    return lambda slot: _mean(sides.get(slot), rank, rank[slot])


def _ranks(layers: list[list[int]]) -> dict[int, float]:
    return {slot: float(rank) for layer in layers for rank, slot in enumerate(layer)}


def _crossings(layers: list[list[int]], links: Sequence[Link]) -> int:
    rank = _ranks(layers)
    level = {slot: number for number, layer in enumerate(layers) for slot in layer}
    between: dict[int, list[Link]] = {}
    for link in links:
        between.setdefault(level[link.start], []).append(link)
    return sum(
        (rank[one.start] - rank[two.start]) * (rank[one.end] - rank[two.end]) < 0
        for side_by_side in between.values()
        for place, one in enumerate(side_by_side)
        for two in side_by_side[place + 1 :]
    )


def _neighbours(links: Sequence[Link | Edge]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    before: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    for link in links:
        before.setdefault(link.end, []).append(link.start)
        after.setdefault(link.start, []).append(link.end)
    return before, after


def _mean(slots: Sequence[int] | None, value: Mapping[int, float], otherwise: float) -> float:
    return sum(value[slot] for slot in slots) / len(slots) if slots else otherwise
