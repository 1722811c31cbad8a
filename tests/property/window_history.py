"""A stateful flow and what happens to it, applied to its state as a store does inside a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from piko_flow.errors import RequestRefused
from piko_flow.planning import backfill as backfills
from piko_flow.planning import catch_up, requests
from piko_flow.planning.catch_up import WindowPolicy
from piko_flow.planning.flow_state import SCHEDULE, Change, FlowState, LiveRun
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import Window
from piko_flow.store import applying
from piko_flow.store.batch import Ending


@dataclass
class Run:
    """A run over a window, as its row tells it."""

    number: int
    window: Window
    origin: str
    generation: int
    asked: bool  # a person wants it to run over what is done, too
    status: RunStatus = RunStatus.QUEUED


@dataclass
class Backfill:
    """A backfill that was applied."""

    number: int
    kind: str
    windows: tuple[Window, ...]
    position: int = 0


@dataclass
class Step:
    """One transaction: the state before and after, the edit it had to take over, the run that ended in it, the
    windows that the schedule wanted queued."""

    before: FlowState
    after: FlowState
    edit: datetime | None = None
    ended: Run | None = None
    mark: Mark | None = None
    queued: tuple[Window, ...] | None = None


Watch = Callable[["History", Step], None]


@dataclass
class History:
    """The flow's row, its state, its runs, and the clock. `watch` is told of every transaction."""

    trigger: Trigger
    policy: WindowPolicy
    now: datetime
    watch: Watch
    state: FlowState = field(default_factory=lambda: FlowState("flow"))
    runs: dict[int, Run] = field(default_factory=dict)
    backfills: list[Backfill] = field(default_factory=list)
    keys: set[tuple[object, ...]] = field(default_factory=set)
    edit: datetime | None = None
    until: datetime | None = None  # how far the flow covers that this one waits for
    more: bool = False

    @property
    def due(self) -> datetime:
        """Windows that have ended by then are due."""
        return self.now if self.until is None else min(self.now, self.until)

    def live(self, status: RunStatus) -> list[Run]:
        return [run for run in self.runs.values() if run.status is status]

    def plan(self) -> None:
        """The leader looks at the flow."""
        change = catch_up.plan(self.state, self.trigger, self.policy, now=self.now, until=self.until)
        self.more = change.more
        self._write(change, SCHEDULE, observes=True)

    def start(self, run: Run) -> None:
        self._live(run, RunStatus.RUNNING)

    def requeue(self, run: Run) -> None:
        """For its next attempt, or because its replica died."""
        self._live(run, RunStatus.QUEUED)

    def end(self, run: Run, mark: Mark | None) -> None:
        """A run ends: with this mark, or cancelled."""
        status = RunStatus.CANCELLED if mark is None else RunStatus.SUCCESS
        run.status = RunStatus.FAILED if mark is Mark.FAILED else status
        ending = Ending(run.number, 1, self.state.flow, run.status, window=run.window, mark=mark)
        self._write(applying.settle(self.state, ending), "", observes=True, ended=run, mark=mark)

    def cancel_queued(self, run: Run) -> None:
        """A queued run is cancelled: a store only ends its row, the ledger does not move."""
        run.status = RunStatus.CANCELLED
        live = tuple(other for other in self.state.live if other.run != run.number)
        self._write(Change(replace(self.state, live=live)), "", ended=run)

    def edit_row(self, value: datetime | None) -> None:
        """A person writes `last_data_time`."""
        self.state = replace(self.state, shown=value)
        self.edit = None if value == self.state.written else value

    def trigger_by_hand(self, window: Window | None) -> bool:
        try:
            chosen = requests.check_trigger(self.state, self.trigger, window, self.now)
        except RequestRefused:
            return False
        self._write(Change(self.state, (chosen,)), f"trigger {len(self.runs)}", asked=window is not None)
        return True

    def retry(self, run: Run) -> bool:
        try:
            requests.check_retry(self.state, run.window)
        except RequestRefused:
            return False
        self._write(Change(self.state, (run.window,)), f"replay {len(self.runs)}")
        return True

    def apply_backfill(self, kind: str, span: Window, *, newest_first: bool) -> Backfill:
        windows = backfills.plan_backfill(
            self.state, self.trigger, kind=kind, span=span, now=self.now, newest_first=newest_first
        )
        self.backfills.append(Backfill(len(self.backfills), kind, windows))
        return self.backfills[-1]

    def feed(self, backfill: Backfill, room: int) -> None:
        windows, backfill.position = backfills.feed(
            self.state, backfill.windows, backfill.position, room=room, kind=backfill.kind
        )
        origin = f"backfill {backfill.number}"
        self._write(Change(self.state, tuple(windows)), origin, asked=backfill.kind == "all")

    def _write(
        self,
        change: Change,
        origin: str,
        *,
        observes: bool = False,
        asked: bool = False,
        ended: Run | None = None,
        mark: Mark | None = None,
    ) -> None:
        """One transaction: the state, the runs given up, the new runs; then whoever watches is told."""
        before, edit = self.state, self.edit if observes else None
        self.state = applying.show_watermark(change.state)
        for number in change.unwanted:
            assert self.runs[number].status is RunStatus.QUEUED, "a run that has begun was given up"
            self.runs[number].status = RunStatus.SKIPPED
        for window in change.queue:
            self._queue(window, origin, asked)
        if observes:
            self.edit = None
        queued = change.queue if origin == SCHEDULE else None
        self.watch(self, Step(before, self.state, edit, ended, mark, queued))

    def _queue(self, window: Window, origin: str, asked: bool) -> None:
        key = (origin, window, self.state.generation)
        if key in self.keys:
            return
        self.keys.add(key)
        run = Run(len(self.runs), window, origin, self.state.generation, asked)
        self.runs[run.number] = run
        live = LiveRun(run.number, window, queued=True, origin=origin)
        self.state = replace(self.state, live=(*self.state.live, live))

    def _live(self, run: Run, status: RunStatus) -> None:
        run.status = status
        queued = status is RunStatus.QUEUED
        live = tuple(
            replace(live, queued=queued) if live.run == run.number else live for live in self.state.live
        )
        self.state = replace(self.state, live=live)
