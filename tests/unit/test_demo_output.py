"""The demo's folder: made and marked once, found again, never taken from anybody."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from piko_flow.demo.output import (
    CYCLONES,
    MARK,
    REMNANTS,
    ForeignFolder,
    claim_folder,
    greatest_threats,
    written,
)

COLUMNS = "report, name, season, at, wind, place, country, distance_km, strike_share"
REPORTS = [
    (1, "Amy", 1975, "1975-06-27T00:00:00Z", 100, "Miami", "United States", 200.0, 0.5),
    (2, "Amy", 1975, "1975-06-27T06:00:00Z", 100, "Tampa", "United States", 160.0, 0.75),
    (3, "Amy", 1975, "1975-06-27T12:00:00Z", 100, "Tampa", "United States", 10.0, 1.0),
    (4, "Bob", 1975, "1975-07-27T12:00:00Z", 165, "Nassau", "Bahamas", 150.0, 0.5),
    (5, "Bob", 1979, "1979-07-27T12:00:00Z", 35, "Havana", "Cuba", 500.0, 0.1),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where"


def fill(folder: Path) -> None:
    with closing(sqlite3.connect(folder / CYCLONES)) as database, database:
        database.execute(f"CREATE TABLE cyclones ({COLUMNS})")
        database.executemany(f"INSERT INTO cyclones VALUES ({', '.join('?' * 9)})", REPORTS)
    with gzip.open(folder / REMNANTS, "wb") as lines:
        lines.write(b"{}\n" * 7)


def test_folder_is_made_marked_and_found_again(folder: Path) -> None:
    claim_folder(folder)
    assert [file.name for file in folder.iterdir()] == [MARK]
    fill(folder)
    claim_folder(folder)
    assert len(list(folder.iterdir())) == 3


def test_empty_folder_may_be_taken(tmp_path: Path) -> None:
    claim_folder(tmp_path)
    assert (tmp_path / MARK).is_file()


def test_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("My thesis")
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
    with pytest.raises(ForeignFolder, match=r"it holds README\.txt, a, b, ….*--output"):
        claim_folder(tmp_path)
    assert (tmp_path / MARK).read_text() == "My thesis"


def test_file_in_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "thesis"
    file.write_text("My thesis")
    with pytest.raises(ForeignFolder, match="thesis is a file"):
        claim_folder(file)
    assert file.read_text() == "My thesis"


def test_what_was_written_is_counted_in_the_files_themselves(folder: Path) -> None:
    claim_folder(folder)
    assert written(folder) == []
    fill(folder)
    cyclones, remnants = written(folder)
    assert (cyclones.path, cyclones.rows) == (folder / CYCLONES, len(REPORTS))
    assert (remnants.path, remnants.rows) == (folder / REMNANTS, 7)
    assert cyclones.bytes == (folder / CYCLONES).stat().st_size


def test_greatest_threats_are_one_a_storm_and_only_those_still_at_sea(folder: Path) -> None:
    claim_folder(folder)
    fill(folder)
    found = [(threat.name, threat.season, threat.place) for threat in greatest_threats(folder, count=3)]
    assert found == [("Bob", 1975, "Nassau"), ("Amy", 1975, "Tampa"), ("Bob", 1979, "Havana")]
    assert len(greatest_threats(folder, count=1)) == 1
