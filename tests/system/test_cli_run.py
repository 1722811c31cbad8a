"""Running a pipeline on the command line: reports, exit codes, signals, terminals and pipes."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.system.command import COMMAND, FLOWS, PATIENCE, environment, piko, piko_json, started


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module of pipelines."""
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    return tmp_path


def test_a_run_reports_to_people(folder: Path) -> None:
    done = piko("run", "flows:orders", folder=folder)
    assert done.returncode == 0
    assert re.match(r"Run \w+ succeeded: 1,000 items in ", done.stdout)
    assert "Bottleneck: " in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_run_reports_to_programs(folder: Path) -> None:
    report = piko_json("run", "flows:lenient", folder=folder)
    assert report["outcome"] == "succeeded"
    assert report["items"] == 1_000
    assert [letter["item"] for letter in report["dead_letters"]] == ["77"]


def test_a_quiet_run_says_nothing(folder: Path) -> None:
    done = piko("run", "flows:lenient", "--quiet", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_options_reach_the_run(folder: Path) -> None:
    assert piko("run", "flows:lenient", "--max-errors", "1", folder=folder).returncode == 0
    assert (
        piko(
            "run", "flows:lenient", "--max-errors", "0.5%", "--capacity", "7", "--validate", folder=folder
        ).returncode
        == 0
    )
    refused = piko("run", "flows:lenient", "--max-errors", "0", folder=folder)
    assert refused.returncode == 1
    assert "max_errors allows 0" in refused.stderr


def test_units_may_run_in_interpreters_of_their_own(folder: Path) -> None:
    assert piko_json("run", "flows:lenient", "--engine", "subprocess", folder=folder)["items"] == 1_000


@pytest.mark.parametrize("pipeline", ["failing", "failing_away"])
def test_a_failure_names_stage_item_and_the_users_own_line(folder: Path, pipeline: str) -> None:
    done = piko("run", f"flows:{pipeline}", folder=folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"error: stage 'check' \(flows\.py:\d+\) failed on item 77: KeyError", done.stderr)
    assert re.search(r'raised at flows\.py:\d+, in check: raise KeyError\("no such number"\)', done.stderr)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_drains_and_nothing_is_left(folder: Path, number: signal.Signals, code: int) -> None:
    before = sorted(folder.iterdir())
    with started("run", "flows:endless", folder=folder) as command:
        assert command.process.stdout is not None
        command.wait_for("started", command.process.stdout)
        command.stop(number)
        ended, out, err = command.end()
        left = command.session()
    assert ended == code
    assert "draining" in err
    assert "was drained, nothing was committed" in out
    assert "Traceback" not in err
    assert left == []
    assert [path for path in folder.iterdir() if path.name != "__pycache__"] == [
        path for path in before if path.name != "__pycache__"
    ]


def test_a_second_signal_cancels(folder: Path) -> None:
    with started("run", "flows:hanging", "--json", folder=folder) as command:
        assert command.process.stdout is not None
        assert command.process.stderr is not None
        command.wait_for("started", command.process.stdout)
        command.stop(signal.SIGINT)
        assert "press Ctrl-C again to cancel" in command.wait_for("draining", command.process.stderr)
        command.stop(signal.SIGINT)
        ended, out, err = command.end()
        left = command.session()
    assert ended == 130
    assert json.loads(out)["outcome"] == "cancelled"
    assert "cancelling" in err
    assert "Traceback" not in err
    assert left == []


def test_a_stage_that_holds_the_loop_is_interrupted_by_the_third(folder: Path) -> None:
    with started("run", "flows:blocking", folder=folder) as command:
        assert command.process.stdout is not None
        command.wait_for("started", command.process.stdout)
        while command.process.poll() is None:
            command.stop(signal.SIGINT)
            try:
                command.process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
        ended, _, err = command.end()
        left = command.session()
    assert ended == 130
    assert "Traceback" not in err
    assert left == []


def test_a_reader_that_goes_away_is_no_error_of_ours(folder: Path) -> None:
    with started("run", "flows:lenient", folder=folder) as command:
        assert command.process.stdout is not None
        command.process.stdout.close()
        command.process.wait(timeout=PATIENCE)
        assert command.process.stderr is not None
        assert "Traceback" not in command.process.stderr.read()


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_sees_a_live_table_in_80_columns(folder: Path, colour: bool) -> None:
    ours, theirs = pty.openpty()
    os.set_inheritable(theirs, True)
    extra = {"COLUMNS": "80", "LINES": "40"} | ({} if colour else {"NO_COLOR": "1"})
    process = subprocess.Popen(
        [*COMMAND, "run", "flows:orders"],
        cwd=folder,
        env=environment(**extra),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = read_all(ours)
    assert process.wait(timeout=PATIENCE) == 0
    assert "Ctrl-C drains" in shown
    assert "CpuMap square" in shown
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)) is colour
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert max(len(line) for line in re.split(r"[\r\n]+", plain)) <= 80


def read_all(terminal: int) -> str:
    """What is written to a terminal until its last writer is gone."""
    chunks = []
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(terminal)
    return b"".join(chunks).decode("utf-8")
