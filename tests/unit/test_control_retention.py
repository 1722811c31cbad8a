"""What is kept of ended runs, and what is not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from piko_flow import Flow, Sink, SinkTarget, Source, Transform
from piko_flow.control.operations.plane_backfills import BackfillRequest
from piko_flow.errors import RequestRefused
from piko_flow.planning.date import Date
from piko_flow.planning.interval import Interval
from piko_flow.planning.window import Window
from piko_flow.testing.store_contract.audits import ANSWER
from piko_flow.testing.store_contract.tokens import TOKEN
from tests.unit.control_worlds import CATCH_UP, HOURLY, Flows, at, away, config, hours, statuses


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("often", schedule=Interval(minutes=10))
    return made


async def test_runs_that_ended_long_ago_are_deleted_while_everything_goes_on(flows: Flows) -> None:
    async with flows.within(runs_kept_for=timedelta(hours=2), prune_every=timedelta(minutes=5)) as world:
        await world.advance(hours=6)
        kept = [run.scheduled_time for run in world.runs("often")]
        assert len(flows.seen) == 36
        assert at(15.5) < kept[0] <= at(16.5)
        assert kept[-1] == at(18)


async def test_of_each_flow_the_newest_runs_are_kept_and_no_more_than_so_many(flows: Flows) -> None:
    flows.add("rarely", schedule=HOURLY)
    async with flows.within(runs_kept=5, runs_kept_for=None, prune_every=timedelta(minutes=5)) as world:
        await world.advance(hours=6, minutes=5)
        assert (
            5 <= len(world.runs("often")) <= 7
        )  # what is deleted has its turn among the leader's other duties
        assert 5 <= len(world.runs("rarely")) <= 6
        assert [run.scheduled_time for run in world.runs("rarely")][-1] == at(18)


async def test_rows_that_are_compared_all_the_time_leave_time_for_deleting_and_for_backfills(
    flows: Flows,
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True)
    async with flows.within(runs_kept=5, prune_every=timedelta(minutes=5)) as world:
        world.store.edit(config("piko_system_settings", '{"poll_interval_s": 0.5}'))
        await world.advance(hours=3, minutes=5)
        assert 5 <= len(world.runs("often")) <= 7
        request = BackfillRequest(flow="orders", span=Window(at(2), at(4)))
        plan = await world.plane.plan_backfill(request)
        await world.plane.apply_backfill(request, digest=plan.digest)
        await world.advance(minutes=15)
        assert flows.windows("orders")[-2:] == hours(2, 4)


async def test_without_bounds_everything_is_kept(flows: Flows) -> None:
    async with flows.within(runs_kept=None, runs_kept_for=None, prune_every=timedelta(minutes=5)) as world:
        await world.advance(hours=6)
        assert len(world.runs("often")) == 36


async def test_live_runs_are_kept_however_old_they_are(flows: Flows) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 10 * 3600
    async with flows.within(
        runs_kept=1, runs_kept_for=timedelta(minutes=1), prune_every=timedelta(minutes=5)
    ) as world:
        await world.advance(hours=6)
        assert statuses(world, "long")[0] == "RUNNING"


async def test_the_ledger_and_failed_windows_outlive_the_runs_that_made_them(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.fails["orders"] = OSError("the disk is full")
    async with flows.within(runs_kept_for=timedelta(minutes=30), prune_every=timedelta(minutes=5)) as world:
        await world.advance(minutes=10)
        flows.fails.clear()
        await world.advance(hours=5)
        assert "FAILED" not in [run.status for run in world.runs("orders")]
        state = world.state("orders")
        assert [(gap.start, gap.end) for gap in state.gaps()] == [(at(11), at(12))]
        assert state.ledger.settled_until(at(12)) == at(17)
        assert len(flows.windows("orders")) == 6  # what was deleted is not planned again


async def test_a_fire_whose_run_was_deleted_is_not_run_again_by_a_new_leader(flows: Flows) -> None:
    async with flows.within(runs_kept_for=timedelta(minutes=1), prune_every=timedelta(minutes=5)) as world:
        await world.advance(hours=1)
        await away(world, minutes=2)
        await world.advance(minutes=7)
        assert len(set(flows.fires("often"))) == len(flows.seen) == 6


async def test_a_replica_that_died_long_ago_is_forgotten_and_a_young_one_is_not(flows: Flows) -> None:
    async with flows.within(replicas=2, prune_every=timedelta(minutes=30)) as world:
        await world.advance(minutes=10)
        dead = next(replica for replica in world.replicas if not replica.replica.leads)
        dead.crash(-1)
        await world.advance(hours=20)
        assert dead.name in [one.id for one in await world.store.replicas()]
        await world.advance(hours=8)
        assert dead.name not in [one.id for one in await world.store.replicas()]


async def test_what_operating_flows_left_is_deleted_when_it_is_as_old_as_runs_may_be(flows: Flows) -> None:
    async with flows.within(runs_kept_for=timedelta(hours=2), prune_every=timedelta(minutes=5)) as world:
        plane = world.plane.acting("ada", "console")
        await plane.pause("often")
        assert [one.who for one in (await plane.audit()).changes] == ["ada"]
        await world.advance(hours=1, minutes=50)
        assert len((await plane.audit()).changes) == 1
        await world.advance(hours=1)
        assert (await plane.audit()).changes == ()


async def test_where_runs_are_kept_for_good_answers_and_dead_tokens_go_all_the_same(flows: Flows) -> None:
    async with flows.within(runs_kept_for=None, prune_every=timedelta(minutes=30)) as world:
        await world.plane.acting("ada", "console").pause("often")
        token = await world.store.add_token(TOKEN)
        await world.store.revoke_token(token.id)
        await world.store.begin_answer(ANSWER)
        await world.advance(hours=23)
        assert len(world.store._rows.answers) == 1
        await world.advance(hours=4)
        assert world.store._rows.answers == {}
        assert len(await world.store.tokens()) == 1
        long_ago = world.clock.now() - timedelta(days=30)
        world.store._rows.tokens[token.id] = replace(token, revoked_at=long_ago)
        await world.advance(hours=4)
        assert await world.store.tokens() == []
        assert len((await world.plane.audit()).changes) == 1


class HalfWritten(SinkTarget[int]):
    """Stages a text for each list of items, and fails at the third list."""

    def __init__(self, staged: list[str]) -> None:
        self.staged = staged

    async def write(self, items: Sequence[int], /) -> None:
        assert self.staging is not None
        await self.staging.add(self.part, len(self.staged), f"{items}")
        self.staged.append(f"{items}")
        if len(self.staged) == 3:
            raise OSError("the disk is full")

    def joins(self, ledger: str) -> bool:
        return True


async def test_what_a_failed_run_left_staged_is_deleted_while_its_run_is_kept(flows: Flows) -> None:
    staged: list[str] = []
    pipeline = Source(range(5)) >> Sink(HalfWritten(staged), batch=1)
    Flow.register("half", pipeline, schedule=Date(at(12.2)), registry=flows.registry)
    async with flows.within(prune_every=timedelta(minutes=5)) as world:
        await world.advance(hours=2)
        assert staged == ["[0]", "[1]", "[2]"]
        assert world.store._rows.staged == {}
        assert statuses(world, "half") == ["FAILED"]


async def test_old_dead_letters_are_deleted_while_their_runs_are_kept(flows: Flows) -> None:
    source = Source([1]) >> Transform(refuse, on_error="dead_letter") >> Sink(str)
    Flow.register("failing", source, schedule=HOURLY, registry=flows.registry)
    async with flows.within(letters_kept_for=timedelta(hours=2), prune_every=timedelta(minutes=5)) as world:
        await world.advance(hours=6, minutes=1)
        assert [run.dead_items for run in world.runs("failing")] == [1] * 6
        assert 2 <= len(await world.plane.store.dead_letters()) <= 3


async def test_old_versions_of_params_are_deleted_but_for_those_of_kept_runs_and_the_newest_hundred(
    flows: Flows,
) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 10 * 3600
    async with flows.within(runs_kept_for=timedelta(hours=2), prune_every=timedelta(minutes=5)) as world:
        world.store.edit(config("long", '{"number": 0}'))
        await world.advance(hours=1, minutes=1)
        [run] = world.runs("long")
        for number in range(1, 105):
            await world.plane.set_params("long", values={"number": number})
        await world.advance(hours=1)
        assert len(await world.plane.params_history("long", limit=1000)) == 105, "they are young"
        await world.advance(hours=4)
        kept = await world.plane.params_history("long", limit=1000)
        assert [one.version.version for one in kept] == [*range(105, 5, -1), 1]
        assert kept[-1].version.id == run.params_version
        await world.plane.rollback_params("long", 1)
        assert (await world.plane.params("long")).values == {"number": 0}
        with pytest.raises(RequestRefused, match="5"):
            await world.plane.rollback_params("long", 5)


def refuse(item: int) -> int:
    raise ValueError("no")
