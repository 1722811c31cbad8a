"""What a benchmark is: contenders that do the same job, a score for each round, and what it has to reach."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from tests.benchmarks.neighbours import others, wait_for_quiet

OURS, LIMIT = "piko_flow", "plain Python"


@dataclass(frozen=True)
class Contender:
    """One way to do the job. `run` does it once and gives what it measured: seconds, or megabytes.

    `share` is the part of the job that it does (what it measured is divided by it), for one so slow that the
    whole job would take minutes. `expression` says in short what was written.
    """

    name: str
    run: Callable[[], float]
    expression: str
    share: float = 1.0


@dataclass(frozen=True)
class Figure:
    """One line of the table: `contenders` are measured in turn, `score` judges what one measured beside the limit.

    `target` is what must be reached and `aim` what we want; `better` says in which direction. `yardstick` names the
    contender whose measurement of the same round the score is given, and `multiples` how many times as fast as
    others ours must be besides (a third: at most three times as slow).
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    score: Callable[[float, float], float]
    unit: str
    better: Literal["less", "more"]
    target: float | None
    aim: float | None = None
    how: str = ""
    yardstick: str = LIMIT
    multiples: tuple[tuple[str, float], ...] = ()

    def without_ours(self) -> Figure:
        """Only the others, who have nothing to reach."""
        others = tuple(contender for contender in self.contenders if not contender.name.startswith(OURS))
        return replace(self, contenders=others, target=None, aim=None, multiples=())


@dataclass(frozen=True)
class Outcome:
    """What came of a figure: for each contender what it measured in each round, and its score, the median of them.

    `others` is the share of the machine that other processes had meanwhile, the median of all measurements.
    """

    figure: Figure
    measured: dict[str, list[float]]
    others: float
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether ours reached the target, and is as many times as fast as others as it must be."""
        multiples = all(self.times_as_fast(name) >= wanted for name, wanted in self.figure.multiples)
        return multiples and (self.figure.target is None or self.reached(self.figure.target))

    @property
    def aimed(self) -> bool | None:
        """Whether ours reached the aim; None where there is none."""
        return None if self.figure.aim is None else self.reached(self.figure.aim)

    def reached(self, bound: float) -> bool:
        """Whether ours is on the right side of a bound."""
        ours = self.scores[OURS]
        return ours <= bound if self.figure.better == "less" else ours >= bound

    def times_as_fast(self, name: str) -> float:
        """How many times as fast as another contender ours was: the median of the rounds'."""
        pairs = zip(self.measured[name], self.measured[OURS], strict=True)
        return median(theirs / ours for theirs, ours in pairs)


def measure(
    figure: Figure, *, rounds: int, patience: float, servers: Callable[[], Iterable[int]] = tuple
) -> Outcome:
    """Run the contenders one after the other, `rounds` times, beginning with another one each round.

    Before each it waits up to `patience` seconds for a machine that others leave alone; `servers` gives the ids of
    processes that work for the contenders and do not count as others.
    Each round is scored by itself, ours beside the limit of the same round, so that a machine that is slow
    for a while slows both; the score is the median of the rounds'.
    """
    measured: dict[str, list[float]] = {contender.name: [] for contender in figure.contenders}
    shares = []
    for turn in range(rounds):
        for contender in _from(figure.contenders, turn):
            wait_for_quiet(patience)
            gc.collect()
            with others(servers) as share:
                measured[contender.name].append(contender.run() / contender.share)
            shares.append(share.value)
    limits = measured.get(figure.yardstick, [0.0] * rounds)
    scores = {
        name: median(figure.score(value, limit) for value, limit in zip(values, limits, strict=True))
        for name, values in measured.items()
    }
    return Outcome(figure, measured, median(shares), scores)


def _from(contenders: Sequence[Contender], turn: int) -> Sequence[Contender]:
    first = turn % len(contenders)
    return (*contenders[first:], *contenders[:first])


def ratio(ours: float, limit: float) -> float:
    """Our time as a multiple of the limit's."""
    return ours / limit


def part_of(ours: float, limit: float) -> float:
    """How much of the limit's speed we reach."""
    return limit / ours
