"""Taking a replica's steps in real time, until it is asked to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from piko_flow.clock import Clock
from piko_flow.control.leader.long_lived import LongLived
from piko_flow.control.replica.replica import Replica
from piko_flow.control.replica.survey import EVERY
from piko_flow.control.timing import woken
from piko_flow.counting import counted
from piko_flow.errors import StoreUnavailable

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds after an error that nobody expected

log = logging.getLogger("piko_flow.replica")


class ReplicaLoops:
    """The loops of one replica. None of them ends by an error: it is logged, and the loop goes on."""

    def __init__(
        self,
        replica: Replica,
        *,
        clock: Clock,
        look: Callable[[], None] = lambda: None,
        surveys: Sequence[Callable[[], Awaitable[None]]] = (),
    ) -> None:
        self._replica, self._clock, self._look, self._surveys = replica, clock, look, surveys
        self._long_lived = LongLived()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then drain within the budget, give back what is left, and leave."""
        replica = self._replica
        async with asyncio.TaskGroup() as loops:
            writing = loops.create_task(replica.recorder.run(), name="recorder")
            others = [
                loops.create_task(self._forever(self._tick), name="ticks"),
                loops.create_task(self._forever(self._lead), name="leader"),
                loops.create_task(self._forever(self._work), name="worker"),
            ]
            if self._surveys:
                others.append(loops.create_task(self._forever(self._surveyed), name="survey"))
            try:
                await stop.wait()
                await self._drain()
            finally:
                self._long_lived.follow(None)
                for task in (*others, writing):
                    task.cancel()

    async def _forever(self, turn: Callable[[], object]) -> None:
        failures = 0
        while True:
            try:
                await turn()  # type: ignore[misc]  # each turn is a coroutine function
                failures = 0
            except Exception:
                failures += 1
                wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
                log.exception("an error that should not happen; going on in %g s", wait)
                await self._clock.sleep(wait)

    async def _tick(self) -> None:
        self._look()
        began = self._clock.monotonic()
        await self._replica.tick()
        took = self._clock.monotonic() - began
        await self._clock.sleep(max(self._replica.options.poll_every.total_seconds() - took, 0.0))

    async def _lead(self) -> None:
        replica = self._replica
        more = await replica.lead()
        self._long_lived.follow(replica.reign)
        if more:
            await asyncio.sleep(0)
            return
        seconds = replica.options.poll_every.total_seconds()
        if replica.leads and replica.scheduler is not None:
            coming = replica.scheduler.next_time()
            if coming is not None:
                seconds = min(seconds, max((coming - replica.time.now()).total_seconds(), 0.0))
        await woken(replica.wake, seconds)

    async def _work(self) -> None:
        worker = self._replica.worker
        try:
            if not await worker.step():
                await woken(worker.wake, worker.pause)
        except StoreUnavailable as error:
            self._replica.doubt()
            log.warning("%s", error)
            await self._clock.sleep(FIRST_WAIT)

    async def _surveyed(self) -> None:
        for survey in self._surveys:
            await survey()
        await self._clock.sleep(EVERY)

    async def _drain(self) -> None:
        """Take nothing more and let runs finish; when the budget is spent, give them back and wait until that is written."""
        replica = self._replica
        await replica.drain()
        budget = replica.options.drain.total_seconds()
        try:
            async with asyncio.timeout(budget):
                await replica.worker.idle()
        except TimeoutError:
            unfinished = counted(len(replica.worker.active), "run")
            log.warning("%s unfinished after %g s; what runs goes back", unfinished, budget)
            replica.worker.release_all()
            try:
                async with asyncio.timeout(budget + LONGEST_WAIT):
                    await replica.worker.idle()
            except TimeoutError:
                unfinished = counted(len(replica.worker.active), "run")
                log.error("%s unfinished after a stop; another replica runs it again", unfinished)
        await self._resigned(min(budget, replica.options.lease.total_seconds()))
        await replica.leave()

    async def _resigned(self, seconds: float) -> None:
        """Wait until a tick has given the lease back, where the store did not answer; in vain once it has run out."""
        waited, turn = 0.0, min(self._replica.options.poll_every.total_seconds(), seconds)
        while self._replica.leadership.owes and waited < seconds:
            await self._clock.sleep(turn)
            waited += turn
