"""The sinks of a unit that write through an object: their parts, and the operator that writes lists into them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from itertools import starmap
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.graph.boxes import Box
from piko_flow.dataflow.plan.layout import Unit
from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.unit_state import OperatorState, UnitState
from piko_flow.dataflow.stages.resource import RunInfo
from piko_flow.dataflow.stages.sink import Part, Receipt, Sink, SinkTarget
from piko_flow.dataflow.stages.stage import describe
from piko_flow.errors import NO_ITEM, ItemRejected, describe_error, shorten
from piko_flow.retry import attempts
from piko_flow.tasks import FAILURES, Shield, TaskGroup, uninterrupted, within

ATTEMPTS_OF_A_CLAIM = 100  # more than any engine makes of one unit


class SinkOperator:
    """Writes lists in order, one at a time, through the target of this unit's part, which is open already."""

    def __init__(self, state: OperatorState, target: SinkTarget[Any]) -> None:
        self.state, self.target = state, target
        stage = state.boxes[0].stage
        assert isinstance(stage, Sink)
        self.stage: Sink[Any] = stage
        self.validate = state.validator(state.boxes[0])

    async def run(self) -> None:
        """Write until the input ends."""
        async with aclosing(gathered(self.state, self.stage.batch, self.stage.within, None)) as lists:
            async for items in lists:
                began = monotonic()
                await self._write(items)
                self.state.unit.group.obey()
                self.state.report_chunk(len(items), monotonic() - began)

    async def _write(self, items: list[Any]) -> None:
        """Write a list; what fails for good follows the policy: the item that the target names, else the whole list."""
        fail, box, tally = self.state.unit.error_policy.apply, self.state.boxes[0], self.state.tally
        policy = self.stage.options.on_error
        if self.validate is not None:
            items = self._valid(items, self.validate)
        while items:
            try:
                await self._attempts(items)
            except ItemRejected as error:
                if not 0 <= error.index < len(items):
                    raise self.state.unit.error_policy.failure(box, items, error) from error
                fail(box, tally, policy, items[error.index], error)
                items = items[: error.index] + items[error.index + 1 :]
                continue
            except Exception as error:
                fail(box, tally, policy, items, error, batch=True)
                return
            tally.emitted += len(items)
            return

    def _valid(self, items: list[Any], validate: Callable[[Any], Any]) -> list[Any]:
        """What to write for the items, without those that are no values for this sink; which follow the policy."""
        error_policy, valid = self.state.unit.error_policy, []
        for item in items:
            try:
                valid.append(validate(item))
            except Exception as error:
                error_policy.apply(
                    self.state.boxes[0], self.state.tally, self.stage.options.on_error, item, error
                )
        return valid

    async def _attempts(self, items: list[Any]) -> None:
        retry, tally = self.stage.options.retry, self.state.tally
        if retry is None:
            await self._attempt(items)
            return

        def retried(_: Exception) -> None:
            tally.retried += len(items)

        await attempts(
            lambda: self._attempt(items),
            retry,
            again=lambda error: not isinstance(error, ItemRejected),
            retried=retried,
        )

    async def _attempt(self, items: list[Any]) -> None:
        await within(self.stage.options.timeout, self.target.write(items), "the write did not end")


async def gathered(
    state: OperatorState, count: int, within: float | None, weight: Callable[[Any], float] | None
) -> AsyncGenerator[list[Any], None]:
    """Lists of the input's items in order: full ones, those whose time has come, and the rest at the end.

    As many items in a row as a channel holds that weigh nothing make a list full too, so that memory stays
    bounded. Raises StageFailed for an item whose weight is no number of at least 0.
    """
    held, heavy, light = list[Any](), 0.0, 0  # light: the last so many items weighed nothing
    lightest = state.unit.plan.options.capacity.items
    due: float | None = None
    limit = max(min(count, 1024), 1)
    while True:
        try:
            async with asyncio.timeout(None if due is None else max(due - monotonic(), 0.0)):
                chunk = await state.receive(limit)
        except TimeoutError:
            yield held
            held, heavy, light, due = [], 0.0, 0, None
            continue
        if not chunk:
            break
        state.tally.received += len(chunk)
        for full in _added(held, chunk, count) if weight is None else ():
            yield full
        if weight is not None:
            for item in chunk:
                held.append(item)
                before, heavy = heavy, heavy + _weighed(state, weight, item)
                light = light + 1 if heavy == before else 0
                if heavy >= count or light >= lightest:
                    yield held[:]
                    held.clear()
                    heavy, light = 0.0, 0
        if not held:
            due = None
        elif within is not None and due is None:
            due = monotonic() + within
    if held:
        yield held


