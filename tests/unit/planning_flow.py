"""A flow whose windows are hours, for tests of the rules: what is planned becomes live runs, as a store makes it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from piko_flow.planning.catch_up import WindowPolicy, plan
from piko_flow.planning.flow_state import SCHEDULE, Change, FlowState, LiveRun, finished
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Mark
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import BackfillPolicy, Window

HOURLY = Interval(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CATCH_UP = WindowPolicy(BackfillPolicy.CATCH_UP, queued=100)
SKIP = WindowPolicy(BackfillPolicy.SKIP)
NONE = WindowPolicy(BackfillPolicy.NONE, grace=timedelta(minutes=5))


def at(hour: float) -> datetime:
    """So many hours after the day's noon minus twelve."""
    return NOON + timedelta(hours=hour - 12)


def span(start: float, end: float) -> Window:
    return Window(at(start), at(end))


def seen(since: float, *, planned: float | None = None, trigger: Trigger = HOURLY) -> FlowState:
    """A flow that began at an hour; planned up to another one, by this trigger."""
    begin = at(since)
    return FlowState(
        "f", origin=begin, planned_until=begin if planned is None else at(planned), schedule=trigger.identity
    )


def with_live(state: FlowState, *windows: Window, queued: bool = True, origin: str = SCHEDULE) -> FlowState:
    """The state with a live run over each window, numbered on from those there are."""
    first = 1 + max((run.run for run in state.live), default=0)
    runs = tuple(LiveRun(first + place, window, queued, origin) for place, window in enumerate(windows))
    return replace(state, live=(*state.live, *runs))


def stored(change: Change) -> FlowState:
    """The state as it is once the change and its runs are in the store."""
    return with_live(change.state, *change.queue)


def planned(state: FlowState, now: float, policy: WindowPolicy, *, trigger: Trigger = HOURLY) -> FlowState:
    return stored(plan(state, trigger, policy, now=at(now)))


def end(state: FlowState, window: Window, mark: Mark | None = Mark.DONE) -> FlowState:
    """The live run over the window has ended so."""
    (run,) = (live for live in state.live if live.window == window)
    return finished(state, run.run, window, mark)


def windows(state: FlowState) -> list[tuple[float, float]]:
    """The live windows, in hours."""
    return [((w.start - at(0)) / timedelta(hours=1), (w.end - at(0)) / timedelta(hours=1)) for w in state.live_windows]  # fmt: skip


def spans(state: FlowState) -> list[tuple[float, float, str]]:
    """The ledger, in hours."""
    hour = timedelta(hours=1)
    return [((s.start - at(0)) / hour, (s.end - at(0)) / hour, s.mark.value) for s in state.ledger.spans]
