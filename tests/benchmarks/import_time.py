"""How long a fresh interpreter needs to import Piko Flow, to declare a pipeline, and to run a first one."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from textwrap import dedent

from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure, ratio

STANDS_ON = "import asyncio, pydantic"
WHOLE_PACKAGE = "import piko_flow"
DECLARING = """
    from piko_flow import Filter, Sink, Source, Transform
    pipeline = Source(partial(range, 3)) >> Transform(str) >> Filter(str.isdigit) >> Sink(writes.append)
"""
RUNNING = DECLARING + "    pipeline.run_sync()\n"

SCRIPT = """
from functools import partial
from time import perf_counter

writes = []
began = perf_counter()
{}
print(perf_counter() - began)
"""


def figures() -> list[Figure]:
    """The import, a pipeline that is only declared, and one that runs, each beside the import of what all stand on."""
    return [
        _figure(
            "import",
            "import piko_flow",
            WHOLE_PACKAGE,
            target=1.6,
            peers=(
                Contender("streamable", partial(seconds_of, "import streamable"), "import streamable"),
                Contender("aiostream", partial(seconds_of, "import aiostream"), "import aiostream"),
            ),
        ),
        _figure("import-declaring", "import four stages, declare a pipeline", DECLARING, target=1.6),
        _figure("import-running", "import four stages, run a first pipeline", RUNNING, target=None),
    ]


def _figure(
    name: str, title: str, code: str, *, target: float | None, peers: tuple[Contender, ...] = ()
) -> Figure:
    return Figure(
        name=name,
        title=title,
        contenders=(
            Contender(OURS, partial(seconds_of, code), title),
            Contender(LIMIT, partial(seconds_of, STANDS_ON), STANDS_ON),
            *peers,
        ),
        score=ratio,
        unit="x",
        better="less",
        target=target,
        how="in a fresh interpreter, compiled files present",
    )


def seconds_of(code: str) -> float:
    """The seconds that a new interpreter needs for the code."""
    command = [sys.executable, "-c", SCRIPT.format(dedent(code))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return float(done.stdout)
