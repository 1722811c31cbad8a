"""The page of metrics is soon there when a process begins, and costs next to nothing while nobody asks."""

from __future__ import annotations

import pytest

from piko_flow.ops.metrics import BEGINNING, EVERY, IDLE, MetricsPage
from piko_flow.testing import ManualClock

prometheus = pytest.importorskip("prometheus_client")


async def test_at_the_beginning_the_page_is_fresh_before_anybody_asks() -> None:
    clock = ManualClock()
    registry = prometheus.CollectorRegistry()
    leads = prometheus.Gauge("leads", "Whether it leads.", registry=registry)
    page = MetricsPage(registry, clock=clock)
    assert await page.turn() == EVERY
    leads.set(1)
    await clock.advance(EVERY)
    assert await page.turn() == EVERY
    _, found = await page.get("")
    assert b"leads 1.0" in found.plain


async def test_after_the_beginning_nobody_is_rendered_for() -> None:
    clock = ManualClock()
    page = MetricsPage(prometheus.CollectorRegistry(), clock=clock)
    await clock.advance(BEGINNING + 1)
    assert await page.turn() == IDLE
    await page.get("")
    assert await page.turn() == EVERY
