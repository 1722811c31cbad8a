"""Watching an application while it runs: its figures, its spans, the lines of its runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from piko_flow.control.watched import Watched
from piko_flow.telemetry.line_capture import line_capture

if TYPE_CHECKING:
    from piko_flow.telemetry.providers import Providers


def watched_by(providers: Providers) -> Watched:
    """What the control half is to fill."""
    return Watched(providers.figures, providers.spans, surveys=providers.measures)


@asynccontextmanager
async def watching(providers: Providers, *, level: str) -> AsyncIterator[None]:
    """Inside the block lines of runs are kept; at its end what is left goes out, and the providers are closed."""
    try:
        with line_capture.at_work(level):
            yield
    finally:
        await asyncio.to_thread(providers.close)  # it may wait for a collector
