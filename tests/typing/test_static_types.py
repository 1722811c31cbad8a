"""mypy --strict and pyright infer each joint, and refuse the wrong ones where they are written."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SAMPLES = ("right.py", "wrong.py", "right_flows.py", "wrong_flows.py")
MARK = re.compile(r"# wrong(?: for (mypy|pyright): .+)?$")
Lines = set[tuple[str, int]]
Reports = dict[tuple[str, int], str]


def marked(checker: str) -> Lines:
    """The lines that the checker must report."""
    return {
        (name, number)
        for name in SAMPLES
        for number, line in enumerate((HERE / name).read_text(encoding="utf-8").splitlines(), start=1)
        if (mark := MARK.search(line)) and mark.group(1) in (None, checker)
    }


def reported_by_mypy(folder: Path) -> Reports:
    """The lines of the samples that mypy --strict reports, and why."""
    options = ["--strict", "--output=json", f"--cache-dir={folder}", "--config-file=pyproject.toml"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *(str(HERE / name) for name in SAMPLES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    found = [json.loads(line) for line in run.stdout.splitlines()]
    return {
        (Path(one["file"]).name, one["line"]): one["message"]
        for one in found
        if one["severity"] == "error" and Path(one["file"]).parent.name == HERE.name
    }


def reported_by_pyright(folder: Path) -> Reports:
    """The lines of the samples that pyright reports, and why."""
    settings = {
        "include": [os.path.relpath(HERE / name, folder) for name in SAMPLES],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "standard",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    found = json.loads(run.stdout)["generalDiagnostics"]
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1): one["message"]
        for one in found
        if one["severity"] == "error"
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("checker", "report"),
    [("mypy", reported_by_mypy), ("pyright", reported_by_pyright)],
    ids=["mypy", "pyright"],
)
def test_a_checker_reports_the_wrong_uses_and_nothing_else(
    checker: str, report: Callable[[Path], Reports], tmp_path: Path
) -> None:
    found = report(tmp_path)
    assert {"missed": marked(checker) - set(found)} == {"missed": set()}
    assert {where: why for where, why in found.items() if where not in marked(checker)} == {}


def test_there_are_many_uses_of_both_kinds() -> None:
    right = (HERE / "right.py").read_text(encoding="utf-8").count("assert_type(")
    assert right >= 60
    assert len(marked("mypy")) >= 60
