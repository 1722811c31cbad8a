"""What a running application has on its page of metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from piko_flow import App, Registry, Settings
from piko_flow.ops.metrics import (
    ASKED,
    BEGINNING,
    EVERY,
    IDLE,
    IDLE_SHARE,
    SHARE,
    MetricsPage,
    Rendered,
    metrics_router,
)
from piko_flow.telemetry import names
from piko_flow.telemetry.names import Metric
from piko_flow.telemetry.providers import Providers
from piko_flow.testing.manual_clock import ManualClock
from tests.system.measured_flows import flows, make_backfill, spooling
from tests.system.running_app import Running, eventually, running

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
STATEMENTS = "piko_flow_store_statements_total"
Series = dict[str, dict[tuple[str, ...], float]]


def series(text: str) -> Series:
    """The values of the page, by name of the sample and then by its labels in the order of their names."""
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for name, value in sorted(sample.labels.items()) if name != "le")
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


async def page(running: Running) -> Series:
    """The page as it is now; kept pages are looked past."""
    assert running.app.metrics is not None
    running.app.metrics._rendered.clear()
    return series((await running.app.metrics.get(""))[1].plain.decode())


def sample_of(metric: Metric) -> str:
    """The name that a metric's values have on the page."""
    unit = "_seconds" if metric.unit == "s" else ""
    end = {"counter": "_total", "histogram": "_count", "gauge": ""}[metric.kind]
    return metric.name.replace(".", "_") + unit + end


