"""Work with streams that is killed: from one to another, and into the database of the ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path

from piko_flow import App, Flow, Registry, Sink, run
from piko_flow.connectors.redis_streams import RedisStreamSink, RedisStreamSource
from piko_flow.connectors.sql import SqlSink
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.planning.run_state import LIVE
from piko_flow.store.protocols import RunFilter
from tests.faults.kept_journal import KeptJournal
from tests.faults.quick_settings import quick_settings

SLICE = 900
TABLE = "numbers"
EVERY = 0.02  # seconds between two looks at what the application has done


async def copy_stream(url: str, source: str, to: str, folder: str, total: int, slice_of: int = SLICE) -> None:
    """Copy so many entries from one stream to another in slices, going on where the journal in the folder says."""
    journal = KeptJournal(Path(folder))
    while True:
        ended = journal.positions()
        if ended and ended[-1]["added"] == total:
            return
        reading = RedisStreamSource(url, source, wait=0, max_items=slice_of, batch=70)
        await run(
            reading >> Sink(RedisStreamSink(url, to), batch=40),
            run_id=f"slice-{len(ended):04}",
            since=ended[-1] if ended else None,
            journal=journal,
        )


def flows(url: str, stream: str, *, slice_of: int = SLICE) -> Registry[Flow]:
    """The flow `numbers`, which reads the stream into a table beside the ledger."""
    registry: Registry[Flow] = Registry()
    reading = RedisStreamSource(url, stream, wait=0, max_items=slice_of, batch=100)
    sink = Sink(SqlSink(table=TABLE, columns=["number"]), batch=50)
    Flow.register("numbers", reading >> sink, registry=registry)
    return registry


async def fill_table(url: str, stream: str, database: str, total: int) -> None:
    """Run the flow until so many entries have been read."""
    app = App(registry=flows(url, stream, slice_of=300), settings=quick_settings(database))

    async def all_read(plane: ControlPlane) -> bool:
        if (await plane.runs(RunFilter(statuses=LIVE, limit=1))).runs:
            return False
        position = await plane.store.position("numbers")
        if position is not None and f'"added":{total}' in position:
            return True
        await plane.trigger("numbers")
        return False

    async with app.running():
        while True:
            if await app.service.call(all_read):
                return
            await asyncio.sleep(EVERY)
