"""Which ended runs are deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that is over."""

    run: int
    flow: str
    ended: datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """How long ended runs are kept: as long as they are younger than `age` and among the newest `keep` of their flow."""

    age: timedelta = timedelta(days=90)
    keep: int = 10_000

    def __post_init__(self) -> None:
        if self.age <= timedelta(0) or self.keep < 1:
            raise ValueError(f"age and keep must be above 0, got {self.age} and {self.keep}")

    def before(self, now: datetime) -> datetime:
        """Runs that ended before this instant are deleted."""
        return now - self.age


def expired(runs: Iterable[EndedRun], *, before: datetime, keep: int, limit: int) -> list[int]:
    """The runs to delete, oldest first, at most `limit`: those that ended before the instant, and of each flow all
    but the newest `keep`. Which is newer the id tells."""
    newer: Counter[str] = Counter()
    found = []
    for run in sorted(runs, key=lambda run: run.run, reverse=True):
        if run.ended < before or newer[run.flow] >= keep:
            found.append(run.run)
        newer[run.flow] += 1
    return found[::-1][:limit]
