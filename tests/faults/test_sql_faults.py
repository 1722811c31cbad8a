"""Databases that end, hang, fill up or refuse while rows are written: nothing is lost, and by key nothing is there twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from piko_flow import Pipeline, Retry, Sink, Source, StageFailed, run
from piko_flow.connectors import sql_connection
from piko_flow.connectors.sql import DatabaseFailed, SqlSink, SqlSource
from piko_flow.errors import StoreUnavailable
from tests.databases.plugin import PrivateServers, sqlite_file
from tests.databases.server import Server
from tests.faults.killed_sql import ORDERS, copying, orders_of
from tests.faults.test_file_mounts import read_only, small_disk
from tests.system.running_app import eventually
from tests.system.sql_runs import ledger_of
from tests.unit.sql_by_hand import Order, Tables, ids

ALL = list(range(ORDERS))
WAITING = "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'"
PATIENT = Retry(attempts=500, first=0.05, limit=0.2, on=(DatabaseFailed,))


@pytest.fixture
def server(private_servers: PrivateServers) -> Server:
    """A MariaDB of the test's own."""
    return private_servers.start("mariadb")


@pytest_asyncio.fixture
async def tables(server: Server) -> Tables:
    """The tables, in a database of that server."""
    return await Tables(server.create_database()).make()


@pytest_asyncio.fixture
async def locked(tables: Tables) -> AsyncIterator[None]:
    """The table of orders is locked until the server ends, so that whoever writes waits in the midst of a batch."""
    engine = create_async_engine(tables.url, poolclass=NullPool)
    holding = await engine.connect()
    await holding.exec_driver_sql("LOCK TABLES orders WRITE")
    yield
    await holding.invalidate()
    await holding.close()


async def waited_for(server: Server) -> None:
    """Return when somebody waits for a table."""

    async def waits() -> bool:
        return bool(await asyncio.to_thread(server.execute, WAITING))

    await eventually(waits)


async def killed_and_started_again(server: Server) -> None:
    """Kill the server as soon as a batch waits in it, and start it again."""
    await waited_for(server)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


def writing(tables: Tables, **options: object) -> Pipeline:
    """Writes the orders of an hour by key, in batches of a hundred."""
    target = SqlSink(Order, table="orders", key="id", url=tables.url)
    return Source(orders_of(0)) >> Sink(target, batch=100, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.usefixtures("locked")
async def test_a_database_restarted_in_mid_batch_has_every_row_once_when_the_batch_is_tried_again(
    server: Server, tables: Tables
) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run(writing(tables, retry=PATIENT)))
        await killed_and_started_again(server)
    stages = {stage.name: stage for stage in task.result().stages}
    assert stages["orders"].retried >= 100
    assert ids(await tables.orders()) == ALL


@pytest.mark.usefixtures("locked")
async def test_a_database_killed_in_mid_batch_fails_a_run_that_does_not_try_again_and_the_next_run_writes_all(
    server: Server, tables: Tables
) -> None:
    async def failing() -> None:
        with pytest.raises(StageFailed, match="could not write to table orders at mysql://") as caught:
            await run(writing(tables))
        assert isinstance(caught.value.__cause__, DatabaseFailed)

    async with asyncio.TaskGroup() as group:
        group.create_task(failing())
        await killed_and_started_again(server)
    assert await tables.orders() == [], "of the batch in whose midst it was killed nothing is there"
    await run(writing(tables))
    assert ids(await tables.orders()) == ALL


@pytest.mark.usefixtures("locked")
async def test_a_ledger_killed_in_the_last_transaction_has_neither_rows_nor_a_settled_window_until_it_is_written_again(
    server: Server, tables: Tables
) -> None:
    async with ledger_of(tables.url, copying({"in_memory": 100})) as ledger:
        record = await ledger.claimed(0)
        outcome = await ledger.executed(record)

        async def ending() -> bool:
            while True:
                try:
                    return await ledger.ended(record, outcome)
                except StoreUnavailable:
                    continue  # it has waited between its own attempts

        async with asyncio.TaskGroup() as group:
            task = group.create_task(ending())
            await waited_for(server)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        assert task.result()
        assert len(await ledger.settled()) == 1
        assert ids(await tables.orders()) == ALL
        assert await ledger.staged() == 0


