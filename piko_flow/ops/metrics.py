"""`/metrics`: what is measured, as Prometheus reads it."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Request, Response

from piko_flow.clock import Clock, SystemClock
from piko_flow.control.timing import woken
from piko_flow.dataflow.running.operators.garbage import fewer_collections

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

EVERY, SHARE = 5.0, 10  # while somebody asks: seconds between renderings, or so many times what one takes
IDLE, IDLE_SHARE = 60.0, 100  # while nobody does
BEGINNING = 60.0  # seconds from the start in which it is as if somebody asked
ALL_OF_A_PAGE = 10_000_000  # objects: a collection over those that a page is made of would stop every loop
PLAIN = ""  # the Accept header of who takes anything
ASKED = 120.0  # seconds after a question for which somebody is said to ask

log = logging.getLogger("piko_flow.metrics")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The page in one format; `plain` and `packed` are the same text."""

    plain: bytes
    packed: bytes
    at: float


class MetricsPage:
    """Renders a registry in a thread from time to time, and serves what it has: nobody waits for a rendering but the
    first of the process.

    While somebody asks, the page is EVERY seconds old at most and the time that rendering takes, or SHARE times that
    time, and so it is at the BEGINNING, when each rendering tells more; while nobody does, IDLE and IDLE_SHARE are for
    that, and the plain format alone is kept. A format that nobody has asked for lately is answered with the plain one,
    and is there from the next rendering on, which begins at once.
    """

    def __init__(self, registry: CollectorRegistry, *, clock: Clock | None = None) -> None:
        self._registry, self._clock = registry, clock or SystemClock()
        self._lock = threading.Lock()
        self._wake = asyncio.Event()
        self._rendered: dict[str, Rendered] = {}
        self._quick_until = self._clock.monotonic() + BEGINNING
        self._asked: dict[str, tuple[float, str]] = {}  # by content type: when, and with which Accept

    async def get(self, accept: str) -> tuple[str, Rendered]:
        """Content type and page for an Accept header."""
        from prometheus_client.exposition import choose_encoder

        kind, now = choose_encoder(accept)[1], self._clock.monotonic()
        if kind not in self._asked:
            self._wake.set()
        self._asked[kind] = now, accept
        for there in (kind, choose_encoder(PLAIN)[1]):
            if (page := self._rendered.get(there)) is not None:
                return there, page
        return kind, await asyncio.to_thread(self.render, accept)

    def age(self, page: Rendered) -> float:
        """How many seconds ago the page was rendered."""
        return self._clock.monotonic() - page.at

    async def keep_fresh(self) -> None:
        """Render when it is time, until it is cancelled. A page that cannot be rendered stays as it was until it can be."""
        told: set[type[Exception]] = set()
        while True:
            seconds = EVERY
            try:
                seconds = await self.turn()
                told.clear()
            except Exception as error:
                if (
                    type(error) not in told
                ):  # the next one of the kind, EVERY seconds later, would tell nothing new
                    told.add(type(error))
                    log.exception("the page of metrics could not be rendered; it is tried again")
            await woken(self._wake, seconds)

    async def turn(self) -> float:
        """Render what is asked for, and the plain page in any case; gives the seconds after which to do so again."""
        self._wake.clear()
        began = self._clock.monotonic()
        self._forget(began)
        for accept in {PLAIN, *(accept for _, accept in self._asked.values())}:
            await asyncio.to_thread(self.render, accept)
        took = self._clock.monotonic() - began
        quick = self._asked or began < self._quick_until
        return max(EVERY, took * SHARE) if quick else max(IDLE, took * IDLE_SHARE)

    def _forget(self, now: float) -> None:
        """Formats that nobody asks for are not kept: what is answered in them would be old."""
        from prometheus_client.exposition import choose_encoder

        for kind, (asked, _) in list(self._asked.items()):
            if now - asked > ASKED:
                del self._asked[kind]
        for kind in self._rendered.keys() - self._asked.keys() - {choose_encoder(PLAIN)[1]}:
            del self._rendered[kind]

    def render(self, accept: str) -> Rendered:
        """The page now, unless it is younger than EVERY; from any thread."""
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(accept)
        with self._lock:
            page, now = self._rendered.get(kind), self._clock.monotonic()
            if page is None or now - page.at >= EVERY:
                with fewer_collections(ALL_OF_A_PAGE):
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
        """404 where the setting metrics_enabled is off, 503 before the process has started.

        Age has the seconds since the page was rendered.
        """
        page = process.metrics
        if not process.metrics_enabled:
            return Response(
                "metrics are off: the setting metrics_enabled is false\n", 404, media_type="text/plain"
            )
        if page is None:
            return Response("the application is not running\n", 503, media_type="text/plain")
        kind, rendered = await page.get(request.headers.get("accept", ""))
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-store"}
        headers["Age"] = str(int(page.age(rendered)))
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(rendered.packed, headers={**headers, "Content-Encoding": "gzip"})
        return Response(rendered.plain, headers=headers)

    return router
