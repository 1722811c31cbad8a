"""A run ends, whatever its resources, its functions and its sinks do; what does not end with it is named."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest

from piko_flow import (
    Broadcast,
    CallCancelled,
    CommitFailed,
    Filter,
    FlatMap,
    MemoryJournal,
    Receipt,
    Resource,
    ResourceFailed,
    ResourcePool,
    Sink,
    SinkTarget,
    Source,
    StageFailed,
    Transform,
    run,
    start,
)
from tests.faults.stop_worlds import BREAKING, Client
from tests.runs import error_of, failure, stopped

BOUND = 20.0  # seconds; nothing here takes longer than a fraction of one


@pytest.mark.parametrize("event", BREAKING)
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_resource_of_the_application_that_fails_while_it_is_open_ends_the_run(
    event: str, concurrency: int
) -> None:
    resource = Client(event, hangs=False)

    async def breaks(item: int, client: str) -> int:
        resource.breaks()
        return await asyncio.Event().wait() and item

    uses = {"client": Resource(resource.open, scope="app")}
    used = Transform(breaks, uses=uses, concurrency=concurrency)
    async with asyncio.timeout(BOUND), ResourcePool() as resources:
        caught = await error_of(Source(range(10)) >> used >> Sink(print), ResourceFailed, resources=resources)
    assert (caught.while_open, caught.names) == (True, ("open",))
    assert resource.opened == resource.closed == 1


async def refuse() -> None:
    raise OSError("the connection is gone")


async def test_a_resource_of_the_application_that_has_failed_is_opened_anew_for_the_next_run() -> None:
    opened: list[int] = []

    @asynccontextmanager
    async def client() -> AsyncIterator[int]:
        opened.append(len(opened))
        async with asyncio.TaskGroup() as tasks:
            if len(opened) == 1:
                tasks.create_task(refuse())
            yield len(opened)

    async def first_waits(item: int, client: int) -> int:
        if client == 1:
            await asyncio.Event().wait()
        return client

    found: list[int] = []
    stage = Transform(first_waits, uses={"client": Resource(client, scope="app")})
    pipeline = Source([1, 2]) >> stage >> Sink(found.append)
    async with asyncio.timeout(BOUND), ResourcePool() as resources:
        await error_of(pipeline, ResourceFailed, resources=resources)
        await run(pipeline, resources=resources)
    assert found == [2, 2]


async def test_resources_are_entered_and_left_in_one_task() -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def noted() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        yield "client"
        tasks.append(asyncio.current_task())

    @asynccontextmanager
    async def scoped() -> AsyncIterator[str]:
        with anyio.CancelScope():
            async with noted() as client:
                yield client

    async def name(item: int, client: str) -> str:
        return client

    stages = (
        Transform(name, uses={"client": noted}, concurrency=3)
        >> Transform(lambda item: 1)
        >> Transform(name, uses={"client": scoped})
    )
    await run(Source(range(5)) >> stages >> Sink(lambda item: None))
    assert len(tasks) == 4
    assert len(set(map(id, tasks))) == 1
    assert tasks[0] is not asyncio.current_task()


async def cancels_itself(item: int) -> int:
    task = asyncio.current_task()
    assert task is not None
    if item == 3:
        task.cancel()
    await asyncio.sleep(0)
    return item


async def cancels_and_returns(item: int) -> int:
    task = asyncio.current_task()
    assert task is not None
    if item == 3:
        task.cancel()
    return item


async def several(item: int) -> list[int]:
    return [await cancels_itself(item)]


def inline(item: int) -> int:
    task = asyncio.current_task()
    assert task is not None
    if item == 3:
        task.cancel()
    return item


OPTIONS: tuple[dict[str, Any], ...] = (
    *({"concurrency": number, "ordered": ordered} for number in (1, 4) for ordered in (True, False)),
    {"concurrency": 4, "key": lambda item: item % 2},
)
IN_A_SHARED_TASK = [
    partial(Transform, function, **options)
    for function in (cancels_itself, cancels_and_returns)
    for options in OPTIONS
]
STAGES: list[Any] = [
    *(make() for make in IN_A_SHARED_TASK),
    FlatMap(several, concurrency=4),
    Filter(cancels_itself, concurrency=4),
    Transform(inline),
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: f"{stage.kind} {stage.name}")
async def test_a_function_that_cancels_its_own_task_fails_the_run(stage: Any) -> None:
    async with asyncio.timeout(BOUND):
        caught = await failure(Source(range(2000)) >> stage >> Sink(lambda item: None))
    assert isinstance(caught.__cause__, CallCancelled)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def raises_cancelled(item: int) -> int:
    if item == 3:
        raise asyncio.CancelledError
    return item


@pytest.mark.parametrize(
    "stage",
    [
        Transform(raises_cancelled, concurrency=4, on_error="skip"),
        Transform(raises_cancelled, concurrency=4, key=lambda item: item % 2, on_error="skip"),
        FlatMap(several, concurrency=4, on_error="skip"),  # each item has a task of its own
    ],
    ids=lambda stage: f"{stage.kind} {stage.name}",
)
async def test_an_item_that_is_known_to_have_cancelled_itself_can_be_skipped(stage: Any) -> None:
    found: list[int] = []
    async with asyncio.timeout(BOUND):
        report = await run(Source(range(8)) >> stage >> Sink(found.append))
    assert (sorted(found), report.skipped) == ([0, 1, 2, 4, 5, 6, 7], 1)


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
@pytest.mark.parametrize("make", IN_A_SHARED_TASK)
async def test_no_item_is_taken_for_the_one_that_cancelled_a_shared_task(
    make: Callable[..., Any], on_error: str
) -> None:
    stage = make(on_error=on_error)
    async with asyncio.timeout(BOUND):
        caught = await failure(Source(range(8)) >> stage >> Sink(lambda item: None))
    assert isinstance(caught.__cause__, CallCancelled)
    assert not caught.has_item


class Hanging(SinkTarget[int]):
    """A target of which one step waits for ever; also against a cancellation, where it is `stubborn`."""

    def __init__(self, step: str, *, stubborn: bool = False) -> None:
        self.step, self.stubborn = step, stubborn
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def _do(self, step: str) -> None:
        if step == self.step:
            self.reached.set()
        while step == self.step and not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise

    async def write(self, items: Sequence[int], /) -> None:
        await self._do("write")

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        await self._do("commit")
        return []

    async def abort(self) -> None:
        await self._do("abort")

    async def sweep(self, live: object) -> None:
        await self._do("sweep")


async def fails(item: int) -> int:
    raise ValueError("no")


@pytest.mark.parametrize("stubborn", [False, True])
async def test_an_abort_that_hangs_is_left_alone_after_its_time(stubborn: bool) -> None:
    target = Hanging("abort", stubborn=stubborn)
    async with asyncio.timeout(BOUND):
        caught = await failure(Source([1]) >> Transform(fails) >> Sink(target, name="table"), teardown=0.05)
    target.released.set()
    assert [line for line in caught.leftovers if "sink 'table'" in line]
    assert "did not end within 0.05 s" in "".join(caught.__notes__)


async def test_parts_are_aborted_side_by_side() -> None:
    first, second = Hanging("abort"), Hanging("abort")
    branches = Broadcast(Sink(first, name="first"), Sink(second, name="second"))
    async with asyncio.timeout(BOUND), start(Source([1]) >> Transform(fails) >> branches) as active:
        for target in (second, first):
            await target.reached.wait()
            target.released.set()
        with pytest.raises(StageFailed) as caught:
            await active.wait()
    assert not caught.value.leftovers


async def cancelled(reached: asyncio.Event, pipeline: Any, **options: Any) -> BaseException:
    """What a run raises that is cancelled five times when it has reached the moment."""
    async with asyncio.timeout(BOUND):
        running = asyncio.ensure_future(run(pipeline, teardown=0.05, **options))
        await reached.wait()
        for _ in range(5):
            running.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([running])
    try:
        running.result()
    except BaseException as error:
        return error
    raise AssertionError("it was not cancelled")


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_commit_that_hangs_ends_within_its_time_once_the_run_is_cancelled(stubborn: bool) -> None:
    target = Hanging("commit", stubborn=stubborn)
    caught = await cancelled(target.reached, Source([1]) >> Sink(target, name="table"))
    target.released.set()
    assert isinstance(caught, CommitFailed)
    task = """task "the commit of sink 'table'", which did not end in time when it was cancelled"""
    assert caught.leftovers == ((task,) if stubborn else ())


async def test_a_cancellation_during_the_sweep_says_what_was_left() -> None:
    target = Hanging("sweep")
    caught = await cancelled(target.reached, Source([1]) >> Sink(target, name="table"))
    assert isinstance(caught, asyncio.CancelledError)
    assert "Left behind: remains of sink 'table'" in "".join(caught.__notes__)


class HangingJournal(MemoryJournal):
    """A journal of which one step waits for ever."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step, self.reached = step, asyncio.Event()

    async def _wait(self, step: str) -> None:
        if step == self.step:
            self.reached.set()
            await asyncio.Event().wait()

    async def decide(self, run: str, results: Sequence[Any]) -> None:
        await self._wait("decide")
        await super().decide(run, results)

    async def committed(self, run: str) -> None:
        await self._wait("committed")
        await super().committed(run)

    async def live(self) -> Any:
        await self._wait("live")
        return await super().live()


