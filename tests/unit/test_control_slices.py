"""A source without an end is read in slices, one after another."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from piko_flow import Flow, Source, Transform
from piko_flow.planning.interval import Interval
from piko_flow.testing.simulated import FlowWorld
from piko_flow.testing.stages import CollectingSink
from piko_flow.testing.store_faults import Fault, FaultKind
from tests.unit.control_worlds import Flows, at, away, edit, leader


class Feed:
    """Gives what is in `waiting` from a position on; `broken` lets the reading fail."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.broken = False
        self._read = 0

    def read(self, since: dict[str, int] | None) -> Iterator[int]:
        """What has come since the position."""
        self._read = 0 if since is None else since["read"]
        while self._read < len(self.waiting):
            if self.broken:
                raise OSError("the line is dead")
            self._read += 1
            yield self.waiting[self._read - 1]

    def position(self) -> dict[str, int]:
        """How many have been read."""
        return {"read": self._read}


class Fed(Flows):
    """A flow `feed` that reads such a feed by threes, each half an hour."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.feed, self.sink = Feed(), CollectingSink[int]()
        self.pace = 0.0
        """Seconds of the world that each item takes."""
        options = {"schedule": Interval(minutes=30), **options}
        pipeline = Source(self.feed, max_items=3) >> Transform(self._take_time) >> self.sink
        Flow.register("feed", pipeline, registry=self.registry, **options)

    async def _take_time(self, item: int) -> int:
        if self.pace:
            assert self.world is not None
            await self.world.sleep(self.pace)
        return item


@pytest.fixture
def flows() -> Fed:
    return Fed()


def begun(world: FlowWorld) -> list[tuple[str, object]]:
    """Each run's key as far as it tells, and when it began."""
    return [(run.key.split(":")[0].rstrip("0123456789 "), run.start_time) for run in world.runs("feed")]


async def test_where_more_waits_the_next_slice_starts_at_once_and_goes_on_where_the_last_one_ended(
    flows: Fed,
) -> None:
    flows.feed.waiting = list(range(8))
    async with flows.within() as world:
        await world.advance(minutes=30)
        assert flows.sink.items == list(range(8))
        assert begun(world) == [
            ("schedule", at(12.5)),
            ("slice after", at(12.5)),
            ("slice after", at(12.5)),
        ]
        assert {run.status for run in world.runs()} == {"SUCCESS"}


async def test_what_comes_later_is_read_by_the_next_fire_from_where_reading_stood(flows: Fed) -> None:
    flows.feed.waiting = [1, 2]
    async with flows.within() as world:
        await world.advance(minutes=30)
        flows.feed.waiting += [3, 4]
        await world.advance(minutes=30)
        assert flows.sink.items == [1, 2, 3, 4]
        assert begun(world) == [("schedule", at(12.5)), ("schedule", at(13))]


async def test_reading_goes_on_under_another_leader_where_it_stood(flows: Fed) -> None:
    flows.feed.waiting = list(range(4))
    async with flows.within() as world:
        await world.advance(minutes=30)
        await away(world, minutes=20)
        flows.feed.waiting += list(range(4, 9))
        await world.advance(minutes=40)
        assert flows.sink.items == list(range(9))


async def test_a_slice_that_fails_moves_nothing_and_is_read_again(flows: Fed) -> None:
    flows.feed.waiting = list(range(5))
    flows.feed.broken = True
    async with flows.within() as world:
        await world.advance(minutes=30)
        flows.feed.broken = False
        await world.advance(minutes=30)
        assert flows.sink.items == list(range(5))
        assert [run.status for run in world.runs()] == ["FAILED", "SUCCESS", "SUCCESS"]


@pytest.mark.parametrize("how", ["disabled", "paused"])
async def test_the_chain_of_slices_ends_when_its_row_is_disabled_or_its_flow_paused(
    flows: Fed, how: str
) -> None:
    flows.pace, flows.feed.waiting = 60, list(range(1000))
    async with flows.within() as world:
        await world.advance(minutes=45)
        assert len(world.runs()) == 6
        if how == "paused":
            await world.plane.pause("feed")
        else:
            edit(world, "feed", enabled=False)
        await world.advance(minutes=20)
        read, runs = len(flows.sink.items), len(world.runs())
        await world.advance(hours=2)
        assert (len(flows.sink.items), len(world.runs())) == (read, runs)


async def test_a_fire_that_comes_while_slices_follow_one_another_makes_no_second_chain(flows: Fed) -> None:
    flows.pace, flows.feed.waiting = 60, list(range(60))
    async with flows.within() as world:
        await world.advance(hours=2)
        assert flows.sink.items == list(range(60))
        times = sorted(
            (run.start_time, run.end_time) for run in world.runs() if run.start_time and run.end_time
        )
        assert all(first[1] <= second[0] for first, second in pairwise(times))


async def test_a_next_slice_that_could_not_be_queued_is_asked_for_again(flows: Fed) -> None:
    flows.feed.waiting = list(range(6))
    refusing: list[str] = []

    class RefuseTheSecond:
        """Refuses the first write after the first slice has ended."""

        def at(self, call: str, replica: str) -> Fault | None:
            if call != "write" or len(flows.sink.items) != 3 or len(refusing) > 1:
                return None
            refusing.append(call)
            return Fault(FaultKind.REFUSED) if len(refusing) == 2 else None

    async with flows.within(faults=RefuseTheSecond()) as world:
        await world.advance(minutes=40)
        assert flows.sink.items == list(range(6))
        assert len(refusing) == 2


async def test_a_slice_that_another_replica_has_read_is_followed_too(flows: Fed) -> None:
    flows.add("busy", schedule=Interval(minutes=30))
    flows.takes["busy"] = 1700
    flows.feed.waiting = list(range(8))
    flows.pace = 10
    async with flows.within(replicas=2, slots=1) as world:
        await world.advance(hours=1)
        assert flows.sink.items == list(range(8))
        assert {run.replica for run in world.runs("feed")} != {leader(world).name}


async def test_a_replica_that_stops_begins_no_further_slice(flows: Fed) -> None:
    flows.feed.waiting = list(range(1000))
    async with flows.within() as world:
        await world.advance(minutes=20)
        first = leader(world)
        flows.feed.waiting = list(range(4))
        await world.advance(minutes=10)
        first.stop()
        flows.feed.waiting += list(range(4, 100))
        await world.advance(seconds=30)
        assert first.dead
        assert flows.sink.items == list(range(4))


async def test_a_triggered_slice_goes_on_until_nothing_waits_too() -> None:
    flows = Fed(schedule=None)
    flows.feed.waiting = list(range(7))
    async with flows.within() as world:
        await world.advance(minutes=20)
        await world.plane.trigger("feed")
        await world.advance(minutes=5)
        assert flows.sink.items == list(range(7))
        assert {run.origin for run in world.runs()} == {"trigger"}
        assert len({run.start_time for run in world.runs()}) == 1
