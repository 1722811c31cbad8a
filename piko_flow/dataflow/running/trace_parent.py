"""Where what runs now belongs in a distributed trace."""

from __future__ import annotations

from contextvars import ContextVar

trace_parent: ContextVar[str] = ContextVar("trace_parent", default="")
"""The W3C traceparent of the span that is current here, for processes that work on a stage's behalf; empty for none."""
