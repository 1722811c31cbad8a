"""What is measured is counted in plain numbers and shown as the SDK's own histograms would be."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from piko_flow.telemetry import names
from piko_flow.telemetry.distribution import Distribution
from piko_flow.telemetry.figures import Figures
from piko_flow.telemetry.instruments import record_to
from piko_flow.telemetry.providers import Providers, view_of

MEASURED = (names.RUN_DURATION, names.RUN_LATENESS, names.RECONCILE)
SHOWN = tuple(f"{one.name.replace('.', '_')}_seconds" for one in MEASURED)


def record(figures: Figures) -> None:
    """Values below, on and beyond all bounds."""
    for seconds in (0.0, 0.009, *names.RUN_DURATION.bounds, 1e6):
        figures.run_ended("orders", "SUCCESS", round(seconds * 1000))
        figures.run_ended("🦔 'quoted'", "FAILED", 7)
        figures.run_began("orders", seconds)
        figures.reconciled(seconds)
    figures.run_ended("orders", "SKIPPED", None)


def histograms(registry: CollectorRegistry) -> list[str]:
    """The lines of the page that tell of them."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if line.removeprefix("# HELP ").startswith(SHOWN))


def test_plain_numbers_are_shown_as_the_histograms_of_the_sdk() -> None:
    plain = Providers(service="test", version="1", environ={})
    record(plain.figures)
    registry, figures = CollectorRegistry(), Figures()
    meters = MeterProvider(
        [PrometheusMetricReader(registry=registry, scope_info_enabled=False)],
        Resource.get_empty(),
        shutdown_on_exit=False,
        views=[view_of(metric) for metric in names.METRICS],
    )
    record_to(meters.get_meter(names.SCOPE), figures)
    record(figures)
    assert plain.registry is not None
    shown = histograms(plain.registry)
    assert shown == histograms(registry)
    assert (
        f'{SHOWN[0]}_count{{flow="orders",state="SUCCESS"}} {len(names.RUN_DURATION.bounds) + 3}.0' in shown
    )
    plain.close()
    meters.shutdown()


def test_it_is_the_names_of_attributes_that_count_and_not_their_order() -> None:
    measured = Distribution(names.RUN_DURATION)
    measured.record(1.0, {"flow": "orders", "state": "FAILED"})
    measured.record(2.0, {"state": "FAILED", "flow": "orders"})
    [(attributes, series)] = measured.series()
    assert (attributes, sum(series.counts)) == ({"flow": "orders", "state": "FAILED"}, 2)
    with pytest.raises(KeyError, match="state"):
        measured.record(1.0, {"flow": "orders"})


def test_they_grow_from_one_page_to_the_next_and_are_there_without_any_other_metric() -> None:
    providers = Providers(service="test", version="1", environ={})
    assert providers.registry is not None
    assert histograms(providers.registry) == []
    for times in (1, 2):
        providers.figures.reconciled(0.2)
        assert f"{SHOWN[2]}_count {times}.0" in histograms(providers.registry)
        text = generate_latest(providers.registry).decode()
        assert text.count("\ntarget_info{") == 1
    providers.close()


def test_who_is_pushed_to_gets_histograms_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:9/v1/metrics"}
    providers = Providers(service="test", version="1", environ=environ)
    try:
        assert not isinstance(providers.figures.duration, Distribution)
        providers.figures.reconciled(0.2)
        assert providers.registry is not None
        assert f"{SHOWN[2]}_count 1.0" in histograms(providers.registry)
    finally:
        providers.close()
