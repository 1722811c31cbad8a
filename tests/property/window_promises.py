"""What must hold after every transaction of a flow's history, told by a book of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations, takewhile

from piko_flow.planning.flow_state import SCHEDULE
from piko_flow.planning.ledger import Ledger, Mark, clip, minus
from piko_flow.planning.window import BackfillPolicy, Window
from tests.property.window_history import History, Step

INSTANT = timedelta(microseconds=1)
COMMITTED = (Mark.DONE, Mark.INCOMPLETE)
FAR = timedelta(days=4000)


@dataclass
class Promises:
    """Told of every step; raises AssertionError at the first one that breaks a promise."""

    origin: datetime | None = None
    done: Ledger = field(default_factory=Ledger)
    """What was done and has not been set back since."""
    cancelled: Ledger = field(default_factory=Ledger)
    by_schedule: defaultdict[int, Ledger] = field(default_factory=lambda: defaultdict(Ledger))
    """By generation: what runs of the schedule committed."""
    planned: defaultdict[int, Ledger] = field(default_factory=lambda: defaultdict(Ledger))
    """By generation: what the schedule has asked for."""
    joined: tuple[datetime, datetime] | None = None
    """Where a span begins that a changed schedule may not cut, and when it was changed."""

    def __call__(self, history: History, step: Step) -> None:
        if step.after.origin is None:  # only what people ask for has run so far
            self._end_run(step)
            self._apart(step)
            return
        self._begin(history, step)
        self._take_over(step)
        self._end_run(step)
        self._apart(step)
        self._accounted(step)
        self._shown(step)
        if step.queued is not None:
            self._queued(history, step)
            self._by_policy(history, step)
            self._joined(history, step)

    def _begin(self, history: History, step: Step) -> None:
        """1: a flow begins where its row or its code says, else at the newest complete window."""
        if step.before.origin is None:
            begin = step.before.shown or history.policy.begin
            fired = _fires(history, history.now - timedelta(days=45), history.now)[-2:]
            begin = begin or (fired[0] if fired else step.after.origin)
            assert step.after.origin == begin, "the flow does not begin where it should"
            self.origin = begin

    def _take_over(self, step: Step) -> None:
        """6: an edit is taken over as it was meant."""
        assert self.origin is not None
        before, after, edit = step.before, step.after, step.edit
        if edit is None or before.origin is None:
            assert after.generation == before.generation, "set back though nobody asked"
            return
        self.joined = None
        watermark = before.ledger.settled_until(self.origin)
        if edit < watermark:
            back = Window(edit, watermark)
            self.origin = min(self.origin, edit)
            self.done = self.done.clear(back)
            self.cancelled = self.cancelled.clear(Window(edit, edit + FAR))
            assert after.generation == before.generation + 1, "an edit backward was not taken over"
            ended = [step.ended.window] if step.ended is not None else []
            assert minus(after.ledger.marked(back, COMMITTED), ended) == (), "what was set back is still done"
        elif edit > watermark:
            assert after.ledger.is_settled(Window(watermark, edit)), "an edit forward was not taken over"
            assert after.generation == before.generation
        assert after.shown is not None
        assert after.shown >= edit, "an edit was overwritten"

    def _end_run(self, step: Step) -> None:
        """Nothing is committed twice by the schedule in one generation, nothing done is rewritten unasked."""
        run, mark = step.ended, step.mark
        if run is None:
            return
        window = run.window
        if mark is None:
            for piece in step.after.ledger.untouched(window):
                self.cancelled = self.cancelled.settle(piece, Mark.DONE)
        elif mark in COMMITTED:
            assert run.asked or not self.done.marked(window, [Mark.DONE]), f"{run} rewrote what was done"
            if run.origin == SCHEDULE:
                book = self.by_schedule[run.generation]
                assert not book.marked(window, [Mark.DONE]), f"{run} was committed a second time"
                self.by_schedule[run.generation] = book.settle(window, Mark.DONE)
            self.done = self.done.settle(window, Mark.DONE) if mark is Mark.DONE else self.done.clear(window)
            self.cancelled = self.cancelled.clear(window)

    def _apart(self, step: Step) -> None:
        """4: no two live runs overlap."""
        for one, two in combinations(step.after.live, 2):
            assert clip(one.window, two.window) is None, f"{one} and {two} are live over the same stretch"

    def _accounted(self, step: Step) -> None:
        """2: whatever was planned is settled, live, failed or cancelled."""
        after = step.after
        assert after.planned_until is not None
        assert self.origin is not None
        if self.origin < after.planned_until:
            planned = Window(self.origin, after.planned_until)
            open_ = minus(after.ledger.untouched(planned), after.live_windows)
            lost = minus(open_, self.cancelled.marked(planned, [Mark.DONE]))
            assert lost == (), f"planned and lost: {lost}"

    def _shown(self, step: Step) -> None:
        """1 and 6: `last_data_time` passes over no gap, and is written only where nobody else has written."""
        before, after = step.before, step.after
        if after.shown != before.shown:
            mine = before.shown in (None, before.written) or step.edit is not None or before.origin is None
            assert mine, "what a person wrote was overwritten"
        if after.shown == after.written and self.origin is not None and after.shown is not None:
            passed = self.origin < after.shown
            gaps = after.ledger.unsettled(Window(self.origin, after.shown)) if passed else ()
            assert gaps == (), f"the watermark passed over {gaps}"

    def _queued(self, history: History, step: Step) -> None:
        """2: nothing is planned twice in a generation; what waits is bounded.

        A run that waits again, for another attempt, counts, but is not the schedule's doing.
        """
        for window in step.queued or ():
            book = self.planned[step.after.generation]
            assert not book.marked(window, [Mark.DONE]), f"{window} was planned a second time"
            self.planned[step.after.generation] = book.settle(window, Mark.DONE)
        waited, waits = (
            sum(run.queued and run.origin == SCHEDULE for run in state.live)
            for state in (step.before, step.after)
        )
        assert waits <= max(history.policy.queued, waited), f"{waits} runs of the schedule wait"

    def _by_policy(self, history: History, step: Step) -> None:
        """3: no more is caught up than the policy wants."""
        policy, due = history.policy, history.due
        newest_only = policy.backfill is BackfillPolicy.SKIP or (
            policy.backfill is BackfillPolicy.NONE and history.until is not None
        )
        for window in step.queued or ():
            before = window.end - INSTANT
            fire = history.trigger.next_after(max(before, step.after.cut_after or before))
            assert fire is not None
            assert fire <= due, f"{window} has not ended"
            newer = _fires(history, fire, due)
            if newest_only:
                assert newer == [], f"{window} is not the newest"
            elif policy.backfill is BackfillPolicy.NONE:
                assert fire >= history.now - policy.grace, f"{window} fell due too long ago"
            assert not policy.lookback or len(newer) < policy.lookback, f"{window} is too far back"
            if policy.strict:
                assert self.origin is not None
                assert step.after.ledger.settled_until(self.origin) >= window.start, (
                    f"{window} is out of order"
                )

    def _joined(self, history: History, step: Step) -> None:
        """5: where missed windows are skipped, what a changed schedule finds unplanned is one window, not skipped."""
        before, after = step.before, step.after
        assert after.planned_until is not None
        if history.policy.backfill is BackfillPolicy.CATCH_UP:
            self.joined = None
        elif step.edit is None and before.schedule not in ("", after.schedule):
            assert after.planned_until == before.planned_until, "a changed schedule cuts at once"
            self.joined = (after.planned_until, history.now)
        elif self.joined is not None:
            start, changed = self.joined
            first = history.trigger.next_after(changed)
            assert first is not None
            if history.due < first:
                assert after.planned_until == start, "a changed schedule cuts before its first fire"
                return
            self.joined = None
            second = history.trigger.next_after(first) or first + FAR
            if start < first and history.now < min(second, first + history.policy.grace):
                span = Window(start, first)
                skipped = after.ledger.marked(span, [Mark.SKIPPED])
                was = before.ledger.marked(span, [Mark.SKIPPED])
                assert skipped == was, f"{span} was not missed but skipped"


def _fires(history: History, after: datetime, until: datetime) -> list[datetime]:
    return list(takewhile(lambda fire: fire <= until, history.trigger.fires(after)))
