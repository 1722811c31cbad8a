"""OpenTelemetry's instruments over the figures of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from piko_flow.telemetry import names
from piko_flow.telemetry.distribution import Distribution
from piko_flow.telemetry.figures import Figures, Numbers
from piko_flow.telemetry.label_values import label_value
from piko_flow.telemetry.names import Metric

Look = Callable[[CallbackOptions], Iterable[Observation]]


def instrument(meter: Meter, figures: Figures) -> None:
    """Make an instrument for each metric that is read from the figures when somebody asks."""
    for metric, numbers in looks(figures).items():
        look = partial(_observed, metric, numbers)
        if metric.kind == "counter":
            meter.create_observable_counter(metric.name, [look], metric.unit, metric.about)
        else:
            meter.create_observable_gauge(metric.name, [look], metric.unit, metric.about)


def looks(figures: Figures) -> dict[Metric, Callable[[], Numbers]]:
    """Where the numbers of each metric are that is read when asked."""
    return {
        names.RUNS: lambda: figures.runs,
        names.RUNS_ACTIVE: lambda: figures.active(),
        names.RUN_RETRIES: lambda: figures.run_retries,
        names.STAGE_ITEMS: lambda: figures.stage_items,
        names.STAGE_TIME: lambda: figures.stage_time,
        names.STAGE_RETRIES: lambda: figures.stage_retries,
        names.STAGE_ERRORS: lambda: figures.stage_errors,
        names.CHANNEL_FILL: lambda: figures.channel_fill,
        names.WATERMARK_LAG: lambda: figures.watermark_lag(),
        names.GAPS: lambda: figures.gaps,
        names.BACKFILL_WINDOWS: lambda: figures.backfill_windows,
        names.SPOOL_ITEMS: lambda: figures.spool_items,
        names.SPOOL_AGE: lambda: figures.spool_age,
        names.DEAD_LETTERS: lambda: figures.dead_letters,
        names.LEADER: lambda: figures.leader(),
        names.TERM: lambda: figures.term(),
        names.STATEMENTS: lambda: figures.statements(),
    }


def record_to(meter: Meter, figures: Figures) -> None:
    """Record what is measured to histograms of the SDK, for readers who want what came since they read last."""
    figures.duration = _histogram(meter, names.RUN_DURATION)
    figures.lateness = _histogram(meter, names.RUN_LATENESS)
    figures.reconcile = _histogram(meter, names.RECONCILE)


def distribute(figures: Figures) -> tuple[Distribution, ...]:
    """Count what is measured in plain numbers, and give these."""
    duration, lateness, reconcile = map(
        Distribution, (names.RUN_DURATION, names.RUN_LATENESS, names.RECONCILE)
    )
    figures.duration, figures.lateness, figures.reconcile = duration, lateness, reconcile
    return duration, lateness, reconcile


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.about, explicit_bucket_boundaries_advisory=list(metric.bounds)
    )


def _observed(
    metric: Metric, numbers: Callable[[], Numbers], options: CallbackOptions
) -> Iterator[Observation]:
    found = numbers()
    for labels in tuple(found):  # other threads add to it meanwhile, and take nothing away
        yield Observation(found[labels], dict(zip(metric.attributes, map(label_value, labels), strict=True)))
