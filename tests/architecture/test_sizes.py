"""Files and functions stay small enough to be read in one go."""

import ast

from tests.architecture.checkout import ROOT, python_files, tree

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
CHECKED = ("piko_flow", "pipelines", "tests")


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {str(path): len((ROOT / path).read_bytes().splitlines()) for path in python_files(*CHECKED)}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_longer_than_40_lines() -> None:
    lengths = {
        f"{path}:{found.lineno} {found.name}": (found.end_lineno or found.lineno) - found.lineno + 1
        for path in python_files(*CHECKED)
        for found in ast.walk(tree(path))
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {where: lines for where, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
