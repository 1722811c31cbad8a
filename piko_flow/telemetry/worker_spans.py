"""Spans of user code in processes that work for a run: children of the run's stage, exported from where they are made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import ProxyTracerProvider

from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.telemetry.spans import context_of
from piko_flow.telemetry.switches import exports


@contextmanager
def joined(parent: str) -> Iterator[None]:
    """Inside the block the span of the traceparent is current."""
    provide(dict(os.environ))
    token, before = context.attach(context_of(parent)), trace_parent.set(parent)
    try:
        yield
    finally:
        trace_parent.reset(before)
        context.detach(token)


def provide(environ: dict[str, str]) -> None:
    """Give this process a tracer provider that exports, where the variables ask for it and it has none yet.

    What it has not sent yet goes out when the process ends by itself; a process that is killed takes it along.
    """
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider) and exports("traces", environ):
        from piko_flow.telemetry.exporting import exporting_tracers
        from piko_flow.telemetry.service_resource import resource_of

        trace.set_tracer_provider(exporting_tracers(resource_of("piko-flow", "", "", environ), at_exit=True))
