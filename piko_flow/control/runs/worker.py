"""This replica's runs: taken, started, and their ends written."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Protocol

from piko_flow.control.flows.schedule_rows import Flows
from piko_flow.control.runs.endings import next_step, what_follows
from piko_flow.control.runs.execution import RunOrder
from piko_flow.control.runs.failure_record import error_text
from piko_flow.control.runs.outcome import Outcome
from piko_flow.control.runs.recorder import Recorder
from piko_flow.control.runs.run_counts import RunNews, fields_of
from piko_flow.control.timing import DatabaseTime
from piko_flow.errors import describe_error
from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import Reason, RunStatus
from piko_flow.store.batch import Ending, Requeue
from piko_flow.store.protocols import Store
from piko_flow.store.records import ParamsVersion, ReplicaRecord, RunRecord

VERSIONS = 10_000  # versions of parameters that are remembered

log = logging.getLogger("piko_flow.worker")


class Runs(Protocol):
    """Where runs are executed: another thread's loop, or this one."""

    def start(self, orders: Sequence[RunOrder], /) -> None:
        """Execute these; each is reported when it has ended."""

    def cancel(self, run: int, reason: Reason, /) -> None:
        """Stop the run now; it is reported when it has. Without effect for one that has ended."""


class Listener(Protocol):
    """Told what became of runs, when it has been written."""

    def run_ended(self, run: RunRecord, ending: Ending, /, *, more: bool) -> None: ...
    def run_requeued(self, run: RunRecord, /) -> None: ...
    def claim_lost(self, run: RunRecord, /) -> None: ...
    def failed(self, flow: str, /) -> None: ...


