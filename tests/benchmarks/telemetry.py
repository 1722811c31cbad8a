"""What telemetry costs: the same work with it and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from functools import partial

from tests.benchmarks.figure import OURS, Contender, Figure, ratio
from tests.services.collector import collector

OFF = "telemetry off"
CHAIN = "1,000,000 integers through six stages, as a run of a flow"
ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


def figures() -> list[Figure]:
    """Runs that do nothing, a million items, and a loop beside the page of metrics."""
    return [
        _beside("telemetry-empty-runs", "5,000 empty runs on SQLite, 100 in flight", "empty-runs", 1.10),
        _beside("telemetry-chain", CHAIN, "chain", 1.05),
        _beside("telemetry-chain-work", f"{CHAIN}, by the processor's time", "chain-work", None),
        _spans("telemetry-spans-empty-runs", "5,000 empty runs on SQLite, 100 in flight", "empty-runs"),
        _spans("telemetry-spans-chain", CHAIN, "chain"),
        Figure(
            name="telemetry-stall",
            title="longest stall of a loop while /metrics of 1,000 flows is rendered",
            contenders=(
                Contender(OURS, partial(measured, "stall", "on"), "rendering in a thread"),
                Contender(OFF, partial(measured, "stall", "off"), "nothing beside it"),
            ),
            score=lambda ours, _: ours * 1000,
            unit="ms",
            better="less",
            target=50,
            yardstick=OFF,
        ),
    ]


def _spans(name: str, title: str, what: str) -> Figure:
    """What spans cost that go out to a collector, which works in a process of its own."""
    return _beside(name, title + ", spans to a collector", what, None, "spans")


def _beside(name: str, title: str, what: str, target: float | None, how: str = "on") -> Figure:
    return Figure(
        name=name,
        title=title,
        contenders=(
            Contender(OURS, partial(measured, what, how), "metrics, lines and reports kept, /metrics read"),
            Contender(OFF, partial(measured, what, "off"), "without"),
        ),
        score=ratio,
        unit="x",
        better="less",
        target=target,
        how="time / time without telemetry",
        yardstick=OFF,
    )


def measured(what: str, how: str) -> float:
    """Seconds, measured in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.telemetry_process", what, how]
    with ExitStack() as open_:
        receiver = open_.enter_context(collector()) if how == "spans" else None
        where = {} if receiver is None else {ENDPOINT: f"{receiver.url}/v1/traces"}
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=300, env=os.environ | where
        )
        assert receiver is None or receiver.spans, "spans are exported where they are measured"
    return float(done.stdout.splitlines()[-1])
