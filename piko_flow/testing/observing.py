"""An observer that remembers what it was told."""

from __future__ import annotations

from piko_flow.dataflow.reports.facts import DeadLetter
from piko_flow.dataflow.reports.report import RunReport


class RecordingObserver:
    """Keeps what a run tells: give it as `observer=`.

    `facts` names them in order ("run started", "stage started: enrich", ...); `running` are the stages that
    have begun and not ended; `items` counts, by stage, the items of all finished chunks.
    """

    def __init__(self) -> None:
        self.facts: list[str] = []
        self.running: list[str] = []
        self.items: dict[str, int] = {}
        self.waited: dict[str, int] = {}
        self.letters: list[DeadLetter] = []
        self.report: RunReport | None = None
        self.error: BaseException | None = None

    def run_started(self, run: str, pipeline: str, units: int) -> None:
        """A run begins."""
        self.facts.append("run started")

    def run_ended(self, report: RunReport | None, error: BaseException | None) -> None:
        """A run has ended, with a report or with an error."""
        self.facts.append("run ended")
        self.report, self.error = report, error

    def stage_started(self, stage: str) -> None:
        """A stage begins, once a unit."""
        self.facts.append(f"stage started: {stage}")
        self.running.append(stage)

    def stage_ended(self, stage: str) -> None:
        """A stage has ended."""
        self.facts.append(f"stage ended: {stage}")
        self.running.remove(stage)

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        """A stage has worked on a chunk."""
        self.items[stage] = self.items.get(stage, 0) + items

    def sender_waited(self, stage: str, *, seconds: float) -> None:
        """A stage had to wait for room in its output."""
        self.waited[stage] = self.waited.get(stage, 0) + 1

    def dead_letter(self, letter: DeadLetter) -> None:
        """An item failed for good."""
        self.letters.append(letter)
