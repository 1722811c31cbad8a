"""The process as its HTTP side sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from piko_flow.control.operations.plane import ControlPlane
from piko_flow.ops.door_options import DoorOptions
from piko_flow.ops.health import Alive
from piko_flow.ops.metrics import MetricsPage

T = TypeVar("T")


class Process(Alive, Protocol):
    """An application that runs, or will."""

    @property
    def door(self) -> DoorOptions:
        """How the door behaves."""
        ...

    @property
    def metrics_enabled(self) -> bool:
        """Whether there is a page of metrics while it runs."""
        ...

    @property
    def metrics(self) -> MetricsPage | None:
        """The page of metrics; None while it does not run, and where there is none."""
        ...

    async def ask(self, work: Callable[[ControlPlane], Awaitable[T]]) -> T:
        """What the plane answers; the work is done on the control thread, so it must not wait for long.

        Raises RequestRefused, StoreUnavailable; the latter also while the process has not started.
        """
        ...
