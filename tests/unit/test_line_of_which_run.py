"""A line about a run carries that run, and what outlives a run tells nothing in its name."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from piko_flow import Sink, Source
from piko_flow.app import App
from piko_flow.connectors.spool import Spool
from piko_flow.control.flows.flow import Flow
from piko_flow.control.flows.registry import Registry
from piko_flow.control.flows.run_context import RunContext
from piko_flow.settings import Settings
from piko_flow.store.records import RunRecord
from piko_flow.telemetry.logged_run import LoggedRun, logged_run
from piko_flow.telemetry.logs import fields_of
from tests.unit.spooling import FAST, PATIENCE, Place


class Line(NamedTuple):
    """A line, the fields that it is written with, and in whose name it was logged."""

    logger: str
    message: str
    fields: dict[str, object]
    within: LoggedRun | None


class Lines(logging.Handler):
    """Keeps lines; waits for one without a pause in between."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Line] = []
        self._came = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._came:
            self.kept.append(Line(record.name, record.getMessage(), fields_of(record), logged_run.get()))
            self._came.notify_all()

    def about(self, text: str) -> list[dict[str, object]]:
        return [line.fields for line in self.kept if text in line.message]

    async def has(self, text: str) -> None:
        def wait() -> bool:
            with self._came:
                return self._came.wait_for(lambda: bool(self.about(text)), PATIENCE)

        assert await asyncio.to_thread(wait)


@pytest.fixture
def lines() -> Iterator[Lines]:
    log, kept = logging.getLogger("piko_flow"), Lines()
    before = log.level
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    try:
        yield kept
    finally:
        log.removeHandler(kept)
        log.setLevel(before)


class Shop:
    """An application with a registry of its own."""

    def __init__(self, folder: Path) -> None:
        self.registry = Registry[Flow]()
        settings = Settings(
            database=SecretStr(f"sqlite:///{folder / 'piko.db'}"),
            persist_disk_fallback_path=str(folder / "spools"),
            persist_flush_timeout_s=0.01,
            poll_s=0.05,
        )
        self.app = App("shop", registry=self.registry, settings=settings)

    async def trigger(self, flow: str) -> RunRecord:
        return await self.app.service.call(lambda plane: plane.trigger(flow))


async def nothing(run: RunContext) -> None: ...


async def bad(run: RunContext) -> None:
    raise ValueError("no")


async def test_the_line_about_the_end_of_a_run_carries_that_run(tmp_path: Path, lines: Lines) -> None:
    shop = Shop(tmp_path)
    Flow.register("good", nothing, registry=shop.registry)
    for name in ("bad0", "bad1", "bad2"):
        Flow.register(name, bad, registry=shop.registry)
    async with shop.app.running():
        runs = [await shop.trigger(name) for name in ("good", "bad0", "bad1", "bad2")]
        for run in runs:
            await lines.has(f"run {run.id} of ")
    for run in runs:
        assert lines.about(f"run {run.id} of ") == [{"run": run.id, "flow": run.flow, "attempt": 1}]
    assert [
        line for line in lines.kept if line.logger == "piko_flow.worker" and line.within is not None
    ] == []


async def test_a_spool_that_a_run_has_opened_works_on_in_nobodys_name(tmp_path: Path, lines: Lines) -> None:
    def down(items: list[int]) -> None:
        raise OSError("it is down")

    shop = Shop(tmp_path)
    spool: Spool[int] = Spool(Place(down), name="warehouse", retry=FAST)
    Flow.register("sells", Source([1, 2]) >> Sink(spool, batch=2), registry=shop.registry)
    async with shop.app.running():
        await shop.trigger("sells")
        await lines.has("the sink of the spool warehouse fails")
    assert lines.about("the sink of the spool warehouse fails") == [{}]


class Gated:
    """Holds the first list that it is given, and notes in the name of which run each came."""

    def __init__(self) -> None:
        self.names: dict[object, int] = {}
        self.taken, self.gate, self.both = threading.Event(), threading.Event(), threading.Event()

    async def write(self, items: Sequence[object]) -> None:
        logged = logged_run.get()
        self.names |= dict.fromkeys(items, 0 if logged is None else logged.run)
        if not self.taken.is_set():
            self.taken.set()
            await asyncio.to_thread(self.gate.wait, PATIENCE)
        else:
            self.both.set()


async def test_what_a_run_emits_is_written_in_its_name_behind_what_another_emitted(tmp_path: Path) -> None:
    shop, sink = Shop(tmp_path), Gated()
    emitted = threading.Event()

    async def first(run: RunContext) -> None:
        await run.emit("of the first", to="orders")

    async def second(run: RunContext) -> None:
        await run.emit("of the second", to="orders")
        emitted.set()

    Flow.register("first", first, registry=shop.registry)
    Flow.register("second", second, registry=shop.registry)
    shop.app.register_sink("orders", sink, spool=False)
    async with shop.app.running():
        one = await shop.trigger("first")
        assert await asyncio.to_thread(sink.taken.wait, PATIENCE)
        two = await shop.trigger("second")
        assert await asyncio.to_thread(emitted.wait, PATIENCE)
        sink.gate.set()
        assert await asyncio.to_thread(sink.both.wait, PATIENCE)
    assert sink.names == {"of the first": one.id, "of the second": two.id}
