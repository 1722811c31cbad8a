"""Whatever a stage is, an observer hears of all its items, in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from piko_flow import Batch, CpuMap, FlatMap, Merge, Sink, Source, Throttle, Transform, run
from piko_flow.dataflow.reports.observer import SilentObserver

ITEMS = 1000


class Chunks(SilentObserver):
    """Adds up what it is told, by the stage that an operator begins with."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.told: dict[str, int] = {}

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        assert items > 0
        assert seconds >= 0
        self.items[stage] = self.items.get(stage, 0) + items
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        self.told[stage] = self.told.get(stage, 0) + 1


async def arriving() -> AsyncIterator[int]:
    for item in range(ITEMS):
        yield item


async def same(item: int) -> int:
    return item


async def twice(item: int) -> AsyncIterator[int]:
    yield item
    yield item


def key(item: int) -> int:
    return item % 7


def put(items: Any) -> None:
    """A sink."""


class Lists:
    """A sink of lists."""

    async def write(self, items: Sequence[int], /) -> None:
        """Take them."""


CHAINS: dict[str, tuple[str, Any]] = {
    "source": ("arriving", lambda: Source(arriving)),
    "concurrent": ("same", lambda: Source(range(ITEMS)) >> Transform(same, concurrency=8)),
    "unordered": ("same", lambda: Source(range(ITEMS)) >> Transform(same, concurrency=8, ordered=False)),
    "keyed": ("same", lambda: Source(range(ITEMS)) >> Transform(same, concurrency=8, key=key)),
    "flat_map": ("twice", lambda: Source(range(ITEMS)) >> FlatMap(twice, concurrency=4)),
    "batch": ("Batch", lambda: Source(range(ITEMS)) >> Batch(10, within=5.0)),
    "throttle": ("Throttle", lambda: Source(range(ITEMS)) >> Throttle(ITEMS, per=0.1)),
    "merge": (
        "Merge",
        lambda: Merge(Source(range(ITEMS // 2), name="a"), Source(range(ITEMS // 2), name="b")),
    ),
    "cpu": ("abs", lambda: Source(range(ITEMS)) >> CpuMap(abs, workers=1)),
    "fused": ("range", lambda: Source(range(ITEMS)) >> Transform(abs)),
}


@pytest.mark.parametrize("kind", CHAINS)
async def test_every_item_of_an_operator_is_told_in_chunks(kind: str) -> None:
    stage, chain = CHAINS[kind]
    chunks = Chunks()
    report = await run(chain() >> Sink(put), observer=chunks)
    names = {one.name: one for one in report.stages}
    found = stage if stage in names else next(name for name in names if name.lower().startswith(kind))
    assert chunks.items[found] == ITEMS
    assert chunks.told[found] <= ITEMS / 2
    assert chunks.seconds[found] <= report.seconds * 2


async def test_a_sink_that_writes_lists_tells_its_items() -> None:
    chunks = Chunks()
    await run(Source(range(ITEMS)) >> Sink(Lists(), batch=100, name="store"), observer=chunks)
    assert (chunks.items["store"], chunks.told["store"]) == (ITEMS, 10)
