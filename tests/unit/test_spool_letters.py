"""Dead letters of a spool: what they tell, who takes them, and what becomes of those that nobody takes."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from piko_flow import On, Route, Sink, Transform
from piko_flow.connectors.spool import Spooled, SpoolUnavailable
from piko_flow.connectors.spool_file import Origin, create_file, open_file
from piko_flow.errors import ItemRejected
from tests.unit.spooling import Letters, Place, files, spool, told


def refuse_ones(items: list[Any]) -> None:
    if 1 in items:
        raise ItemRejected(items.index(1), "never")


def refuse_all(items: list[Any]) -> None:
    raise ItemRejected(0, "never")


async def test_dead_letters_stay_until_somebody_takes_them(tmp_path: Path) -> None:
    place, letters = Place(refuse_all), Letters()
    letters.error = OSError("the store is away")
    async with spool(place, tmp_path).opened(dead_letters=letters) as live:
        await live.accept([{"id": 7}], origin=Origin("flow", "3", "sink"))
        await told(live, lambda state: state.dead_letters == 1 and state.items == 0)
    assert len(files(tmp_path)) == 1
    letters.error = None
    async with spool(place, tmp_path).opened(dead_letters=letters):
        await letters.has(1)
    assert (letters.taken[0].payload, letters.taken[0].run) == ({"id": 7}, "3")
    assert files(tmp_path) == []


async def test_a_chain_tells_of_an_item_that_its_stages_have_changed_where_it_failed(tmp_path: Path) -> None:
    place, letters = Place(), Letters()

    def tenfold(item: int) -> int:
        if item == 3:
            raise ValueError("no threes")
        return item * 10

    def never(item: int) -> int:
        raise ValueError("too large")

    def is_small(item: int) -> bool:
        return item < 20

    def is_large(item: int) -> bool:
        return item >= 20

    small, large = Sink(place), Transform(never, on_error="dead_letter") >> Sink(Place())
    parted = Route(On(is_small, small), On(is_large, large))
    chain = Transform(tenfold, on_error="dead_letter") >> parted
    async with spool(chain, tmp_path).opened(dead_letters=letters) as live:
        await live.accept([1, 2, 3])
        await letters.has(2)
        await place.has(1)
    assert place.items == [10]
    assert sorted((one.payload, one.behind) for one in letters.taken) == [(3, ""), (20, "never")]


async def test_a_dead_letter_of_a_chain_that_gets_keys_has_the_payload_and_its_key(tmp_path: Path) -> None:
    letters = Letters()

    def never(item: Spooled) -> None:
        raise ValueError("never")

    chain = Transform(never, on_error="dead_letter") >> Sink(Place())
    async with spool(chain, tmp_path, whole=True).opened(dead_letters=letters) as live:
        await live.accept([{"id": 1}], keys=["one"], origin=Origin("flow", "3", "sink"))
        await letters.has(1)
    (letter,) = letters.taken
    assert (letter.payload, letter.key, letter.run, letter.behind) == ({"id": 1}, "one", "3", "")


async def test_who_takes_dead_letters_slowly_holds_up_nothing(tmp_path: Path) -> None:
    place, letters = Place(refuse_ones), Letters()
    letters.gate.clear()
    async with spool(place, tmp_path, batch=4).opened(dead_letters=letters) as live:
        await live.accept([0, 1])
        await letters.asked.wait()
        for number in range(10, 30):
            await live.accept([number])
            await place.wrote(number)
        await live.accept([1])
        await told(live, lambda state: state.dead_letters == 2 and state.items == 0)
        letters.gate.set()
        await letters.has(2)
    assert [one.payload for one in letters.taken] == [1, 1]
    assert files(tmp_path) == []


async def test_leaving_does_not_wait_for_who_takes_dead_letters_beyond_its_time(tmp_path: Path) -> None:
    letters = Letters()
    letters.gate.clear()
    async with spool(Place(refuse_all), tmp_path).opened(dead_letters=letters, flush=0) as live:
        await live.accept([1])
        await letters.asked.wait()
    assert len(files(tmp_path)) == 1
    letters.gate.set()
    async with spool(Place(), tmp_path).opened(dead_letters=letters):
        await letters.has(1)
    assert files(tmp_path) == []


async def test_dead_letters_that_nobody_has_taken_yet_fill_the_spool(tmp_path: Path) -> None:
    place, letters = Place(refuse_all), Letters()
    letters.gate.clear()
    async with spool(place, tmp_path, items=3).opened(dead_letters=letters) as live:
        await live.accept([1, 2])
        await told(live, lambda state: state.dead_letters == 2)
        await live.accept([3])
        await told(live, lambda state: state.dead_letters == 3)
        waits = asyncio.create_task(live.accept([4]))
        assert (await live.state()).items == 0
        assert not waits.done()
        letters.gate.set()
        await waits
        await letters.has(4)


@pytest.mark.parametrize("bound", [{"items": 2}, {"bytes": 200}])
async def test_a_spool_that_is_full_of_dead_letters_that_nobody_takes_accepts_nothing(
    tmp_path: Path, bound: dict[str, Any]
) -> None:
    async with spool(Place(refuse_all), tmp_path, **bound).opened() as live:
        await live.accept(["a" * 100, "b" * 100])
        await told(live, lambda state: state.dead_letters == 2)
        with pytest.raises(SpoolUnavailable, match="2 dead letters fill it"):
            await live.accept(["c"])
    async with spool(Place(), tmp_path, **bound).opened() as live:
        with pytest.raises(SpoolUnavailable, match="2 dead letters fill it"):
            await live.accept(["c"])
    letters = Letters()
    async with spool(Place(), tmp_path, **bound).opened(dead_letters=letters) as live:
        await live.accept(["c"])
    assert [one.payload[0] for one in letters.taken] == ["a", "b"]


async def test_a_dead_letter_that_is_not_what_was_written_is_set_aside_and_the_others_are_taken(
    tmp_path: Path,
) -> None:
    async with spool(Place(refuse_all), tmp_path).opened() as live:
        await live.accept(["a", "b"])
        await told(live, lambda state: state.dead_letters == 2)
    (file,) = files(tmp_path)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE letter SET body = ? WHERE number = 1", (b'["x"]',))
    letters = Letters()
    async with spool(Place(), tmp_path).opened(dead_letters=letters) as live:
        await letters.has(1)
        (reason,) = (await live.state()).strange.values()
    assert [one.payload for one in letters.taken] == ["b"]
    assert reason == "dead letter 1 is not what was written"


async def test_a_file_whose_process_died_before_it_had_tables_is_made_anew_and_belongs_to_nobody(
    tmp_path: Path,
) -> None:
    made = create_file(tmp_path, owner="ledger")
    assert made.about() == {"owner": "ledger"}
    made.leave()
    with closing(sqlite3.connect(made.path)) as database, database:
        database.executescript(
            "DROP TABLE about; DROP TABLE list; DROP TABLE letter; PRAGMA user_version = 0"
        )
    again = open_file(made.path)
    assert again.about() == {"owner": ""}
    again.close()
    assert files(tmp_path) == []
