"""Files under faults: death at every step, a full disk, damaged input, cancellation."""

from __future__ import annotations

import asyncio
import errno
import gzip
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Broadcast, Sink, Source, Transform, run, start
from piko_flow.connectors.files import (
    BrokenLine,
    CsvSink,
    CsvSource,
    JsonLinesSink,
    JsonLinesSource,
    ParquetSink,
)
from piko_flow.connectors.uninterrupted import on_own_thread
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import StageFailed
from piko_flow.retry import Retry
from tests.architecture.checkout import ROOT
from tests.unit.files_by_hand import names, read


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let the operating system refuse what would make a file longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("out.csv", 1),
        ("out.csv", 3),
        ("out.csv.gz", 3),
        ("out-{unit}.csv", 3),
        ("out-{start}_{end}.csv", 1),
        ("out-{start}_{end}.csv", 3),
    ],
)
def test_death_at_any_step_leaves_the_old_file_or_the_new_one(tmp_path: Path, name: str, units: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.file_crashes", str(tmp_path / "out"), name, str(units)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    writing, committing = map(int, done.stdout.split())
    assert writing >= 3 * units
    assert committing > units


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
async def test_after_a_full_disk_the_file_is_as_before_and_the_write_can_be_repeated(
    tmp_path: Path, name: str
) -> None:
    sink = JsonLinesSink(tmp_path / name)
    await sink.open(Part("run", "unit"))
    batches = [[{"n": f"{batch * 7919 * number:x}"} for number in range(1, 3000)] for batch in range(1, 20)]
    done = 0

    async def write_until_refused() -> None:
        nonlocal done
        for batch in batches:
            await sink.write(batch)
            done += 1

    with files_no_longer_than(100_000), pytest.raises(OSError, match="File too large") as caught:
        await write_until_refused()
    assert (caught.value.errno, caught.value.filename) == (
        errno.EFBIG,
        str(tmp_path / f".{name}~run-0-1.part"),
    )
    assert done
    for batch in batches[done:]:
        await sink.write(batch)
    await sink.commit([await sink.prepare()])
    assert read(JsonLinesSource(tmp_path / name)).items == [item for batch in batches for item in batch]


@pytest.mark.parametrize("kind", [CsvSink, JsonLinesSink, ParquetSink])
async def test_a_full_disk_fails_the_run_and_leaves_nothing(tmp_path: Path, kind: Any) -> None:
    items = [{"n": f"{number * 7919 * 104729:x}" * 8} for number in range(80_000)]
    pipeline = Source(items) >> Sink(kind(tmp_path / "out"), batch=5000)
    with files_no_longer_than(50_000), pytest.raises(StageFailed, match="File too large") as caught:
        await run(pipeline)
    assert str(tmp_path / ".out~") in str(caught.value)
    assert names(tmp_path) == []


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StageFailed, match=f"Not a directory: '{tmp_path}/file/deep"):
        await run(Source([{"a": 1}]) >> Sink(CsvSink(tmp_path / "file" / "deep" / "out.csv")))


@pytest.mark.parametrize("cut", [1, 8, 9, 400])
async def test_what_precedes_the_end_of_a_cut_gzip_file_is_read_and_the_cut_is_told(
    tmp_path: Path, cut: int
) -> None:
    file = tmp_path / "in.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(b'{"n": %d}\n' % (n * 7919) for n in range(1000)))[:-cut])
    report = await run(JsonLinesSource(file, on_error="dead_letter") >> Sink(CsvSink(tmp_path / "out.csv")))
    (letter,) = report.dead_letters
    rows = read(CsvSource(tmp_path / "out.csv")).items
    assert [int(row["n"]) for row in rows] == [n * 7919 for n in range(len(rows))]
    assert letter.error == (
        f"BrokenLine: {file}:{len(rows) + 1}: the gzip data ends too early; the rest of the file cannot be read"
    )
    with pytest.raises(StageFailed, match="the gzip data ends too early") as caught:
        await run(JsonLinesSource(file) >> Sink(CsvSink(tmp_path / "out2.csv")))
    assert isinstance(caught.value.__cause__, BrokenLine)
    assert not (tmp_path / "out2.csv").exists()


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n") + b"rubbish"], ids=["no gzip", "more than gzip"]
)
def test_what_is_not_gzip_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "in.csv.gz"
    file.write_bytes(content)
    found = read(CsvSource(file, columns=["a", "b"]))
    assert found.broken[0][1].endswith(
        "the gzip data is damaged (Error -3 while decompressing data: incorrect header check);"
        " the rest of the file cannot be read"
    )