async def test_all_that_has_a_name_is_measured(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with spooling(flows(gate), tmp_path) as app:
        await app.trigger("items")
        await app.trigger("fails")
        await app.at_least(1, "hello", "SUCCESS")
        await app.at_least(1, "windows", "FAILED")
        await make_backfill(app)
        held = await app.app.ask(lambda plane: plane.trigger("held"))
        samples = {metric: sample_of(metric) for metric in names.METRICS}

        async def everything() -> Series | None:
            found = await page(app)
            return found if all(sample in found for sample in samples.values()) else None

        async def later() -> Series | None:
            now = await page(app)
            grown = now[STATEMENTS][()] > found[STATEMENTS][()]
            return now if grown and now["piko_flow_spool_age_seconds"]["away",] > 0 else None

        found: Series = {}
        try:
            first = await eventually(everything)
            assert first is not None
            found.update(first)
            again = await eventually(later)
            assert again is not None
        except TimeoutError:
            missing = {sample for sample in samples.values() if sample not in await page(app)}
            raise AssertionError(f"never measured, or not growing: {missing}") from None
        finally:
            gate.set()
        check_values(again)
        assert held.id
        assert "otel_metric_overflow" not in str(found)


def check_values(found: Series) -> None:
    items = found["piko_flow_stage_items_total"]
    assert items["items", "even", "in"] == 100
    assert items["items", "even", "filtered"] == 50
    assert items["items", "third", "dead"] == 17
    assert items["items", "third", "out"] == 33
    assert found["piko_flow_stage_retries_total"]["items", "third"] == 17
    assert found["piko_flow_stage_errors_total"]["items", "third"] == 17
    assert found["piko_flow_dead_letters"]["items",] == 17
    assert found["piko_flow_runs_total"]["fails", "FAILED"] == 1
    assert found["piko_flow_run_retries_total"]["fails",] == 1
    assert found["piko_flow_run_duration_seconds_count"]["fails", "FAILED"] == 1
    assert found["piko_flow_runs_active"]["held",] == 1
    assert found["piko_flow_run_lateness_seconds_count"]["hello",] >= 1
    assert 0 <= found["piko_flow_run_lateness_seconds_sum"]["hello",] < 60
    assert found["piko_flow_reconcile_duration_seconds_count"][()] >= 1
    assert found["piko_flow_reconcile_duration_seconds_sum"][()] > 0
    spent = found["piko_flow_stage_time_seconds_total"]
    assert 0 < spent["items", "third", "busy"] < 60
    assert spent["items", "put", "waiting"] > 0
    assert found[STATEMENTS][()] > 50
    assert 0 < found["piko_flow_channel_fill"]["held", "held"] <= 1
    assert found["piko_flow_gaps"]["windows",] == 1
    assert found["piko_flow_watermark_lag_seconds"]["windows",] > 0
    assert found["piko_flow_spool_items"]["away",] > 0
    assert found["piko_flow_leader"][()] == 1
    assert found["piko_flow_leader_term"][()] == 1
    assert sum(found["piko_flow_backfill_windows"].values()) >= 1


async def test_the_page_is_served_from_memory_and_rendered_at_most_every_few_seconds() -> None:
    providers = Providers(service="test", version="1", environ={})
    clock = ManualClock()
    try:
        assert providers.registry is not None
        metrics = MetricsPage(providers.registry, clock=clock)
        providers.figures.run_ended("orders", "SUCCESS", 10)
        first = await metrics.get("")
        providers.figures.run_ended("orders", "SUCCESS", 10)
        assert await metrics.get("") == first
        metrics.render("")
        assert await metrics.get("") == first
        await clock.advance(EVERY)
        metrics.render("")
        second = (await metrics.get(""))[1].plain.decode()
    finally:
        providers.close()
    assert 'piko_flow_runs_total{flow="orders",state="SUCCESS"} 2.0' in second


@contextmanager
def measured(clock: ManualClock) -> Iterator[tuple[Providers, MetricsPage]]:
    """What is measured, and its page."""
    providers = Providers(service="test", version="1", environ={})
    try:
        assert providers.registry is not None
        yield providers, MetricsPage(providers.registry, clock=clock)
    finally:
        providers.close()


async def test_who_asks_after_a_while_gets_what_is_there_with_its_age_and_then_a_new_page() -> None:
    clock = ManualClock()
    with measured(clock) as (providers, metrics):
        assert await metrics.turn() == EVERY
        await clock.advance(BEGINNING)
        assert await metrics.turn() == IDLE
        providers.figures.run_ended("orders", "SUCCESS", 10)
        await clock.advance(100)
        kept = (await metrics.get(""))[1]
        assert (b"piko_flow_runs_total{" in kept.plain, metrics.age(kept)) == (False, 100)
        await asyncio.wait_for(metrics._wake.wait(), 5)
        assert await metrics.turn() == EVERY
        assert b"piko_flow_runs_total{" in (await metrics.get(""))[1].plain


async def test_no_question_renders_once_there_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    with measured(clock) as (_, metrics):
        await metrics.turn()
        monkeypatch.setattr(metrics, "render", None)
        plain, _ = await metrics.get("")
        await clock.advance(10_000)
        assert (await metrics.get(""))[0] == (await metrics.get(OPENMETRICS))[0] == plain
        monkeypatch.undo()
        await metrics.turn()
        assert (await metrics.get(OPENMETRICS))[0].startswith("application/openmetrics-text")


async def test_a_format_that_nobody_asks_for_any_more_is_not_kept() -> None:
    clock = ManualClock()
    with measured(clock) as (_, metrics):
        for _ in range(2):
            await metrics.get(OPENMETRICS)
            await metrics.turn()
        await clock.advance(ASKED + 1)
        assert await metrics.turn() == IDLE
        assert list(metrics._rendered) == [(await metrics.get(""))[0]]


def pass_by(clock: ManualClock) -> None:
    """Two seconds pass while a thread is at work."""
    clock._now += timedelta(seconds=2)


async def test_a_page_that_takes_long_is_rendered_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    with measured(clock) as (_, metrics):
        monkeypatch.setattr(metrics, "render", lambda accept: pass_by(clock))
        await clock.advance(BEGINNING)
        assert await metrics.turn() == 2 * IDLE_SHARE
        metrics._asked["text"] = clock.monotonic(), ""
        assert await metrics.turn() == 2 * SHARE


@pytest.mark.parametrize(("turns", "lines"), [("bbg", 1), ("bgbg", 2), ("bbgbbg", 2)])
async def test_a_page_that_cannot_be_rendered_once_is_rendered_the_next_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, turns: str, lines: int
) -> None:
    """Each row of bad turns is told once, also of the same error after a good turn."""
    clock = ManualClock()
    with measured(clock) as (_, metrics):
        coming, rendered, render = list(turns), asyncio.Event(), metrics.render

        def failing(accept: str) -> Rendered:
            metrics._wake.set()  # the next turn begins at once
            if coming and coming.pop(0) == "b":
                raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "half of a character")
            if not coming:
                rendered.set()
            return render(accept)

        monkeypatch.setattr(metrics, "render", failing)
        fresh = asyncio.create_task(metrics.keep_fresh())
        async with asyncio.timeout(30):
            await rendered.wait()
        fresh.cancel()
        await asyncio.wait([fresh])
    told = [one for one in caplog.records if one.name == "piko_flow.metrics"]
    assert [(one.levelname, one.exc_info is not None) for one in told] == [("ERROR", True)] * lines


async def asked(app: App, headers: dict[str, str]) -> httpx.Response:
    """An answer of the page over HTTP, without the door before it."""
    api = FastAPI()
    api.include_router(metrics_router(app))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        return await client.get("/metrics", headers=headers)


async def packed(app: App) -> httpx.Response | None:
    """The answer in the other format, once it is there."""
    answer = await asked(app, {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"})
    return answer if "openmetrics" in answer.headers["content-type"] else None


async def test_formats_and_packing_follow_what_the_scraper_accepts(tmp_path: Path) -> None:
    async with running(Registry(), tmp_path) as app:
        plain = await asked(app.app, {"Accept-Encoding": "identity"})
        openmetrics = await eventually(partial(packed, app.app))
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert "content-encoding" not in plain.headers
    assert openmetrics is not None
    assert int(openmetrics.headers["age"]) < 60
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.headers["content-encoding"] == "gzip"
    assert openmetrics.text.endswith("# EOF\n")
    assert "# TYPE piko_flow_leader gauge" in plain.text


async def test_metrics_can_be_switched_off_and_are_not_there_before_the_start(tmp_path: Path) -> None:
    async with running(Registry(), tmp_path, metrics_enabled=False) as app:
        off = await asked(app.app, {})
    on = App("test", registry=Registry(), settings=Settings())
    assert (off.status_code, (await asked(on, {})).status_code) == (404, 503)
