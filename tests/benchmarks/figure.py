"""What a benchmark is: contenders that do the same job, a score for each round, and what it has to reach."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from tests.benchmarks.neighbours import others, wait_for_quiet

OURS, LIMIT = "piko_flow", "plain Python"
PEERS = ("streamable", "aiostream")


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

    `target` is what must be reached and `aim` what we want; `better` says in which direction.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    score: Callable[[float, float], float]
    unit: str
    better: Literal["less", "more"]
    target: float
    aim: float | None = None
    how: str = ""


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
        """Whether ours reached the target."""
        return self.reached(self.figure.target)

    @property
    def aimed(self) -> bool | None:
        """Whether ours reached the aim; None where there is none."""
        return None if self.figure.aim is None else self.reached(self.figure.aim)

    def reached(self, bound: float) -> bool:
        """Whether ours is on the right side of a bound."""
        ours = self.scores[OURS]
        return ours <= bound if self.figure.better == "less" else ours >= bound


def measure(figure: Figure, *, rounds: int, patience: float) -> Outcome:
    """Run the contenders one after the other, `rounds` times, beginning with another one each round.

    Before each it waits up to `patience` seconds for a machine that others leave alone.
    Each round is scored by itself, ours beside the limit of the same round, so that a machine that is slow
    for a while slows both; the score is the median of the rounds'.
    """
    measured: dict[str, list[float]] = {contender.name: [] for contender in figure.contenders}
    shares = []
    for turn in range(rounds):
        for contender in _from(figure.contenders, turn):
            wait_for_quiet(patience)
            gc.collect()
            with others() as share:
                measured[contender.name].append(contender.run() / contender.share)
            shares.append(share.value)
    limits = measured.get(LIMIT, [0.0] * rounds)
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
