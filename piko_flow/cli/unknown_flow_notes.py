"""What a person should know who lists what there is of a flow that nobody knows: the name that was meant, perhaps."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from piko_flow.control.operations.plane import ControlPlane


async def unknown_flow_notes(plane: ControlPlane, flow: str | None, found: Sized) -> list[str]:
    """That no flow has the name, with the nearest one that is known.

    Empty where something was found of it, where it has ever run, and where no name is known at all.
    """
    if flow is None or found:
        return []
    from piko_flow.control.flows.registry import others

    known = {*plane.registry, *(row.flow for row in await plane.store.schedules())}
    if not known or flow in known or await plane.store.last_runs([flow]):
        return []
    return [f"nothing is known here of a flow {flow!r}; {others(flow, sorted(known))}"]
