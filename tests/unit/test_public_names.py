"""What `piko_flow` offers by name, and that half of it is loaded only when somebody asks."""

import ast
import subprocess
import sys

import pytest

import piko_flow
from tests.architecture.checkout import ROOT

LATER: dict[str, str] = vars(piko_flow)["_LATER"]
NAMED_LATER = sorted(name for names in LATER.values() for name in names.split())
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
    assert set(NAMED_LATER) <= set(piko_flow.__all__)
    assert len(NAMED_LATER) == len(set(NAMED_LATER))


def test_checkers_are_told_the_same_places_as_the_table() -> None:
    root = ast.parse((ROOT / "piko_flow" / "__init__.py").read_text(encoding="utf-8"))
    checking = next(
        one
        for one in root.body
        if isinstance(one, ast.If) and isinstance(one.test, ast.Name) and one.test.id == "TYPE_CHECKING"
    )
    told = {
        one.module: " ".join(alias.name for alias in one.names)
        for one in checking.body
        if isinstance(one, ast.ImportFrom)
    }
    assert told == LATER


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
