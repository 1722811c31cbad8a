"""Histories drawn from a seed: time passes, runs end in every way, people ask, edit and change their minds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from piko_flow.planning.catch_up import WindowPolicy
from piko_flow.planning.cron import Cron
from piko_flow.planning.interval import Interval
from piko_flow.planning.ledger import Mark
from piko_flow.planning.run_state import RunStatus
from piko_flow.planning.trigger import Trigger
from piko_flow.planning.window import BackfillPolicy, Window
from tests.property.window_history import Backfill, History, Run
from tests.property.window_promises import Promises

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TRIGGERS: tuple[Trigger, ...] = (
    Interval(hours=1),
    Interval(minutes=45, start_date=BEGIN + timedelta(microseconds=7)),
    Interval(hours=7),
    Cron("0 * * * *", zone="Europe/Berlin"),
    Cron("30 2 * * *", zone="Europe/Berlin"),
    Cron("*/30 0-5 * * *", zone="America/New_York"),
    Cron("15 */2 * * *", zone="Australia/Lord_Howe"),
    Cron("0 9,17 * * 1-5", zone="Pacific/Chatham"),
)
# Nights on which clocks change in the zones above, and a plain one.
DAYS = (
    "2026-03-28",
    "2026-10-24",
    "2026-03-07",
    "2026-10-31",
    "2026-04-04",
    "2026-10-03",
    "2026-09-26",
    "2026-06-10",
)
ENDS = (Mark.DONE, Mark.DONE, Mark.DONE, Mark.INCOMPLETE, Mark.FAILED, Mark.FAILED, None)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AROUND = 40  # hours before and after the present that people ask about


def drawn_policy(draw: random.Random) -> WindowPolicy:
    return WindowPolicy(
        backfill=draw.choice([BackfillPolicy.CATCH_UP, BackfillPolicy.CATCH_UP, *BackfillPolicy]),
        grace=draw.choice([MINUTE, HOUR, 9 * HOUR]),
        lookback=draw.choice([0, 0, 0, 1, 3, 10]),
        queued=draw.choice([1, 2, 4]),
        strict=draw.random() < 0.2,
    )


class Drawing:
    """One history and the dice that move it."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(seed)
        start = datetime.fromisoformat(draw.choice(DAYS)).replace(tzinfo=UTC)
        start += timedelta(seconds=draw.randrange(86_400), microseconds=draw.choice([0, 1, 999_999]))
        self.promises = Promises()
        self.history = History(draw.choice(TRIGGERS), drawn_policy(draw), start, self.promises)
        if draw.random() < 0.3:
            self.history.edit_row(self._instant())
            self.history.edit = None  # where the flow begins
        self.actions: list[tuple[Callable[[], None], int]] = [
            (self.pass_time, 20),
            (self.history.plan, 20),
            (self.start, 18),
            (self.end, 16),
            (self.requeue, 2),
            (self.cancel_queued, 2),
            (self.edit, 4),
            (self.change_schedule, 2),
            (self.change_policy, 1),
            (self.cover, 1),
            (self.trigger, 3),
            (self.retry, 3),
            (self.backfill, 2),
            (self.feed, 6),
        ]

    def run(self, steps: int) -> None:
        """So many things happen; each is checked."""
        actions, weights = zip(*self.actions, strict=True)
        for action in self.draw.choices(actions, weights, k=steps):
            action()

    def close(self) -> None:
        """All is well again: everything succeeds, what is due is planned, backfills run what is left."""
        history = self.history
        history.until = None
        history.plan()
        for kind in ("", "missing", "failed", "missing"):
            if kind and history.state.origin is not None and history.state.origin < history.now:
                failed = [gap.start for gap in history.state.gaps()] if kind == "failed" else []
                span = Window(min(history.state.origin, *failed, history.now), history.now)
                history.apply_backfill(kind, span, newest_first=self.draw.random() < 0.5)
            for _ in range(2000):
                busy = self._finish_all()
                history.plan()
                for backfill in history.backfills:
                    history.feed(backfill, 5)
                if not busy and not history.state.live and not history.more:
                    break

    def _finish_all(self) -> bool:
        history = self.history
        busy = False
        for run in [*history.live(RunStatus.QUEUED), *history.live(RunStatus.RUNNING)]:
            if run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
                history.start(run)
                history.end(run, Mark.DONE)
                busy = True
        return busy

    def pass_time(self) -> None:
        steps = (MINUTE, 20 * MINUTE, HOUR, HOUR, 3 * HOUR, 14 * HOUR)
        self.history.now += self.draw.choice(steps) * self.draw.uniform(0.5, 1.5)

    def start(self) -> None:
        if queued := self.history.live(RunStatus.QUEUED):
            self.history.start(self.draw.choice(queued))

    def end(self) -> None:
        if running := self.history.live(RunStatus.RUNNING):
            self.history.end(self.draw.choice(running), self.draw.choice(ENDS))

    def requeue(self) -> None:
        if running := self.history.live(RunStatus.RUNNING):
            self.history.requeue(self.draw.choice(running))

    def cancel_queued(self) -> None:
        if queued := self.history.live(RunStatus.QUEUED):
            self.history.cancel_queued(self.draw.choice(queued))

    def edit(self) -> None:
        shown = self.history.state.shown
        values = [None, self._instant(), self._instant()]
        if shown is not None:
            values += [shown - self.draw.randrange(1, 10) * HOUR, shown + self.draw.randrange(1, 10) * HOUR]
        self.history.edit_row(self.draw.choice(values))

    def change_schedule(self) -> None:
        self.history.trigger = self.draw.choice(TRIGGERS)

    def change_policy(self) -> None:
        begin = self.history.policy.begin
        self.history.policy = replace(drawn_policy(self.draw), begin=begin)

    def cover(self) -> None:
        """The flow waits for another, which covers so much; or it waits no more."""
        self.history.until = self._instant() if self.draw.random() < 0.7 else None

    def trigger(self) -> None:
        self.history.trigger_by_hand(self._span() if self.draw.random() < 0.5 else None)

    def retry(self) -> None:
        ended: list[Run] = [*self.history.live(RunStatus.FAILED), *self.history.live(RunStatus.CANCELLED)]
        if ended:
            self.history.retry(self.draw.choice(ended))

    def backfill(self) -> None:
        kind = self.draw.choice(["missing", "failed", "all"])
        self.history.apply_backfill(kind, self._span(), newest_first=self.draw.random() < 0.5)

    def feed(self) -> None:
        if open_ := [backfill for backfill in self.history.backfills if _left(backfill)]:
            self.history.feed(self.draw.choice(open_), self.draw.randrange(1, 4))

    def _instant(self) -> datetime:
        about = self.history.now + self.draw.uniform(-AROUND, 5) * HOUR
        return about.replace(microsecond=0) if self.draw.random() < 0.8 else about

    def _span(self) -> Window:
        start = self._instant()
        return Window(start, start + self.draw.choice([MINUTE, HOUR, 3 * HOUR, 20 * HOUR]))


def _left(backfill: Backfill) -> bool:
    return backfill.position < len(backfill.windows)