def _weighed(state: OperatorState, weight: Callable[[Any], float], item: Any) -> float:
    try:
        weighs = weight(item)
        if not isinstance(weighs, (int, float)):
            no_coroutine(weighs)
        if not (hasattr(weighs, "__float__") and weighs >= 0):
            raise ValueError(f"a weight must be a number of at least 0, got {shorten(weighs)}")
    except FAILURES as error:
        cause = state.unit.group.judge(error)
        raise state.unit.error_policy.failure(state.boxes[0], item, cause) from cause
    return weighs


def _added(held: list[Any], chunk: list[Any], count: int) -> list[list[Any]]:
    """Add the chunk to what is held; gives the lists that are full and leaves the rest in `held`."""
    held += chunk
    full = []
    while len(held) >= count:
        full.append(held[:count])
        del held[:count]
    return full


class SinkParts:
    """The parts of one unit's sinks: opened before it works, prepared when it has read its source to the end, else aborted."""

    def __init__(self, state: UnitState) -> None:
        self._state = state
        self.targets: dict[int, SinkTarget[Any]] = {}  # by the numbers of the boxes; those opened so far

    @property
    def durable(self) -> bool:
        """Whether what every part leaves outlives this process."""
        return all(target.durable for target in self.targets.values())

    async def open(self) -> None:
        """Open a part of each sink, in the order declared. Raises StageFailed of the first that fails."""
        for box in self._state.plan.sinks:
            stage = box.stage
            assert isinstance(stage, Sink)
            if stage.target is not None:
                await self._step(box.number, self._opened(stage, box))

    async def _opened(self, stage: Sink[Any], box: Box) -> None:
        state, context = self._state, self._state.context
        target = self.targets[box.number] = stage.copy_target()
        if context.staging is not None and target.joins(context.staging.ledger):
            target.staging = context.staging
        await target.open(part_of(context.info, state.unit, state.attempt, context.units, box.name))

    async def prepare(self) -> dict[str, Receipt]:
        """Prepare every part and give the receipts by sink name. Raises StageFailed of the first that fails."""
        receipts = {}
        for number, target in self.targets.items():
            receipts[self._state.plan.graph.boxes[number].name] = await self._step(number, _receipt(target))
        return receipts

    async def abort(self) -> None:
        """Take back all parts, side by side: one that hangs keeps no other. What goes wrong is noted in the leftovers."""
        await uninterrupted(self._abort_all())

    async def _abort_all(self) -> None:
        await asyncio.gather(*starmap(self._abort, self.targets.items()))

    async def _abort(self, number: int, target: SinkTarget[Any]) -> None:
        state, name = self._state, self._state.plan.graph.boxes[number].name
        try:
            await Shield(state.plan.options.teardown).limit().carry_out(target.abort(), "the abort")
        except Exception as error:
            state.context.leftovers.append(f"a part of sink {name!r}, not aborted ({describe_error(error)})")

    async def _step(self, number: int, step: Coroutine[Any, Any, Any]) -> Any:
        """Await a step of a sink's target; its failure is the sink's.

        It has a task of its own: one that swallows its cancellation is left behind when the teardown is over.
        """
        state, box = self._state, self._state.plan.graph.boxes[number]
        teardown, leave = state.plan.options.teardown, state.context.leave_task

        async def judged() -> Any:
            try:
                return await step
            except FAILURES as error:
                cause = group.judge(error)
                raise state.error_policy.failure(box, NO_ITEM, cause) from cause

        async with TaskGroup(teardown=teardown, left=leave) as group:
            task = group.create_task(judged(), name=box.name)
        return task.result()


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


async def _receipt(target: SinkTarget[Any]) -> Receipt:
    receipt: object = await target.prepare()
    if not isinstance(receipt, Receipt):
        raise TypeError(
            f"{type(target).__name__}.prepare() must return a Receipt, got {describe(receipt)}. "
            "Return Receipt(self.part, self.items)"
        )
    return receipt
