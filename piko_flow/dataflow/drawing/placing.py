"""Where boxes of a graph stand in a picture, layer by layer from left to right, and the lines between them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from piko_flow.dataflow.drawing.layers import Layers, aligned


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slot stands: its left side and its middle from top to bottom; a bend has no extent."""

    left: float
    middle: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def top(self) -> float:
        return self.middle - self.height / 2


def places_of(
    layers: Layers,
    sizes: Mapping[int, tuple[float, float]],
    *,
    small: Collection[int],
    edge: float,
    gap: float,
    between: Callable[[int], float],
) -> dict[int, Place]:
    """A place for each slot, by the sizes; boxes of a layer are as wide as its widest, but for the `small` ones.

    `edge` is left free around all, `gap` between boxes of a layer, `between(number)` behind the layer of that number.
    """
    middles = aligned(layers, {slot: height for slot, (_, height) in sizes.items()}, gap)
    places: dict[int, Place] = {}
    left = edge
    for number, layer in enumerate(layers.layers):
        widest = max(sizes[slot][0] for slot in layer)
        for slot in layer:
            width = sizes[slot][0] if slot in small else widest
            places[slot] = Place(left + (widest - width) / 2, edge + middles[slot], width, sizes[slot][1])
        left += widest + between(number)
    return places


def curve_along(path: Sequence[int], places: Mapping[int, Place], *, short: float) -> str:
    """The line through these slots, as the data of an SVG path; it ends `short` before the last one."""
    curve = ""
    for start, end in pairwise(path):
        one, two, last = places[start], places[end], end == path[-1]
        stop = two.left - (short if last else 0)
        half = (stop - one.right) / 2
        curve += "" if curve else f"M{one.right:.1f} {one.middle:.1f}"
        curve += f"C{one.right + half:.1f} {one.middle:.1f} {stop - half:.1f} {two.middle:.1f} {stop:.1f} {two.middle:.1f}"
        curve += "" if last else f"H{two.right:.1f}"
    return curve
