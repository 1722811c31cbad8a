"""The providers of one application: its meters with the registry behind /metrics, and its tracer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from piko_flow.clock import now
from piko_flow.telemetry import names
from piko_flow.telemetry.figures import Figures
from piko_flow.telemetry.histogram_points import histograms_of
from piko_flow.telemetry.instruments import distribute, instrument, record_to
from piko_flow.telemetry.names import Metric, most_series
from piko_flow.telemetry.service_resource import resource_of
from piko_flow.telemetry.shared_tracer import in_force
from piko_flow.telemetry.spans import Spans
from piko_flow.telemetry.switches import exports

PATIENCE: Final = 120_000  # milliseconds


class PatientReader(PrometheusMetricReader):
    """Gives a large installation on a busy computer longer than the SDK's ten seconds, after which there is no page.

    `further` are metrics that are no instruments of the SDK.
    """

    def __init__(self, registry: CollectorRegistry, further: Callable[[], MetricsData]) -> None:
        super().__init__(registry=registry, scope_info_enabled=False)
        self._further, self._received = further, False

    # It is final for the sake of who asks for other numbers; only its default differs here.
    def collect(self, timeout_millis: float = PATIENCE) -> None:  # type: ignore[misc]
        """Read all instruments."""
        self._received = False
        super().collect(timeout_millis)
        # The SDK hands nothing on where no instrument has anything; and what has no resource names none for ever.
        if not self._received and (further := self._further()).resource_metrics:
            super()._receive_metrics(further, timeout_millis)

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = PATIENCE, **further: Any
    ) -> None:
        self._received = True
        whole = MetricsData([*metrics_data.resource_metrics, *self._further().resource_metrics])
        super()._receive_metrics(whole, timeout_millis, **further)


class Providers:
    """Made when an application starts, closed when it ends: what is left to be exported goes out then.

    The meter provider is the application's own and never the global one. So is the registry, which is there for
    `prometheus`. `spans` is None where nobody would get them: spans are made when OTLP is configured by the OTEL_*
    variables, or when the program has set a tracer provider of its own, which is then used as it is.

    Raises RequestRefused where the variables ask for what cannot be.
    """

    def __init__(
        self,
        *,
        service: str,
        version: str,
        instance: str = "",
        prometheus: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        traced, pushed = exports("traces", environ), exports("metrics", environ)
        resource = resource_of(service, version, instance, environ)
        self.figures = Figures()
        self.registry = CollectorRegistry() if prometheus else None
        self._meters = self._make_meters(resource, version, pushed=pushed)
        self._tracers = self._exporting(resource) if traced else None
        self.spans = self._make_spans(version)

    @property
    def measures(self) -> bool:
        """Whether somebody asks for metrics."""
        return self._meters is not None

    def close(self) -> None:
        """Hand on what has not been exported yet; waits for that as long as the OTEL_* variables say."""
        if self._meters is not None:
            self._meters.shutdown()
        if self._tracers is not None:
            in_force.leave(self._tracers)
            self._tracers.shutdown()

    def _make_meters(self, resource: Resource, version: str, *, pushed: bool) -> MeterProvider | None:
        readers: list[MetricReader] = []
        distributions = distribute(self.figures) if self.registry is not None and not pushed else ()
        if self.registry is not None:
            began = _nanoseconds()
            readers.append(
                PatientReader(
                    self.registry,
                    lambda: histograms_of(distributions, resource, began=began, now=_nanoseconds()),
                )
            )
        if pushed:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

            readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        if not readers:
            return None
        meters = MeterProvider(
            readers,
            resource,
            exemplar_filter=AlwaysOffExemplarFilter(),  # each would cost as much as what it is an example of
            shutdown_on_exit=False,
            views=[view_of(metric) for metric in names.METRICS],
        )
        meter = meters.get_meter(names.SCOPE, version)
        instrument(meter, self.figures)
        if pushed:
            record_to(meter, self.figures)
        return meters

    def _exporting(self, resource: Resource) -> TracerProvider:
        from piko_flow.telemetry.exporting import exporting_tracers

        return exporting_tracers(resource, at_exit=False)

    def _make_spans(self, version: str) -> Spans | None:
        if self._tracers is not None:
            in_force.enter(self._tracers)
            return Spans(self._tracers.get_tracer(names.SCOPE, version))
        given = in_force.given()
        return None if given is None else Spans(given.get_tracer(names.SCOPE, version))


def _nanoseconds() -> int:
    return round(now().timestamp() * 1_000_000_000)


def view_of(metric: Metric) -> View:
    """Bounds and the most series of a metric, so that none of ours ends in the series for what is too much."""
    bounds = ExplicitBucketHistogramAggregation(metric.bounds) if metric.bounds else None
    return View(
        instrument_name=metric.name, aggregation=bounds, aggregation_cardinality_limit=most_series(metric)
    )
