"""Random graphs give what a plain-Python account of them gives, however they run; and their reports add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from piko_flow import LocalEngine, Pipeline, RunReport, StageFailed, WorkerPool, run
from piko_flow.dataflow.commit.accounts import KEPT
from tests.property.balance import assert_balanced
from tests.property.drawing_programs import KINDS, programs
from tests.property.programs import Whole
from tests.property.steps import Computing, Expected, Mode, Pacing

OWN_REASONS = ("Refused", "NoBranch", "ValidationError")
SIDE_BY_SIDE: tuple[Mode, ...] = ("plain", "waiting", "unordered", "keyed", "thread")
"""Without retries: a function that fails every second time for a number cannot tell units apart."""
WITH_WORKERS = programs(kinds=(*KINDS, Computing, Computing, Pacing), splits=True)
UNITS = programs(splits=True, modes=SIDE_BY_SIDE)
WAYS: dict[str, tuple[st.SearchStrategy[Whole], dict[str, Any]]] = {
    "delays, retries, threads and keys": (programs(), {}),
    "a capacity of 1": (programs(), {"capacity": 1}),
    "a capacity of 3": (programs(), {"capacity": 3}),
    "values checked at every joint": (programs(failing=False), {"validate": True}),
    "more items than a chunk or a channel holds": (programs(most=3000), {}),
    "worker processes, throttles and splits": (WITH_WORKERS, {}),
    "the same with a small capacity": (WITH_WORKERS, {"capacity": 5}),
    "units side by side": (UNITS, {"engine": LocalEngine(parallel=3)}),
}


async def outcome(pipeline: Pipeline, **options: Any) -> RunReport | StageFailed:
    """How a run ends; no task of it goes on."""
    before = asyncio.all_tasks()
    try:
        return await run(pipeline, **options)
    except StageFailed as failed:
        return failed
    finally:
        assert asyncio.all_tasks() == before


def check(ended: RunReport | StageFailed, arrived: dict[str, list[int]], expected: Expected) -> None:
    """The run did what the program says."""
    if isinstance(ended, StageFailed):
        assert (ended.stage, ended.item) in expected.fatal
        assert type(ended.__cause__).__name__ in OWN_REASONS
        return
    assert not expected.fatal
    for name, (numbers, in_order) in expected.sinks.items():
        if in_order:
            assert arrived[name] == numbers, name
        assert Counter(arrived[name]) == Counter(numbers), name
    letters = Counter((letter.stage, letter.item) for letter in ended.dead_letters)
    assert letters == expected.dead if ended.dead <= KEPT else letters <= expected.dead
    assert ended.dead == expected.dead.total()
    assert {stage.name: stage.skipped for stage in ended.stages if stage.skipped} == dict(expected.skipped)
    assert ended.outcome == "succeeded"
    assert_balanced(ended)


@given(programs(modes=("plain",)))
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
async def test_a_fused_plan_gives_what_the_unfused_one_gives(whole: Whole) -> None:
    for apart in (False, True):
        pipeline, arrived = whole.build("plain", apart=apart)
        assert not apart or {len(operator.boxes) for operator in pipeline.plan().operators} == {1}
        check(await outcome(pipeline), arrived, whole.expected())


@pytest.mark.parametrize("way", WAYS)
@given(data=st.data())
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
async def test_how_a_program_runs_changes_nothing_of_what_it_gives(
    way: str, pool: WorkerPool, data: st.DataObject
) -> None:
    wholes, options = WAYS[way]
    whole = data.draw(wholes)
    pipeline, arrived = whole.build()
    expected = whole.expected()
    if "engine" in options:  # units end in any order
        expected.sinks = {name: (numbers, False) for name, (numbers, _) in expected.sinks.items()}
    check(await outcome(pipeline, pool=pool, **options), arrived, expected)
