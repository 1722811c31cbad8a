"""Calls on threads that were given up and do not return: what they cost their stage, and that they cost no other one."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from piko_flow import Broadcast, FlatMap, LocalEngine, Pipeline, RunReport, Sink, ThreadsStuck, Transform, run
from piko_flow.dataflow.running.thread_pool import STUCK, ThreadPool
from piko_flow.testing import CollectingSink, items
from tests.runs import failure

BOUND = 20.0  # seconds; nothing here takes longer than a fraction of one
SHORT = 0.01  # seconds that a call may take here
MORE = 30  # calls beyond those that may be stuck


class Blocking:
    """A function that does not return before it is released, and the generator that is like it."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def call(self, item: int) -> int:
        self.release.wait()
        return item

    def several(self, item: int) -> Iterator[int]:
        self.release.wait()
        yield item


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    made = Blocking()
    yield made
    made.release.set()


def same(item: int) -> int:
    return item


def one_blocked_branch(blocking: Blocking, sink: CollectingSink[int]) -> Pipeline:
    """A stage that blocks on every item, beside one that never does; both on threads, neither far ahead."""
    blocked = Transform(blocking.call, on="thread", timeout=SHORT, on_error="dead_letter", name="blocked")
    working = Transform(same, on="thread", concurrency=2, name="working")
    return items(STUCK + MORE) >> Broadcast(blocked >> CollectingSink[int](), working >> sink)


def assert_stuck(report: RunReport) -> None:
    """As many calls timed out as may be stuck, and the others were refused.

    A busy machine may be so late to begin a call that it is given up before and never made, hence not stuck.
    """
    failures = Counter(letter.error_type for letter in report.dead_letters)
    assert set(failures) == {"TimeoutError", "ThreadsStuck"}
    assert failures.total() == STUCK + MORE
    assert failures["TimeoutError"] >= STUCK


async def test_a_stage_that_leaks_threads_fails_and_the_others_go_on(
    blocking: Blocking, caplog: pytest.LogCaptureFixture
) -> None:
    sink = CollectingSink[int]()
    report = await asyncio.wait_for(run(one_blocked_branch(blocking, sink), capacity=2), BOUND)
    assert sink.items == list(range(STUCK + MORE))
    assert_stuck(report)
    assert report.leftovers == (f"{STUCK} threads of stage 'blocked', in calls that have not returned",)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["stage 'blocked'"]


@pytest.mark.parametrize("name", ["call", "several"])
async def test_the_error_names_the_stage_the_calls_that_are_stuck_and_what_to_do(
    blocking: Blocking, name: str
) -> None:
    kind = {"call": Transform, "several": FlatMap}[name]
    stage = kind(getattr(blocking, name), on="thread", timeout=SHORT, on_error="dead_letter", name="blocked")
    report = await asyncio.wait_for(run(items(STUCK + MORE) >> stage >> CollectingSink[int]()), BOUND)
    (error,) = {letter.error for letter in report.dead_letters if letter.error_type == "ThreadsStuck"}
    assert error == (
        f"ThreadsStuck: no thread for a call of stage 'blocked': {STUCK} calls that took longer than their timeout "
        "have not returned, and a stage leaves no more behind. Bound the work inside the function, for example by a timeout of its client"
    )


async def test_units_one_after_the_other_share_the_bound_of_a_stage(blocking: Blocking) -> None:
    stage = Transform(blocking.call, on="thread", timeout=SHORT / 10, on_error="dead_letter")
    units = items(STUCK + MORE, units=STUCK + MORE)
    report = await run(units >> stage >> CollectingSink[int](), engine=LocalEngine(1))
    assert_stuck(report)


async def test_a_stage_that_fails_on_what_is_stuck_ends_its_run(blocking: Blocking) -> None:
    skipping = Transform(
        blocking.call, on="thread", concurrency=64, timeout=SHORT, on_error="skip", name="blocked"
    )
    last = Transform(blocking.call, on="thread", timeout=SHORT, name="last")
    caught = await failure(items(5) >> Broadcast(skipping >> Sink(same), last >> Sink(same)), match="'last'")
    assert len(caught.leftovers) == 2


async def test_a_call_waits_for_one_that_is_stuck_as_long_as_its_timeout() -> None:
    release = threading.Event()
    async with ThreadPool() as pool:
        stage = pool.stage(0, "blocked")
        calls = [stage.call(release.wait, timeout=SHORT) for _ in range(STUCK)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {TimeoutError}
        late, never = stage.call(same, 1, timeout=SHORT), stage.call(same, 2)
        for refused in (late, never):
            with pytest.raises(ThreadsStuck) as caught:
                await refused
            assert (caught.value.stage, caught.value.calls) == ("blocked", STUCK)
        waiting, given_up = stage.call(same, 3, timeout=BOUND), stage.call(same, 4, timeout=BOUND)
        given_up.cancel()
        assert await pool.stage(1, "other").call(same, 5) == 5
        release.set()
        assert await waiting == 3
    assert pool.leftovers == []


async def test_a_call_that_is_cancelled_before_its_thread_begins_is_not_made() -> None:
    made: list[int] = []
    async with ThreadPool() as pool:
        stage, release = pool.stage(0, "busy"), threading.Event()
        busy = stage.call(release.wait)
        cancelled = stage.call(made.append, 1, timeout=BOUND)
        cancelled.cancel()
        release.set()
        await busy
        await stage.call(made.append, 2)
    assert 2 in made
