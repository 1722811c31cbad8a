"""Results of plain functions that somebody would have to await, and nobody does."""

from __future__ import annotations

from asyncio import Future
from typing import Any

from piko_flow.errors import CoroutineReturned

KNOWN = 1000  # classes that are remembered; a function may make a new one for each item


def no_coroutine(result: Any) -> Any:
    """The result of a plain function. Raises CoroutineReturned for a coroutine, future or other awaitable."""
    if hasattr(type(result), "__await__"):
        kind = (
            "coroutine" if hasattr(result, "cr_await") else f"{type(result).__name__}, which is to be awaited"
        )
        if hasattr(result, "cr_await"):
            result.close()
        elif isinstance(result, Future):
            result.cancel()
        raise CoroutineReturned(
            f"a plain function returned a {kind}; make it `async def` so that it is awaited"
        )
    return result


class Looked:
    """Looks at results; `fine` are the classes that were found to be no awaitables."""

    def __init__(self) -> None:
        self.fine: set[type] = set()

    def __call__(self, result: Any) -> Any:
        """The result; see `no_coroutine`."""
        no_coroutine(result)
        if len(self.fine) < KNOWN:
            self.fine.add(type(result))
        return result
