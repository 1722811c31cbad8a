"""Rows in the ledger's database: they, the run's end and the ledger change together, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from piko_flow import Flow, Pipeline, Registry, RunContext, Sink, Source, Window
from piko_flow.connectors.sql import RowsRefused, SqlSink, TooManyRows
from piko_flow.planning.run_state import Reason, RunStatus
from tests.system.sql_runs import HOUR, START, hour, ledger_of
from tests.unit.sql_by_hand import Order, Tables, ids, order

MINUTE = timedelta(minutes=1)
COLUMNS = "id, customer, amount, placed_at"


def orders_of(number: int, customer: str = "ann", count: int = 60) -> list[Order]:
    """The orders of the hour of this number after the start, one a minute."""
    placed = START + number * HOUR
    return [order(number * 60 + n, customer, placed_at=placed + n * MINUTE) for n in range(count)]


class Copying:
    """A flow that writes the orders of its window, in `splits` units; the unit `explodes` fails at its end."""

    def __init__(self, sink: SqlSink[Order], *, splits: int = 1, batch: int = 7) -> None:
        self.read: list[int] = []
        self.explodes: int | None = None
        self.customer, self.splits, self.count = "ann", splits, 60
        self._sink, self._batch = sink, batch
        self.flow = Flow.register("copy", self._build, stateful=True, registry=Registry())

    def _build(self, run: RunContext[Any]) -> Pipeline:
        assert run.window is not None
        orders = orders_of((run.window.start - START) // HOUR, self.customer, self.count)

        def part(split: int) -> Iterator[Order]:
            self.read.append(split)
            yield from orders[split :: self.splits]
            if split == self.explodes:
                raise OSError("the line is dead")

        return Source(part, splits=range(self.splits)) >> Sink(self._sink, batch=self._batch)


@pytest.fixture(scope="session", params=["sqlite", "mariadb", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database, its server running."""
    if request.param != "sqlite":
        request.getfixturevalue(request.param)
    return str(request.param)


@pytest_asyncio.fixture
async def tables(kind: str, request: pytest.FixtureRequest) -> Tables:
    """The tables in the database of the ledger."""
    return await Tables(request.getfixturevalue(f"{kind}_url")).make()


def sink(**options: Any) -> SqlSink[Order]:
    """Writes orders into the ledger's database; a part of more than ten is staged."""
    return SqlSink(Order, table="orders", **{"in_memory": 10, **options})


@pytest.mark.parametrize("in_memory", [10, 1000], ids=["staged", "held"])
@pytest.mark.parametrize("key", [None, "id"], ids=["insert", "upsert"])
async def test_rows_and_ledger_change_in_one_transaction(
    tables: Tables, in_memory: int, key: str | None
) -> None:
    copying = Copying(sink(in_memory=in_memory, key=key), splits=3)
    async with ledger_of(tables.url, copying.flow) as ledger:
        for number in range(2):
            record = await ledger.claimed(number)
            outcome = await ledger.executed(record)
            assert len(await tables.orders()) == 60 * number, "nothing is visible before the end"
            assert await ledger.ended(record, outcome)
        assert await ledger.settled() == [Window(hour(0).start, hour(1).end)]
        assert await ledger.staged() == 0
    written = await tables.orders(COLUMNS)
    await tables.rows("DELETE FROM orders")
    await tables.fill(*orders_of(0), *orders_of(1))
    assert written == await tables.orders(COLUMNS), "as rows that were never staged"


async def test_the_same_window_again_is_written_by_key_once(tables: Tables) -> None:
    copying = Copying(sink(key="id"))
    async with ledger_of(tables.url, copying.flow) as ledger:
        record = await ledger.claimed(0)
        outcome = await ledger.executed(record)
        for _ in range(2):  # as after a reply that was lost
            assert await ledger.ended(record, outcome)
        assert ids(await tables.orders()) == list(range(60))


async def test_a_run_whose_claim_is_lost_leaves_neither_rows_nor_a_settled_window(tables: Tables) -> None:
    copying = Copying(sink(), splits=2)
    async with ledger_of(tables.url, copying.flow) as ledger:
        old = await ledger.claimed(0)
        outcome = await ledger.executed(old)
        new = await ledger.taken(old)
        assert not await ledger.ended(old, outcome)
        assert await tables.orders() == []
        assert await ledger.settled() == []
        assert await ledger.ended(new, await ledger.executed(new))
        assert ids(await tables.orders()) == list(range(60))
        assert not await ledger.ended(old, outcome)
        assert await ledger.staged() == 0


