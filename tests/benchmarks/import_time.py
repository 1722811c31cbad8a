"""How long `import piko_flow` takes in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from tests.benchmarks.figure import LIMIT, OURS, Contender, Figure

SCRIPT = "from time import perf_counter; began = perf_counter(); import {}; print(perf_counter() - began)"


def figures() -> list[Figure]:
    """The import, beside that of what it stands on."""
    return [
        Figure(
            name="import",
            title="import piko_flow",
            contenders=(
                Contender(OURS, partial(imported, "piko_flow"), "import piko_flow"),
                Contender(LIMIT, partial(imported, "asyncio, pydantic"), "import asyncio, pydantic"),
                Contender("streamable", partial(imported, "streamable"), "import streamable"),
                Contender("aiostream", partial(imported, "aiostream"), "import aiostream"),
            ),
            score=lambda seconds, _: seconds * 1000,
            unit="ms",
            better="less",
            target=150.0,
            how="in a fresh interpreter, compiled files present",
        )
    ]


def imported(modules: str) -> float:
    """The seconds that a new interpreter needs to import the modules."""
    command = [sys.executable, "-c", SCRIPT.format(modules)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return float(done.stdout)
