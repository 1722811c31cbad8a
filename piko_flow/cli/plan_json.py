"""A plan as JSON values."""

from __future__ import annotations

from typing import Any

from piko_flow.dataflow.drawing.labels import label_of
from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.plan.plan import Plan


def plan_values(plan: Plan) -> dict[str, Any]:
    """Operators with their stages, channels with their capacity, and units, by number."""
    boxes = plan.graph.boxes
    return {
        "pipeline": plan.name,
        "fingerprint": plan.fingerprint,
        "stages": [_stage(box) for box in boxes],
        "joints": [
            {"start": boxes[edge.start].name, "end": boxes[edge.end].name, "label": edge.label}
            for edge in plan.graph.edges
        ],
        "operators": [
            {"number": one.number, "kind": one.kind, "stages": [boxes[number].name for number in one.boxes]}
            for one in plan.operators
        ],
        "channels": [
            {"start": one.start, "end": one.end, "capacity": one.capacity.items, "size": one.capacity.size}
            for one in plan.channels
        ],
        "units": [
            {"id": unit.id, "number": unit.number, "split": repr(unit.split) if unit.has_split else None}
            for unit in plan.units
        ],
    }


def _stage(box: Box) -> dict[str, Any]:
    return {
        "number": box.number,
        "name": box.name,
        "kind": box.stage.kind,
        "where": str(box.stage.origin),
        "options": list(label_of(box).options),
    }
