"""What the tests of runs share: a run that is stopped at a moment, and the error of one that fails."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Literal, TypeVar

import pytest

from piko_flow import RunReport, StageFailed, run, start

E = TypeVar("E", bound=BaseException)


async def stopped(
    pipeline: Any, stop: Literal["drain", "cancel"], when: Awaitable[object] | None = None, **options: Any
) -> RunReport:
    """The report of a run that is drained or cancelled as soon as `when` is over, or before it has begun."""
    async with start(pipeline, **options) as active:
        if when is not None:
            await when
        getattr(active, stop)()
        return await active.wait()


async def failure(pipeline: Any, *, match: str | None = None, **options: Any) -> StageFailed:
    """The StageFailed that a run of the pipeline raises, whose text matches."""
    return await error_of(pipeline, StageFailed, match=match, **options)


async def error_of(pipeline: Any, kind: type[E], *, match: str | None = None, **options: Any) -> E:
    """The error of this kind that a run of the pipeline raises, whose text matches."""
    with pytest.raises(kind, match=match) as caught:
        await run(pipeline, **options)
    return caught.value
