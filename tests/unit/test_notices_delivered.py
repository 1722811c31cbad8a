"""A notice arrives, is tried again, told by another replica or given up, and holds up nothing meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from piko_flow.control.notices.notice_outbox import MOST, SENDING, TRIES, Outbox
from piko_flow.testing.manual_clock import ManualClock
from tests.unit.control_worlds import Flows
from tests.unit.told_people import Looking, People, failing
from tests.unit.told_people import flows as flows
from tests.unit.told_people import people as people


async def test_a_notice_that_does_not_arrive_is_tried_again_and_given_up_at_last(
    flows: Flows, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    async with failing(flows) as world:
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
    broken = People()
    broken.away = 1000
    async with failing(flows) as world:
        watching = Looking(world, people, broken)
        for _ in range(TRIES + 2):
            await watching.step()
    assert people.told == [("begun", "failed", "orders")]
    assert (broken.told, broken.away) == ([], 1000 - TRIES)


async def test_what_a_process_had_not_told_when_it_died_is_told_by_who_leads_later(
    flows: Flows, people: People
) -> None:
    dying = People()
    dying.away = 2
    async with failing(flows) as world:
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


async def test_a_replica_that_tells_nobody_does_not_keep_others_from_it(flows: Flows, people: People) -> None:
    dying = People()
    dying.away = 1000
    async with flows.within(replicas=3) as world:
        await world.advance(seconds=30)
        for one in world.replicas:
            await one.replica.drain()
        _, dies, last = sorted(world.replicas, key=lambda one: one.replica.record.id)
        watching = Looking(world, dying, replica=dies, leaderless=timedelta(seconds=10))
        for _ in range(2):
            await watching.step()
            await world.advance(seconds=20)
        assert dying.away < 1000
        watching = Looking(world, people, replica=last)
        await world.advance(minutes=12)
        await watching.step()
        assert people.told == [], "it is the turn of those before it"
        await world.advance(minutes=5)
        await watching.step()
    assert people.told == [("begun", "no_leader", "default")]


async def test_what_was_told_or_given_up_is_told_by_nobody_else(flows: Flows, people: People) -> None:
    broken = People()
    broken.away = TRIES
    async with failing(flows) as world:
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
