"""One attempt of a plain job: what it is given, and how its end is told."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import Retry, Sink, Source
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.execution import ActiveExecution, Outcome, execute
from piko_flow.errors import ClaimLost, RequestRefused
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.planning.window import Window
from piko_flow.store.records import ParamsVersion
from tests.unit.executing import DAY, Place, started


class Params(BaseModel):
    limit: int = 3


@pytest.fixture
def place() -> Place:
    return Place()


def job(function: Any, **options: Any) -> Flow:
    register: Any = Flow.register
    made: Flow = register("job", function, registry=Registry(), **options)
    return made


def failing(error: BaseException) -> Flow:
    async def fail(run: RunContext[Any]) -> None:
        raise error

    return job(fail, retry=Retry(attempts=2, on=OSError))


async def test_a_job_is_given_its_run(place: Place) -> None:
    seen: list[RunContext[Any]] = []

    async def see(run: RunContext[Params]) -> None:
        seen.append(run)

    flow = job(see, params=Params, stateful=True)
    version = ParamsVersion("job", '{"limit": 5}')
    order = await place.order(flow, version=version, window=DAY)
    outcome = await execute(order, place.tools)
    (run,) = seen
    assert (run.id, run.flow, run.attempt) == (order.record.id, "job", 1)
    assert (run.window, run.scheduled_time) == (DAY, place.clock.now())
    assert run.params == Params(limit=5)
    assert (outcome.status, outcome.reason, outcome.error_msg) == (RunStatus.SUCCESS, "", "")


async def test_a_job_that_gives_a_pipeline_has_failed_as_nobody_runs_that(place: Place) -> None:
    async def builds(run: RunContext):  # type: ignore[no-untyped-def]
        return Source([1]) >> Sink(print)

    outcome = await execute(await place.order(job(builds)), place.tools)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "FlowError")
    assert "which nobody runs. Write it with def" in outcome.error_msg


async def test_values_given_with_a_trigger_lie_over_the_version(place: Place) -> None:
    seen: list[Any] = []

    async def see(run: RunContext) -> None:
        seen.append(run.params)

    await place.execute(job(see), version=ParamsVersion("job", '{"a": 1, "b": 1}'), params='{"b": 2}')
    assert seen == [{"a": 1, "b": 2}]


async def test_a_job_that_fails_is_told_with_type_message_and_place(place: Place) -> None:
    outcome = await place.execute(failing(OSError("disk full")))
    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, Reason.ERROR)
    assert outcome.error_type == "OSError"
    assert re.fullmatch(r"OSError: disk full \(test_execution_jobs\.py:\d+ in fail\)", outcome.error_msg)
    assert outcome.retryable
    assert len(outcome.error_hash) == 32


async def test_the_same_failure_with_other_values_has_the_same_fingerprint(place: Place) -> None:
    one = await place.execute(failing(OSError("disk 1 full")))
    two = await place.execute(failing(OSError("disk 2 full")))
    other = await place.execute(failing(KeyError("disk")))
    assert one.error_hash == two.error_hash != other.error_hash


async def test_errors_that_the_flow_does_not_retry_are_told_so(place: Place) -> None:
    assert not (await place.execute(failing(KeyError("no")))).retryable
    assert not (await place.execute(failing(RequestRefused(what="a", rule="b", got="c")))).retryable


async def test_of_a_group_of_errors_the_first_is_told(place: Place) -> None:
    group = ExceptionGroup("several", [OSError("first"), ValueError("second")])
    outcome = await place.execute(failing(group))
    assert outcome.error_type == "OSError"
    assert re.fullmatch(r"OSError: first \(and 1 more\)", outcome.error_msg)
    assert outcome.retryable


async def test_a_long_message_is_cut_to_its_column(place: Place) -> None:
    outcome = await place.execute(failing(OSError("x" * 9000)))
    assert len(outcome.error_msg) == 512
    assert re.search(r"xx… \(test_execution_jobs\.py:\d+ in fail\)$", outcome.error_msg)


async def test_a_job_that_exits_the_program_fails_alone(place: Place) -> None:
    async def leave(run: RunContext) -> None:
        sys.exit(3)

    outcome = await place.execute(job(leave))
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "CallExited")


async def test_a_job_that_raises_a_cancellation_of_its_own_fails(place: Place) -> None:
    outcome = await place.execute(failing(asyncio.CancelledError()))
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "CallCancelled")


async def test_params_that_do_not_fit_fail_the_run_for_good(place: Place) -> None:
    async def never(run: RunContext[Params]) -> None:
        raise AssertionError("it ran")

    flow = job(never, params=Params, retry=5)
    outcome = await place.execute(flow, version=ParamsVersion("job", '{"limit": "x"}'))
    assert (outcome.status, outcome.error_type, outcome.retryable) == (
        RunStatus.FAILED,
        "ParamsRefused",
        False,
    )
    assert "limit: Input should be a valid integer" in outcome.error_msg


async def test_a_job_that_finds_its_claim_lost_goes_back(place: Place) -> None:
    async def check(run: RunContext) -> None:
        await run.check_claim()
        await place.claimed_again(order.record)
        with pytest.raises(ClaimLost):
            await run.check_claim()
        await run.check_claim()

    order = await place.order(job(check))
    outcome = await execute(order, place.tools)
    assert (outcome.status, outcome.reason) == (RunStatus.QUEUED, Reason.RELEASED)


async def test_a_jobs_time_is_told_in_milliseconds(place: Place) -> None:
    async def work(run: RunContext) -> None:
        await place.clock.sleep(1.5)

    task = await started(ActiveExecution(await place.order(job(work)), place.tools))
    await place.clock.advance(1.5)
    outcome = await task
    assert (outcome.duration_ms, outcome.compute_ms, outcome.persist_ms) == (1500, 1500, 0)


async def test_an_outcome_says_what_is_written_of_the_run_and_its_window(place: Place) -> None:
    async def empty(run: RunContext) -> None: ...

    order = await place.order(job(empty, stateful=True), window=DAY)
    ending = (await execute(order, place.tools)).ending(order.record)
    assert (ending.run, ending.claim, ending.flow) == (order.record.id, 1, "job")
    assert (ending.status, ending.window, ending.mark) == (RunStatus.SUCCESS, DAY, Mark.DONE)


MARKS = [
    (Outcome(RunStatus.SUCCESS), Mark.DONE),
    (Outcome(RunStatus.SUCCESS, dead_items=1), Mark.INCOMPLETE),
    (Outcome(RunStatus.FAILED), Mark.FAILED),
    (Outcome(RunStatus.CANCELLED), None),
]


@pytest.mark.parametrize(
    ("outcome", "mark"), MARKS, ids=[f"{one.status}-{one.dead_items}" for one, _ in MARKS]
)
@pytest.mark.parametrize("window", [DAY, None], ids=["stateful", "stateless"])
async def test_only_a_run_over_a_window_marks_one(
    place: Place, outcome: Outcome, mark: Mark | None, window: Window | None
) -> None:
    async def empty(run: RunContext) -> None: ...

    record = await place.claimed(job(empty), window=window)
    assert outcome.ending(record).mark == (None if window is None else mark)


async def test_an_empty_job_asks_the_store_nothing(place: Place) -> None:
    async def empty(run: RunContext) -> None: ...

    order = await place.order(job(empty))
    before = place.store.statements
    await execute(order, place.tools)
    assert place.store.statements == before
