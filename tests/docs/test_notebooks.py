"""Every notebook is stored without output, runs from top to bottom, and shows what it is there to show."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.checkout import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
Notebook = dict[str, Any]


def read(path: Path) -> Notebook:
    """A notebook as it is stored."""
    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def executed(name: str, folder: Path) -> Notebook:
    """The notebook after it ran in the folder."""
    result = folder / "executed.ipynb"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.docs.run_notebook", str(FOLDER / name), str(result)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return read(result)


def output(notebook: Notebook, cell: str) -> dict[str, Any]:
    """What a cell gave, which is one thing."""
    (found,) = next(one for one in notebook["cells"] if one["id"] == cell)["outputs"]
    assert isinstance(found, dict)
    return found


def shown(notebook: Notebook, cell: str, kind: str) -> str:
    """What a cell showed, in one of its forms."""
    return "".join(output(notebook, cell)["data"][kind])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_without_output(name: str) -> None:
    notebook = read(FOLDER / name)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}


def test_there_is_a_test_for_each_notebook() -> None:
    assert NOTEBOOKS == ["01-first-pipeline.ipynb", "02-a-flow-on-a-schedule.ipynb"]


def test_the_first_notebook_shows_table_graph_progress_report_and_type_error(tmp_path: Path) -> None:
    notebook = executed("01-first-pipeline.ipynb", tmp_path)

    table = shown(notebook, "look", "text/html")
    assert ">1975-06-27T00:00:00Z</td>" in table
    assert table.count("<tr>") == 4

    graph = shown(notebook, "graph", "image/svg+xml")
    assert graph.startswith("<svg")
    assert "concurrency 16" in graph

    assert "3 stages fused into one loop" in "".join(output(notebook, "plan")["text"])
    assert "| assess | 4,803 | 4,803 |" in shown(notebook, "run", "text/markdown")

    report = shown(notebook, "report", "text/html")
    assert all(part in report for part in ("succeeded", "Bottleneck", "hurricanes.jsonl: 4,803 rows"))
    assert "strike_share" in shown(notebook, "result", "text/html")

    mistake = output(notebook, "mistake")
    assert mistake["ename"] == "StageTypeError"
    assert "'locate' (In[2]:" in mistake["evalue"]
    assert "it takes Report; Source 'storms.csv.gz' (In[1]:4) gives dict[str, str]" in mistake["evalue"]

    given = [
        (cell["id"], one["output_type"]) for cell in notebook["cells"] for one in cell.get("outputs", ())
    ]
    assert [cell for cell, kind in given if kind == "error"] == ["mistake"]


def test_the_second_notebook_tries_a_flow_and_lets_an_application_catch_up(tmp_path: Path) -> None:
    notebook = executed("02-a-flow-on-a-schedule.ipynb", tmp_path)

    assert shown(notebook, "graph", "image/svg+xml").startswith("<svg")
    fires = "".join(output(notebook, "fires")["text"])
    assert "2023-09-01 00:00:00+00:00" in fires
    assert fires.count("due: [") == 2

    by_hand = next(one for one in notebook["cells"] if one["id"] == "try")["outputs"]
    assert "".join(by_hand[0]["text"]) == "[('hurricane', 121)]\n"
    assert "succeeded" in "".join(by_hand[1]["data"]["text/html"])

    assert "".join(output(notebook, "serve")["text"]) == "('leader', [])\n"
    runs = "".join(output(notebook, "runs")["text"]).splitlines()
    assert [run.split()[0] for run in runs] == ["SUCCESS"] * 6
    assert [run.split()[1] for run in runs[1:]] == [f"{year}-09-01" for year in range(2018, 2023)]
    assert shown(notebook, "ledger", "text/plain") == "[('2018-09-01 00:00:00.000000', 'done')]"

    mistake = output(notebook, "mistake")
    assert mistake["ename"] == "FlowError"
    assert mistake["evalue"].startswith("flow 'oops' (In[8]:1)")
    assert "Did you mean schedule=?" in mistake["evalue"]
