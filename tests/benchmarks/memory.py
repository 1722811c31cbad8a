"""A fast source of large items and a slow sink: how far the process grows beyond its idle size."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure

ITEMS, SIZE = 200_000, 10_000
TIMEOUT = 600  # seconds for one process


def figures() -> list[Figure]:
    """A sink that waits on the loop, and one that blocks a thread. The limit is an asyncio queue of the same capacity."""
    return [
        Figure(
            name=f"memory-{sink}",
            title=f"{ITEMS:,} items of {SIZE // 1000} kB into a slow sink ({sink})",
            contenders=(
                Contender(OURS, partial(grown, "ours", sink), "Source >> Sink, default capacity"),
                Contender(LIMIT, partial(grown, "plain", sink), "two tasks and an asyncio.Queue(1024)"),
                Contender("streamable", partial(grown, "streamable", sink), "stream.do, which holds nothing"),
                Contender(
                    "aiostream", partial(grown, "aiostream", sink), "iterate | action, which holds nothing"
                ),
            ),
            score=lambda grown, _: grown,
            unit="MB",
            better="less",
            target=30.0,
            how="peak memory - memory when idle, in a process of its own",
        )
        for sink in ("async", "thread")
    ]


def grown(contender: str, sink: str) -> float:
    """Run a contender in a process of its own; gives the megabytes that it grew by."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.memory_process",
        contender,
        sink,
        str(ITEMS),
        str(SIZE),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT)
    told = json.loads(done.stdout)
    return float(told["peak"] - told["idle"]) / 1e6
