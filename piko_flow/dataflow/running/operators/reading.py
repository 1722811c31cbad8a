"""Reading a source in chunks: from iterables, from functions that give one, by splits, slices and whole lists."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from contextlib import aclosing
from itertools import chain
from typing import Any

from piko_flow.clock import monotonic
from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.operators.chunk_size import Pace, some
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.source import Reject, Source, Table
from piko_flow.errors import StageFailed

Call = Callable[..., Awaitable[Any]]


async def read_chunks(
    state: OperatorState, source: Source[Any], pace: Pace, *, tables: bool = False
) -> AsyncGenerator[list[Any] | Table, None]:
    """The source's items in lists of at most `pace.limit`, until it ends or the intake closes.

    With `tables` those of a TableReader come as tables. A list is shorter when its items come slowly. The pace is told
    how long each took.

    Errors are StageFailed of the source. Reading again after an error is tried while nothing was given and
    nothing rejected: either would be there twice.
    """
    attempt, tally = 1, state.tallies[0]
    while True:
        try:
            async with aclosing(_read(state, source, pace, tables)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except Exception as error:
            if state.unit.settlement.ours(error):
                raise
            retry = source.retry
            if tally.received or retry is None or not retry.again(attempt, error):
                raise failed(state, error) from error
            tally.retried += 1
            await asyncio.sleep(retry.delay(attempt))
            attempt += 1


async def _read(
    state: OperatorState, source: Source[Any], pace: Pace, tables: bool
) -> AsyncGenerator[list[Any] | Table, None]:
    opened: Any = (
        _all_splits(state, source, source.items.read_tables) if tables else await open_source(state, source)
    )
    if source.waits:
        reading = _awaited_lists(opened, state, pace)
    elif hasattr(opened, "__aiter__"):
        reading = _awaited(opened, state)
    else:
        call = _on_thread(state) if source.on == "thread" else _inline
        iterator: Iterator[Any] = opened if source.reads == "chunks" else await call(iter, opened)
        reading = _pulled(iterator, call, state, source, pace)
    async with aclosing(reading) as chunks:
        async for chunk in chunks:
            yield chunk
    if source.reads == "slices":
        state.unit.position = source.items.position()
    if not state.context.intake.closed:
        state.unit.source_ended()


async def _pulled(
    iterator: Iterator[Any], call: Call, state: OperatorState, source: Source[Any], pace: Pace
) -> AsyncGenerator[list[Any], None]:
    """Lists of what a plain iterator gives, until it or the slice ends; a generator is closed at the end."""
    tally, left, lists = state.tallies[0], source.max_items, source.reads == "chunks"
    ends = None if source.max_age is None else monotonic() + source.max_age
    try:
        while not state.context.intake.closed and left != 0:
            began = monotonic()
            if lists:
                chunk = await call(next, iterator, None)
            else:
                limit = pace.limit if left is None else min(pace.limit, left)
                chunk = await call(some, iterator, limit, pace.step)
            if not chunk and (chunk is None or not lists):
                return
            seconds = monotonic() - began
            state.times.busy += seconds
            pace.read(len(chunk) or 1, seconds)
            tally.received += len(chunk)
            tally.emitted += len(chunk)
            yield chunk
            left = None if left is None else left - len(chunk)
            if left == 0 or (ends is not None and monotonic() >= ends):
                state.unit.more = True
                return
    finally:
        if isinstance(iterator, Generator):
            await call(iterator.close)


async def _awaited(opened: Any, state: OperatorState) -> AsyncGenerator[list[Any], None]:
    """An async iterable that a plain function turned out to give, an item at a time."""
    tally = state.tallies[0]
    async for item in opened:
        tally.received += 1
        tally.emitted += 1
        yield [item]
        if state.context.intake.closed:
            return


async def _awaited_lists(
    opened: AsyncGenerator[list[Any], None], state: OperatorState, pace: Pace
) -> AsyncGenerator[list[Any], None]:
    """The lists of a reader that is waited for; it is closed at the end, however that comes."""
    tally = state.tallies[0]
    async with aclosing(opened):
        while not state.context.intake.closed:
            began = monotonic()
            chunk = await anext(opened, None)
            if chunk is None:
                return
            seconds = monotonic() - began
            state.times.busy += seconds
            pace.read(len(chunk) or 1, 0.0)  # waiting held nobody up
            tally.received += len(chunk)
            tally.emitted += len(chunk)
            yield chunk


async def open_source(state: OperatorState, source: Source[Any]) -> Any:
    """The iterable (or async iterable) behind a source for this unit. Errors of the user's function pass as they are."""
    if source.reads == "slices":
        opened = source.items.read(state.unit.plan.options.since)
    elif source.reads == "chunks":
        read = source.items.read_chunks
        return _all_awaited(state, source, read) if source.waits else _all_splits(state, source, read)
    elif source.reads != "function":
        return source.items
    else:
        opened = await _called(state, source)
    if inspect.isawaitable(opened):
        opened = await opened
    if not (hasattr(opened, "__iter__") or hasattr(opened, "__aiter__")):
        raise TypeError(f"the source's function must give an iterable, it gave {type(opened).__name__}")
    return opened


