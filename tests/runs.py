"""What the tests of runs share: one that is stopped at a moment, the error of one that fails, and one of another interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from piko_flow import RunReport, StageFailed, run, start
from tests.architecture.checkout import ROOT

E = TypeVar("E", bound=BaseException)


async def stopped(
    pipeline: Any, stop: Literal["drain", "cancel"], when: Awaitable[object] | None = None, **options: Any
) -> RunReport:
    """The report of a run that is drained or cancelled as soon as `when` is over, or before it has begun."""
    async with start(pipeline, **options) as active:
        if when is not None:
            await when
        getattr(active, stop)()
        return await active.wait()


async def failure(pipeline: Any, *, match: str | None = None, **options: Any) -> StageFailed:
    """The StageFailed that a run of the pipeline raises, whose text matches."""
    return await error_of(pipeline, StageFailed, match=match, **options)


async def error_of(pipeline: Any, kind: type[E], *, match: str | None = None, **options: Any) -> E:
    """The error of this kind that a run of the pipeline raises, whose text matches."""
    with pytest.raises(kind, match=match) as caught:
        await run(pipeline, **options)
    return caught.value


def python(
    *command: str, stdin: str | None = None, folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """How a new interpreter ends, and what it prints, which imports what this one can."""
    path = os.pathsep.join([str(ROOT), *(path for path in sys.path if path)])
    return subprocess.run(
        [sys.executable, *command],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=folder,
        timeout=120,
    )
