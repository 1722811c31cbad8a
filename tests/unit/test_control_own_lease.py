"""Leading without election, and what no trigger may do to a leader."""

import pytest

from piko_flow.control.flows.registry import Registry
from piko_flow.control.leader.leadership import own_lease
from piko_flow.control.operations.plane import ControlPlane
from piko_flow.control.options import ReplicaOptions
from piko_flow.control.replica.replica import Replica
from piko_flow.errors import RequestRefused
from piko_flow.planning.interval import Interval
from piko_flow.store.memory import MemoryStore
from piko_flow.store.records import ReplicaRecord
from piko_flow.store.texts import NAMES
from piko_flow.testing import ManualClock
from tests.unit.control_worlds import Flows, leader

LONG = f"{'orders-pipeline-production-7d4b9c6f5d-x2x9z' * 2:.60}-1234567-0123abcd"


async def test_without_election_a_replica_of_a_long_name_leads_at_once() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    for name in ("default", "l" * NAMES["lease"]):
        replica = Replica(
            store=store,
            registry=Registry(),
            record=ReplicaRecord(LONG, slots=1),
            options=ReplicaOptions(lease_name=name, elected=False),
            clock=clock,
        )
        await replica.tick()  # a sign of life
        await replica.tick()
        assert replica.leadership.leads


def test_replicas_without_election_ask_for_leases_of_their_own() -> None:
    assert own_lease("default", f"{LONG}1") != own_lease("default", f"{LONG}2")


async def test_a_trigger_whose_key_no_database_can_keep_is_refused_alone() -> None:
    flows = Flows()
    flows.add("each", schedule=Interval(minutes=1))
    async with flows.within() as world:
        await world.advance(minutes=3)
        replica, term = leader(world).replica, world.store._rows.leases["default"].term
        plane = ControlPlane(
            store=world.store,
            registry=flows.registry,
            options=replica.options,
            clock=world.clock,
            replica=replica,
        )
        reign = replica.reign
        with pytest.raises(RequestRefused, match="NUL"):
            await plane.trigger("each", key="nul\0")
        await world.advance(minutes=3)
        assert replica.reign is reign
        assert world.store._rows.leases["default"].term == term
        assert len(world.runs("each")) == 6
        assert {run.scheduled_time.second for run in world.runs("each")} == {0}
