"""How often what was measured fell between which bounds, as plain numbers.

To record one value to the SDK's histogram takes as long as much of a small run: it makes and hashes a set of attributes
each time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from piko_flow.telemetry.figures import Labels
from piko_flow.telemetry.label_values import label_value
from piko_flow.telemetry.names import Metric


@dataclass(slots=True)
class Series:
    """What was recorded with the same labels: `counts` has a place for each bound and one beyond the last."""

    counts: list[int]
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")


class Distribution:
    """A histogram of a metric in seconds. One thread records; others may look meanwhile."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._series: dict[Labels, Series] = {}

    def record(self, amount: float, attributes: Mapping[str, str] | None = None) -> None:
        """Count the amount under these attributes. Raises KeyError without one that the metric has."""
        given = attributes or {}
        labels = tuple([given[name] for name in self.metric.attributes])
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = Series([0] * (len(self.metric.bounds) + 1))
        series.counts[bisect_left(self.metric.bounds, amount)] += 1
        series.total += amount
        series.least, series.most = min(series.least, amount), max(series.most, amount)

    def series(self) -> Sequence[tuple[dict[str, str], Series]]:
        """What was recorded until now, with its attributes."""
        return [
            (dict(zip(self.metric.attributes, map(label_value, labels), strict=True)), series)
            for labels, series in tuple(self._series.items())
        ]
