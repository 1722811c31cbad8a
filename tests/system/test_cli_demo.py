"""The demo command: real data, a graph, a report, and files in a folder of its own."""

import json
import re
import signal
from pathlib import Path

import pytest

from piko_flow.cli.demo import typed_command
from tests.system.command import IGNORING_SIGINT, piko, started


def test_the_demo_shows_graph_report_and_result(tmp_path: Path) -> None:
    done = piko("demo", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "│ CpuMap assess │" in done.stdout
    assert re.search(r"Run \w+ succeeded: 19,537 items in ", done.stdout)
    assert re.search(r"Bottleneck: \w+ \w+, busy \d+% of the time", done.stdout)
    assert "piko-flow-demo/cyclones.sqlite: 15,651 rows" in done.stdout
    assert "piko-flow-demo/remnants.jsonl.gz: 3,886 rows" in done.stdout
    assert len(re.findall(r"\d{4}-\d\d-\d\d  \w+ .* km from .* \d+%\n", done.stdout)) == 5
    assert "  python -m piko_flow.cli.main explain piko_flow.demo.pipeline:storms\n" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout + done.stderr


def test_the_demo_tells_programs_the_same(tmp_path: Path) -> None:
    done = piko("demo", "--output", "storms", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["report"]["items"] == 19_537
    assert [(file["path"], file["rows"]) for file in told["written"]] == [
        ("storms/cyclones.sqlite", 15_651),
        ("storms/remnants.jsonl.gz", 3_886),
    ]
    assert len(told["threats"]) == 5


def test_the_demo_takes_no_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = piko("demo", "--output", ".", folder=tmp_path)
    assert done.returncode == 1
    assert "overwrites nothing of yours" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("behind", [(), IGNORING_SIGINT], ids=["in front", "in the background"])
def test_an_interrupted_demo_leaves_no_process_and_no_part_of_a_file(
    tmp_path: Path, behind: tuple[str, ...]
) -> None:
    with started("demo", folder=tmp_path, behind=behind) as command:
        assert command.process.stdout is not None
        command.wait_for("remnants.jsonl.gz", command.process.stdout)
        command.stop(signal.SIGINT)
        ended, _, err = command.end()
        left = command.session()
    assert ended == 130
    assert "Traceback" not in err
    assert left == []
    assert [path.name for path in (tmp_path / "piko-flow-demo").iterdir()] == ["README.txt"]


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        (".venv/bin/piko-flow", ".venv/bin/piko-flow"),
        ("{here}/my env/bin/piko-flow", "'my env/bin/piko-flow'"),
        ("{here}/on_path/piko-flow", "piko-flow"),
        ("/somewhere/main.py", "python -m piko_flow.cli.main"),
    ],
)
def test_the_command_is_shown_as_it_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, typed: str
) -> None:
    (tmp_path / "on_path").mkdir()
    (tmp_path / "on_path" / "piko-flow").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "on_path"))
    monkeypatch.setattr("sys.argv", [given.format(here=tmp_path)])
    assert typed_command() == typed