async def test_nothing_is_staged_under_a_stale_claim_and_the_run_is_let_go(tables: Tables) -> None:
    copying = Copying(sink())
    async with ledger_of(tables.url, copying.flow) as ledger:
        old = await ledger.claimed(0)
        new = await ledger.taken(old)
        outcome = await ledger.executed(old)
        assert (outcome.status, outcome.reason) == (RunStatus.QUEUED, Reason.RELEASED)
        assert await ledger.ended(new, await ledger.executed(new))
        assert ids(await tables.orders()) == list(range(60))


async def test_a_later_claim_goes_on_with_the_units_that_were_staged(tables: Tables) -> None:
    copying = Copying(sink(), splits=4)
    copying.explodes = 2
    async with ledger_of(tables.url, copying.flow) as ledger:
        record = await ledger.claimed(0)
        assert (await ledger.executed(record)).error_type == "OSError"
        assert copying.read == [0, 1, 2]
        copying.explodes = None
        again = await ledger.taken(record)
        assert await ledger.ended(again, await ledger.executed(again))
        assert copying.read == [0, 1, 2, 2, 3]
        assert ids(await tables.orders()) == list(range(60))
        assert await ledger.staged() == 0, "what the unit that failed had staged is gone, too"


async def test_a_later_claim_reads_again_what_was_only_held(tables: Tables) -> None:
    copying = Copying(sink(in_memory=1000), splits=4)
    copying.explodes = 2
    async with ledger_of(tables.url, copying.flow) as ledger:
        record = await ledger.claimed(0)
        await ledger.executed(record)
        copying.explodes = None
        again = await ledger.taken(record)
        assert await ledger.ended(again, await ledger.executed(again))
        assert copying.read == [0, 1, 2, 0, 1, 2, 3]
        assert ids(await tables.orders()) == list(range(60))


@pytest.mark.parametrize("in_memory", [10, 1000], ids=["staged", "held"])
async def test_a_window_is_replaced_in_the_same_transaction(tables: Tables, in_memory: int) -> None:
    replacing = sink(in_memory=in_memory, mode="replace_window", window_column="placed_at")
    copying = Copying(replacing, splits=2)
    async with ledger_of(tables.url, copying.flow) as ledger:
        await ledger.done(0)
        await ledger.done(1)
        await tables.rows("INSERT INTO orders (id, customer, placed_at) VALUES (:id, 'old', :at)", OLD)
        copying.customer, copying.count = "bob", 50
        await ledger.done(0, key="again")
    assert await tables.orders() == [(n, "bob") for n in range(50)] + [(n, "ann") for n in range(60, 120)]


OLD = {"id": -1, "at": START}


@pytest.mark.parametrize("in_memory", [10, 1000], ids=["staged", "held"])
async def test_a_row_that_the_database_refuses_fails_the_end_and_none_is_written(
    tables: Tables, in_memory: int
) -> None:
    copying = Copying(sink(in_memory=in_memory), splits=2)
    await tables.fill(order(59, "there already"))
    async with ledger_of(tables.url, copying.flow) as ledger:
        record = await ledger.claimed(0)
        outcome = await ledger.executed(record)
        with pytest.raises(RowsRefused) as caught:
            await ledger.ended(record, outcome)
        assert "sink 'orders' failed in the last transaction of run" in caught.value.__notes__[0]
        assert await tables.orders() == [(59, "there already")]
        assert await ledger.settled() == []
        await tables.rows("DELETE FROM orders")
        assert await ledger.ended(record, outcome), "what was staged is still there"
        assert ids(await tables.orders()) == list(range(60))


async def test_a_run_of_more_rows_than_sqlite_should_move_at_once_fails_before_its_end(
    tables: Tables,
) -> None:
    copying = Copying(sink(max_rows=59), splits=2)
    async with ledger_of(tables.url, copying.flow) as ledger:
        record = await ledger.claimed(0)
        outcome = await ledger.executed(record)
        if not tables.url.startswith("sqlite"):
            assert await ledger.ended(record, outcome)
            assert len(await tables.orders()) == 60
            return
        with pytest.raises(TooManyRows, match=r"a run may write 59 rows here \(max_rows\)"):
            await ledger.ended(record, outcome)
        assert await tables.orders() == []


async def test_a_ledger_in_memory_takes_no_rows() -> None:
    copying = Copying(sink())
    async with ledger_of("memory://", copying.flow) as ledger:
        outcome = await ledger.executed(await ledger.claimed(0))
    assert outcome.status is RunStatus.FAILED
    assert "Give the application a SQLite file, or this sink a url=" in outcome.error_msg


async def test_the_ledgers_database_named_by_url_is_still_the_ledgers(tables: Tables) -> None:
    copying = Copying(sink(url=tables.url))
    async with ledger_of(tables.url, copying.flow) as ledger:
        record = await ledger.claimed(0)
        outcome = await ledger.executed(record)
        assert await tables.orders() == []
        assert await ledger.ended(record, outcome)
        assert len(await tables.orders()) == 60
