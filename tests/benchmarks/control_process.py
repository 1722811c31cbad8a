"""The process in which one contender is measured: `python -m tests.benchmarks.control_process WHAT WHO URL OPTIONS`.

OPTIONS are JSON, handed to the measuring function by keyword. Prints what was measured as JSON, times in seconds.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from statistics import quantiles
from typing import Any

from tests.benchmarks.control_piko_flow import PikoFlow

TIMEOUT = 600  # seconds for one process
PROTOTYPE = {"prototype": "driver", "prototype Core": "core"}


def measure(what: str, who: str, url: str, key: str = "value", **options: object) -> float:
    """Measure in a new process; gives one of the values that it prints. Its errors are shown and raised."""
    command = [sys.executable, "-m", "tests.benchmarks.control_process", what, who, url, json.dumps(options)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT)
    return float(json.loads(done.stdout.splitlines()[-1])[key])


def main() -> None:
    """Measure as the arguments say."""
    what, who, url, options = sys.argv[1:5]
    work = {"empty-runs": empty_runs, "due-to-start": due_to_start}.get(what, ours_alone)
    print(json.dumps(work(what, who, url, json.loads(options))))


def empty_runs(_: str, who: str, url: str, options: dict[str, Any]) -> dict[str, float]:
    from tests.benchmarks import control_peers, control_prototype

    runs: Coroutine[Any, Any, float]
    if who == "procrastinate":
        runs = control_peers.procrastinate_runs(url, **options)
    elif who == "DBOS":
        runs = control_peers.dbos_runs(url, **options)
    elif who in PROTOTYPE:
        runs = control_prototype.empty_runs(store(who, url), url, **options)
    else:
        runs = PikoFlow().empty_runs(url, **options)
    return {"seconds": asyncio.run(runs)}


def due_to_start(_: str, who: str, url: str, options: dict[str, Any]) -> dict[str, float]:
    from tests.benchmarks import control_prototype

    if who in PROTOTYPE or who == "timer alone":
        name = store(who, url) if who in PROTOTYPE else None
        late = asyncio.run(control_prototype.due_to_start(name, url, **options))
    else:
        late = asyncio.run(PikoFlow().due_to_start(url, **options))
    assert len(late) == options["each_second"] * options["seconds"], len(late)
    hundredths = quantiles(late, n=100)
    return {"p50": hundredths[49], "p99": hundredths[98], "largest": max(late)}


def ours_alone(what: str, _: str, url: str, options: dict[str, Any]) -> dict[str, float]:
    """A method of PikoFlow that none of the others has."""
    got = getattr(PikoFlow(), what.replace("-", "_"))(*([url] if url else []), **options)
    value = asyncio.run(got) if asyncio.iscoroutine(got) else got
    return {"value": value or 0.0} if isinstance(value, float | None) else asdict(value)


def store(who: str, url: str) -> str:
    """The prototype's store for a contender: the driver itself, or SQLAlchemy Core."""
    if PROTOTYPE[who] == "core":
        return "core"
    return "aiosqlite" if url.startswith("sqlite") else "asyncmy"


if __name__ == "__main__":
    main()
