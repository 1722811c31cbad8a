"""What happens between a question to the store and its answer, as the simulation once found it."""

import asyncio
from datetime import timedelta

from piko_flow import Flow, Interval, RunContext
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.schedule_rows import Schedule
from piko_flow.control.leader.leadership import Leadership
from piko_flow.control.leader.reign import Reign
from piko_flow.store.batch import Term
from piko_flow.store.memory.store import MemoryStore
from piko_flow.store.records import Lease, ScheduleRecord
from piko_flow.testing import ManualClock, Stall

TTL = timedelta(seconds=9)


class SlowToAnswer(MemoryStore):
    """Holds back what it answers to who asks for the lease."""

    stall: Stall

    async def acquire(self, name: str, *, holder: str, ttl: timedelta) -> Lease | None:
        """Take it, and tell later."""
        lease = await super().acquire(name, holder=holder, ttl=ttl)
        await self.stall.happen()
        return lease


async def test_who_resigns_while_the_lease_is_on_its_way_gives_it_back() -> None:
    clock = ManualClock()
    store = SlowToAnswer(clock)
    store.stall = Stall()
    mine = Leadership(store=store, name="x", holder="a", ttl=TTL, renew_every=TTL / 3, clock=clock)
    asking = asyncio.create_task(mine.campaign())
    await store.stall.reached.wait()
    await mine.resign()
    store.stall.release()
    assert not await asking
    assert not mine.leads
    other = await store.acquire("x", holder="b", ttl=TTL)
    assert other is not None
    assert other.holder == "b"


def test_asking_again_when_a_flow_is_due_costs_no_memory() -> None:
    registry: Registry[Flow] = Registry()

    @Flow.register("daily", schedule=Interval(days=1), registry=registry)
    async def daily(run: RunContext) -> None: ...

    assert daily.schedule is not None
    reign, now = Reign(Term("x", 1), group_limits={}), ManualClock().now()
    reign.follow(Schedule(daily, ScheduleRecord("daily", "interval", '{"days": 1}'), daily.schedule, True))
    for second in range(1000):
        reign.expect("daily", now + timedelta(seconds=second))
    assert len(reign._due) == 1
    assert reign.due(now + timedelta(days=1)) == ("daily", now + timedelta(days=1))
    assert reign.next_look() is None
    reign.expect("daily", now + timedelta(days=1))
    assert reign.next_look() == now + timedelta(days=2)
