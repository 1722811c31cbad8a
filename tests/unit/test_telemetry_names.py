"""The page of telemetry and the names in the code agree, in both directions."""

from __future__ import annotations

import re

from piko_flow.telemetry import names
from tests.architecture.checkout import ROOT

PAGE = (ROOT / "docs" / "semantics" / "telemetry.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the table below this line of headings."""
    below = PAGE.partition(f"{heading}\n")[2].splitlines()[1:]
    rows = []
    for line in below:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def code(names_of: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names_of)


def test_the_page_has_each_metric_as_it_is_and_no_other() -> None:
    expected = [
        [
            f"`{metric.name}`",
            metric.kind,
            f"`{metric.unit}`" if metric.unit else "none",
            code(metric.attributes) or "none",
            metric.about,
        ]
        for metric in names.METRICS
    ]
    assert table("| metric | kind | unit | attributes | tells |") == expected


def test_the_page_has_the_values_of_states() -> None:
    expected = [[f"`{metric.name}`", code(metric.states)] for metric in names.METRICS if metric.states]
    assert table("| metric | values of `state` |") == expected


def test_the_page_has_the_bounds_of_histograms() -> None:
    expected = [
        [f"`{metric.name}`", ", ".join(f"{bound:g}" for bound in metric.bounds)]
        for metric in names.METRICS
        if metric.bounds
    ]
    assert table("| metric | bounds |") == expected


def test_the_page_has_every_other_name_of_the_file_and_no_other() -> None:
    told = {
        row[0].strip("`")
        for heading in ("| attribute | is |", "| span | covers |", "| attribute of spans | is |")
        for row in table(heading)
    }
    others = {
        value
        for name, value in vars(names).items()
        if isinstance(value, str) and not name.startswith("_") and value != names.SCOPE
    }
    known = {value for value in others if re.fullmatch(r"piko_flow\.[a-z_.]+|flow|stage|state|spool", value)}
    assert told == known


def test_names_are_of_one_scope_and_units_are_of_ucum() -> None:
    for metric in names.METRICS:
        assert metric.name.startswith(f"{names.SCOPE}.")
        assert re.fullmatch(r"s|1||\{[a-z]+\}", metric.unit)
        assert (metric.kind == "histogram") == bool(metric.bounds)
        assert list(metric.bounds) == sorted(set(metric.bounds))


def test_no_metric_has_an_id_as_attribute() -> None:
    allowed = {names.FLOW, names.STAGE, names.STATE, names.SPOOL}
    assert {attribute for metric in names.METRICS for attribute in metric.attributes} <= allowed
