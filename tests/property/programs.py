"""Random pipelines over small numbers: branches, chains and sources, with what a run of them must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import reduce
from operator import rshift
from typing import Any

from piko_flow import Broadcast, Merge, On, Route, Source, Throttle
from tests.property.steps import Ending, Expected, Mode, Step, Summing


@dataclass(frozen=True)
class Branching(Step):
    """A Route by remainder, or a Broadcast; each branch ends in a sink or goes on."""

    routed: bool = False
    branches: tuple[Program, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether no branch goes on."""
        return all(branch.ending is not None for branch in self.branches)

    @property
    def reopens(self) -> bool:
        """Whether several branches go on, so that they meet again in any order."""
        return sum(branch.ending is None for branch in self.branches) > 1

    def build_into(self, arrived: dict[str, list[int]], mode: Mode | None, apart: bool) -> Any:
        """The stage with its branches."""
        built = [branch.build_into(arrived, mode, apart) for branch in self.branches]
        if not self.routed:
            return Broadcast(*built, name=self.name)
        ons = [On(_RemainderIs(len(built) + 1, place), branch) for place, branch in enumerate(built)]
        return Route(*ons, on_error=self.policy, name=self.name)


@dataclass(frozen=True)
class Program:
    """Stages one after the other, with a sink or branches at the end, or open."""

    steps: tuple[Step, ...]
    ending: Step | None

    def expect(self, numbers: list[int], expected: Expected, *, in_order: bool) -> tuple[list[int], bool]:
        """What leaves an open program, and whether its order is known; sinks are noted in `expected`."""
        for step in self.steps:
            if isinstance(step, Branching):
                numbers, in_order = self._expect_branches(step, numbers, expected, in_order)
            else:
                numbers = step.expect(numbers, expected)
                in_order = (in_order and step.keeps_order) or (
                    isinstance(step, Summing) and step.mode != "keyed"
                )
        if isinstance(self.ending, Branching):
            self._expect_branches(self.ending, numbers, expected, in_order)
        elif isinstance(self.ending, Ending):
            one_by_one = (
                self.ending.lists or self.ending.mode in ("plain", "retried") or self.ending.concurrency == 1
            )
            arrived = self.ending.expect(numbers, expected)
            expected.sinks[self.ending.name] = (arrived, in_order and bool(one_by_one))
        return numbers, in_order

    def sinks_of_lists(self) -> set[str]:
        """The names of the sinks that are objects, and publish only at commit."""
        found = {self.ending.name} if isinstance(self.ending, Ending) and self.ending.lists else set()
        for step in (*self.steps, self.ending):
            if isinstance(step, Branching):
                found = found.union(*(branch.sinks_of_lists() for branch in step.branches))
        return found

    def _expect_branches(
        self, step: Branching, numbers: list[int], expected: Expected, in_order: bool
    ) -> tuple[list[int], bool]:
        out: list[int] = []
        in_order_after = False
        count = len(step.branches) + 1
        for place, branch in enumerate(step.branches):
            taken = (
                [number for number in numbers if number % count == place] if step.routed else list(numbers)
            )
            given, ordered = branch.expect(taken, expected, in_order=in_order)
            if branch.ending is None:
                out += given
                in_order_after = ordered
        if step.routed:
            for number in numbers:
                if number % count == count - 1:
                    expected.lose(step.name, step.policy, number)
        return out, not step.reopens and in_order_after

    def build_into(self, arrived: dict[str, list[int]], mode: Mode | None, apart: bool) -> Any:
        """The stages joined; `apart`, behind something that shares a loop with none of them."""
        stages = [
            step.build_into(arrived, mode, apart) if isinstance(step, Branching) else step.build(mode)
            for step in self.steps
        ]
        if isinstance(self.ending, Branching):
            stages.append(self.ending.build_into(arrived, mode, apart))
        elif isinstance(self.ending, Ending):
            stages.append(self.ending.build_into(arrived, mode))
        if apart:
            stages = [Throttle(1_000_000, per=1e-6) >> stage for stage in stages]
        return reduce(rshift, stages)


@dataclass(frozen=True)
class Whole:
    """Sources, or one source with a split for each, and what follows them."""

    sources: tuple[int, ...]
    waiting: bool
    program: Program
    splits: bool = False
    first: int = 0
    """The first number of each source."""

    def expected(self) -> Expected:
        """What a run must do."""
        expected = Expected()
        numbers = [self.first + number for count in self.sources for number in range(count)]
        self.program.expect(numbers, expected, in_order=self.splits or len(self.sources) == 1)
        return expected

    def build(self, mode: Mode | None = None, *, apart: bool = False) -> tuple[Any, dict[str, list[int]]]:
        """The pipeline, and the lists in which its sinks put what arrives; `apart`, no two steps share a loop."""
        arrived: dict[str, list[int]] = {}

        def read(place: int, count: int) -> Source[int]:
            return _source(count, place, self.waiting and mode is None)

        return self.read(read) >> self.program.build_into(arrived, mode, apart), arrived

    def read(self, source: Callable[[int, int], Source[int]]) -> Any:
        """The sources, each made of its place and of how many numbers it gives, as one; of splits one of our own."""
        if self.splits:
            return Source(range, splits=list(self.sources), name="source")
        sources = [source(place, count) for place, count in enumerate(self.sources)]
        return sources[0] if len(sources) == 1 else Merge(*sources, name="merge")


class _RemainderIs:
    """A predicate of a Route's branch."""

    def __init__(self, modulus: int, remainder: int) -> None:
        self.modulus, self.remainder = modulus, remainder

    def __call__(self, number: int) -> bool:
        return number % self.modulus == self.remainder


def _source(count: int, place: int, waiting: bool) -> Source[int]:
    async def wait() -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    return Source(wait, name=f"source{place}") if waiting else Source(range(count), name=f"source{place}")
