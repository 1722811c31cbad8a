"""A stage knows the line that wrote it, in a file, in a notebook's cell, and behind a function of the user's own."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Source, run, run_sync, start
from piko_flow.dataflow.graph.origin import Origin
from piko_flow.errors import PipelineError
from tests.runs import python
from tests.unit.composing import Numbers, numbers, text
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
    source = Source(numbers)
    assert str(source.origin) == here(-1)
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


def test_a_file_is_named_as_it_is_seen_from_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    origin = Origin(str(tmp_path / "jobs" / "daily.py"), 3)
    assert str(origin) == f"{tmp_path}/jobs/daily.py:3"
    monkeypatch.chdir(tmp_path)
    assert str(origin) == "jobs/daily.py:3"
    monkeypatch.chdir(tmp_path / "..")
    assert str(origin) == f"{tmp_path.name}/jobs/daily.py:3"


def test_a_notebook_names_the_cell(tmp_path: Path) -> None:
    shell = python("-c", NOTEBOOK, IPYTHONDIR=str(tmp_path), NO_COLOR="1")
    assert shell.stdout.split() == ["In[2]:2", "In[3]:2", "In[3]:2"]


async def test_a_bad_option_of_a_run_names_the_line_that_runs() -> None:
    pipeline: Any = Source(numbers) >> Sink(print)
    for use in (pipeline.plan, pipeline.run_sync, partial(run_sync, pipeline)):
        with pytest.raises(PipelineError) as caught:
            use(capacity=0)
        assert caught.value.where == here(-1)
    for wait in (pipeline.run, partial(run, pipeline)):
        with pytest.raises(PipelineError) as caught:
            await wait(capacity=0)
        assert caught.value.where == here(-1)
    with pytest.raises(PipelineError) as caught:
        async with start(pipeline, capacity=0):
            pass
    assert caught.value.where == here(-2)


def here(lines: int) -> str:
    """The place so many lines from where this is called."""
    return str(Origin(__file__, sys._getframe(1).f_lineno + lines))
