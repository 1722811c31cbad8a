"""What every engine promises for a run that comes to its end: the same items, order, counts, losses and facts."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from piko_flow import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    On,
    Parse,
    Route,
    Sink,
    Source,
    Transform,
    run,
    start,
)
from piko_flow.connectors.files import CsvSource, JsonLinesSink
from piko_flow.dataflow.running.engine import Engine
from piko_flow.errors import ErrorBudgetExceeded
from piko_flow.testing import until
from piko_flow.testing.observing import RecordingObserver
from tests.contract.bell import PATIENCE, note, notes
from tests.runs import error_of


class Order(BaseModel):
    id: int
    price: float


def counted(split: int) -> Iterator[int]:
    """A hundred numbers, different ones for each split."""
    yield from range(split * 100, split * 100 + 100)


def is_even(item: int) -> bool:
    return item % 2 == 0


def written(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_files_become_one_file_with_the_units_in_order(engine: Engine, tmp_path: Path) -> None:
    for number in range(3):
        with (tmp_path / f"{number}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [["id", "price"], *([number * 10 + row, row / 2] for row in range(10))]
            )
    out = tmp_path / "out" / "orders.jsonl"
    pipeline = (
        CsvSource(str(tmp_path / "*.csv"))
        >> Parse(Order)
        >> Filter(lambda order: order.id % 10 != 3)
        >> Transform(lambda order: {"id": order.id, "total": order.price * 2})
        >> Sink(JsonLinesSink(out), batch=4)
    )
    report = await run(pipeline, engine=engine)
    assert written(out) == [
        {"id": number * 10 + row, "total": row} for number in range(3) for row in range(10) if row != 3
    ]
    assert (report.outcome, report.units, report.units_done, report.items) == ("succeeded", 3, 3, 30)
    assert [line for line in report.written if "orders.jsonl" in line]
    assert (report.stages[2].received, report.stages[2].filtered, report.stages[-1].emitted) == (30, 3, 27)
    assert report.leftovers == ()
    assert sorted(path.name for path in out.parent.iterdir()) == ["orders.jsonl"]


async def test_cpu_stages_have_worker_processes_wherever_their_unit_runs(
    engine: Engine, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    pipeline = (
        Source(range(100))
        >> CpuMap(lambda item: item * item, workers=1)
        >> Sink(JsonLinesSink(out), batch=50)
    )
    report = await run(pipeline, engine=engine)
    assert written(out) == [item * item for item in range(100)]
    assert report.workers == {"spawned": 1, "replaced": 0}


async def test_order_holds_within_a_unit(engine: Engine, tmp_path: Path) -> None:
    async def late(item: int) -> int:
        for _ in range(item % 7):
            await asyncio.sleep(0)
        return item

    pipeline = (
        Source(counted, splits=[0, 1, 2])
        >> Transform(late, concurrency=10)
        >> FlatMap(lambda item: (item, item))
        >> Batch(7)
        >> Sink(JsonLinesSink(tmp_path / "{unit}.jsonl"))
    )
    await run(pipeline, engine=engine)
    for unit in range(3):
        batches = written(tmp_path / f"{unit:05d}.jsonl")
        flat = [item for batch in batches if isinstance(batch, list) for item in batch]
        assert flat == [item for item in counted(unit) for _ in range(2)]


async def test_branches_and_folds_run_as_one_unit(engine: Engine, tmp_path: Path) -> None:
    def add(total: int, item: int) -> int:
        return total + item

    even: Sink[int] = Sink(JsonLinesSink(tmp_path / "even.jsonl"), batch=10)
    pipeline = Source(counted, splits=[0, 1]) >> Broadcast(
        Fold(add, start=int) >> Sink(JsonLinesSink(tmp_path / "sum.jsonl")),
        Route(On(is_even, even), On(object, Sink(lambda item: note(tmp_path / "odd", str(item))))),
    )
    report = await run(pipeline, engine=engine)
    assert report.units == 1
    assert written(tmp_path / "sum.jsonl") == [sum(range(200))]
    assert written(tmp_path / "even.jsonl") == list(range(0, 200, 2))
    assert notes(tmp_path / "odd") == [str(item) for item in range(1, 200, 2)]


async def test_dead_letters_come_home_with_their_items(engine: Engine, tmp_path: Path) -> None:
    def strict(item: int) -> int:
        if item % 50 == 7:
            raise ValueError(f"no {item}")
        return item

    observer = RecordingObserver()
    pipeline = (
        Source(counted, splits=[0, 1]) >> Transform(strict, on_error="dead_letter") >> Sink(lambda item: None)
    )
    report = await run(pipeline, engine=engine, observer=observer)
    assert [letter.item for letter in report.dead_letters] == [7, 57, 107, 157]
    assert {(letter.stage, letter.error_type) for letter in report.dead_letters} == {("strict", "ValueError")}
    assert report.dead_letters[0].error == "ValueError: no 7"
    assert report.dead_letters[0].where == str(pipeline.parts[1].origin)
    assert len({letter.unit for letter in report.dead_letters}) == 2
    assert (report.dead, report.stage("strict").emitted) == (4, 196)
    assert sorted(letter.item for letter in observer.letters) == [7, 57, 107, 157]


@pytest.mark.parametrize("allowed", [3, 0.01])
async def test_too_many_bad_items_over_all_units_end_the_run(
    engine: Engine, allowed: int | float, tmp_path: Path
) -> None:
    def strict(item: int) -> int:
        if item % 50 == 7:
            raise ValueError(f"no {item}")
        return item

    out = tmp_path / "out.jsonl"
    pipeline = (
        Source(counted, splits=[0, 1]) >> Transform(strict, on_error="skip") >> Sink(JsonLinesSink(out))
    )
    caught = await error_of(pipeline, ErrorBudgetExceeded, engine=engine, max_errors=allowed)
    assert (caught.bad, caught.allowed) == (4, allowed)
    assert not out.exists()
    report = await run(pipeline, engine=engine, max_errors=4 if isinstance(allowed, int) else 0.02)
    assert (report.skipped, len(written(out))) == (4, 196)


async def test_the_observer_hears_of_every_stage_and_item(engine: Engine) -> None:
    observer = RecordingObserver()
    pipeline = Source(counted, splits=[0, 1, 2]) >> Transform(lambda item: item) >> Sink(lambda item: None)
    report = await run(pipeline, engine=engine, observer=observer)
    assert observer.running == []
    assert observer.facts.count("stage started: counted") == 3
    assert (observer.facts[0], observer.facts[-1]) == ("run started", "run ended")
    assert observer.items["counted"] == 300
    assert observer.report == report


async def test_progress_ends_at_the_counts_of_the_report(engine: Engine) -> None:
    pipeline = Source(counted, splits=[0, 1]) >> Transform(lambda item: item) >> Sink(lambda item: None)
    async with start(pipeline, engine=engine) as active:
        report = await active.wait()
        progress = active.progress()
    assert progress.stages == report.stages
    assert progress.edges == report.edges
    assert (progress.units_done, report.units_done) == (2, 2)


async def test_progress_tells_of_units_in_work(engine: Engine) -> None:
    async def endless(split: int) -> AsyncIterator[int]:
        for item in counted(split):
            yield item
        await asyncio.Event().wait()

    pipeline = Source(endless, splits=[0]) >> Transform(lambda item: item) >> Sink(lambda item: None)
    async with start(pipeline, engine=engine) as active:
        await until(lambda: active.progress().stages[-1].emitted >= 100, within=PATIENCE)
        assert active.progress().units_done == 0
        active.cancel()
        report = await active.wait()
    assert (report.outcome, report.stages[0].emitted, report.stages[-1].emitted) == ("cancelled", 100, 100)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_progress_tells_of_items_in_the_middle_of_a_chunk(engine: Engine, concurrency: int) -> None:
    async def stops(item: int) -> int:
        if item >= 50:
            await asyncio.Event().wait()
        return item

    def counts() -> tuple[int, int, int]:
        _, middle, last = active.progress().stages
        return middle.emitted, last.received, last.emitted

    pipeline = Source(range(500)) >> Transform(stops, concurrency=concurrency) >> Sink(lambda item: None)
    async with start(pipeline, engine=engine) as active:
        await until(lambda: counts() == (50, 50, 50), within=PATIENCE)
        assert active.progress().stages[1].received > 50
        active.cancel()
        await active.wait()


async def test_resources_are_opened_where_the_stage_runs_and_closed_again(
    engine: Engine, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def client() -> AsyncIterator[int]:
        note(tmp_path / "log", "opened")
        yield 1000
        note(tmp_path / "log", "closed")

    async def use(item: int, client: int) -> int:
        return item + client

    out = tmp_path / "out.jsonl"
    pipeline = (
        Source(counted, splits=[0, 1])
        >> Transform(use, uses={"client": client}, concurrency=3)
        >> Sink(JsonLinesSink(out), batch=50)
    )
    await run(pipeline, engine=engine)
    assert written(out) == [item + 1000 for item in range(200)]
    log = notes(tmp_path / "log")
    assert log.count("opened") == log.count("closed") >= 1


class Slices:
    """Numbers from a position on."""

    def __init__(self) -> None:
        self.last = 0

    async def read(self, since: int | None) -> AsyncIterator[int]:
        for item in range(since or 0, 1000):
            self.last = item + 1
            yield item

    def position(self) -> int:
        return self.last


async def test_a_slice_says_where_it_ended_and_whether_there_is_more(engine: Engine, tmp_path: Path) -> None:
    pipeline = Source(Slices(), max_items=10) >> Sink(JsonLinesSink(tmp_path / "out.jsonl"), batch=5)
    report = await run(pipeline, engine=engine, since=25)
    assert (report.position, report.more) == (35, True)
    assert written(tmp_path / "out.jsonl") == list(range(25, 35))
