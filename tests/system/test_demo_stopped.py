"""The demo stopped in the middle: nothing is published, and nothing stays, at the latest after the next run."""

import asyncio
import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from piko_flow.dataflow.reports.observer import SilentObserver
from piko_flow.dataflow.running.run import ActiveRun, start
from piko_flow.demo.model import STORMS
from piko_flow.demo.output import CYCLONES, MARK, REMNANTS, ForeignFolder, claim_folder, written
from piko_flow.demo.pipeline import storm_pipeline
from piko_flow.errors import StageFailed
from tests.children import own_children

ROWS = 2000
ROOT = Path(__file__).parents[2]
KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from piko_flow.dataflow.reports.observer import SilentObserver
from piko_flow.demo.pipeline import storm_pipeline

class Killed(SilentObserver):
    def chunk_finished(self, stage, *, items, seconds):
        if stage == "cyclones.sqlite":
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    output, reports = map(Path, sys.argv[1:])
    storm_pipeline(output, reports=reports).run_sync(observer=Killed())
"""


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    with gzip.open(STORMS, "rt", encoding="utf-8") as table:
        lines = [next(table) for _ in range(ROWS + 1)]
    file = tmp_path / "reports.csv"
    file.write_text("".join(lines), encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    claim_folder(tmp_path / "output")
    return tmp_path / "output"


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


class CancelsOnceWritten(SilentObserver):
    """Cancels the run when the first cyclones have reached the part's file."""

    active: ActiveRun | None = None

    def chunk_finished(self, stage: str, *, items: int, seconds: float) -> None:
        if stage == CYCLONES and self.active is not None:
            self.active.cancel()


async def test_cancelled_run_leaves_neither_files_nor_tasks_nor_processes(
    folder: Path, reports: Path
) -> None:
    observer = CancelsOnceWritten()
    async with start(storm_pipeline(folder, reports=reports), observer=observer) as active:
        observer.active = active
        report = await active.wait()
    assert report.outcome == "cancelled"
    assert names(folder) == [MARK]
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert own_children() == []


def test_failed_run_publishes_nothing_and_keeps_what_an_earlier_one_wrote(
    folder: Path, reports: Path
) -> None:
    storm_pipeline(folder, reports=reports).run_sync()
    before = {file.path: file.path.read_bytes() for file in written(folder)}
    assert sum(file.rows for file in written(folder)) == ROWS
    broken = reports.with_name("broken.csv")
    broken.write_text(reports.read_text(encoding="utf-8") + "2001,Nobody\n", encoding="utf-8")
    with pytest.raises(StageFailed, match=r"broken\.csv:2002"):
        storm_pipeline(folder, reports=broken).run_sync()
    assert {file.path: file.path.read_bytes() for file in written(folder)} == before
    assert names(folder) == sorted([MARK, CYCLONES, REMNANTS])


def test_remains_of_a_killed_process_are_swept_by_the_next_run(
    folder: Path, reports: Path, tmp_path: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED_IN_THE_MIDDLE)
    done = subprocess.run(
        [sys.executable, script, folder, reports], env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert CYCLONES not in names(folder)
    assert any(name.startswith(f".{CYCLONES}-") for name in names(folder))
    storm_pipeline(folder, reports=reports).run_sync()
    assert names(folder) == sorted([MARK, CYCLONES, REMNANTS])
    assert sum(file.rows for file in written(folder)) == ROWS


def test_folder_that_is_not_there_yet_is_made_by_the_run(tmp_path: Path, reports: Path) -> None:
    folder = tmp_path / "not" / "yet"
    storm_pipeline(folder, reports=reports).run_sync()
    assert names(folder) == sorted([MARK, CYCLONES, REMNANTS])


def test_folder_of_somebody_else_fails_the_run_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / REMNANTS).write_text("mine")
    with pytest.raises(StageFailed, match=r"was not made by the demo") as caught:
        storm_pipeline(tmp_path).run_sync()
    assert isinstance(caught.value.__cause__, ForeignFolder)
    assert names(tmp_path) == [REMNANTS]
    assert (tmp_path / REMNANTS).read_text() == "mine"
