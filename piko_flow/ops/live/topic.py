"""What a listener wants to hear of."""

from __future__ import annotations

from dataclasses import dataclass

from piko_flow.store.records import RunRecord


@dataclass(frozen=True, slots=True)
class Topic:
    """All runs; or those of one flow; or one run. What runs are at is told of a flow's and of one run only, that its log
    has grown of one run only."""

    flow: str | None = None
    run: int | None = None

    def has(self, run: RunRecord) -> bool:
        """Whether the run belongs to it."""
        return self.flow in (None, run.flow) and self.run in (None, run.id)

    @property
    def close(self) -> bool:
        """Whether it is about few runs, whose stages are told too."""
        return self.flow is not None or self.run is not None
