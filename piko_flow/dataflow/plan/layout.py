"""What a plan is made of: operators, the channels between them, units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from piko_flow.dataflow.plan.plan_options import Capacity

OperatorKind = Literal[
    "fused", "source", "concurrent", "keyed", "flat_map", "cpu", "batch", "throttle", "merge", "sink"
]


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
