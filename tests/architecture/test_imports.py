"""Who may import what from outside, and how little `import piko_flow` loads. The floors themselves are contracts."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.checkout import ROOT, imports, levels, python_files

OURS = {"piko_flow", "pipelines"}
LOWEST_FLOORS = ("piko_flow/dataflow", "piko_flow/planning")
BASE = [Path("piko_flow/clock.py"), Path("piko_flow/errors.py"), Path("piko_flow/retry.py")]
EVERYWHERE = {"pydantic", "typing_extensions"}
UNPICKLERS = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "dbm"}
UPWARDS_FOR_CHECKERS = {
    f"piko_flow/dataflow/{name}.py" for name in ("graph/boxes", "stages/actions", "stages/stage")
}
"""What a pipeline's own methods take and give is made in rooms above it, and a box holds a stage."""
BETWEEN_PROCESSES = {Path("piko_flow/dataflow/workers"), Path("piko_flow/engines")}
"""Where values travel between a run and the processes that it has started."""
ALSO = {
    Path("piko_flow/dataflow/workers/shipping.py"): {"cloudpickle", "dill"},
    Path("piko_flow/planning/cron.py"): {"apscheduler"},
}
LOADED_WHEN_FIRST_NEEDED = {
    *(
        "sqlalchemy",
        "sqlmodel",
        "fastapi",
        "opentelemetry",
        "ray",
        "alembic",
        "apscheduler",
        "uvicorn",
        "pydantic",
    ),
    *("typer", "rich", "orjson", "cloudpickle", "dill", "numpy", "pyarrow"),
}

LOADED_BY_A_RUN = ("piko_flow.dataflow.running", "piko_flow.dataflow.commit", "piko_flow.dataflow.plan")
IMPORTING = "import piko_flow, sys\n"
DECLARING = """
import sys
from piko_flow import Broadcast, CpuMap, Filter, Retry, Route, Sink, Source, Throttle, Transform
again = Transform(str, retry=Retry(attempts=2))
branches = Broadcast(Transform(str) >> Sink(list), Filter(bool) >> again >> Sink(list))
declared = Source([1, 2]) >> Throttle(1000) >> branches
"""
RUNNING = DECLARING + "declared.run_sync()\n"
LOADED = "print(*sys.modules, sep='\\n')"
BUILT_BY_PYDANTIC = """
for name, module in [*sys.modules.items()]:
    for value in vars(module).values() if name.startswith("piko_flow.") else ():
        kind = value if isinstance(value, type) else type(value)
        if kind.__module__ == name:
            built = any(one.startswith("__pydantic_") for one in vars(kind))
        else:
            built = kind is not value and kind.__module__.startswith("pydantic")
        if built:
            print(f"{name}.{getattr(value, '__name__', value)}")
"""
"""Prints what our modules hold that Pydantic has built: models, dataclasses, adapters."""


def third_party(path: Path) -> dict[str, int]:
    """The packages from outside that the file imports, with a line where it does."""
    found = {one.module.partition(".")[0]: one.line for one in imports(path)}
    return {name: line for name, line in found.items() if name not in sys.stdlib_module_names | OURS}


def lines_of(script: str) -> set[str]:
    """What a fresh interpreter prints that runs the script."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines())


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


@pytest.mark.parametrize(
    ("contract", "folder"),
    [("floors", "piko_flow"), ("rooms", "piko_flow/dataflow"), ("control_rooms", "piko_flow/control")],
)
def test_what_only_checkers_import_is_below_too_but_for_descriptions_that_act(
    contract: str, folder: str
) -> None:
    level, depth = levels(contract), folder.count("/") + 1
    upwards = {
        str(path)
        for path in python_files(folder)
        for one in imports(path)
        if one.when == "for checkers" and one.module.startswith(folder.replace("/", "."))
        if level.get(one.module.split(".")[depth], 99) < level.get(path.with_suffix("").parts[depth], 0)
    }
    assert upwards == (UPWARDS_FOR_CHECKERS if contract == "rooms" else set())


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
        if one.when == "loading" and one.module.partition(".")[0] not in sys.stdlib_module_names
    ] == []


@pytest.mark.parametrize("script", [IMPORTING, DECLARING], ids=["importing", "declaring"])
def test_nothing_heavy_and_nothing_that_runs_is_loaded_before_a_pipeline_runs(script: str) -> None:
    loaded = lines_of(script + LOADED)
    assert LOADED_WHEN_FIRST_NEEDED & loaded == set()
    assert {name for name in loaded if name.startswith(LOADED_BY_A_RUN)} == set()


def test_a_run_loads_what_runs_and_no_pydantic_where_no_item_is_validated() -> None:
    loaded = lines_of(RUNNING + LOADED)
    assert loaded >= {*LOADED_BY_A_RUN}
    assert LOADED_WHEN_FIRST_NEEDED & loaded == set()


@pytest.mark.parametrize("script", [IMPORTING, DECLARING, RUNNING], ids=["importing", "declaring", "running"])
def test_what_describes_and_what_runs_has_nothing_built_by_pydantic(script: str) -> None:
    assert lines_of(script + BUILT_BY_PYDANTIC) == set()


def test_a_model_and_an_adapter_of_ours_would_be_found() -> None:
    script = (
        "import sys\nimport piko_flow.control.params.payload, piko_flow.ops.problems\n" + BUILT_BY_PYDANTIC
    )
    assert lines_of(script) >= {
        "piko_flow.control.params.payload.TypeAdapter(Any)",
        "piko_flow.ops.problems.Problem",
    }
