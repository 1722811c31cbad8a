"""What a run keeps in the store: receipts, the decision, and what a later claim makes of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from piko_flow import Broadcast, Sink, Source
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.params.payload import StoredPayload, encode_payload
from piko_flow.control.runs.execution import ActiveExecution, RunOrder, execute
from piko_flow.control.runs.journal import NotJson, decode_unit, encode_unit, text_of_units, units_of_text
from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.testing import RecordingTarget, items
from tests.unit.executing import DAY, LedgerTarget, Place, started


class Item(BaseModel):
    number: int


@pytest.fixture
def place() -> Place:
    return Place()


def flow(target: Any) -> Flow:
    return Flow.register("p", target, registry=Registry())


def lasting(*, commit: list[Any] | None = None) -> RecordingTarget[int]:
    return RecordingTarget(durable=True, faults={"commit": commit or []})


async def test_a_lasting_sink_commits_once_the_decision_is_stored(place: Place) -> None:
    target = lasting()
    order = await place.order(flow(items(3) >> Sink(target)))
    assert (await execute(order, place.tools)).status is RunStatus.SUCCESS
    text = await place.store.decision(order.record.id)
    assert text is not None
    _, (result,) = units_of_text(text)
    assert result.receipts["RecordingTarget"].items == 3
    assert target.record.published == [0, 1, 2]


async def test_a_sink_in_memory_leaves_no_decision_that_nobody_could_carry_out(place: Place) -> None:
    target: RecordingTarget[int] = RecordingTarget()
    order = await place.order(flow(items(3) >> Sink(target)))
    assert (await execute(order, place.tools)).status is RunStatus.SUCCESS
    assert await place.store.decision(order.record.id) is None
    assert target.record.published == [0, 1, 2]


async def test_a_lasting_sink_costs_three_statements(place: Place) -> None:
    order = await place.order(flow(items(3) >> Sink(lasting())))
    before = place.store.statements
    await execute(order, place.tools)
    assert place.store.statements == before + 3  # the unit, the decision, and what is live


@pytest.mark.parametrize("durable", [True, False])
async def test_a_run_whose_claim_is_lost_commits_nothing(place: Place, durable: bool) -> None:
    target: RecordingTarget[int] = RecordingTarget(durable=durable)
    order = await place.order(flow(items(3) >> Sink(target)))
    await place.claimed_again(order.record)
    outcome = await execute(order, place.tools)
    assert (outcome.status, outcome.reason, outcome.decided) == (RunStatus.QUEUED, Reason.RELEASED, False)
    assert (target.record.count("commit"), target.record.published) == (0, [])


async def test_who_wakes_after_a_rescue_overwrites_nothing_that_the_new_holder_has_prepared(
    place: Place,
) -> None:
    target, wakes, reads = lasting(commit=[OSError("folder away")]), asyncio.Event(), list[int]()

    async def numbers() -> list[int]:
        reads.append(len(reads) + 1)
        if reads == [1]:
            await wakes.wait()
            return [1]
        return [2]

    made = flow(Source(numbers) >> Sink(target))
    order = await place.order(made)
    old = await started(ActiveExecution(order, place.tools))
    new = RunOrder(await place.claimed_again(order.record), made)
    assert (await execute(new, place.tools)).decided
    kept = await place.store.units(order.record.id)
    wakes.set()
    outcome = await old
    assert (outcome.status, outcome.reason, outcome.decided) == (RunStatus.QUEUED, Reason.RELEASED, False)
    assert kept == await place.store.units(order.record.id) != ("", {})
    newest = RunOrder(await place.claimed_again(new.record), made)
    assert (await execute(newest, place.tools)).status is RunStatus.SUCCESS
    assert (target.record.published, reads) == ([2], [1, 2])


async def test_a_decided_run_is_rolled_forward_by_the_next_claim(place: Place) -> None:
    target = lasting(commit=[OSError("folder away")])
    read: list[int] = []

    def numbers() -> list[int]:
        read.append(1)
        return [1, 2]

    made = flow(Source(numbers) >> Sink(target))
    order = await place.order(made)
    outcome = await execute(order, place.tools)
    assert (outcome.status, outcome.error_type) == (RunStatus.FAILED, "CommitFailed")
    assert (outcome.decided, outcome.retryable) == (True, True)
    again = RunOrder(await place.claimed_again(order.record), made)
    outcome = await execute(again, place.tools)
    assert (outcome.status, target.record.published, read) == (RunStatus.SUCCESS, [1, 2], [1])


async def test_a_decided_run_cannot_be_cancelled(place: Place) -> None:
    target = lasting(commit=[OSError("folder away")])
    made = flow(items(2) >> Sink(target))
    order = await place.order(made)
    await execute(order, place.tools)
    again = ActiveExecution(RunOrder(await place.claimed_again(order.record), made), place.tools)
    task = await started(again)
    again.cancel()
    assert (await task).status is RunStatus.SUCCESS


async def test_a_commit_that_fails_after_a_late_cancel_is_told_as_decided(place: Place) -> None:
    class Waiting(RecordingTarget[int]):
        async def commit(self, receipts: Any) -> list[str]:
            await place.clock.sleep(1)
            return await super().commit(receipts)

    target = Waiting(durable=True, faults={"commit": OSError("folder away")})
    execution = ActiveExecution(await place.order(flow(items(2) >> Sink(target))), place.tools)
    task = await started(execution)
    execution.cancel()
    await place.clock.advance(1)
    outcome = await task
    assert (outcome.status, outcome.error_type, outcome.decided) == (RunStatus.FAILED, "CommitFailed", True)


async def test_units_that_an_earlier_claim_prepared_are_not_done_again(place: Place) -> None:
    target, read = lasting(), list[int]()
    broken = {2}

    def page(number: int) -> list[int]:
        read.append(number)
        if number in broken:
            raise OSError("page away")
        return [number]

    made = flow(Source(page, splits=[1, 2, 3]) >> Sink(target))
    order = await place.order(made)
    assert (await execute(order, place.tools)).error_type == "OSError"
    broken.clear()
    again = RunOrder(await place.claimed_again(order.record), made)
    assert (await execute(again, place.tools)).status is RunStatus.SUCCESS
    assert (read, target.record.published) == ([1, 2, 2, 3], [1, 2, 3])


async def test_units_that_other_code_prepared_are_done_again(place: Place) -> None:
    target, read = lasting(), list[int]()

    def page(number: int) -> list[int]:
        read.append(number)
        if number == 2:
            raise OSError("page away")
        return [number]

    def mended(number: int) -> list[int]:
        read.append(number)
        return [number * 10]

    order = await place.order(flow(Source(page, splits=[1, 2]) >> Sink(target)))
    await execute(order, place.tools)
    today = flow(Source(mended, splits=[1, 2]) >> Sink(target))
    again = RunOrder(await place.claimed_again(order.record), today)
    assert (await execute(again, place.tools)).status is RunStatus.SUCCESS
    assert (read, target.record.published) == ([1, 2, 1, 2], [10, 20])


async def test_the_parts_of_live_runs_are_left_alone_by_sweeps(place: Place) -> None:
    target = lasting(commit=[OSError("folder away")])
    made = flow(items(2) >> Sink(target))
    decided = await place.order(made)
    await execute(decided, place.tools)
    assert (await place.execute(flow(items(1) >> Sink(target)))).status is RunStatus.SUCCESS
    again = RunOrder(await place.claimed_again(decided.record), made)
    assert (await execute(again, place.tools)).status is RunStatus.SUCCESS
    assert target.record.published == [0, 0, 1]


async def test_a_store_that_is_away_for_a_moment_is_asked_again(place: Place) -> None:
    target = lasting()
    order = await place.order(flow(items(2) >> Sink(target)))
    place.outages = 3
    task = await started(ActiveExecution(order, place.tools))
    await place.clock.advance(2)
    assert (await task).status is RunStatus.SUCCESS
    assert target.record.published == [0, 1]


async def test_a_store_that_stays_away_fails_the_run_and_nothing_is_committed(place: Place) -> None:
    target = lasting()
    order = await place.order(flow(items(2) >> Sink(target)))
    place.outages = 100
    task = await started(ActiveExecution(order, place.tools))
    await place.clock.advance(60)
    outcome = await task
    assert (outcome.status, outcome.error_type, outcome.retryable) == (
        RunStatus.FAILED,
        "StoreUnavailable",
        True,
    )
    assert target.record.published == []


async def test_with_a_lasting_sink_beside_it_a_sink_of_the_ledger_still_commits_last(place: Place) -> None:
    class Kept(LedgerTarget):
        durable = True

    target, kept = lasting(), Kept(place.store.url)
    order = await place.order(flow(items(2) >> Broadcast(Sink(kept), Sink(target))))
    outcome = await execute(order, place.tools)
    assert outcome.within is not None
    assert (outcome.status, target.record.published) == (RunStatus.SUCCESS, [0, 1])
    text = await place.store.decision(order.record.id)
    assert text is not None
    assert set(units_of_text(text)[1][0].receipts) == {"Kept", "RecordingTarget"}


def result(**changed: Any) -> UnitResult:
    part = Part("17", "0001-ab", 101, 1, 3, "files", "orders", DAY.start, DAY.end)
    made = UnitResult(
        unit="0001-ab",
        exhausted=True,
        tallies=[StageTally(3, 2, 0, 0, 1), StageTally(2, 2)],
        times=[OperatorTimes(0.5, 0.25, 0.125)],
        edges=[EdgeTally(2, 2, 0)],
        receipts={"files": Receipt(part, 2, {"paths": ["a", "b"], "size": 3})},
        dead_letters=[
            DeadLetter("parse", "f.py:3", StoredPayload('{"type":"int","value":1}'), "bad", "ValueError", "u")
        ],
        position={"at": 3},
        more=True,
    )
    return replace(made, **changed)


def test_a_units_result_comes_back_from_its_text() -> None:
    fingerprint, (back,) = units_of_text(text_of_units("abc", [result()]))
    assert (fingerprint, back) == ("abc", result())


def test_an_item_of_a_dead_letter_comes_back_as_its_text() -> None:
    letter = DeadLetter("parse", "f.py:3", Item(number=3), "bad", "ValueError")
    _, (back,) = units_of_text(text_of_units("abc", [result(dead_letters=[letter])]))
    (item,) = [one.item for one in back.dead_letters]
    assert encode_payload(item) == encode_payload(Item(number=3))


def test_what_a_later_version_wrote_besides_is_left_out() -> None:
    values = orjson.loads(orjson.dumps(encode_unit(result())))
    values["tallies"][0]["retold"] = 3
    assert decode_unit(values) == result()


def test_a_receipt_that_is_no_json_is_refused_with_its_sink() -> None:
    receipt = Receipt(Part("1", "all"), 1, {"file": object()})
    with pytest.raises(NotJson, match="the receipt of sink 'files' must be made of JSON values"):
        encode_unit(result(receipts={"files": receipt}))
