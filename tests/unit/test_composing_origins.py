"""A stage knows the line that wrote it, in a file, in a notebook's cell, and behind a function of the user's own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from piko_flow import Pipeline, Source, run, run_sync, start
from piko_flow.dataflow.graph.origin import Origin
from piko_flow.errors import PipelineError
from tests.architecture.checkout import ROOT
from tests.unit.composing import Numbers, numbers, refusal, text
from tests.unit.unchecked import Batch, Broadcast, Fold, Merge, On, Route, Sink, Transform

NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
shell.run_cell("from piko_flow import Source, Transform", store_history=True)
shell.run_cell("number = 1\\nstage = Transform(str)\\nprint(stage.origin)", store_history=True)
shell.run_cell("def make():\\n    return Transform(len)\\n\\nprint(make().origin)", store_history=True)
shell.run_cell("print(make().origin)", store_history=True)
"""


def test_every_stage_names_its_own_line() -> None:
    source = Source(
        numbers,
    )
    assert source.origin == Origin(__file__, sys._getframe().f_lineno - 3)
    stages = (
        Transform(text),
        Batch(3),
        Fold(max, start=int),
        Sink(Numbers()),
        On(int, Sink(print)),
        Route(On(int, Sink(print))),
        Broadcast(Sink(print), Sink(print)),
        Merge(source, source),
        source >> Transform(text),
    )
    first = stages[0].origin.line
    assert [stage.origin for stage in stages] == [
        Origin(__file__, first + number) for number in range(len(stages))
    ]


def test_a_file_is_told_from_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origin = Origin(str(tmp_path / "jobs" / "daily.py"), 3)
    assert str(origin) == f"{tmp_path}/jobs/daily.py:3"
    monkeypatch.chdir(tmp_path)
    assert str(origin) == "jobs/daily.py:3"
    monkeypatch.chdir(tmp_path / "..")
    assert str(origin) == f"{tmp_path.name}/jobs/daily.py:3"


def test_a_notebook_names_the_cell(tmp_path: Path) -> None:
    shell = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.split() == ["In[2]:2", "In[3]:2", "In[3]:2"]


@pytest.mark.parametrize(
    ("options", "rule", "got", "advice"),
    [
        ({"capacity": 0}, "capacity must be a whole number of items of at least 1", "got 0", ""),
        ({"capacity": True}, "capacity must be a whole number of items of at least 1", "got True", ""),
        ({"capacity": 1.5}, "capacity must be a whole number of items of at least 1", "got 1.5", ""),
        (
            {"max_errors": 1.5},
            "max_errors as a share lies between 0.0 and 1.0",
            "got 1.5",
            "Give a whole number for a count of items",
        ),
        (
            {"max_errors": -1},
            "max_errors must be a number of items (int) or a share of them (float)",
            "got -1",
            "",
        ),
        (
            {"max_errors": True},
            "max_errors must be a number of items (int) or a share of them (float)",
            "got True",
            "",
        ),
        ({"max_erors": 1}, None, "got max_erors=", "Did you mean max_errors=?"),
    ],
)
async def test_a_bad_option_of_a_run_names_the_line_that_runs(
    options: dict[str, object], rule: str | None, got: str, advice: str
) -> None:
    pipeline = Source(numbers) >> Sink(print)
    assert isinstance(pipeline, Pipeline)
    errors = [
        refusal(lambda: run_sync(pipeline, **options)),  # type: ignore[arg-type]
        refusal(lambda: pipeline.plan(**options)),  # type: ignore[arg-type]
        refusal(lambda: pipeline.run_sync(**options)),  # type: ignore[arg-type]
    ]
    for coroutine in (run(pipeline, **options), pipeline.run(**options)):  # type: ignore[arg-type]
        with pytest.raises(PipelineError) as caught:
            await coroutine
        assert Path(caught.value.where.rpartition(":")[0]).name == Path(__file__).name
        errors.append(caught.value)
    with pytest.raises(PipelineError) as caught:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(start(pipeline, **options))  # type: ignore[arg-type]
    errors.append(caught.value)
    for error in errors:
        assert (error.what, error.got, error.advice) == ("the run", got, advice)
        assert rule is None or error.rule == rule
