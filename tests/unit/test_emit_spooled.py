"""What is emitted to a registered sink is on the disk when `emit` returns, and reaches the sink from there."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from sqlmodel import Field as SQLField
from sqlmodel import SQLModel

from piko_flow import On, Route, Sink, Source, Transform
from piko_flow.app import App
from piko_flow.connectors.files import CsvSink
from piko_flow.connectors.spool import NotKept, Spool, Spooled, SpoolUnavailable
from piko_flow.connectors.sql import SqlSink
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.operations.plane_dead_letters import WhichLetters
from piko_flow.control.operations.plane_replays import ReplayRequest
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.errors import ItemRejected, PipelineError, RequestRefused
from piko_flow.planning.run_state import RunStatus
from piko_flow.settings import Settings
from piko_flow.store.records import DeadLetterRecord, RunRecord
from tests.unit.spooling import FAST, PATIENCE, Place, files


class Order(BaseModel):
    id: int
    card: str = ""


class Refund(BaseModel):
    id: int


def settings(folder: Path, **values: Any) -> Settings:
    database = SecretStr(f"sqlite:///{folder / 'piko.db'}")
    spools = str(folder / "spools")
    return Settings(**{"database": database, "persist_disk_fallback_path": spools, "poll_s": 0.05, **values})


class World:
    """An application with a registry of its own."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.folder, self.registry = folder, Registry[Flow]()
        self.app = App("shop", registry=self.registry, settings=settings(folder, **values))

    def emitting(self, name: str, *payloads: object, to: str = "orders", **options: Any) -> None:
        async def job(run: RunContext) -> None:
            for payload in payloads:
                await run.emit(payload, to=to)

        Flow.register(name, job, registry=self.registry, **options)

    async def run(self, flow: str) -> RunRecord:
        run = await self.app.service.call(lambda plane: plane.trigger(flow))
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.app.service.call(lambda plane: plane.store.run(run.id))
                assert found is not None
                if found.status not in (RunStatus.QUEUED, RunStatus.RUNNING):
                    return found

    async def letters(self, count: int) -> list[DeadLetterRecord]:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.app.service.call(lambda plane: plane.store.dead_letters(limit=100))
                if len(found) >= count:
                    return list(found)


class Rows:
    """Takes lists on the loop of runs, unless something in them is bad."""

    def __init__(self, *bad: object) -> None:
        self.bad, self.items, self.down = bad, list[Any](), False
        self._more = threading.Condition()

    async def write(self, items: Sequence[Any]) -> None:
        if self.down:
            raise OSError("it is down")
        for index, item in enumerate(items):
            if item in self.bad:
                raise ItemRejected(index, "no such customer")
        with self._more:
            self.items += items
            self._more.notify_all()

    async def has(self, count: int) -> None:
        """On the test's loop, which is not that of runs."""

        def wait() -> bool:
            with self._more:
                return self._more.wait_for(lambda: len(self.items) >= count, PATIENCE)

        assert await asyncio.to_thread(wait)


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    async with world.app.running():
        yield


async def test_a_run_ends_well_while_the_sink_is_down_and_the_next_process_writes_its_items(
    tmp_path: Path,
) -> None:
    first, rows = World(tmp_path, persist_flush_timeout_s=0.01), Rows()
    rows.down = True
    first.emitting("sells", {"id": 1}, {"id": 2})
    first.app.register_sink("orders", rows)
    async with running(first):
        assert (await first.run("sells")).status is RunStatus.SUCCESS
        await first.app.emit({"id": 3}, to="orders")
    assert rows.items == []
    assert len(files(tmp_path / "spools" / "orders")) == 1
    second, rows = World(tmp_path), Rows()
    second.app.register_sink("orders", rows)
    async with running(second):
        await rows.has(3)
    assert sorted(item["id"] for item in rows.items) == [1, 2, 3]
    assert files(tmp_path / "spools") == []


async def test_what_the_sink_refuses_is_a_dead_letter_of_the_run_that_emitted_it(tmp_path: Path) -> None:
    world, rows = World(tmp_path, redact=("card",)), Rows(Order(id=2, card="4111"))
    world.emitting("first", Order(id=1))
    world.emitting("second", Order(id=2, card="4111"))
    world.app.register_sink("orders", rows, models=[Order], key="id")
    async with running(world):
        await world.run("first")
        run = await world.run("second")
        await rows.has(1)
        (letter,) = await world.letters(1)
    assert rows.items == [Order(id=1)]
    assert (letter.flow, letter.run, letter.stage, letter.sink) == ("second", run.id, "orders", "orders")
    assert (letter.item_key, letter.error_type, letter.state) == ("2", "ItemRejected", "open")
    assert letter.model.endswith("Order")
    assert "4111" not in letter.payload


