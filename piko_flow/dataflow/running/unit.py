"""Running one unit: the only code that runs stages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from piko_flow.dataflow.plan.layout import Operator, Unit
from piko_flow.dataflow.plan.plan import Plan
from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.tally import EdgeTally, OperatorTimes, StageTally
from piko_flow.dataflow.running.cancellation import ESCAPES, Cancellation, escaped, uninterrupted
from piko_flow.dataflow.running.operators.concurrent import ConcurrentOperator
from piko_flow.dataflow.running.operators.cpu import CpuOperator
from piko_flow.dataflow.running.operators.flat_map import FlatMapOperator
from piko_flow.dataflow.running.operators.fused import FusedOperator
from piko_flow.dataflow.running.operators.gather_operators import (
    BatchOperator,
    MergeOperator,
    ThrottleOperator,
)
from piko_flow.dataflow.running.operators.keyed import KeyedOperator
from piko_flow.dataflow.running.operators.sink import SinkOperator
from piko_flow.dataflow.running.operators.source import SourceOperator
from piko_flow.dataflow.running.task_group import first_cause, task_group
from piko_flow.dataflow.running.unit_state import Host, OperatorState, UnitState
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.sink import Part, Receipt, Sink, SinkTarget
from piko_flow.errors import PikoFlowError, RunError, StageFailed

ATTEMPTS_OF_A_CLAIM = 100  # more than any engine makes of one unit


@dataclass(frozen=True)
class UnitResult:
    """What a unit leaves: its receipts by sink name, its counts and times, its dead letters.

    `exhausted` says that its source was read to the end; only then are there receipts. `lasting` says that
    every receipt outlives the process that made it.
    """

    unit: str
    exhausted: bool
    tallies: list[StageTally]
    times: list[OperatorTimes]
    edges: list[EdgeTally]
    receipts: dict[str, Receipt] = field(default_factory=dict)
    lasting: bool = True
    dead_letters: list[DeadLetter] = field(default_factory=list)
    position: Any = None
    more: bool = False


class Runs(Protocol):
    """An operator at work."""

    async def run(self) -> None: ...


async def run_unit(
    plan: Plan, unit: Unit, host: Host, *, units: int, attempt: int = 1, watch: list[UnitState] | None = None
) -> UnitResult:
    """Run the whole plan over one split, and prepare its parts if the source was read to the end.

    Raises StageFailed (or another PikoFlowError) from the first stage that failed, after every part was
    aborted and every task has ended; on cancellation likewise.
    """
    state = UnitState(plan, unit, host, attempt=attempt)
    if watch is not None:
        watch.append(state)
    targets: dict[int, SinkTarget[Any]] = {}
    done = False
    try:
        await _open(state, targets, units)
        await _work(state, targets)
        receipts = await _prepare(state, targets) if state.exhausted else {}
        done = state.exhausted
        return result_of(state, receipts, targets)
    finally:
        host.threads.narrow(unit.id)
        if not done:
            await _abort(targets)


def result_of(
    state: UnitState, receipts: dict[str, Receipt], targets: dict[int, SinkTarget[Any]]
) -> UnitResult:
    """The unit's account."""
    return UnitResult(
        unit=state.unit.id,
        exhausted=state.exhausted,
        tallies=state.tallies,
        times=state.times,
        edges=state.edges(),
        receipts=receipts,
        lasting=all(target.durable for target in targets.values()),
        dead_letters=state.settlement.dead_letters,
        position=state.position,
        more=state.more,
    )


def one_to_one(plan: Plan) -> frozenset[int]:
    """The boxes that give at most one item for each they take."""
    several = {"FlatMap", "Batch", "Fold"}
    return frozenset(box.number for box in plan.graph.boxes if box.stage.kind not in several)


