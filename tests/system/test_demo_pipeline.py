"""The demo end to end: exact totals, the same content each time, nothing left behind."""

import csv
import gzip
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from piko_flow.dataflow.reports.report import RunReport
from piko_flow.demo.drift import assess
from piko_flow.demo.model import STORMS, LocatedReport, Report
from piko_flow.demo.output import CYCLONES, MARK, REMNANTS, claim_folder, greatest_threats, written
from piko_flow.demo.pipeline import storm_pipeline
from piko_flow.demo.places import read_places
from tests.children import own_children

CYCLONE_WORDS = ("tropical depression", "tropical storm", "hurricane", "subtropical")


@dataclass(frozen=True)
class Finished:
    folder: Path
    report: RunReport


def read_storms() -> list[dict[str, str]]:
    with gzip.open(STORMS, "rt", encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def read_cyclones(folder: Path) -> list[dict[str, object]]:
    with closing(sqlite3.connect(folder / CYCLONES)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM cyclones ORDER BY report")]


def read_remnants(folder: Path) -> list[dict[str, object]]:
    with gzip.open(folder / REMNANTS, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def expected(row: dict[str, str]) -> dict[str, object]:
    """What the pipeline must make of a row, without any of its stages but the functions."""
    report = Report.model_validate(row)
    place, distance = read_places().nearest(report.lat, report.long)
    located = LocatedReport(
        **dict(report),
        place=place.name,
        country=place.country,
        place_lat=place.lat,
        place_long=place.long,
        distance_km=round(distance, 1),
    )
    judged: dict[str, object] = assess(located).model_dump(mode="json")
    return judged


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("demo")
    claim_folder(folder)
    return Finished(folder, storm_pipeline(folder).run_sync())


def test_every_report_read_is_written_once_to_the_side_it_belongs_to(finished: Finished) -> None:
    rows = read_storms()
    cyclones, remnants = read_cyclones(finished.folder), read_remnants(finished.folder)
    assert len(cyclones) + len(remnants) == len(rows) == finished.report.items == 19537
    belongs = Counter(row["status"].startswith(CYCLONE_WORDS) for row in rows)
    assert (len(cyclones), len(remnants)) == (belongs[True], belongs[False]) == (15651, 3886)
    assert sorted(int(str(row["report"])) for row in cyclones + remnants) == list(range(1, 19538))
    statuses = Counter(str(row["status"]) for row in cyclones + remnants)
    assert statuses == Counter(row["status"] for row in rows)


def test_rows_hold_what_the_functions_give_one_by_one(finished: Finished) -> None:
    found = {row["report"]: row for row in read_cyclones(finished.folder) + read_remnants(finished.folder)}
    for row in read_storms()[::97]:
        assert found[int(row["report"])] == expected(row)


def test_order_of_the_source_is_kept_in_the_file(finished: Finished) -> None:
    numbers = [int(str(row["report"])) for row in read_remnants(finished.folder)]
    assert numbers == sorted(numbers)


def test_report_succeeds_names_a_bottleneck_and_tells_what_was_written_where(finished: Finished) -> None:
    report = finished.report
    assert report.outcome == "succeeded"
    busiest = [one.name for one in sorted(report.stages, key=lambda one: one.busy, reverse=True)]
    # The two slow ones are busy far longer than all others; which of them longer, the machine decides.
    assert set(busiest[:2]) == {"assess", "locate"}
    assert report.bottleneck == busiest[0]
    assert (report.dead, report.skipped, report.leftovers) == (0, 0, ())
    assert any(CYCLONES in line for line in report.written)
    assert any(REMNANTS in line for line in report.written)


def test_folder_holds_the_two_files_and_the_mark_and_nothing_else(finished: Finished) -> None:
    assert sorted(file.name for file in finished.folder.iterdir()) == sorted([MARK, CYCLONES, REMNANTS])
    assert own_children() == []


def test_what_was_written_can_be_shown(finished: Finished) -> None:
    assert [(file.path.name, file.rows) for file in written(finished.folder)] == [
        (CYCLONES, 15651),
        (REMNANTS, 3886),
    ]
    threats = greatest_threats(finished.folder)
    assert len(threats) == 5
    assert all(threat.distance_km >= 150 and 0 < threat.strike_share <= 1 for threat in threats)
    danger = [threat.strike_share * threat.wind for threat in threats]
    assert danger == sorted(danger, reverse=True)


def test_second_run_leaves_the_same_content(tmp_path: Path) -> None:
    with gzip.open(STORMS, "rt", encoding="utf-8") as table:
        some = [next(table) for _ in range(2001)]
    reports = tmp_path / "reports.csv"
    reports.write_text("".join(some), encoding="utf-8")
    folder = tmp_path / "output"
    storm_pipeline(folder, reports=reports).run_sync()
    before = read_cyclones(folder), read_remnants(folder)
    assert len(before[0]) + len(before[1]) == 2000
    report = storm_pipeline(folder, reports=reports).run_sync()
    assert report.outcome == "succeeded"
    assert (read_cyclones(folder), read_remnants(folder)) == before
    assert sorted(file.name for file in folder.iterdir()) == sorted([MARK, CYCLONES, REMNANTS])
