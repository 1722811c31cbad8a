"""The pipelines of the folder `pipelines` on their own data, against results computed in another way."""

import csv
import gzip
import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from piko_flow import Pipeline
from piko_flow.demo.model import STORMS
from pipelines import storm_seasons, tree_digest

CONTENTS = {
    "top.py": b"print('top')\n",
    "b/inner.py": b"",
    "b/deep/er/one.py": b"x = 1\n" * 1000,
    "a/inner.py": bytes(range(256)) * 5000,
    "a/notes.txt": b"not Python",
    "site-packages/installed.py": b"apart",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "tree"


def energies() -> dict[str, int]:
    """Squared knots of each season, counted by set and sum instead of by a fold."""
    counted: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    with gzip.open(STORMS, "rt", encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            strong = (
                row["status"] in ("hurricane", "tropical storm", "subtropical storm")
                and int(row["wind"]) >= 34
            )
            if strong and row["at"][11:13] in ("00", "06", "12", "18"):
                counted[row["season"]].setdefault((row["name"], row["at"]), int(row["wind"]) ** 2)
    return {season: sum(winds.values()) for season, winds in counted.items()}


def test_storm_seasons_have_the_energy_that_a_plain_sum_gives(tmp_path: Path) -> None:
    report = storm_seasons.storm_seasons(tmp_path).run_sync()
    assert report.outcome == "succeeded"
    with (tmp_path / "storm_seasons.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert list(rows[0]) == ["season", "storms", "ace", "strongest", "wind"]
    assert [int(row["season"]) for row in rows] == list(range(1975, 2023))
    assert {row["season"]: float(row["ace"]) for row in rows} == {
        season: round(energy / 10_000, 2) for season, energy in energies().items()
    }
    assert {"season": "2017", "storms": "17", "ace": "224.88", "strongest": "Irma", "wind": "155"} in rows
    assert [file.name for file in tmp_path.iterdir()] == ["storm_seasons.csv"]


def test_tree_digest_lists_each_python_file_with_its_digest(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    report = tree_digest.tree_digest(tree, output).run_sync()
    assert report.outcome == "succeeded"
    assert report.units == 3  # the tree itself and two folders
    lines = (output / "tree_digest.jsonl").read_text(encoding="utf-8").splitlines()
    found = {entry["path"]: (entry["bytes"], entry["sha256"]) for entry in map(json.loads, lines)}
    assert list(found) == ["top.py", "a/inner.py", "b/deep/er/one.py", "b/inner.py"]
    assert found == {
        path: (len(CONTENTS[path]), hashlib.sha256(CONTENTS[path]).hexdigest()) for path in found
    }
    assert [file.name for file in output.iterdir()] == ["tree_digest.jsonl"]


def test_tree_digest_again_gives_the_same_file(tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    tree_digest.tree_digest(tree, output).run_sync()
    first = (output / "tree_digest.jsonl").read_bytes()
    tree_digest.tree_digest(tree, output).run_sync()
    assert (output / "tree_digest.jsonl").read_bytes() == first


def test_file_that_cannot_be_read_is_a_dead_letter(tree: Path, tmp_path: Path) -> None:
    (tree / "a" / "gone.py").symlink_to(tree / "nowhere")
    report = tree_digest.tree_digest(tree, tmp_path / "output").run_sync()
    (letter,) = report.dead_letters
    assert letter.item == tree / "a" / "gone.py"
    assert letter.error_type == "FileNotFoundError"


@pytest.mark.parametrize("name", ["storm_seasons", "tree_digest"])
def test_module_has_a_pipeline_that_writes_where_the_environment_says(name: str, tmp_path: Path) -> None:
    code = f"from pipelines.{name} import pipeline; report = pipeline.run_sync(); print(report.outcome)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PIPELINES_OUTPUT": str(tmp_path), "PATH": ""},
    )
    assert (done.stdout, done.stderr) == ("succeeded\n", "")
    (written,) = tmp_path.iterdir()
    assert written.name.startswith(name)
    assert len(written.read_text(encoding="utf-8").splitlines()) > 40


def test_modules_describe_and_run_nothing_when_imported() -> None:
    assert isinstance(storm_seasons.pipeline, Pipeline)
    assert isinstance(tree_digest.pipeline, Pipeline)
