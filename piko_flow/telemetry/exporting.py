"""Tracer providers that export by OTLP."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def exporting_tracers(resource: Resource, *, at_exit: bool) -> TracerProvider:
    """A provider whose spans go out in batches; `at_exit`: the last ones when the process ends."""
    tracers = TracerProvider(resource=resource, shutdown_on_exit=at_exit)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return tracers
