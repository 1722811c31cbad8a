"""One item's way from the source to the commit is short, and the page that shows the architecture lists it."""

import asyncio
import re
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel

from piko_flow import CpuMap, Pipeline, Sink, Source, Transform, start
from piko_flow.connectors.sql import SqlSink
from piko_flow.dataflow.running.run import ActiveRun
from piko_flow.dataflow.stages.sink import Receipt
from tests.architecture.checkout import ROOT

LONGEST = 18
PACKAGE = f"{ROOT / 'piko_flow'}/"
Lines = Counter[tuple[str, int]]


class Order(BaseModel):
    id: int
    total: float


async def load(number: int) -> dict[str, float]:
    await asyncio.sleep(0)
    return {"id": number, "total": 1.5}


def score(seen: Path, order: dict[str, float]) -> Order:
    """Score the order; leaves the files of ours that called it in the worker."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        with seen.open("a") as names:
            names.write(f"{frame.f_code.co_filename}\n")
        frame = frame.f_back
    return Order(**order)


class Recorder:
    """Counts the lines of the package that run in this process, from `recording` to `stop`."""

    def __init__(self) -> None:
        self.lines: Lines = Counter()
        self._on = False

    @contextmanager
    def recording(self) -> Iterator[None]:
        before = sys.gettrace()
        self._on = True
        threading.settrace(self._called)
        sys.settrace(self._called)
        try:
            yield
        finally:
            self.stop()
            sys.settrace(before)
            threading.settrace(before)

    def stop(self) -> None:
        self._on = False

    def _called(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        return self._line if self._on and frame.f_code.co_filename.startswith(PACKAGE) else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        if self._on and event == "line":
            self.lines[frame.f_code.co_filename.removeprefix(PACKAGE), frame.f_lineno] += 1
        return self._line


class Rows(SqlSink[Order]):
    """A SqlSink whose commit is the end of the way."""

    recorder: Recorder

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        written = await super().commit(receipts)
        self.recorder.stop()
        return written


class Drained:
    """A source that stops the run when it is opened, so that no item is read and nothing is committed."""

    runs: list[ActiveRun]

    def __init__(self) -> None:
        self.runs = []

    def __iter__(self) -> Iterator[int]:
        self.runs[0].drain()
        return iter([])


def pipeline(items: Any, folder: Path, recorder: Recorder) -> Pipeline:
    sink = Rows(Order, table="orders", key="id", url=f"sqlite:///{folder / 'orders.db'}")
    sink.recorder = recorder
    scored = Source(items) >> Transform(load) >> CpuMap(partial(score, folder / "seen.txt"), workers=1)
    return scored >> Sink(sink)


async def ran(pipeline: Pipeline, runs: list[ActiveRun]) -> str:
    async with start(pipeline) as active:
        runs.append(active)
        return (await active.wait()).outcome


def lines_of(items: Any, folder: Path, *, outcome: str) -> Lines:
    """How often each line of the package runs for a run over these items, until its commit has returned."""
    recorder = Recorder()
    described = pipeline(items, folder, recorder)
    with recorder.recording():
        assert asyncio.run(ran(described, items.runs if isinstance(items, Drained) else [])) == outcome
    return recorder.lines


def in_the_worker(folder: Path) -> set[str]:
    """The files whose functions call the item's function in the worker process."""
    names = set((folder / "seen.txt").read_text().splitlines())
    return {name.removeprefix(PACKAGE) for name in names if name.startswith(PACKAGE)}


def listed() -> list[str]:
    """The files that the page lists, in their order."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## One item's way\n")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w/]+\.py)`", section, re.MULTILINE)


def test_one_item_enters_the_files_that_the_page_lists_and_no_others(tmp_path: Path) -> None:
    """What runs more often with an item and its commit than in a run that is planned, opened, drained and reported."""
    with closing(sqlite3.connect(tmp_path / "orders.db")) as database:
        database.execute("create table orders (id integer primary key, total real)")
    lines_of([1], tmp_path, outcome="succeeded")  # what is done once for the process is done now
    without = lines_of(Drained(), tmp_path, outcome="drained")
    whole = lines_of([2], tmp_path, outcome="succeeded")
    entered = {file for file, line in whole if whole[file, line] > without[file, line]}
    assert entered | in_the_worker(tmp_path) == set(listed())


def test_the_way_is_short() -> None:
    assert len(listed()) == len(set(listed())) <= LONGEST
