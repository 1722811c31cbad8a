"""One attempt of a flow's pipeline: its report, its dead letters, its position, and what it asks the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from piko_flow import Sink, Source, Transform
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.control.runs.execution import ActiveExecution, execute
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Batch
from piko_flow.testing import CollectingSink, RecordingTarget, items
from piko_flow.testing.observing import RecordingObserver
from tests.unit.executing import DAY, REPLICA, LedgerTarget, Place, Recorder, started


class Order(BaseModel):
    number: int


@pytest.fixture
def place() -> Place:
    return Place()


def flow(target: Any, **options: Any) -> Flow:
    register: Any = Flow.register
    made: Flow = register("p", target, registry=Registry(), **options)
    return made


async def test_a_pipeline_runs_and_commits(place: Place) -> None:
    written: CollectingSink[int] = CollectingSink()
    outcome = await place.execute(flow(items(3) >> written))
    assert (outcome.status, outcome.dead_items, written.items) == (RunStatus.SUCCESS, 0, [0, 1, 2])
    assert outcome.report is not None
    assert outcome.report.items == 3


async def test_its_parts_and_resources_know_the_run_and_its_window(place: Place) -> None:
    target: RecordingTarget[int] = RecordingTarget()
    order = await place.order(flow(items(1) >> Sink(target), stateful=True), window=DAY)
    await execute(order, place.tools)
    part = target.record.calls[0].part
    assert part is not None
    assert (part.run, part.flow, part.window_start, part.window_end) == (str(order.record.id), "p", *DAY)
    assert order.info() == RunInfo(str(order.record.id), "p", 1, *DAY, claim=1)


async def test_parts_of_a_later_claim_have_names_of_their_own(place: Place) -> None:
    target: RecordingTarget[int] = RecordingTarget(durable=True, faults={"prepare": [OSError("away"), None]})
    made = flow(items(1) >> Sink(target))
    order = await place.order(made)
    assert (await execute(order, place.tools)).error_type == "OSError"
    again = await place.claimed_again(order.record)
    assert (await execute(type(order)(again, made), place.tools)).status is RunStatus.SUCCESS
    tokens = {call.part.token for call in target.record.calls if call.part is not None}
    assert len(tokens) == 2


async def test_a_run_with_function_sinks_alone_asks_the_store_nothing(place: Place) -> None:
    taken: list[int] = []
    order = await place.order(flow(items(3) >> Sink(taken.append)))
    before = place.store.statements
    assert (await execute(order, place.tools)).status is RunStatus.SUCCESS
    assert (taken, place.store.statements) == ([0, 1, 2], before)


async def test_items_that_failed_for_good_are_dead_letters_and_leave_the_window_incomplete(
    place: Place,
) -> None:
    def parse(order: Order) -> int:
        if order.number == 1:
            raise ValueError("odd one")
        return order.number

    orders = Source([Order(number=number) for number in range(3)])
    pipeline = orders >> Transform(parse, on_error="dead_letter") >> CollectingSink()
    outcome = await place.execute(flow(pipeline, max_errors=1))
    assert (outcome.status, outcome.dead_items, outcome.mark) == (RunStatus.SUCCESS, 1, "incomplete")
    (letter,) = outcome.dead_letters
    assert (letter.flow, letter.stage, letter.error_type) == ("p", "parse", "ValueError")
    assert letter.error_msg == "ValueError: odd one"
    assert orjson.loads(letter.payload)["value"] == {"number": 1}
    assert orjson.loads(letter.payload)["type"].endswith(".Order")


async def test_a_failed_stage_is_told_with_its_name(place: Place) -> None:
    def explode(item: int) -> int:
        raise LookupError("no rate")

    outcome = await place.execute(flow(items(3) >> Transform(explode) >> CollectingSink()))
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "LookupError")
    assert outcome.error_msg.startswith("stage 'explode' (tests/unit/test_execution_pipelines.py:")
    assert (outcome.retryable, outcome.decided) == (True, False)


async def test_a_function_that_builds_no_pipeline_fails_the_run_for_good(place: Place) -> None:
    outcome = await place.execute(flow(lambda run: None, retry=3))
    assert (outcome.status, outcome.error_type, outcome.retryable) == (RunStatus.FAILED, "FlowError", False)


async def test_each_run_builds_its_own_pipeline(place: Place) -> None:
    written: CollectingSink[int] = CollectingSink()

    def build(run: RunContext) -> Pipeline:
        return Source([run.params["n"]]) >> written

    for number in (1, 2):
        await place.execute(flow(build), params=f'{{"n": {number}}}')
    assert written.items == [1, 2]


async def test_an_observer_is_made_for_each_run(place: Place) -> None:
    observer = RecordingObserver()
    place.with_tools(observer=lambda order: observer)
    await place.execute(flow(items(1) >> CollectingSink()))
    assert observer.facts


class Counter:
    """An unbounded source of numbers."""

    def __init__(self) -> None:
        self.at = 0

    def read(self, since: dict[str, int] | None) -> Iterator[int]:
        self.at = 0 if since is None else since["at"]
        while True:
            self.at += 1
            yield self.at

    def position(self) -> Any:
        return {"at": self.at}


async def test_the_position_of_a_slice_is_where_the_next_begins(place: Place) -> None:
    written: CollectingSink[int] = CollectingSink()
    made = flow(Source(Counter(), max_items=2) >> written)
    positions = []
    for _ in range(2):
        order = await place.order(made)
        outcome = await execute(order, place.tools)
        assert outcome.more
        positions.append(outcome.position)
        await place.store.write(Batch(REPLICA, endings=[outcome.ending(order.record)]))
    assert (written.items, positions) == ([1, 2, 3, 4], ['{"at":2}', '{"at":4}'])


async def test_a_position_that_is_no_json_fails_the_run_before_it_commits(place: Place) -> None:
    class Odd(Counter):
        def position(self) -> Any:
            return object()

    written: CollectingSink[int] = CollectingSink()
    outcome = await place.execute(flow(Source(Odd(), max_items=2) >> written))
    assert (outcome.status, outcome.error_type, written.items) == (RunStatus.FAILED, "NotJson", [])
    assert "the position of the source must be made of JSON values" in outcome.error_msg


async def hanging() -> AsyncIterator[int]:
    yield 1
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.CANCELLED, RunStatus.CANCELLED), (Reason.RELEASED, RunStatus.QUEUED)],
)
async def test_a_pipeline_that_is_stopped_commits_nothing(
    place: Place, reason: Reason, status: RunStatus
) -> None:
    written: CollectingSink[int] = CollectingSink()
    execution = ActiveExecution(await place.order(flow(Source(hanging) >> written)), place.tools)
    task = await started(execution)
    execution.cancel(reason)
    outcome = await task
    assert (outcome.status, outcome.reason, written.items) == (status, reason, [])


async def test_a_pipeline_over_its_time_fails(place: Place) -> None:
    execution = ActiveExecution(
        await place.order(flow(Source(hanging) >> CollectingSink(), timeout=5)), place.tools
    )
    task = await started(execution)
    await place.clock.advance(5)
    outcome = await task
    assert (outcome.status, outcome.reason, outcome.retryable) == (RunStatus.FAILED, Reason.TIMEOUT, True)


async def test_a_drained_pipeline_goes_back_to_the_queue(place: Place) -> None:
    written: CollectingSink[int] = CollectingSink()
    execution = ActiveExecution(await place.order(flow(Source(hanging) >> written)), place.tools)
    task = await started(execution)
    execution.drain()
    outcome = await task
    assert (outcome.status, outcome.reason, written.items) == (RunStatus.QUEUED, Reason.RELEASED, [])
    assert written.written == [1]


async def test_a_cancelled_caller_leaves_nothing_of_the_pipeline(place: Place) -> None:
    target: RecordingTarget[int] = RecordingTarget()
    order = await place.order(flow(Source(hanging) >> Sink(target)))
    task = await started(ActiveExecution(order, place.tools))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (target.record.count("abort"), target.record.unpublished) == (1, {})


async def test_time_in_sinks_and_commit_is_told_apart(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("piko_flow.dataflow.running.operators.sink.monotonic", place.clock.monotonic)

    class Slow(RecordingTarget[int]):
        async def commit(self, receipts: Any) -> list[str]:
            await place.clock.sleep(2)
            return await super().commit(receipts)

    async def wait(item: int) -> int:
        await place.clock.sleep(3)
        return item

    order = await place.order(flow(items(1) >> Transform(wait) >> Sink(Slow())))
    task = await started(ActiveExecution(order, place.tools))
    await place.clock.advance(3)
    await place.clock.advance(2)
    outcome = await task
    assert (outcome.duration_ms, outcome.compute_ms, outcome.persist_ms) == (5000, 3000, 2000)


async def test_a_sink_in_the_ledgers_database_commits_in_the_last_transaction(place: Place) -> None:
    order = await place.order(flow(items(3) >> Sink(LedgerTarget(place.store.url), batch=2)))
    before = place.store.statements
    outcome = await execute(order, place.tools)
    assert outcome.status is RunStatus.SUCCESS
    assert await place.store.decision(order.record.id) is None
    assert place.store.statements == before + 2  # what is live, for the sweep, and the line above
    assert outcome.within is not None
    for _ in range(2):  # the transaction may be tried again
        transaction = Recorder()
        await outcome.within(transaction)
        assert transaction.executed == [("insert", {"rows": [0, 1, 2]})]


async def test_a_sink_that_fails_in_the_last_transaction_is_named(place: Place) -> None:
    target = LedgerTarget(place.store.url, failures=[ValueError("duplicate key")])
    outcome = await place.execute(flow(items(1) >> Sink(target, name="orders table")))
    assert outcome.within is not None
    with pytest.raises(ValueError, match="duplicate key") as caught:
        await outcome.within(Recorder())
    assert "sink 'orders table' failed in the last transaction of run " in caught.value.__notes__[0]


async def test_a_sink_of_another_database_commits_by_itself(place: Place) -> None:
    outcome = await place.execute(flow(items(1) >> Sink(LedgerTarget("sqlite:///other.db"))))
    assert (outcome.status, outcome.within) == (RunStatus.SUCCESS, None)
    assert outcome.report is not None
    assert outcome.report.written == ("1 rows outside the ledger",)


async def test_a_bare_run_of_such_a_pipeline_commits_by_itself() -> None:
    report = await (items(2) >> Sink(LedgerTarget("memory://"))).run()
    assert report.written == ("2 rows outside the ledger",)
