"""What is known of a stateful flow's windows, and the rules by which that changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from piko_flow.planning.ledger import SETTLED, Ledger, Mark, clip, joined, minus
from piko_flow.planning.moment import LATEST
from piko_flow.planning.window import Window

SCHEDULE = "schedule"
"""The origin of runs that the schedule asks for; the others are "trigger", "backfill N" and "replay"."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that is queued or running over a window."""

    run: int
    window: Window
    queued: bool = True
    origin: str = SCHEDULE


@dataclass(frozen=True, slots=True)
class FlowState:
    """The facts that decide which windows of a flow are due.

    `origin`: where gaps and the watermark count from; None before first sight. `planned_until`: every window
    before it has been planned. `generation`: how often a person set the flow back. `written`: the
    `last_data_time` that was written last; `shown`: the one the row has now. `schedule`: the identity of the
    trigger it was planned by; `cut_after`: fires up to there cut no window.
    """

    flow: str
    origin: datetime | None = None
    planned_until: datetime | None = None
    generation: int = 0
    written: datetime | None = None
    shown: datetime | None = None
    schedule: str = ""
    cut_after: datetime | None = None
    ledger: Ledger = field(default_factory=Ledger)
    live: tuple[LiveRun, ...] = ()

    @property
    def watermark(self) -> datetime | None:
        """Every window between the origin and here is settled; None before first sight."""
        return None if self.origin is None else self.ledger.settled_until(self.origin)

    @property
    def live_windows(self) -> tuple[Window, ...]:
        """The windows of queued and running runs."""
        return tuple(run.window for run in self.live)

    def gaps(self) -> tuple[Window, ...]:
        """What was planned and is neither settled nor live, and what failed wherever it lies, in order.

        A window outside what was planned has failed because somebody asked for it; nothing else tells of it again.
        """
        failed = tuple(span.window for span in self.ledger.spans if span.mark is Mark.FAILED)
        if self.origin is None or self.planned_until is None or self.origin >= self.planned_until:
            return minus(failed, self.live_windows)
        unsettled = self.ledger.unsettled(Window(self.origin, self.planned_until))
        return minus(joined(sorted((*unsettled, *failed))), self.live_windows)


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule decided: the new state, the windows to queue, the queued runs that are no longer wanted.

    `reason` says why runs in `unwanted` are given up; where there are none, why nothing was queued though
    something is due. `more` says that due windows are left.
    """

    state: FlowState
    queue: tuple[Window, ...] = ()
    unwanted: tuple[int, ...] = ()
    reason: str = ""
    more: bool = False


def observe_edit(state: FlowState) -> Change:
    """Take over what a person wrote into `last_data_time`; an emptied one is no edit.

    Forward: the stretch up to it is settled as skipped, failed marks in it are dropped, and queued runs of the
    schedule inside it are given up. Backward: the stretch down to it is unsettled, planning begins there
    again, and the flow's generation grows, so that the same windows can run again; queued runs of the schedule
    from there on are given up and planned anew in their order.
    """
    edit, watermark = state.shown, state.watermark
    if edit is None or edit == state.written or watermark is None:
        return Change(state)
    state = replace(state, written=edit)
    if edit == watermark:
        return Change(state)
    return _forward(state, Window(watermark, edit)) if edit > watermark else _backward(state, edit, watermark)


def _forward(state: FlowState, passed: Window) -> Change:
    assert state.planned_until is not None
    ledger = state.ledger.fill(passed, Mark.SKIPPED)
    unwanted = queued_within(state, *passed)
    moved = replace(state, ledger=ledger, planned_until=max(state.planned_until, passed.end))
    return Change(without(moved, unwanted), unwanted=unwanted, reason="superseded" if unwanted else "")


def _backward(state: FlowState, edit: datetime, watermark: datetime) -> Change:
    assert state.origin is not None
    unwanted = queued_within(state, edit, LATEST)
    moved = replace(
        state,
        origin=min(state.origin, edit),
        planned_until=edit,
        generation=state.generation + 1,
        ledger=state.ledger.clear(Window(edit, watermark)),
    )
    return Change(without(moved, unwanted), unwanted=unwanted, reason="superseded" if unwanted else "")


def queued_within(state: FlowState, start: datetime, end: datetime) -> tuple[int, ...]:
    """The runs that the schedule has queued between the instants and nobody has begun."""
    return tuple(
        run.run
        for run in state.live
        if run.queued and run.origin == SCHEDULE and start <= run.window.start and run.window.end <= end
    )


def finished(state: FlowState, run: int, window: Window, mark: Mark | None) -> FlowState:
    """The state when a run over the window has ended: settled, failed, or (None) cancelled, which leaves a gap."""
    if mark is None:
        ledger = state.ledger
    elif mark in SETTLED:
        ledger = state.ledger.settle(window, mark)
    else:
        ledger = state.ledger.fail(window)
    return replace(without(state, (run,)), ledger=ledger)


def without(state: FlowState, runs: tuple[int, ...]) -> FlowState:
    """The state without these live runs."""
    return replace(state, live=tuple(live for live in state.live if live.run not in runs)) if runs else state


def overlaps_live(state: FlowState, window: Window) -> LiveRun | None:
    """A live run over part of the window; two runs never work on the same stretch at once."""
    return next((run for run in state.live if clip(run.window, window) is not None), None)
