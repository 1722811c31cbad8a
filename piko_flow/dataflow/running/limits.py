"""A bound on how long one attempt may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float | None, work: Awaitable[T], what: str) -> T:
    """Await the work. Raises TimeoutError, saying `what` did not happen, when it takes longer than `seconds`.

    A TimeoutError that the work raises by itself passes as it is. Cancelling cancels the work.
    """
    if seconds is None:
        return await work
    bound = asyncio.timeout(seconds)
    try:
        async with bound:
            return await work
    except TimeoutError as error:
        if not bound.expired():
            raise
        raise TimeoutError(f"{what} within {seconds:g} s") from error
