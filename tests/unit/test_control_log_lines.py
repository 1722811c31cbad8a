"""What the log says of attempts that failed and of runs that were taken from dead replicas."""

import logging
import re

import pytest

from piko_flow.retry import Retry
from tests.unit.control_worlds import HOURLY, Flows


@pytest.fixture
def flows() -> Flows:
    return Flows()


def lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[str]:
    """The warnings of one logger."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == logger and record.levelno == logging.WARNING
    ]


async def test_each_failed_attempt_has_one_line_that_tells_what_follows(
    flows: Flows, caplog: pytest.LogCaptureFixture
) -> None:
    flows.add("one", schedule=HOURLY, retry=Retry(attempts=2, first=30))
    flows.fails["one"] = OSError("the disk is full")
    async with flows.within() as world:
        await world.advance(hours=1)
        [run] = world.runs("one")
    again, last = lines(caplog, "piko_flow.worker")
    place = r"\(control_worlds\.py:\d+ in _work\)"
    error = rf"OSError: the disk is full {place}"
    assert re.fullmatch(
        rf"run {run.id} of 'one' failed in attempt 1: {error}; attempt 2 of 2 starts at .* UTC", again
    )
    assert re.fullmatch(
        rf"run {run.id} of 'one' failed in attempt 2: {error}; it is not tried again, that was its last attempt",
        last,
    )


async def test_the_traceback_of_a_failure_is_there_for_who_asks_for_it(
    flows: Flows, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="piko_flow.executions")
    flows.add("one", schedule=HOURLY)
    flows.fails["one"] = OSError("the disk is full")
    async with flows.within() as world:
        await world.advance(hours=1)
    [told] = [record for record in caplog.records if record.name == "piko_flow.executions"]
    assert told.exc_info is not None
    assert told.exc_info[1] is flows.fails["one"]


async def test_a_run_that_ends_well_has_no_line(flows: Flows, caplog: pytest.LogCaptureFixture) -> None:
    flows.add("one", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(hours=2)
        assert world.runs("one")
    assert lines(caplog, "piko_flow.worker") == []


async def test_the_leader_tells_of_each_run_that_it_takes_from_a_dead_replica(
    flows: Flows, caplog: pytest.LogCaptureFixture
) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 600.0
    async with flows.within(replicas=2) as world:
        await world.advance(hours=1)
        [run] = world.runs("long")
        dead = run.replica
        next(one for one in world.replicas if one.replica.record.id == dead).crash(-1.0)
        await world.advance(minutes=20)
        assert [one.rescues for one in world.runs("long")] == [1]
    [told] = lines(caplog, "piko_flow.rescuer")
    assert told == (
        f"run {run.id} of 'long' was taken from replica {dead}, which counts as dead; "
        "it is queued again (rescue 1 of 3)"
    )
