"""What a run tells about itself while it happens."""

from __future__ import annotations

from typing import Protocol

from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.report import RunReport


class Observer(Protocol):
    """Gets what happens in a run, at most once a chunk. Must not raise, must not block; called on the run's loop."""

    def run_started(self, run: str, pipeline: str, units: int) -> None: ...
    def run_ended(self, report: RunReport | None, error: BaseException | None) -> None: ...
    def stage_started(self, stage: str) -> None: ...
    def stage_ended(self, stage: str) -> None: ...
    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None: ...
    def sender_waited(self, stage: str, *, seconds: float) -> None: ...
    def dead_letter(self, dead_letter: DeadLetter, /) -> None: ...


class SilentObserver:
    """Listens to nothing; a base for observers that care for a few of the facts."""

    def run_started(self, run: str, pipeline: str, units: int) -> None:
        """A run begins."""

    def run_ended(self, report: RunReport | None, error: BaseException | None) -> None:
        """A run has ended, with a report or with an error."""

    def stage_started(self, stage: str) -> None:
        """A stage's operator begins, once a unit."""

    def stage_ended(self, stage: str) -> None:
        """A stage's operator has ended."""

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        """The operator that begins with `stage` worked `seconds` on a chunk of `items`."""

    def sender_waited(self, stage: str, *, seconds: float) -> None:
        """The operator that begins with `stage` waited for room in its output."""

    def dead_letter(self, dead_letter: DeadLetter, /) -> None:
        """An item failed for good."""
