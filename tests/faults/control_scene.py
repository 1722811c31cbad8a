"""A folder, a database and the replicas that work on it, as a test of faults sees them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import LIVE, RunStatus
from piko_flow.store.batch import Batch
from piko_flow.store.opening import open_store
from piko_flow.store.protocols import RunFilter, Store
from piko_flow.store.records import Lease, NewRun, RunRecord, ScheduleRecord
from tests.faults.control_replicas import QUICK, SERVE, Replica
from tests.system.running_app import AGAIN, eventually

TABLE = "CREATE TABLE written (flow VARCHAR(64), start_time VARCHAR(64), run BIGINT)"
SECOND = timedelta(seconds=1)
IN_TRANSACTIONS = "SELECT COUNT(*) FROM information_schema.innodb_trx"


@dataclass(frozen=True)
class Note:
    """A line that a flow has written: which run says what, in which process."""

    flow: str
    run: int
    word: str
    pid: int


class Scene:
    """What the test reads and changes from outside: through the store, and with SQL of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.replicas: list[Replica] = []
        self._store: Store | None = None
        (folder / "gates").mkdir()

    @property
    def store(self) -> Store:
        """The database as a store; for looking, and for what a person's command would do."""
        assert self._store is not None
        return self._store

    async def open_store(self) -> None:
        """Open the store, its tables made, with the table of the sink."""
        self._store = await open_store(self.url, pool_size=2)
        await self.sql(TABLE)

    async def close(self) -> None:
        """End every replica and close the store."""
        for replica in self.replicas:
            replica.discard()
        if self._store is not None:
            await self._store.close()

    def start(self, *program: str, by: str = "", **settings: str) -> Replica:
        """Start one more replica; `program` is a module with arguments, `settings` go over the quick ones.

        `by` is another way to the database than the scene's own.
        """
        url = by or self.url
        replica = Replica(self.folder, len(self.replicas), url, program or SERVE, QUICK | settings)
        self.replicas.append(replica)
        return replica

    async def serving(self, count: int, **settings: str) -> list[Replica]:
        """Start so many replicas; when all serve and one leads, give them, the leader first."""
        started = [self.start(**settings) for _ in range(count)]
        await asyncio.gather(*(replica.serving() for replica in started))
        leader = await self.leader()
        return [leader, *(replica for replica in started if replica is not leader)]

    async def lease(self) -> Lease | None:
        """The lease as it stands, None when nobody leads."""
        pulse = await self.store.pulse("default", "")
        return pulse.lease if pulse.lease is not None and pulse.lease.until > pulse.now else None

    async def leader(self, *, but: Replica | None = None) -> Replica:
        """The replica that leads, as soon as one does (another than `but`)."""

        async def found() -> Replica | None:
            lease = await self.lease()
            leads = [one for one in self.replicas if lease is not None and one.id == lease.holder]
            return leads[0] if leads and leads[0] is not but else None

        replica = await eventually(found)
        assert replica is not None
        return replica

    async def now(self) -> datetime:
        """The database's time."""
        return (await self.store.pulse("default", "")).now

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        """Execute a statement as another client would, committed at once; the rows that it gives."""
        engine = create_async_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        async with engine.connect() as connection:
            result = await connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

    async def schedule(
        self, flow: str, *, begin: datetime | None = None, coalesce: bool = True, **expression: Any
    ) -> None:
        """Write the flow's row: an interval, or a date when the expression says run_date.

        A flow that has a `begin` is one with windows, the first of which starts there.
        """
        kind = "date" if "run_date" in expression else "interval"
        record = ScheduleRecord(
            flow, kind, json.dumps(expression), is_stateful=begin is not None, coalesce=coalesce
        )
        await self.store.set_schedule(record)
        if begin is not None:  # as a person edits it
            await self.sql(
                f"UPDATE scheduled_job SET last_data_time = '{begin:%Y-%m-%d %H:%M:%S.%f}' "
                f"WHERE job_id = '{flow}'"
            )

    async def trigger(self, flow: str, *, key: str = "by hand") -> RunRecord:
        """Queue a run as another process does."""
        wanted = NewRun(flow, await self.now(), key, origin="trigger")
        (made,) = (await self.store.write(Batch("", queue=[wanted]))).queued
        assert made is not None
        return made

    async def runs(self, flow: str, statuses: Collection[RunStatus] = ()) -> list[RunRecord]:
        """The runs of a flow, oldest first."""
        return (await self.store.runs(RunFilter(flow=flow, statuses=statuses, limit=5000)))[::-1]

    async def in_state(self, run: RunRecord | str, status: RunStatus) -> RunRecord:
        """The run (or a flow's first one) as soon as it is in this state."""

        async def found() -> RunRecord | None:
            if isinstance(run, str):
                return next(iter(await self.runs(run, [status])), None)
            record = await self.store.run(run.id)
            return record if record is not None and record.status is status else None

        record = await eventually(found)
        assert record is not None
        return record

    def notes(self, flow: str, word: str) -> list[Note]:
        """What a flow's runs have said of this word, in order."""
        file = self.folder / "notes"
        lines = file.read_text().splitlines() if file.exists() else []
        told = [Note(**json.loads(line)) for line in lines]
        return [one for one in told if (one.flow, one.word) == (flow, word)]

    async def noted(self, flow: str, word: str, count: int = 1) -> Note:
        """The note of this word, as soon as there are so many."""

        async def found() -> list[Note]:
            told = self.notes(flow, word)
            return told if len(told) >= count else []

        return (await eventually(found))[count - 1]

    def replica_of(self, note: Note) -> Replica:
        """The replica in which it was said."""
        return next(one for one in self.replicas if one.pid == note.pid)

    async def freeze(self, replica: Replica) -> None:
        """Let a replica stand still, until `thaw`, at a moment when it has no lock: for that all others would wait."""
        replica.freeze()
        while not await self._is_unlocked():
            replica.thaw()
            await asyncio.sleep(AGAIN)
            replica.freeze()

    async def _is_unlocked(self) -> bool:
        """Whether nobody is amid a transaction, where those that go on have a moment to end theirs."""
        if (file := make_url(self.url).database) and self.url.startswith("sqlite"):
            return may_be_written(file)
        for _ in range(5):
            if await self.sql(IN_TRANSACTIONS) == [(0,)]:
                return True
            await asyncio.sleep(0.15)  # MariaDB's answer may be a tenth of a second old
        return False

    def open_gate(self, flow: str) -> None:
        """Let the runs of a gated flow go on."""
        (self.folder / "gates" / flow).touch()

    async def fired_each_second(self, flow: str) -> list[RunRecord]:
        """The runs of a flow that fires each second: all succeeded or live, none missing, none twice."""
        runs = await self.runs(flow)
        assert {run.status for run in runs} <= {*LIVE, RunStatus.SUCCESS}
        fires = [run.scheduled_time - SECOND * more for run in runs for more in range(run.fires)]
        first = min(fires)
        assert sorted(fires) == [first + SECOND * more for more in range(len(fires))]
        return runs

    async def fired_after(self, flow: str, instant: datetime) -> None:
        """Return when a fire that was due after the instant has succeeded."""

        async def later() -> bool:
            done = await self.runs(flow, [RunStatus.SUCCESS])
            return any(run.scheduled_time > instant for run in done)

        await eventually(later)

    async def settled(self, flow: str, until: datetime) -> None:
        """Return when every window up to there is done; then the ledger has no gap and each row is there once."""

        async def whole() -> bool:
            watermark = (await self.store.states([flow]))[flow].watermark
            return watermark is not None and watermark >= until

        await eventually(whole)
        state = (await self.store.states([flow]))[flow]
        assert [span.mark for span in state.ledger.spans] == [Mark.DONE]
        await self.written_once(flow)

    async def done_once(self, flow: str, begins: Sequence[datetime], until: datetime) -> None:
        """Return when every window up to there is done; then there is one run for each, and the ledger has no gap."""

        async def whole() -> bool:
            watermark = (await self.store.states([flow]))[flow].watermark
            return watermark is not None and watermark >= until

        await eventually(whole)
        state = (await self.store.states([flow]))[flow]
        assert [(span.start, span.end, span.mark) for span in state.ledger.spans] == [
            (begins[0], until, Mark.DONE)
        ]
        windows = [run.window for run in await self.runs(flow)]
        assert sorted(window.start for window in windows if window is not None) == list(begins)

    async def written_once(self, flow: str) -> None:
        """Each window that succeeded has its row, once, and there is no other."""
        done = await self.runs(flow, [RunStatus.SUCCESS])
        rows = await self.sql(f"SELECT start_time, run FROM written WHERE flow = '{flow}' ORDER BY run")
        known = {run.id for run in done}
        expected = [(run.window.start.isoformat(), run.id) for run in done if run.window is not None]
        assert [row for row in rows if row[1] in known] == expected


def may_be_written(file: str) -> bool:
    """Whether no other process keeps the lock of the file for writing."""
    with closing(sqlite3.connect(file, timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
    return True


@asynccontextmanager
async def scene(folder: Path, url: str, *, empty: bool = False) -> AsyncIterator[Scene]:
    """A scene on the database, which stays `empty` if asked for; everything started ends with the block."""
    opened = Scene(folder, url)
    try:
        if not empty:
            await opened.open_store()
        yield opened
    finally:
        await opened.close()
