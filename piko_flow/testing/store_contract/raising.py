"""Saying that a call has to fail, without a test runner."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


async def raises(kind: type[E], call: Awaitable[object]) -> E:
    """The error of this kind that the call raises. Raises AssertionError when it does not fail."""
    try:
        result = await call
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} should have been raised; the result was {result!r}")