async def test_a_database_that_hangs_fails_the_batch_in_time_and_a_later_run_writes_all(
    server: Server, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def orders() -> AsyncIterator[Order]:
        for number, one in enumerate(orders_of(0)):
            if number == 500:
                server.pause()
                monkeypatch.setattr(sql_connection, "PATIENCE", 0.3)
            yield one

    target = SqlSink(Order, table="orders", key="id", url=tables.url)
    with pytest.raises(StageFailed, match=r"no answer within 0\.3 seconds") as caught:
        await run(Source(orders) >> Sink(target, batch=100))
    assert isinstance(caught.value.__cause__, DatabaseFailed)
    server.resume()
    monkeypatch.undo()
    await run(writing(tables))
    assert ids(await tables.orders()) == ALL


async def test_a_batch_that_hangs_ends_by_the_timeout_of_its_sink(server: Server, tables: Tables) -> None:
    async def orders() -> AsyncIterator[Order]:
        for number, one in enumerate(orders_of(0)):
            if number == 500:
                server.pause()
            yield one

    target = SqlSink(Order, table="orders", key="id", url=tables.url)
    with pytest.raises(StageFailed, match="the write did not end"):
        await run(Source(orders) >> Sink(target, batch=100, timeout=0.3))
    server.resume()
    await run(writing(tables))
    assert ids(await tables.orders()) == ALL


@pytest.mark.usefixtures("locked")
async def test_a_cancelled_run_does_not_wait_for_the_batch_and_leaves_no_connection_behind(
    server: Server, tables: Tables
) -> None:
    task = asyncio.create_task(run(writing(tables)))
    await waited_for(server)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("key", [None, "id"])
async def test_a_database_killed_while_it_is_read_fails_the_run_and_no_row_is_taken_for_the_last(
    server: Server, tables: Tables, key: str | None
) -> None:
    await tables.fill(*orders_of(0))
    wide = "SELECT id, REPEAT(customer, 1000) AS customer FROM orders"  # more than lies between server and client
    taken: list[int] = []

    def take(row: dict[str, int]) -> None:
        if not taken:
            server.kill()
        taken.append(row["id"])

    source = SqlSource(tables.url, wide, key=key, page=10)
    with pytest.raises(StageFailed, match="could not read the rows of a SELECT at mysql://") as caught:
        await run(source >> Sink(take))
    assert isinstance(caught.value.__cause__, DatabaseFailed)
    assert len(taken) < ORDERS
    await asyncio.to_thread(server.start)
    again = SqlSource(tables.url, "orders", rows=tuple, key="id", page=10)
    assert ids(await again.collect()) == ALL


async def test_a_full_disk_fails_the_run_and_leaves_whole_batches_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk):
        tables = await Tables(sqlite_file(disk)).make()
        target = SqlSink(Order, table="orders", url=tables.url)
        many = [
            one.model_copy(update={"id": number * ORDERS + one.id})
            for number in range(20)
            for one in orders_of(0)
        ]
        with pytest.raises(StageFailed, match="could not write to table orders at sqlite:///") as caught:
            await run(Source(many) >> Sink(target, batch=100))
        assert isinstance(caught.value.__cause__, DatabaseFailed)
        written = ids(await tables.orders())
        assert written == list(range(len(written)))
        assert len(written) % 100 == 0
        assert written


async def test_a_file_that_may_only_be_read_fails_the_run_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    tables = await Tables(sqlite_file(folder)).make()
    with (
        read_only(folder),
        pytest.raises(StageFailed, match=r"could not write to table orders at .*piko\.db"),
    ):
        await run(writing(tables))
    assert await tables.orders() == []
