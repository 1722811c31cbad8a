"""The options `retry` and `timeout`, for every stage that takes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from piko_flow import CpuMap, Filter, FlatMap, Reject, Retry, Sink, Source, Transform, run
from piko_flow.testing import (
    CollectingSink,
    RecordingObserver,
    RecordingTarget,
    Script,
    Stall,
    Turns,
    items,
    turns,
)
from tests.faults.stop_sources import KINDS, Feed, Kind, NotThere
from tests.runs import failure

TWICE = Retry(attempts=3, first=0, on=OSError)
BUSY = OSError("busy")
SHORT = 0.01  # seconds: an attempt that stalls is given up after so long, whatever the machine does


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_retried_item_keeps_its_place(concurrency: int) -> None:
    script = Script({3: [BUSY, BUSY], 4: [Turns(3), BUSY]})
    sink: CollectingSink[int] = CollectingSink()
    report = await run(
        items(10) >> Transform(script, concurrency=concurrency, retry=TWICE, name="work") >> sink
    )
    assert sink.items == list(range(10))
    assert script.calls.count(3) == 3
    assert report.stage("work").retried == 2


async def test_a_retried_item_keeps_its_slot() -> None:
    waiting = Stall(error=BUSY)
    script = Script({0: [BUSY, waiting]})
    task = asyncio.create_task(
        run(items(10) >> Transform(script, concurrency=2, retry=TWICE) >> CollectingSink())
    )
    await waiting.reached.wait()
    await turns(50)
    assert sorted(script.calls) == [0, 0, 1]
    waiting.release()
    await task
    assert script.ended == [1, 0, *range(2, 10)]


async def test_a_retried_item_holds_back_its_key() -> None:
    script = Script({0: [BUSY, BUSY]})
    await run(items(6) >> Sink(script, concurrency=3, key=lambda item: item % 2, retry=TWICE))
    assert [item for item in script.ended if item % 2 == 0] == [0, 2, 4]
    assert [item for item in script.calls if item % 2 == 0][:3] == [0, 0, 0]


async def test_a_cpu_item_is_tried_again_alone_and_keeps_its_place(tmp_path: Path) -> None:
    def fail_once(item: int) -> int:
        mark = tmp_path / str(item)
        if item % 10 == 3 and not mark.exists():
            mark.touch()
            raise OSError("busy")
        return item

    sink: CollectingSink[int] = CollectingSink()
    report = await run(items(40) >> CpuMap(fail_once, workers=1, retry=TWICE, name="cpu") >> sink)
    assert sink.items == list(range(40))
    assert report.stage("cpu").retried == 4


async def test_a_target_writes_the_same_list_again() -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={"write": [BUSY, BUSY]})
    report = await run(items(4) >> Sink(target, batch=2, retry=TWICE, name="sink"))
    assert target.record.published == [0, 1, 2, 3]
    assert [call.items for call in target.record.calls if call.step == "write"] == [
        (0, 1),
        (0, 1),
        (0, 1),
        (2, 3),
    ]
    assert report.stage("sink").retried == 4


@pytest.mark.parametrize("kind", KINDS[1:], ids=str)
async def test_a_source_is_read_again_while_it_has_given_nothing(kind: Kind) -> None:
    sink: CollectingSink[int] = CollectingSink()
    retry = Retry(3, first=0, on=NotThere)
    report = await run(kind.source(Feed(fails=2, ends_after=3), retry=retry) >> sink)
    assert (sink.items, report.stage("source").retried) == ([1, 2, 3], 2)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_source_that_has_given_something_is_not_read_again(waits: bool) -> None:
    opened: list[str] = []

    def read() -> Iterator[int]:
        opened.append("opened")
        yield 1
        raise OSError("gone")

    async def read_waiting() -> AsyncIterator[int]:
        for number in read():
            yield number

    source: Source[int] = Source(read_waiting if waits else read, retry=TWICE, name="source")
    caught = await failure(source >> CollectingSink(), match="gone")
    assert (caught.stage, opened) == ("source", ["opened"])


async def test_a_flat_map_is_tried_again_only_before_its_first_output() -> None:
    calls: list[int] = []

    async def spread(item: int) -> AsyncIterator[int]:
        calls.append(item)
        if item == 1 and calls.count(1) == 1:
            raise OSError("before")
        yield item
        if item == 2:
            raise OSError("after")

    sink: CollectingSink[int] = CollectingSink()
    report = await run(items(4) >> FlatMap(spread, retry=TWICE, on_error="skip", name="spread") >> sink)
    assert calls == [0, 1, 1, 2, 3]
    assert sink.items == [0, 1, 2, 3]
    assert (report.stage("spread").retried, report.stage("spread").skipped) == (1, 1)


async def test_a_timeout_bounds_one_attempt() -> None:
    script = Script({1: [Stall(), Stall()]})
    sink: CollectingSink[int] = CollectingSink()
    await run(items(3) >> Transform(script, timeout=SHORT, retry=Retry(3, first=0, on=TimeoutError)) >> sink)
    assert sink.items == [0, 1, 2]
    assert (script.cancelled, script.most) == ([1, 1], 1)  # an attempt ends before the next begins


@pytest.mark.parametrize("stage", [Transform, Filter, Sink])
async def test_an_attempt_past_its_timeout_fails_with_timeout_error(stage: Any) -> None:
    script = Script({1: [Stall()]})
    work = stage(script, timeout=timedelta(seconds=SHORT), name="work")
    pipeline = items(3) >> work if stage is Sink else items(3) >> work >> CollectingSink()
    caught = await failure(pipeline, match=r"0\.01 s")
    assert isinstance(caught.__cause__, TimeoutError)
    assert (caught.stage, caught.item) == ("work", 1)


async def test_a_timeout_error_of_the_function_itself_passes_as_it_is() -> None:
    own = TimeoutError("the server said so")
    caught = await failure(items(3) >> Transform(Script({1: [own]}), timeout=60) >> CollectingSink())
    assert caught.__cause__ is own


async def test_a_flat_map_s_timeout_is_for_the_function_s_own_time() -> None:
    async def spread(item: int) -> AsyncIterator[int]:
        yield item
        if item == 1:
            await asyncio.Event().wait()

    sink: CollectingSink[int] = CollectingSink()
    report = await run(
        items(3) >> FlatMap(spread, timeout=SHORT, on_error="dead_letter", name="spread") >> sink
    )
    assert sink.items == [0, 1, 2]
    assert [(letter.item, letter.error_type) for letter in report.dead_letters] == [(1, "TimeoutError")]


async def test_a_worker_process_past_its_timeout_is_replaced() -> None:
    def work(item: int) -> int:
        if item == 3:
            threading.Event().wait()
        return item

    sink: CollectingSink[int] = CollectingSink()
    pipeline = items(6) >> CpuMap(work, workers=1, timeout=1, on_error="dead_letter", name="cpu") >> sink
    report = await run(pipeline)
    assert sink.items == [0, 1, 2, 4, 5]
    assert [(letter.item, letter.error_type) for letter in report.dead_letters] == [(3, "TimeoutError")]
    assert report.workers["replaced"] == 1


async def test_a_target_s_write_past_its_timeout_fails() -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={"write": Stall()})
    caught = await failure(items(3) >> Sink(target, batch=2, timeout=SHORT), match=r"0\.01 s")
    assert isinstance(caught.__cause__, TimeoutError)
    assert target.record.steps() == ["open", "write", "abort"]


class Torn:
    """A reader that cannot read one piece, and fails; the second attempt would read on."""

    def __init__(self) -> None:
        self.attempts = 0

    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[int]]:
        self.attempts += 1
        if self.attempts > 1:
            reject("torn", ValueError("torn"))
        if self.attempts < 5:
            raise BUSY
        yield [1]


async def test_a_source_that_rejected_something_is_not_read_again() -> None:
    """Read again, it would reject the same piece once more: one dead letter would be two."""
    torn, observer = Torn(), RecordingObserver()
    await failure(
        Source(torn, retry=Retry(attempts=5, first=0), on_error="dead_letter") >> CollectingSink(),
        match="busy",
        observer=observer,
    )
    assert torn.attempts == 2
    assert [letter.item for letter in observer.letters] == ["torn"]
