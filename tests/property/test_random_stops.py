"""Random graphs, drained or cancelled at a random turn of the loop: nothing goes on, and the report still adds up."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from piko_flow import Pipeline, start
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.errors import StageFailed
from piko_flow.testing import RecordingObserver, turns
from tests.property.balance import assert_balanced
from tests.property.drawing_programs import MODES, programs
from tests.property.programs import Whole

LATE = st.one_of(st.integers(0, 30), st.integers(0, 400))
CALM = settings(max_examples=80, suppress_health_check=list(HealthCheck))
WITHOUT_THREADS = tuple(mode for mode in MODES if mode != "thread")


async def stopped(pipeline: Pipeline, how: str, *, late: int, capacity: int) -> RunReport | StageFailed:
    """How a run ends that is told to stop after so many turns; nothing of it goes on."""
    observer = RecordingObserver()
    try:
        async with start(pipeline, capacity=capacity, observer=observer) as active:
            await turns(late)
            getattr(active, how)()
            return await active.wait()
    except StageFailed as failed:
        return failed
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert observer.running == []


@given(programs(modes=WITHOUT_THREADS), LATE, st.integers(1, 8))
@CALM
async def test_a_cancelled_run_commits_nothing_and_its_report_adds_up(
    whole: Whole, late: int, capacity: int
) -> None:
    pipeline, arrived = whole.build()
    ended = await stopped(pipeline, "cancel", late=late, capacity=capacity)
    if isinstance(ended, StageFailed):
        assert (ended.stage, ended.item) in whole.expected().fatal
        return
    assert ended.outcome in ("cancelled", "succeeded")
    assert_balanced(ended, stopped=ended.outcome == "cancelled")
    if ended.outcome == "cancelled":
        assert not any(arrived[name] for name in whole.program.sinks_of_lists())


@given(programs(modes=WITHOUT_THREADS), LATE, st.integers(1, 8))
@CALM
async def test_a_drained_run_lets_everything_flow_out_and_loses_nothing(
    whole: Whole, late: int, capacity: int
) -> None:
    pipeline, arrived = whole.build()
    ended = await stopped(pipeline, "drain", late=late, capacity=capacity)
    if isinstance(ended, StageFailed):
        # of fewer items a fold gives another sum, which may be one that a later stage dislikes
        assert type(ended.__cause__).__name__ in ("Refused", "NoBranch", "ValidationError")
        return
    assert_balanced(ended)
    if not ended.units_done:
        assert not any(arrived.values())
        return
    read = tuple(stage.emitted for stage in ended.stages if stage.kind == "Source")
    expected = Whole(read, whole.waiting, whole.program).expected()
    assert not expected.fatal
    for name, (numbers, _) in expected.sinks.items():
        kept_back = name in whole.program.sinks_of_lists() and ended.outcome == "drained"
        assert Counter(arrived[name]) == (Counter() if kept_back else Counter(numbers))
    assert Counter((letter.stage, letter.item) for letter in ended.dead_letters) == expected.dead
