"""What is asked of a leader and does not fit is refused to who asked; the rest of the step goes on."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from piko_flow.errors import PikoFlowError
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.interval import Interval
from piko_flow.store.batch import Decided, Decision
from piko_flow.store.records import NewRun
from tests.unit.control_worlds import HOURLY, NOON, Flows, hours, leader

EAST = timezone(timedelta(hours=1))
GOOD = NewRun("each", NOON, "trigger|good", origin="trigger")
WRONG: dict[str, dict[str, Any]] = {
    "a key that is too long": {"key": "k" * 192},
    "a flow whose name is too long": {"flow": "f" * 129},
    "an origin that is too long": {"origin": "o" * 65},
    "a time out of range": {"not_before": datetime(1, 1, 1, tzinfo=EAST)},
    "a time of nowhere": {"scheduled_time": datetime(2026, 1, 1)},
    "params that no database can keep": {"params": '{"raw": "\0"}'},
}


@pytest.fixture
def flows() -> Flows:
    made = Flows()
    made.add("each", schedule=Interval(minutes=1), max_instances=5)
    return made


@pytest.mark.parametrize("case", WRONG)
async def test_of_two_triggers_in_one_step_the_one_that_does_not_fit_is_refused_alone(
    flows: Flows, case: str
) -> None:
    async with flows.within() as world:
        await world.advance(minutes=2)
        replica = leader(world).replica
        reign, scheduler, term = replica.reign, replica.scheduler, world.store._rows.leases["default"].term
        assert reign is not None
        assert scheduler is not None
        wrong = scheduler.request(replace(GOOD, **{"key": "trigger|wrong", **WRONG[case]}))
        good = scheduler.request(GOOD)
        await world.advance(minutes=1)  # its step has the fire of this minute, too
        with pytest.raises(PikoFlowError):
            wrong.result()
        made = good.result()
        assert made is not None
        assert [run.key for run in world.runs() if run.origin == "trigger"] == ["trigger|good"]
        await world.advance(minutes=2)
        assert (replica.reign, replica.scheduler) == (reign, scheduler)
        assert world.store._rows.leases["default"].term == term
        assert [str(run.status) for run in world.runs()] == ["SUCCESS"] * 6
        assert not reign.live
        assert replica.worker.free == replica.record.slots


async def test_a_decision_whose_runs_do_not_fit_is_refused_alone_and_changes_nothing(flows: Flows) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True)
    async with flows.within() as world:
        await world.advance(minutes=2)
        replica = leader(world).replica
        reign, scheduler = replica.reign, replica.scheduler
        assert scheduler is not None
        [window] = hours(2, 3)

        def decide(state: FlowState, now: datetime) -> Decided:
            run = NewRun("orders", now, "k" * 192, window=window)
            return Decided(Change(replace(state, generation=7)), (run,))

        before = world.state("orders")
        wrong, good = scheduler.request(Decision("orders", decide)), scheduler.request(GOOD)
        await world.advance(minutes=2)
        with pytest.raises(PikoFlowError, match="191"):
            wrong.result()
        assert good.result() is not None
        assert world.state("orders") == before
        assert replica.reign is reign
