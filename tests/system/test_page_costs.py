"""What looking costs: as many statements for many flows as for few, and nothing of making a page on the control thread."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

from piko_flow import Cron, Flow, Registry, RunContext, Sink, Source
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.store.ops_records import Role
from tests.system.doors import PAGE, Served, limited, served
from tests.system.running_app import eventually

# The application's own statements are to be few while those of an answer are counted.
QUIET: dict[str, Any] = {
    "poll_s": 30,
    "replica_lease_s": 100,
    "poll_interval_s": 600,
    "leader_lease_s": 60,
    "leader_renew_interval_s": 20,
}
RUN = "/runs/{number}"  # of a flow without windows, which the leader makes none of
PAGES = ("/", "/flows/flow_0", "/flows/flow_1", "/flows/flow_2", "/runs", "/runs?flow=flow_1", RUN)
LISTS = ("/api/v1/flows", "/api/v1/flows/flow_1", "/api/v1/schedules", "/api/v1/runs", "/api/v1/dead-letters")
OTHERS = ("/dead-letters", "/backfills", "/replicas", "/audit")
ALL = (*PAGES, *LISTS, *OTHERS)
MADE_ELSEWHERE = (
    "jinja2",
    "markupsafe",
    "pydantic",
    "fastapi",
    "starlette",
    "ops/console",
    "ops/api",
    "ops/door",
)
ASKS = {"ask", "<lambda>", "_good"}  # with names that begin with "read" what asks the store
TELLS = {"MarkedTimes"}  # how instants are written in a sentence that the plane makes
RUNS = """INSERT INTO job_run (job_id, scheduled_time, start_time, end_time, status, created_at, error_msg)
WITH RECURSIVE counted(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counted WHERE i < {runs} - 1)
SELECT 'flow_' || (i % {flows}), '2026-03-10 00:00:00.' || printf('%06d', i), '2026-03-10 00:00:00.000000',
'2026-03-10 00:00:01.000000', 'FAILED', '2026-03-10 00:00:00.000000', 'the other side hung up' FROM counted"""


async def job(run: RunContext) -> None: ...


async def put(item: int) -> None: ...


@asynccontextmanager
async def scene(folder: Path, flows: int) -> AsyncIterator[Served]:
    """So many flows, some with windows, some pipelines, each with twenty runs that failed."""
    registry: Registry[Flow] = Registry()
    for number in range(flows):
        work: Any = Source(range(3)) >> Sink(put) if number % 3 == 2 else job
        schedule = Cron("0 0 29 2 *")
        Flow.register(f"flow_{number}", work, registry=registry, schedule=schedule, stateful=number % 3 == 1)
    async with served(folder, registry=registry, **QUIET) as place:

        async def written() -> bool:
            return await place.world.app.ask(_rows) == flows

        await eventually(written)
        place.world.sql(RUNS.format(runs=20 * flows, flows=flows))
        yield place


async def _rows(plane: ControlPlane) -> int:
    return len(await plane.store.schedules())


async def _sent(plane: ControlPlane) -> int:
    return plane.store.statements


async def asked(place: Served, path: str) -> str:
    """The path with the number of a run in it."""
    found = await place.world.app.ask(lambda plane: plane.store.last_runs(["flow_0"]))
    return path.format(number=found["flow_0"].id)


async def statements(place: Served, client: httpx.AsyncClient, path: str) -> int:
    """The statements of one answer: the fewest of some, since the application sends some of its own."""
    found = []
    for _ in range(4):
        before = await place.world.app.ask(_sent)
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found.append(await place.world.app.ask(_sent) - before)
    return min(found)


async def costs(folder: Path, flows: int) -> dict[str, int]:
    """The statements of each page and list."""
    async with scene(folder, flows) as place, place.client(headers=await place.token(Role.ADMIN)) as client:
        return {path: await statements(place, client, await asked(place, path)) for path in ALL}


async def test_pages_and_lists_take_as_many_statements_for_300_flows_as_for_10(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, remembered=timedelta(hours=1))  # else the token is looked up for each slow page
    folders = [tmp_path / "few", tmp_path / "many"]
    for folder in folders:
        folder.mkdir()
    few, many = await costs(folders[0], 10), await costs(folders[1], 300)
    assert many == few
    assert max(few.values()) <= 20
    assert few["/"] > 0


class Seen:
    """Notes what of a page is made on the thread on which it is switched on."""

    def __init__(self) -> None:
        self.calls = 0
        self.made: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call":
            return
        self.calls += 1
        code = frame.f_code
        names = code.co_qualname.split(".")
        reads = not (ASKS | TELLS).isdisjoint(names) or any(
            name.lstrip("_") == "read" or name.lstrip("_").startswith("read_") for name in names
        )
        if not reads and any(f"/{one}/" in code.co_filename for one in MADE_ELSEWHERE):
            self.made.add(f"{code.co_filename}: {code.co_qualname}")


async def _watched_by(plane: ControlPlane, seen: Seen | None) -> None:
    sys.setprofile(seen)


@pytest.mark.parametrize("kind", ["pages", "lists"])
async def test_nothing_of_a_page_is_made_on_the_control_thread(kind: str, tmp_path: Path) -> None:
    seen = Seen()
    async with scene(tmp_path, 10) as place, place.client(headers=PAGE) as client:
        client.headers.update(await place.token(Role.ADMIN))
        await place.world.app.ask(lambda plane: _watched_by(plane, seen))
        for path in LISTS if kind == "lists" else (*PAGES, *OTHERS):
            answer = await client.get(await asked(place, path))
            assert answer.status_code == 200, (path, answer.text)
        await place.world.app.ask(lambda plane: _watched_by(plane, None))
    assert seen.calls > 100
    assert not seen.made
