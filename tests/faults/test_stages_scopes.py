"""A generator may hold a scope around its `yield`: its end reaches the generator, and no item is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from piko_flow import CallCancelled, FlatMap, RunReport, Sink, Source, StageFailed, start
from piko_flow.testing import turns, until
from tests.runs import failure

BOUND = 20.0  # seconds
ENOUGH = 30  # turns of the loop after which everybody waits who will


class Scene:
    """Items 0, 1, 2 that each give themselves and 10, 20 more; `end()` ends the scope that item 1 has open around them.

    The sink waits for `go_on` where it gets what the item `blocks` gives.
    """

    def __init__(self, gives: int = 3, *, blocks: int = 1) -> None:
        self.gives, self.blocks = gives, blocks
        self.end: Callable[[], object] | None = None
        self.seen: list[str] = []
        self.written: list[int] = []
        self.go_on = asyncio.Event()
        self.first_waits = asyncio.Event()

    async def values(self, item: int) -> AsyncIterator[int]:
        for number in range(self.gives):
            if item == 0:
                await self.first_waits.wait()
            yield item + 10 * number

    async def write(self, item: int) -> None:
        if item % 10 == self.blocks:
            await self.go_on.wait()
        self.written.append(item)

    async def timeout(self, item: int) -> AsyncIterator[int]:
        """Raises TimeoutError."""
        async with asyncio.timeout(None) as bound:
            if item == 1:
                self.end = lambda: bound.reschedule(0)
            async for value in self.values(item):
                yield value

    async def caught_timeout(self, item: int) -> AsyncIterator[int]:
        """Gives -1 after its time."""
        try:
            async with asyncio.timeout(None) as bound:
                if item == 1:
                    self.end = lambda: bound.reschedule(0)
                async for value in self.values(item):
                    yield value
        except TimeoutError:
            self.seen.append("timeout")
            yield -1

    async def task_group(self, item: int) -> AsyncIterator[int]:
        """Raises the ValueError of its task, in a group."""
        fails = asyncio.Event()

        async def task() -> None:
            await fails.wait()
            raise ValueError("a task of the generator")

        async with asyncio.TaskGroup() as group:
            if item == 1:
                group.create_task(task())
                self.end = fails.set
            async for value in self.values(item):
                yield value

    async def cancel_scope(self, item: int) -> AsyncIterator[int]:
        """Ends without a word, as `anyio.move_on_after` does."""
        with anyio.CancelScope() as scope:
            if item == 1:
                self.end = scope.cancel
            async for value in self.values(item):
                yield value


SKIPS = {"timeout": 1, "caught_timeout": 0, "task_group": 1, "cancel_scope": 0}


async def ended_while_waiting(scene: Scene, stage: Any) -> RunReport:
    """The report of a run in which the scope of item 1 ends while that item waits to hand on."""
    pipeline = Source(range(3)) >> stage >> Sink(scene.write)
    async with asyncio.timeout(BOUND), start(pipeline, capacity=1) as active:
        await until(lambda: scene.end is not None)
        await turns(ENOUGH)
        assert scene.end is not None
        scene.end()
        await turns(ENOUGH)
        scene.first_waits.set()
        scene.go_on.set()
        return await active.wait()


@pytest.mark.parametrize("kind", SKIPS)
async def test_a_scope_that_ends_on_a_full_channel_ends_its_generator_only(kind: str) -> None:
    scene = Scene()
    scene.first_waits.set()
    report = await ended_while_waiting(scene, FlatMap(getattr(scene, kind), on_error="skip"))
    given = [item for item in scene.written if item % 10 == 1]
    assert [item for item in scene.written if item % 10 == 0] == [0, 10, 20]
    assert [item for item in scene.written if item % 10 == 2] == [2, 12, 22]
    assert given == [1, 11, 21][: len(given)]  # what it has given is there, once and in order
    assert given
    assert report.skipped == SKIPS[kind]
    assert scene.written.count(-1) == len(scene.seen) == (kind == "caught_timeout")


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("kind", SKIPS)
async def test_a_scope_that_ends_before_the_items_turn_ends_its_generator_only(
    kind: str, ordered: bool
) -> None:
    # More than is held back: its generator waits while item 0 has the turn, and has not given anything or is blocked.
    scene = Scene(gives=1000, blocks=1 if ordered else 0)
    if not ordered:
        scene.first_waits.set()
    stage = FlatMap(getattr(scene, kind), concurrency=2, ordered=ordered, on_error="skip")
    report = await ended_while_waiting(scene, stage)
    given = [item for item in scene.written if item % 10 == 1]
    assert [item for item in scene.written if item % 10 == 0] == list(range(0, 10_000, 10))
    assert [item for item in scene.written if item % 10 == 2] == list(range(2, 10_000, 10))
    assert given == list(range(1, 10_000, 10))[: len(given)]
    assert 256 <= len(given) < 1000
    assert report.skipped == SKIPS[kind]


async def test_a_failure_names_the_item_whose_scope_has_ended() -> None:
    scene = Scene()
    scene.first_waits.set()
    report = await ended_while_waiting(scene, FlatMap(scene.timeout, on_error="dead_letter"))
    assert [(letter.item, letter.error_type) for letter in report.dead_letters] == [(1, "TimeoutError")]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("timeout", TimeoutError), ("task_group", ValueError), ("caught_timeout", CallCancelled)],
)
async def test_a_scope_of_a_source_that_ends_on_a_full_channel_ends_the_run_with_its_error(
    kind: str, cause: type[Exception]
) -> None:
    scene = Scene()
    pipeline = Source(lambda: getattr(scene, kind)(1), name="scoped") >> Sink(scene.write)
    async with asyncio.timeout(BOUND), start(pipeline, capacity=1) as active:
        await until(lambda: scene.end is not None)
        await turns(ENOUGH)
        assert scene.end is not None
        scene.end()
        with pytest.raises(StageFailed, match="stage 'scoped'") as caught:
            await active.wait()
    assert isinstance(caught.value.__cause__, cause)


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_generator_that_swallows_the_cancellation_of_its_run_does_not_go_on(concurrency: int) -> None:
    given = 0

    async def stubborn(item: int) -> AsyncIterator[int]:
        nonlocal given
        while True:
            try:
                await asyncio.sleep(0)
                given += 1
                yield item
            except asyncio.CancelledError:
                pass

    async def refuse(item: int) -> None:
        if item:
            raise ValueError("no")

    pipeline = Source([1, 1]) >> FlatMap(stubborn, concurrency=concurrency) >> Sink(refuse)
    async with asyncio.timeout(BOUND):
        await failure(pipeline, match="no")
    ended = given
    await turns(ENOUGH)
    assert given == ended
