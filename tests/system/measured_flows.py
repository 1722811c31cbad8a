"""Flows that between them do everything that is measured, and an application of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from piko_flow import App, CpuMap, Filter, Flow, Interval, Registry, Retry, Settings, Sink, Source, Transform
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.planning.window import Window
from tests.system.running_app import Running


async def third(item: int) -> int:
    if item % 3 == 0:
        raise ValueError("three")
    return item


def even(item: int) -> bool:
    return item % 2 == 0


def put(item: object) -> None:
    """A sink."""


class Refusing:
    """A sink that takes nothing."""

    async def write(self, items: Any) -> None:
        raise OSError("it is away")


def flows(gate: asyncio.Event) -> Registry[Flow]:
    """Flows that between them do everything that is measured."""
    registry: Registry[Flow] = Registry()
    again: list[int] = []

    async def hello(run: RunContext) -> None:
        await run.emit({"id": run.id}, to="away")

    async def fails(run: RunContext) -> None:
        raise OSError("always")

    async def refilled(run: RunContext) -> None:
        if not again:
            again.append(run.id)
            raise OSError("once")
        await gate.wait()

    async def held(item: int) -> int:
        await gate.wait()
        return item

    Flow.register("hello", hello, registry=registry, schedule=Interval(seconds=1))
    Flow.register("fails", fails, registry=registry, retry=Retry(attempts=2, first=0.01))
    # Windows so long that hardly ever one ends while a test looks at those that there are.
    Flow.register("windows", fails, registry=registry, stateful=True, schedule=Interval(weeks=52))
    Flow.register("refilled", refilled, registry=registry, stateful=True, schedule=Interval(weeks=52))
    pipeline = (
        Source(range(100))
        >> Filter(even)
        >> Transform(third, on_error="dead_letter", retry=Retry(attempts=2, first=0.001), concurrency=2)
        >> CpuMap(abs, workers=1)
        >> Sink(put)
    )
    Flow.register("items", pipeline, registry=registry)
    Flow.register("held", Source(range(50)) >> Transform(held, concurrency=2) >> Sink(put), registry=registry)
    return registry


async def make_backfill(app: Running) -> None:
    """A backfill of a failed window, whose run does not end by itself."""
    await app.at_least(1, "refilled", "FAILED")

    async def make(plane: Any) -> None:
        state = (await plane.store.states(["refilled"]))["refilled"]
        span = Window(state.origin, state.planned_until)
        request = BackfillRequest(flow="refilled", span=span, kind="all")
        plan = await plane.plan_backfill(request)
        await plane.apply_backfill(request, digest=plan.digest)

    await app.app.ask(make)


@asynccontextmanager
async def spooling(registry: Registry[Flow], folder: Path) -> AsyncIterator[Running]:
    """An application with a spool before a sink that takes nothing."""
    settings = Settings(
        database=SecretStr(f"sqlite:///{folder / 'piko.db'}"),
        poll_s=0.05,
        poll_interval_s=0.1,
        poll_jitter_s=0,
        cpu_workers=1,
        drain_s=1,
        persist_disk_fallback_path=str(folder / "spool"),
        persist_flush_timeout_s=0.5,
    )
    app = App("test", registry=registry, settings=settings)
    app.register_sink("away", Refusing())
    async with app.running():
        yield Running(app, folder / "piko.db")
