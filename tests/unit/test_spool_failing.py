"""A sink that fails, hangs or refuses single items: the rest is written, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from piko_flow import Retry, Sink, Transform
from piko_flow.connectors.spool import Spooled
from piko_flow.connectors.spool_file import Origin
from piko_flow.errors import ItemRejected
from piko_flow.testing import ManualClock
from tests.unit.spooling import FAST, Letters, Place, away, passing, spool, told


def refusing(
    *poison: object, error: Callable[[list[Any]], Exception] | None = None
) -> Callable[[list[Any]], None]:
    def mood(items: list[Any]) -> None:
        if set(poison) & set(items):
            raise ValueError("poison") if error is None else error(items)

    return mood


async def test_a_list_that_fails_is_tried_again(tmp_path: Path) -> None:
    errors = [OSError("busy"), OSError("busy")]

    def mood(items: list[Any]) -> None:
        if errors:
            raise errors.pop()

    place = Place(mood)
    async with spool(place, tmp_path).opened() as live:
        await live.accept([1, 2, 3])
        await place.has(3)
        assert (await live.state()).failing == ""
    assert sorted(place.items) == [1, 2, 3]


@pytest.mark.parametrize("poison", [[100], [0, 249], [17, 18], [3, 4, 5, 6, 7, 8, 200], list(range(240))])
async def test_poison_among_250_items_is_found_and_all_others_are_written(
    tmp_path: Path, poison: list[int]
) -> None:
    place, letters = Place(refusing(*poison)), Letters()
    async with spool(place, tmp_path).opened(dead_letters=letters) as live:
        await live.accept(list(range(250)))
        await place.has(250 - len(poison))
        for number in range(1000, 1020):  # others are written, so it is not the sink
            await live.accept([number])
            await place.wrote(number)
        await letters.has(len(poison))
        assert (await told(live, lambda state: state.items == 0)).dead_letters == 0
    assert sorted(place.items) == sorted({*range(250), *range(1000, 1020)} - {*poison})
    assert sorted(letter.payload for letter in letters.taken) == poison
    assert {(letter.error_type, letter.error) for letter in letters.taken} == {
        ("ValueError", "ValueError: poison")
    }


async def test_an_item_that_the_sink_names_is_dead_at_once(tmp_path: Path) -> None:
    def named(items: list[Any]) -> None:
        for index, item in enumerate(items):
            if item in (2, 5):
                raise ItemRejected(index, "no such customer")

    place, letters = Place(named), Letters()
    async with spool(place, tmp_path).opened(dead_letters=letters) as live:
        await live.accept(list(range(8)), keys=[f"k{number}" for number in range(8)])
        await letters.has(2)
    assert place.items == [0, 1, 3, 4, 6, 7]
    assert [(letter.payload, letter.key) for letter in letters.taken] == [(2, "k2"), (5, "k5")]
    assert "no such customer" in letters.taken[0].error
    assert len(place.attempts) <= 4


async def test_an_error_that_is_not_tried_again_kills_the_item_that_stands_alone(tmp_path: Path) -> None:
    place, letters = Place(refusing(6)), Letters()
    retry = Retry(attempts=3, first=0.001, on=OSError)
    async with spool(place, tmp_path, retry=retry).opened(dead_letters=letters) as live:
        await live.accept(list(range(8)))
        await letters.has(1)
    assert sorted(place.items) == [0, 1, 2, 3, 4, 5, 7]


async def test_while_the_sink_takes_nothing_no_item_is_dead(tmp_path: Path) -> None:
    letters, broken = Letters(), True

    def mood(items: list[Any]) -> None:
        if broken:
            raise OSError("it is down")

    place = Place(mood)
    async with spool(place, tmp_path, batch=4).opened(dead_letters=letters) as live:
        await live.accept(list(range(6)))
        await place.tried(200)
        state = await live.state()
        assert (state.items, state.failing, letters.taken) == (6, "OSError: it is down", [])
        broken = False
        await place.has(6)
    assert sorted(place.items) == list(range(6))


async def test_a_sink_that_is_down_for_a_day_gets_everything_after_it(tmp_path: Path) -> None:
    clock, broken = ManualClock(), True

    def mood(items: list[Any]) -> None:
        if broken:
            raise OSError("it is down")

    place = Place(mood)
    retry = Retry(attempts=3, first=1, limit=60)
    async with spool(place, tmp_path, retry=retry).opened(clock=clock) as live:
        await live.accept(list(range(10)))
        for _ in range(24):
            await clock.advance(3600)
        state = await live.state()
        assert (state.items, state.age, state.failing) == (10, 86400.0, "OSError: it is down")
        broken = False
        await passing(clock, live, lambda: live.waiting == 0)
    assert sorted(place.items) == list(range(10))


async def test_the_pauses_while_the_sink_is_down_grow_to_their_limit(tmp_path: Path) -> None:
    clock = ManualClock()

    def mood(items: list[Any]) -> None:
        raise OSError("it is down")

    place = Place(mood)
    async with spool(place, tmp_path, retry=Retry(first=1, limit=60)).opened(clock=clock, flush=0) as live:
        await live.accept([1])
        await place.tried(1)

        def tried(count: int) -> bool:
            return len(place.attempts) > count

        pauses = list[float]()
        for count in range(1, 12):
            began = clock.monotonic()
            await passing(clock, live, partial(tried, count))
            pauses.append(clock.monotonic() - began)
    assert pauses[:6] == sorted(pauses[:6])
    assert pauses[0] < 10
    assert all(60 <= pause < 70 for pause in pauses[-3:])  # a second or two pass while files are read


async def test_a_list_that_the_sink_hangs_on_is_given_up_and_tried_again(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path, timeout=0.05).opened() as live:
        await live.accept([1, 2])
        await place.tried(2)
        state = await told(live, lambda state: bool(state.failing))
        assert state.failing == "TimeoutError: the sink did not take the list within 0.05 s"
        assert state.items == 2
        place.gate.set()
        await place.has(2)
    assert sorted(place.items) == [1, 2]


async def test_a_failure_is_charged_to_the_run_that_wrote_the_item(tmp_path: Path) -> None:
    place, letters = Place(refusing(10, 20)), Letters()
    async with spool(place, tmp_path).opened(dead_letters=letters) as live:
        for start, origin in (
            (0, Origin("first", "1", "a")),
            (10, Origin("second", "2", "b")),
            (20, Origin()),
        ):
            await live.accept(list(range(start, start + 10)), origin=origin)
        await place.has(28)
        for number in range(1000, 1020):
            await live.accept([number])
            await place.wrote(number)
        await letters.has(2)
    told = sorted((one.payload, one.flow, one.run, one.stage) for one in letters.taken)
    assert told == [(10, "second", "2", "b"), (20, "", "", "")]


async def test_what_a_chain_makes_a_dead_letter_of_is_charged_to_its_run(tmp_path: Path) -> None:
    place, letters = Place(gated=True), Letters()

    def odd(item: int) -> int:
        if item % 2:
            raise ValueError("odd")
        return item

    chain = Transform(odd, on_error="dead_letter") >> Sink(place)
    async with spool(chain, tmp_path).opened(dead_letters=letters) as live:
        await live.accept([0], origin=Origin("first", "0", "a"))
        await place.tried(1)
        await live.accept([1, 2], origin=Origin("first", "1", "a"))
        await live.accept([3, 4], origin=Origin("second", "2", "b"))
        place.gate.set()
        await letters.has(2)
    assert place.items == [0, 2, 4]
    assert [(one.payload, one.flow, one.run) for one in letters.taken] == [
        (1, "first", "1"),
        (3, "second", "2"),
    ]


async def test_of_a_list_of_which_more_fail_than_a_run_keeps_each_is_a_dead_letter(tmp_path: Path) -> None:
    letters, place = Letters(), Place()

    def never(item: int) -> int:
        if item < 1200:
            raise ValueError("never")
        return item

    chain = Transform(never, on_error="dead_letter") >> Sink(place)
    async with spool(chain, tmp_path, batch=1300).opened(dead_letters=letters) as live:
        await live.accept(list(range(1300)))
        await place.wrote(1299)
        await letters.has(1200)
    assert {one.payload for one in letters.taken} == set(range(1200))
    assert set(place.items) == set(range(1200, 1300))


async def test_a_batch_that_a_chain_gives_up_is_a_dead_letter_for_each_of_its_items(tmp_path: Path) -> None:
    letters = Letters()

    chain = Transform(int) >> Sink(Place(refusing(1, 2, 3)), batch=10, on_error="dead_letter")
    async with spool(chain, tmp_path).opened(dead_letters=letters) as live:
        await live.accept([1, 2, 3])
        await letters.has(3)
    assert [one.payload for one in letters.taken] == [1, 2, 3]


async def test_what_failed_alone_is_known_after_a_restart(tmp_path: Path) -> None:
    place, letters = Place(refusing(1)), Letters()
    async with away(place, tmp_path) as live:
        await live.accept([0, 1, 2])
        await told(live, lambda state: state.failed_alone == 1)
    async with spool(place, tmp_path).opened(dead_letters=letters) as live:
        assert (await live.state()).failed_alone == 1
        for number in range(1000, 1010):
            await live.accept([number])
            await place.wrote(number)
        await letters.has(1)
    assert letters.taken[0].payload == 1


async def test_an_item_has_the_same_key_each_time_it_is_written(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with away(place, tmp_path, whole=True) as live:
        await live.accept(["a", "b"], origin=Origin("flow", "9", "sink"))
        await live.accept(["c"], keys=["given"])
        await place.tried(1)
    place.gate.set()
    async with spool(place, tmp_path, whole=True, retry=FAST).opened():
        await place.has(3)
    first, again = place.attempts[0], place.items
    assert [item for item in again if item.payload == first[0].payload] == first[:1]
    assert again[0] == Spooled("a", again[0].key, "flow", "9", "sink")
    assert [item.key for item in again][2] == "given"
    assert len({item.key for item in again}) == 3


async def test_a_function_of_one_item_can_be_the_sink(tmp_path: Path) -> None:
    taken, done = list[int](), asyncio.Event()

    def write(item: int) -> None:
        taken.append(item)
        if len(taken) == 3:
            done.set()

    async with spool(write, tmp_path).opened() as live:
        await live.accept([1, 2, 3])
        await done.wait()
    assert taken == [1, 2, 3]


async def test_an_item_that_a_sink_in_a_chain_names_is_not_taken_for_another(tmp_path: Path) -> None:
    def named(items: list[Any]) -> None:
        if 5 in items:
            raise ItemRejected(items.index(5), "no such customer")

    place, letters = Place(named), Letters()
    async with spool(Sink(place, batch=2), tmp_path).opened(dead_letters=letters) as live:
        await live.accept(list(range(8)))
        await letters.has(1)
    assert [one.payload for one in letters.taken] == [5]
    assert set(place.items) == {0, 1, 2, 3, 4, 6, 7}


async def test_a_sink_that_names_items_is_not_waited_for(tmp_path: Path) -> None:
    def named(items: list[Any]) -> None:
        raise ItemRejected(0, "no such customer")

    place, letters, clock = Place(named), Letters(), ManualClock()  # whose time stands still
    async with spool(place, tmp_path, batch=2).opened(dead_letters=letters, clock=clock) as live:
        await live.accept(list(range(10)))
        await letters.has(10)
        assert (await live.state()).failing == ""
    assert place.items == []
