"""How a resource closes never changes how its run ends, and a run without all its units commits nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from piko_flow import EngineContext, LocalEngine, ResourceFailed, Sink, Transform, Unbalanced, run
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.testing import RecordingTarget, Stall, items
from tests.runs import error_of, failure, stopped


@asynccontextmanager
async def swallows() -> AsyncIterator[str]:
    with suppress(BaseException):
        yield "client"


@asynccontextmanager
async def does_not_close() -> AsyncIterator[str]:
    yield "client"
    raise OSError("close failed")


@asynccontextmanager
async def fails_to_roll_back() -> AsyncIterator[str]:
    try:
        yield "client"
    finally:
        raise OSError("close failed")


async def strict(item: int, client: str) -> int:
    if item == 3:
        raise ValueError("three")
    return item


async def mild(item: int, client: str) -> int:
    return item


@pytest.mark.parametrize("resource", [swallows, fails_to_roll_back])
async def test_the_failure_of_a_stage_is_what_is_raised(resource: Any) -> None:
    target: RecordingTarget[int] = RecordingTarget(durable=True)
    pipeline = items(6, units=3) >> Transform(strict, uses={"client": resource}) >> Sink(target)
    caught = await failure(pipeline, match="three")
    assert caught.item == 3
    assert (target.record.published, target.record.unpublished) == ([], {})


async def test_a_resource_that_cannot_be_closed_fails_the_run() -> None:
    target: RecordingTarget[int] = RecordingTarget()
    await error_of(
        items(4) >> Transform(mild, uses={"client": does_not_close}) >> Sink(target),
        ResourceFailed,
        match=r"OSError: close failed\. Nothing was committed",
    )
    assert (target.record.published, target.record.unpublished) == ([], {})


@pytest.mark.parametrize("resource", [swallows, fails_to_roll_back])
async def test_a_cancelled_run_is_cancelled_whatever_its_resources_do(resource: Any) -> None:
    target: RecordingTarget[int] = RecordingTarget()
    stall = Stall()

    async def waits(item: int, client: str) -> int:
        await stall.happen()
        return item

    pipeline = items(4) >> Transform(waits, uses={"client": resource}) >> Sink(target)
    report = await stopped(pipeline, "cancel", stall.reached.wait())
    assert report.outcome == "cancelled"
    stall = Stall()
    task = asyncio.create_task(run(pipeline))
    await stall.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (target.record.published, target.record.unpublished) == ([], {})


class Forgetful(LocalEngine):
    """An engine with a defect: it runs only the first of the units."""

    async def run(self, plan: Plan, units: Sequence[Unit], context: EngineContext) -> None:
        await super().run(plan, units[:1], context)


async def test_a_run_without_all_its_units_commits_nothing() -> None:
    target: RecordingTarget[int] = RecordingTarget(durable=True)
    await error_of(
        items(6, units=3) >> Sink(target),
        Unbalanced,
        match="2 of 3 units did not read their source to the end",
        engine=Forgetful(),
    )
    assert (target.record.published, target.record.unpublished) == ([], {})


async def test_a_cancellation_that_comes_too_late_is_raised_when_the_run_is_committed() -> None:
    committing = Stall()
    target: RecordingTarget[int] = RecordingTarget(faults={"commit": [committing]})
    task = asyncio.create_task(run(items(3) >> Sink(target)))
    await committing.reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    committing.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert target.record.published == [0, 1, 2]