async def test_a_dead_letter_is_replayed_into_its_sink_through_the_spool(tmp_path: Path) -> None:
    world, rows = World(tmp_path), Rows(Order(id=2))
    world.emitting("sells", Order(id=2))
    world.app.register_sink("orders", rows, models=[Order])
    async with running(world):
        await world.run("sells")
        (letter,) = await world.letters(1)
        rows.bad = ()
        await world.app.service.call(lambda plane: plane.replay(WhichLetters((letter.id,))))
        await rows.has(1)
    assert rows.items == [Order(id=2)]


async def test_an_item_that_stages_behind_the_spool_have_changed_does_not_enter_it_again(
    tmp_path: Path,
) -> None:
    world, written = World(tmp_path), Rows()

    def tenfold(item: int) -> int:
        return item * 10

    def put(item: int) -> int:
        raise ValueError("bad")

    chain = Transform(tenfold) >> Transform(put, on_error="dead_letter") >> Sink(written)
    world.emitting("sells", 1)
    world.app.register_sink("orders", chain)

    def build(run: RunContext) -> Pipeline:
        return Source([2]) >> Sink(Spool(chain), name="keep")

    Flow.register("copies", build, registry=world.registry)
    async with running(world):
        await world.run("sells")
        await world.run("copies")
        letters = await world.letters(2)
        assert {(one.stage, one.sink) for one in letters} == {("orders > put", "orders"), ("keep > put", "")}
        for letter in letters:
            with pytest.raises(RequestRefused, match="what enters a spool again is what it had accepted"):
                await world.app.service.call(partial(replay, letter=letter.id))
        assert {one.state for one in await world.letters(2)} == {"open"}
    assert written.items == []


async def replay(plane: ControlPlane, letter: int) -> ReplayRequest:
    return await plane.replay(WhichLetters((letter,)))


class Row(SQLModel, table=True):
    __tablename__ = "emitted_rows"  # pyright: ignore[reportAssignmentType]  # as SQLModel wants it

    id: int = SQLField(primary_key=True)
    name: str


async def test_a_table_of_the_applications_database_can_be_the_sink(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "piko.db") as database:
        database.execute("CREATE TABLE emitted_rows (id INTEGER PRIMARY KEY, name TEXT)")
    world = World(tmp_path)
    world.emitting("sells", Row(id=1, name="a"), Row(id=2, name="b"), Row(id=1, name="again"))
    world.app.register_sink("orders", SqlSink(Row, key="id"), models=[Row])
    async with running(world):
        await world.run("sells")
    found = database.execute("SELECT id, name FROM emitted_rows ORDER BY id").fetchall()
    database.close()
    assert found == [(1, "again"), (2, "b")]


def test_outside_of_an_application_a_spool_before_a_table_names_the_database(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="got a SqlSink without url"):
        Spool(SqlSink(Row, key="id"), name="rows", folder=tmp_path).opened()


async def test_an_item_has_its_key_and_the_sink_may_have_it_with_the_run(tmp_path: Path) -> None:
    world, rows = World(tmp_path), Rows()
    world.emitting("sells", Order(id=7))
    world.app.register_sink("orders", rows, models=[Order], key=lambda order: f"order {order.id}", whole=True)
    async with running(world):
        run = await world.run("sells")
        await world.app.emit(Order(id=8), to="orders", key="given")
        await rows.has(2)
    assert sorted(rows.items, key=lambda item: item.payload.id) == [
        Spooled(Order(id=7), "order 7", "sells", str(run.id)),
        Spooled(Order(id=8), "given"),
    ]


async def test_items_are_routed_by_their_class(tmp_path: Path) -> None:
    orders, refunds = Rows(), Rows()
    world = World(tmp_path)
    world.emitting("sells", Order(id=1), Refund(id=2), Order(id=3))
    route = Route(On(Order, Sink(orders)), On(Refund, Sink(refunds)))
    world.app.register_sink("orders", route, models=[Order, Refund])
    async with running(world):
        await world.run("sells")
        await orders.has(2)
        await refunds.has(1)
    assert (orders.items, refunds.items) == ([Order(id=1), Order(id=3)], [Refund(id=2)])


def same(order: Order) -> Order:
    return order


def take_order(order: Order) -> None:
    raise AssertionError(f"{order} was written")


