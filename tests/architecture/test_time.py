"""Time is read in one file, so that a test can be the clock everywhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.checkout import imports, python_files, tree

READS_TIME = {
    *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
    *(f"time.{name}_ns" for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")),
    *(f"time.{name}" for name in ("gmtime", "localtime", "ctime", "clock_gettime")),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    "datetime.date.today",
}
CLOCK = Path("piko_flow/clock.py")
# Runs as a script in worker processes, where the package is not imported.
WORKER = Path("piko_flow/dataflow/workers/program.py")


def bound_names(path: Path) -> dict[str, str]:
    """What the file's own names for time and datetime stand for: {"dt": "datetime.datetime"}."""
    names = {"time": "time", "datetime": "datetime"}
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in found.names}
        elif isinstance(found, ast.ImportFrom) and found.module in ("time", "datetime"):
            names |= {alias.asname or alias.name: f"{found.module}.{alias.name}" for alias in found.names}
    return names


def dotted(expression: ast.expr) -> str:
    """`a.b.c` as text; empty for anything else."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute) and (owner := dotted(expression.value)):
        return f"{owner}.{expression.attr}"
    return ""


def reads(path: Path) -> Iterator[tuple[str, int]]:
    """Every mention of a function that reads the time, called or handed on, with its line."""
    names = bound_names(path)
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Name | ast.Attribute):
            first, dot, rest = dotted(found).partition(".")
            meant = names.get(first, first) + dot + rest
            if meant in READS_TIME:
                yield meant, found.lineno


@pytest.mark.parametrize("path", python_files("piko_flow"), ids=str)
def test_only_the_clock_reads_the_time(path: Path) -> None:
    allowed = READS_TIME if path == CLOCK else {"time.perf_counter"} if path == WORKER else set()
    assert [f"{path}:{line} {name}" for name, line in reads(path) if name not in allowed] == []


def test_a_read_is_seen_under_any_name(tmp_path: Path) -> None:
    source = tmp_path / "sample.py"
    source.write_text(
        "from time import monotonic as now\nimport datetime as d\nx = [now, d.datetime.now(d.UTC)]\n"
    )
    assert sorted(reads(source)) == [("datetime.datetime.now", 3), ("time.monotonic", 3)]
    assert [found.module for found in imports(source)] == ["time", "datetime"]
