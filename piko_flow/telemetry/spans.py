"""Spans of runs and of their stages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.telemetry import names
from piko_flow.telemetry.label_values import label_value
from piko_flow.telemetry.stage_context import StageContext

Value = str | int | float | bool
W3C = TraceContextTextMapPropagator()


class RunSpan:
    """The span of one attempt."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace = f"{span.get_span_context().trace_id:032x}"

    def ended(self, outcome: str, error: str = "") -> None:
        """How the attempt ended; `error` is the name of the error's type where it failed."""
        self._span.set_attribute(names.OUTCOME, outcome)
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))


class Spans:
    """Makes the spans of an application's runs."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def run(self, facts: Mapping[str, Value], parent: str) -> Iterator[RunSpan]:
        """The span of a run's attempt, current in the block; a child of `parent`, a traceparent, where there is one."""
        above = context_of(parent)
        kind = SpanKind.CONSUMER if parent else SpanKind.INTERNAL
        span = self._tracer.start_span(names.RUN_SPAN, above, kind, attributes=facts)
        token = context.attach(trace.set_span_in_context(span, above))
        before = trace_parent.set(traceparent_of(span))
        try:
            yield RunSpan(span)
        finally:
            trace_parent.reset(before)
            context.detach(token)
            span.end()

    def stages(self) -> StageSpans:
        """What makes the spans of the stages of the run whose span is current."""
        return StageSpans(self._tracer)


class StageSpans(StageContext):
    """One span for each stage of each unit. Of stages in one loop the first one's is current for their code.

    Stages of a unit in another process are told from outside of any task; they have spans, and nothing is made current.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer, self._above = tracer, context.get_current()
        self._begun: dict[tuple[int, str], list[Span]] = {}

    def stage_started(self, stage: str) -> None:
        """Called in the operator's own task, whose context ends with it."""
        super().stage_started(stage)
        facts = {names.STAGE_NAME: label_value(stage)}
        span = self._tracer.start_span(names.STAGE_SPAN, self._above, attributes=facts)
        task = asyncio.current_task()
        if task is not None and not any(other == id(task) for other, _ in self._begun):
            context.attach(trace.set_span_in_context(span, self._above))
            trace_parent.set(traceparent_of(span))
        self._begun.setdefault((id(task), stage), []).append(span)

    def stage_ended(self, stage: str) -> None:
        """The span ends; what its items came to is in the metrics and in the run's report."""
        key = id(asyncio.current_task()), stage
        spans = self._begun[key]
        spans.pop().end()
        if not spans:
            del self._begun[key]


def context_of(parent: str) -> context.Context:
    """The context below a traceparent; an empty one for a text that is none."""
    return W3C.extract({"traceparent": parent}, context.Context())


def traceparent_of(span: Span) -> str:
    """Where a span belongs, as a traceparent."""
    carrier: dict[str, str] = {}
    W3C.inject(carrier, trace.set_span_in_context(span, context.Context()))
    return carrier.get("traceparent", "")
