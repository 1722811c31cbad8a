"""No module needs itself to be loaded, and the one knot of the package, a description that can run itself, stays small."""

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT, imports, python_files

# A pipeline runs, draws and previews itself, so what describes must reach what runs. Only these files do, inside a method.
DESCRIPTIONS_THAT_ACT = {
    Path("piko_flow/dataflow/plan/plan.py"),
    Path("piko_flow/dataflow/stages/pipeline.py"),
    Path("piko_flow/dataflow/stages/stage.py"),
    Path("piko_flow/dataflow/stages/routing.py"),
}


def module_file(name: str) -> Path | None:
    """The file of one of our modules, or None for anything else."""
    plain = Path(*name.split("."))
    candidates = (plain.with_suffix(".py"), plain / "__init__.py")
    return next(
        (path for path in candidates if name.startswith("piko_flow") and (ROOT / path).exists()), None
    )


def needed_to_load(path: Path) -> set[Path]:
    """Our files that are loaded before this one has been: imports at the top, not those for type checkers."""
    names = {name for one in imports(path) if one.at_top for name in (one.module, f"{one.module}.{one.name}")}
    return {found for name in names if (found := module_file(name)) is not None}


def part(path: Path) -> str:
    """The part of dataflow that a file belongs to: a folder's or a file's name."""
    return path.relative_to("piko_flow/dataflow").with_suffix("").parts[0]


def test_loading_needs_no_cycle() -> None:
    TopologicalSorter({path: needed_to_load(path) for path in python_files("piko_flow")}).prepare()


@pytest.mark.parametrize(
    "path", [path for path in python_files("piko_flow/dataflow") if part(path) != "running"], ids=str
)
def test_only_descriptions_that_act_reach_another_part_of_dataflow_late(path: Path) -> None:
    late = [
        (found, one.line) for one in imports(path) if not one.at_top and (found := module_file(one.module))
    ]
    across = [
        f"{path}:{line}"
        for found, line in late
        if found.is_relative_to("piko_flow/dataflow") and part(found) != part(path)
    ]
    assert path in DESCRIPTIONS_THAT_ACT or across == []
