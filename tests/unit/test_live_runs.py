"""What happens to runs is told to everybody who listens, from one look at the store a second."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from piko_flow.errors import StoreUnavailable
from piko_flow.ops.live import broadcaster as limits
from piko_flow.ops.live.broadcaster import Broadcaster, TooManyListeners
from piko_flow.ops.live.listener import ROOM, Listener
from piko_flow.ops.live.run_changes import run_changes
from piko_flow.ops.live.topic import Topic
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Batch, Ending
from piko_flow.store.ops_records import LogLine, RunDetail
from piko_flow.store.records import RunRecord
from tests.unit.api_worlds import PlaneProcess
from tests.unit.planes import DAY, NOW, ONE, Scene, queued, running, scene

EVERYTHING = Topic()


@asynccontextmanager
async def listening(topic: Topic = EVERYTHING, whose: int = 1) -> AsyncIterator["Heard"]:
    found = scene()
    process = PlaneProcess(found.plane)
    live = Broadcaster(process, clock=found.clock)
    async with live.listening(topic, whose=whose) as listener:
        yield Heard(found, process, live, listener)


class Heard:
    """A listener, and the world that it listens to."""

    def __init__(self, found: Scene, process: PlaneProcess, live: Broadcaster, listener: Listener) -> None:
        self.scene, self.process, self.live, self.listener = found, process, live, listener

    async def next(self) -> list[tuple[str, int | None]]:
        """Names of events and numbers of runs, from a look a second later."""
        await self.scene.clock.advance(1)
        await self.live.look()
        return [(one.name, one.run.id if one.run else None) for one in self.listener.take()]


async def end(found: Scene, run: RunRecord, status: RunStatus = RunStatus.SUCCESS) -> None:
    ending = Ending(run.id, run.claim, run.flow, status, "")
    assert not (await found.store.write(Batch("one", endings=[ending]))).stale


def run_of(number: int, status: str, attempt: int = 1) -> RunRecord:
    return RunRecord(number, "mail", RunStatus(status), NOW, attempt=attempt)


CHANGES = [
    (None, run_of(1, "QUEUED"), ["run_changed"]),
    (None, run_of(1, "RUNNING"), ["run_began"]),
    (None, run_of(1, "SUCCESS"), ["run_ended"]),
    (run_of(1, "QUEUED"), run_of(1, "RUNNING"), ["run_began"]),
    (run_of(1, "RUNNING"), run_of(1, "RUNNING"), []),
    (run_of(1, "RUNNING"), replace(run_of(1, "RUNNING"), cancel_requested="ann"), ["run_changed"]),
    (run_of(1, "RUNNING"), run_of(1, "RUNNING", attempt=2), ["run_began"]),
    (run_of(1, "RUNNING"), run_of(1, "QUEUED", attempt=2), ["run_changed"]),
    (run_of(1, "RUNNING"), run_of(1, "FAILED"), ["run_ended"]),
]


@pytest.mark.parametrize(("before", "now", "told"), CHANGES)
def test_what_happened_to_a_run(before: RunRecord | None, now: RunRecord, told: list[str]) -> None:
    known = {} if before is None else {1: before}
    assert [change.what for change in run_changes(known, [now])] == told


async def test_a_listener_hears_first_that_it_has_to_read_and_then_what_happens() -> None:
    async with listening() as heard:
        assert [event.name for event in heard.listener.take()] == ["reset"]
        assert await heard.next() == []
        run = await queued(heard.scene, "mail")
        assert await heard.next() == [("run_changed", 1)]
        await heard.scene.store.beat(ONE, ttl=DAY)
        claimed = (await heard.scene.store.write(Batch("one", claim=[run.id]))).claimed[0]
        assert await heard.next() == [("run_began", 1)]
        assert await heard.next() == []
        await end(heard.scene, claimed)
        assert await heard.next() == [("run_ended", 1)]
        assert await heard.next() == []


async def test_a_run_that_begins_and_ends_between_two_looks_is_told() -> None:
    async with listening() as heard:
        heard.listener.take()
        await end(heard.scene, await running(heard.scene, "mail"))
        assert await heard.next() == [("run_ended", 1)]


async def test_the_end_of_a_run_that_is_not_among_the_newest_any_more_is_told() -> None:
    async with listening() as heard:
        old = await running(heard.scene, "idle")
        await heard.next()
        for _ in range(120):
            await end(heard.scene, await running(heard.scene, "mail"))
        await end(heard.scene, old)
        assert ("run_ended", old.id) in await heard.next()


async def test_a_topic_hears_its_own_and_what_the_stages_of_its_runs_are_at() -> None:
    async with listening(Topic(flow="mail")) as heard, AsyncExitStack() as others:
        everything = await others.enter_async_context(heard.live.listening(Topic(), whose=1))
        other = await others.enter_async_context(heard.live.listening(Topic(run=99), whose=1))
        run = await running(heard.scene, "mail")
        await running(heard.scene, "idle")
        heard.listener.take()
        assert await heard.next() == [("run_began", run.id)]
        await heard.scene.store.show_live("one", {run.id: '{"stages": [1]}'})
        assert await heard.next() == [("run_progress", run.id)]
        assert await heard.next() == []
        assert [event.name for event in everything.take()] == ["reset", "run_began", "run_began"]
        assert [event.name for event in other.take()] == ["reset"]


async def test_that_a_log_has_grown_is_told_to_those_who_look_at_its_run() -> None:
    async with listening() as heard, AsyncExitStack() as others:
        run = await running(heard.scene, "mail")
        reader = await others.enter_async_context(heard.live.listening(Topic(run=run.id), whose=1))
        flow = await others.enter_async_context(heard.live.listening(Topic(flow="mail"), whose=1))
        await heard.next()
        reader.take()
        flow.take()
        line = LogLine(NOW, "INFO", "mail", "a line")
        for last in (2, 3):
            await heard.scene.store.keep_details([RunDetail(run.id, lines=(line,) * (2 if last == 2 else 1))])
            assert await heard.next() == []
            assert [(event.name, json.loads(event.told)) for event in reader.take()] == [
                ("run_logged", {"run": run.id, "line": last})
            ]
        await heard.next()
        assert (reader.take(), flow.take()) == ([], [])


async def test_nobody_asks_where_logs_end_while_nobody_looks_at_a_run_that_runs() -> None:
    async with listening(Topic(flow="mail")) as heard, AsyncExitStack() as others:
        waiting = await queued(heard.scene, "mail")
        await others.enter_async_context(heard.live.listening(Topic(run=waiting.id), whose=1))
        await running(heard.scene, "mail")
        await heard.next()
        before = heard.scene.store.statements
        await heard.next()
        assert heard.scene.store.statements - before == 3  # running ones, newest ones, what the flow's are at


async def test_fifty_listeners_cost_one_look_a_second() -> None:
    found = scene()
    process = PlaneProcess(found.plane)
    live = Broadcaster(process, clock=found.clock)
    async with AsyncExitStack() as stack:
        for number in range(50):
            await stack.enter_async_context(live.listening(Topic(flow="mail"), whose=number))
        assert (process.asked, live.listeners) == (1, 50)
        for _ in range(10):
            await found.clock.advance(1)
            await asyncio.gather(*(live.look() for _ in range(50)))
        assert process.asked == 11
    assert live.listeners == 0


async def test_who_comes_back_hears_what_happened_meanwhile() -> None:
    async with listening() as heard:
        await queued(heard.scene, "mail")
        await heard.next()
        last = f"{heard.live.beginning}-1"
        async with heard.live.listening(EVERYTHING, whose=1, after=last) as again:
            assert [(event.name, event.number) for event in again.take()] == [("run_changed", 2)]
        for unknown in ("", "other-1", f"{heard.live.beginning}-99", f"{heard.live.beginning}-x", "-"):
            async with heard.live.listening(EVERYTHING, whose=1, after=unknown) as again:
                assert [event.name for event in again.take()] == ["reset"], unknown


async def test_after_a_lapse_everybody_starts_afresh() -> None:
    async with listening() as heard:
        heard.listener.take()
        last = heard.live.beginning
        await running(heard.scene, "mail")
        await heard.scene.clock.advance(limits.LAPSE + 1)
        await heard.live.look()
        assert [event.name for event in heard.listener.take()] == ["reset"]
        assert heard.live.beginning != last


async def test_where_the_store_is_away_it_is_asked_once_a_second_and_nothing_is_lost() -> None:
    async with listening() as heard:
        heard.listener.take()
        await running(heard.scene, "mail")
        heard.process.fails = StoreUnavailable(what="look", reason="it is away")
        await heard.scene.clock.advance(1)
        asked = heard.process.asked
        with pytest.raises(StoreUnavailable):
            await heard.live.look()
        await heard.live.look()  # another one, who does not ask again
        assert heard.process.asked == asked + 1
        heard.process.fails = None
        assert await heard.next() == [("run_began", 1)]


async def test_one_who_takes_nothing_is_lost_and_keeps_nothing() -> None:
    async with listening() as heard, heard.live.listening(EVERYTHING, whose=1) as quick:
        for number in range(6):
            for _ in range(limits.PAST // 10):
                await queued(heard.scene, "mail")
            await heard.scene.clock.advance(1)
            await heard.live.look()
            assert len(quick.take()) >= 100, number
        assert limits.PAST // 10 * 6 > ROOM
        assert heard.listener.lost
        assert heard.listener.take() == []
        assert not quick.lost


async def test_listeners_are_bounded_for_each_token() -> None:
    async with listening(whose=7) as heard, AsyncExitStack() as stack:
        for _ in range(limits.OF_ONE - 1):
            await stack.enter_async_context(heard.live.listening(EVERYTHING, whose=7))
        with pytest.raises(TooManyListeners, match="20 streams of this token"):
            await stack.enter_async_context(heard.live.listening(EVERYTHING, whose=7))
        await stack.enter_async_context(heard.live.listening(EVERYTHING, whose=8))


async def test_what_is_told_of_a_run_has_no_parameters() -> None:
    async with listening() as heard:
        heard.listener.take()
        await queued(heard.scene, "orders", params='{"api_token": "hush"}')
        await heard.scene.clock.advance(1)
        await heard.live.look()
        [event] = heard.listener.take()
        assert json.loads(event.told)["run"]["flow"] == "orders"
        assert "hush" not in event.told
