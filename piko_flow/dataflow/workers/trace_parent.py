"""Where what runs now belongs in a distributed trace, also in processes that work on its behalf."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from importlib import import_module

JOINING = (
    "piko_flow.telemetry.worker_spans"  # a name: what is below does not know what is above until it is there
)

trace_parent: ContextVar[str] = ContextVar("trace_parent", default="")
"""The W3C traceparent of the span that is current here; empty where there is none."""


def joined(parent: str) -> AbstractContextManager[None]:
    """Inside the block OpenTelemetry has `parent` as the current span, if this process has loaded OpenTelemetry at all."""
    if not parent or "opentelemetry.trace" not in sys.modules:
        return nullcontext()
    entered: AbstractContextManager[None] = import_module(JOINING).joined(parent)
    return entered
