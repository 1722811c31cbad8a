"""Results of functions that would have to be awaited, and how operators find them; generators that hold scopes."""

from __future__ import annotations

from asyncio import CancelledError, Future
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from piko_flow.errors import CoroutineReturned

KNOWN = 1000  # classes that are remembered; a function may make a new one for each item


def no_coroutine(result: Any, *, awaited: bool = False) -> Any:
    """Give the result of a plain function, or of an async one that was `awaited`.

    Raises CoroutineReturned for a coroutine, future or other awaitable.
    """
    if hasattr(type(result), "__await__"):
        kind = (
            "coroutine" if hasattr(result, "cr_await") else f"{type(result).__name__}, which is to be awaited"
        )
        if hasattr(result, "cr_await"):
            result.close()
        elif isinstance(result, Future):
            result.cancel()
        raise CoroutineReturned(
            f"an async function returned a {kind}; write `await` before the call that gives it"
            if awaited
            else f"a plain function returned a {kind}; make it `async def` so that it is awaited"
        )
    return result


async def cancelled_at_yield(iterator: AsyncIterator[Any], error: CancelledError) -> Any:
    """Raise the cancellation at the `yield` where a generator stands, and give its next item; other iterators end by it.

    For a cancellation that nobody of the run has asked for, while a generator's item is handed on: a scope that the
    generator has open around its `yield` (`asyncio.timeout`, a task group) has ended, and cancels the task that reads it.
    """
    if not isinstance(iterator, AsyncGenerator):
        raise error
    return await iterator.athrow(error)


class Look:
    """Looks at every result of the functions in a generated loop, at the price of one comparison.

    `fine` is the set of the classes whose results are known to be no awaitables, and `check(result)` looks at a result
    of any other class. Where it can, the written code compares with something quicker first: with the class of the
    last result, with None, True or False. No awaitable gets by, however many come.
    """

    def __init__(self) -> None:
        self.fine: set[type] = set()

    def check(self, result: Any) -> Any:
        """Give the result and remember its class. Raises CoroutineReturned for an awaitable."""
        no_coroutine(result)
        if len(self.fine) < KNOWN:
            self.fine.add(type(result))
        return result

    @property
    def names(self) -> dict[str, Any]:
        """The names that the written code uses."""
        return {"check": self.check, "fine": self.fine, "type": type}

    @staticmethod
    def statement(variable: str, call: str, seen: str, *, none: bool = False) -> str:
        """Write the statement that keeps the call's result in the variable once it has been looked at.

        `seen` is the variable for the class of the last result, None at first. With `none` most results are expected
        to be None.
        """
        test = f"type({variable} := {call}) is not {seen}"
        if none:
            test = f"({variable} := {call}) is not None and type({variable}) is not {seen}"
        return f"if {test}: {seen} = type({variable} if type({variable}) in fine else check({variable}))"

    @staticmethod
    def expression(call: str) -> str:
        """Write the expression that is the call's result once it has been looked at."""
        return f"(result if type(result := {call}) in fine else check(result))"

    @staticmethod
    def truth(call: str) -> str:
        """Write the expression that is as true as the call's result, once that has been looked at."""
        known = "(result if type(result) in fine else check(result))"
        return f"((result := {call}) is True or result is not False and {known})"
