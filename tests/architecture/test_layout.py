"""The folder list tells the architecture: nothing visible at the top that is not meant to be there."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT, levels, tracked_files, tree

VISIBLE = {"pyproject.toml", "piko_flow", "pipelines", "tests", "notebooks", "docs", "README.md", "LICENSE"}
ROOMS = [
    *sorted(
        str(path.parent.relative_to(ROOT))
        for half in ("dataflow", "control")
        for path in (ROOT / "piko_flow" / half).glob("*/**/__init__.py")
    ),
    "piko_flow/engines",
]


def test_the_visible_top_level_is_what_the_design_lists() -> None:
    top = {path.split("/")[0] for path in tracked_files()}
    assert {name for name in top if not name.startswith(".")} == VISIBLE


def test_nothing_that_a_run_or_a_tool_leaves_behind_is_tracked() -> None:
    assert [path for path in tracked_files() if path.endswith((".pyc", ".sqlite", ".db", ".parquet"))] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_in_a_few_lines_what_it_promises_and_where_to_begin(room: str) -> None:
    text = ast.get_docstring(tree(Path(room, "__init__.py"))) or ""
    assert 3 <= len(text.splitlines()) <= 10
    (begin,) = re.findall(r"Start reading in (.+?)\.\s", text, re.DOTALL)
    names = re.findall(r"`(\w+\.py)`", begin)
    assert names
    assert [name for name in names if not (ROOT / room / name).is_file()] == []
    assert "May know " in text


@pytest.mark.parametrize(("contract", "half"), [("rooms", "dataflow"), ("control_rooms", "control")])
def test_a_contract_names_every_room(contract: str, half: str) -> None:
    rooms = {room for room in ROOMS if room.startswith(f"piko_flow/{half}/") and room.count("/") == 2}
    assert {f"piko_flow/{half}/{name}" for name in levels(contract)} >= rooms
    assert rooms
