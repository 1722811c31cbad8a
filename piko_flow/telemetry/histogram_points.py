"""Distributions as the SDK hands histograms to its readers."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from piko_flow.telemetry import names
from piko_flow.telemetry.distribution import Distribution


def histograms_of(
    distributions: Iterable[Distribution], resource: Resource, *, began: int, now: int
) -> MetricsData:
    """All that was recorded since `began`; both times are in nanoseconds since the epoch."""
    metrics = [
        Metric(one.metric.name, one.metric.about, one.metric.unit, Histogram(points, CUMULATIVE))
        for one in distributions
        if (points := _points(one, began, now))
    ]
    scope = ScopeMetrics(InstrumentationScope(names.SCOPE), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")] if metrics else [])


CUMULATIVE = AggregationTemporality.CUMULATIVE


def _points(distribution: Distribution, began: int, now: int) -> list[HistogramDataPoint]:
    points = []
    for attributes, series in distribution.series():
        counts = tuple(series.counts)
        point = HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=began,
            time_unix_nano=now,
            count=sum(counts),
            sum=series.total,
            bucket_counts=counts,
            explicit_bounds=distribution.metric.bounds,
            min=series.least,
            max=series.most,
        )
        points.append(point)
    return points
