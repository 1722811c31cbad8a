"""Who may import what from outside, and how little `import piko_flow` loads. The floors themselves are contracts."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.checkout import ROOT, imports, python_files

OURS = {"piko_flow", "pipelines"}
LOWEST_FLOORS = ("piko_flow/dataflow", "piko_flow/planning")
BASE = [Path("piko_flow/clock.py"), Path("piko_flow/errors.py"), Path("piko_flow/retry.py")]
EVERYWHERE = {"pydantic", "typing_extensions"}
UNPICKLERS = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "dbm"}
BETWEEN_PROCESSES = {Path("piko_flow/dataflow/workers"), Path("piko_flow/engines")}
"""Where values travel between a run and the processes that it has started."""
ALSO = {
    Path("piko_flow/dataflow/workers/shipping.py"): {"cloudpickle", "dill"},
    Path("piko_flow/planning/cron.py"): {"apscheduler"},
}
LOADED_WHEN_FIRST_NEEDED = {
    *("sqlalchemy", "sqlmodel", "fastapi", "opentelemetry.sdk", "ray", "alembic"),
    *("typer", "rich", "orjson", "cloudpickle", "dill", "numpy", "pyarrow"),
}


def third_party(path: Path) -> dict[str, int]:
    """The packages from outside that the file imports, with a line where it does."""
    found = {one.module.partition(".")[0]: one.line for one in imports(path)}
    return {name: line for name, line in found.items() if name not in sys.stdlib_module_names | OURS}


def declared() -> set[str]:
    """The distributions that pyproject.toml names, in the base or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return {canonicalize_name(Requirement(line).name) for line in project["dependencies"] + extras}


@pytest.mark.parametrize(
    "path", [path for path in BASE if (ROOT / path).exists()] + python_files(*LOWEST_FLOORS), ids=str
)
def test_the_lowest_floors_stand_on_pydantic_and_the_standard_library(path: Path) -> None:
    allowed = EVERYWHERE | ALSO.get(path, set())
    assert {name: line for name, line in third_party(path).items() if name not in allowed} == {}


@pytest.mark.parametrize("path", python_files("piko_flow"), ids=str)
def test_nothing_inside_imports_the_package_root_or_the_pipelines(path: Path) -> None:
    above = [one for one in imports(path) if one.module == "piko_flow" or one.module.startswith("pipelines")]
    assert [f"{path}:{one.line}" for one in above] == []


def test_only_what_a_run_and_its_workers_tell_each_other_is_unpickled() -> None:
    files = [path for path in python_files("piko_flow") if not BETWEEN_PROCESSES & {*path.parents}]
    found = [
        f"{path}:{one.line} {one.module}"
        for path in files
        for one in imports(path)
        if one.module.partition(".")[0] in UNPICKLERS
    ]
    assert {path.parts[1] for path in files} >= {"connectors", "store", "control"}
    assert found == []


def test_everything_imported_is_declared() -> None:
    owners = packages_distributions()
    undeclared = {
        f"{path}:{line} {name}"
        for path in python_files("piko_flow", "pipelines")
        for name, line in third_party(path).items()
        if not {canonicalize_name(owner) for owner in owners.get(name, [])} & declared()
    }
    assert undeclared == set()


def test_the_worker_starts_on_the_standard_library() -> None:
    worker = Path("piko_flow/dataflow/workers/program.py")
    assert [
        one.module
        for one in imports(worker)
        if one.at_top and one.module.partition(".")[0] not in sys.stdlib_module_names
    ] == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    listing = "import piko_flow, sys; print(*sorted(sys.modules), sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert LOADED_WHEN_FIRST_NEEDED & set(loaded.stdout.split()) == set()
