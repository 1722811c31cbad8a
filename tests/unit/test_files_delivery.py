"""What a file sink promises from open to sweep: whole files or none, and nothing left behind."""

from __future__ import annotations

import copy
import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest

from piko_flow import Fold, Sink, run
from piko_flow.connectors.file_commit import readable_size
from piko_flow.connectors.files import (
    CsvSink,
    CsvSource,
    FileTarget,
    JsonLinesSink,
    JsonLinesSource,
    OutputRefused,
    ParquetSink,
    PartLost,
)
from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.engines.subprocess import SubprocessEngine
from tests.unit.files_by_hand import hidden, names, prepared, written

ITEMS = [{"n": 1}, {"n": 2}]
LINES = '{"n":1}\n{"n":2}\n'


def part(number: int = 0, units: int = 1, run: str = "run", attempt: int = 1) -> Part:
    return Part(run, f"unit{number}", attempt=attempt, number=number, units=units)


def matched(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def two_parts(target: FileTarget[Any]) -> list[Receipt]:
    return [await prepared(target, part(number, 2), [ITEMS[number]]) for number in range(2)]


async def test_nothing_is_visible_before_commit_and_nothing_hidden_after(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    receipt = await prepared(JsonLinesSink(target), part(), ITEMS)
    assert target.read_text() == "old"
    assert [path.name for path in matched(tmp_path, "*.jsonl")] == ["out.jsonl"]
    assert await JsonLinesSink(target).commit([receipt]) == [f"{target}: 2 rows, 16 B"]
    assert target.read_text() == LINES
    assert names(tmp_path) == ["out.jsonl"]


async def test_receipts_are_json_and_enough_for_a_commit_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = CsvSink("out.csv")
    receipts = await two_parts(target)
    told = [Receipt(one.part, one.items, json.loads(json.dumps(one.data))) for one in receipts[::-1]]
    monkeypatch.chdir("/")
    await cloudpickle.loads(cloudpickle.dumps(target)).commit(told)
    assert (tmp_path / "out.csv").read_text() == "n\n1\n2\n"
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out-{unit}.jsonl"])
async def test_committing_again_changes_nothing(tmp_path: Path, name: str) -> None:
    target = JsonLinesSink(tmp_path / name)
    receipts = await two_parts(target)
    lines = await target.commit(receipts)
    before = contents(tmp_path)
    assert await copy.copy(target).commit(receipts) == lines
    assert contents(tmp_path) == before


async def test_a_commit_that_stopped_halfway_goes_on(tmp_path: Path) -> None:
    target = JsonLinesSink(tmp_path / "out-{unit}.jsonl")
    receipts = await two_parts(target)
    await target.commit(receipts[:1])
    assert [path.name for path in matched(tmp_path, "*.jsonl")] == ["out-00000.jsonl"]
    await target.commit(receipts)
    assert [path.read_text() for path in matched(tmp_path, "*.jsonl")] == ['{"n":1}\n', '{"n":2}\n']


@pytest.mark.parametrize("name", ["out.jsonl", "out-{unit}.jsonl"])
async def test_a_part_that_is_gone_or_changed_is_not_published(tmp_path: Path, name: str) -> None:
    target = JsonLinesSink(tmp_path / name)
    receipts = await two_parts(target)
    file = tmp_path / receipts[1].data["file"]
    file.write_text("changed")
    with pytest.raises(PartLost, match=r"~run-1-1\.part, prepared for out.*, was changed; run again"):
        await target.commit(receipts)
    file.unlink()
    with pytest.raises(PartLost, match=r"~run-1-1\.part, prepared for out.*, is gone; run again"):
        await target.commit(receipts)
    assert not (tmp_path / "out.jsonl").exists()


async def test_each_unit_has_its_file_and_those_of_earlier_runs_are_removed(tmp_path: Path) -> None:
    target = JsonLinesSink(tmp_path / "out-{unit}.jsonl")
    (tmp_path / "out-7.jsonl").touch()
    (tmp_path / "out-note.jsonl").touch()
    await written(target, *[ITEMS] * 3)
    assert await written(target, []) == [
        f"{tmp_path}/out-{{unit}}.jsonl: 1 file, 0 rows, 0 B; 2 files of an earlier run removed"
    ]
    assert names(tmp_path) == ["out-00000.jsonl", "out-7.jsonl", "out-note.jsonl"]


async def test_an_empty_run_leaves_an_empty_file_that_can_be_read(tmp_path: Path) -> None:
    empty: list[list[object]] = [[]]
    for units in (empty, empty * 2):
        await written(JsonLinesSink(tmp_path / "out.jsonl.gz"), *units)
        assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == b""
    assert await JsonLinesSink(tmp_path / "out.jsonl").commit([]) == []


async def test_missing_folders_are_made_and_removed_again_when_the_part_is_aborted(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "a" / "b" / "out.csv")
    await sink.open(part())
    assert hidden(tmp_path / "a" / "b") == [".out.csv~run-0-1.part"]
    await sink.abort()
    await sink.abort()
    assert names(tmp_path) == []
    await written(sink, [{"a": 1}])
    assert (tmp_path / "a" / "b" / "out.csv").read_text() == "a\n1\n"


async def test_abort_leaves_what_others_have_put_into_a_new_folder(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "a" / "out.csv")
    await sink.open(part())
    (tmp_path / "a" / "mine").touch()
    await sink.abort()
    assert names(tmp_path / "a") == ["mine"]


@pytest.mark.parametrize("kind", [CsvSink, JsonLinesSink, ParquetSink])
async def test_abort_without_an_open_part_does_nothing(tmp_path: Path, kind: Any) -> None:
    await kind(tmp_path / "out").abort()
    with pytest.raises(RuntimeError, match="has no open part"):
        await kind(tmp_path / "out").write(ITEMS)


async def test_an_aborted_prepared_part_is_removed_with_what_the_parts_agreed_on(tmp_path: Path) -> None:
    sinks = [copy.copy(CsvSink(tmp_path / "out.csv")) for _ in range(2)]
    for number, sink in enumerate(sinks):
        await sink.open(part(number, 2))
        await sink.write(ITEMS)
        await sink.prepare()
    await sinks[0].abort()
    assert hidden(tmp_path) == [".out.csv~run-1-1.part", ".out.csv~run-agreed.part"]
    await sinks[1].abort()
    assert hidden(tmp_path) == []


async def test_sweep_removes_what_dead_parts_left_and_nothing_else(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "out.csv")
    others = [
        ".out.csv~b.csv~run-0-1.part",
        ".out.csv.part",
        ".other.csv~run-0-1.part",
        "out.csv",
        "out.csv~x.part",
    ]
    for name in others:
        (tmp_path / name).touch()
    live = part(1, 2, run="alive")
    for one in (part(0, 2), part(0, 2, attempt=2), live):
        await prepared(sink, one, ITEMS)
    await sink.sweep([live])
    assert hidden(tmp_path) == sorted(
        [
            ".out.csv~alive-1-1.part",
            ".out.csv~alive-agreed.part",
            *(name for name in others if name[0] == "."),
        ]
    )
    await sink.sweep(())
    assert names(tmp_path) == sorted(others)
    await CsvSink(tmp_path / "none" / "out.csv").sweep(())


async def test_sweep_leaves_a_part_that_somebody_is_writing(tmp_path: Path) -> None:
    sink = CsvSink(tmp_path / "out.csv")
    await sink.open(part())
    await CsvSink(tmp_path / "out.csv").sweep(())
    assert hidden(tmp_path) == [".out.csv~run-0-1.part"]
    await sink.abort()


async def test_two_sinks_cannot_write_the_same_part(tmp_path: Path) -> None:
    first, second = CsvSink(tmp_path / "out.csv"), CsvSink(tmp_path / "out.csv")
    await first.open(part())
    await first.write(ITEMS)
    with pytest.raises(
        OutputRefused, match=r"CsvSink 'out.csv' \(.*test_files_delivery.py:\d+\): two sinks cannot write"
    ):
        await second.open(part())
    await second.abort()
    await first.commit([await first.prepare()])
    assert (tmp_path / "out.csv").read_text() == "n\n1\n2\n"


async def test_only_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for name, kind in (("folder", "a folder"), ("pipe", "not a regular file"), ("link", "a folder")):
        with pytest.raises(
            OutputRefused, match=f"a file sink replaces files only; {tmp_path}/{name} is {kind}"
        ):
            await CsvSink(tmp_path / name).open(part())
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("path", ["", ".", "/", 5, None, b"out.csv"])
def test_a_sink_needs_the_path_of_a_file(path: Any) -> None:
    with pytest.raises(
        OutputRefused, match=r"test_files_delivery.py:\d+\): a file sink needs the path of a file"
    ):
        CsvSink(path)


def test_the_number_of_the_unit_stands_in_the_name_only() -> None:
    with pytest.raises(OutputRefused, match=r"\{unit\} may stand in the name of the file only"):
        CsvSink("out/{unit}/rows.csv")


async def test_a_run_may_have_any_name(tmp_path: Path) -> None:
    one = Part("a~b c", "unit")
    receipt = await prepared(CsvSink(tmp_path / "out.csv"), one, ITEMS)
    await CsvSink(tmp_path / "out.csv").sweep([one])
    await CsvSink(tmp_path / "out.csv").commit([receipt])
    assert names(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("batches", [[ITEMS], [[one] for one in ITEMS], [[], ITEMS, []]])
async def test_batches_leave_no_trace_in_the_file(tmp_path: Path, batches: Sequence[Any]) -> None:
    target = JsonLinesSink(tmp_path / "out.jsonl")
    await target.commit([await prepared(target, part(), *batches)])
    assert (tmp_path / "out.jsonl").read_text() == LINES


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (56_400, "56 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (5_000_000_000_000, "5,000 GB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable_size(size) == text


@pytest.mark.parametrize("engine", [None, SubprocessEngine(2)])
async def test_units_of_a_run_become_one_file_whatever_runs_them(tmp_path: Path, engine: Any) -> None:
    for number in range(3):
        (tmp_path / f"in{number}.csv").write_text(f"id,name\n{number},x\n{number + 3},y\n")
    out = tmp_path / "out.csv.gz"
    report = await run(CsvSource(tmp_path / "in*.csv") >> Sink(CsvSink(out), batch=500), engine=engine)
    assert report.written == (f"{out}: 6 rows, {out.stat().st_size} B",)
    assert gzip.decompress(out.read_bytes()) == b"id,name\n0,x\n3,y\n1,x\n4,y\n2,x\n5,y\n"
    assert names(tmp_path) == ["in0.csv", "in1.csv", "in2.csv", "out.csv.gz"]


async def test_a_fold_over_several_files_is_one_unit(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"in{number}.jsonl").write_text(f'{{"n": {number}}}\n' * 2)

    def add(total: int, item: dict[str, Any]) -> int:
        return total + int(item["n"])

    source = JsonLinesSource(tmp_path / "in*.jsonl") >> Fold(add, start=int)
    assert await source.collect() == [6]
    assert len(await CsvSource(tmp_path / "in*.jsonl", columns=["line"]).collect()) == 6
