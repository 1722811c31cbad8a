"""Each decision not to run has a reason code, and it is told of flows and runs as they really came to stand there."""

from datetime import timedelta

import pytest

from piko_flow.planning.interval import Interval
from piko_flow.planning.run_state import Reason
from piko_flow.retry import Retry
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import CATCH_UP, HOURLY, NONE, SKIP, Flows, away, edit, leader, row

BROKEN = OSError("the disk is full")


@pytest.fixture
def flows() -> Flows:
    return Flows()


async def told(world: FlowWorld, about: str | int) -> list[Reason | None]:
    """The codes of all that is told of a flow or a run."""
    plane = world.plane
    explained = await (plane.explain_run(about) if isinstance(about, int) else plane.explain_flow(about))
    return [line.reason for line in explained.lines]


async def test_a_flow_that_waits_for_its_next_fire(flows: Flows) -> None:
    flows.add("one", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=10)
        assert Reason.NOT_DUE in await told(world, "one")


async def test_a_run_that_waits_for_another_of_its_flow_then_of_its_group_then_for_a_slot(
    flows: Flows,
) -> None:
    for name in ("first", "second", "third"):
        flows.add(name, schedule=HOURLY, concurrency_group="narrow", coalesce=False)
        flows.takes[name] = 3 * 3600
    flows.add("free", schedule=HOURLY)
    flows.takes["free"] = 3 * 3600
    flows.add("last", schedule=HOURLY)
    async with flows.within(slots=3, group_limits={"narrow": 2}) as world:
        await world.advance(hours=2, minutes=5)
        waiting = {
            run.flow: (await told(world, run.id))[-1] for run in world.runs() if run.status == "QUEUED"
        }
        assert waiting["last"] is Reason.NO_SLOT
        assert Reason.GROUP_FULL in waiting.values()
        assert Reason.MAX_INSTANCES in waiting.values()


async def test_a_run_that_waits_for_its_next_attempt(flows: Flows) -> None:
    flows.add("shaky", schedule=HOURLY, retry=Retry(attempts=2, first=1800, limit=1800))
    flows.fails["shaky"] = BROKEN
    async with flows.within() as world:
        await world.advance(hours=1)
        [run] = world.runs("shaky")
        assert Reason.RETRY_WAIT in await told(world, run.id)
        await world.advance(hours=0.6)
        assert Reason.ERROR in await told(world, run.id)


async def test_windows_that_wait_for_strict_order_and_for_another_flow(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP, strict_order=True)
    flows.add("report", schedule=HOURLY, stateful=True, backfill=CATCH_UP, after="orders")
    async with flows.within() as world:
        await world.advance(minutes=10)
        flows.fails["orders"] = BROKEN
        await world.advance(hours=2)
        assert Reason.STRICT_ORDER in await told(world, "orders")
        assert Reason.WAITS_FOR_UPSTREAM in await told(world, "report")


async def test_windows_of_which_as_many_wait_as_may(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.takes["orders"] = 24 * 3600
    async with flows.within() as world:
        await world.advance(hours=8)
        assert Reason.QUEUE_FULL in await told(world, "orders")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"misfire_grace": 60}, Reason.MISFIRED),
        ({"misfire_grace": 36_000}, Reason.COALESCED),
    ],
    ids=["too late", "joined"],
)
async def test_fires_that_nobody_met(flows: Flows, options: dict[str, int], reason: Reason) -> None:
    flows.add("one", schedule=HOURLY, **options)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=4)
        await world.advance(minutes=5)
        [run] = world.runs("one")
        explained = await world.plane.explain_run(run.id)
        assert [line.reason for line in explained.lines] == [reason]
        assert "4 fires" in explained.lines[0].text


async def test_windows_that_a_newer_one_or_a_lookback_made_needless(flows: Flows) -> None:
    flows.add("newest", schedule=HOURLY, stateful=True, backfill=SKIP)
    flows.add("bounded", schedule=HOURLY, stateful=True, backfill=CATCH_UP, max_lookback_window=1)
    flows.takes.update(newest=4 * 3600, bounded=4 * 3600)
    async with flows.within() as world:
        await world.advance(hours=3, minutes=5)
        for flow, reason in (("newest", Reason.SUPERSEDED), ("bounded", Reason.LOOKBACK)):
            [skipped, *_] = [run for run in world.runs(flow) if run.status == "SKIPPED"]
            assert await told(world, skipped.id) == [reason]


async def test_what_was_missed_longer_ago_than_the_grace_leaves_no_run_and_the_ledger_tells(
    flows: Flows,
) -> None:
    flows.add("recent", schedule=HOURLY, stateful=True, backfill=NONE, misfire_grace=60)
    async with flows.within() as world:
        await world.advance(minutes=10)
        await away(world, hours=4)
        await world.advance(minutes=5)
        assert len(world.runs("recent")) == 1
        assert str(world.state("recent").ledger.spans[-1].mark) == "skipped"


async def test_a_run_that_was_given_back_by_a_replica_that_stopped(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 7200
    async with flows.within(drain=timedelta(minutes=1)) as world:
        await world.advance(hours=1)
        leader(world).stop()
        await world.advance(seconds=90)
        [run] = world.runs("long")
        assert run.status == "QUEUED"
        assert await told(world, run.id) == [Reason.NO_LEADER, Reason.RELEASED]


async def test_a_run_whose_replica_died_and_nobody_is_there_to_rescue_it(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 7200
    async with flows.within() as world:
        await world.advance(hours=1)
        leader(world).crash(-1)
        await world.advance(hours=1)
        [run] = world.runs("long")
        await world.plane.trigger("long")
        assert Reason.NO_LEADER in await told(world, world.runs("long")[-1].id)
        assert run.status == "RUNNING"
        assert Reason.NO_LEADER in await told(world, "long")


async def test_a_flow_without_a_row_a_disabled_one_and_one_that_nobody_registered(flows: Flows) -> None:
    flows.add("bare")
    flows.add("off", schedule=Interval(hours=1))
    async with flows.within() as world:
        world.store.edit(row("stranger"))
        await world.advance(minutes=10)
        edit(world, "off", enabled=False)
        assert Reason.NO_SCHEDULE in await told(world, "bare")
        assert Reason.DISABLED in await told(world, "off")
        assert Reason.UNREGISTERED in await told(world, "stranger")
