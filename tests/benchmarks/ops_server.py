"""An application that serves its pages: `python -m tests.benchmarks.ops_server URL FLOWS still|ticking`.

Says in a line of JSON where it answers and what lets in, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter
from pydantic import SecretStr

from piko_flow import App, Settings
from piko_flow.app import listen
from piko_flow.ops.app import make_api
from piko_flow.ops.door.tokens import issue_link, issue_token
from piko_flow.ops.server import server_for
from piko_flow.store.ops_records import Role
from piko_flow.telemetry.providers import Providers
from tests.benchmarks.control_service import replica_of
from tests.benchmarks.control_stall import Stall, watching
from tests.benchmarks.ops_flows import LONG, STAGES, many_flows

LINKS = 60


class Measured(App):
    """An application all of whose flows have been measured already, some of them with many stages."""

    def _make_providers(self) -> Providers:
        providers = super()._make_providers()
        for number in range(len(self.registry)):
            flow, stages = f"past_{number}", STAGES if number % LONG == 2 else 3
            providers.figures.run_ended(flow, "SUCCESS", 10)
            for stage in range(stages):
                for state in ("in", "out", "filtered"):
                    providers.figures.stage_items[flow, f"stage {stage}", state] = 1
                for state in ("busy", "waiting", "blocked"):
                    providers.figures.stage_time[flow, f"stage {stage}", state] = 1.5
        return providers


class Watched:
    """What the application has used, and how long its control loop stood still."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stall = Stall()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the control loop over the block."""
        over = asyncio.Event()
        watch = asyncio.create_task(self._app.ask(lambda _: self._watch(over)), name="watch")
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _watch(self, over: asyncio.Event) -> None:
        async with watching() as self._stall:
            await asyncio.Event().wait()

    def router(self) -> APIRouter:
        """`/measured`, behind the door as every other page."""
        router = APIRouter()

        @router.get("/measured")
        async def measured() -> dict[str, float]:
            """Statements and seconds of the processor since the begin, and the longest stall since this was asked last."""
            used = resource.getrusage(resource.RUSAGE_SELF)
            sent, longest = await self._app.ask(self._taken)
            return {"statements": sent, "stall": longest, "cpu": used.ru_utime + used.ru_stime}

        return router

    async def _taken(self, plane: Any) -> tuple[int, float]:
        longest, self._stall.longest = self._stall.longest, 0.0
        return plane.store.statements, longest


async def _led(plane: Any) -> None:
    while not replica_of(plane).leads:  # noqa: ASYNC110  # a benchmark may poll
        await asyncio.sleep(0.05)


async def _lets_in(app: App) -> dict[str, Any]:
    """A token, and links for browsers."""
    _, token = await app.ask(
        lambda plane: issue_token(plane, f"benchmark {os.getpid()}", Role.ADMIN, lasting=None)
    )
    links = [
        await app.ask(lambda plane: issue_link(plane.acting("benchmark", "cli"), Role.OPERATOR))
        for _ in range(LINKS)
    ]
    return {"token": token, "links": links}


async def main(url: str, flows: int, ticking: bool) -> None:
    """Serve until nobody needs it any more."""
    settings = Settings(
        database=SecretStr(url), drain_s=1, request_rate=10_000, retention_runs_per_flow=0, metrics_open=True
    )
    app = Measured("benchmark", registry=many_flows(flows, ticking=ticking), settings=settings)
    watched, api = Watched(app), make_api(app, running=None)
    api.include_router(watched.router())
    with listen("127.0.0.1", 0) as address:
        server = server_for(app, api)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[address]), name="http")
            async with app.running():
                await app.ask(_led)
                if ticking:
                    await app.ask(lambda plane: plane.trigger("always"))
                async with watched.watching():
                    where = {"address": f"http://127.0.0.1:{address.getsockname()[1]}"}
                    print(json.dumps(where | await _lets_in(app)), flush=True)
                    await asyncio.to_thread(sys.stdin.read)
            server.should_exit = True


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "ticking"))
