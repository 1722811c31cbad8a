"""The runbook has a line for everything that the control half and the connectors warn of."""

import ast
import re
from collections.abc import Iterator

from piko_flow.planning.run_state import Reason
from tests.architecture.checkout import ROOT, python_files, tree

PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
WARNS = frozenset({"warning", "error", "exception", "critical"})
PLACEHOLDER = re.compile(r"%\.?\d*[a-z]")


def warnings() -> Iterator[tuple[str, str]]:
    """Each message that is logged as a warning or worse, with … for what differs; and where."""
    floors = ("connectors", "control", "ops", "store", "telemetry")
    for path in python_files(*(f"piko_flow/{floor}" for floor in floors)):
        for found in ast.walk(tree(path)):
            called = found.func if isinstance(found, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in WARNS and _is_log(called.value):
                message = ast.literal_eval(found.args[0])  # type: ignore[attr-defined]  # it is a call
                yield PLACEHOLDER.sub("…", message), f"{path}:{called.lineno}"


def _is_log(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name) and owner.id == "log"


def test_the_runbook_has_every_line_that_warns() -> None:
    told = dict(warnings())
    assert {line: where for line, where in told.items() if line != "…" and f"| {line} |" not in PAGE} == {}
    assert len(told) > 15


def test_it_has_no_line_that_nobody_logs() -> None:
    told = {line for line, _ in warnings()} | {"the store did not answer when asked to …: …"}
    table = PAGE.partition("## Log lines")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:]
    assert [line for line in lines if line not in told] == []


def test_the_codes_that_it_names_exist() -> None:
    section = PAGE.partition("## Why a run does not run")[2].partition("\n## ")[0]
    codes = set(re.findall(r"`([a-z_]+)`", section))
    assert codes - {reason.value for reason in Reason} == set()
    assert len(codes) > 10
