"""Finding, drawing and explaining a pipeline on the command line; a mistake costs one message."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.system.command import FLOWS, piko, piko_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module of pipelines."""
    (tmp_path / "flows.py").write_text(FLOWS, encoding="utf-8")
    return tmp_path


def message(folder: Path, *arguments: str) -> str:
    """The one message of a command that fails for a user's mistake."""
    done = piko(*arguments, folder=folder)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_help_and_version_are_told(tmp_path: Path) -> None:
    shown = piko("--help", folder=tmp_path)
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("demo", "run", "graph", "explain"))
    assert piko("--version", folder=tmp_path).stdout.startswith("piko-flow")


def test_wrong_usage_ends_with_2(folder: Path) -> None:
    for arguments in (
        ("fly",),
        ("run",),
        ("run", "flows:orders", "--capacity", "0"),
        ("graph", "flows:orders", "--format", "x"),
    ):
        assert piko(*arguments, folder=folder).returncode == 2
    refused = piko("run", "flows:orders", "--max-errors", "many", folder=folder)
    assert refused.returncode == 2
    assert "neither a number of items" in refused.stderr


@pytest.mark.parametrize("target", ["flows:orders", "flows.py:orders", "./flows.py:orders", "flows:made"])
def test_a_pipeline_is_found_by_module_by_path_and_by_a_function_that_gives_it(
    folder: Path, target: str
) -> None:
    drawn = piko("graph", target, folder=folder)
    assert drawn.returncode == 0
    assert "CpuMap square" in drawn.stdout


def test_a_file_elsewhere_may_import_its_neighbours(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "parts.py").write_text("from piko_flow import Source\nfirst = Source([1])\n")
    (folder / "below" / "whole.py").write_text(
        "from parts import first\nfrom piko_flow import Sink\np = first >> Sink(print)\n"
    )
    assert "Source list" in piko("graph", "below/whole.py", folder=folder).stdout


def test_the_only_pipeline_of_a_module_needs_no_name(folder: Path) -> None:
    (folder / "one.py").write_text(
        "from piko_flow import Sink, Source\nalone = also = Source([1]) >> Sink(print)\n"
    )
    assert "Sink print" in piko("graph", "one", folder=folder).stdout
    assert "flows:orders, flows:failing" in message(folder, "graph", "flows")


def test_what_a_module_holds_instead_of_a_pipeline_is_named(folder: Path) -> None:
    (folder / "opened.py").write_text(
        "from piko_flow import Source, Transform\n"
        "def numbers(): return [1]\n"
        "pipeline = Source(numbers) >> Transform(str)\n"
    )
    told = message(folder, "run", "opened.py")
    assert "opened.py holds no pipeline; `pipeline` (opened.py:3) has no sink: add >> Sink(...)" in told
    assert "Transform str" in piko("graph", "opened.py", folder=folder).stdout


def test_a_target_that_is_no_python_file_is_told_so(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")
    for target in ("notes.txt", "./notes.txt"):
        assert "notes.txt is not a Python file, whose name ends in .py" in message(folder, "run", target)
    assert "is a folder; name a Python file in it" in message(folder, "run", "./")
    assert "is a folder; name a Python file in it" in message(folder, "run", ".")


def test_a_graph_is_drawn_as_text_mermaid_or_svg_to_the_screen_or_a_file(folder: Path) -> None:
    assert "╭" in piko("graph", "flows:orders", folder=folder).stdout
    assert piko("graph", "flows:orders", "--format", "mermaid", folder=folder).stdout.startswith(
        "flowchart LR\n"
    )
    done = piko("graph", "flows:open_end", "--format", "svg", "--output", "graph.svg", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote graph.svg\n")
    assert ET.parse(folder / "graph.svg").getroot().tag.endswith("svg")


def test_the_plan_is_explained_to_people_and_to_programs(folder: Path) -> None:
    assert "worker processes" in piko("explain", "flows:orders", folder=folder).stdout
    plan = piko_json("explain", "flows:orders", folder=folder)
    assert [stage["name"] for stage in plan["stages"]] == ["numbers", "square", "write"]
    assert {channel["capacity"] for channel in plan["channels"]} == {1024}
    assert plan["units"] == [{"id": "all", "number": 0, "split": None}]


@pytest.mark.parametrize(
    ("name", "begins"),
    [("g.svg", "<svg"), ("g.mmd", "flowchart"), ("g.MERMAID", "flowchart"), ("g.txt", "╭")],
)
def test_the_ending_of_the_file_says_how_a_graph_is_drawn(folder: Path, name: str, begins: str) -> None:
    assert piko("graph", "flows:orders", "--output", name, folder=folder).returncode == 0
    assert (folder / name).read_text(encoding="utf-8").startswith(begins)


def test_an_ending_that_says_nothing_needs_a_format(folder: Path) -> None:
    told = message(folder, "graph", "flows:orders", "--output", "g.png")
    assert "g.png: the ending of a drawing's file says how it is drawn: .txt, .mmd, .mermaid, .svg" in told
    assert not (folder / "g.png").exists()
    done = piko("graph", "flows:orders", "--output", "g.png", "--format", "mermaid", folder=folder)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere:p", "there is no module 'nowhere'"),
        ("flow:orders", "did you mean flows?"),
        ("nowhere.py:p", "there is no file nowhere.py"),
        (":orders", "names no module"),
        ("flows:ordrs", "did you mean orders?"),
        ("flows:answer", "flows:answer is int 42, not a pipeline"),
        ("flows:needs_a_path", "needs path; only a function without required arguments"),
        ("flows:raises", "RuntimeError: not today\n  raised at flows.py:"),
        ("flows:open_end", "it has no sink"),
        ("flows:planned", "ValueError: no splits\n  raised at flows.py:"),
        ("syntax", "invalid syntax (syntax.py:2)"),
        ("wants", "No module named 'missing_library'\n  raised at wants.py:1: import missing_library"),
        ("typed", "Transform 'enrich' (typed.py:4): it takes int; Source 'words' (typed.py:4) gives str"),
    ],
)
def test_a_mistake_is_told_in_one_message_that_says_where(folder: Path, target: str, told: str) -> None:
    (folder / "syntax.py").write_text("x = 1\ny = = 2\n")
    (folder / "wants.py").write_text("import missing_library\n")
    (folder / "typed.py").write_text(
        "from piko_flow import Source, Transform\n"
        "def words() -> list[str]: return []\n"
        "def enrich(number: int) -> int: return number\n"
        "p = Source(words) >> Transform(enrich)\n"
    )
    shown = message(folder, "explain", target)
    assert told in shown
    assert shown.count("raised at") <= 1


def test_debug_shows_the_traceback(folder: Path) -> None:
    done = piko("explain", "flows:ordrs", "--debug", folder=folder)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "CommandMistake" in done.stderr


def test_an_output_that_cannot_be_written_is_a_mistake_too(folder: Path) -> None:
    assert "No such file or directory" in message(
        folder, "graph", "flows:orders", "--output", "none/graph.txt"
    )


def test_numbers_that_json_cannot_say_become_null() -> None:
    from piko_flow.cli.json_output import plain

    assert (
        json.dumps(plain({"a": [1.5, float("nan")], 2: (float("inf"),)})) == '{"a": [1.5, null], "2": [null]}'
    )
