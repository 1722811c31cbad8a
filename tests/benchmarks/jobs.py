"""The functions that all contenders call, and what they call them with."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from itertools import repeat
from time import perf_counter


def add_one(number: int) -> int:
    return number + 1


def double(number: int) -> int:
    return number * 2


def less_three(number: int) -> int:
    return number - 3


def not_a_third(number: int) -> bool:
    return number % 3 != 0


async def suspends(number: int) -> int:
    """Give way to the loop once."""
    await asyncio.sleep(0)
    return number + 1


async def goes_on(number: int) -> int:
    """Never give way."""
    return number + 1


async def takes_ten_milliseconds(number: int) -> int:
    await asyncio.sleep(0.01)
    return number + 1


class Total:
    """A sink that sums, so that every contender has to bring every item to its end."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, number: int) -> None:
        self.value += number

    def check(self, expected: int) -> None:
        """Raises AssertionError when an item is missing or came twice."""
        if self.value != expected:
            raise AssertionError(f"the sum is {self.value}, it should be {expected}")


def burn(turns: int, number: int) -> int:
    """Keep a core busy for so many turns of a loop.

    It makes no objects: the time of a loop that does depends on where a process has its memory, by a fifth.
    """
    for _ in repeat(None, turns):
        pass
    return number + 1


@cache
def burning(seconds: float) -> partial[int]:
    """`burn` with as many turns as take so long on this machine when nothing disturbs it."""
    few, many, calls = 10, 1_000, 1_000
    one = (_fastest(many, calls) - _fastest(few, calls)) / (many - few)
    start = _fastest(few, calls) - few * one
    return partial(burn, max(round((seconds - start) / one), 1))


def _fastest(turns: int, calls: int) -> float:
    """The shortest time of one call seen."""
    function, shortest = partial(burn, turns), float("inf")
    for _ in range(20):
        began = perf_counter()
        for number in range(calls):
            function(number)
        shortest = min(shortest, (perf_counter() - began) / calls)
    return shortest
