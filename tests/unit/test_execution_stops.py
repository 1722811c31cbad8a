"""Stopping an attempt: by a person, by the replica, by its time; and what cannot be stopped any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from piko_flow import Source, Transform
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.execution import ActiveExecution, execute
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.testing import CollectingSink
from piko_flow.testing.manual_clock import ManualClock
from tests.unit.executing import Place, started


class Work:
    """A job that waits, and what it went through."""

    def __init__(self, *, swallows: bool = False, fails: Exception | None = None) -> None:
        self.swallows, self.fails = swallows, fails
        self.told: list[str] = []
        self.closing = asyncio.Event()

    async def run(self, run: RunContext) -> None:
        self.told.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.told.append("cancelled")
            if self.fails is not None:
                raise self.fails from None
            if not self.swallows:
                raise

    async def with_client(self, run: RunContext, client: str) -> None:
        await self.run(run)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[str]:
        self.told.append("opened")
        try:
            yield "client"
        finally:
            await asyncio.sleep(0)
            self.told.append("closed")

    def flow(self, *, resource: bool = False, **options: Any) -> Flow:
        register: Any = Flow.register
        registry: Registry[Flow] = Registry()
        if resource:
            options["resources"] = {"client": self.client}
        function = self.with_client if resource else self.run
        made: Flow = register("job", function, registry=registry, **options)
        return made


@pytest.fixture
def place() -> Place:
    return Place()


async def stopped(place: Place, flow: Flow, reason: Reason) -> Any:
    execution = ActiveExecution(await place.order(flow), place.tools)
    task = await started(execution)
    execution.cancel(reason)
    return await task


@pytest.mark.parametrize("resource", [False, True], ids=["plain", "with a resource"])
async def test_a_persons_cancel_ends_the_run_cancelled(place: Place, resource: bool) -> None:
    work = Work()
    outcome = await stopped(place, work.flow(resource=resource), Reason.CANCELLED)
    assert (outcome.status, outcome.reason, outcome.mark) == (RunStatus.CANCELLED, Reason.CANCELLED, None)
    assert work.told == (["opened", "began", "cancelled", "closed"] if resource else ["began", "cancelled"])
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]  # a test runs in a task


async def test_a_released_run_goes_back_to_the_queue(place: Place) -> None:
    outcome = await stopped(place, Work().flow(), Reason.RELEASED)
    assert (outcome.status, outcome.reason) == (RunStatus.QUEUED, Reason.RELEASED)


@pytest.mark.parametrize(
    "work", [Work(swallows=True), Work(fails=ValueError("while cleaning"))], ids=["swallows", "fails"]
)
async def test_how_a_job_takes_its_cancel_does_not_matter(place: Place, work: Work) -> None:
    outcome = await stopped(place, work.flow(), Reason.CANCELLED)
    assert outcome.status is RunStatus.CANCELLED


async def test_the_first_reason_counts(place: Place) -> None:
    execution = ActiveExecution(await place.order(Work().flow()), place.tools)
    task = await started(execution)
    execution.cancel(Reason.RELEASED)
    execution.cancel(Reason.CANCELLED)
    assert (await task).reason == Reason.RELEASED


async def test_a_run_cancelled_before_it_begins_does_not_begin(place: Place) -> None:
    work = Work()
    execution = ActiveExecution(await place.order(work.flow()), place.tools)
    execution.cancel()
    assert (await execution.run()).status is RunStatus.CANCELLED
    assert work.told == []


async def test_a_cancel_after_the_end_changes_nothing(place: Place) -> None:
    async def empty(run: RunContext) -> None: ...

    flow = Flow.register("job", empty, registry=Registry())
    execution = ActiveExecution(await place.order(flow), place.tools)
    assert (await execution.run()).status is RunStatus.SUCCESS
    execution.cancel()
    await asyncio.sleep(0)


async def test_a_drained_job_goes_on(place: Place) -> None:
    execution = ActiveExecution(await place.order(Work().flow()), place.tools)
    task = await started(execution)
    execution.drain()
    await asyncio.sleep(0)
    assert not task.done()
    execution.cancel()
    await task


async def test_a_run_over_its_time_fails_and_may_be_tried_again(place: Place) -> None:
    work = Work()
    execution = ActiveExecution(await place.order(work.flow(timeout=60)), place.tools)
    task = await started(execution)
    await place.clock.advance(59)
    assert not task.done()
    await place.clock.advance(1)
    outcome = await task
    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, Reason.TIMEOUT)
    assert (outcome.error_type, outcome.error_msg) == (
        "TimeoutError",
        "TimeoutError: the run did not end within 60 s",
    )
    assert outcome.retryable
    assert work.told == ["began", "cancelled"]
    assert outcome.duration_ms == 60_000


class HeldClock(ManualClock):
    """A clock that moves on while a call holds the loop: what is due then has its turn when the call comes back."""

    def hold(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        for sleeper in self._sleepers:
            if sleeper.wakes <= self._now and not sleeper.waiting.done():
                sleeper.waiting.set_result(None)


@pytest.fixture
def clock(place: Place) -> HeldClock:
    """The clock of the place."""
    held = HeldClock()
    place.with_tools(clock=held)
    return held


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_job_that_holds_the_loop_past_its_time_fails_when_it_comes_back(
    place: Place, clock: HeldClock, turns: int
) -> None:
    async def blocking(run: RunContext) -> None:
        clock.hold(4)
        for _ in range(turns):
            await asyncio.sleep(0)

    outcome = await place.execute(Flow.register("job", blocking, timeout=1, registry=Registry()))
    assert (outcome.status, outcome.reason, outcome.error_type) == (
        RunStatus.FAILED,
        Reason.TIMEOUT,
        "TimeoutError",
    )
    assert outcome.error_msg.startswith("TimeoutError: the run did not end within 1 s")
    assert outcome.retryable
    assert clock.sleepers == 0


async def test_its_resources_are_closed_as_after_an_error(place: Place, clock: HeldClock) -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def client() -> AsyncIterator[str]:
        try:
            yield "client"
        except TimeoutError as error:
            closed.append(str(error))
            raise

    async def blocking(run: RunContext, client: str) -> None:
        clock.hold(4)

    flow: Any = Flow.register
    outcome = await place.execute(
        flow("job", blocking, timeout=1, resources={"client": client}, registry=Registry())
    )
    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, Reason.TIMEOUT)
    assert closed[0].startswith("the run did not end within 1 s; it came back after 4.0 s")


async def test_an_error_that_comes_late_is_told_itself(place: Place, clock: HeldClock) -> None:
    async def blocking(run: RunContext) -> None:
        clock.hold(4)
        raise OSError("hung up")

    outcome = await place.execute(Flow.register("job", blocking, timeout=1, registry=Registry()))
    assert (outcome.status, outcome.reason, outcome.error_type) == (
        RunStatus.FAILED,
        Reason.ERROR,
        "OSError",
    )


async def test_a_job_that_was_stopped_and_went_on_is_told_as_one_that_was_stopped(place: Place) -> None:
    execution = ActiveExecution(await place.order(Work(swallows=True).flow(timeout=1)), place.tools)
    task = await started(execution)
    await place.clock.advance(2)
    outcome = await task
    assert (outcome.reason, outcome.error_msg) == (
        Reason.TIMEOUT,
        "TimeoutError: the run did not end within 1 s",
    )


async def test_a_pipeline_that_holds_the_loop_past_its_time_commits_nothing(
    place: Place, clock: HeldClock
) -> None:
    written: CollectingSink[int] = CollectingSink()

    def blocking(item: int) -> int:
        clock.hold(4)
        return item

    pipeline = Source([1]) >> Transform(blocking) >> written
    outcome = await place.execute(Flow.register("pipe", pipeline, timeout=1, registry=Registry()))
    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, Reason.TIMEOUT)
    assert written.items == []


async def test_a_run_within_its_time_leaves_no_timer(place: Place) -> None:
    async def empty(run: RunContext) -> None: ...

    flow = Flow.register("job", empty, timeout=60, registry=Registry())
    assert (await place.execute(flow)).status is RunStatus.SUCCESS
    assert place.clock.sleepers == 0


async def test_a_cancelled_caller_cancels_the_run_and_is_told(place: Place) -> None:
    work = Work()
    task = await started(ActiveExecution(await place.order(work.flow(resource=True)), place.tools))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.told == ["opened", "began", "cancelled", "closed"]


class Slow:
    """A resource whose closing waits for the test."""

    def __init__(self) -> None:
        self.closing, self.may_close, self.closed = asyncio.Event(), asyncio.Event(), False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        yield "client"
        self.closing.set()
        await self.may_close.wait()
        self.closed = True


async def test_a_resource_that_is_being_closed_is_not_interrupted(place: Place) -> None:
    slow = Slow()

    async def job(run: RunContext, client: str) -> None: ...

    flow = Flow.register("job", job, resources={"client": slow.open}, registry=Registry())
    execution = ActiveExecution(await place.order(flow), place.tools)
    task = await started(execution)
    assert slow.closing.is_set()
    execution.cancel()
    await asyncio.sleep(0)
    slow.may_close.set()
    assert (await task).status is RunStatus.SUCCESS
    assert slow.closed


async def test_a_resource_that_does_not_close_fails_the_run(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piko_flow.control.runs.job_run.CLOSING", 0.001)
    slow = Slow()

    async def job(run: RunContext, client: str) -> None: ...

    flow = Flow.register("job", job, resources={"client": slow.open}, registry=Registry())
    outcome = await execute(await place.order(flow), place.tools)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "TimeoutError")
    assert "a resource did not close within" in outcome.error_msg
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]  # a test runs in a task
