"""Admission against the plainest model of it: lists that are searched from the front each time."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from piko_flow.planning.admission import LIVE_SHARE, Admission, Waiting
from piko_flow.planning.run_state import Reason

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SEEDS, STEPS = 60, 150


@dataclass
class Drawn:
    """Limits that change."""

    flows: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int | None] = field(default_factory=dict)
    backfills: dict[int, int] = field(default_factory=dict)

    def instances(self, flow: str) -> int:
        return self.flows.get(flow, 1)

    def group(self, group: str) -> int | None:
        return self.groups.get(group)

    def backfill(self, backfill: int) -> int:
        return self.backfills.get(backfill, 1)


class Model:
    """What Admission promises, said as plainly as possible."""

    def __init__(self, limits: Drawn) -> None:
        self.limits = limits
        self.waiting: list[Waiting] = []
        self.asleep: list[Waiting] = []
        self.running: dict[int, Waiting] = {}
        self.live_starts = 0
        self.turns: list[int] = []

    def wait(self, waiting: Waiting) -> None:
        self.end(waiting.run)
        (self.waiting if waiting.not_before is None else self.asleep).append(waiting)

    def end(self, run: int) -> None:
        self.waiting = [waiting for waiting in self.waiting if waiting.run != run]
        self.asleep = [waiting for waiting in self.asleep if waiting.run != run]
        self.running.pop(run, None)

    def held(self, waiting: Waiting) -> Reason | None:
        others = list(self.running.values())
        if waiting.backfill is None:
            used = sum(run.flow == waiting.flow and run.backfill is None for run in others)
            most, full = self.limits.instances(waiting.flow), Reason.MAX_INSTANCES
        else:
            used = sum(run.backfill == waiting.backfill for run in others)
            most, full = self.limits.backfill(waiting.backfill), Reason.BACKFILL_FULL
        if most <= 0:
            return Reason.PAUSED
        if used >= most:
            return full
        room = self.limits.group(waiting.group)
        in_group = sum(run.group == waiting.group for run in others)
        return Reason.GROUP_FULL if room is not None and in_group >= room else None

    def first(self, backfill: int | None) -> Waiting | None:
        of_class = (waiting for waiting in self.waiting if waiting.backfill == backfill)
        return next((waiting for waiting in of_class if self.held(waiting) is None), None)

    def wake(self, now: datetime) -> None:
        due = [waiting for waiting in self.asleep if waiting.not_before and waiting.not_before <= now]
        for waiting in sorted(due, key=lambda waiting: (waiting.not_before, waiting.run)):
            self.asleep.remove(waiting)
            self.waiting.append(waiting)

    def may_start(self) -> set[int]:
        """The first of each class that could start."""
        classes = {waiting.backfill for waiting in self.waiting}
        return {first.run for backfill in classes if (first := self.first(backfill)) is not None}

    def start(self, run: int) -> None:
        waiting = next(waiting for waiting in self.waiting if waiting.run == run)
        self.end(run)
        self.running[run] = waiting
        others = any(self.first(backfill) for backfill in {w.backfill for w in self.waiting} - {None})
        if waiting.backfill is not None:
            self.live_starts = 0
        elif others:
            self.live_starts += 1


def drawn_run(draw: random.Random, number: int, now: datetime) -> Waiting:
    return Waiting(
        number,
        flow=f"flow {draw.randrange(6)}",
        group=f"group {draw.randrange(3)}",
        backfill=draw.randrange(3) if draw.random() < 0.4 else None,
        not_before=now + draw.randrange(-2, 5) * SECOND if draw.random() < 0.2 else None,
    )


def check(admission: Admission, model: Model, draw: random.Random, now: datetime) -> None:
    """Take some runs; each must be the first of its class, and nobody who could start is left while slots are."""
    slots = draw.randrange(4)
    model.wake(now)
    taken = admission.take(slots, now)
    for waiting in taken:
        assert waiting.run in model.may_start()
        model.start(waiting.run)
        assert model.live_starts <= LIVE_SHARE
    assert len(taken) == slots or not model.may_start()
    assert (admission.waiting, admission.running) == (
        len(model.waiting) + len(model.asleep),
        len(model.running),
    )
    for waiting in model.waiting:
        assert admission.why(waiting.run, now) is (model.held(waiting) or Reason.NO_SLOT)
    assert admission.next_time() == min(
        (waiting.not_before for waiting in model.asleep if waiting.not_before), default=None
    )
    asked = drawn_run(draw, -1, now)
    fits = asked.not_before is None and model.held(asked) is None and model.first(asked.backfill) is None
    assert admission.fits(asked) == fits


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whoever_starts_is_the_first_of_its_class_and_nobody_who_could_start_is_passed_over(
    seed: int,
) -> None:
    draw, now, limits = random.Random(seed), NOW, Drawn()
    admission, model = Admission(limits), Model(limits)
    for step in range(STEPS):
        action = draw.random()
        if action < 0.5:
            waiting = drawn_run(draw, step, now)
            admission.wait(waiting)
            model.wait(waiting)
        elif action < 0.8:
            known = [*model.running, *(waiting.run for waiting in model.waiting + model.asleep)]
            run = draw.choice(known) if known else 0
            admission.end(run)
            model.end(run)
        elif action < 0.9:
            limits.flows[f"flow {draw.randrange(6)}"] = draw.randrange(4)
            limits.groups[f"group {draw.randrange(3)}"] = draw.choice([None, 0, 1, 2, 5])
            limits.backfills[draw.randrange(3)] = draw.randrange(4)
            admission.limits_changed()
        else:
            now += draw.randrange(4) * SECOND
        check(admission, model, draw, now)
