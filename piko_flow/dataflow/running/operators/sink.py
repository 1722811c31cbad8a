"""The operator of a sink that writes lists through an object."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.operators.gathering import gathered
from piko_flow.dataflow.running.task_group import within
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.sink import Sink, SinkTarget
from piko_flow.errors import ItemRejected
from piko_flow.retry import attempts


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
        timeout, tally = self.stage.options.timeout, self.state.tally

        def retried(_: Exception) -> None:
            tally.retried += len(items)

        await attempts(
            lambda: within(timeout, self.target.write(items), "the write did not end"),
            self.stage.options.retry,
            again=lambda error: not isinstance(error, ItemRejected),
            retried=retried,
        )
