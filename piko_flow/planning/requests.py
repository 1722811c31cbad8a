"""What a person asks of a stateful flow: a run over one window, or a run once more."""

from __future__ import annotations

from datetime import datetime

from piko_flow.errors import RequestRefused
from piko_flow.planning.flow_state import FlowState, overlaps_live
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import Window, window_around


def check_trigger(state: FlowState, trigger: Trigger, window: Window | None, now: datetime) -> Window:
    """The window to run: the one named; else the oldest gap, cut by today's schedule; else what is due next and
    not planned yet. Raises RequestRefused where it overlaps a live run or has not ended, where one that is named
    begins or ends inside a window, and where no window is missing.
    """
    chosen = oldest_gap(state, trigger, now) if window is None else window
    what = f"run of {state.flow!r}"
    if chosen is None:
        raise RequestRefused(
            what=what,
            rule="without a window it takes the oldest gap",
            got="there is none",
            advice="Name a window",
        )
    if chosen.end > now:
        raise RequestRefused(
            what=what,
            rule="a window is run when it has ended",
            got=f"{chosen} ends after {now.isoformat()}",
        )
    if window is not None:
        _refuse_part(state, trigger, window, now, what)
    _refuse_overlap(state, chosen, what)
    return chosen


def oldest_gap(state: FlowState, trigger: Trigger, now: datetime) -> Window | None:
    """The oldest stretch that nobody has settled and no live run covers, up to the first fire in it; where there
    is none in what was planned, the first window that is due. None where nothing is missing."""
    gap = next(iter(state.gaps()), None)
    if gap is not None:
        fire = trigger.next_after(gap.start)
        return gap if fire is None or fire >= gap.end else Window(gap.start, fire)
    if state.planned_until is None:
        return None
    fire = trigger.next_after(state.planned_until)
    if fire is None or fire > now:
        return None
    pieces = state.ledger.unsettled(Window(state.planned_until, fire))
    return pieces[0] if pieces else None


def check_retry(state: FlowState, window: Window) -> None:
    """Raises RequestRefused where part of the window is settled by now, or a live run overlaps it."""
    what = f"retry of {state.flow!r} for {window}"
    _refuse_overlap(state, window, what)
    if why := why_not_retried(state, window):
        raise RequestRefused(
            what=what,
            rule="a run is retried while nothing of its window is settled",
            got=why,
            advice="To run it again all the same, trigger the window or plan a backfill",
        )


def why_not_retried(state: FlowState, window: Window) -> str:
    """Why a run over this window, which has ended, cannot be tried again; empty where it can."""
    live = overlaps_live(state, window)
    if live is not None:
        return f"run {live.run} works on its window"
    if state.ledger.unsettled(window) == (window,):
        return ""
    return "its window is settled" if state.ledger.is_settled(window) else "part of its window is settled"


def _refuse_part(state: FlowState, trigger: Trigger, window: Window, now: datetime, what: str) -> None:
    """A window that begins or ends inside another would leave a part that nobody expects, or run one twice.

    Where the ledger has an edge, because another schedule cut it there or a gap ends, that is one as well.
    """
    starts, ends = (
        None if _is_edge(state, trigger, edge) else window_around(trigger, edge) for edge in window
    )
    if starts is None and ends is None:
        return
    verb = "begins and ends" if starts and ends else "begins" if starts else "ends"
    whole = Window(starts.start if starts else window.start, ends.end if ends else window.end)
    around = [one for one in dict.fromkeys((starts, ends, whole)) if one is not None]
    over = [one.as_given for one in around if one.end <= now]
    raise RequestRefused(
        what=what,
        rule="a window begins and ends at fires of the schedule",
        got=f"{window.as_given} {verb} between two",
        advice=f"Name {' or '.join(over)}"
        if over
        else f"The window there, {around[0].as_given}, has not ended",
    )


def _is_edge(state: FlowState, trigger: Trigger, instant: datetime) -> bool:
    """Whether a window may begin or end there; before the first fire and after the last one that is anywhere."""
    around = window_around(trigger, instant)
    if around is None or instant in (around.start, state.origin, state.planned_until):
        return True
    known = (*(span.window for span in state.ledger.spans), *state.live_windows)
    return any(instant in window for window in known)


def _refuse_overlap(state: FlowState, window: Window, what: str) -> None:
    live = overlaps_live(state, window)
    if live is not None:
        raise RequestRefused(
            what=what,
            rule="two runs never work on the same stretch at once",
            got=f"run {live.run} is live over {live.window}",
            advice="Wait for it or cancel it",
        )
