"""A thousand flows with a million runs, a few of which run each second: what an operator's pages are measured over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from piko_flow import Cron, Flow, Interval, Registry, RunContext, Sink, Source, Transform
from piko_flow.dataflow.stages.stage import SourceLike
from tests.benchmarks.control_piko_flow import PikoFlow
from tests.benchmarks.control_rows import fill

STAGES = 20
LONG, TICKING = 20, 5  # one of so many flows has twenty stages; so many run each second where it is asked for
NEVER = "0 0 29 2 *"
NAMES = {"sqlite": "'past_' || (i % {flows})", "mysql": "CONCAT('past_', i % {flows})"}
LETTERS = """INSERT INTO dead_letter (job_id, run_id, stage, payload, error_type, error_msg, fingerprint)
SELECT job_id, run_id, 'load', '{"number": 1}', 'OSError', 'the other side hung up', 'one fingerprint'
FROM job_run WHERE status = 'FAILED'"""


async def job(run: RunContext) -> None:
    """A plain job that does nothing."""


async def numbers() -> AsyncIterator[int]:
    """A number each twentieth of a second, for ten minutes."""
    for number in range(12_000):
        yield number
        await asyncio.sleep(0.05)


def same(number: int) -> int:
    """The number."""
    return number


async def put(number: int) -> None:
    """Take the number."""


def many_flows(flows: int, *, ticking: bool) -> Registry[Flow]:
    """So many flows: a quarter each are plain, with windows, and two short pipelines, some of them of twenty stages.

    `ticking` adds some that run each second, and a pipeline that runs all the time.
    """
    registry: Registry[Flow] = Registry()
    for number in range(flows):
        name, stages = f"past_{number}", STAGES - 2 if number % LONG == 2 else 1
        kind = number % 4
        if kind < 2:
            schedule = Cron("0 3 * * *") if kind else Cron(NEVER)
            Flow.register(name, job, registry=registry, schedule=schedule, stateful=bool(kind))
            continue
        chain: SourceLike[int] = Source(numbers)
        for stage in range(stages):
            chain = chain >> Transform(same, name=f"step_{stage}")
        Flow.register(name, chain >> Sink(put), registry=registry, schedule=Cron(NEVER))
    for number in range(TICKING if ticking else 0):
        Flow.register(f"ticking_{number}", job, registry=registry, schedule=Interval(seconds=1))
    if ticking:
        always = Source(numbers) >> Transform(same) >> Sink(put)
        Flow.register("always", always, registry=registry, schedule=Cron(NEVER))
    return registry


def fill_runs(url: str, *, flows: int, runs: int) -> None:
    """Insert so many ended runs of so many flows, one in fifty failed, in one statement."""
    name = NAMES[make_url(url).get_backend_name()].format(flows=flows)
    fill(url, rows=runs, columns={**PikoFlow().further_columns(), "job_id": name})
    asyncio.run(_fill_letters(url))


async def _fill_letters(url: str) -> None:
    """A dead letter for each failed run."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(LETTERS.replace(": ", "\\: ")))
    finally:
        await engine.dispose()
