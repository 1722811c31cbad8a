"""What runs emit: written before they end, in lists, within bounds, and no run pays for another's item."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from piko_flow import On, Route, Sink, Source, Transform
from piko_flow.connectors.files import CsvSink
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import Emitted, RunContext
from piko_flow.control.runs.emitting import Emissions, NotWritten, Writer
from piko_flow.control.runs.execution import ActiveExecution
from piko_flow.dataflow.stages.stage import Pipeline
from piko_flow.errors import PipelineError
from piko_flow.planning.run_state import RunStatus
from piko_flow.testing import CollectingSink
from tests.unit.executing import Place, started


class Store:
    """Writes lists; refuses what is bad; waits for the test where `gate` is closed."""

    def __init__(self, *, bad: object = None, gated: bool = False) -> None:
        self.bad, self.lists = bad, list[list[Any]]()
        self.gate = asyncio.Event()
        if not gated:
            self.gate.set()

    async def write(self, items: Sequence[Any]) -> None:
        await self.gate.wait()
        if self.bad in items:
            raise ValueError(f"{self.bad} is refused")
        self.lists.append(list(items))


def emitting(*payloads: object, to: str = "store", name: str = "job") -> Flow:
    async def job(run: RunContext) -> None:
        for payload in payloads:
            await run.emit(payload, to=to, key=str(payload))

    return Flow.register(name, job, registry=Registry())


@pytest.fixture
def place() -> Place:
    return Place()


async def test_what_a_job_emits_is_written_before_it_ends(place: Place) -> None:
    store, writer = Store(), Writer()
    writer.register("store", store)
    async with writer:
        place.with_tools(writer=writer)
        assert (await place.execute(emitting(1, 2, 3))).status is RunStatus.SUCCESS
        assert sorted(item for items in store.lists for item in items) == [1, 2, 3]


async def test_a_sink_that_fails_fails_the_run(place: Place) -> None:
    writer = Writer()
    writer.register("store", Store(bad=2))
    async with writer:
        place.with_tools(writer=writer)
        outcome = await place.execute(emitting(1, 2))
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "ValueError")
    assert "stage 'store'" in outcome.error_msg
    assert "2 is refused" in outcome.error_msg


async def test_a_runs_bad_item_does_not_fail_another_run(place: Place) -> None:
    store, writer = Store(bad="bad", gated=True), Writer()
    writer.register("store", store)
    async with writer:
        place.with_tools(writer=writer)
        flows = [emitting(1, name="first"), emitting("bad", name="bad"), emitting(2, 3, name="good")]
        tasks = [await started(ActiveExecution(await place.order(flow), place.tools)) for flow in flows]
        store.gate.set()
        outcomes = [await task for task in tasks]
    assert [outcome.status for outcome in outcomes] == [
        RunStatus.SUCCESS,
        RunStatus.FAILED,
        RunStatus.SUCCESS,
    ]
    assert sorted(item for items in store.lists for item in items) == [1, 2, 3]


async def test_items_of_many_runs_are_written_in_one_list(place: Place) -> None:
    store, writer = Store(gated=True), Writer()
    writer.register("store", store)
    async with writer:
        place.with_tools(writer=writer)
        orders = [await place.order(emitting(number)) for number in range(5)]
        tasks = [await started(ActiveExecution(order, place.tools)) for order in orders]
        store.gate.set()
        await asyncio.gather(*tasks)
    assert store.lists == [[0], [1, 2, 3, 4]]


async def test_emit_waits_while_the_sink_is_full(place: Place) -> None:
    store, writer = Store(gated=True), Writer(limit=2)
    writer.register("store", store)
    async with writer:
        place.with_tools(writer=writer)
        task = await started(ActiveExecution(await place.order(emitting(*range(9))), place.tools))
        assert writer.waiting == 2
        store.gate.set()
        assert (await task).status is RunStatus.SUCCESS
    assert [item for items in store.lists for item in items] == list(range(9))


async def test_a_stopped_run_leaves_what_it_emitted_to_the_writer(place: Place) -> None:
    store, writer = Store(gated=True), Writer()
    writer.register("store", store)
    async with writer:
        place.with_tools(writer=writer)
        execution = ActiveExecution(await place.order(emitting(1, 2)), place.tools)
        task = await started(execution)
        execution.cancel()
        assert (await task).status is RunStatus.CANCELLED
        store.gate.set()
    assert [item for items in store.lists for item in items] == [1, 2]


async def test_a_pipeline_commits_only_when_what_it_emitted_is_written(place: Place) -> None:
    published: CollectingSink[int] = CollectingSink()
    writer = Writer()
    writer.register("store", Store(bad=2))

    def build(run: RunContext) -> Pipeline:
        async def announce(item: int) -> int:
            await run.emit(item, to="store")
            return item

        return Source([1, 2]) >> Transform(announce) >> published

    async with writer:
        place.with_tools(writer=writer)
        outcome = await place.execute(Flow.register("p", build, registry=Registry()))
    assert (outcome.status, outcome.error_type, published.items) == (RunStatus.FAILED, "ValueError", [])


async def test_a_chain_that_ends_in_sinks_can_be_registered(place: Place) -> None:
    numbers, texts = list[int](), list[str]()
    writer = Writer()
    writer.register("typed", Route(On(int, Sink(numbers.append)), On(str, Sink(texts.append))))
    writer.register("doubled", Transform(str) >> Sink(texts.append))
    async with writer:
        place.with_tools(writer=writer)
        await place.execute(emitting(1, "a", 2, to="typed"))
        await place.execute(emitting(7, to="doubled"))
    assert (numbers, texts) == ([1, 2], ["a", "7"])


async def test_a_sink_that_wants_keys_gets_whole_items(place: Place) -> None:
    store, writer = Store(), Writer()
    writer.register("store", store, whole=True)
    async with writer:
        place.with_tools(writer=writer)
        order = await place.order(emitting(5))
        await ActiveExecution(order, place.tools).run()
    ((item,),) = store.lists
    due = order.record.scheduled_time
    assert item == Emitted(5, "store", "5", flow="job", run=order.record.id, scheduled_time=due)


async def test_an_unknown_sink_is_told_with_those_there_are(place: Place) -> None:
    writer = Writer()
    writer.register("store", Store())
    async with writer:
        place.with_tools(writer=writer)
        outcome = await place.execute(emitting(1, to="stroe"))
    assert "no sink is registered as 'stroe'; there are: store" in outcome.error_msg
    assert not outcome.retryable


async def test_emitting_without_a_writer_or_outside_its_block_is_refused(place: Place) -> None:
    assert (await place.execute(emitting(1))).error_type == "RequestRefused"
    writer = Writer()
    writer.register("store", Store())
    with pytest.raises(RuntimeError, match="the writer is not open"):
        await writer.emit(Emitted(1, "store"), Emissions())


@pytest.mark.parametrize(
    ("name", "sink", "told"),
    [
        ("", print, "a sink has a name"),
        ("store", print, "it is registered already"),
        ("other", 3, "needs a function"),
        ("other", Source([1]), "needs a function"),
        ("other", CsvSink("x.csv"), "is replaced as a whole, so each list would replace the one before"),
    ],
)
def test_what_is_no_sink_is_refused(name: str, sink: Any, told: str) -> None:
    writer = Writer()
    writer.register("store", Store())
    with pytest.raises(PipelineError, match=told) as caught:
        writer.register(name, sink)
    assert "test_execution_emits.py:" in caught.value.where


async def test_what_was_accepted_is_written_before_the_writer_ends() -> None:
    store, writer, mine = Store(), Writer(), Emissions()
    writer.register("store", store)
    async with writer:
        for number in range(3):
            await writer.emit(Emitted(number, "store", scheduled_time=datetime.now(UTC)), mine)
        assert store.lists == []
    assert [item for items in store.lists for item in items] == [0, 1, 2]


async def test_a_sink_that_hangs_is_given_up_when_the_writers_time_is_over() -> None:
    store, writer, mine = Store(gated=True), Writer(flush_timeout=0.001), Emissions()
    writer.register("store", store)
    async with writer:
        await writer.emit(Emitted(1, "store"), mine)
    with pytest.raises(NotWritten, match="sink 'store' did not write an item before the application ended"):
        await mine.flush()
