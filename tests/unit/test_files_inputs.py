"""Which files a source reads, and the one clear error when there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest

from piko_flow.connectors.files import CsvSource, InputNotFound, JsonLinesSource, ParquetSource
from piko_flow.dataflow.stages.source import Source
from piko_flow.errors import PipelineError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.csv", "a.csv", "deep/er/c.csv", ".hidden.csv", "odd[1].csv", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n1\n")
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "files"),
    [
        ("a.csv", ["a.csv"]),
        (Path("a.csv"), ["a.csv"]),
        ("*.csv", ["a.csv", "b.csv", "odd[1].csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "deep/er/c.csv", "odd[1].csv"]),
        (Path("deep") / "*" / "?.csv", ["deep/er/c.csv"]),
        ("odd[1].csv", ["odd[1].csv"]),
        ([Path("b.csv"), "a.csv"], ["b.csv", "a.csv"]),
        (["b.csv", "*.csv"], ["b.csv", "a.csv", "odd[1].csv"]),
        (lambda: "*.csv", ["a.csv", "b.csv", "odd[1].csv"]),
        (lambda: (Path("a.csv"),), ["a.csv"]),
    ],
)
def test_each_file_is_a_split(paths: Any, files: list[str]) -> None:
    assert CsvSource(paths).resolve_splits() == files


def test_the_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert CsvSource("~/a.csv").resolve_splits() == [str(folder / "a.csv")]


def test_paths_are_looked_up_when_the_run_is_planned(folder: Path) -> None:
    source = CsvSource("late-*.csv")
    (folder / "late-1.csv").touch()
    assert source.resolve_splits() == ["late-1.csv"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            "*.tsv",
            "a pattern must match at least one file; nothing matches *.tsv. The current folder is {here}",
        ),
        (["a.csv", "*.tsv"], "a pattern must match at least one file; nothing matches *.tsv."),
        ("folder*", "a pattern must match at least one file; nothing matches folder*"),
        (
            "none.csv",
            "the file must exist when the run is planned; there is no file none.csv. The current folder is {here}",
        ),
        ("/none.csv", "the file must exist when the run is planned; there is no file /none.csv"),
        ("deep", "a file source reads files; deep is a folder. Name its files, such as deep/*"),
        (
            list,
            "a file source reads a path, a pattern, a list of them, or a function that gives them; the function gave []",
        ),
        (lambda: 5, "the function gave 5"),
        (lambda: [""], "the function gave '' for a path"),
    ],
)
@pytest.mark.parametrize("kind", [CsvSource, JsonLinesSource, ParquetSource])
def test_what_is_not_there_is_one_error_that_names_it(
    folder: Path, kind: Any, paths: Any, message: str
) -> None:
    source = kind(paths, name="orders")
    with pytest.raises(InputNotFound) as caught:
        source.resolve_splits()
    assert isinstance(caught.value, FileNotFoundError)
    assert str(caught.value).startswith(f"{kind.__name__} 'orders' (")
    assert "test_files_inputs.py:" in str(caught.value)
    assert message.format(here=os.getcwd()) in str(caught.value)


@pytest.mark.parametrize("paths", [5, None, [], "", [""], [5], b"a.csv", [b"a.csv"]])
@pytest.mark.parametrize("kind", [CsvSource, JsonLinesSource, ParquetSource])
def test_what_cannot_be_a_path_is_refused_where_it_is_written(kind: Any, paths: Any) -> None:
    with pytest.raises(
        PipelineError, match="a file source reads a path, a pattern, a list of them"
    ) as caught:
        kind(paths)
    assert "test_files_inputs.py:" in caught.value.where


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"delimeter": ";"},
            r"the options are columns, delimiter, .*on; got delimeter=\. Did you mean delimiter=\?$",
        ),
        ({"onerror": "skip"}, r"got onerror=\. Did you mean on_error=\?$"),
        ({"uses": {}}, r"got uses=$"),
    ],
)
def test_an_unknown_option_is_refused_and_the_nearest_named(options: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        CsvSource("a.csv", **options)
    assert "test_files_inputs.py:" in caught.value.where


def test_a_file_source_is_a_source_with_a_name_and_its_options() -> None:
    source = CsvSource("data/*.csv", on_error="dead_letter", on="thread")
    assert isinstance(source, Source)
    assert (source.name, source.on_error, source.on) == ("*.csv", "dead_letter", "thread")
    assert CsvSource(["b.csv", "a.csv"]).name == "b.csv"
    assert CsvSource(lambda: "a.csv").name == "csv"
    assert source.gives(None) == dict[str, str]
    assert ParquetSource("a.parquet").gives(None) == dict[str, Any]


@pytest.mark.parametrize("kind", [CsvSource, JsonLinesSource, ParquetSource])
def test_a_file_source_travels(kind: Any) -> None:
    copied = cloudpickle.loads(cloudpickle.dumps(kind("*.csv", name="orders")))
    assert copied.resolve_splits() == ["a.csv", "b.csv", "odd[1].csv"]


def test_an_error_keeps_its_facts_when_it_travels() -> None:
    with pytest.raises(InputNotFound) as caught:
        CsvSource("none.csv").resolve_splits()
    copied = cloudpickle.loads(cloudpickle.dumps(caught.value))
    assert (type(copied), str(copied)) == (InputNotFound, str(caught.value))
