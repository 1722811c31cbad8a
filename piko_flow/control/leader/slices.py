"""Sources without an end are read in slices, each a run of its own; the next begins where the last one stopped."""

from __future__ import annotations

import asyncio

from piko_flow.control.leader.new_runs import next_slice
from piko_flow.control.leader.params_book import ParamsBook
from piko_flow.control.leader.reign import Reign
from piko_flow.control.leader.scheduler import Scheduler
from piko_flow.control.runs.recorder import Recorder
from piko_flow.control.timing import DatabaseTime
from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.store.protocols import Store
from piko_flow.store.records import RunRecord


class Slices:
    """Queues the next slice of a flow whose last one ended before its input did.

    Not while the flow is paused or its row disabled, and not beside another run of it that waits or works: that
    one goes on itself, so a flow has one chain of slices at most. Parameters are those in force by then.
    """

    def __init__(self, *, store: Store, recorder: Recorder, time: DatabaseTime) -> None:
        self._store, self._recorder, self._time = store, recorder, time
        self._waiting: list[RunRecord] = []

    def goes_on(self, run: RunRecord, reign: Reign | None, scheduler: Scheduler | None) -> None:
        """The run's source has more: at once where this replica leads, else with the next tick."""
        if reign is None or scheduler is None:
            self._waiting.append(run)
            return
        wanted = not reign.paused(run.flow) and (reign.follows(run.flow) or run.origin != SCHEDULE)
        if wanted and not any(other.flow == run.flow for other in reign.live.values()):
            now = self._time.now()
            asked = scheduler.request(next_slice(run, reign.params.in_force(run.flow, now), now))
            asked.add_done_callback(lambda done: self._asked(run, done))

    def _asked(self, run: RunRecord, done: asyncio.Future[RunRecord | None]) -> None:
        """What this leader could not queue, because it lost the lead or the store, is left to the next tick."""
        if done.cancelled() or done.exception() is not None:
            self._waiting.append(run)

    async def queue_waiting(self) -> None:
        """Ask the store what the leader knows by itself, and queue what is to go on."""
        while self._waiting:
            run = self._waiting[-1]
            rows = await self._store.marked_schedules([run.flow])
            live = any(other.flow == run.flow for other in await self._store.live())
            enabled = run.origin != SCHEDULE or any(one.row.enabled for one in rows)
            if enabled and not live and not any(one.paused for one in rows):
                now = self._time.now()
                params = ParamsBook(await self._store.params(run.flow)).in_force(run.flow, now)
                self._recorder.queue(next_slice(run, params, now))
            self._waiting.pop()
