"""Random graphs to which random things happen at random moments: every run ends, as it may, and nothing is left.

Thirty seeds are tried each time, and a thousand with `-m long`. One alone: `PIKO_TEST_SEED=817 pytest tests/property/test_random_events.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from piko_flow import CommitFailed, ResourceFailed, RunReport
from piko_flow.dataflow.commit.accounts import KEPT
from piko_flow.errors import RunError
from piko_flow.testing import Fail, no_leaks, turns
from tests.faults.stop_loops import Stuck, in_a_loop, standing
from tests.faults.stop_worlds import BREAKING, CLOSE_RAISES, FAILURES, ended
from tests.property.balance import assert_balanced
from tests.property.random_events import BOUND, RandomRun

SHORT, LONG = 30, 1000  # seeds
ONE = os.environ.get("PIKO_TEST_SEED", "")
SEEDS: list[Any] = [
    *range(SHORT),
    *(pytest.param(seed, marks=pytest.mark.long) for seed in range(SHORT, LONG)),
]

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("seed", [int(ONE)] if ONE else SEEDS)
def test_every_run_ends_as_it_may(seed: int) -> None:
    alone = f"seed {seed}, alone: PIKO_TEST_SEED={seed} python -m pytest tests/property/test_random_events.py"
    in_a_loop(lambda: play(seed), alone)


async def play(seed: int) -> None:
    """Make the run of the seed, let its events happen, and look at how it ends and what is left."""
    with no_leaks(grace=10):
        world = RandomRun(seed)
        task = asyncio.create_task(world.run(), name="the run")
        try:
            await world.play(task)
            if not task.done():
                raise Stuck(f"it did not end within {BOUND:g} s:\n{standing()}")
            check(world, task)
        except BaseException as error:
            error.add_note(str(world))
            raise
        finally:
            world.release()
            task.cancel()
            await asyncio.gather(asyncio.wait_for(task, BOUND), return_exceptions=True)
        await turns(20)


def check(world: RandomRun, task: asyncio.Task[RunReport]) -> None:
    """The run has ended in a way that is legal after what happened; what it gave and left behind is right."""
    found, error, leftovers = ended(task)
    published = world.target.record.published
    if isinstance(error, RunError):
        assert may_fail(world, error), error
        assert isinstance(error, CommitFailed) or published == []
    elif isinstance(error, asyncio.CancelledError):
        assert "cancel" in world.happened
        assert not world.by_handle
    else:
        assert found in legal_outcomes(world), repr(error)
        assert_balanced(task.result(), stopped=found == "cancelled")
        wrongly = published if found == "cancelled" else given_wrongly(world, task.result())
        assert wrongly == []
    if not {"commit", "abort", "sweep"} & world.hard_faults:
        assert world.target.record.unpublished == {}
    if not world.client.hangs:
        assert world.client.opened == world.client.closed
    may = may_be_left(world)
    assert [line for line in leftovers if not any(one in line for one in may)] == []


def legal_outcomes(world: RandomRun) -> set[str]:
    """How a run to which these things have happened may end without an error."""
    stops = {"drain": "drained", "cancel": "cancelled"}
    return {"succeeded", *(stops[event] for event in world.happened if event in stops)}


def may_fail(world: RandomRun, error: Any) -> bool:
    """Whether something has happened that ends a run with this error."""
    fails = {step for step, fault in world.faults.items() if isinstance(fault, Fail)}
    if isinstance(error, CommitFailed):
        return "commit" in fails or ("commit" in world.stalls and "cancel" in world.happened)
    if isinstance(error, ResourceFailed):
        broken = world.happens in BREAKING and "break" in world.happened
        return broken or world.happens == CLOSE_RAISES or world.client.hangs
    if error.stage == "work":
        return world.happens in FAILURES and world.go.is_set()
    if error.stage == "target":
        return bool(fails & {"open", "write", "prepare"})
    if error.stage.startswith("source"):
        return any(read.feed.breaks_after is not None or "retry" in read.options for read in world.reads)
    sliced = any({"max_items", "max_age"} & set(read.options) for read in world.reads)
    # Of fewer items a fold gives another sum, which may be one that a later stage dislikes.
    return "drain" in world.happened or sliced or (error.stage, error.item) in world.whole.expected().fatal


def given_wrongly(world: RandomRun, report: RunReport) -> list[str]:
    """What a run that let everything flow out gave otherwise than the plain account says, a line each."""
    whole, drained = world.whole, report.outcome == "drained"
    if drained and not report.units_done:  # it was drained before it began
        return [name for name, there in world.arrived.items() if there]
    if whole.splits and drained:
        return []  # the units that have ended are not known
    if not whole.splits:
        names = [f"source{place}" for place in range(len(whole.sources))]
        whole = replace(whole, sources=tuple(report.stage(name).emitted for name in names))
    expected = whole.expected()
    everything = [whole.first + number for count in whole.sources for number in range(count)]
    sinks = {name: (numbers, world.arrived[name]) for name, (numbers, _) in expected.sinks.items()}
    sinks["target"] = everything, world.target.record.published
    lines = [f"{place} had to fail" for place in expected.fatal]
    for name, (numbers, there) in sinks.items():
        kept_back = drained and name in {"target", *whole.program.sinks_of_lists()}
        if Counter(there) != (Counter() if kept_back else Counter(numbers)):
            lines.append(f"{name} has {sorted(there)} of {sorted(numbers)}")
    letters = Counter((letter.stage, letter.item) for letter in report.dead_letters)
    if report.dead != expected.dead.total() or (report.dead <= KEPT and letters != expected.dead):
        lines.append(f"dead letters {letters} instead of {expected.dead}")
    return lines


def may_be_left(world: RandomRun) -> set[str]:
    """What lines of the leftovers may be about."""
    may = set[str]()
    if {"abort", "sweep"} & world.hard_faults:
        may.add("sink 'target'")
    for place, read in enumerate(world.reads):
        if read.feed.hangs:
            may |= {f"source 'source{place}'", f"task 'source{place}'"}
        if read.kind.waits == "thread" and (read.feed.hangs or read.feed.waits_after is not None):
            may.add(f"thread of stage 'source{place}'")
    if world.client.hangs or world.happens in (*BREAKING, CLOSE_RAISES):
        may.add("resource")
    return may
