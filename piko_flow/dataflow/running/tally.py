"""The running counts of one unit: plain integers, read at any time, written by one thread."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class StageTally:
    """One stage's counts, in items."""

    received: int = 0
    emitted: int = 0
    filtered: int = 0
    skipped: int = 0
    dead: int = 0
    dropped: int = 0
    retried: int = 0

    def add(self, other: StageTally) -> None:
        """Add another unit's counts of the same stage."""
        for counter in fields(self):
            setattr(self, counter.name, getattr(self, counter.name) + getattr(other, counter.name))


@dataclass(slots=True)
class OperatorTimes:
    """Where an operator's time went, in seconds."""

    busy: float = 0.0
    waiting: float = 0.0
    blocked: float = 0.0

    def add(self, other: OperatorTimes) -> None:
        """Add another unit's times of the same operator."""
        self.busy += other.busy
        self.waiting += other.waiting
        self.blocked += other.blocked


@dataclass(slots=True)
class EdgeTally:
    """One joint's counts, in items."""

    sent: int = 0
    received: int = 0
    left: int = 0

    def add(self, other: EdgeTally) -> None:
        """Add another unit's counts of the same joint."""
        self.sent += other.sent
        self.received += other.received
        self.left += other.left
