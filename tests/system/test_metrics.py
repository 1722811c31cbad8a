"""What a running application has on its page of metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from piko_flow import App, Registry, Settings
from piko_flow.clock import monotonic
from piko_flow.ops.metrics import EVERY, MetricsPage, metrics_router
from piko_flow.telemetry import names
from piko_flow.telemetry.names import Metric
from piko_flow.telemetry.providers import Providers
from piko_flow.testing.manual_clock import ManualClock
from tests.system.measured_flows import flows, make_backfill, spooling
from tests.system.running_app import Running, eventually, running

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

        try:
            found = await eventually(everything)
        except TimeoutError:
            missing = {sample for sample in samples.values() if sample not in await page(app)}
            raise AssertionError(f"never measured: {missing}") from None
        finally:
            gate.set()
        assert found is not None
        check_values(found)
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


async def test_a_page_that_nobody_asked_for_is_rendered_when_somebody_does() -> None:
    providers = Providers(service="test", version="1", environ={})
    clock = ManualClock()
    try:
        assert providers.registry is not None
        metrics = MetricsPage(providers.registry, clock=clock)
        await metrics.get("")
        providers.figures.run_ended("orders", "SUCCESS", 10)
        await clock.advance(600)
        assert b"piko_flow_runs_total{" in (await metrics.get(""))[1].plain
    finally:
        providers.close()


async def asked(app: App, headers: dict[str, str]) -> httpx.Response:
    """An answer of the page over HTTP, without the door before it."""
    api = FastAPI()
    api.include_router(metrics_router(app))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        return await client.get("/metrics", headers=headers)


async def test_formats_and_packing_follow_what_the_scraper_accepts(tmp_path: Path) -> None:
    async with running(Registry(), tmp_path) as app:
        plain = await asked(app.app, {"Accept-Encoding": "identity"})
        openmetrics = await asked(
            app.app, {"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"}
        )
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert "content-encoding" not in plain.headers
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.headers["content-encoding"] == "gzip"
    assert openmetrics.text.endswith("# EOF\n")
    assert "# TYPE piko_flow_leader gauge" in plain.text


async def test_metrics_can_be_switched_off_and_are_not_there_before_the_start(tmp_path: Path) -> None:
    async with running(Registry(), tmp_path, metrics_enabled=False) as app:
        off = await asked(app.app, {})
    on = App("test", registry=Registry(), settings=Settings())
    assert (off.status_code, (await asked(on, {})).status_code) == (404, 503)


async def test_a_page_of_a_thousand_flows_is_answered_in_a_tenth_of_a_second() -> None:
    providers = Providers(service="test", version="1", environ={})
    try:
        for flow in range(1000):
            providers.figures.run_ended(f"flow {flow}", "SUCCESS", 10)
            for stage in range(3):
                for state in names.ITEM_STATES:
                    providers.figures.stage_items[f"flow {flow}", f"stage {stage}", state] = 1
        assert providers.registry is not None
        metrics = MetricsPage(providers.registry)
        await metrics.get("")
        took = []
        for _ in range(5):
            began = monotonic()
            await metrics.get("")
            took.append(monotonic() - began)
    finally:
        providers.close()
    assert min(took) < 0.1
