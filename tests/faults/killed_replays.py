"""Work to be killed: dead letters of a flow are made, and replayed until none is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from piko_flow import App, Flow, Sink, Source, Transform
from piko_flow.connectors.sql import SqlSink
from piko_flow.control.flows.registry import Registry
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.planning.run_state import LIVE
from piko_flow.store.protocols import RunFilter
from tests.faults.quick_settings import quick_settings

TABLE = "replayed_number"
NUMBERS = 120
PACE = 0.002  # seconds for an item at the second stage
EVERY = 0.05  # seconds between two looks at what is left to do


def app(database: str, *, broken: bool) -> App:
    """An application with the flow `numbers`: of its numbers some fail at one stage and some at another, while it is
    broken."""
    registry: Registry[Flow] = Registry()

    def check(number: int) -> int:
        if broken and number % 3 == 0:
            raise ValueError("three")
        return number

    async def price(number: int) -> tuple[int]:
        await asyncio.sleep(PACE)
        if broken and number % 3 == 1:
            raise KeyError("four")
        return (number,)

    pipeline = (
        Source(range(NUMBERS))
        >> Transform(check, on_error="dead_letter")
        >> Transform(price, on_error="dead_letter")
        >> Sink(SqlSink(table=TABLE, columns=["number"]), batch=7)
    )
    Flow.register("numbers", pipeline, registry=registry)
    return App(registry=registry, settings=quick_settings(database))


async def fail_all(database: str) -> None:
    """Run the broken flow to its end."""
    broken = app(database, broken=True)
    async with broken.running():
        await broken.service.call(lambda plane: plane.trigger("numbers"))
        await until(broken, no_run_is_live)


async def replay_all(database: str) -> None:
    """Replay by mended code until no letter is open and no run is left."""
    mended = app(database, broken=False)
    async with mended.running():
        await until(mended, no_letter_is_open)


async def until(app: App, done: Callable[[ControlPlane], Awaitable[bool]]) -> None:
    """Return when it is so."""
    while True:
        if await app.service.call(done):
            return
        await asyncio.sleep(EVERY)


async def no_run_is_live(plane: ControlPlane) -> bool:
    """Whether all runs have ended."""
    return not (await plane.runs(RunFilter(statuses=LIVE, limit=1))).runs


async def no_letter_is_open(plane: ControlPlane) -> bool:
    """Whether nothing is left to do; asks for a replay of what nobody replays."""
    if not await no_run_is_live(plane):
        return False
    if (await plane.dead_letters(limit=1)).letters:
        await plane.replay(WhichLetters(flow="numbers"))
        return False
    return True
