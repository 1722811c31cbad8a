"""A task group whose failure is the error that caused it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from piko_flow.errors import StageFailed


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises its first cause itself, when all of its tasks have ended.

    No exception group is left in the error's context: IPython would print such an error as plain text.
    """
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        failure = first_cause(errors)
    if failure is not None:
        raise failure


def first_cause(error: BaseException) -> BaseException:
    """The error itself; of a task group's errors the first, a StageFailed before any other."""
    flat: list[BaseException] = []

    def flatten(error: BaseException) -> None:
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                flatten(inner)
        else:
            flat.append(error)

    flatten(error)
    return next((one for one in flat if isinstance(one, StageFailed)), flat[0])
