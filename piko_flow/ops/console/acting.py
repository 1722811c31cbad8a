"""Changes are made by the visitor, and kept as made by them."""

from __future__ import annotations

from piko_flow.control.plane import ControlPlane
from piko_flow.ops.visitor import Visitor


def acting(plane: ControlPlane, who: Visitor) -> ControlPlane:
    """The plane as the visitor uses it."""
    return plane
