"""The options `on_error` and `max_errors`, for every stage that takes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from piko_flow import On, Parse, Retry, Route, Sink, Source, Transform, run
from piko_flow.dataflow.stages.stage_options import OnError
from piko_flow.errors import ErrorBudgetExceeded, ItemRejected, NoBranch
from piko_flow.testing import CollectingSink, RecordingTarget, items
from tests.runs import error_of, failure

BAD = (3, 4)


class Refused(Exception):
    """What the functions here raise."""


def same(item: int) -> int:
    if item in BAD:
        raise Refused(item)
    return item


class Order(BaseModel):
    """A model with one number."""

    amount: int


@pytest.mark.parametrize("form", [lambda value: value, json.dumps, lambda value: json.dumps(value).encode()])
async def test_parse_treats_what_it_cannot_read(form: Callable[[Any], Any]) -> None:
    source = Source([form({"amount": 1}), form({"amount": "much"}), form({"amount": 2})])
    sink: CollectingSink[Order] = CollectingSink()
    report = await run(source >> Parse(Order, on_error="dead_letter", name="parse") >> sink)
    assert sink.items == [Order(amount=1), Order(amount=2)]
    (letter,) = report.dead_letters
    assert (letter.stage, letter.item, letter.error_type) == (
        "parse",
        form({"amount": "much"}),
        "ValidationError",
    )
    assert "amount" in letter.error
    assert (await run(source >> Parse(Order, on_error="skip") >> CollectingSink())).skipped == 1
    caught = await failure(source >> Parse(Order) >> CollectingSink(), match="amount")
    assert caught.item == form({"amount": "much"})


@pytest.mark.parametrize("policy", ["fail", "skip", "dead_letter"])
async def test_a_route_treats_what_no_branch_takes(policy: OnError) -> None:
    small, text = CollectingSink[int](name="small"), CollectingSink[str](name="text")
    source: Source[Any] = Source([1, "a", 2.5, 2])
    pipeline = source >> Route(On(int, small), On(str, text), on_error=policy, name="route")
    if policy == "fail":
        caught = await failure(pipeline, match="float")
        assert (caught.stage, caught.item, type(caught.__cause__)) == ("route", 2.5, NoBranch)
        return
    report = await run(pipeline)
    assert (small.items, text.items) == ([1, 2], ["a"])
    assert (report.skipped, report.dead) == ((1, 0) if policy == "skip" else (0, 1))
    assert [(letter.stage, letter.item, letter.error_type) for letter in report.dead_letters] == (
        [] if policy == "skip" else [("route", 2.5, "NoBranch")]
    )
    assert all("float" in letter.error for letter in report.dead_letters)


@pytest.mark.parametrize("policy", ["skip", "dead_letter"])
async def test_a_list_that_a_target_refuses_is_lost_as_a_whole(policy: OnError) -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={"write": [Refused("no")] * 2})
    report = await run(items(9) >> Sink(target, batch=3, on_error=policy, name="sink"))
    assert target.record.published == [6, 7, 8]
    lost = [[0, 1, 2], [3, 4, 5]] if policy == "dead_letter" else []
    assert [letter.item for letter in report.dead_letters] == lost
    sink = report.stage("sink")
    assert (sink.received, sink.emitted) == (9, 3)
    assert (sink.skipped, sink.dead) == ((6, 0) if policy == "skip" else (0, 6))


async def test_items_of_a_refused_list_count_one_by_one() -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={"write": [Refused("no")]})
    await error_of(items(6) >> Sink(target, batch=3, on_error="skip"), ErrorBudgetExceeded, max_errors=2)


@pytest.mark.parametrize("policy", ["fail", "skip", "dead_letter"])
async def test_a_target_that_finds_the_item_keeps_the_others(policy: OnError) -> None:
    faults: list[Any] = [ItemRejected(1, "odd"), ItemRejected(0, "zero")]
    target: RecordingTarget[int] = RecordingTarget(faults={"write": faults})
    pipeline = items(4) >> Sink(target, batch=4, on_error=policy, name="sink")
    if policy == "fail":
        caught = await failure(pipeline, match="odd")
        assert caught.item == 1
        return
    report = await run(pipeline)
    assert target.record.published == [2, 3]
    assert (report.skipped, report.dead) == ((2, 0) if policy == "skip" else (0, 2))
    assert [letter.item for letter in report.dead_letters] == ([1, 0] if policy == "dead_letter" else [])


async def test_a_target_that_rejects_an_item_it_was_not_given_fails() -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={"write": [ItemRejected(7, "odd")]})
    await failure(items(4) >> Sink(target, batch=4, on_error="skip"), match="item 7")


async def test_a_rejected_item_is_not_tried_again() -> None:
    target: RecordingTarget[int] = RecordingTarget(faults={"write": [ItemRejected(0, "odd")]})
    report = await run(
        items(2) >> Sink(target, batch=2, retry=Retry(3, first=0), on_error="skip", name="sink")
    )
    assert report.stage("sink").retried == 0
    assert target.record.published == [1]


class Broken:
    """A reader of lists with a piece it cannot read."""

    def read_chunks(self, split: Any, *, reject: Any) -> Iterator[list[int]]:
        yield [1, 2]
        reject("?", ValueError("line 3 is broken"))
        yield [3]


@pytest.mark.parametrize("policy", ["fail", "skip", "dead_letter"])
async def test_a_source_steps_over_what_it_cannot_read_if_it_may(policy: OnError) -> None:
    sink: CollectingSink[int] = CollectingSink()
    pipeline = Source(Broken(), on_error=policy, name="source") >> sink
    if policy == "fail":
        await failure(pipeline, match="line 3")
        return
    report = await run(pipeline)
    assert sink.items == [1, 2, 3]
    assert (report.skipped, report.dead) == ((1, 0) if policy == "skip" else (0, 1))
    assert report.stage("source").received == 4
    assert [letter.item for letter in report.dead_letters] == (["?"] if policy == "dead_letter" else [])


@pytest.mark.parametrize(
    ("limit", "passes"), [(2, True), (1, False), (0, False), (0.2, True), (0.19, False), (None, True)]
)
async def test_max_errors_is_a_number_or_a_share(limit: int | float | None, passes: bool) -> None:
    sink: CollectingSink[int] = CollectingSink()
    pipeline = items(10) >> Transform(same, on_error="skip") >> sink
    if passes:
        assert (await run(pipeline, max_errors=limit)).skipped == 2
        return
    caught = await error_of(pipeline, ErrorBudgetExceeded, max_errors=limit)
    assert caught.allowed == limit
    assert sink.items == []


@pytest.mark.parametrize("waits", [True, False])
async def test_a_number_of_errors_ends_the_run_as_soon_as_it_is_passed(waits: bool) -> None:
    calls: list[int] = []

    def refuse(item: int) -> int:
        calls.append(item)
        raise Refused(item)

    async def refuse_async(item: int) -> int:
        return refuse(item)

    stage: Transform[int, int] = Transform(refuse_async if waits else refuse, on_error="dead_letter")
    await error_of(items(100_000) >> stage >> CollectingSink(), ErrorBudgetExceeded, max_errors=5)
    assert len(calls) == 6


@pytest.mark.parametrize(("limit", "passes"), [(4, True), (3, False), (0.4, True), (0.3, False)])
async def test_max_errors_counts_over_all_units_and_stages(limit: int | float, passes: bool) -> None:
    def refuse_five(item: int) -> int:
        if item in (5, 6):
            raise Refused(item)
        return item

    sink: CollectingSink[int] = CollectingSink()
    chain = Transform(same, on_error="skip") >> Transform(refuse_five, on_error="dead_letter")
    pipeline = items(10, units=5) >> chain >> sink
    if passes:
        report = await run(pipeline, max_errors=limit)
        assert (report.units, report.skipped, report.dead) == (5, 2, 2)
    else:
        await error_of(pipeline, ErrorBudgetExceeded, max_errors=limit)
        assert sink.items == []


class Lists:
    """The least that a sink can write through: it refuses lists with a bad number."""

    def __init__(self) -> None:
        self.lists: list[list[int]] = []

    def write(self, items: Sequence[int], /) -> None:
        for place, item in enumerate(items):
            if item in BAD:
                raise ItemRejected(place, "bad")
        self.lists.append(list(items))


async def test_an_object_with_a_plain_write_finds_the_items_too() -> None:
    target = Lists()
    report = await run(items(10) >> Sink(target, batch=5, on_error="dead_letter"))
    assert target.lists == [[0, 1, 2], [5, 6, 7, 8, 9]]
    assert [letter.item for letter in report.dead_letters] == [3, 4]
