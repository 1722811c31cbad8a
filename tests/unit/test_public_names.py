"""What `piko_flow` offers by name, and that half of it is loaded only when somebody asks."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

import piko_flow
from tests.architecture.checkout import ROOT

HEAVY = {"sqlalchemy", "sqlmodel", "alembic", "fastapi", "uvicorn", "apscheduler", "pydantic_settings"}


def loaded_by(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after the statement."""
    code = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("name", piko_flow.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(piko_flow, name) is not None
    assert name in dir(piko_flow)


def test_names_are_listed_once() -> None:
    assert len(piko_flow.__all__) == len(set(piko_flow.__all__))


def test_a_checker_finds_each_name_in_the_module_that_it_is_loaded_from() -> None:
    tree = ast.parse((ROOT / "piko_flow" / "__init__.py").read_text(encoding="utf-8"))
    imports = [(one.module, one.names) for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)]
    named = [
        (module, alias.name)
        for module, names in imports
        for alias in names
        if alias.name in piko_flow.__all__
    ]
    assert sorted(name for _, name in named) == sorted(piko_flow.__all__)
    for module, name in named:
        assert getattr(piko_flow, name) is getattr(import_module(str(module)), name)


def test_a_name_that_does_not_exist_is_an_error_that_tells_the_nearest() -> None:
    with pytest.raises(AttributeError, match="module 'piko_flow' has no attribute 'Flwo'") as caught:
        piko_flow.Flwo  # type: ignore[attr-defined]  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Flwo", piko_flow)


@pytest.mark.parametrize(
    ("statement", "loads"),
    [
        ("import piko_flow", set[str]()),
        ("from piko_flow import Flow, Registry, RunContext, Window, discover", set[str]()),
        ("from piko_flow import Cron, Interval, next_fires", set[str]()),
        ("from piko_flow import App, Settings", {"pydantic_settings"}),
    ],
)
def test_a_name_loads_what_it_needs_and_no_more(statement: str, loads: set[str]) -> None:
    assert loaded_by(statement) == loads
