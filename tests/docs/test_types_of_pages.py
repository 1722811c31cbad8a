"""The code of the pages type-checks, except where a page says that a checker refuses it."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from piko_flow.dataflow.graph.typing import compatible
from tests.architecture.checkout import ROOT
from tests.docs.pages import FILE, blocks, pages

TYPES = "docs/semantics/types.md"
MARKS = {
    "mypy": re.compile(r"# (mypy|mypy and pyright) refuses? it$"),
    "pyright": re.compile(r"# (pyright|mypy and pyright) refuses? it$"),
}
ROW = re.compile(r"^\| `(.+?)` \| (`.+`) \| (yes|no)\b", re.MULTILINE)
Lines = set[tuple[str, int]]


def code_of(path: str) -> dict[str, list[str]]:
    """The page's Python as files, each line where it stands in the page; a block that names a file is one of its own.

    A file that a page writes once more is another file.
    """
    rest = re.sub(r"\W", "_", path.removesuffix(".md")) + ".py"
    length = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    files: dict[str, list[str]] = {}
    for block in blocks(path):
        if block.language == "python":
            named = FILE.match(block.source)
            name = named[1] if named else rest
            if named and name in files:
                name = f"{name.removesuffix('.py')}_at_{block.line}.py"
            lines = files.setdefault(name, [""] * length)
            source = block.source.splitlines()
            lines[block.line : block.line + len(source)] = source
    return files


def written(folder: Path, paths: list[str]) -> dict[str, str]:
    """Write the pages' code into a folder; gives the page behind each file."""
    behind: dict[str, str] = {}
    for path in paths:
        for name, lines in code_of(path).items():
            assert name not in behind, f"{path} and {behind[name]} both have a {name}"
            behind[name] = path
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return behind


def marked(checker: str, paths: list[str]) -> Lines:
    """Where a page says that the checker refuses a line."""
    return {
        (path, number)
        for path in paths
        for lines in code_of(path).values()
        for number, line in enumerate(lines, start=1)
        if MARKS[checker].search(line)
    }


@pytest.mark.timeout(300)
def test_mypy_refuses_what_the_pages_say_and_nothing_else(tmp_path: Path) -> None:
    files = written(tmp_path, pages())
    options = ["--strict", "--output=json", f"--config-file={ROOT / 'pyproject.toml'}"]
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--disable-error-code=top-level-await", *files],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": "", "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    refused = {
        (files[one["file"]], one["line"]): one["message"]
        for one in found
        if one["severity"] == "error" and "outside async function" not in one["message"]
    }
    expected = marked("mypy", pages())
    assert {where: why for where, why in refused.items() if where not in expected} == {}
    assert expected - refused.keys() == set()
    assert expected


@pytest.mark.timeout(300)
def test_pyright_refuses_what_the_page_of_types_says_and_nothing_else(tmp_path: Path) -> None:
    files = written(tmp_path, [TYPES])
    settings = {"include": [*files], "extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--pythonpath",
            sys.executable,
            "-p",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    refused = {
        (files[Path(one["file"]).name], one["range"]["start"]["line"] + 1): one["message"]
        for one in json.loads(ended.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    expected = marked("pyright", [TYPES])
    assert {where: why for where, why in refused.items() if where not in expected} == {}
    assert expected - refused.keys() == set()
    assert expected


def rows() -> list[tuple[str, str, bool]]:
    """What the page of types says fits: the annotation given, the one taken, and whether it fits."""
    text = (ROOT / TYPES).read_text(encoding="utf-8").replace("\\|", "|")
    return [
        (given, taken, fits == "yes")
        for given, several, fits in ROW.findall(text)
        for taken in re.findall("`(.+?)`", several)
    ]


@pytest.mark.parametrize(("given", "taken", "fits"), rows())
def test_annotations_fit_as_the_page_of_types_says(given: str, taken: str, fits: bool) -> None:
    names = {
        "Annotated": Annotated,
        "Any": Any,
        "Literal": Literal,
        "Mapping": Mapping,
        "Sequence": Sequence,
    }
    assert compatible(eval(given, names), eval(taken, names)) is fits
