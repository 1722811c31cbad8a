"""How random programs are chosen, by Hypothesis or by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.property.programs import Branching, Program, Whole
from tests.property.steps import (
    Checking,
    Ending,
    Gathering,
    Keeping,
    Mapping,
    Mode,
    Policy,
    Spreading,
    Step,
    Summing,
)

EITHER = (False, True)
MODES: tuple[Mode, ...] = ("plain", "plain", "waiting", "unordered", "keyed", "retried", "thread")
KINDS: tuple[type[Step], ...] = (Mapping, Keeping, Spreading, Checking, Gathering, Summing)
POLICIES: tuple[Policy, ...] = ("skip", "dead_letter", "skip", "dead_letter", "fail")


@dataclass(frozen=True)
class Choices:
    """Who decides what a program is like: gives a number between two, both included, and one of several options."""

    number: Callable[[int, int], int]
    one_of: Callable[[Sequence[Any]], Any]

    @classmethod
    def seeded(cls, random: Random) -> Choices:
        """Choices that are the same for the same seed."""
        return cls(random.randint, random.choice)

    @classmethod
    def drawn(cls, draw: st.DrawFn) -> Choices:
        """Choices of Hypothesis."""
        return cls(
            lambda low, high: draw(st.integers(low, high)), lambda options: draw(st.sampled_from(options))
        )


@st.composite
def programs(
    draw: st.DrawFn,
    *,
    modes: tuple[Mode, ...] = MODES,
    failing: bool = True,
    most: int = 40,
    kinds: tuple[type[Step], ...] = KINDS,
    splits: bool = False,
) -> Whole:
    """Whole pipelines that Hypothesis chooses; see `choose`."""
    return choose(Choices.drawn(draw), modes=modes, failing=failing, most=most, kinds=kinds, splits=splits)


def choose(
    choices: Choices,
    *,
    modes: tuple[Mode, ...] = MODES,
    failing: bool = True,
    most: int = 40,
    kinds: tuple[type[Step], ...] = KINDS,
    splits: bool = False,
) -> Whole:
    """A whole pipeline of one to a dozen stages over up to `most` numbers a source; with `splits` some of one source."""
    sources = tuple(choices.number(0, most) for _ in range(choices.number(1, 3)))
    drawing = _Drawing(choices, modes, failing, kinds)
    split = splits and choices.one_of(EITHER)
    return Whole(sources, choices.one_of(EITHER), drawing.program(depth=2, closed=True), split)


class _Drawing:
    def __init__(
        self, choices: Choices, modes: tuple[Mode, ...], failing: bool, kinds: tuple[type[Step], ...]
    ) -> None:
        self.choices, self.modes, self.failing, self.kinds = choices, modes, failing, kinds
        self.number = 0

    def program(self, *, depth: int, closed: bool) -> Program:
        """Some steps; the last one closes them if it must."""
        steps = [self.step(depth) for _ in range(self.choices.number(0 if closed else 1, 3))]
        steps = [step for step in steps if not (isinstance(step, Branching) and step.closed)]
        if not closed:
            return Program(tuple(steps or [self.plain(Mapping)]), None)
        branching = self.branching(depth, closed=True) if depth and self.choices.number(0, 3) == 3 else None
        return Program(tuple(steps), branching or self.ending())

    def step(self, depth: int) -> Step:
        """One stage, or branches."""
        kind = self.choices.one_of((*self.kinds, Branching))
        if kind is Branching:
            return self.branching(depth, closed=False) if depth else self.plain(Mapping)
        return self.plain(kind)

    def plain(self, kind: type[Step], **more: Any) -> Step:
        """One stage, and what it dislikes."""
        self.number += 1
        modulus = self.choices.one_of((0, 0, 7, 11)) if self.failing else 0
        return kind(
            name=f"{kind.__name__.lower()}{self.number}",
            mode=self.choices.one_of(self.modes),
            concurrency=self.choices.number(1, 5),
            policy=self.choices.one_of(POLICIES),
            modulus=modulus,
            remainder=self.choices.number(0, 5) if modulus else 0,
            **more,
        )

    def ending(self) -> Step:
        """A sink."""
        return self.plain(Ending, lists=self.choices.one_of((0, 0, 1, 3)))

    def branching(self, depth: int, *, closed: bool) -> Branching:
        """A Route or a Broadcast with one to three branches; unless closed, the first goes on."""
        several = [
            self.program(depth=depth - 1, closed=closed or (place > 0 and self.choices.one_of(EITHER)))
            for place in range(self.choices.number(1, 3))
        ]
        step = self.plain(
            Branching, routed=len(several) == 1 or self.choices.one_of(EITHER), branches=tuple(several)
        )
        assert isinstance(step, Branching)
        return step
