"""No module needs itself, neither to be loaded nor inside its functions, and what is imported late has a reason."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT, Import, imports, python_files

ABOVE_THE_STAGES = "a description is loaded without the rooms that plan, run and draw it"
COSTS = "slow to load, and most programs never need it"
OPTIONAL = "an optional package"
LATE = {
    "__init__.py": {
        "piko_flow.dataflow.plan.plan": ABOVE_THE_STAGES,
        "piko_flow.dataflow.running.run_options": ABOVE_THE_STAGES,
        "piko_flow.dataflow.running.run": ABOVE_THE_STAGES,
        "piko_flow.dataflow.running.collect": ABOVE_THE_STAGES,
        "piko_flow.dataflow.drawing": ABOVE_THE_STAGES,
    },
    "stages/transform.py": {"pydantic": COSTS, "pydantic.errors": COSTS},
    "plan/split_ids.py": {"pydantic": COSTS},
    "reports/failed_place.py": {"pydantic": COSTS},
    "running/unit_state.py": {"pydantic": COSTS},
    "running/operators/plain_rows.py": {"pydantic": COSTS},
    "workers/transport.py": {"tempfile": COSTS},
    "workers/program.py": {
        "traceback": COSTS,
        "ctypes": COSTS,
        "piko_flow.dataflow.workers": "a worker runs this file without the package, until a function loads OpenTelemetry",
    },
    "workers/shipping.py": {"cloudpickle": OPTIONAL, "dill": OPTIONAL},
}
"""What files of dataflow import inside functions, and why."""


def module_file(name: str) -> Path | None:
    """The file of one of our modules, or None for anything else."""
    plain = Path(*name.split("."))
    candidates = (plain.with_suffix(".py"), plain / "__init__.py")
    return next(
        (path for path in candidates if name.startswith("piko_flow") and (ROOT / path).exists()), None
    )


def imported(one: Import) -> Path | None:
    """The file that an import is of; a package is only its `__init__.py`, for a name that is no module in it."""
    return module_file(f"{one.module}.{one.name}") or module_file(one.module)


def circle(graph: Mapping[Path, set[Path]]) -> str:
    """The first circle that is found in the graph, as text; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(map(str, reversed(error.args[1])))
    return ""


def test_no_module_imports_itself_by_way_of_others_even_inside_functions() -> None:
    graph = {
        path: {
            found
            for one in imports(path)
            if one.when != "for checkers" and (found := imported(one)) is not None
        }
        for path in python_files("piko_flow")
    }
    assert len(graph[Path("piko_flow/dataflow/__init__.py")]) > 4
    assert circle(graph) == ""


def test_a_circle_is_named() -> None:
    a, b, c = map(Path, "abc")
    assert circle({a: {b}, b: {c}, c: {b}}) in ("b -> c -> b", "c -> b -> c")


def test_it_is_seen_when_something_is_imported(tmp_path: Path) -> None:
    source = tmp_path / "sample.py"
    source.write_text(
        "import a\nif TYPE_CHECKING:\n    from b import c\nelse:\n    import d\n"
        "class E:\n    from f import g\n    async def h(self):\n        if i:\n            import j.k\n"
    )
    assert [(one.module, one.when) for one in imports(source)] == [
        *(("a", "loading"), ("b", "for checkers"), ("d", "loading")),
        *(("f", "loading"), ("j.k", "in a call")),
    ]


@pytest.mark.parametrize("path", python_files("piko_flow/dataflow"), ids=str)
def test_what_dataflow_imports_inside_functions_is_listed_with_a_reason(path: Path) -> None:
    late = {one.module for one in imports(path) if one.when == "in a call"}
    assert late == set(LATE.get(str(path.relative_to("piko_flow/dataflow")), {}))


def test_every_file_with_late_imports_exists() -> None:
    assert [name for name in LATE if not (ROOT / "piko_flow/dataflow" / name).exists()] == []
