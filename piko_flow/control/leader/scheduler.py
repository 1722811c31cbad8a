"""The leader's step: what is due becomes rows, what waits and fits becomes somebody's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from piko_flow.control.leader.backfiller import feed_backfills
from piko_flow.control.leader.draft import Draft
from piko_flow.control.leader.fires import Reserve, plan_fires
from piko_flow.control.leader.reign import Reign
from piko_flow.control.leader.rescuer import rescue
from piko_flow.control.leader.windows import plan_windows
from piko_flow.control.runs.recorder import Recorder
from piko_flow.control.timing import DatabaseTime
from piko_flow.planning.admission import Waiting
from piko_flow.planning.run_state import RunStatus
from piko_flow.store.batch import Decided, Decision
from piko_flow.store.protocols import LedgerStore
from piko_flow.store.records import NewRun, RunRecord

REQUESTS = 1000  # triggers taken into one step


class Takes(Protocol):
    """The worker of this replica, as the scheduler sees it."""

    @property
    def free(self) -> int: ...
    def reserve(self, slots: int, /) -> None: ...
    def knows(self, flow: str, /) -> bool: ...
    def begin(self, runs: Sequence[RunRecord], /) -> None: ...


@dataclass(slots=True)
class _Request:
    wanted: NewRun | Decision
    answer: asyncio.Future[RunRecord | None]


class Scheduler:
    """Plans while this replica leads. Each step is one transaction, fenced by the term."""

    def __init__(
        self, *, reign: Reign, recorder: Recorder, store: LedgerStore, worker: Takes, time: DatabaseTime
    ) -> None:
        self._reign, self._recorder, self._store, self._worker, self._time = (
            reign,
            recorder,
            store,
            worker,
            time,
        )
        self._requests: deque[_Request] = deque()
        self._begun: list[RunRecord] = []
        self._placeholders = 0
        self.lost: list[RunRecord] = []
        """Runs of dead replicas, to be rescued in the next step."""
        self.elsewhere = 0
        """Free slots of other replicas."""
        self.wake = asyncio.Event()

    async def step(self) -> bool:
        """Do what can be done now; gives whether there was anything to write.

        Raises TermOutdated when another leads, StoreUnavailable when it is not known what was written; whatever
        it raises, this scheduler and its reign are to be dropped.
        """
        draft = Draft(self._reign.term)
        try:
            await self._fill(draft)
            if draft.ask.empty:
                return False
            asked = self._time.asking()
            answer = await self._recorder.lead(draft.ask)
        except Exception as error:
            draft.fail(error)
            raise
        self._time.observe(answer.now, asked=asked)
        draft.tell(answer)
        self.lost = []
        self._begin()
        return True

    async def _fill(self, draft: Draft) -> None:
        now = self._time.now()
        rescue(self._reign, draft, self.lost)
        self._dispatch(draft, now)
        plan_fires(self._reign, draft, now, self._reserve(draft))
        await plan_windows(self._reign, draft, self._store)
        feed_backfills(self._reign, draft)
        self._take_requests(draft)

    def next_time(self) -> datetime | None:
        """When something falls due by itself; None when nothing is expected."""
        times = [
            time for time in (self._reign.next_look(), self._reign.admission.next_time()) if time is not None
        ]
        return min(times, default=None)

    def request(self, wanted: NewRun | Decision) -> asyncio.Future[RunRecord | None]:
        """Queue a run that somebody asked for, with the next step; None when its key was there already.

        A decision is one that queues one run. The future raises what the decision raised.
        """
        answer: asyncio.Future[RunRecord | None] = asyncio.get_running_loop().create_future()
        self._requests.append(_Request(wanted, answer))
        self.wake.set()
        return answer

    def drop(self, error: Exception) -> None:
        """This replica leads no more: whoever asked is told so."""
        while self._requests:
            _fail(self._requests.popleft(), error)

    def ended(self, run: int) -> None:
        """A run has ended: its slot is free, its window may make others due."""
        record = self._reign.end(run)
        if record is not None:
            self.look_again(record.flow)
        self.wake.set()

    def look_again(self, flow: str) -> None:
        """What is settled of the flow has changed: plan it and those that wait for it."""
        for name in (flow, *self._reign.dependents[flow]):
            schedule = self._reign.schedules.get(name)
            if (
                schedule is not None
                and schedule.flow.stateful
                and (name != flow or name in self._reign.stalled)
            ):
                self._reign.backlog.add(name)
        self.wake.set()

    def requeued(self, run: RunRecord) -> None:
        """A run of this or of another replica waits again."""
        self._reign.back(run)
        self.wake.set()

    def _dispatch(self, draft: Draft, now: datetime) -> None:
        """Who waits and fits gets a slot here first, then one elsewhere."""
        free = self._worker.free
        taken = self._reign.admission.take(free + self.elsewhere, now)
        own: list[int] = []
        for waiting in taken:
            if len(own) < free and self._worker.knows(waiting.flow):
                own.append(waiting.run)
            elif self._reign.only_here(waiting.flow):
                self._reign.admission.wait(waiting)
            else:
                draft.admit(waiting.run, partial(self._reign.offered, waiting.run))
                self.elsewhere = max(self.elsewhere - 1, 0)
        if not own:
            return
        self._worker.reserve(len(own))
        draft.on_failure(lambda _: self._worker.reserve(-len(own)))
        draft.claim(own, lambda records: self._claimed(own, records))

    def _claimed(self, wanted: list[int], records: list[RunRecord]) -> None:
        self._worker.reserve(-len(wanted))
        for record in records:
            self._reign.started(record)
        self._begun += records
        for run in set(wanted) - {record.id for record in records}:
            self._reign.end(run)  # cancelled while it waited

    def _reserve(self, draft: Draft) -> Reserve:
        """Whether a run that is about to be queued may be claimed in the same step."""

        def reserve(flow: str, group: str) -> Callable[[RunRecord | None], None] | None:
            placeholder = Waiting(-1 - self._placeholders, flow, group)
            if (
                self._worker.free <= 0
                or not self._worker.knows(flow)
                or not self._reign.admission.fits(placeholder)
            ):
                return None
            self._placeholders += 1
            self._reign.admission.start(placeholder)
            self._worker.reserve(1)
            draft.on_failure(lambda _: self._unreserve(placeholder.run))
            return lambda record: self._queued(record, placeholder.run)

        return reserve

    def _unreserve(self, placeholder: int) -> None:
        self._reign.admission.end(placeholder)
        self._worker.reserve(-1)

    def _queued(self, record: RunRecord | None, placeholder: int | None = None) -> None:
        if placeholder is not None:
            self._unreserve(placeholder)
        if record is None:
            return
        self._reign.add(record)  # which may have met it in the store while the answer was on its way
        if record.status is RunStatus.RUNNING:
            self._begun.append(record)

    def _take_requests(self, draft: Draft) -> None:
        for _ in range(min(len(self._requests), REQUESTS)):
            request = self._requests.popleft()
            draft.on_failure(lambda error, request=request: _fail(request, error))  # type: ignore[misc]
            if isinstance(request.wanted, Decision):
                draft.decide(request.wanted, lambda result, request=request: self._decided(request, result))  # type: ignore[misc]
            else:
                self._queue_request(draft, request, request.wanted)

    def _queue_request(self, draft: Draft, request: _Request, run: NewRun) -> None:
        schedule = self._reign.schedules.get(run.flow)
        group = schedule.row.concurrency_group if schedule is not None else "default"
        then = self._reserve(draft)(run.flow, group) if run.not_before is None else None

        def answer(record: RunRecord | None) -> None:
            (then or self._queued)(record)
            if not request.answer.done():
                request.answer.set_result(record)

        wanted = run if then is None else run.to_claim()
        draft.queue(wanted, answer, lambda error: _fail(request, error))

    def _decided(self, request: _Request, result: tuple[Decided, list[RunRecord]] | Exception) -> None:
        if isinstance(result, Exception):
            _fail(request, result)
            return
        for record in result[1]:
            self._queued(record)
        if not request.answer.done():
            request.answer.set_result(result[1][0] if result[1] else None)

    def _begin(self) -> None:
        begun, self._begun = self._begun, []
        if begun:
            self._worker.begin(begun)


def _fail(request: _Request, error: Exception) -> None:
    if not request.answer.done():
        request.answer.set_exception(error)
