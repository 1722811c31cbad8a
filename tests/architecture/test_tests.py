"""A test shows what the package does, seen from outside: it reads and patches no private name of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.checkout import ROOT, imports, python_files, tree

PRIVATE = re.compile(r"_[a-z](\w*[^_])?$", re.IGNORECASE)  # `_repr_html_` is a protocol of notebooks
MENTIONED = re.compile(r"[.\"' ]_[a-zA-Z]")
TAKE = ("getattr(", "setattr(", "hasattr(", "vars(", "monkeypatch.setattr(", "monkeypatch.delattr(")
TYPINGS = "_is_protocol"  # by which typing marks a protocol
# These tests are of the control half, the stores and the connectors, which are rebuilt in their turn; the list gets shorter.
LEFT_OUT = {
    "contract": "test_store_contract_bites",
    "docs": "reference",
    "faults": "killing test_spool_files",
    "system": """test_app test_http_flows test_metrics test_migrations test_simulated_flows test_simulation_defects test_sql_faults
        test_sql_recent_runs test_sql_retention test_sql_runs_of_a_window""",
    "unit": """control_worlds test_api_idempotency test_cli_run_facts test_control_fires test_control_leaders
        test_control_notices test_control_own_lease test_control_pauses test_control_races test_control_refused_requests
        test_control_resigning test_control_retention test_control_rows test_dead_letter_replays
        test_demo_places test_detail_writing test_execution_stops test_failures_shown test_flow_health test_http_rates test_notices_held_up
        test_planning_admission test_spool_races test_sql_opening told_people""",
    "property": "test_window_histories",
}
UNCHECKED = {
    Path("tests", folder, f"{name}.py") for folder, names in LEFT_OUT.items() for name in names.split()
}


def of_itself(found: ast.Attribute) -> bool:
    """Whether an object reads it of itself."""
    return isinstance(found.value, ast.Name) and found.value.id in ("self", "cls")


def mentions(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Each name that the file takes from something or gives to something of its own, with its line and whether it is its own."""
    elsewhere = {
        one.name or one.module.partition(".")[0] for one in imports(path) if "piko_flow" not in one.module
    }
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield found.name, found.lineno, True
        elif isinstance(found, ast.Attribute) and of_itself(found):
            yield found.attr, found.lineno, isinstance(found.ctx, ast.Store)
        elif isinstance(found, ast.Attribute):
            if not (isinstance(found.value, ast.Name) and found.value.id in elsewhere):
                yield found.attr, found.lineno, False
        elif isinstance(found, ast.ImportFrom) and "piko_flow" in (found.module or ""):
            yield from ((alias.name, found.lineno, False) for alias in found.names)
        elif isinstance(found, ast.Call | ast.Subscript) and ast.unparse(found).startswith(TAKE):
            texts = (
                one for one in ast.walk(found) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            )
            yield from ((str(one.value).rpartition(".")[2], one.lineno, False) for one in texts)


def reads(path: Path) -> list[str]:
    """The places where a test file takes a private name of something that is not its own, in order."""
    if not MENTIONED.search((ROOT / path).read_text(encoding="utf-8")):
        return []
    private = [one for one in mentions(path) if PRIVATE.match(one[0]) and one[0] != TYPINGS]
    own = {name for name, _, is_own in private if is_own}
    return [
        f"{path}:{line} {name}"
        for line, name in sorted({(one[1], one[0]) for one in private if one[0] not in own})
    ]


def test_no_test_reads_or_patches_what_is_private() -> None:
    assert [place for path in python_files("tests") if path not in UNCHECKED for place in reads(path)] == []


def test_no_file_is_left_out_without_need() -> None:
    assert [
        str(path) for path in sorted(UNCHECKED) if path not in python_files("tests") or not reads(path)
    ] == []


def test_a_private_name_is_seen_however_it_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "sample.py"
    source.write_text(
        "import os\nfrom piko_flow.retry import _delay\nos._exit(run._intake)\nclass A:\n    def b(self):\n        self._c = vars(run)['_d']\n"
        "monkeypatch.setattr('piko_flow.clock._now', getattr(run, '_e'))\nrun._repr_html_(run.c, A()._c)\n"
    )
    assert [place.rpartition(" ")[2] for place in reads(source)] == ["_delay", "_intake", "_d", "_e", "_now"]
