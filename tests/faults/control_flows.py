"""The flows that replicas run in the tests of faults.

What they do is told in files of the working folder, which a test reads and writes: a line of `notes` for each thing
that happened, a file in `gates` for each gate that is open.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from piko_flow import BackfillPolicy, Broadcast, Flow, Pipeline, RunContext, Sink, SinkTarget, Source
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.connectors.sql import SqlSink
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.sink import Receipt, Transaction
from tests.faults.control_elsewhere import DATABASE, FILES, ROWS

NOTES, GATES = Path("notes"), Path("gates")
LOOK = 0.02  # seconds between two looks at a gate
INSERT = "INSERT INTO written (flow, start_time, run) VALUES (:flow, :start, :run)"


def note(flow: str, run: int | str, word: str) -> None:
    """Add a line; one write, so lines of several processes do not mix."""
    line = json.dumps({"flow": flow, "run": int(run), "word": word, "pid": os.getpid()}) + "\n"
    writing = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(writing, line.encode())
    finally:
        os.close(writing)


async def passed(gate: str) -> None:
    """Return when the gate is open."""
    while not (GATES / gate).exists():  # noqa: ASYNC110  # it is opened by another process
        await asyncio.sleep(LOOK)


class Written(SinkTarget[int]):
    """Writes a row for each window into the table `written` of the ledger's database, with the run's end."""

    durable = False

    async def write(self, items: Sequence[int], /) -> None:
        """Nothing is kept: the part says what the row holds."""
        self.items += len(items)

    def joins(self, ledger: str) -> bool:
        """The ledger's database is where the table is."""
        return True

    async def commit_in(self, transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        """One row a run."""
        for receipt in receipts:
            part = receipt.part
            assert part.window_start is not None
            row = {"flow": part.flow, "start": part.window_start.isoformat(), "run": int(part.run)}
            await transaction.execute(INSERT, row)


@asynccontextmanager
async def held(info: RunInfo) -> AsyncIterator[str]:
    """A resource that notes when it is taken and given back."""
    note(info.flow, info.run, "opened")
    try:
        yield "held"
    finally:
        note(info.flow, info.run, "closed")


async def end_at_once(run: RunContext[dict[str, Any]]) -> None:
    """Says that it ran."""
    note(run.flow, run.id, "ran")


Flow.register("quick", end_at_once)
Flow.register("quick_each", end_at_once)


async def wait_at_the_gate(run: RunContext[dict[str, Any]], held: str) -> None:
    """Goes on when the gate of its flow is open."""
    note(run.flow, run.id, "began")
    try:
        await passed(run.flow)
    except asyncio.CancelledError:
        note(run.flow, run.id, "cancelled")
        raise
    note(run.flow, run.id, "ended")


Flow.register("gated", wait_at_the_gate, resources={"held": held})
Flow.register("gated_too", wait_at_the_gate, resources={"held": held})


@Flow.register("stubborn")
async def stubborn(run: RunContext[dict[str, Any]]) -> None:
    """Takes no notice of being cancelled."""
    note(run.flow, run.id, "began")
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            note(run.flow, run.id, "cancelled")


@Flow.register("in_a_thread")
async def in_a_thread(run: RunContext[dict[str, Any]]) -> None:
    """Waits for a call in a thread that never returns."""
    note(run.flow, run.id, "began")
    await asyncio.to_thread(threading.Event().wait)


@Flow.register("blocking")
async def blocking(run: RunContext[dict[str, Any]]) -> None:
    """Holds the loop of runs until its gate is open."""
    note(run.flow, run.id, "began")
    pause = threading.Event()
    while not (GATES / run.flow).exists():
        pause.wait(LOOK)


@Flow.register("windows", stateful=True, backfill=BackfillPolicy.CATCH_UP)
def windows(run: RunContext[dict[str, Any]]) -> Pipeline:
    """Writes a row for each of its windows."""
    note(run.flow, run.id, "ran")
    return Source([run.id]) >> Sink(Written(), batch=1)


@Flow.register("gated_windows", stateful=True, backfill=BackfillPolicy.CATCH_UP)
def gated_windows(run: RunContext[dict[str, Any]]) -> Pipeline:
    """As `windows`, when its gate is open."""

    async def read() -> list[int]:
        note(run.flow, run.id, "began")
        await passed(run.flow)
        return [run.id]

    return Source(read) >> Sink(Written(), batch=1)


class CommitsAtGate(JsonLinesSink):
    """Publishes its file when the gate of its flow is open."""

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Commit, and note before and after."""
        part = receipts[0].part
        note(part.flow, part.run, "commits")
        await passed(part.flow)
        lines = await super().commit(receipts)
        note(part.flow, part.run, "committed")
        return lines


def elsewhere(run: RunContext[dict[str, Any]], file: JsonLinesSink, *, wait: bool) -> Pipeline:
    """Writes the rows of its window into a file and by key into another database; may wait between the rows."""
    assert run.window is not None
    start = run.window.start

    async def read() -> AsyncIterator[dict[str, Any]]:
        for number in range(ROWS):
            if wait and number == ROWS // 2:
                note(run.flow, run.id, "began")
                await passed(run.flow)
            yield {"flow": run.flow, "number": number, "hour": start.isoformat()}

    url = f"sqlite:///{DATABASE.absolute()}"
    table = SqlSink(table="numbers", columns=["flow", "number", "hour"], key=["flow", "number"], url=url)
    into: Sink[dict[str, Any]] = Sink(file, batch=20, name="file")
    pipeline: Pipeline = Source(read) >> Broadcast(Sink(table, batch=20, name="table"), into)
    return pipeline


@Flow.register("reads_at_gate", stateful=True, backfill=BackfillPolicy.CATCH_UP)
def reads_at_gate(run: RunContext[dict[str, Any]]) -> Pipeline:
    """Reads the second half of its rows when its gate is open."""
    return elsewhere(run, JsonLinesSink(FILES), wait=True)


@Flow.register("commits_at_gate", stateful=True, backfill=BackfillPolicy.CATCH_UP)
def commits_at_gate(run: RunContext[dict[str, Any]]) -> Pipeline:
    """Commits when its gate is open."""
    return elsewhere(run, CommitsAtGate(FILES), wait=False)
