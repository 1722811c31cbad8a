"""`/metrics`: what is measured, as Prometheus reads it."""

from __future__ import annotations

import asyncio
import gzip
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Request, Response

from piko_flow.clock import Clock, SystemClock
from piko_flow.dataflow.running.garbage import fewer_collections

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

EVERY = 5.0  # seconds; what is served is at most this old and the time that it takes to render it
ASKED = 120.0  # seconds after the last question for which the page is kept fresh
SHARE = 10  # rendering takes at most this part of the time


@dataclass(frozen=True, slots=True)
class Rendered:
    """The page in one format; `plain` and `packed` are the same text."""

    plain: bytes
    packed: bytes
    at: float


class MetricsPage:
    """Renders a registry in a thread, and serves what it has: a question waits only where nobody asked for long.

    Rendering is at most every EVERY seconds for each format, less often where it takes long.
    """

    def __init__(self, registry: CollectorRegistry, *, clock: Clock | None = None) -> None:
        self._registry, self._clock = registry, clock or SystemClock()
        self._lock = threading.Lock()
        self._rendered: dict[str, Rendered] = {}
        self._asked: dict[str, tuple[float, str]] = {}  # by content type: when, and with which Accept

    async def get(self, accept: str) -> tuple[str, Rendered]:
        """Content type and page for an Accept header."""
        from prometheus_client.exposition import choose_encoder

        kind = choose_encoder(accept)[1]
        self._asked[kind] = self._clock.monotonic(), accept
        page = self._rendered.get(kind)
        if page is None or self._clock.monotonic() - page.at > ASKED:
            page = await asyncio.to_thread(self.render, accept)
        return kind, page

    async def keep_fresh(self) -> None:
        """Render anew what is asked for, until it is cancelled."""
        while True:
            began = self._clock.monotonic()
            for asked, accept in list(self._asked.values()):
                if began - asked <= ASKED:
                    await asyncio.to_thread(self.render, accept)
            took = self._clock.monotonic() - began
            await self._clock.sleep(max(EVERY, took * SHARE))

    def render(self, accept: str) -> Rendered:
        """The page now, unless it is younger than EVERY; from any thread."""
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(accept)
        with self._lock:
            page, now = self._rendered.get(kind), self._clock.monotonic()
            if page is None or now - page.at >= EVERY:
                with fewer_collections():  # one over all that a page is made of would stop every loop
                    text = encode(self._registry)
                page = self._rendered[kind] = Rendered(text, gzip.compress(text, 1), now)
        return page


class Measured(Protocol):
    """A process with a page of metrics while it runs; `metrics_enabled` False: it never has one."""

    @property
    def metrics_enabled(self) -> bool: ...
    @property
    def metrics(self) -> MetricsPage | None: ...


def metrics_router(process: Measured) -> APIRouter:
    """`/metrics`, in Prometheus' text format or OpenMetrics as Accept asks, packed with gzip where that is accepted."""
    router = APIRouter(tags=["probes"])

    @router.get("/metrics", summary="What is measured, for Prometheus", response_class=Response)
    async def metrics(request: Request) -> Response:
        """404 where the setting metrics_enabled is off, 503 before the process has started."""
        page = process.metrics
        if not process.metrics_enabled:
            return Response(
                "metrics are off: the setting metrics_enabled is false\n", 404, media_type="text/plain"
            )
        if page is None:
            return Response("the application is not running\n", 503, media_type="text/plain")
        kind, rendered = await page.get(request.headers.get("accept", ""))
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(rendered.packed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(rendered.plain, headers=headers)

    return router
