"""What comes to a spool in the middle of something else."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import tracemalloc
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from piko_flow import Sink, Transform
from piko_flow.connectors import spool_stock
from piko_flow.connectors.spool_errors import BrokenSpool, SpoolUnavailable
from piko_flow.connectors.spool_file import Origin, Row, SpoolFile, Totals, told
from piko_flow.connectors.spool_items import ItemForms
from piko_flow.connectors.spool_models import Models
from piko_flow.connectors.spool_reading import carry_over
from piko_flow.connectors.spool_shelf import Recent
from tests.unit.spooling import FAST, Letters, Place, spool


class Stalls(Place):
    """A place that takes the list with "last" in it when it is told to; `met` is set when it has come."""

    def __init__(self) -> None:
        super().__init__()
        self.met, self.go_on = asyncio.Event(), asyncio.Event()

    async def write(self, items: Any) -> None:
        if "last" in items:
            self.met.set()
            await self.go_on.wait()
        await super().write(items)


def files_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.spool"))


@pytest.mark.parametrize("leaving", [False, True])
async def test_what_arrives_while_the_last_list_is_written_is_written_next(
    leaving: bool, tmp_path: Path
) -> None:
    place = Stalls()
    lists = [[f"{number}-{index}" for index in range(10)] for number in range(12)]
    lists[-1][-1] = "last"
    async with spool(place, tmp_path, batch=10).opened() as live:
        async with asyncio.TaskGroup() as tasks:
            for one in lists:
                tasks.create_task(live.accept(one))
        await place.met.wait()
        for _ in range(3):  # whatever was to be read ahead has been looked for, and was not there
            await live.state()
        await live.accept(["late"])
        place.go_on.set()
        if not leaving:
            await place.has(121)
    assert place.items[-1] == "late"
    assert len(place.items) == 121


async def test_what_is_accepted_while_the_file_is_set_aside_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    carried, go_on = asyncio.Event(), threading.Event()

    def slowly(damaged: SpoolFile, other: SpoolFile) -> Totals:
        totals = carry_over(damaged, other)
        loop.call_soon_threadsafe(carried.set)
        go_on.wait()
        return totals

    monkeypatch.setattr(spool_stock, "carry_over", slowly)
    place = Place(gated=True)
    async with spool(place, tmp_path, batch=1).opened() as live:
        await live.accept(["before"])
        await place.tried(1)
        await live.accept(["kept"])
        (file,) = files_in(tmp_path / "orders")
        aside = asyncio.create_task(live._stock.set_aside(BrokenSpool(str(file), "a row is damaged")))
        await carried.wait()
        meanwhile = asyncio.create_task(live.accept(["meanwhile"]))
        await asyncio.sleep(
            0
        )  # its task has begun: what it asks of the thread of files comes after what goes on there
        go_on.set()
        await asyncio.gather(aside, meanwhile)
        place.gate.set()
    assert set(place.items) == {"before", "kept", "meanwhile"}


async def test_a_list_that_failed_is_written_though_a_damaged_file_was_met_meanwhile(tmp_path: Path) -> None:
    folder, files = tmp_path / "orders", []
    for number in "01":
        async with spool(Place(gated=True), tmp_path, flush=0).opened() as live:
            await live.accept([f"{number}-{index}" for index in range(3)])
        (file,) = files_in(folder)
        files.append(file.rename(tmp_path / f"{number * 32}.spool"))
    for file in files:
        file.rename(folder / file.name)
    damaged = folder / files[1].name
    damaged.write_bytes(damaged.read_bytes().replace(b"1-1", b"9-1"))

    down = True

    def mood(items: list[Any]) -> None:
        if down:
            raise OSError("it is down")

    place = Place(mood)
    async with spool(place, tmp_path, batch=3, retry=FAST).opened() as live:
        while not (await live.state()).strange:
            pass
        down = False
        await live.accept(["new"])
        await place.has(4)
        assert sorted(set(place.items)) == ["0-0", "0-1", "0-2", "new"]


async def test_keys_are_texts_from_memory_as_from_the_disk(tmp_path: Path) -> None:
    place = Place()
    key: Any = UUID(int=7)
    async with spool(place, tmp_path, whole=True).opened() as live:
        await live.accept(["a"], keys=[key])
    assert [one.key for one in place.items] == [str(key)]


def test_many_small_lists_take_a_few_megabytes() -> None:
    forms, recent = ItemForms(Models([]), most=1000), Recent(after=0)
    tracemalloc.start()
    try:
        for number in range(1, 20_000):
            (kept,) = forms.encode([number])
            recent.add(Row(number, kept, Origin(run=f"{number}"), 0.0, (f"order-{number:032}",)))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_ends_too_soon_is_a_damaged_one(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHORT_READ"
    assert isinstance(told(error, tmp_path), BrokenSpool)


async def test_leaving_ends_where_the_disk_takes_no_dead_letter_and_the_item_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def odd(item: int) -> int:
        if item % 2:
            raise ValueError("odd")
        return item

    def refused(file: SpoolFile, letter: object) -> None:
        loop.call_soon_threadsafe(asked.set)
        raise SpoolUnavailable("orders", "the disk is full")

    def chain(place: Place) -> Any:
        return Transform(odd, on_error="dead_letter") >> Sink(place)

    def mood(items: list[Any]) -> None:
        if 6 in items:
            raise ValueError("six")

    with monkeypatch.context() as patch:
        patch.setattr(SpoolFile, "add_letter", refused)
        async with spool(chain(Place(mood)), tmp_path, batch=2).opened(flush=0) as live, asyncio.timeout(60):
            await asyncio.gather(live.accept([1, 2]), live.accept([6]))
            await asked.wait()
    place, letters = Place(), Letters()
    async with spool(chain(place), tmp_path, batch=2).opened(dead_letters=letters):
        await place.has(2)
        await letters.has(1)
    assert (sorted(place.items), [one.payload for one in letters.taken]) == ([2, 6], [1])
