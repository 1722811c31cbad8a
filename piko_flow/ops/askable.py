"""A process that answers questions about its flows, whatever else it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.health import Alive

T = TypeVar("T")


class Askable(Alive, Protocol):
    """What the API and those who listen need of the process."""

    async def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """What the plane answers. Raises RequestRefused, StoreUnavailable."""
        ...
