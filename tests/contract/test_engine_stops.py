"""What every engine promises for a run that does not come to its end: failure, cancel, drain, and going on later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Pipeline, Sink, Source, Transform, run, start
from piko_flow.connectors.files import JsonLinesSink
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.commit.commit import MemoryJournal
from piko_flow.dataflow.running.engine import Engine
from piko_flow.errors import ErrorBudgetExceeded, ResumeRefused, StageFailed
from piko_flow.testing import until
from tests.contract.bell import PATIENCE, Bell, note, notes
from tests.runs import error_of, failure, stopped


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped unit is not killed before it has taken its parts back, though the machine stands still meanwhile."""
    monkeypatch.setattr("piko_flow.engines.unit_process.UNIT_END_SECONDS", PATIENCE)


async def ring_then_wait(split: str, bell: Bell) -> AsyncIterator[str]:
    """Ten items, a ring, and no end."""
    for number in range(10):
        yield f"{split}{number}"
    bell.ring()
    await asyncio.Event().wait()


async def ring_on_and_on(split: str, bell: Bell) -> AsyncIterator[str]:
    """Items without end, with a ring after the tenth."""
    number = 0
    while True:
        number += 1
        if number == 10:
            bell.ring()
        yield f"{split}{number}"
        await asyncio.sleep(0)


@pytest.fixture
def sink(tmp_path: Path) -> Sink[Any]:
    return Sink(JsonLinesSink(tmp_path / "out" / "x.jsonl"), batch=3)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


async def test_an_error_of_a_stage_names_stage_item_and_cause(
    engine: Engine, sink: Sink[Any], tmp_path: Path
) -> None:
    def strict(item: int) -> int:
        if item == 7:
            raise KeyError("seven")
        return item

    def read(split: int) -> range:
        return range(split, split + 10)

    pipeline = Source(read, splits=[0]) >> Transform(strict) >> sink
    failed = await failure(pipeline, engine=engine, run_id="night")
    assert (failed.stage, failed.item, failed.run) == ("strict", 7, "night")
    assert failed.where == str(pipeline.parts[1].origin)
    assert isinstance(failed.__cause__, KeyError)
    assert failed.__cause__.args == ("seven",)
    assert str(failed) == f"stage 'strict' ({failed.where}) failed on item 7: KeyError: 'seven' [run night]"
    assert files(tmp_path / "out") == []


async def test_the_first_error_stops_the_other_units(
    side_by_side: Engine, bell: Bell, sink: Sink[Any], tmp_path: Path
) -> None:
    async def read(split: str) -> AsyncIterator[str]:
        if split == "bad":
            await bell.heard()
            raise OSError("no such disk")
        try:
            async for item in ring_then_wait(split, bell):
                yield item
        except asyncio.CancelledError:
            note(tmp_path / "log", "stopped")
            raise

    pipeline = Source(read, splits=["good", "bad", "never"]) >> sink
    await failure(pipeline, match="OSError: no such disk", engine=side_by_side)
    assert notes(tmp_path / "log") == ["stopped"]
    assert files(tmp_path / "out") == []


async def test_bad_items_are_added_up_while_units_run(side_by_side: Engine) -> None:
    async def endless(split: int) -> AsyncIterator[int]:
        for item in range(3):
            yield item
        await asyncio.Event().wait()

    def refuse(item: int) -> int:
        raise ValueError(item)

    pipeline = Source(endless, splits=[0, 1]) >> Transform(refuse, on_error="skip") >> Sink(print)
    with pytest.raises(ErrorBudgetExceeded) as caught:
        async with asyncio.timeout(PATIENCE):
            await run(pipeline, engine=side_by_side, max_errors=4)
    assert (caught.value.bad, caught.value.allowed) in {(5, 4), (6, 4)}


@pytest.mark.parametrize("stop", ["cancel", "drain", "cancel of the caller"])
async def test_a_stop_ends_a_wait_for_input_and_takes_back_what_was_written(
    engine: Engine, bell: Bell, sink: Sink[Any], tmp_path: Path, stop: Any
) -> None:
    pipeline = Source(partial(ring_then_wait, bell=bell), splits=["a"]) >> sink
    if stop == "cancel of the caller":
        running = asyncio.create_task(run(pipeline, engine=engine))
        await bell.heard()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    else:
        report = await stopped(pipeline, stop, bell.heard(), engine=engine)
        assert (report.outcome, report.written) == (f"{stop.replace('cancel', 'cancell')}ed", ())
        assert stop == "cancel" or report.stages[-1].emitted == 10
    assert files(tmp_path / "out") == []


