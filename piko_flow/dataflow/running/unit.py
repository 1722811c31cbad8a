"""Running one unit: the only code that runs stages."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from piko_flow.dataflow.commit.accounts import UnitResult
from piko_flow.dataflow.plan.layout import Operator, Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.running.context import EngineContext
from piko_flow.dataflow.running.operators.concurrent import ConcurrentOperator
from piko_flow.dataflow.running.operators.cpu import CpuOperator
from piko_flow.dataflow.running.operators.flat_map import FlatMapOperator
from piko_flow.dataflow.running.operators.fused import FusedOperator
from piko_flow.dataflow.running.operators.gathering import (
    BatchOperator,
    MergeOperator,
    ThrottleOperator,
)
from piko_flow.dataflow.running.operators.keyed import KeyedOperator
from piko_flow.dataflow.running.operators.sink import SinkOperator, SinkParts
from piko_flow.dataflow.running.operators.source import SourceOperator
from piko_flow.dataflow.running.unit_state import OperatorState, UnitState
from piko_flow.dataflow.stages.sink import Receipt, SinkTarget
from piko_flow.errors import NO_ITEM, CallCancelled, PikoFlowError, RunError, StageFailed
from piko_flow.tasks import ESCAPES, TaskGroup, first_cause


class Runs(Protocol):
    """An operator at work."""

    async def run(self) -> None: ...


async def run_unit(
    plan: Plan,
    unit: Unit,
    context: EngineContext,
    *,
    attempt: int = 1,
    watch: list[UnitState] | None = None,
) -> UnitResult:
    """Run the whole plan over one split, and prepare its parts if the source was read to the end.

    Raises StageFailed (or another PikoFlowError) from the first stage that failed, after every part was
    aborted and every task has ended; on cancellation likewise. A part whose abort takes longer than the run's
    `teardown`, or fails, is noted in the leftovers.
    """
    state = UnitState(plan, unit, context, attempt=attempt)
    if watch is not None:
        watch.append(state)
    parts, done = SinkParts(state), False
    try:
        await parts.open()
        await _work(state, parts.targets)
        state.group = context.group
        receipts = await parts.prepare() if state.exhausted else {}
        done = state.exhausted
        return _result_of(state, receipts, lasting=parts.durable)
    finally:
        if not done:
            await parts.abort()


def _result_of(state: UnitState, receipts: dict[str, Receipt], *, lasting: bool) -> UnitResult:
    """The unit's account."""
    return UnitResult(
        unit=state.unit.id,
        exhausted=state.exhausted,
        tallies=state.tallies,
        times=state.times,
        edges=state.edges(),
        receipts=receipts,
        lasting=lasting,
        dead_letters=state.error_policy.dead_letters,
        position=state.position,
        more=state.more,
    )


async def _work(state: UnitState, targets: dict[int, SinkTarget[Any]]) -> None:
    """Run all operators in one task group: one that fails cancels the others."""
    operators = [(operator, _operator(state, operator, targets)) for operator in state.plan.operators]
    context = state.context
    state.group = TaskGroup(teardown=state.plan.options.teardown, left=context.leave_task)
    async with state.group as group:
        for operator, runs in operators:
            name = state.plan.graph.boxes[operator.boxes[0]].name
            group.create_task(_watched(state, operator, runs), name=name)


async def _watched(state: UnitState, operator: Operator, runs: Runs) -> None:
    """Run an operator; an error that is not yet about a stage becomes one about its first."""
    observer = state.context.observer
    names = [state.plan.graph.boxes[number].name for number in operator.boxes]
    if observer is not None:
        for name in names:
            observer.stage_started(name)
    failure: BaseException | None = None
    try:
        await runs.run()
        if _cancelled_itself(state):
            raise asyncio.CancelledError
    except ESCAPES as error:
        failure = _failure(state, operator, state.group.judge(error))
    except (Exception, BaseExceptionGroup) as error:
        failure = _about(state, operator, first_cause(error))
    finally:
        if observer is not None:
            for name in names:
                observer.stage_ended(name)
    if failure is not None:  # raised here, its context is its own cause and not the operator's task group
        raise failure


def _cancelled_itself(state: UnitState) -> bool:
    """Whether a function has cancelled the task it was called in, and the task has not waited since."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0 and not state.group.stopping


def _about(state: UnitState, operator: Operator, error: BaseException) -> BaseException:
    foreign = isinstance(error, RunError) and not state.error_policy.ours(error)
    named = isinstance(error, PikoFlowError) and not isinstance(error, CallCancelled)
    if not isinstance(error, Exception) or (named and not foreign):
        return error
    return _failure(state, operator, error)


def _failure(state: UnitState, operator: Operator, cause: Exception) -> StageFailed:
    failure = state.error_policy.failure(state.plan.graph.boxes[operator.boxes[0]], NO_ITEM, cause)
    failure.__cause__ = cause
    return failure


def _operator(state: UnitState, operator: Operator, targets: dict[int, SinkTarget[Any]]) -> Runs:
    own = OperatorState(state, operator)
    if operator.kind == "sink":
        return SinkOperator(own, targets[operator.boxes[0]])
    if operator.kind == "cpu":
        assert state.context.pool is not None
        return CpuOperator(own, state.context.pool)
    kinds: dict[str, Any] = {
        "fused": FusedOperator,
        "source": SourceOperator,
        "concurrent": ConcurrentOperator,
        "keyed": KeyedOperator,
        "flat_map": FlatMapOperator,
        "batch": BatchOperator,
        "throttle": ThrottleOperator,
        "merge": MergeOperator,
    }
    runs: Runs = kinds[operator.kind](own)
    return runs
