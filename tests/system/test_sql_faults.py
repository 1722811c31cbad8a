"""A database that restarts, hangs, is locked or cannot be written: calls end, say so, and the next ones work."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow.dataflow.stages.sink import Transaction
from piko_flow.errors import StoreUnavailable
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Ending
from piko_flow.store.protocols import RunFilter, Store
from piko_flow.store.records import NewRun, ReplicaRecord, RunRecord
from piko_flow.store.sql import database as database_module
from piko_flow.store.sql.connecting import read_url
from tests.databases.host import Host, Kind
from tests.databases.plugin import PrivateServers, empty_database
from tests.databases.stored import stored

NOW = datetime(2026, 3, 29, 1, 30, 0, 7, tzinfo=UTC)
LONG = timedelta(days=1)
SERVERS: list[Kind] = ["mariadb", "postgresql"]


async def start(store: Store, *keys: str) -> list[RunRecord]:
    runs = [NewRun("mail", NOW, key, claim=True) for key in keys]
    return (await store.write(Batch("one", queue=runs))).claimed


def done(run: RunRecord) -> Ending:
    return Ending(run.id, run.claim, run.flow, RunStatus.SUCCESS)


@pytest.mark.parametrize("kind", SERVERS)
async def test_the_next_call_works_after_the_server_was_restarted(
    kind: Kind, private_servers: PrivateServers
) -> None:
    server = private_servers.start(kind)
    async with stored(server.create_database()) as store:
        [run] = await start(store, "a")
        await asyncio.gather(
            *(store.digest() for _ in range(5))
        )  # several connections, all of which will break
        server.restart()
        await store.beat(ReplicaRecord("one"), ttl=LONG)
        assert (await store.write(Batch("one", endings=[done(run)]))).stale == set()
        assert [one.status for one in await store.runs(RunFilter())] == [RunStatus.SUCCESS]


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_stopped_server_is_told_at_once_and_forgiven_when_it_is_back(
    kind: Kind, private_servers: PrivateServers
) -> None:
    server = private_servers.start(kind)
    async with stored(server.create_database()) as store:
        [run] = await start(store, "a")
        server.stop()
        for call in (store.digest(), store.beat(ReplicaRecord("one"), ttl=LONG), store.run(run.id)):
            with pytest.raises(StoreUnavailable):
                await call
        server.start()
        assert await store.run(run.id) == run


async def test_a_frozen_server_does_not_hold_a_call_for_ever(
    private_servers: PrivateServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = private_servers.start("mariadb")
    async with stored(server.create_database()) as store:
        [run] = await start(store, "a")
        monkeypatch.setattr(database_module, "PATIENCE", 0.2)
        server.pause()
        try:
            with pytest.raises(StoreUnavailable, match="no answer"):
                await store.run(run.id)
        finally:
            server.resume()
        monkeypatch.undo()
        assert await store.run(run.id) == run


async def test_a_cancelled_call_leaves_neither_a_lock_nor_a_broken_connection(database_url: str) -> None:
    async with stored(database_url) as store, stored(database_url) as other:
        [run] = await start(store, "a")
        inside = asyncio.Event()

        async def waits(transaction: Transaction) -> None:
            inside.set()
            await asyncio.Event().wait()

        ending = Ending(run.id, run.claim, run.flow, RunStatus.SUCCESS, within=waits)
        writing = asyncio.create_task(store.write(Batch("one", endings=[ending])))
        await inside.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await store.holds(run.id, run.claim)
        assert (await other.write(Batch("one", endings=[done(run)]))).stale == set()
        assert (await store.run(run.id)) == (await other.run(run.id))


async def test_rows_of_a_sink_are_written_with_the_end_of_the_run_or_not_at_all(database_url: str) -> None:
    async with stored(database_url) as store:
        good, bad, stale = await start(store, "a", "b", "c")
        await store.write(Batch("one", endings=[done(stale)]))

        async def writes(transaction: Transaction) -> None:
            row = {
                "name": "x",
                "owner": "sink",
                "until": NOW if transaction.dialect == "postgresql" else "2026-03-29",
            }
            await transaction.execute(
                "INSERT INTO scheduler_leader (name, owner, lease_until) VALUES (:name, :owner, :until)", row
            )

        async def fails(transaction: Transaction) -> None:
            await transaction.execute(text("DELETE FROM scheduler_leader"))
            raise LookupError("no such row")

        def ending(run: RunRecord, within: object) -> Batch:
            return Batch(
                "one",
                endings=[Ending(run.id, run.claim, run.flow, RunStatus.FAILED, within=within)],  # type: ignore[arg-type]
            )

        await store.write(ending(good, writes))
        with pytest.raises(LookupError, match="no such row"):
            await store.write(ending(bad, fails))
        # A claim that does not hold any more writes nothing.
        assert (await store.write(ending(stale, fails))).stale == {stale.id}
        assert (await store.pulse("x", "one")).lease is not None
        assert await store.holds(bad.id, bad.claim)


async def test_what_a_database_refuses_of_a_sink_is_the_sinks_error(database_url: str) -> None:
    async with stored(database_url) as store:
        [run] = await start(store, "a")

        async def writes(transaction: Transaction) -> None:
            await transaction.execute("INSERT INTO no_such_table VALUES (1)")

        ending = Ending(run.id, run.claim, run.flow, RunStatus.SUCCESS, within=writes)
        with pytest.raises(Exception, match="no_such_table") as refused:
            await store.write(Batch("one", endings=[ending]))
        assert not isinstance(refused.value, StoreUnavailable)
        assert (await store.write(Batch("one", endings=[done(run)]))).stale == set()


@pytest.fixture(scope="session", params=["mariadb", "postgres"])
def server(request: pytest.FixtureRequest) -> Host:
    """Each server in turn, which starts before a test is asked what it leaves behind."""
    found: Host = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def url(server: Host) -> Iterator[str]:
    """A new, empty database."""
    yield from empty_database(server)


async def test_transactions_that_lock_each_other_out_are_begun_again(url: str) -> None:
    async with stored(url) as store, stored(url) as other:
        first, second = await start(store, "a", "b")
        met, tries = asyncio.Barrier(2), 0

        def locks(run: RunRecord) -> object:
            async def within(transaction: Transaction) -> None:
                nonlocal tries
                tries += 1
                if tries <= 2:
                    await met.wait()  # each holds its own run by now, and wants the other's
                await transaction.execute(
                    "UPDATE job_run SET persist_ms = 5 WHERE run_id = :run", {"run": run.id}
                )

            return within

        def ending(run: RunRecord, wanted: RunRecord) -> Batch:
            within = locks(wanted)
            return Batch("one", endings=[Ending(run.id, 1, "mail", RunStatus.SUCCESS, within=within)])  # type: ignore[arg-type]

        written = await asyncio.gather(store.write(ending(first, second)), other.write(ending(second, first)))
        assert [one.stale for one in written] == [set(), set()]
        assert (
            tries >= 3
        )  # the one begun again may take its own run before the other wakes: again none can go on
        assert {run.status for run in await store.runs(RunFilter())} == {RunStatus.SUCCESS}


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_transaction_in_which_nothing_happens_is_ended_by_the_server_and_done_again(
    kind: Kind, private_servers: PrivateServers
) -> None:
    server = private_servers.start(kind)
    async with stored(server.create_database(), lease=timedelta(seconds=1)) as store:
        [run] = await start(store, "a")
        tries = 0

        async def pauses(transaction: Transaction) -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                await asyncio.sleep(2.5)  # the server waits a second, by a clock that ticks in seconds
            await transaction.execute("SELECT 1")

        ending = Ending(run.id, run.claim, run.flow, RunStatus.SUCCESS, within=pauses)
        assert (await store.write(Batch("one", endings=[ending]))).stale == set()
        assert tries == 2
        assert [one.status for one in await store.runs(RunFilter())] == [RunStatus.SUCCESS]


async def test_a_file_that_another_process_has_locked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flows.db"
    async with stored(f"sqlite:///{path}") as store:
        [run] = await start(store, "a")
        database = store._database  # type: ignore[attr-defined]
        await database.row("wait less", database.dialect.statement("PRAGMA busy_timeout = 10"))
        monkeypatch.setattr(database_module, "ENOUGH", 0.0)
        person = sqlite3.connect(path, isolation_level=None)
        person.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.write(Batch("one", endings=[done(run)]))
        assert await store.run(run.id) == run  # readers do not mind
        person.execute("ROLLBACK")
        person.close()
        assert (await store.write(Batch("one", endings=[done(run)]))).stale == set()


async def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    async with stored(f"sqlite:///{path}") as store:
        [run] = await start(store, "a")
        database = store._database  # type: ignore[attr-defined]
        await database.row("only read", database.dialect.statement("PRAGMA query_only = ON"))
        with pytest.raises(StoreUnavailable, match="readonly"):
            await store.write(Batch("one", endings=[done(run)]))
        assert await store.run(run.id) == run


async def test_writers_of_one_process_do_not_wait_for_the_files_lock(sqlite_url: str) -> None:
    async with stored(sqlite_url) as store:
        claimed = await asyncio.gather(*(start(store, f"key-{number}") for number in range(50)))
        assert sorted(run.id for runs in claimed for run in runs) == list(range(1, 51))


async def test_runs_get_ids_above_those_of_rows_that_other_tools_made(database_url: str) -> None:
    async with stored(database_url) as store:
        [first] = await start(store, "a")
        engine = create_async_engine(read_url(database_url), poolclass=NullPool)
        async with engine.begin() as connection:
            insert = "INSERT INTO job_run (run_id, job_id, scheduled_time, status, host) VALUES "
            row = "(:id, 'mail', '2026-03-01 05:00:00', 'SUCCESS', 'old')"
            await connection.execute(text(insert + row), {"id": first.id + 5})
        await engine.dispose()
        runs = await start(store, "b", "c")
        assert [run.id for run in runs] == [first.id + 6, first.id + 7]
        assert len(await store.runs(RunFilter())) == 4
