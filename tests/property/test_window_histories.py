"""The rules of windows over random histories; and that each of them is needed.

To replay a seed that failed: python -m tests.property.test_window_histories SEED
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from piko_flow.planning import catch_up, flow_state, requests
from piko_flow.planning.catch_up import WindowPolicy
from piko_flow.planning.flow_state import Change, FlowState
from piko_flow.planning.ledger import SETTLED, minus
from piko_flow.planning.trigger import Trigger, last_fire
from piko_flow.planning.window import Window
from piko_flow.store import applying
from tests.property.window_drawing import Drawing

SEEDS, STEPS, BATCHES = 2000, 60, 8
SEARCHED = 400  # seeds in which a rule that is switched off has to be missed


def play(seed: int) -> None:
    """One history from its beginning to a good end."""
    drawing = Drawing(seed)
    drawing.run(STEPS)
    drawing.close()
    history = drawing.history
    state, last = history.state, last_fire(history.trigger, at=history.now)
    assert state.live == ()
    assert state.gaps() == (), "catch-up and backfill did not close every gap"
    assert state.watermark is not None
    assert state.planned_until is not None
    assert state.watermark >= state.planned_until
    cut_from = max(state.planned_until, state.cut_after or state.planned_until)
    assert last is None or last <= cut_from, "windows are due and nobody planned them"
    assert state.shown == state.watermark
    assert drawing.promises.origin == state.origin
    until = min(state.planned_until, history.now)
    if state.origin is not None and state.origin < until:
        assert drawing.promises.done.is_settled(Window(state.origin, until)), "something was never done"


def play_all(seeds: Iterable[int]) -> None:
    for seed in seeds:
        try:
            play(seed)
        except Exception as error:
            error.add_note(f"replay with: python -m tests.property.test_window_histories {seed}")
            raise


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_histories_keep_every_promise(batch: int) -> None:
    play_all(range(batch, SEEDS, BATCHES))


def no_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """1: the watermark is the end of whatever was settled last."""

    def watermark(state: FlowState) -> datetime | None:
        ends = [span.end for span in state.ledger.spans if span.mark in SETTLED]
        return None if state.origin is None else max([state.origin, *ends])

    monkeypatch.setattr(FlowState, "watermark", property(watermark))


def begins_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """1: a flow begins when it is first seen."""

    def first_sight(state: FlowState, trigger: Trigger, policy: WindowPolicy, now: datetime) -> FlowState:
        begin = state.shown or now
        return replace(state, origin=begin, planned_until=begin, written=state.shown)

    monkeypatch.setattr(catch_up, "first_sight", first_sight)


def plans_what_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """2: planning does not look at the ledger."""
    monkeypatch.setattr(catch_up, "wanted", lambda state, window: minus((window,), state.live_windows))


def forgets_what_it_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """2: planning goes on from the watermark, not from where it stopped."""
    plan = catch_up.plan

    def again(state: FlowState, *args: Any, **options: Any) -> Change:
        return plan(replace(state, planned_until=state.watermark), *args, **options)

    monkeypatch.setattr(catch_up, "plan", again)


def passes_over_unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """3: what the policy does not want is passed over, but not settled."""
    monkeypatch.setattr(
        catch_up,
        "_skip_until",
        lambda state, until: replace(state, planned_until=max(until, state.planned_until)),
    )


def catches_up_whatever_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """3: the policy is not asked."""
    monkeypatch.setattr(catch_up, "missed", lambda state, *_, **__: Change(state))


def looks_back_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """3: there is no limit of windows."""
    monkeypatch.setattr(catch_up, "beyond_lookback", lambda state, *_: Change(state))


def plans_over_live_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """4: planning does not look at live runs."""
    monkeypatch.setattr(catch_up, "wanted", lambda state, window: state.ledger.untouched(window))


def lets_runs_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    """4: nobody asks whether a live run is in the way."""
    monkeypatch.setattr(requests, "overlaps_live", lambda state, window: None)


def retries_what_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """4: a retry is not refused."""
    monkeypatch.setattr(requests, "check_retry", lambda state, window: None)


def cuts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """5: a changed schedule cuts from where planning stands, whatever the policy."""
    monkeypatch.setattr(
        catch_up, "follow_schedule", lambda state, trigger, *_: replace(state, schedule=trigger.identity)
    )


def sees_no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """6: what a person wrote is not looked at."""
    for module in (catch_up, applying):
        monkeypatch.setattr(module, "observe_edit", Change)


def overwrites_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    """6: the watermark is written whatever stands there."""

    def show(state: FlowState) -> FlowState:
        mark = state.watermark
        return state if mark is None else replace(state, written=mark, shown=mark)

    monkeypatch.setattr(applying, "show_watermark", show)


def keeps_the_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """6 and 7: an edit backward does not make the windows new."""
    backward = flow_state._backward

    def same(state: FlowState, edit: datetime, watermark: datetime) -> Change:
        change = backward(state, edit, watermark)
        return replace(change, state=replace(change.state, generation=state.generation))

    monkeypatch.setattr(flow_state, "_backward", same)


OFF: tuple[Callable[[pytest.MonkeyPatch], None], ...] = (
    no_origin,
    begins_now,
    plans_what_is_settled,
    forgets_what_it_planned,
    passes_over_unsettled,
    catches_up_whatever_was_missed,
    looks_back_for_ever,
    plans_over_live_runs,
    lets_runs_overlap,
    retries_what_is_settled,
    cuts_at_once,
    sees_no_edit,
    overwrites_edits,
    keeps_the_generation,
)


@pytest.mark.parametrize("off", OFF, ids=lambda off: str(off.__name__))
def test_a_rule_that_is_switched_off_is_missed(
    off: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    off(monkeypatch)
    with pytest.raises(AssertionError):
        play_all(range(SEARCHED))


if __name__ == "__main__":
    play(int(sys.argv[1]))
