"""What the library does: pipelines that end and begin with tables."""

from __future__ import annotations

from time import perf_counter

from piko_flow import Flow, Registry, Sink, Source, run
from piko_flow.connectors.sql import SqlSink, SqlSource
from tests.benchmarks.delivery_sql_rows import BATCH, COLUMNS, READ, ROWS, Kept, check, rows
from tests.system.sql_runs import ledger_of


async def written(url: str, how: str) -> float:
    """Seconds for all rows into another database."""
    given = rows(ROWS)
    target = SqlSink(table="measured", columns=COLUMNS, key="id" if how == "upsert" else None, url=url)
    began = perf_counter()
    await run(Source(given) >> Sink(target, batch=BATCH))
    seconds = perf_counter() - began
    await check(url, ROWS)
    return seconds


async def staged(url: str) -> float:
    """Seconds for all rows into the ledger's database, from the claimed run to its recorded end."""
    given = rows(ROWS)
    target = SqlSink(table="measured", columns=COLUMNS, max_rows=ROWS)
    flow = Flow.register(
        "copy", Source(given) >> Sink(target, batch=BATCH), stateful=True, registry=Registry()
    )
    async with ledger_of(url, flow) as ledger:
        record = await ledger.claimed(0)
        began = perf_counter()
        assert await ledger.ended(record, await ledger.executed(record))
        seconds = perf_counter() - began
    await check(url, ROWS)
    return seconds


async def read(url: str, shape: str, key: str | None) -> float:
    """Seconds for all rows, each handed to a function."""
    kept = Kept()
    began = perf_counter()
    if shape == "dicts":
        await run(SqlSource(url, "measured", key=key) >> Sink(kept.add_dict))
    else:
        await run(SqlSource(url, "measured", rows=tuple, key=key) >> Sink(kept.add_tuple))
    seconds = perf_counter() - began
    kept.check(READ)
    return seconds
