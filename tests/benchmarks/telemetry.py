"""What telemetry costs: the same work with it and without it."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from tests.benchmarks.figure import OURS, Contender, Figure, ratio

OFF = "telemetry off"


def figures() -> list[Figure]:
    """Runs that do nothing, a million items, and a loop beside the page of metrics."""
    return [
        _beside("telemetry-empty-runs", "5,000 empty runs on SQLite, 100 in flight", "empty-runs", 1.10),
        _beside(
            "telemetry-chain", "1,000,000 integers through six stages, as a run of a flow", "chain", 1.05
        ),
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


def _beside(name: str, title: str, what: str, target: float) -> Figure:
    return Figure(
        name=name,
        title=title,
        contenders=(
            Contender(OURS, partial(measured, what, "on"), "metrics, lines and reports kept, /metrics read"),
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
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300)
    return float(done.stdout.splitlines()[-1])
