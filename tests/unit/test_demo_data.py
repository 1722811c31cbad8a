"""The stored data is what DATA.md says it is, and the demo's model reads all of it."""

import csv
import gzip
import hashlib
import re
from collections import Counter
from datetime import UTC
from pathlib import Path

import pytest
from pydantic import ValidationError

from piko_flow.demo import model
from piko_flow.demo.model import CYCLONE_STATUSES, Report

FOLDER = Path(model.__file__).parent
DESCRIBED = (FOLDER / "DATA.md").read_text(encoding="utf-8")


def read_rows() -> list[dict[str, str]]:
    with gzip.open(FOLDER / "storms.csv.gz", "rt", encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def described(pattern: str) -> list[str]:
    found = re.search(pattern, DESCRIBED)
    assert found is not None, pattern
    return list(found.groups())


def test_file_has_the_size_and_the_digests_that_are_described() -> None:
    packed = (FOLDER / "storms.csv.gz").read_bytes()
    unpacked = gzip.decompress(packed)
    assert described(r"\| (\d+) bytes, (\d+) unpacked") == [str(len(packed)), str(len(unpacked))]
    assert described(r"SHA-256, packed \| `(\w+)`") == [hashlib.sha256(packed).hexdigest()]
    assert described(r"SHA-256, unpacked \| `(\w+)`") == [hashlib.sha256(unpacked).hexdigest()]


def test_file_has_no_name_and_no_time_of_its_own() -> None:
    header = (FOLDER / "storms.csv.gz").read_bytes()[:10]
    assert header[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_file_has_the_rows_and_the_columns_that_are_described() -> None:
    rows = read_rows()
    storms = {(row["name"], row["season"]) for row in rows}
    assert described(r"\| (\d+) reports of (\d+) storms") == [str(len(rows)), str(len(storms))]
    assert list(rows[0]) == re.findall(r"^\| `(\w+)` \|", DESCRIBED, re.MULTILINE)
    assert list(rows[0]) == list(Report.model_fields)


def test_missing_values_are_as_many_as_described() -> None:
    rows = read_rows()
    category, diameter = described(r"empty field: (\d+) in `category`, (\d+) in each diameter")
    assert sum(row["category"] == "" for row in rows) == int(category)
    assert sum(row["tropicalstorm_force_diameter"] == "" for row in rows) == int(diameter)
    assert sum(row["hurricane_force_diameter"] == "" for row in rows) == int(diameter)


def test_report_is_the_only_key_because_some_share_storm_and_hour() -> None:
    rows = read_rows()
    assert [int(row["report"]) for row in rows] == list(range(1, len(rows) + 1))
    hours = Counter((row["name"], row["season"], row["at"]) for row in rows)
    assert described(r"(\d+) pairs of reports share") == [str(sum(count > 1 for count in hours.values()))]


def test_season_differs_from_the_year_of_the_report_only_for_zeta() -> None:
    odd = [row for row in read_rows() if row["season"] != row["at"][:4]]
    assert {(row["name"], row["season"], row["at"][:7]) for row in odd} == {("Zeta", "2005", "2006-01")}


def test_model_reads_every_row_and_gives_each_field_back() -> None:
    for row in read_rows():
        report = Report.model_validate(row)
        assert report.at.utcoffset() == UTC.utcoffset(None)
        again = {name: "" if value is None else str(value) for name, value in report}
        assert again == row | {"at": str(report.at)}
        assert report.at.strftime("%Y-%m-%dT%H:%M:%SZ") == row["at"]


def test_every_status_is_either_a_cyclone_or_a_remnant() -> None:
    counts = Counter(row["status"] in CYCLONE_STATUSES for row in read_rows())
    assert counts == {True: 15651, False: 3886}


@pytest.mark.parametrize(
    ("field", "value"),
    [("lat", "91"), ("status", "hurrican"), ("at", "1975-06-27T00:00:00"), ("category", "6"), ("wind", "")],
)
def test_model_refuses_what_cannot_be_a_report(field: str, value: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Report.model_validate(read_rows()[0] | {field: value})


def test_licence_of_the_data_comes_with_it() -> None:
    licence = (FOLDER / "LICENSE-storms.txt").read_text(encoding="utf-8")
    assert "Copyright (c) 2023 dplyr authors" in licence
    assert "public domain" in licence.replace("\n", " ")
