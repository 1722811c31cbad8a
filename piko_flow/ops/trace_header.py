"""The trace that a request belongs to, for the runs that it triggers."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.telemetry.traceparent import trace_of

HEADER = b"traceparent"


class TraceHeader:
    """Sets the traceparent of a request for all that is done on its behalf; one that is malformed is none."""

    def __init__(self, inside: ASGIApp) -> None:
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, with the request's trace in the context."""
        given = [value for name, value in scope.get("headers", ()) if name == HEADER]
        text = given[0].decode("latin-1").strip() if len(given) == 1 else ""
        before = trace_parent.set(text if trace_of(text) else "")
        try:
            await self._inside(scope, receive, send)
        finally:
            trace_parent.reset(before)