async def test_drain_lets_what_was_read_flow_out_and_commits_nothing(
    engine: Engine, bell: Bell, tmp_path: Path
) -> None:
    pipeline = (
        Source(partial(ring_on_and_on, bell=bell), splits=["a", "b", "c"])
        >> Transform(lambda item: item)
        >> Sink(lambda item: note(tmp_path / "log", item))
    )
    report = await stopped(pipeline, "drain", bell.heard(), engine=engine)
    assert report.outcome == "drained"
    read = report.stages[0].emitted
    assert read >= 9
    assert [stage.emitted for stage in report.stages] == [read, read, read]
    assert len(notes(tmp_path / "log")) == read
    assert all(edge.sent == edge.received for edge in report.edges)


@pytest.mark.parametrize("end", ["fails", "is cancelled", "is drained"])
async def test_a_run_that_nobody_can_go_on_with_takes_back_its_prepared_units(
    engine: Engine, bell: Bell, sink: Sink[Any], tmp_path: Path, end: str
) -> None:
    async def read(split: str) -> AsyncIterator[str]:
        yield split
        if split == "b":
            await bell.heard()
            if end == "fails":
                raise OSError("not today")
            await asyncio.Event().wait()

    how = await _ended(Source(read, splits=["a", "b"]) >> sink, engine, bell, end)
    assert how == {"fails": "StageFailed"}.get(end, end.removeprefix("is "))
    assert files(tmp_path / "out") == []


async def _ended(pipeline: Pipeline, engine: Engine, bell: Bell, end: str) -> str:
    """Stop the run when its first unit has prepared, and say how it ended."""
    try:
        async with start(pipeline, engine=engine) as active:
            await until(lambda: active.progress().units_done >= 1, within=PATIENCE)
            bell.ring()
            if end == "is cancelled":
                active.cancel()
            elif end == "is drained":
                active.drain()
            return (await active.wait()).outcome
    except StageFailed as failed:
        return type(failed).__name__


class RingingJournal(MemoryJournal):
    """Rings when a unit has prepared."""

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self._bell = bell

    async def record(self, run: str, fingerprint: str, result: UnitResult) -> None:
        await super().record(run, fingerprint, result)
        self._bell.ring()


async def test_a_resumed_run_does_only_what_is_not_prepared(
    engine: Engine, bell: Bell, sink: Sink[Any], tmp_path: Path
) -> None:
    async def read(split: str) -> AsyncIterator[str]:
        note(tmp_path / "log", f"reads {split}")
        if split == "b" and notes(tmp_path / "log").count("reads b") == 1:
            await bell.heard()  # the other unit has prepared
            raise OSError("not today")
        for number in range(5):
            yield f"{split}{number}"

    out = tmp_path / "out" / "x.jsonl"
    journal = RingingJournal(bell)
    pipeline = Source(read, splits=["a", "b"]) >> sink
    await failure(pipeline, match="not today", engine=engine, journal=journal, run_id="night")
    assert not out.exists()
    report = await run(pipeline, engine=engine, journal=journal, run_id="night")
    assert (report.outcome, report.units, report.units_done, report.items) == ("succeeded", 2, 2, 10)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        f"{split}{number}" for split in "ab" for number in range(5)
    ]
    assert sorted(notes(tmp_path / "log")) == ["reads a", "reads b", "reads b"]
    assert files(tmp_path / "out") == ["x.jsonl"]


async def test_another_pipeline_cannot_go_on_with_a_run(one_after_the_other: Engine, sink: Sink[Any]) -> None:
    def read(split: int) -> list[int]:
        if split:
            raise OSError("not today")
        return [1, 2, 3]

    journal = MemoryJournal()
    options: Any = {"engine": one_after_the_other, "journal": journal, "run_id": "night"}
    await failure(Source(read, splits=[0, 1]) >> sink, **options)
    other = Source(read, splits=[0, 1]) >> Transform(lambda item: item + 1) >> sink
    await error_of(other, ResumeRefused, **options)
