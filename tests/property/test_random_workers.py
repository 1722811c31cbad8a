"""Random graphs with worker processes, throttles and splits do what a plain-Python account of them says."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from piko_flow import WorkerPool
from piko_flow.dataflow.plan.options import Capacity, PlanOptions
from piko_flow.dataflow.plan.plan import make_plan
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.engine import LocalEngine
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.dataflow.running.run_options import RunOptions
from piko_flow.errors import StageFailed
from tests.property.drawing_programs import KINDS, programs
from tests.property.programs import Whole
from tests.property.steps import Computing, Mode, Pacing
from tests.property.test_random_graphs import check

FEW = settings(max_examples=80, suppress_health_check=list(HealthCheck))
SIDE_BY_SIDE: tuple[Mode, ...] = ("plain", "waiting", "unordered", "keyed", "thread")
"""Without retries: a function that fails every second time for a number cannot tell units apart."""
WIDE = programs(kinds=(*KINDS, Computing, Computing, Pacing), splits=True)


def test_workers_throttles_and_splits_change_nothing() -> None:
    with asyncio.Runner() as runner:
        pool = WorkerPool(2)

        @given(WIDE, st.sampled_from([1, 5, 1024]))
        @FEW
        def same(whole: Whole, capacity: int) -> None:
            pipeline, arrived = whole.build()
            plan = make_plan(pipeline, PlanOptions(capacity=Capacity(capacity)))
            ended = runner.run(_outcome(ActiveRun(plan, RunOptions(pool=pool))))
            check(ended, arrived, whole.expected())

        runner.run(_entered(pool))
        try:
            same()
        finally:
            runner.run(pool.__aexit__(None, None, None))


@given(programs(splits=True, modes=SIDE_BY_SIDE))
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
async def test_units_side_by_side_lose_and_double_nothing(whole: Whole) -> None:
    pipeline, arrived = whole.build()
    ended = await _outcome(
        ActiveRun(make_plan(pipeline, PlanOptions()), RunOptions(engine=LocalEngine(parallel=3)))
    )
    expected = whole.expected()
    expected.sinks = {name: (numbers, False) for name, (numbers, _) in expected.sinks.items()}
    check(ended, arrived, expected)


async def _entered(pool: WorkerPool) -> None:
    await pool.__aenter__()


async def _outcome(active: ActiveRun) -> RunReport | StageFailed:
    """How a run ends; nothing of it goes on."""
    before = asyncio.all_tasks()
    try:
        return await active.run()
    except StageFailed as failed:
        return failed
    finally:
        assert asyncio.all_tasks() == before
