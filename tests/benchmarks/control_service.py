"""Running the control half inside a benchmark: one replica's service over a database, driven on its control loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica.replica import Replica
from piko_flow.control.service import ControlService
from piko_flow.control.watched import Watched
from piko_flow.planning.cron import Cron
from piko_flow.planning.trigger import Trigger
from tests.databases.stored import stored

T = TypeVar("T")
SHORT = timedelta(seconds=1)


async def nothing(run: RunContext) -> None:
    """A job that does nothing."""


def registry_of(
    names: Iterable[str],
    job: Callable[..., Awaitable[None]] = nothing,
    *,
    registry: Registry | None = None,
    **options: object,
) -> Registry:
    """Plain jobs of these names, in a registry of their own or added to one."""
    filled: Registry = Registry() if registry is None else registry
    for name in names:
        Flow.register(name, job, registry=filled, **options)  # type: ignore[call-overload]  # options of any kind
    return filled


@asynccontextmanager
async def serving(
    url: str,
    registry: Registry,
    *,
    slots: int = 100,
    options: ReplicaOptions | None = None,
    watched: Watched | None = None,
) -> AsyncIterator[ControlService]:
    """A service that leads."""
    service = ControlService(
        open_store=lambda: stored(url),
        registry=registry,
        options=options or ReplicaOptions(slots=slots, drain=SHORT, runs_kept=None),
        watched=watched,
    )
    await service.start()
    try:
        await service.call(_leading)
        yield service
    finally:
        await service.stop()


async def _leading(plane: ControlPlane) -> None:
    replica = replica_of(plane)
    while not replica.leads:  # noqa: ASYNC110  # a benchmark may poll
        await asyncio.sleep(0.01)


def replica_of(plane: ControlPlane) -> Replica:
    """The replica beside the plane."""
    assert isinstance(plane.replica, Replica)
    return plane.replica


async def until(true: Callable[[], Awaitable[bool]], *, within: float, every: float = 0.01) -> None:
    """Return when the question is answered with yes. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110  # a benchmark may poll
            await asyncio.sleep(every)


def every_year() -> Trigger:
    """A schedule that does not fire while anything is measured."""
    return Cron("0 0 29 2 *")
