"""Files and functions stay small enough to be read in one go."""

import ast

from tests.architecture.checkout import ROOT, python_files, tree

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
CHECKED = ("piko_flow", "pipelines", "tests")
SHORTEST_FILE = 60
SEAM, TABLE, ONE_EACH, SHARED = (
    "others implement it",
    "a table",
    "one of its kind a file",
    "has several importers",
)
SHORT = {
    "piko_flow/dataflow/commit/last_transaction.py": SHARED,
    "piko_flow/dataflow/commit/uncommitted.py": "what an error tells, apart from what is done",
    "piko_flow/dataflow/drawing/mermaid.py": ONE_EACH,
    "piko_flow/dataflow/reports/observer.py": SEAM,
    "piko_flow/dataflow/reports/report.py": SHARED,
    "piko_flow/dataflow/reports/tally.py": TABLE,
    "piko_flow/dataflow/running/operators/garbage.py": SHARED,
    "piko_flow/dataflow/running/operators/source.py": ONE_EACH,
    "piko_flow/dataflow/stages/actions.py": SEAM,
    "piko_flow/dataflow/stages/either.py": "a name that is imported twice, for two checkers",
    "piko_flow/dataflow/workers/trace_parent.py": SHARED,
}
"""The files under 60 lines in the dataflow half, each with the reason why it does not join another."""


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {str(path): len((ROOT / path).read_bytes().splitlines()) for path in python_files(*CHECKED)}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_a_short_file_of_the_dataflow_half_has_a_reason() -> None:
    short = {
        str(path)
        for path in python_files("piko_flow/dataflow", "piko_flow/engines")
        if path.name != "__init__.py" and len((ROOT / path).read_bytes().splitlines()) < SHORTEST_FILE
    }
    assert short == SHORT.keys()


def test_no_function_is_longer_than_40_lines() -> None:
    lengths = {
        f"{path}:{found.lineno} {found.name}": (found.end_lineno or found.lineno) - found.lineno + 1
        for path in python_files(*CHECKED)
        for found in ast.walk(tree(path))
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {where: lines for where, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