@pytest.mark.parametrize(
    ("sink", "options", "told"),
    [
        (Route(On(Order, Sink(take_order))), {"models": [Order, Refund]}, "no branch takes Refund"),
        (take_order, {"models": [Refund]}, "it takes Order"),
        (take_order, {"models": [3]}, "models are classes of Pydantic models or dataclasses"),
        (take_order, {"key": 3}, "key is the name of a field or a function of an item"),
        (
            Sink(SqlSink(Row, key="id"), batch=10),
            {"models": [Row]},
            "got a SqlSink without url. Give it url=",
        ),
        (3, {}, "got 3"),
        (Source([1]), {}, "got"),
        (Order, {}, "got"),
        (Spool(take_order), {"whole": True}, "options of the spool"),
        (Spool(take_order), {"spool": False}, "spool=False keeps nothing on the disk; the sink is a Spool"),
        (CsvSink("orders.csv"), {}, "a file or a window is replaced as a whole"),
        (Transform(same) >> Sink(CsvSink("orders.csv")), {}, "is replaced as a whole"),
        (
            Route(On(Order, Sink(take_order)), On(Refund, Sink(CsvSink("x.csv")))),
            {},
            "is replaced as a whole",
        ),
        (
            SqlSink(
                table="t", columns=["at"], mode="replace_window", window_column="at", url="sqlite:///x.db"
            ),
            {},
            "is replaced as a whole, .*; got SqlSink",
        ),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_registered(
    tmp_path: Path, sink: Any, options: dict[str, Any], told: str
) -> None:
    world = World(tmp_path)
    with pytest.raises(PipelineError, match=told) as caught:
        world.app.register_sink("orders", sink, **options)
    assert "test_emit_spooled.py" in str(caught.value)


def test_a_name_belongs_to_one_sink(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.app.register_sink("orders", take_order)
    with pytest.raises(PipelineError, match="it is registered already"):
        world.app.register_sink("orders", take_order)


async def test_a_class_that_nobody_named_fails_the_run_that_emits_it(tmp_path: Path) -> None:
    world, rows = World(tmp_path), Rows()
    world.emitting("sells", Refund(id=1))
    world.app.register_sink("orders", rows, models=[Order])
    async with running(world):
        run = await world.run("sells")
        assert (run.status, run.error_type) == (RunStatus.FAILED, "NotKept")
        assert "models=[Refund]" in run.error_msg
        with pytest.raises(NotKept):
            await world.app.emit(Refund(id=1), to="orders")
    assert rows.items == []


async def test_an_application_does_not_start_where_a_spool_cannot_be_opened(tmp_path: Path) -> None:
    world = World(tmp_path)
    shared = tmp_path / "spools" / "orders"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    world.app.register_sink("orders", Rows())
    with pytest.raises(SpoolUnavailable, match="other users may write in it"):
        async with running(world):
            raise AssertionError("it started")


async def test_a_spool_in_a_pipeline_stays_open_between_its_runs(tmp_path: Path) -> None:
    world, rows = World(tmp_path), Rows(3)
    rows.down = True

    def build(run: RunContext) -> Pipeline:
        return Source([1, 2, 3]) >> Sink(Spool(rows, retry=FAST), name="keep")

    Flow.register("copies", build, registry=world.registry)
    async with running(world):
        for _ in range(2):
            assert (await world.run("copies")).status is RunStatus.SUCCESS
        assert len(files(tmp_path / "spools" / "copies%2ekeep")) == 1
        rows.down = False
        await rows.has(4)
        letters = await world.letters(2)
    assert sorted(rows.items) == [1, 1, 2, 2]
    assert {(one.flow, one.stage, one.sink) for one in letters} == {("copies", "keep", "")}
    assert len({one.run for one in letters}) == 2


async def test_files_of_another_application_are_left_alone(tmp_path: Path) -> None:
    first = World(tmp_path, persist_flush_timeout_s=0.01)
    down = Rows()
    down.down = True
    first.app.register_sink("orders", down)
    async with running(first):
        await first.app.emit(1, to="orders")
    other = World(tmp_path, database=SecretStr(f"sqlite:///{tmp_path / 'other.db'}"))
    rows = Rows()
    other.app.register_sink("orders", rows)
    async with running(other):
        await other.app.emit(2, to="orders")
        await rows.has(1)
    assert rows.items == [2]
    assert len(files(tmp_path / "spools")) == 1


async def test_a_place_of_two_spools_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.app.register_sink("one", Spool(Place(), name="same"))
    world.app.register_sink("two", Spool(Place(), name="same"))
    with pytest.raises(PipelineError, match="a name belongs to one spool"):
        async with running(world):
            raise AssertionError("it started")
