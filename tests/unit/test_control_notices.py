"""People are told once that something is wrong, and once that it is over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest

from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.window import BackfillPolicy
from piko_flow.store.records import DeadLetterRecord
from tests.unit.control_worlds import HOURLY, Flows, config, edit
from tests.unit.told_people import Looking, People, failing
from tests.unit.told_people import flows as flows
from tests.unit.told_people import people as people


async def test_a_failing_flow_is_told_once_and_once_more_when_it_has_recovered(
    flows: Flows, people: People
) -> None:
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("password=1")
    async with flows.within() as world:
        await world.advance(hours=1)
        watching = Looking(world, people)
        for _ in range(3):
            await watching.step()
            await world.advance(hours=1)
        del flows.fails["orders"]
        await world.advance(hours=1)
        for _ in range(2):
            await watching.step()
    assert people.told == [("begun", "failed", "orders"), ("over", "failed", "orders")]
    assert "with OSError" in str(people.notices[0]["text"])
    assert str(people.notices[1]["text"]).startswith("'orders' has succeeded again; over: run ")
    assert "password" not in str(people.notices)


async def test_of_two_replicas_one_tells(flows: Flows, people: People) -> None:
    async with failing(flows) as world:
        await Looking(world, people).step()
        await Looking(world, people).step()
    assert people.told == [("begun", "failed", "orders")]


async def test_a_gap_is_told_until_it_is_closed(flows: Flows, people: People) -> None:
    flows.add("days", schedule=HOURLY, stateful=True, backfill=BackfillPolicy.CATCH_UP)
    flows.fails["days"] = OSError("no")
    async with flows.within() as world:
        await world.advance(hours=1)
        watching = Looking(world, people)
        await watching.step()
        assert ("begun", "gap", "days") in people.told
        del flows.fails["days"]
        for run in world.runs("days"):
            await world.plane.retry(run.id)
        await world.advance(minutes=1)
        await watching.step()
    assert ("over", "gap", "days") in people.told


async def test_a_run_that_waits_too_long_makes_its_flow_late(flows: Flows, people: People) -> None:
    flows.add("long", schedule=HOURLY)
    flows.takes["long"] = 2.5 * 3600
    async with flows.within() as world:
        await world.advance(hours=2)
        watching = Looking(world, people, late=timedelta(minutes=5))
        await watching.step()
        assert people.told == []
        await world.advance(minutes=20)
        await watching.step()
        assert people.told == [("begun", "late", "long")]
        flows.takes["long"] = 1
        await world.advance(hours=3)
        await watching.step()
    assert people.told == [("begun", "late", "long"), ("over", "late", "long")]


async def test_a_refused_row_and_refused_parameters_are_told_until_they_are_mended(
    flows: Flows, people: People
) -> None:
    flows.add("orders", schedule=HOURLY)
    flows.add("mail", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=15)
        watching = Looking(world, people)
        edit(world, "orders", max_instances=0)
        world.store.edit(config("mail", "[]"))
        await world.advance(minutes=15)
        for _ in range(2):
            await watching.step()
        assert people.told == [("begun", "refused", "orders"), ("begun", "params_refused", "mail")]
        people.told.clear()
        edit(world, "orders", max_instances=1)
        world.store.edit(config("mail", "{}"))
        await world.advance(minutes=15)
        await watching.step()
    assert sorted(people.told) == [("over", "params_refused", "mail"), ("over", "refused", "orders")]


def letter(fingerprint: str, flow: str = "orders") -> DeadLetterRecord:
    """An open one that comes of no run."""
    return DeadLetterRecord(
        flow,
        0,
        stage="parse",
        payload="{}",
        error_type="ValueError",
        error_msg="no",
        fingerprint=fingerprint,
    )


async def test_many_dead_letters_are_told_and_that_they_are_gone(flows: Flows, people: People) -> None:
    flows.add("orders")
    async with flows.within() as world:
        await world.advance(seconds=30)
        letters = [letter("a") for _ in range(3)]
        await world.store.keep_dead_letters(letters[:2])
        watching = Looking(world, people, letters=3)
        await watching.step()
        assert people.told == []
        await world.store.keep_dead_letters(letters[2:])
        await watching.step()
        assert people.told == [("begun", "dead_letters", "orders")]
        found = await world.store.dead_letters(limit=10)
        await world.store.drop_dead_letters([letter.id for letter in found])
        await watching.step()
    assert people.told[1:] == [("over", "dead_letters", "orders")]


async def test_dead_letters_of_however_many_kinds_are_counted_for_figures_and_notices(
    flows: Flows, people: People
) -> None:
    flows.add("orders")
    async with flows.within() as world:
        await world.advance(seconds=30)
        await world.store.keep_dead_letters([letter(f"{kind:032}") for kind in range(1500)])
        watching = Looking(world, people, letters=1500)
        await watching.step()
        await world.store.keep_dead_letters([letter(f"{kind:032}", "mail") for kind in range(1500, 2500)])
        await watching.step()
    assert watching.survey._figures.dead_letters == {("orders",): 1500, ("mail",): 1000}
    assert people.told == [("begun", "dead_letters", "orders")]


async def test_figures_and_notices_read_the_states_of_flows_once(
    flows: Flows, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows.add("days", schedule=HOURLY, stateful=True)
    async with flows.within() as world:
        await world.advance(hours=1)
        read, states = list[str](), world.store.states

        async def counted(names: Collection[str]) -> Mapping[str, FlowState]:
            read.extend(names)
            return await states(names)

        monkeypatch.setattr(world.store, "states", counted)
        await Looking(world, people).step()
    assert read == ["days"]


async def test_that_nobody_leads_is_told_by_who_does_not_lead_either(flows: Flows, people: People) -> None:
    async with flows.within(replicas=2) as world:
        await world.advance(seconds=30)
        other = next(one for one in world.replicas if not one.replica.leads)
        watching = Looking(world, people, replica=other, leaderless=timedelta(seconds=60))
        watching.notices._lease = "another"  # for which nobody competes
        await watching.step()
        await world.advance(seconds=30)
        await watching.step()
        assert people.told == []
        await world.advance(seconds=31)
        await watching.step()
        await watching.step()
        assert people.told == [("begun", "no_leader", "another")]
        watching.notices._lease = "default"
        await watching.step()
        assert people.told == [("begun", "no_leader", "another"), ("over", "no_leader", "another")]
