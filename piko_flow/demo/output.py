"""Where the demo writes, and what is there afterwards."""

import gzip
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from piko_flow.errors import PikoFlowError

DEFAULT_OUTPUT: Final = Path("piko-flow-demo")
CYCLONES: Final = "cyclones.sqlite"
REMNANTS: Final = "remnants.jsonl.gz"
MARK: Final = "README.txt"
MARK_LINE: Final = "This folder was made by `piko-flow demo`, which replaces its files on each run."
MARK_TEXT: Final = f"""\
{MARK_LINE}

{CYCLONES:<20}tropical and subtropical cyclones, table cyclones, one row a report
{REMNANTS:<20}waves, disturbances and lows, one JSON object a line

Illustration only: the strike shares come from a toy simulation, not from a forecast.
"""


class ForeignFolder(PikoFlowError):
    """The output folder holds something that the demo did not write, so it writes nothing there."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"{folder} {reason}, and the demo overwrites nothing of yours. Name another folder with --output"
        )
        self.folder, self.reason = folder, reason


@dataclass(frozen=True)
class Written:
    """One file of the demo's output: how many rows and bytes it has."""

    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True)
class Threat:
    """A cyclone that was still at sea, and the share of simulated tracks that strike the nearest place."""

    name: str
    season: int
    at: str
    wind: int
    place: str
    country: str
    distance_km: float
    strike_share: float


def claim_folder(folder: Path) -> None:
    """Make the output folder and mark it as the demo's; does nothing where that has been done.

    Raises ForeignFolder when the folder holds files but not the mark, or when it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ForeignFolder(folder, "is a file, not a folder")
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if mark.is_file() and mark.read_text(encoding="utf-8", errors="replace").startswith(MARK_LINE):
        return
    if found := sorted(entry.name for entry in folder.iterdir()):
        some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise ForeignFolder(folder, f"was not made by the demo (it holds {some})")
    mark.write_text(MARK_TEXT, encoding="utf-8")


def written(folder: Path) -> list[Written]:
    """Count what is in the demo's files; a file that is not there is left out."""
    counts = {CYCLONES: count_cyclones, REMNANTS: count_remnants}
    found = [(folder / name, count) for name, count in counts.items() if (folder / name).exists()]
    return [Written(path, count(path), path.stat().st_size) for path, count in found]


def count_cyclones(path: Path) -> int:
    """Count the rows of the table of cyclones."""
    with closing(connect(path)) as database:
        (rows,) = database.execute("SELECT count(*) FROM cyclones").fetchone()
    return int(rows)


def count_remnants(path: Path) -> int:
    """Count the lines of the file of remnants."""
    with gzip.open(path, "rb") as lines:
        return sum(1 for _ in lines)


def greatest_threats(folder: Path, *, count: int = 5) -> list[Threat]:
    """Give the storms that came closest to a catastrophe while still 150 km or more away, worst first.

    Each storm counts once, with its worst report: the share of striking tracks times the wind.
    """
    question = """
        SELECT name, season, at, wind, place, country, distance_km, strike_share, max(strike_share * wind) AS threat
        FROM cyclones WHERE distance_km >= 150 GROUP BY name, season ORDER BY threat DESC, report LIMIT ?
    """
    with closing(connect(folder / CYCLONES)) as database:
        return [Threat(*row[:-1]) for row in database.execute(question, (count,))]


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing SQLite file for reading only."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
