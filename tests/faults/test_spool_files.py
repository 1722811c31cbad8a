"""Spool files that are torn or damaged, disks that are full, folders that may only be read: the rest goes on."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Sink, Source, run
from piko_flow.connectors.spool import LiveSpool, SpoolUnavailable
from piko_flow.connectors.spool_file import Origin
from piko_flow.errors import ItemRejected, StageFailed
from tests.faults.test_file_mounts import read_only, small_disk
from tests.unit.spooling import PATIENCE, Letters, Place, away, files, spool, told

SEED = int(os.environ.get("PIKO_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


def content_of(file: Path) -> bytes:
    """All of it."""
    return file.read_bytes()


async def leave(folder: Path, *lists: list[Any]) -> Path:
    """A file as a process leaves it that ends before its sink has taken anything."""
    before = set(files(folder))
    async with away(Place(gated=True), folder) as live:
        for items in lists:
            await live.accept(items, origin=Origin("flow", "1", "sink"))
    (file,) = set(files(folder)) - before
    return file


async def fill(live: LiveSpool) -> tuple[int, SpoolUnavailable]:
    """Accept until the disk is full; gives how many items were accepted, and what was raised then."""
    for accepted in range(1000):
        try:
            await live.accept([f"{accepted} {'x' * 5000}"])
        except SpoolUnavailable as error:
            return accepted, error
    raise AssertionError("the disk is larger than it should be")


async def until_there_is_room(live: LiveSpool) -> None:
    """Accept one item, as soon as those before it have left their file."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await live.accept(["again"])
            except SpoolUnavailable:
                await live.state()


async def test_a_file_that_is_no_database_is_set_aside_and_the_others_are_written(tmp_path: Path) -> None:
    good = await leave(tmp_path, [1, 2])
    bad = good.with_name(f"{'f' * 32}.spool")
    bad.write_bytes(b"this is no database at all" * 100)
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([3])
        await place.has(3)
        strange = (await live.state()).strange
    assert place.items == [1, 2, 3]
    aside = Path(f"{bad}.broken")
    assert list(strange) == [str(aside)]
    assert "not a database" in strange[str(aside)]
    assert content_of(aside) == b"this is no database at all" * 100
    async with spool(place, tmp_path).opened() as live:
        assert (await live.state()).strange == {str(aside): "set aside by an earlier process"}


async def test_a_list_that_is_not_what_was_written_is_left_out_and_the_others_are_written(
    tmp_path: Path,
) -> None:
    file = await leave(tmp_path, [1, 2], ["a list that is damaged"], [5, 6])
    content = file.read_bytes()
    assert content.count(b"is damaged") == 1
    file.write_bytes(content.replace(b"is damaged", b"is spoiled"))
    place = Place()
    async with spool(place, tmp_path, whole=True).opened() as live:
        await place.has(4)
        strange = (await told(live, lambda state: bool(state.strange) and state.items == 0)).strange
    assert [item.payload for item in place.items] == [1, 2, 5, 6]
    assert [(item.key, item.run) for item in place.items][2] == (f"{file.stem}-3-0", "1")
    assert strange == {f"{file}.broken": "list 2 is not what was written"}
    assert b"is spoiled" in content_of(Path(f"{file}.broken"))


@pytest.mark.parametrize("damage", [b"CREATE \xf4ABLE list", b"CREATE TABLE l\xf4st"])
async def test_a_file_whose_tables_are_described_in_no_text_is_set_aside(
    damage: bytes, tmp_path: Path
) -> None:
    file = await leave(tmp_path, [1])
    content = file.read_bytes()
    assert content.count(b"CREATE TABLE list") == 1
    file.write_bytes(content.replace(b"CREATE TABLE list", damage))
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([2])
        await place.wrote(2)
        assert list((await live.state()).strange) == [f"{file}.broken"]


async def test_a_file_whose_lists_have_lost_their_numbers_is_set_aside(tmp_path: Path) -> None:
    file = await leave(tmp_path, [1])
    content, numbered = file.read_bytes(), b"number INTEGER PRIMARY KEY, kind TEXT NOT NULL, items"
    assert content.count(numbered) == 1
    file.write_bytes(content.replace(numbered, numbered.replace(b"PRIMARY", b"PRAMARY")))
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([2])
        await place.wrote(2)
        assert (await live.state()).strange == {f"{file}.broken": "rows have no number"}


