"""The page of metrics is soon there when a process begins, and costs next to nothing while nobody asks."""

from __future__ import annotations

import pytest

from piko_flow.ops.metrics import ASKED, BEGINNING, EVERY, IDLE, IDLE_SHARE, SHARE, MetricsPage
from piko_flow.testing import ManualClock
from tests.architecture.checkout import ROOT

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


def test_the_manual_says_how_old_a_page_may_be() -> None:
    page = (ROOT / "docs" / "how-to" / "watch-with-prometheus.md").read_text(encoding="utf-8")
    told = " ".join(page.split())
    assert f"every {EVERY:g} seconds, or every {SHARE} times as long as rendering takes" in told
    assert f"every {IDLE:g} seconds, or every {IDLE_SHARE} times as long" in told
    assert f"up to about {2 * SHARE} seconds old while somebody asks" in told
    assert f"after a pause up to about {2 * IDLE_SHARE}." in told
    assert (BEGINNING, ASKED) == (60, 120)  # "the first minute", "two minutes"
