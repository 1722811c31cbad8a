"""The running counts of one unit: plain numbers, read at any time, written by one thread.

A table of counters, which the operators, the accounts and the engines share.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self


class Tally:
    """Numbers that can be summed over units."""

    __slots__ = ()

    def add(self, other: Self) -> None:
        """Add another unit's numbers of the same stage, operator or joint."""
        for number in fields(self):  # type: ignore[arg-type]  # every tally is a dataclass
            setattr(self, number.name, getattr(self, number.name) + getattr(other, number.name))


@dataclass(slots=True)
class StageTally(Tally):
    """One stage's counts, in items."""

    received: int = 0
    emitted: int = 0
    filtered: int = 0
    skipped: int = 0
    dead: int = 0
    dropped: int = 0
    retried: int = 0


@dataclass(slots=True)
class OperatorTimes(Tally):
    """Where an operator's time went, in seconds."""

    busy: float = 0.0
    waiting: float = 0.0
    blocked: float = 0.0


@dataclass(slots=True)
class EdgeTally(Tally):
    """One joint's counts, in items."""

    sent: int = 0
    received: int = 0
    left: int = 0
