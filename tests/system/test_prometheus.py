"""Rules and dashboard, as a real Prometheus reads and evaluates them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from piko_flow.app import listen
from piko_flow.ops.metrics import metrics_router
from piko_flow.store.ops_records import Role
from piko_flow.telemetry.names import METRICS, Metric
from piko_flow.telemetry.watching_files import NAMES, copy_to, main, text_of
from tests.databases.plugin import leave_out
from tests.system.doors import served as behind_door
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
              summary: "There is a gap in the windows of orders"
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

OTHER_ALERTS = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'piko_flow_run_lateness_seconds_bucket{instance="a:8080", flow="orders", le="60.0"}'
        values: '0x30'
      - series: 'piko_flow_run_lateness_seconds_bucket{instance="a:8080", flow="orders", le="600.0"}'
        values: '0+1x30'
      - series: 'piko_flow_run_lateness_seconds_bucket{instance="a:8080", flow="orders", le="+Inf"}'
        values: '0+1x30'
      - series: 'piko_flow_run_lateness_seconds_bucket{instance="a:8080", flow="punctual", le="60.0"}'
        values: '0+1x30'
      - series: 'piko_flow_run_lateness_seconds_bucket{instance="a:8080", flow="punctual", le="+Inf"}'
        values: '0+1x30'
      - series: 'piko_flow_watermark_lag_seconds{instance="a:8080", flow="orders"}'
        values: '90000x30'
      - series: 'piko_flow_watermark_lag_seconds{instance="a:8080", flow="punctual"}'
        values: '86400x30'
      - series: 'piko_flow_dead_letters{instance="a:8080", flow="orders"}'
        values: '100x9 101x20'
      - series: 'piko_flow_spool_age_seconds{instance="a:8080", spool="chat"}'
        values: '601x30'
      - series: 'piko_flow_spool_age_seconds{instance="b:8080", spool="chat"}'
        values: '600x30'
      - series: 'piko_flow_channel_fill{instance="a:8080", flow="orders", stage="write"}'
        values: '1x30'
      - series: 'piko_flow_channel_fill{instance="a:8080", flow="orders", stage="read"}'
        values: '0.9x30'
      - series: 'piko_flow_leader{job="piko-flow", instance="a:8080"}'
        values: '1x30'
      - series: 'piko_flow_leader{job="piko-flow", instance="b:8080"}'
        values: '0x9 1x20'
    alert_rule_test:
      - {eval_time: 4m, alertname: PikoFlowLate}
      - eval_time: 20m
        alertname: PikoFlowLate
        exp_alerts:
          - exp_labels: {severity: warning, flow: orders}
            exp_annotations:
              summary: "Runs of orders begin more than a minute after their time"
              do: "piko-flow explain orders tells what they wait for"
      - {eval_time: 14m, alertname: PikoFlowBehind}
      - eval_time: 20m
        alertname: PikoFlowBehind
        exp_alerts:
          - exp_labels: {severity: warning, flow: orders}
            exp_annotations:
              summary: "orders is 1d 1h 0m 0s behind"
              do: "piko-flow explain orders"
      - {eval_time: 9m, alertname: PikoFlowDeadLetters}
      - eval_time: 10m
        alertname: PikoFlowDeadLetters
        exp_alerts:
          - exp_labels: {severity: warning, flow: orders}
            exp_annotations:
              summary: "orders has 101 open dead letters"
              do: "Mend the cause, then replay them: piko-flow dead-letter list"
      - {eval_time: 4m, alertname: PikoFlowSpoolStuck}
      - eval_time: 5m
        alertname: PikoFlowSpoolStuck
        exp_alerts:
          - exp_labels: {severity: critical, instance: "a:8080", spool: chat}
            exp_annotations:
              summary: "The spool chat at a:8080 does not empty"
              do: "Bring its sink back: the log of the replica tells what it fails with"
      - {eval_time: 14m, alertname: PikoFlowStageBlocks}
      - eval_time: 15m
        alertname: PikoFlowStageBlocks
        exp_alerts:
          - exp_labels: {severity: info, flow: orders, stage: write}
            exp_annotations:
              summary: "write holds up orders"
              do: "Give the stage more concurrency or workers"
      - {eval_time: 10m, alertname: PikoFlowTwoLeaders}
      - eval_time: 11m
        alertname: PikoFlowTwoLeaders
        exp_alerts:
          - exp_labels: {severity: critical, job: piko-flow}
            exp_annotations:
              summary: "More than one replica leads"
              do: "They are of one lease only by name: look at leader_name and at the database of each"
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
    (tmp_path / "others.yml").write_text(OTHER_ALERTS)
    promtool("test", "rules", "test.yml", "others.yml", within=tmp_path)


def test_each_alert_is_shown_to_come() -> None:
    shown = re.findall(r"alertname: (\w+)\n +exp_alerts", RULE_TEST + OTHER_ALERTS)
    assert sorted(shown) == sorted(re.findall(r"alert: (\w+)", text_of("alerts.yml")))


@pytest.mark.parametrize("file", [name for name in NAMES if name != "prometheus.yml"])
def test_what_the_files_ask_for_is_measured(file: str) -> None:
    asked = set(re.findall(r"\bpiko_flow_\w+", text_of(file)))
    assert asked - {name for metric in METRICS for name in samples_of(metric)} == set()
    assert asked


def samples_of(metric: Metric) -> list[str]:
    """The names that a metric's values have for Prometheus."""
    name = metric.name.replace(".", "_") + ("_seconds" if metric.unit == "s" else "")
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return [name + end for end in ends[metric.kind]]


