"""A function that swallows the cancellation of its run gets no further item."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from piko_flow import FlatMap, Part, Receipt, Retry, Sink, SinkTarget, Transform, run, start
from piko_flow.testing import CollectingSink, items
from tests.runs import stopped


class Stubborn:
    """Waits for ever, goes on when it is cancelled, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = asyncio.Event()

    async def stay(self) -> None:
        self.calls += 1
        self.called.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def __call__(self, item: int) -> int:
        await self.stay()
        return item

    async def several(self, item: int) -> list[int]:
        await self.stay()
        return [item]

    async def fails(self, item: int) -> int:
        await self.stay()
        raise OSError("again")


class StubbornTarget(SinkTarget[int]):
    def __init__(self, stubborn: Stubborn) -> None:
        self.stubborn = stubborn

    async def write(self, items: Sequence[int], /) -> None:
        await self.stubborn.stay()


def pipelines(stubborn: Stubborn) -> dict[str, Any]:
    source, end = items(12), CollectingSink[int]()
    return {
        "one": source >> Transform(stubborn) >> end,
        "ordered": source >> Transform(stubborn, concurrency=3) >> end,
        "unordered": source >> Transform(stubborn, concurrency=3, ordered=False) >> end,
        "by key": source >> Transform(stubborn, key=lambda item: 0, concurrency=3) >> end,
        "flat map": source >> FlatMap(stubborn.several, concurrency=3) >> end,
        "retried": source >> Transform(stubborn.fails, retry=Retry(50, first=0)) >> end,
        "sink": source >> Sink(stubborn),
        "lists": source >> Sink(StubbornTarget(stubborn), batch=2),
    }


@pytest.mark.parametrize("name", list(pipelines(Stubborn())))
async def test_no_further_call_is_made(name: str) -> None:
    stubborn = Stubborn()
    report = await stopped(pipelines(stubborn)[name], "cancel", stubborn.called.wait())
    assert report.outcome == "cancelled"
    assert stubborn.calls <= 3
    stubborn = Stubborn()
    task = asyncio.create_task(run(pipelines(stubborn)[name]))
    await stubborn.called.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stubborn.calls <= 3


class StubbornStep(SinkTarget[int]):
    """One of its steps swallows every cancellation."""

    def __init__(self, step: str) -> None:
        self.step, self.reached, self.over = step, asyncio.Event(), asyncio.Event()

    async def stay(self) -> None:
        self.reached.set()
        while not self.over.is_set():
            with suppress(asyncio.CancelledError):
                await self.over.wait()

    async def open(self, part: Part) -> None:
        await super().open(part)
        if self.step == "open":
            await self.stay()

    async def write(self, items: Sequence[int], /) -> None: ...

    async def prepare(self) -> Receipt:
        await self.stay()
        return await super().prepare()


@pytest.mark.parametrize("step", ["open", "prepare"])
async def test_a_step_of_a_target_that_swallows_its_cancellation_is_left_after_one_teardown(
    step: str,
) -> None:
    target = StubbornStep(step)
    pipeline = items(2) >> Sink(target, name="stubborn")
    try:
        async with start(pipeline, teardown=0.01) as active:
            await target.reached.wait()
            active.cancel()
            async with asyncio.timeout(3):  # several teardowns with their graces take longer
                report = await active.wait()
        assert (report.outcome, len(report.leftovers)) == ("cancelled", 1)
        assert "task 'stubborn'" in report.leftovers[0]
    finally:
        target.over.set()