class Worker:
    """Keeps at most `slots` runs, from their claim until their end is written.

    A slot is free again only then, so what waits to be written is bounded, too.
    """

    def __init__(
        self,
        *,
        replica: ReplicaRecord,
        store: Store,
        recorder: Recorder,
        flows: Flows,
        time: DatabaseTime,
        listener: Listener,
    ) -> None:
        self._replica, self._store, self._recorder = replica, store, recorder
        self._flows, self._time, self._listener = flows, time, listener
        self.runs: Runs | None = None
        self.active: dict[int, RunRecord] = {}
        self.closed = False
        """A worker that is closed takes nothing more."""
        self.known_params: Callable[[int], ParamsVersion | None] = lambda version: None
        """What the leader in this process knows of a version of parameters, to save asking the store."""
        self.wake = asyncio.Event()
        self._reserved = 0
        self._begun: deque[RunRecord] = deque()
        self._early: list[tuple[datetime, int]] = []  # a heap of runs that are claimed ahead of their time
        self._more: set[int] = set()
        self._emptied = asyncio.Event()
        self._versions: dict[int, ParamsVersion] = {}
        self._hungry = False
        self.news = RunNews(time)
        self._suspects: set[tuple[int, int]] = set()

    @property
    def free(self) -> int:
        """How many more runs this replica takes now."""
        return 0 if self.closed else max(self._replica.slots - len(self.active) - self._reserved, 0)

    async def idle(self) -> None:
        """Return when no run is left and all ends are written, and the log has been told of all that succeeded."""
        while self.active:
            self._emptied.clear()
            await self._emptied.wait()
        self.news.tell_rest()  # here: a replica that drains may have no pulse after this

    def reserve(self, slots: int) -> None:
        """Keep slots for runs that are about to be claimed; a negative number gives them back."""
        self._reserved += slots

    def knows(self, flow: str) -> bool:
        """Whether this replica can run the flow."""
        return self._flows.get(flow) is not None

    def _anywhere(self, name: str) -> bool:
        """Whether the flow may be claimed here when another replica leads."""
        flow = self._flows.get(name)
        return flow is not None and flow.execute != "leader"

    def begin(self, runs: Sequence[RunRecord]) -> None:
        """Start runs that have been claimed for this replica, each when its time has come."""
        now = self._time.now()
        for run in runs:
            self.active[run.id] = run
            if run.not_before is not None and run.not_before > now:
                heappush(self._early, (run.not_before, run.id))
            else:
                self._begun.append(run)
        self.wake.set()

    @property
    def pause(self) -> float | None:
        """Seconds until a run that has been claimed ahead of its time begins; None where there is none."""
        if not self._early:
            return None
        return max((self._early[0][0] - self._time.now()).total_seconds(), 0.0)

    def _take_early(self) -> None:
        now = self._time.now()
        while self._early and self._early[0][0] <= now:
            run = self.active.get(heappop(self._early)[1])
            if run is not None:
                self._begun.append(run)

    async def claim(self) -> int:
        """Take admitted runs as slots are free; gives how many came."""
        wanted = self.free
        if wanted == 0:
            return 0
        self.reserve(wanted)
        try:
            runs = await self._store.claim(self._replica, limit=wanted, known=self._anywhere)
        finally:
            self.reserve(-wanted)
        self._hungry = len(runs) == wanted
        self.begin(runs)
        return len(runs)

    async def step(self) -> bool:
        """Start what was taken; gives whether there was anything. Raises StoreUnavailable, and nothing is lost."""
        self._take_early()
        if not self._begun:
            if self._hungry and self.free * 4 >= self._replica.slots:
                return await self.claim() > 0
            return False
        begun = list(self._begun)
        versions = {run.params_version for run in begun if run.params_version is not None}
        params = {version: await self._params(version) for version in versions}
        for _ in begun:
            self._begun.popleft()
        assert self.runs is not None
        orders = [order for run in begun if (order := self._order(run, params)) is not None]
        for order in orders:
            self._began(order.record)
        self.runs.start(orders)
        return True

    def _began(self, run: RunRecord) -> None:
        if run.origin == SCHEDULE and run.attempt == 1 and not run.rescues:
            late = (self._time.now() - run.scheduled_time).total_seconds()
            self._recorder.figures.run_began(run.flow, late)

    async def _params(self, version: int) -> ParamsVersion | None:
        """The version as this replica knows it, else as the store has it."""
        found = self._versions.get(version) or self.known_params(version)
        if found is None and (found := await self._store.params_version(version)) is not None:
            self._versions[version] = found
            if len(self._versions) > VERSIONS:
                del self._versions[next(iter(self._versions))]
        return found

    def _order(self, run: RunRecord, params: Mapping[int, ParamsVersion | None]) -> RunOrder | None:
        flow = self._flows.get(run.flow)
        if flow is None:  # claimed by a leader that knew it, in a version of the code that this one is not
            self._write(run, Requeue(run.id, run.claim, Reason.UNREGISTERED))
            return None
        version = params[run.params_version] if run.params_version is not None else None
        if version is None and run.params_version is not None:
            self._write(run, _without_params(run))
            return None
        return RunOrder(record=run, flow=flow, version=version)

    def ended(self, outcomes: Sequence[tuple[int, Outcome]]) -> None:
        """Runs have ended: write what follows."""
        for number, outcome in outcomes:
            run = self.active.get(number)
            if run is None:
                continue
            flow = self._flows.get(run.flow)
            if outcome.more:
                self._more.add(run.id)
            if outcome.status is RunStatus.SUCCESS:
                self.news.note(run.id, outcome.report)
            self._write(run, next_step(run, flow, outcome, self._time.now()))

    def _free(self, run: RunRecord) -> None:
        self.active.pop(run.id, None)
        self._more.discard(run.id)
        self.wake.set()
        if not self.active:
            self._emptied.set()

    def _gone(self, run: RunRecord) -> None:
        """The run was taken from this replica; whoever has it now writes what becomes of it."""
        self.news.forget(run.id)
        self._free(run)
        self._listener.claim_lost(run)

    def cancel(self, runs: Sequence[RunRecord]) -> None:
        """Stop runs that a person wants stopped."""
        for run in runs:
            known = self.active.get(run.id)
            if known is not None and known.claim == run.claim:
                self._stop(known, Reason.CANCELLED)

    def release_all(self, *, only_leaders: bool = False) -> None:
        """Stop all runs and give them back to the queue; or only those of flows that none but the leader may run."""
        for run in list(self.active.values()):
            if not (only_leaders and self._anywhere(run.flow)):
                self._stop(run, Reason.RELEASED)

    def _stop(self, run: RunRecord, reason: Reason) -> None:
        """Stop a run; one that was to begin later ends without having begun."""
        others = [one for one in self._early if one[1] != run.id]
        if len(others) < len(self._early):
            heapify(others)
            self._early = others
            released = reason is Reason.RELEASED
            back = Requeue(run.id, run.claim, reason, not_before=run.not_before)
            self._write(run, back if released else Outcome(RunStatus.CANCELLED, reason).ending(run))
        elif self.runs is not None:
            self.runs.cancel(run.id, reason)

    async def release_unknown(self) -> bool:
        """Give back runs that the store says are this replica's and that it does not have; True when that is done.

        They are claims whose answer was lost. One that is met for the first time may have its answer on the way,
        so it is given back only when it is met again. A run that ended meanwhile is not harmed: its claim is over.
        """
        found = {
            (run.id, run.claim): run
            for run in await self._store.live()
            if run.status is RunStatus.RUNNING
            and run.replica == self._replica.id
            and run.id not in self.active
        }
        for claim in found.keys() & self._suspects:
            self.active[found[claim].id] = found[claim]
            self._write(found[claim], Requeue(*claim, Reason.RELEASED))
        self._suspects = found.keys() - self._suspects
        return not self._suspects

    def _write(self, run: RunRecord, change: Ending | Requeue) -> None:
        future = self._recorder.change(change)
        future.add_done_callback(lambda done: self._written(run, change, done))

    def _written(self, run: RunRecord, change: Ending | Requeue, done: asyncio.Future[bool]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None and self._failed_instead(run, change, error):
            return  # told when that is written
        if error is not None or not done.result():
            self._gone(run)
            return
        more = run.id in self._more
        self._free(run)
        self._tell(run, change)
        if isinstance(change, Ending):
            self._listener.run_ended(run, change, more=more)
            if change.status is RunStatus.FAILED:
                self._listener.failed(run.flow)
        else:
            if change.attempt:
                self._recorder.figures.run_retried(run.flow)
            self._listener.run_requeued(
                replace(
                    run,
                    status=RunStatus.QUEUED,
                    replica="",
                    admitted=False,
                    attempt=run.attempt + change.attempt,
                    not_before=change.not_before,
                    reason=change.reason,
                )
            )

    def _failed_instead(self, run: RunRecord, change: Ending | Requeue, error: BaseException) -> bool:
        """Whether a run whose end was refused is written as failed; else the log tells that it could not be written."""
        if not isinstance(change, Ending) or change.status is RunStatus.FAILED:
            log.error(
                "the end of run %d of %r could not be written: %s",
                run.id,
                run.flow,
                error,
                extra=fields_of(run),
            )
            return False
        failed = Outcome(
            RunStatus.FAILED,
            Reason.ERROR,
            error_type=type(error).__name__,
            error_msg=describe_error(error, 500),
            duration_ms=change.duration_ms or 0,
            retryable=True,
        )
        self._write(run, next_step(run, self._flows.get(run.flow), failed, self._time.now()))
        return True

    def _tell(self, run: RunRecord, change: Ending | Requeue) -> None:
        """Log how the attempt ended, and what follows a failed one."""
        if follows := what_follows(run, self._flows.get(run.flow), change):
            error = error_text(change.error_type, change.error_msg)
            log.warning(
                "run %d of %r failed in attempt %d: %s; %s",
                run.id,
                run.flow,
                run.attempt,
                error,
                follows,
                extra=fields_of(run),
            )
        if isinstance(change, Ending):
            self.news.ended(run, change)


def _without_params(run: RunRecord) -> Ending:
    """The end of a run whose parameters are gone: it is not run with others."""
    return Ending(
        run.id,
        run.claim,
        run.flow,
        RunStatus.FAILED,
        reason=Reason.PARAMS_REFUSED,
        window=run.window,
        mark=None if run.window is None else Mark.FAILED,
        error_type="ParamsGone",
        error_msg=f"version {run.config_version} of the parameters, with which it was queued, is not in the store",
    )