async def _open(state: UnitState, targets: dict[int, SinkTarget[Any]], units: int) -> None:
    info = state.host.info
    for box in state.plan.sinks:
        stage = box.stage
        assert isinstance(stage, Sink)
        if stage.target is not None:
            part = part_of(info, state.unit, state.attempt, units, box.name)
            await _told(state, box.number, _opened(state.host, stage, box.number, targets, part))


async def _opened(
    host: Host, stage: Sink[Any], number: int, targets: dict[int, SinkTarget[Any]], part: Part
) -> None:
    target = targets[number] = stage.copy_target()
    if host.staging is not None and target.joins(host.staging.ledger):
        target.staging = host.staging
    await target.open(part)


def part_of(info: RunInfo, unit: Unit, attempt: int, units: int, sink: str) -> Part:
    """The share of a sink that one attempt of a unit has; `units` is how many units the run has."""
    return Part(
        run=info.run,
        unit=unit.id,
        attempt=(info.claim - 1) * ATTEMPTS_OF_A_CLAIM + attempt,
        number=unit.number,
        units=units,
        sink=sink,
        flow=info.flow,
        window_start=info.window_start,
        window_end=info.window_end,
    )


async def _prepare(state: UnitState, targets: dict[int, SinkTarget[Any]]) -> dict[str, Receipt]:
    receipts = {}
    for number, target in targets.items():
        receipts[state.plan.graph.boxes[number].name] = await _told(state, number, target.prepare())
    return receipts


async def _told(state: UnitState, number: int, step: Any) -> Any:
    """Await a step of a sink's target; its failure is the sink's."""
    try:
        return await step
    except (Exception, *ESCAPES) as error:
        cause = escaped(error) if isinstance(error, ESCAPES) else error
        raise state.settlement.failure(state.plan.graph.boxes[number], None, cause) from cause


async def _abort(targets: dict[int, SinkTarget[Any]]) -> None:
    for target in targets.values():
        with suppress(Exception):  # the run has failed already, and its first error is the one to tell
            await uninterrupted(target.abort())


async def _work(state: UnitState, targets: dict[int, SinkTarget[Any]]) -> None:
    """All operators in one task group: one that fails cancels the others."""
    state.cancellation = Cancellation()
    operators = [(operator, _operator(state, operator, targets)) for operator in state.plan.operators]
    async with task_group() as group:
        for operator, runs in operators:
            name = state.plan.graph.boxes[operator.boxes[0]].name
            group.create_task(_watched(state, operator, runs), name=name)


async def _watched(state: UnitState, operator: Operator, runs: Runs) -> None:
    """Run an operator; an error that is not yet about a stage becomes one about its first."""
    observer = state.host.observer
    names = [state.plan.graph.boxes[number].name for number in operator.boxes]
    for name in names:
        observer.stage_started(name)
    failure: BaseException | None = None
    try:
        await runs.run()
    except ESCAPES as error:
        failure = _failure(state, operator, escaped(error))
    except (Exception, BaseExceptionGroup) as error:
        failure = _about(state, operator, first_cause(error))
    finally:
        for name in names:
            observer.stage_ended(name)
    if failure is not None:  # raised here, its context is its own cause and not the operator's task group
        raise failure


def _about(state: UnitState, operator: Operator, error: BaseException) -> BaseException:
    foreign = isinstance(error, RunError) and not state.settlement.ours(error)
    if not isinstance(error, Exception) or (isinstance(error, PikoFlowError) and not foreign):
        return error
    return _failure(state, operator, error)


def _failure(state: UnitState, operator: Operator, cause: Exception) -> StageFailed:
    failure = state.settlement.failure(state.plan.graph.boxes[operator.boxes[0]], None, cause)
    failure.__cause__ = cause
    return failure


def _operator(state: UnitState, operator: Operator, targets: dict[int, SinkTarget[Any]]) -> Runs:
    own = OperatorState(state, operator)
    if operator.kind == "sink":
        return SinkOperator(own, targets[operator.boxes[0]])
    if operator.kind == "cpu":
        assert state.host.pool is not None
        return CpuOperator(own, state.host.pool)
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