def test_a_wrong_checksum_is_told(tmp_path: Path) -> None:
    file = tmp_path / "in.csv.gz"
    content = bytearray(gzip.compress(b"a,b\n1,2\n"))
    content[-8] ^= 1
    file.write_bytes(content)
    assert "incorrect data check" in read(CsvSource(file, columns=["a", "b"])).broken[0][1]


async def test_broken_lines_fail_the_run_or_are_skipped_or_kept(tmp_path: Path) -> None:
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text("a,b\n1,2\n3\n4,5\n")
    with pytest.raises(StageFailed, match=rf"BrokenLine: {file}:3: 2 columns need 2 fields, got 1"):
        await run(CsvSource(file) >> Sink(CsvSink(out)))
    assert not out.exists()
    skipped = await run(CsvSource(file, on_error="skip") >> Sink(CsvSink(out)))
    assert [stage.skipped for stage in skipped.stages] == [1, 0]
    kept = await run(CsvSource(file, on_error="dead_letter") >> Sink(CsvSink(out)), max_errors=1)
    assert [(letter.item, letter.stage) for letter in kept.dead_letters] == [(["3"], "in.csv")]
    assert out.read_text() == "a,b\n1,2\n4,5\n"


async def test_a_rejected_item_is_settled_and_the_others_are_written(tmp_path: Path) -> None:
    items = [{"a": 1}, {"a": b"x"}, {"b": 1}, {"a": 2}]
    sink = Sink(CsvSink(tmp_path / "out.csv"), batch=10, on_error="dead_letter", retry=Retry(3, first=0))
    report = await run(Source(items) >> sink)
    assert [letter.item for letter in report.dead_letters] == [{"a": b"x"}, {"b": 1}]
    assert (tmp_path / "out.csv").read_text() == "a\n1\n2\n"


@pytest.mark.parametrize("kind", [CsvSink, JsonLinesSink, ParquetSink])
async def test_a_cancelled_run_leaves_nothing(tmp_path: Path, kind: Any) -> None:
    reached = asyncio.Event()

    async def stall(item: dict[str, int]) -> dict[str, int]:
        if item["n"] == 50:
            reached.set()
            await asyncio.Event().wait()
        return item

    items = [{"n": number} for number in range(100)]
    pipeline = Source(items) >> Transform(stall) >> Sink(kind(tmp_path / "new" / "out"), batch=10)
    async with start(pipeline) as active:
        await reached.wait()
        active.cancel()
        report = await active.wait()
    assert report.outcome == "cancelled"
    assert names(tmp_path) == []


async def test_two_sinks_of_one_pipeline_for_one_file_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    pipeline = Source([{"a": 1}]) >> Broadcast(Sink(CsvSink(out)), Sink(CsvSink(out)))
    with pytest.raises(StageFailed, match="two sinks cannot write the same file"):
        await run(pipeline)
    assert names(tmp_path) == []


async def test_work_on_a_thread_ends_before_its_cancellation_is_told() -> None:
    loop = asyncio.get_running_loop()
    began, go_on, ended = asyncio.Event(), threading.Event(), []

    def work() -> None:
        loop.call_soon_threadsafe(began.set)
        go_on.wait()
        ended.append(True)

    task = asyncio.ensure_future(on_own_thread(work))
    await began.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
