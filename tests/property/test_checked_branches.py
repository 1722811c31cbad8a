"""Checking values at the joints changes what the stage that asked takes, and nothing that its siblings get."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from piko_flow import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Sink,
    Source,
    Transform,
    WorkerPool,
    run,
    start,
)
from piko_flow.testing import CollectingSink, Stall, items, until


class Order(BaseModel):
    """What the stages that ask for it get; what was sent is a dict."""

    amount: int


def give(number: int) -> Order:
    raw: Any = {"amount": str(number)}
    order: Order = raw
    return order


def look(order: Order) -> tuple[str, Any]:
    return type(order).__name__, order.amount


async def look_async(order: Order) -> tuple[str, Any]:
    return look(order)


def is_order(order: Order) -> bool:
    return isinstance(order, Order)


def spread(order: Order) -> Iterator[tuple[str, Any]]:
    yield look(order)


async def spread_async(order: Order) -> AsyncIterator[tuple[str, Any]]:
    yield look(order)


def anything(item: Any) -> Any:
    return item


def as_it_is(item: Any) -> tuple[str, Any]:
    return type(item).__name__, item["amount"]


ASKING: dict[str, Callable[[], Any]] = {
    "inline": lambda: Transform(look),
    "async": lambda: Transform(look_async, concurrency=3),
    "keyed": lambda: Transform(look_async, concurrency=3, key=type),
    "thread": lambda: Transform(look, on="thread"),
    "Filter": lambda: Filter(is_order) >> Transform(look),
    "FlatMap": lambda: FlatMap(spread),
    "async FlatMap": lambda: FlatMap(spread_async),
    "CpuMap": lambda: CpuMap(look),
}
PLAIN: dict[str, Callable[[], Any]] = {
    "inline": lambda: Transform(as_it_is),
    "CpuMap": lambda: CpuMap(as_it_is),
    "Batch": lambda: Batch(3) >> FlatMap(anything) >> Transform(as_it_is),
}
BRANCHES = st.lists(
    st.sampled_from([(True, name) for name in ASKING] + [(False, name) for name in PLAIN]),
    min_size=2,
    max_size=5,
)


@given(BRANCHES, st.integers(1, 40), st.sampled_from([1, 7, 1024]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_branch_that_asks_for_a_model_gets_it_and_its_siblings_what_was_sent(
    pool: WorkerPool, branches: list[tuple[bool, str]], count: int, capacity: int
) -> None:
    sinks: list[CollectingSink[Any]] = [CollectingSink(name=f"sink{place}") for place in range(len(branches))]
    stages = [(ASKING if asks else PLAIN)[name]() for asks, name in branches]
    joined = Broadcast(*(stage >> sink for stage, sink in zip(stages, sinks, strict=True)))
    await run(items(count) >> Transform(give) >> joined, validate=True, pool=pool, capacity=capacity)
    for (asks, _), sink in zip(branches, sinks, strict=True):
        assert sink.items == [("Order", n) if asks else ("dict", str(n)) for n in range(count)]


@given(st.integers(1, 20), st.integers(1, 5))
@settings(max_examples=20)
async def test_sinks_that_ask_leave_their_siblings_alone(count: int, batch: int) -> None:
    class Asking:
        """An object that asks for orders."""

        def write(self, orders: Sequence[Order], /) -> None:
            taken.extend(type(order).__name__ for order in orders)

    taken: list[str] = []
    called: list[str] = []

    def write(order: Order) -> None:
        called.append(type(order).__name__)

    plain: CollectingSink[Any] = CollectingSink(batch=batch)
    branches = Broadcast(Sink(Asking(), batch=batch), plain, Sink(write))
    await run(Source(range(count)) >> Transform(give) >> branches, validate=True)
    assert taken == called == ["Order"] * count
    assert plain.items == [{"amount": str(number)} for number in range(count)]


async def test_workers_that_run_ahead_leave_what_their_siblings_have_not_taken_yet() -> None:
    count, held, done = 6000, Stall(), list[Any]()
    plain: CollectingSink[Any] = CollectingSink(batch=100)

    async def wait(item: Any) -> Any:
        await held.happen()
        return item

    branches = Broadcast(
        CpuMap(look, workers=1) >> Sink(done.append), Transform(wait, concurrency=1) >> plain
    )
    async with start(items(count) >> Transform(give) >> branches, validate=True, capacity=2 * count):
        await until(lambda: len(done) == count)
        held.release()
    assert {type(item) for item in plain.items} == {dict}
