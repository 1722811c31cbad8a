"""What the log tells of runs that have succeeded, and how often."""

import logging
from collections.abc import Iterator

import pytest

from piko_flow import Sink, Source, Transform, run
from piko_flow.control.runs.run_counts import RunNews
from piko_flow.control.timing import DatabaseTime
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Ending
from piko_flow.store.records import RunRecord
from piko_flow.testing.manual_clock import ManualClock
from tests.unit.control_worlds import HOURLY, Flows, at, leader
from tests.unit.planes import NOW, hour

LOGGER = "piko_flow.worker"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def news(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> Iterator[RunNews]:
    with caplog.at_level(logging.INFO, logger=LOGGER):
        yield RunNews(DatabaseTime(clock))


def ended(number: int, **facts: object) -> tuple[RunRecord, Ending]:
    record = RunRecord(number, "orders", RunStatus.RUNNING, NOW, window=facts.pop("window", None))  # type: ignore[arg-type]
    return record, Ending(number, 1, "orders", RunStatus.SUCCESS, **facts)  # type: ignore[arg-type]


async def test_a_run_that_succeeded_is_told_with_its_window_its_time_and_what_it_moved(
    news: RunNews, caplog: pytest.LogCaptureFixture
) -> None:
    odd = Transform(lambda item: 1 // (item % 2), on_error="skip", name="odd")
    report = await run(Source(range(1000)) >> odd >> Sink(lambda item: None), max_errors=1.0)
    news.note(7, report)
    news.ended(*ended(7, window=hour(9), duration_ms=1234, dead_items=2))
    over = "over 2026-03-02T09:00:00Z..2026-03-02T10:00:00Z"
    moved = "1,000 items read, 500 to its sinks, 500 skipped, 2 dead letters"
    assert caplog.messages == [f"run 7 of 'orders' {over} succeeded in 1.2 s: {moved}"]


async def test_of_many_runs_one_a_second_is_told_and_the_number_of_the_others(
    news: RunNews, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 6):
        news.ended(*ended(number))
    assert caplog.messages == ["run 1 of 'orders' succeeded"]
    await clock.advance(1)
    news.ended(*ended(6))
    assert caplog.messages[1:] == ["4 more runs succeeded", "run 6 of 'orders' succeeded"]
    news.tell_rest()
    assert len(caplog.messages) == 3
    news.ended(*ended(7))
    news.tell_rest()
    assert caplog.messages[3:] == ["1 more run succeeded"]


async def test_while_nobody_listens_nothing_is_kept(news: RunNews, caplog: pytest.LogCaptureFixture) -> None:
    failed = Ending(1, 1, "orders", RunStatus.FAILED)
    news.ended(ended(1)[0], failed)  # which has a line of its own, with its error
    report = await run(Source(range(3)) >> Sink(lambda item: None))
    with caplog.at_level(logging.WARNING, logger=LOGGER):
        news.note(1, report)
        news.ended(*ended(1))
        news.tell_rest()
    assert caplog.messages == []
    news.ended(*ended(1))
    assert caplog.messages == ["run 1 of 'orders' succeeded"]  # without what it moved: that was not kept


async def test_a_replica_tells_of_its_runs(caplog: pytest.LogCaptureFixture) -> None:
    flows = Flows()
    flows.add("mail")
    with caplog.at_level(logging.INFO, logger=LOGGER):
        async with flows.within(at(12)) as world:
            await world.plane.trigger("mail")
            await world.advance(seconds=20)
    [told] = [one for one in caplog.messages if "succeeded" in one]
    assert told.startswith("run 1 of 'mail' succeeded in ")


async def test_who_leads_tells_the_number_of_the_others_soon_after(caplog: pytest.LogCaptureFixture) -> None:
    flows = Flows()
    flows.add("mail")
    with caplog.at_level(logging.INFO, logger=LOGGER):
        async with flows.within(at(12)) as world:
            await world.advance(minutes=1)
            leader(world)  # raises where nobody leads
            await world.plane.trigger("mail")
            await world.plane.trigger("mail")
            await world.advance(minutes=10)
    told = [one for one in caplog.messages if "succeeded" in one]
    assert told[1:] == ["1 more run succeeded"]


async def test_who_leaves_tells_the_number_of_the_others_before(caplog: pytest.LogCaptureFixture) -> None:
    flows = Flows()
    for name in ("mail", "news", "orders"):
        flows.add(name, schedule=HOURLY)
        flows.takes[name] = 150
    with caplog.at_level(logging.INFO, logger=LOGGER):
        async with flows.within() as world:
            await world.advance(hours=1)
            assert sum(flows.working.values()) == 3
            [replica] = world.replicas
            replica.stop()
            await world.advance(minutes=3)
            assert replica.dead
    told = [one for one in caplog.messages if "succeeded" in one]
    assert told[1:] == ["2 more runs succeeded"]
