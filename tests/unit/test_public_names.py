"""What `piko_flow` offers by name, and that each name is loaded only when it is used."""

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


def test_what_checkers_read_what_is_loaded_and_what_a_star_gives_are_the_same() -> None:
    tree = ast.parse((ROOT / "piko_flow" / "__init__.py").read_text(encoding="utf-8"))
    read = {
        str(found.module): [alias.name for alias in found.names]
        for found in ast.walk(tree)
        if isinstance(found, ast.ImportFrom) and str(found.module).startswith("piko_flow.")
    }
    tables = [found.value for found in tree.body if isinstance(found, ast.AnnAssign)]
    (table,) = [ast.literal_eval(value) for value in tables if isinstance(value, ast.Dict)]
    assert read == {module: names.split() for module, names in table.items()}
    assert sorted(name for names in read.values() for name in names) == sorted(piko_flow.__all__)
    for module, names in read.items():
        assert [getattr(piko_flow, name) for name in names] == [
            getattr(import_module(module), name) for name in names
        ]


def test_a_name_that_does_not_exist_is_an_error_that_tells_the_nearest() -> None:
    with pytest.raises(AttributeError, match="module 'piko_flow' has no attribute 'Flwo'") as caught:
        piko_flow.Flwo  # type: ignore[attr-defined]  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Flwo", piko_flow)


def test_a_star_gives_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from piko_flow import *", names)
    assert {name: names[name] for name in piko_flow.__all__} == {
        name: getattr(piko_flow, name) for name in piko_flow.__all__
    }


def test_a_misspelt_name_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Sorce' from 'piko_flow'"):
        from piko_flow import Sorce  # type: ignore[attr-defined]  # noqa: F401


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