@pytest.mark.parametrize(
    ("step", "kind", "text"),
    [
        ("decide", CommitFailed, "the journal failed to commit: TimeoutError: storing the decision"),
        ("committed", CommitFailed, "the journal failed to commit: TimeoutError: noting the commit"),
        ("live", asyncio.CancelledError, "remains of sinks, as the journal did not answer"),
    ],
)
async def test_a_journal_that_hangs_ends_within_its_time_once_the_run_is_cancelled(
    step: str, kind: type[BaseException], text: str
) -> None:
    journal = HangingJournal(step)
    caught = await cancelled(journal.reached, Source([1]) >> Sink(Hanging("none")), journal=journal)
    assert isinstance(caught, kind)
    assert text in "".join([str(caught), *getattr(caught, "__notes__", ())])


async def swallows(item: int, *, released: asyncio.Event) -> int:
    while not released.is_set():
        try:
            await released.wait()
        except asyncio.CancelledError:
            continue
    return item


async def test_a_function_that_swallows_every_cancellation_is_left_alone_after_its_time() -> None:
    released = asyncio.Event()
    stage = Transform(partial(swallows, released=released), name="stubborn", concurrency=2)
    async with asyncio.timeout(BOUND):
        report = await stopped(
            Source([1]) >> stage >> Sink(print), "cancel", asyncio.sleep(0.01), teardown=0.05
        )
    released.set()
    await asyncio.sleep(0)
    assert report.outcome == "cancelled"
    assert [line for line in report.leftovers if "stubborn" in line]