@pytest.mark.parametrize("each", range(12))
async def test_whatever_is_damaged_no_item_is_made_up_and_what_is_missing_is_told(
    each: int, tmp_path: Path
) -> None:
    print(f"seed {SEED + each}")
    chance = random.Random(SEED + each)
    file = await leave(tmp_path, *([f"item {number} {place}" for place in range(40)] for number in range(40)))
    content = bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 3, 30])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    if each % 3 == 0:
        del content[chance.randrange(len(content)) :]
    file.write_bytes(content)
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept(["new"])
        await place.wrote("new")
        state = await told(live, lambda state: state.items == 0)
    accepted = {f"item {number} {place}" for number in range(40) for place in range(40)}
    written = set(place.items) - {"new"}
    assert written <= accepted
    assert len(place.items) == len(set(place.items))
    assert written == accepted or list(state.strange) == [f"{file}.broken"]


async def test_what_a_process_left_that_died_while_it_made_the_file_is_no_damage(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir(mode=0o700)
    (folder / "empty.spool").touch()
    (folder / "gone.spool-wal").write_bytes(b"the log of a file that is gone")
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([1])
        assert (await live.state()).strange == {}
    assert list(folder.iterdir()) == []


async def test_a_file_of_a_later_version_is_set_aside_and_says_so(tmp_path: Path) -> None:
    file = await leave(tmp_path, [1])
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    async with spool(Place(), tmp_path).opened() as live:
        assert "format 99" in (await live.state()).strange[f"{file}.broken"]


async def test_a_file_that_breaks_while_it_is_in_use_is_replaced_and_accept_goes_on(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        await live.accept([1])
        await told(live, lambda state: state.items == 0)
        own = live._stock.shelves[-1].file
        await live._stock._thread.read(lambda: own._connection.execute("DROP TABLE list"))
        await asyncio.gather(*(live.accept([number]) for number in range(2, 9)))
        await place.has(8)
        assert list((await live.state()).strange) == [f"{own.path}.broken"]
    assert sorted(place.items) == list(range(1, 9))


async def test_files_that_another_spool_has_open_are_left_to_it(tmp_path: Path) -> None:
    first, second = Place(gated=True), Place()
    async with spool(first, tmp_path).opened() as one:
        await one.accept([1])
        async with spool(second, tmp_path).opened() as other:
            await other.accept([2])
            await second.has(1)
        first.gate.set()
    assert (first.items, second.items) == ([1], [2])


async def test_on_a_full_disk_accept_says_so_nothing_is_lost_and_it_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    disk, place = tmp_path / "disk", Place(gated=True)
    with small_disk(disk):
        async with spool(place, disk).opened() as live:
            accepted, error = await fill(live)
            assert f"the spool {disk}" in str(error)
            assert (await live.state()).items == accepted > 10
            with pytest.raises(SpoolUnavailable):
                await live.accept(["y" * 300_000])
            place.gate.set()
            await place.has(accepted)
            await until_there_is_room(live)
            await place.has(accepted + 1)
    assert [int(item.split()[0]) for item in place.items[:-1]] == list(range(accepted))
    assert place.items[-1] == "again"


async def test_what_was_accepted_before_the_disk_was_full_is_there_after_a_restart(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk):
        async with away(Place(gated=True), disk) as live:
            accepted, _ = await fill(live)
        place = Place()
        async with spool(place, disk).opened() as live:
            await place.has(accepted)
            await until_there_is_room(live)
    assert [int(item.split()[0]) for item in place.items[:accepted]] == list(range(accepted))


async def test_in_a_folder_that_may_only_be_read_the_run_says_so_before_anything_is_read(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "spools"
    (folder / "orders").mkdir(parents=True, mode=0o700)
    asked = list[int]()

    def numbers() -> Any:
        asked.append(1)
        yield 1

    with read_only(folder), pytest.raises(StageFailed) as caught:
        await run(Source(numbers) >> Sink(spool(Place(), folder)))
    assert isinstance(caught.value.__cause__, SpoolUnavailable)
    assert str(folder / "orders") in str(caught.value)


async def test_dead_letters_survive_that_the_file_that_held_them_is_damaged_elsewhere(tmp_path: Path) -> None:
    def first_two(items: list[Any]) -> None:
        if (index := next((place for place, item in enumerate(items) if item in (1, 2)), None)) is not None:
            raise ItemRejected(index, "no such customer")
        raise OSError("it is down")

    place, letters = Place(first_two, gated=True), Letters()
    async with spool(place, tmp_path).opened(flush=0) as live:
        for items in ([1], ["damaged here"], [2], [3]):
            await live.accept(items, origin=Origin("flow", "1", "sink"))
        place.gate.set()
        await told(live, lambda state: state.dead_letters == 2)
    for file in files(tmp_path):
        file.write_bytes(file.read_bytes().replace(b"damaged here", b"spoiled here"))
    place = Place()
    async with spool(place, tmp_path).opened(dead_letters=letters) as live:
        await place.has(1)
        await letters.has(2)
        state = await told(live, lambda state: state.items == 0)
    assert place.items == [3]
    assert sorted((one.payload, one.run) for one in letters.taken) == [(1, "1"), (2, "1")]
    assert len(state.strange) == 1