def test_copying_writes_over_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert main([str(tmp_path / "new")]) == 1
    assert "alerts.yml is there already, and was left as it is" in capsys.readouterr().err
    assert main([]) == 2


@contextmanager
def kept_port() -> Iterator[int]:
    """A port that nobody else is given while the block is open; a program that reuses addresses can listen at it."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@asynccontextmanager
async def served(app: Running) -> AsyncIterator[int]:
    """The page of metrics on a port, without the door before it."""
    api = FastAPI()
    api.include_router(metrics_router(app.app))
    server = uvicorn.Server(uvicorn.Config(api, lifespan="off", log_config=None))
    with listen("127.0.0.1", 0) as address:
        task = asyncio.create_task(server.serve(sockets=[address]))
        try:
            yield address.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def prometheus(folder: Path, target: int) -> AsyncIterator[str]:
    """A Prometheus as our files make it, but for the port, and scraping each second; its address."""
    copy_to(folder)
    ours = (folder / "prometheus.yml").read_text()
    scrape = ours.replace("15s", "1s").replace("127.0.0.1:8080", f"127.0.0.1:{target}")
    assert ours.count("15s") == scrape.count(" 1s") == scrape.count(f":{target}") + 1 == 2
    (folder / "scrape.yml").write_text(scrape)
    (folder / "piko-flow.token").touch()
    with kept_port() as port:
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
            httpx.AsyncClient(base_url=url, timeout=30) as client,
        ):
            for query in [*QUERIES, *RECORDED]:
                await eventually(partial(answer, client, query))
            rules = (await client.get("/api/v1/rules")).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
    assert len(RECORDED) == 7
    assert len(QUERIES) > 20


async def test_the_files_scrape_through_the_door_with_their_token(tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    async with (
        behind_door(tmp_path) as door,
        prometheus(folder, door.port) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        _, secret = await door.issued(Role.VIEWER)
        await eventually(partial(answer, client, "up{job='piko-flow'} == 0"))
        (folder / "piko-flow.token").write_text(secret)
        await eventually(partial(answer, client, "up{job='piko-flow'} == 1"))
        await eventually(partial(answer, client, "piko_flow_leader{job='piko-flow'} == 1"))


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
