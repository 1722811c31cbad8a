"""Calling a user's function on one item: with its resources, timeout, retries, and what follows the last failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.stage_options import CallOptions
from piko_flow.dataflow.stages.transform import Filter
from piko_flow.retry import attempts
from piko_flow.tasks import within

DROPPED: Any = object()  # the result of an item that does not go on

Call = Callable[[Any], Awaitable[Any]]


class Attempts:
    """`call(item)` is an awaitable of the stage's result; `failed(item, error)` does with the item what the policy says of the last attempt."""

    def __init__(self, state: OperatorState, call: Call) -> None:
        self.state, self.call = state, call
        stage: Any = state.boxes[0].stage
        self._policy = stage.options.on_error

    @classmethod
    async def of(cls, state: OperatorState) -> Attempts:
        """The attempts of the operator's only stage, its resources opened."""
        stage: Any = state.boxes[0].stage
        call = _awaitable(await state.bound(stage), stage, state)
        validate = state.validator(state.boxes[0])
        if validate is not None:
            call = _validated(call, validate)
        options: CallOptions = stage.options
        if options.retry is not None or options.timeout is not None:
            call = _bounded(call, options, state)
        if isinstance(stage, Filter):
            call = _kept(call, state)
        return cls(state, call)

    def failed(self, item: Any, error: Exception) -> Any:
        """DROPPED, once the item is skipped or a dead letter. Raises StageFailed where a failure ends the run."""
        if self.state.unit.error_policy.ours(error):
            raise error
        self.state.unit.error_policy.apply(self.state.boxes[0], self.state.tally, self._policy, item, error)
        return DROPPED


def _awaitable(function: Callable[..., Any], stage: Any, state: OperatorState) -> Call:
    """The function as one that is awaited: as it is, on a thread, or inline."""
    if stage.signature.is_async:
        return function
    if stage.options.on == "thread":
        start, timeout = state.threads.call, stage.options.timeout

        async def on_thread(item: Any) -> Any:
            return no_coroutine(await start(function, item, timeout=timeout))

        return on_thread

    async def inline(item: Any) -> Any:
        return no_coroutine(function(item))

    return inline


def _validated(call: Call, validate: Callable[[Any], Any]) -> Call:
    async def validated(item: Any) -> Any:
        return await call(validate(item))

    return validated


def _bounded(call: Call, options: CallOptions, state: OperatorState) -> Call:
    """The call with its timeout for each attempt and its retries; the item keeps its place meanwhile."""
    retry, timeout, tally = options.retry, options.timeout, state.tally
    if options.on == "thread":
        timeout = None  # the thread's call has it

    async def once(item: Any) -> Any:
        return await within(timeout, call(item), "no result")

    def retried(_: Exception) -> None:
        state.unit.group.obey()
        tally.retried += 1

    async def several(item: Any) -> Any:
        return await attempts(partial(once, item), retry, retried=retried)

    return several if retry is not None else once


def _kept(call: Call, state: OperatorState) -> Call:
    tally = state.tally

    async def kept(item: Any) -> Any:
        if no_coroutine(await call(item), awaited=True):
            return item
        tally.filtered += 1
        return DROPPED

    return kept
