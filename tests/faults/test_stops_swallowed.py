"""A function that swallows the cancellation of its run gets no further item."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from piko_flow import FlatMap, Retry, Sink, SinkTarget, Transform, run
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
