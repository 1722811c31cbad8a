"""People are told once that something is wrong, and once that it is over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest

from piko_flow.control.notice_options import NoticeOptions
from piko_flow.control.notice_outbox import MOST, SENDING, TRIES, Outbox
from piko_flow.control.notice_post import NotDelivered
from piko_flow.control.notices import Notices
from piko_flow.control.survey import Survey
from piko_flow.planning.flow_state import FlowState
from piko_flow.planning.window import BackfillPolicy
from piko_flow.store.records import DeadLetterRecord
from piko_flow.telemetry.figures import Figures
from piko_flow.testing.manual_clock import ManualClock
from piko_flow.testing.simulated import FlowWorld
from tests.unit.control_worlds import HOURLY, Flows, config, edit, leader

Told = list[tuple[str, str, str]]


class People:
    """Those who are told; `away` notices in a row do not reach them."""

    def __init__(self) -> None:
        self.told: Told = []
        self.notices: list[Mapping[str, object]] = []
        self.away = 0

    async def deliver(self, notice: Mapping[str, object]) -> None:
        if self.away:
            self.away -= 1
            raise NotDelivered("the chat is away")
        self.notices.append(notice)
        self.told.append((str(notice["state"]), str(notice["kind"]), str(notice["subject"])))


class Looking:
    """A survey and the notices that go by it, step by step as a replica takes them."""

    def __init__(self, world: FlowWorld, *people: People, replica: Any = None, **options: Any) -> None:
        replica = (replica or leader(world)).replica
        self.survey = Survey(replica=replica, store=world.store, figures=Figures())
        self.notices = Notices(
            store=world.store,
            replica=replica,
            flows=world.replicas[0].replica.worker._flows,  # type: ignore[arg-type]  # a registry is a collection, too
            options=NoticeOptions(**options),
            clock=world.clock,
            places=[one.deliver for one in people],
            lease="default",
            seen=lambda: self.survey.seen,
        )

    async def step(self) -> None:
        await self.survey.step()
        await self.notices.step()


@pytest.fixture
def flows() -> Flows:
    return Flows()


@pytest.fixture
def people() -> People:
    return People()


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
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("no")
    async with flows.within() as world:
        await world.advance(hours=1)
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


async def test_a_flow_that_is_held_up_is_told_until_the_other_one_gets_on(
    flows: Flows, people: People
) -> None:
    flows.add("orders", schedule=HOURLY, stateful=True, backfill=BackfillPolicy.CATCH_UP)
    flows.add("report", schedule=HOURLY, stateful=True, backfill=BackfillPolicy.CATCH_UP, after="orders")
    flows.add("mail", schedule=HOURLY)
    async with flows.within() as world:
        await world.advance(minutes=30)
        watching = Looking(world, people)
        await watching.step()
        assert people.told == []
        await world.plane.pause("orders")
        await world.advance(hours=2)
        for _ in range(2):
            await watching.step()
        assert people.told == [("begun", "held_up", "report")]
        assert "'report' waits for 'orders'" in str(people.notices[0]["text"])
        await world.plane.resume("orders")
        await world.advance(hours=2)
        await watching.step()
    assert people.told == [("begun", "held_up", "report"), ("over", "held_up", "report")]


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


async def test_a_notice_that_does_not_arrive_is_tried_again_and_given_up_at_last(
    flows: Flows, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("no")
    async with flows.within() as world:
        await world.advance(hours=1)
        watching = Looking(world, people)
        people.away = 2
        for _ in range(3):
            await watching.step()
        assert people.told == [("begun", "failed", "orders")]
        del flows.fails["orders"]
        await world.advance(hours=1)
        people.away = TRIES
        for _ in range(TRIES + 2):
            await watching.step()
    assert people.told == [("begun", "failed", "orders")]
    assert "a notice was not delivered: the chat is away" in caplog.text


async def test_a_place_that_takes_nothing_makes_no_other_get_a_notice_twice(
    flows: Flows, people: People
) -> None:
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("no")
    broken = People()
    broken.away = 1000
    async with flows.within() as world:
        await world.advance(hours=1)
        watching = Looking(world, people, broken)
        for _ in range(TRIES + 2):
            await watching.step()
    assert people.told == [("begun", "failed", "orders")]
    assert (broken.told, broken.away) == ([], 1000 - TRIES)


async def test_what_a_process_had_not_told_when_it_died_is_told_by_who_leads_later(
    flows: Flows, people: People
) -> None:
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("no")
    dying = People()
    dying.away = 2
    async with flows.within() as world:
        await world.advance(hours=1)
        await Looking(world, dying).step()
        next_one = Looking(world, people)
        await next_one.step()
        assert people.told == [], "the other one may still be about to tell it"
        await world.advance(minutes=6)
        for _ in range(3):
            await next_one.step()
        assert people.told == [("begun", "failed", "orders")]
        del flows.fails["orders"]
        await world.advance(hours=1)
        await Looking(world, dying).step()
        await world.advance(minutes=6)
        await next_one.step()
        assert people.told[1:] == [("over", "failed", "orders")]
        await world.advance(minutes=30)
        await Looking(world, dying).step()
    assert (len(people.told), dying.told) == (2, [])


async def test_while_nobody_leads_one_of_the_replicas_tells_what_was_lost(
    flows: Flows, people: People
) -> None:
    dying = People()
    dying.away = 1000
    async with flows.within(replicas=3) as world:
        await world.advance(seconds=30)
        for one in world.replicas:
            await one.replica.drain()
        first = Looking(world, dying, replica=world.replicas[0], leaderless=timedelta(seconds=10))
        for _ in range(2):
            await first.step()
            await world.advance(seconds=20)
        assert dying.away < 1000
        await world.advance(minutes=6)
        for one in world.replicas:
            await Looking(world, people, replica=one).step()
    assert people.told == [("begun", "no_leader", "default")]


async def test_what_was_told_or_given_up_is_told_by_nobody_else(flows: Flows, people: People) -> None:
    flows.add("orders", schedule=HOURLY)
    flows.fails["orders"] = OSError("no")
    broken = People()
    broken.away = TRIES
    async with flows.within() as world:
        await world.advance(hours=1)
        watching = Looking(world, broken)
        for _ in range(TRIES):
            await watching.step()
        await world.advance(minutes=20)
        await Looking(world, people).step()
        await watching.step()
    assert (broken.told, people.told) == ([], [])


NOTICE = {"state": "begun", "kind": "failed"}


def _nothing() -> None: ...


async def test_an_error_that_nobody_expected_does_not_hold_up_notices_for_ever(people: People) -> None:
    async def deliver(notice: Mapping[str, object]) -> None:
        if notice["subject"] == 0:
            raise LookupError("a defect")
        await people.deliver(notice)

    outbox = Outbox(deliver, ManualClock())
    for number in range(2):
        outbox.add({**NOTICE, "subject": number}, _nothing)
    for _ in range(TRIES):
        with pytest.raises(LookupError):
            await outbox.send()
    await outbox.send()
    assert people.told == [("begun", "failed", "1")]


async def test_of_too_many_notices_the_oldest_goes_and_the_log_tells(
    people: People, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox(people.deliver, ManualClock())
    for number in range(MOST + 1):
        outbox.add({**NOTICE, "subject": number}, _nothing)
    assert "1,000 later ones wait (begun: failed of 0)" in caplog.text
    await outbox.send()
    assert [subject for _, _, subject in people.told] == [str(number) for number in range(1, MOST + 1)]


async def test_a_slow_place_does_not_hold_the_looks_for_longer_than_a_step() -> None:
    clock, taken = ManualClock(), list[object]()

    async def deliver(notice: Mapping[str, object]) -> None:
        taken.append(notice["subject"])
        await clock.advance(SENDING * 0.6)

    outbox = Outbox(deliver, clock)
    for number in range(5):
        outbox.add({**NOTICE, "subject": number}, _nothing)
    await outbox.send()
    assert taken == [0, 1]
    await outbox.send()
    assert taken == [0, 1, 2, 3]
