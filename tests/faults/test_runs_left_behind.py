"""What swallows its cancellation, or leaves in odd ways, is left behind: the run, and whoever waits for it, go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from piko_flow import (
    Batch,
    CommitFailed,
    FlatMap,
    MemoryJournal,
    Receipt,
    Sink,
    SinkTarget,
    Source,
    StageFailed,
    Transform,
    run,
)
from piko_flow.testing import CollectingSink, items
from tests.runs import failure, python

BOUND = 20.0  # seconds; nothing here takes longer than a few
TEARDOWN = 0.2


class Stubborn:
    """A function that fails on one item and swallows, on another, every cancellation until it is released."""

    def __init__(self) -> None:
        self.released = False

    async def __call__(self, item: int) -> int:
        if item == 5:
            raise ValueError("five")
        while item == 3 and not self.released:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue
        return item

    async def several(self, item: int) -> AsyncIterator[int]:
        yield await self(item)


STAGES: dict[str, Callable[[Stubborn], Any]] = {
    "ordered": lambda stubborn: Transform(stubborn, concurrency=8) >> Batch(1),
    "unordered": lambda stubborn: Transform(stubborn, concurrency=8, ordered=False) >> Batch(1),
    "keyed": lambda stubborn: Transform(stubborn, concurrency=8, key=str) >> Batch(1),
    "flat map": lambda stubborn: FlatMap(stubborn.several, concurrency=8) >> Batch(1),
}


@pytest.mark.parametrize("stage", STAGES)
async def test_a_call_that_swallows_cancellation_does_not_hold_the_failure_of_its_own_stage(
    stage: str,
) -> None:
    stubborn = Stubborn()
    with pytest.raises(StageFailed, match="five") as caught:
        await asyncio.wait_for(
            run(items(10) >> STAGES[stage](stubborn) >> Sink(print), teardown=TEARDOWN), BOUND
        )
    assert any("stubborn" in left.lower() or "several" in left for left in caught.value.leftovers)
    stubborn.released = True
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


SCRIPT = """
import asyncio
from piko_flow import Sink, Source, Transform

async def stubborn(item):
    if item == 5:
        raise ValueError("five")
    while item == 3:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
    return item

(Source(range(10)) >> Transform(stubborn, concurrency=8) >> Sink(print)).run_sync(teardown=0.2)
"""


def test_a_script_ends_although_a_call_goes_on() -> None:
    child = python("-c", SCRIPT)
    assert child.returncode == 1
    assert "ValueError: five" in child.stderr


class Target(SinkTarget[int]):
    async def write(self, items: Sequence[int], /) -> None: ...


class ExitsWhileItAborts(Target):
    async def write(self, items: Sequence[int], /) -> None:
        raise ValueError("no room")

    async def abort(self) -> None:
        sys.exit(3)


async def test_an_exit_while_aborting_does_not_hide_the_failure() -> None:
    caught = await failure(items(3) >> Sink(ExitsWhileItAborts()), match="no room")
    (left,) = caught.leftovers
    assert "not aborted (CallExited" in left


class ForgetsItsReceipt(Target):
    async def prepare(self) -> Any:
        self.saved = True


async def test_a_prepare_without_a_receipt_fails_before_anything_is_decided() -> None:
    caught = await failure(
        items(3) >> Sink(ForgetsItsReceipt()), match=r"prepare\(\) must return a Receipt, got None"
    )
    assert isinstance(caught.__cause__, TypeError)


class Commits(Target):
    def __init__(self, lines: Any) -> None:
        super().__init__()
        self.lines = lines

    async def commit(self, receipts: Sequence[Receipt]) -> Any:
        return self.lines


@pytest.mark.parametrize(
    ("lines", "written"), [(None, ()), ("one file", ("one file",)), (["a", "b"], ("a", "b"))]
)
async def test_what_a_commit_gives_besides_a_list_is_no_failure_of_what_it_has_published(
    lines: Any, written: tuple[str, ...]
) -> None:
    report = await run(items(3) >> Sink(Commits(lines)))
    assert report.written == written


class Bare:
    """An asynchronous iterator of lists with no method to close it."""

    def __init__(self) -> None:
        self.left = [[0, 1, 2], [3, 4, 5]]

    def __aiter__(self) -> Bare:
        return self

    async def __anext__(self) -> list[int]:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop(0)


async def closing() -> AsyncIterator[list[int]]:
    async for numbers in Bare():
        yield numbers


@pytest.mark.parametrize("lists", [closing, Bare])
async def test_a_reader_whose_method_returns_an_asynchronous_iterable_is_read(lists: Any) -> None:
    class PlainLists:
        def read_chunks(self, split: object, *, reject: object) -> AsyncIterator[list[int]]:
            return lists()  # type: ignore[no-any-return]

    assert await Source(PlainLists()).collect() == list(range(6))


class Grouped:
    """A slice source that keeps a task group open around its `yield`."""

    async def read(self, since: object) -> AsyncIterator[int]:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(asyncio.sleep(3600))
            for item in range(1000):
                await asyncio.sleep(0)
                yield item
            waiting.cancel()

    def position(self) -> int:
        return 0


async def test_a_slice_ends_although_its_source_holds_a_task_group_open() -> None:
    got: list[int] = []
    report = await asyncio.wait_for(run(Source(Grouped(), max_items=3) >> Sink(got.append)), BOUND)
    assert (report.outcome, got) == ("succeeded", [0, 1, 2])


class Positioned:
    async def read(self, since: object) -> AsyncIterator[int]:
        yield 1

    async def position(self) -> int:
        return 1


async def test_a_position_that_is_a_coroutine_is_refused() -> None:
    reader: Any = Positioned()
    await failure(Source(reader, max_items=3) >> Sink(print), match="returned a coroutine")


class HangingJournal(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.deciding = asyncio.Event()

    async def decide(self, run: str, results: Sequence[Any]) -> None:
        self.deciding.set()
        await asyncio.sleep(3600)


async def test_a_journal_that_hangs_is_named_with_its_run() -> None:
    journal = HangingJournal()
    running = asyncio.create_task(
        run(items(3) >> CollectingSink[int](), journal=journal, run_id="daily", teardown=TEARDOWN)
    )
    await journal.deciding.wait()
    running.cancel()
    with pytest.raises(CommitFailed, match=r"storing the decision did not end within 0\.2 s.*\[run daily\]"):
        await asyncio.wait_for(running, BOUND)
