"""Random graphs give what a plain-Python account of them gives, fused or not, waiting or not; and their reports add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from piko_flow.dataflow.commit.budget import KEPT
from piko_flow.dataflow.plan import plan as planning
from piko_flow.dataflow.plan.layout import Operator
from piko_flow.dataflow.plan.options import Capacity, PlanOptions
from piko_flow.dataflow.plan.plan import Plan, make_plan
from piko_flow.dataflow.reports.report import RunReport
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.errors import StageFailed
from tests.property.balance import assert_balanced
from tests.property.drawing_programs import programs
from tests.property.programs import Whole
from tests.property.steps import Expected

PLAIN = settings(max_examples=600, suppress_health_check=list(HealthCheck))


def unfused(plan: Plan) -> Plan:
    """The plan with an operator of its own for each box, and channels between all of them."""
    boxes = plan.graph.boxes
    operators = tuple(Operator(box.number, planning._kind(box.stage), (box.number,)) for box in boxes)
    channels = planning._channels(plan.graph, operators, plan.options.capacity)
    return replace(plan, operators=operators, channels=channels)


async def outcome(plan: Plan) -> RunReport | StageFailed:
    """How a run of the plan ends; nothing of it goes on."""
    try:
        return await ActiveRun(plan).run()
    except StageFailed as failed:
        return failed
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}


def check(ended: RunReport | StageFailed, arrived: dict[str, list[int]], expected: Expected) -> None:
    """The run did what the program says."""
    if isinstance(ended, StageFailed):
        assert (ended.stage, ended.item) in expected.fatal
        assert type(ended.__cause__).__name__ in ("Refused", "NoBranch", "ValidationError")
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
@PLAIN
async def test_a_fused_plan_gives_what_the_unfused_one_gives(whole: Whole) -> None:
    expected = whole.expected()
    for change in (_as_it_is, unfused):
        pipeline, arrived = whole.build("plain")
        plan = make_plan(pipeline, PlanOptions())
        check(await outcome(change(plan)), arrived, expected)


@given(programs())
@PLAIN
async def test_delays_retries_threads_and_keys_change_nothing(whole: Whole) -> None:
    pipeline, arrived = whole.build()
    check(await outcome(make_plan(pipeline, PlanOptions())), arrived, whole.expected())


@given(programs())
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("capacity", [1, 3])
async def test_neither_does_a_small_capacity(capacity: int, whole: Whole) -> None:
    pipeline, arrived = whole.build()
    plan = make_plan(pipeline, PlanOptions(capacity=Capacity(capacity)))
    check(await outcome(plan), arrived, whole.expected())


@given(programs(failing=False))
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
async def test_checking_the_values_at_every_joint_changes_nothing(whole: Whole) -> None:
    pipeline, arrived = whole.build()
    plan = make_plan(pipeline, PlanOptions(validate=True))
    check(await outcome(plan), arrived, whole.expected())


def _as_it_is(plan: Plan) -> Plan:
    return plan


@given(programs(most=3000))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
async def test_neither_do_more_items_than_a_chunk_or_a_channel_holds(whole: Whole) -> None:
    pipeline, arrived = whole.build()
    plan = make_plan(pipeline, PlanOptions())
    check(await outcome(plan), arrived, whole.expected())
