"""An observer that does for each chunk what telemetry does: counters and a histogram by stage."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

from piko_flow.dataflow.reports.observer import SilentObserver

BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)  # seconds


class Recorder(SilentObserver):
    """Counts items and chunks, and sorts the chunks' times into buckets."""

    def __init__(self) -> None:
        self.items: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.waited: defaultdict[str, float] = defaultdict(float)
        self.buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        self.items[stage] += items
        self.seconds[stage] += seconds
        self.buckets[stage][bisect_left(BUCKETS, seconds)] += 1

    def sender_waited(self, stage: str, *, seconds: float) -> None:
        self.waited[stage] += seconds