async def _called(state: OperatorState, source: Source[Any]) -> Any:
    """What the source's function gives for the unit's split, for all its splits, or without one."""
    function, unit = await state.bound(source), state.unit.unit
    call: Call = _on_thread(state) if source.on == "thread" else _inline
    splits = unit.splits.get(state.boxes[0].number)
    if source.signature is not None and source.signature.is_async:
        if splits is not None:
            return _one_after_the_other(function, splits)
        return function(unit.split) if unit.has_split else function()
    if splits is None:
        return _iterable(await call(function, *([unit.split] if unit.has_split else [])))
    first = _iterable(await call(function, splits[0]))
    if hasattr(first, "__aiter__"):
        return _one_after_the_other(function, splits[1:], first)
    rest = (_iterable(function(split)) for split in splits[1:])
    return chain(first, chain.from_iterable(rest))


def _iterable(given: Any) -> Any:
    """What a plain function gave; a coroutine that gives the items is refused as it is in other stages."""
    return given if hasattr(given, "__aiter__") else no_coroutine(given)


def failed(state: OperatorState, error: BaseException) -> StageFailed:
    """The run's error for what went wrong while reading."""
    return state.unit.settlement.failure(state.boxes[0], None, error)


def _all_splits(state: OperatorState, source: Source[Any], read: Callable[..., Any]) -> Iterator[Any]:
    """What the reader's method gives for one split after the other."""
    reject = _reject(state, source)
    for split in _splits(state):
        yield from read(split, reject=reject)


async def _all_awaited(
    state: OperatorState, source: Source[Any], read: Callable[..., Any]
) -> AsyncGenerator[list[Any], None]:
    reject = _reject(state, source)
    for split in _splits(state):
        async with aclosing(read(split, reject=reject)) as chunks:
            async for chunk in chunks:
                yield chunk


def _splits(state: OperatorState) -> tuple[Any, ...]:
    unit = state.unit.unit
    return (unit.split,) if unit.has_split else unit.splits.get(state.boxes[0].number, (None,))


def _reject(state: OperatorState, source: Source[Any]) -> Reject:
    tally = state.tallies[0]

    def reject(payload: object, error: Exception) -> None:
        tally.received += 1
        state.unit.settlement.settle(state.boxes[0], tally, source.on_error, payload, error)

    return reject


async def _one_after_the_other(
    function: Callable[[Any], Any], splits: tuple[Any, ...], first: AsyncIterable[Any] | None = None
) -> AsyncIterator[Any]:
    """What the function gives for each split, asynchronously; after what it gave already."""
    if first is not None:
        async for item in first:
            yield item
    for split in splits:
        opened = function(split)
        if isinstance(opened, Awaitable):
            for item in await opened:
                yield item
        else:
            async for item in opened:
                yield item


async def _inline(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def _on_thread(state: OperatorState) -> Callable[..., Awaitable[Any]]:
    state.context.threads.widen(state.unit.unit.id, state.boxes[0].number, 1)
    return state.context.threads.call
