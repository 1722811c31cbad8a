"""The checkout as the architecture tests see it: files, their syntax trees, and what they import."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Import(NamedTuple):
    """One imported module, with what is taken from it ("" for a plain import), and where."""

    module: str
    name: str
    line: int
    at_top: bool


def python_files(*folders: str) -> list[Path]:
    """Every Python file below the folders, relative to the checkout, sorted; a folder that is missing has none."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT) for path in found)


@cache
def tree(path: Path) -> ast.Module:
    """The file's syntax tree."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[Import]:
    """Every import of the file, inside functions too. Relative ones are refused elsewhere."""
    top = set(map(id, tree(path).body))
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Import):
            for alias in found.names:
                yield Import(alias.name, "", found.lineno, id(found) in top)
        elif isinstance(found, ast.ImportFrom):
            for alias in found.names:
                yield Import(found.module or "", alias.name, found.lineno, id(found) in top)


def tracked_files() -> list[str]:
    """The paths that git tracks, relative to the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\0") if path]
