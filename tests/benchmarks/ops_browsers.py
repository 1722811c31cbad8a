"""What fifty open browsers cost the process that leads: each hears the events and refreshes its part of a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter

import httpx

from tests.benchmarks.control_databases import Databases, Kinds
from tests.benchmarks.control_process import measure
from tests.benchmarks.figure import OURS, Contender, Figure
from tests.benchmarks.ops_flows import fill_runs
from tests.benchmarks.ops_visits import PAGE, Place, measured, served

KINDS: tuple[Kinds, ...] = ("sqlite", "mariadb")
FLOWS, RUNS = 1_000, 100_000
SETTLING, SECONDS = 5.0, 20.0
OF_A_CORE = 0.05


class Open:
    """A page that is open: where its part is, which events it hears, and the seconds between two refreshes."""

    def __init__(self, part: str, events: str, gap: float) -> None:
        self.part, self.events, self.gap = part, events, gap
        self.begins = 0.0  # of a gap
        self.heard = self.refreshed = 0
        self._due = False

    async def listen(self, client: httpx.AsyncClient) -> None:
        """Hear what happens, as the page's script does."""
        async with client.stream("GET", f"/api/v1/events?{self.events}", timeout=None) as answer:
            assert answer.status_code == 200, answer.status_code
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    self.heard += 1
                    self._due = True

    async def refresh(self, client: httpx.AsyncClient) -> None:
        """Read the part anew when something was heard, at most once in its gap; not all browsers at the same time."""
        await asyncio.sleep(self.begins * self.gap)
        while True:
            await asyncio.sleep(self.gap)
            if self._due:
                self._due = False
                answer = await client.get(self.part, headers={"HX-Request": "true"})
                assert answer.status_code == 200, (self.part, answer.status_code)
                self.refreshed += 1


def opened(run: int) -> list[Open]:
    """Twenty-seven overviews, nine lists of runs, nine pages of flows that run all the time, five of a run at work."""
    lists = [Open("/parts/runs", "", 5.0) for _ in range(9)]
    flows = [Open("/parts/flows/always", "flow=always", 2.0) for _ in range(5)]
    flows += [Open("/parts/flows/ticking_0", "flow=ticking_0", 2.0) for _ in range(4)]
    runs = [Open(f"/parts/runs/{run}?after=0", f"run={run}", 2.0) for _ in range(5)]
    return [*(Open("/parts/overview", "", 5.0) for _ in range(27)), *lists, *flows, *runs]


@asynccontextmanager
async def browsing(place: Place) -> AsyncIterator[list[Open]]:
    """Fifty browsers, each logged in by itself, over the block."""
    pages = opened(await asyncio.to_thread(_run_at_work, place))
    async with AsyncExitStack() as stack:
        tasks = []
        for number, (link, page) in enumerate(zip(place.links, pages, strict=False)):
            page.begins = number * 7 % len(pages) / len(pages)
            client = httpx.AsyncClient(base_url=place.address, headers=PAGE, timeout=60)
            await stack.enter_async_context(client)
            answer = await client.get(f"/login?token={link}")
            assert answer.status_code == 303, answer.text
            tasks += [asyncio.create_task(page.listen(client)), asyncio.create_task(page.refresh(client))]
        yield pages
        for task in tasks:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def share(place: Place, *, open_browsers: bool) -> float:
    """The share of a core that the process works, with the browsers or without."""
    with place.program() as program:
        if not open_browsers:
            await asyncio.sleep(SETTLING)
            return await _worked(program)
        async with browsing(place) as pages:
            await asyncio.sleep(SETTLING)
            worked = await _worked(program)
            assert all(page.heard and page.refreshed for page in pages)
            return worked


def _run_at_work(place: Place) -> int:
    """The number of the run that goes on all the time."""
    with place.program() as program:
        found = program.get("/api/v1/runs?flow=always&status=RUNNING").json()["runs"]
    number: int = found[0]["id"]
    return number


async def _worked(program: httpx.Client) -> float:
    before, begin = await asyncio.to_thread(measured, program), perf_counter()
    await asyncio.sleep(SECONDS)
    after = await asyncio.to_thread(measured, program)
    return (after["cpu"] - before["cpu"]) / (perf_counter() - begin)


def cost(databases: Databases, kind: Kinds) -> float:
    """The share of a core that fifty browsers cost: the same process with them, less without them before and after."""
    with databases.empty(kind) as url:
        measure("prepare", OURS, url)
        fill_runs(url, flows=FLOWS, runs=RUNS)
        with served(url, FLOWS, ticking=True) as place:
            before, there, after = (
                asyncio.run(share(place, open_browsers=open_browsers))
                for open_browsers in (False, True, False)
            )
            return there - (before + after) / 2


def figures(databases: Databases) -> list[Figure]:
    """One for each database."""
    return [_figure(databases, kind) for kind in KINDS]


def _figure(databases: Databases, kind: Kinds) -> Figure:
    return Figure(
        name=f"browsers-{kind}",
        title=f"50 open browsers, five flows that run each second among 1,000, {kind}",
        contenders=(Contender(OURS, lambda: cost(databases, kind), "events, and parts that refresh"),),
        score=lambda part, _: part,
        unit="of a core",
        better="less",
        target=OF_A_CORE,
        how="share of a core that the process works, beyond what it does without them",
    )
