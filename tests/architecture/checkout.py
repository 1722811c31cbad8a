"""The checkout as the architecture tests see it: files, their syntax trees, and what they import."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


When = Literal["loading", "in a call", "for checkers"]


class Import(NamedTuple):
    """One imported module, with what is taken from it ("" for a plain import), where, and when it happens."""

    module: str
    name: str
    line: int
    when: When


def python_files(*folders: str) -> list[Path]:
    """Every Python file below the folders, relative to the checkout, sorted; a folder that is missing has none."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[Import]:
    """Every import of the file, in order: also those in functions, and those that only type checkers see."""
    yield from _imports(tree(path), "loading")


def _imports(parent: ast.AST, when: When) -> Iterator[Import]:
    for found in ast.iter_child_nodes(parent):
        if isinstance(found, ast.Import):
            yield from (Import(alias.name, "", found.lineno, when) for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            yield from (Import(found.module or "", alias.name, found.lineno, when) for alias in found.names)
        elif isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(found, "in a call")
        elif isinstance(found, ast.If) and ast.unparse(found.test) == "TYPE_CHECKING":
            yield from _imports(ast.Module(found.body, []), "for checkers")
            yield from _imports(ast.Module(found.orelse, []), when)
        else:
            yield from _imports(found, when)


def tracked_files() -> list[str]:
    """The paths that git tracks, relative to the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path]


def levels(contract: str) -> dict[str, int]:
    """The parts of an import contract with their level, 0 for the highest."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in config["contracts"] if one["id"] == contract)
    return {name: number for number, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
