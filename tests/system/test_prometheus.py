"""Rules and dashboard, as a real Prometheus reads and evaluates them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from piko_flow.ops.metrics import metrics_router
from piko_flow.telemetry.watching_files import NAMES, copy_to, main, text_of
from tests.databases.plugin import leave_out
from tests.system.measured_flows import flows, make_backfill, spooling
from tests.system.running_app import Running, eventually

DASHBOARD = json.loads(text_of("piko-flow.grafana.json"))
QUERIES = sorted({target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]})
RECORDED = sorted(re.findall(r"record: (\w+)", text_of("recording.yml")))

RULE_TEST = """
rule_files: [recording.yml, alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'piko_flow_runs_total{job="piko-flow", instance="a:8080", flow="orders", state="FAILED"}'
        values: '0 0 1 1 1 1'
      - series: 'piko_flow_run_duration_seconds_bucket{job="piko-flow", instance="a:8080", flow="orders", state="FAILED", le="5.0"}'
        values: '2x5'
      - series: 'piko_flow_run_duration_seconds_bucket{job="piko-flow", instance="a:8080", flow="orders", state="SUCCESS", le="5.0"}'
        values: '3x5'
      - series: 'piko_flow_leader{job="piko-flow", instance="a:8080"}'
        values: '0x5'
      - series: 'piko_flow_gaps{job="piko-flow", instance="a:8080", flow="orders"}'
        values: '1x30'
      - series: 'up{job="piko-flow", instance="b:8080"}'
        values: '0x5'
    alert_rule_test:
      - eval_time: 3m
        alertname: PikoFlowFails
        exp_alerts:
          - exp_labels: {severity: warning, flow: orders}
            exp_annotations:
              summary: "Runs of orders fail for good"
              do: "Look at its last runs in the console, or piko-flow run list --flow orders"
      - eval_time: 1m
        alertname: PikoFlowFails
      - eval_time: 3m
        alertname: PikoFlowNoLeader
        exp_alerts:
          - exp_labels: {severity: critical, job: piko-flow}
            exp_annotations:
              summary: "No replica leads: nothing is planned"
              do: "piko-flow leader show; look whether the database answers"
      - eval_time: 3m
        alertname: PikoFlowReplicaGone
        exp_alerts:
          - exp_labels: {severity: critical, job: piko-flow, instance: "b:8080"}
            exp_annotations:
              summary: "b:8080 does not answer"
              do: "Look at its log; its runs are rescued by the others"
      - eval_time: 10m
        alertname: PikoFlowGap
      - eval_time: 20m
        alertname: PikoFlowGap
        exp_alerts:
          - exp_labels: {severity: warning, flow: orders}
            exp_annotations:
              summary: "Windows of orders are missing"
              do: "Plan a backfill: piko-flow backfill plan orders"
    promql_expr_test:
      - expr: piko_job_run_total
        eval_time: 3m
        exp_samples:
          - labels: 'piko_job_run_total{job="piko-flow", instance="a:8080", job_id="orders", status="FAILED"}'
            value: 1
      - expr: piko_job_duration_seconds_bucket
        eval_time: 3m
        exp_samples:
          - labels: 'piko_job_duration_seconds_bucket{job="piko-flow", instance="a:8080", job_id="orders", le="5.0"}'
            value: 5
      - expr: piko_leader_status
        eval_time: 3m
        exp_samples:
          - labels: 'piko_leader_status{job="piko-flow", instance="a:8080", host="a"}'
            value: 0
"""


@pytest.fixture(autouse=True)
def prometheus_is_there() -> None:
    """Leaves the tests out, or fails them, where it is not installed."""
    if shutil.which("promtool") is None or shutil.which("prometheus") is None:
        leave_out("Prometheus")


def promtool(*arguments: str, within: Path) -> str:
    """What promtool says; fails where it finds fault."""
    done = subprocess.run(["promtool", *arguments], cwd=within, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_no_fault_in_what_comes_with_the_package(tmp_path: Path) -> None:
    assert [path.name for path in copy_to(tmp_path)] == list(NAMES)
    (tmp_path / "piko-flow.token").write_text("secret")
    promtool("check", "config", "--lint-fatal", "prometheus.yml", within=tmp_path)
    promtool("check", "rules", "--lint-fatal", "alerts.yml", "recording.yml", within=tmp_path)


def test_rules_give_the_old_names_and_alerts_come_when_they_should(tmp_path: Path) -> None:
    copy_to(tmp_path)
    (tmp_path / "test.yml").write_text(RULE_TEST)
    promtool("test", "rules", "test.yml", within=tmp_path)


def test_copying_writes_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert main([str(tmp_path / "new")]) == 1
    assert "exists" in capsys.readouterr().err
    assert main([]) == 2


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@asynccontextmanager
async def served(app: Running) -> AsyncIterator[int]:
    """The page of metrics on a port, without the door before it."""
    api = FastAPI()
    api.include_router(metrics_router(app.app))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(api, port=port, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    try:
        yield port
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def prometheus(folder: Path, target: int) -> AsyncIterator[str]:
    """A Prometheus that scrapes the port each second and evaluates our rules; its address."""
    copy_to(folder)
    (folder / "scrape.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "rule_files: [recording.yml, alerts.yml]\n"
        f"scrape_configs: [{{job_name: piko-flow, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n"
    )
    port = free_port()
    options = [
        "--config.file=scrape.yml",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = await asyncio.create_subprocess_exec(
        "prometheus", *options, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def test_every_query_gives_data_from_an_application_at_work(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with spooling(flows(gate), tmp_path) as app:
        await app.trigger("items")
        await app.trigger("fails")
        await app.at_least(1, "windows", "FAILED")
        await make_backfill(app)
        await app.app.ask(lambda plane: plane.trigger("held"))
        async with (
            served(app) as target,
            prometheus(tmp_path / "prometheus", target) as url,
            httpx.AsyncClient(base_url=url) as client,
        ):
            for query in [*QUERIES, *RECORDED]:
                await eventually(partial(answer, client, query))
            rules = (await client.get("/api/v1/rules")).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
    assert len(RECORDED) == 7
    assert len(QUERIES) > 20


async def answer(client: httpx.AsyncClient, query: str) -> bool:
    """Whether the query gives data, with what Grafana puts in for its variables."""
    asked = query.replace("$__rate_interval", "1m").replace("$flow", ".*")
    try:
        given = await client.get("/api/v1/query", params={"query": asked})
    except httpx.TransportError:
        return False  # it starts
    if given.status_code == 503:
        return False
    assert given.status_code == 200, given.text
    return bool(given.json()["data"]["result"])
