"""How Hypothesis makes random programs."""

from __future__ import annotations

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
    Spreading,
    Step,
    Summing,
)

MODES: tuple[Mode, ...] = ("plain", "plain", "waiting", "unordered", "keyed", "retried", "thread")
KINDS: tuple[type[Step], ...] = (Mapping, Keeping, Spreading, Checking, Gathering, Summing)
POLICIES = ("skip", "dead_letter", "skip", "dead_letter", "fail")


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
    """Whole pipelines of one to a dozen stages over up to `most` numbers a source; with `splits` some of one source."""
    sources = draw(st.lists(st.integers(0, most), min_size=1, max_size=3))
    drawing = _Drawing(draw, modes, failing, kinds)
    split = splits and draw(st.booleans())
    return Whole(tuple(sources), draw(st.booleans()), drawing.program(depth=2, closed=True), split)


class _Drawing:
    def __init__(
        self, draw: st.DrawFn, modes: tuple[Mode, ...], failing: bool, kinds: tuple[type[Step], ...]
    ) -> None:
        self.draw, self.modes, self.failing, self.kinds = draw, modes, failing, kinds
        self.number = 0

    def program(self, *, depth: int, closed: bool) -> Program:
        """Some steps; the last one closes them if it must."""
        steps = [self.step(depth) for _ in range(self.draw(st.integers(0 if closed else 1, 3)))]
        steps = [step for step in steps if not (isinstance(step, Branching) and step.closed)]
        if not closed:
            return Program(tuple(steps or [self.plain(Mapping)]), None)
        branching = (
            self.branching(depth, closed=True) if depth and self.draw(st.integers(0, 3)) == 3 else None
        )
        return Program(tuple(steps), branching or self.ending())

    def step(self, depth: int) -> Step:
        """One stage, or branches."""
        kind = self.draw(st.sampled_from((*self.kinds, Branching)))
        if kind is Branching:
            return self.branching(depth, closed=False) if depth else self.plain(Mapping)
        return self.plain(kind)

    def plain(self, kind: type[Step], **more: Any) -> Step:
        """One stage, and what it dislikes."""
        self.number += 1
        modulus = self.draw(st.sampled_from((0, 0, 7, 11))) if self.failing else 0
        return kind(
            name=f"{kind.__name__.lower()}{self.number}",
            mode=self.draw(st.sampled_from(self.modes)),
            concurrency=self.draw(st.integers(1, 5)),
            policy=self.draw(st.sampled_from(POLICIES)),
            modulus=modulus,
            remainder=self.draw(st.integers(0, 5)) if modulus else 0,
            **more,
        )

    def ending(self) -> Step:
        """A sink."""
        return self.plain(Ending, lists=self.draw(st.sampled_from((0, 0, 1, 3))))

    def branching(self, depth: int, *, closed: bool) -> Branching:
        """A Route or a Broadcast with one to three branches; unless closed, the first goes on."""
        several = [
            self.program(depth=depth - 1, closed=closed or (place > 0 and self.draw(st.booleans())))
            for place in range(self.draw(st.integers(1, 3)))
        ]
        step = self.plain(
            Branching, routed=len(several) == 1 or self.draw(st.booleans()), branches=tuple(several)
        )
        assert isinstance(step, Branching)
        return step
