"""Flows of an application that call a service: a window as parameters, one client and one limit for several flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from pathlib import Path
from typing import Any

from piko_flow import (
    BackfillPolicy,
    Flow,
    Interval,
    Pipeline,
    Registry,
    Resource,
    Retry,
    RunContext,
    Sink,
    Source,
    Transform,
    Window,
)
from piko_flow.connectors.http import HttpClient, HttpLookup, HttpSource, PageNumber, RateLimit
from piko_flow.planning.run_state import RunStatus
from tests.services.answering import Asked, Told, serving
from tests.system.running_app import eventually, running

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = Window(NOON, NOON + timedelta(hours=1))
PAST = Interval(hours=1, start_date=HOUR.start, end_date=HOUR.end)  # so that only what is triggered runs
SIZE = 4
CALLS = 4


def orders(asked: Asked) -> Told:
    """Ten orders of the window that is asked for, by pages of four."""
    first = (int(asked.query["page"]) - 1) * SIZE
    found = [{"id": number, "from": asked.query["from"], "to": asked.query["to"]} for number in range(10)]
    return Told({"orders": found[first : first + SIZE], "total": 10})


async def test_a_flow_asks_for_its_window_and_again_what_was_too_early(tmp_path: Path) -> None:
    got: list[dict[str, Any]] = []
    registry: Registry[Flow] = Registry()
    early = [Told(status=429, headers={"retry-after": "0"}), Told(status=502)]

    def answered(asked: Asked) -> Told:
        return early.pop() if early else orders(asked)

    with serving(answered) as service:

        def build(run: RunContext) -> Pipeline:
            assert run.window is not None
            source = HttpSource(
                "/orders",
                client=HttpClient(service.url),
                params={"from": run.window.start, "to": run.window.end},
                items="orders",
                paging=PageNumber(total="total"),
                retry=Retry(attempts=5, first=0.01),
            )
            return source >> Sink(got.append)

        Flow.register(
            "orders",
            build,
            stateful=True,
            schedule=PAST,
            backfill=BackfillPolicy.NONE,
            registry=registry,
        )
        async with running(registry, tmp_path) as app:
            await eventually(lambda: app.app.service.call(lambda plane: plane.store.schedules()))
            record = await app.trigger("orders", window=HOUR)
        assert record.status is RunStatus.SUCCESS, record.error_msg
        assert len(service.asked) == 5
    assert [item["id"] for item in got] == list(range(10))
    assert {(item["from"], item["to"]) for item in got} == {("2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z")}


class Held(RateLimit):
    """Calls `told` when a service's wish to wait holds all calls."""

    def __init__(self, per_second: float, told: Callable[[], object]) -> None:
        super().__init__(per_second)
        self._told = told

    def hold(self, seconds: float) -> None:
        super().hold(seconds)
        self._told()


async def test_flows_that_share_a_limit_are_held_together_when_the_service_asks_to_wait(
    tmp_path: Path,
) -> None:
    """One flow is told to wait for an hour; until the limit is let go no request of the other one arrives."""
    loop, held = asyncio.get_running_loop(), asyncio.Event()
    limit = Held(10_000, lambda: loop.call_soon_threadsafe(held.set))
    registry: Registry[Flow] = Registry()
    got: list[str] = []

    def answered(asked: Asked) -> Told:
        if asked.path == "/first/0" and not held.is_set():
            return Told(status=429, headers={"retry-after": "3600"})
        return Told(asked.path)

    with serving(answered) as service:
        client = Resource(HttpClient(service.url), scope="app")
        for name in ("first", "second"):
            lookup = HttpLookup[Any](f"/{name}/{{}}", rate=limit, longest_wait=7200)
            stage = Transform(lookup, concurrency=CALLS, uses={"client": client})
            Flow.register(name, Source(range(20)) >> stage >> Sink(got.append), registry=registry)
        async with running(registry, tmp_path) as app:
            first = await app.app.service.call(lambda plane: plane.trigger("first"))
            await held.wait()
            second = await app.app.service.call(lambda plane: plane.trigger("second"))

            async def both_run() -> bool:
                found = [await app.runs(name, [RunStatus.RUNNING]) for name in ("first", "second")]
                return all(found) and len(limit._waiting) >= CALLS

            await eventually(both_run)
            assert {one.path.split("/")[1] for one in service.asked} == {"first"}
            for record in (first, second):
                await app.app.service.call(methodcaller("cancel", record.id))

            async def both_ended() -> bool:
                return all([await app.runs(name, [RunStatus.CANCELLED]) for name in ("first", "second")])

            await eventually(both_ended)
    assert got == []
