"""What is behind a source for one unit: an iterable, an asynchronous iterable, or the lists of a reader."""

from __future__ import annotations

import inspect
from asyncio import Future
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
)
from itertools import chain
from typing import Any

from piko_flow.dataflow.running.operators.awaitables import no_coroutine
from piko_flow.dataflow.running.unit_state import OperatorState
from piko_flow.dataflow.stages.source import Reject, Source


async def open_source(state: OperatorState, source: Source[Any], *, tables: bool = False) -> Any:
    """Give the iterable (or asynchronous iterable) behind a source for this unit; of readers that of their lists.

    Errors of the user's function pass as they are. With `tables` the lists of a TableReader are tables.
    """
    if source.reads == "slices":
        opened = source.items.read(state.unit.plan.options.since)
    elif source.reads == "chunks":
        read = source.items.read_tables if tables else source.items.read_chunks
        return _lists(state, source, read)
    elif source.reads != "function":
        return source.items
    else:
        opened = await _called(state, source)
    if inspect.isawaitable(opened):
        opened = await opened
    if not (hasattr(opened, "__iter__") or hasattr(opened, "__aiter__")):
        raise TypeError(f"the source's function must give an iterable, it gave {type(opened).__name__}")
    return opened


def on_thread(state: OperatorState) -> Callable[..., Future[Any]]:
    """Give the function that calls another one on the thread of this source."""
    return state.threads.call


async def _called(state: OperatorState, source: Source[Any]) -> Any:
    """What the source's function gives for the unit's split, for all its splits, or without one."""
    function, unit = await state.bound(source), state.unit.unit
    call: Callable[..., Awaitable[Any]] = on_thread(state) if source.on == "thread" else _inline
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


def _lists(
    state: OperatorState, source: Source[Any], read: Callable[..., Any]
) -> Iterator[Any] | AsyncIterator[Any]:
    """The lists that the reader's method gives for one split after the other; it is called once to see of which kind."""
    reject = _reject(state, source)
    opened: Iterator[Any] = (read(split, reject=reject) for split in _splits(state))
    if source.on == "thread":  # where it is called too
        return _all_given(opened)
    first = next(opened, ())
    opened = chain([first], opened)
    return _all_awaited(opened) if hasattr(first, "__aiter__") else _all_given(opened)


def _all_given(opened: Iterator[Any]) -> Iterator[Any]:
    for chunks in opened:
        yield from chunks


async def _all_awaited(opened: Iterator[Any]) -> AsyncGenerator[Any, None]:
    for chunks in opened:
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()


def _splits(state: OperatorState) -> tuple[Any, ...]:
    unit = state.unit.unit
    return (unit.split,) if unit.has_split else unit.splits.get(state.boxes[0].number, (None,))


def _reject(state: OperatorState, source: Source[Any]) -> Reject:
    tally = state.tallies[0]

    def reject(payload: object, error: Exception) -> None:
        tally.received += 1
        state.unit.error_policy.apply(state.boxes[0], tally, source.on_error, payload, error)

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
