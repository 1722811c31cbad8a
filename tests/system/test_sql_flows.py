"""Flows of an application that read and write tables: where its ledger is, and in another database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel, SecretStr

from piko_flow import BackfillPolicy, Flow, Interval, Pipeline, Registry, RunContext, Sink, Transform, Window
from piko_flow.connectors.sql import SqlChanges, SqlSink, SqlSource
from piko_flow.planning.run_state import RunStatus
from tests.databases.host import Host
from tests.databases.plugin import empty_database, sqlite_file
from tests.system.running_app import Running, eventually, running
from tests.unit.sql_by_hand import MINUTE, NOON, Order, Tables, ids, order, orders

PAST = Interval(
    minutes=30, start_date=NOON, end_date=NOON + 60 * MINUTE
)  # so that only what is triggered runs
HALF = Window(NOON, NOON + 30 * MINUTE)


@pytest.fixture(scope="session", params=["sqlite", "mariadb"])
def ledger_host(request: pytest.FixtureRequest) -> Host | None:
    """Each kind of ledger; None stands for SQLite, which has no server."""
    found: Host | None = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    return found


@pytest.fixture
def ledger_url(ledger_host: Host | None, tmp_path: Path) -> Iterator[str]:
    """An empty database for the application."""
    if ledger_host is None:
        yield sqlite_file(tmp_path)
    else:
        yield from empty_database(ledger_host)


@pytest_asyncio.fixture
async def tables(ledger_url: str) -> Tables:
    """An hour's orders in the application's database, and a table for copies."""
    made = await Tables(ledger_url).make()
    await made.fill(*orders(*range(60)))
    await made.rows("CREATE TABLE copies (id INTEGER PRIMARY KEY, customer VARCHAR(40) NOT NULL)")
    return made


class Wanted(BaseModel):
    """What the flow is told."""

    customer: str = "ann"
    limit: int = 1000


class Copying:
    """A flow that copies orders of its window, in units by key; `copied` are what it has handed to the sink."""

    def __init__(self, url: str, target: SqlSink[Any]) -> None:
        self.url, self.target = url, target
        self.copied: list[int] = []
        self.registry: Registry[Flow] = Registry()
        Flow.register(
            "copy",
            self.build,
            params=Wanted,
            stateful=True,
            schedule=PAST,
            backfill=BackfillPolicy.NONE,
            registry=self.registry,
        )

    def build(self, run: RunContext[Wanted]) -> Pipeline:
        source = SqlSource(
            self.url,
            "SELECT * FROM orders WHERE customer = :customer AND id < :limit",
            rows=Order,
            key="id",
            window=run.window,
            column="placed_at",
            values=run.params.model_dump(),
            splits=3,
            page=4,
        )
        return source >> Transform(self.note) >> Sink(self.target, batch=5)

    def note(self, item: Order) -> Order:
        self.copied.append(item.id)
        return item


async def copies(tables: Tables) -> list[tuple[Any, ...]]:
    """What the table of copies holds."""
    return await tables.rows("SELECT id, customer FROM copies ORDER BY id")


@asynccontextmanager
async def app_of(copying: Copying, tables: Tables, folder: Path) -> AsyncIterator[Running]:
    """The application with this flow, whose row is there."""
    async with running(copying.registry, folder, database=SecretStr(tables.url)) as app:
        await eventually(lambda: app.app.service.call(lambda plane: plane.store.schedules()))
        yield app


async def failed(app: Running, **given: Any) -> str:
    """The message of a run that failed."""
    record = await app.trigger("copy", window=HALF, **given)
    assert record.status is RunStatus.FAILED
    return record.error_msg


@pytest.mark.parametrize("in_memory", [3, 1000], ids=["staged", "held"])
async def test_a_flow_writes_each_window_once_into_the_applications_database(
    tables: Tables, tmp_path: Path, in_memory: int
) -> None:
    copying = Copying(tables.url, SqlSink(table="copies", columns=["id", "customer"], in_memory=in_memory))
    async with app_of(copying, tables, tmp_path) as app:
        first = await app.trigger("copy", window=HALF)
        second = await app.trigger("copy", window=Window(HALF.end, HALF.end + HALF.length))
        assert {first.status, second.status} == {RunStatus.SUCCESS}, first.error_msg
        state = await app.app.service.call(lambda plane: plane.store.states(["copy"]))
        spans = [(span.start, span.end) for span in state["copy"].ledger.spans]
        assert (NOON, NOON + 60 * MINUTE) in spans
    assert await copies(tables) == [(number, "ann") for number in range(60)]
    assert sorted(copying.copied) == list(range(60))
    assert await tables.rows("SELECT COUNT(*) FROM sink_staging") == [(0,)]


async def test_what_is_read_depends_on_parameters_and_window(tables: Tables, tmp_path: Path) -> None:
    await tables.rows("UPDATE orders SET customer = 'bob' WHERE id >= 10")
    copying = Copying(tables.url, SqlSink(table="copies", columns=["id", "customer"]))
    async with app_of(copying, tables, tmp_path) as app:
        record = await app.trigger("copy", window=HALF, params={"customer": "bob", "limit": 20})
        assert record.status is RunStatus.SUCCESS, record.error_msg
    assert ids(await copies(tables)) == list(range(10, 20))


@pytest.mark.parametrize("in_memory", [3, 1000], ids=["staged", "held"])
async def test_a_row_that_the_database_refuses_fails_the_run_with_its_reason_and_the_window_stays_open(
    tables: Tables, tmp_path: Path, in_memory: int
) -> None:
    await tables.rows("INSERT INTO copies VALUES (29, 'there already')")
    copying = Copying(tables.url, SqlSink(table="copies", columns=["id", "customer"], in_memory=in_memory))
    async with app_of(copying, tables, tmp_path) as app:
        message = await failed(app)
        assert "RowsRefused: table copies refused a row, so none of this run was written: " in message
        assert "sqlalche.me" not in message
        assert await copies(tables) == [(29, "there already")]
        await tables.rows("DELETE FROM copies")
        record = await app.trigger("copy", window=HALF)
        assert record.status is RunStatus.SUCCESS, record.error_msg
    assert ids(await copies(tables)) == list(range(30))


async def test_a_table_that_is_missing_in_the_applications_database_is_told_once_in_our_words(
    tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copying = Copying(tables.url, SqlSink(table="copied", columns=["id", "customer"]))
    async with app_of(copying, tables, tmp_path) as app:
        message = await failed(app)
    began = "DatabaseFailed: could not write to table copied at the application's own database: "
    assert message.startswith(began)
    assert "copied" in message.removeprefix(began)
    assert "sqlalche.me" not in message
    told = [one.getMessage() for one in caplog.records if "copied" in one.getMessage()]
    assert len(told) == 1, told
    assert told[0].startswith(f"run 1 of 'copy' failed in attempt 1: {began}")


async def test_sqlite_is_not_held_up_by_too_many_rows(tables: Tables, tmp_path: Path) -> None:
    copying = Copying(tables.url, SqlSink(table="copies", columns=["id", "customer"], max_rows=29))
    async with app_of(copying, tables, tmp_path) as app:
        if tables.url.startswith("sqlite"):
            assert "a run may write 29 rows here (max_rows)" in await failed(app)
            assert await copies(tables) == []
        else:
            record = await app.trigger("copy", window=HALF)
            assert record.status is RunStatus.SUCCESS, record.error_msg


async def test_another_database_is_written_by_key_and_what_is_written_again_is_there_once(
    tables: Tables, tmp_path: Path
) -> None:
    other = await Tables(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}").make()
    await other.fill(*orders(*range(25, 35), customer="old"))
    copying = Copying(tables.url, SqlSink(Order, table="orders", key="id", url=other.url))
    async with app_of(copying, tables, tmp_path) as app:
        record = await app.trigger("copy", window=HALF)
        assert record.status is RunStatus.SUCCESS, record.error_msg
    assert await other.orders() == [(n, "ann") for n in range(30)] + [(n, "old") for n in range(30, 35)]


class Seen(BaseModel):
    """A change as it is copied."""

    id: int
    customer: str


async def test_changes_are_copied_slice_by_slice_and_the_place_commits_with_the_rows(
    tables: Tables, tmp_path: Path
) -> None:
    registry: Registry[Flow] = Registry()
    changes = SqlChanges(tables.url, "orders", column="placed_at", key="id", rows=Seen, max_items=25)
    pipeline = changes >> Sink(SqlSink(Seen, table="copies", key="id"), batch=10)
    Flow.register("follow", pipeline, registry=registry)
    async with running(registry, tmp_path, database=SecretStr(tables.url)) as app:
        await app.trigger("follow")
        await app.at_least(3, "follow", RunStatus.SUCCESS)  # one slice calls for the next
        assert ids(await copies(tables)) == list(range(60))
        late = order(7, "changed", placed_at=NOON + timedelta(days=1))
        await tables.rows(
            "UPDATE orders SET customer = 'changed', placed_at = :at WHERE id = 7", {"at": late.placed_at}
        )
        await tables.fill(order(60))
        record = await app.trigger("follow")
        assert record.status is RunStatus.SUCCESS, record.error_msg
        found = dict(await copies(tables))
        assert (found[7], len(found)) == ("changed", 61)
