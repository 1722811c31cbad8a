"""A run whose counts do not add up commits nothing: the check is shown every kind of loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from piko_flow import (
    Batch,
    Broadcast,
    EngineContext,
    Filter,
    FlatMap,
    Fold,
    LocalEngine,
    Merge,
    Sink,
    Transform,
    run,
)
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.running import unit_state
from piko_flow.dataflow.running.channel import Channel
from piko_flow.errors import Unbalanced
from piko_flow.testing import CollectingSink, RecordingTarget, Script, items
from tests.runs import error_of


class Lossy(Channel[Any]):
    """A channel that loses the last of the items that it should hand out."""

    def take(self, limit: int) -> list[Any]:
        taken = super().take(limit)
        if 4 in taken or [4] in taken:
            taken = taken[:-1]
        return taken


class Doubling(Channel[Any]):
    """A channel that hands out an item twice."""

    def take(self, limit: int) -> list[Any]:
        taken = super().take(limit)
        return [*taken, taken[-1]] if 4 in taken or [4] in taken else taken


def spread(item: int) -> Iterator[int]:
    yield item


async def same(item: int) -> int:
    return item


def add(total: int, item: int) -> int:
    return total + item


def even(item: int) -> bool:
    return item % 2 == 0


BEHIND: dict[str, Callable[[], Any]] = {
    "a sink": lambda: CollectingSink(batch=3),
    "a function sink": lambda: Sink(Script[int]()),
    "a concurrent stage": lambda: Transform(same, concurrency=3) >> CollectingSink(),
    "a keyed stage": lambda: Transform(same, concurrency=3, key=even) >> CollectingSink(),
    "a stage on threads": lambda: Transform(even, on="thread") >> CollectingSink(),
    "a FlatMap": lambda: FlatMap(spread, on="thread") >> CollectingSink(),
    "a Filter": lambda: Filter(even) >> CollectingSink(),
    "a Batch": lambda: Batch(3, within=60) >> CollectingSink(),
    "a Fold": lambda: Fold(add, start=int) >> CollectingSink(),
    "both branches": lambda: Broadcast(CollectingSink(), Sink(Script[int]())),
}


@pytest.mark.parametrize("channel", [Lossy, Doubling])
@pytest.mark.parametrize("make", BEHIND.values(), ids=BEHIND)
async def test_a_channel_that_loses_or_doubles_an_item_is_found(
    make: Callable[[], Any], channel: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_state, "Channel", channel)
    target: RecordingTarget[Any] = RecordingTarget()
    caught = await error_of(
        Merge(items(10), items(0)) >> Broadcast(make(), Sink(target)),
        Unbalanced,
        match=r"nothing (else )?was committed",
        run_id="r1",
    )
    assert caught.run == "r1"
    assert caught.lines
    assert (target.record.published, target.record.unpublished) == ([], {})


class Miscounting(LocalEngine):
    """An engine whose units come back with a count changed."""

    def __init__(self, change: Callable[[UnitResult], None]) -> None:
        super().__init__()
        self.change = change

    async def run(self, plan: Plan, units: Sequence[Unit], context: EngineContext) -> None:
        async def done(result: UnitResult) -> None:
            self.change(result)
            await context.done(result)

        await super().run(plan, units, replace(context, done=done))


CHANGES: dict[str, Callable[[UnitResult], None]] = {
    "received": lambda result: setattr(result.tallies[1], "received", 9),
    "emitted": lambda result: setattr(result.tallies[1], "emitted", 9),
    "emitted by a FlatMap": lambda result: setattr(result.tallies[2], "emitted", 9),
    "received by a FlatMap": lambda result: setattr(result.tallies[2], "received", 9),
    "skipped": lambda result: setattr(result.tallies[1], "skipped", 1),
    "written": lambda result: setattr(result.tallies[-1], "emitted", 9),
    "sent": lambda result: setattr(result.edges[-1], "sent", 9),
    "delivered": lambda result: setattr(result.edges[-1], "received", 9),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_wrong_count_is_found(change: Callable[[UnitResult], None]) -> None:
    sink: CollectingSink[int] = CollectingSink()
    pipeline = items(10) >> Transform(same) >> FlatMap(spread) >> sink
    await error_of(pipeline, Unbalanced, engine=Miscounting(change))
    assert sink.items == []
    assert (await run(pipeline, engine=Miscounting(lambda result: None))).outcome == "succeeded"
