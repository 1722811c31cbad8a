"""Running a pipeline on the command line: reports, exit codes, signals, terminals and pipes."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.system.command import (
    COMMAND,
    FLOWS,
    IGNORING_SIGINT,
    PATIENCE,
    environment,
    piko,
    piko_json,
    started,
)


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


SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


@SIGNALS
def test_a_signal_drains_and_nothing_is_left(folder: Path, number: signal.Signals, code: int) -> None:
    before = files(folder)
    with started("run", "flows:endless", folder=folder) as command:
        assert command.process.stdout is not None
        command.wait_for("started", command.process.stdout)
        assert files(folder) != before, "no file that could be left"
        assert len(command.session()) > 1, "no worker that could be left"
        command.stop(number)
        ended, out, err = command.end()
        left = command.session()
    assert ended == code
    assert "draining" in err
    assert "was drained, nothing was committed" in out
    assert "Traceback" not in err
    assert left == []
    assert files(folder) == before


@SIGNALS
def test_a_second_signal_cancels_and_nothing_is_left(folder: Path, number: signal.Signals, code: int) -> None:
    before = files(folder)
    with started("run", "flows:hanging", "--json", folder=folder) as command:
        assert command.process.stderr is not None
        command.wait_for("started", command.process.stderr)
        assert files(folder) != before, "no file that could be left"
        assert len(command.session()) > 1, "no worker that could be left"
        command.stop(number)
        assert "again to cancel" in command.wait_for("draining", command.process.stderr)
        command.stop(number)
        ended, out, err = command.end()
        left = command.session()
    assert ended == code
    assert json.loads(out)["outcome"] == "cancelled"
    assert "cancelling" in err
    assert "Traceback" not in err
    assert left == []
    assert files(folder) == before


def test_a_signal_while_the_module_is_imported_ends_the_command(folder: Path) -> None:
    (folder / "slow.py").write_text("import signal\nprint('loading', flush=True)\nsignal.pause()\n")
    with started("run", "slow", folder=folder, behind=IGNORING_SIGINT) as command:
        assert command.process.stdout is not None
        command.wait_for("loading", command.process.stdout)
        command.stop(signal.SIGINT)
        assert command.end() == (130, "", "")


@pytest.mark.parametrize("engine", ["local", "subprocess"])
def test_what_stages_and_workers_print_stays_out_of_the_document(folder: Path, engine: str) -> None:
    done = piko("run", "flows:chatty", "--json", "--engine", engine, folder=folder)
    assert json.loads(done.stdout)["items"] == 3
    assert done.stderr.count("said while composing") == 1
    assert done.stderr.count("said by a stage") == done.stderr.count("said by a worker") == 3
    assert "pipeline" in json.loads(piko("explain", "flows:chatty", "--json", folder=folder).stdout)


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("interrupting", r"a stage raised KeyboardInterrupt, .*\n  raised at flows\.py:\d+, in interrupt:"),
        (
            "interrupting_async",
            r"a stage raised KeyboardInterrupt, .*\n  raised at flows\.py:\d+, in interrupt_",
        ),
        ("giving_up", r"a stage raised GivenUp: enough, .*\n  raised at flows\.py:\d+, in give_up:"),
        ("into_a_stream", r"stage '<stderr>' \(flows\.py:\d+\) failed: .* cannot be copied"),
    ],
)
def test_what_is_no_exception_is_one_message_too(folder: Path, pipeline: str, said: str) -> None:
    done = piko("run", f"flows:{pipeline}", folder=folder)
    assert done.returncode == 1
    assert re.match(f"error: {said}", done.stderr)
    assert len(done.stderr.splitlines()) <= 2
    assert done.stdout == ""


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


@SIGNALS
def test_a_signal_after_the_report_ends_a_command_that_waits_for_a_thread(
    folder: Path, number: signal.Signals, code: int
) -> None:
    (folder / "threaded.py").write_text(
        "import threading\nfrom flows import endless\nthreading.Thread(target=threading.Event().wait).start()\n"
    )
    with started("run", "threaded:endless", folder=folder) as command:
        assert command.process.stdout is not None
        command.wait_for("started", command.process.stdout)
        command.stop(number)
        command.wait_for("was drained", command.process.stdout)
        ended = None
        while ended is None:  # until it is one that comes after the report; each says the same
            command.stop(number)
            try:
                ended = command.process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
        _, _, err = command.end()
        left = command.session()
    assert ended == code
    assert "Traceback" not in err
    assert left == []


def test_a_reader_that_goes_away_is_no_error_of_ours(folder: Path) -> None:
    with started("run", "flows:lenient", folder=folder) as command:
        assert command.process.stdout is not None
        command.process.stdout.close()
        command.process.wait(timeout=PATIENCE)
        assert command.process.stderr is not None
        assert "Traceback" not in command.process.stderr.read()


@pytest.mark.parametrize(("into", "reason"), [(">/dev/full", "No space left"), (">&-", "it is closed")])
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_report_that_cannot_be_printed_costs_one_line_and_no_run(
    folder: Path, into: str, reason: str, form: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {into}', "sh", *COMMAND, "run", "flows:into_a_file", *filter(None, [form])],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
    assert re.fullmatch(
        rf"run \w+ succeeded; numbers.jsonl.* its report could not be written .*: {reason}.*\n", done.stderr
    )
    assert len((folder / "numbers.jsonl").read_text().splitlines()) == 1_000


def test_a_failure_is_one_document_for_programs(folder: Path) -> None:
    done = piko("run", "flows:failing", "--json", folder=folder)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["outcome"] == "failed"
    error = told["error"]
    assert (error["type"], error["stage"], error["item"]) == ("StageFailed", "check", "77")
    assert re.match(r"flows\.py:\d+", error["where"])
    assert "no such number" in error["message"]
    assert "error: stage 'check'" in done.stderr
    missing = piko("run", "flows:nothing", "--json", folder=folder)
    assert json.loads(missing.stdout)["error"]["type"] == "CommandMistake"


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
