"""Who leads, in which term, and who runs what."""

from datetime import timedelta

import pytest

from piko_flow.errors import LeadershipLost, StoreUnavailable
from piko_flow.store.batch import Batch, Term
from piko_flow.store.records import Lease, NewRun
from piko_flow.testing.simulated import FlowWorld
from piko_flow.testing.simulated_replica import SimulatedReplica
from piko_flow.testing.store_faults import Fault, FaultKind, ScriptedFaults
from tests.unit.control_worlds import (
    CATCH_UP,
    HOURLY,
    MINUTE,
    Flows,
    at,
    hours,
    leader,
    statuses,
)


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("hourly", schedule=HOURLY)
    return made


def lease(world: FlowWorld) -> Lease:
    """The lease as the store has it."""
    return world.store._rows.leases["default"]


def standby(world: FlowWorld) -> SimulatedReplica:
    """The replica that does not lead, of two."""
    [found] = [replica for replica in world.replicas if not replica.replica.leads]
    return found


async def depose(world: FlowWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the standby lead from now on, as after `leader resign`. The old leader trusts its lease until it asks the
    store again; so for a while two trust theirs, which the world would take for an error."""
    other = standby(world)
    monkeypatch.setattr(world, "_after_step", lambda: None)
    await world.plane.resign_leader()
    assert await world.store.acquire("default", holder=other.name, ttl=timedelta(minutes=6)) is not None


async def test_of_several_replicas_one_leads_and_its_term_does_not_grow_while_it_does(flows: Flows) -> None:
    async with flows.within(replicas=3) as world:
        await world.advance(minutes=10)
        first = leader(world)
        await world.advance(hours=10)
        assert leader(world) is first
        assert (lease(world).term, lease(world).holder) == (1, first.name)
        assert statuses(world, "hourly") == ["SUCCESS"] * 10


async def test_a_leader_renews_its_lease_long_before_it_runs_out(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        for _ in range(30):
            await world.advance(minutes=1)
            assert lease(world).until - world.now >= 3 * MINUTE


async def test_when_the_leader_dies_another_leads_in_a_newer_term_when_its_lease_has_run_out(
    flows: Flows,
) -> None:
    async with flows.within(replicas=2) as world:
        await world.advance(minutes=10)
        other = standby(world)
        until = lease(world).until
        leader(world).crash(-1)
        await world.advance_to(until - timedelta(seconds=1))
        assert not other.replica.leads
        await world.advance(minutes=2)
        assert other.replica.leads
        assert lease(world).term == 2


async def test_a_leader_that_stands_still_beyond_its_lease_leads_no_more_when_it_wakes(flows: Flows) -> None:
    async with flows.within(replicas=2) as world:
        await world.advance(minutes=10)
        old, other = leader(world), standby(world)
        old.pause(3600)
        await world.advance(minutes=50)
        assert (leader(world), other.replica.leadership.term) == (other, Term("default", 2))
        await world.advance(minutes=30)
        assert (old.replica.leads, old.replica.scheduler, old.replica.reign) == (False, None, None)
        assert statuses(world, "hourly") == ["SUCCESS"]


async def test_what_an_old_leader_wants_to_plan_is_refused_and_it_resigns_itself(flows: Flows) -> None:
    async with flows.within(replicas=2) as world:
        await world.advance(minutes=10)
        old = leader(world)
        old.pause(20 * 60)
        await world.advance(minutes=19)
        asking = old.replica.queue(NewRun("hourly", world.now, "asked of the old one"))
        assert await asking == (False, None)
        await world.advance(minutes=5)
        assert world.runs("hourly") == []
        assert world.journal.violations == []


async def test_a_leader_that_is_told_to_resign_makes_room_and_its_runs_go_on(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows.takes["hourly"] = 1800
    async with flows.within(replicas=2) as world:
        await world.advance(hours=1)
        [run], other = world.runs("hourly"), standby(world)
        await depose(world, monkeypatch)
        await world.advance(minutes=5)
        assert (lease(world).term, lease(world).holder) == (2, other.name)
        await world.advance(minutes=30)
        [ended] = world.runs("hourly")
        assert (ended.status, ended.replica, ended.claim) == ("SUCCESS", run.replica, run.claim)


async def test_a_leader_that_stops_gives_its_lease_back_so_that_nobody_waits_until_it_runs_out(
    flows: Flows,
) -> None:
    async with flows.within(replicas=2) as world:
        await world.advance(minutes=10)
        old, other = leader(world), standby(world)
        old.stop()
        await world.advance(minutes=1, seconds=30)
        assert other.replica.leads
        assert old.name not in [replica.id for replica in await world.store.replicas()]


async def test_a_lease_that_nobody_took_while_the_store_was_away_is_kept_in_its_term(flows: Flows) -> None:
    refused = Fault(FaultKind.REFUSED)
    calls = ("renew", "acquire", "pulse", "write", "beat")
    script = {(call, number): refused for call in calls for number in range(6, 10)}
    async with flows.within(faults=ScriptedFaults(script)) as world:
        await world.advance(hours=3, minutes=10)
        assert lease(world).term == 1
        assert statuses(world, "hourly") == ["SUCCESS"] * 3


async def test_a_leader_that_cannot_renew_stops_leading_before_its_lease_runs_out(flows: Flows) -> None:
    refused = Fault(FaultKind.REFUSED)
    script = {(call, number): refused for call in ("renew", "acquire") for number in range(2, 1000)}
    async with flows.within(faults=ScriptedFaults(script)) as world:
        await world.advance(minutes=3)
        until = lease(world).until
        assert leader(world).replica.leads
        await world.advance_to(until - timedelta(seconds=30))
        assert not world.replicas[0].replica.leads


async def test_every_replica_runs_what_the_leader_plans(flows: Flows) -> None:
    for number in range(6):
        flows.add(f"flow {number}", schedule=HOURLY)
        flows.takes[f"flow {number}"] = 600
    async with flows.within(replicas=3, slots=2) as world:
        await world.advance(hours=1, minutes=8)
        running = [run.replica for run in world.runs() if run.status == "RUNNING"]
        assert sorted(running.count(replica.name) for replica in world.replicas) == [2, 2, 2]


async def test_where_only_the_leader_executes_the_others_run_nothing(flows: Flows) -> None:
    for number in range(6):
        flows.add(f"flow {number}", schedule=HOURLY)
        flows.takes[f"flow {number}"] = 600
    async with flows.within(replicas=3, slots=2, execute="leader") as world:
        await world.advance(hours=1, minutes=45)
        assert {run.replica for run in world.runs()} == {leader(world).name}
        assert {run.status for run in world.runs()} == {"SUCCESS"}


async def test_where_only_the_leader_executes_losing_the_lease_gives_all_its_runs_back(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=CATCH_UP)
    flows.takes.update(hourly=1800, orders=1800)
    async with flows.within(replicas=2, execute="leader") as world:
        await world.advance(hours=1, minutes=5)
        old = leader(world)
        other = standby(world)
        await depose(world, monkeypatch)
        await world.advance(minutes=10)
        assert leader(world) is other
        running = [run for run in world.runs() if run.status == "RUNNING"]
        assert {(run.flow, run.replica) for run in running} == {
            ("hourly", other.name),
            ("orders", other.name),
        }
        assert (old.replica.worker.active, {run.attempt for run in world.runs()}) == ({}, {1})
        await world.advance(hours=1)
        assert flows.most == {"hourly": 1, "orders": 1}


async def test_a_flow_that_only_the_leader_may_run_waits_for_a_slot_there_though_others_have_some(
    flows: Flows,
) -> None:
    flows.add("solo", schedule=HOURLY, execute="leader")
    flows.add("windows", schedule=HOURLY, execute="leader", stateful=True, backfill=CATCH_UP)
    flows.takes.update(hourly=300, solo=300, windows=300)
    async with flows.within(replicas=2, slots=1) as world:
        await world.advance(hours=1, minutes=40)
        for flow in ("solo", "windows"):
            assert {run.replica for run in world.runs(flow)} == {leader(world).name}
            assert set(statuses(world, flow)) == {"SUCCESS"}
        assert flows.windows("windows") == hours(11, 13)


async def test_a_flow_that_only_the_leader_may_run_is_given_back_when_the_lead_is_lost_and_others_go_on(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows.add("solo", schedule=HOURLY, execute="leader")
    flows.takes.update(hourly=1800, solo=1800)
    async with flows.within(replicas=2) as world:
        await world.advance(hours=1, minutes=5)
        old = leader(world)
        [anywhere] = world.runs("hourly")
        other = standby(world)
        await depose(world, monkeypatch)
        await world.advance(minutes=10)
        [solo] = world.runs("solo")
        assert (solo.status, solo.replica, solo.attempt) == ("RUNNING", other.name, 1)
        await world.advance(minutes=40)
        [ended] = world.runs("hourly")
        assert (ended.status, ended.replica, ended.claim) == ("SUCCESS", anywhere.replica, anywhere.claim)
        assert old.name == anywhere.replica or other.name == anywhere.replica


async def test_a_flow_without_a_row_that_only_the_leader_may_run_runs_there_when_it_is_triggered(
    flows: Flows,
) -> None:
    flows.add("solo", execute="leader")
    flows.takes["hourly"] = 900
    async with flows.within(replicas=2, slots=1) as world:
        await world.advance(hours=1)
        [busy] = world.runs("hourly")
        assert busy.replica == leader(world).name
        await world.plane.trigger("solo")
        await world.advance(minutes=10)
        assert statuses(world, "solo") == ["QUEUED"]
        await world.advance(minutes=15)
        [solo] = world.runs("solo")
        assert (solo.status, solo.replica) == ("SUCCESS", leader(world).name)


async def test_a_run_that_was_let_go_anywhere_before_its_flow_was_kept_to_the_leader_runs_there(
    flows: Flows,
) -> None:
    flows.add("solo", execute="leader")
    async with flows.within(replicas=2) as world:
        await world.advance(minutes=10)
        new = NewRun("solo", world.now, "from before")
        (made,) = (await world.store.write(Batch("old code", queue=[new]))).queued
        assert made is not None
        await world.store.write(Batch("old code", admit=[made.id]))
        await world.advance(minutes=10)
        [solo] = world.runs("solo")
        assert (solo.status, solo.replica) == ("SUCCESS", leader(world).name)


async def test_a_replica_without_an_election_leads_at_once_under_a_lease_of_its_own(flows: Flows) -> None:
    async with flows.within(elected=False) as world:
        await world.advance(hours=2)
        assert "default" not in world.store._rows.leases
        assert [one.holder for one in world.store._rows.leases.values()] == [world.replicas[0].name]
        assert statuses(world, "hourly") == ["SUCCESS"] * 2


async def test_another_replica_that_only_wants_to_know_disturbs_no_leader(flows: Flows) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        other = await world.store.acquire("default", holder="stranger", ttl=MINUTE)
        assert other is None
        await world.advance(hours=2)
        assert lease(world).term == 1


async def test_who_asks_a_leader_for_a_run_while_it_loses_the_lead_is_told_that_it_does_not_lead(
    flows: Flows,
) -> None:
    async with flows.within() as world:
        await world.advance(minutes=10)
        replica = leader(world).replica
        assert replica.scheduler is not None
        answer = replica.scheduler.request(NewRun("hourly", world.now, "asked"))
        replica._dethroned("another leads")
        with pytest.raises(LeadershipLost):
            await answer
        assert await replica.queue(NewRun("hourly", world.now, "asked again")) == (False, None)


async def test_a_run_that_is_asked_of_the_leader_itself_begins_with_its_next_step(flows: Flows) -> None:
    flows.add("idle")
    async with flows.within() as world:
        await world.advance(minutes=10)
        replica = leader(world).replica
        assert replica.scheduler is not None
        answer = replica.scheduler.request(NewRun("idle", world.now, "asked", origin="trigger"))
        await world.advance(seconds=0)
        made = await answer
        assert made is not None
        assert (made.status, statuses(world, "idle")) == ("RUNNING", ["SUCCESS"])
        again = replica.scheduler.request(NewRun("idle", world.now, "asked", origin="trigger"))
        await world.advance(seconds=0)
        assert await again is None


async def test_a_run_that_others_have_queued_is_met_with_the_next_look(flows: Flows) -> None:
    flows.add("idle")
    async with flows.within(replicas=2) as world:
        await world.advance(minutes=20)
        await world.store.write(Batch("a stranger", queue=[NewRun("idle", world.now, "from elsewhere")]))
        await world.advance(minutes=3)
        assert statuses(world, "idle") == ["SUCCESS"]


async def test_a_store_that_does_not_answer_is_told_and_everything_goes_on_when_it_does(flows: Flows) -> None:
    away = {"on": False}

    class Away:
        """Refuses every call while it is on."""

        def at(self, call: str, replica: str) -> Fault | None:
            return Fault(FaultKind.REFUSED) if away["on"] else None

    async with flows.within(faults=Away()) as world:
        await world.advance(minutes=50)
        away["on"] = True
        await world.advance(minutes=20)
        [replica] = world.replicas
        assert "refused" in replica.replica.store_failure
        away["on"] = False
        await world.advance(minutes=10)
        assert replica.replica.store_failure == ""
        await world.advance(hours=1)
        assert flows.fires("hourly")[-1] == at(14)
        assert StoreUnavailable.__name__ not in "".join(world.journal.violations)
