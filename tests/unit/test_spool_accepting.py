"""A spool accepts durably, within bounds, and removes what the sink has acknowledged."""

from __future__ import annotations

import asyncio
import pwd
import stat
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from piko_flow import Sink, Source, run
from piko_flow.app import letter_folder
from piko_flow.connectors.spool import NotKept, Spool, SpoolClosed, SpoolRefused, SpoolUnavailable
from piko_flow.dataflow.stages.sink import Part, Receipt, SinkTarget
from piko_flow.settings import Settings
from piko_flow.testing import ManualClock
from tests.unit.spooling import PATIENCE, Place, away, files, spool, told


async def test_what_is_accepted_is_written_in_order_and_leaves_nothing_behind(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        for number in range(100):
            await live.accept([number, number + 0.5])
    assert place.items == [one for number in range(100) for one in (number, number + 0.5)]
    assert files(tmp_path, "") == [tmp_path / "orders"]


async def test_a_run_ends_when_its_items_are_accepted_and_the_spool_writes_them(tmp_path: Path) -> None:
    place = Place()
    report = await run(Source(range(2500)) >> Sink(spool(place, tmp_path), batch=500))
    assert place.items == list(range(2500))
    assert report.written[0].startswith("spool orders: 2,500 items accepted")


async def test_an_item_is_kept_until_the_sink_has_acknowledged_it(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path).opened() as live:
        await live.accept(["a"])
        await place.tried(1)
        assert (await live.state()).items == 1
        place.gate.set()
        await place.has(1)
        assert (await told(live, lambda state: state.items == 0)).written == 1


async def test_what_a_process_leaves_the_next_one_writes_first(tmp_path: Path) -> None:
    closed = Place(gated=True)
    async with away(closed, tmp_path) as live:
        await live.accept(["old"])
    assert closed.lists == []
    place = Place(gated=True)
    async with spool(place, tmp_path).opened() as live:
        await live.accept(["new"])
        place.gate.set()
        await place.has(2)
    assert place.items == ["old", "new"]
    assert files(tmp_path) == []


async def test_accept_waits_while_the_spool_has_its_number_of_items(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path, items=10, batch=5).opened() as live:
        await live.accept(list(range(10)))
        waits = asyncio.create_task(live.accept([10]))
        await place.tried(1)
        assert not waits.done()
        assert (await live.state()).items == 10
        place.gate.set()
        await waits
        await place.has(11)
    assert place.items == list(range(11))


async def test_accept_waits_while_the_spool_has_its_number_of_bytes(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path, bytes=1000).opened() as live:
        await live.accept(["a" * 900])
        waits = asyncio.create_task(live.accept(["b" * 900]))
        await place.tried(1)
        state = await live.state()
        assert not waits.done()
        assert (state.items, state.bytes) == (1, 904)
        place.gate.set()
        await waits
    assert place.items == ["a" * 900, "b" * 900]


async def test_a_list_beyond_the_bounds_is_let_in_alone(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path, items=3, batch=4).opened() as live:
        await live.accept(list(range(9)))
    assert place.lists == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


async def test_cancelling_one_who_waits_for_room_changes_nothing(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path, items=1).opened() as live:
        await live.accept(["a"])
        waits = asyncio.create_task(live.accept(["b"]))
        await place.tried(1)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        place.gate.set()
        await live.accept(["c"])
    assert place.items == ["a", "c"]


async def test_what_waits_is_written_in_lists_of_the_given_size(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path, batch=4).opened() as live:
        for number in range(11):
            await live.accept([number])
            await place.tried(1)
        place.gate.set()
    assert place.lists == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_a_fuller_list_is_waited_for_as_long_as_the_first_item_may_wait(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path, batch=3, within=3600).opened() as live:
        for number in range(7):
            await live.accept([number])
        await place.has(6)
        assert place.lists == [[0, 1, 2], [3, 4, 5]]
    assert place.lists[2:] == [[6]]  # leaving waits for nothing


async def test_a_short_list_is_written_when_its_time_is_over_and_not_before(tmp_path: Path) -> None:
    place, clock = Place(), ManualClock()
    began = clock.now()
    async with spool(place, tmp_path, batch=2, within=60).opened(clock=clock) as live:
        await live.accept([1])
        async with asyncio.timeout(PATIENCE):
            while clock.next_wake != began + timedelta(seconds=60):
                assert place.attempts == []
                await live.state()  # the files have their own thread, which the clock does not wait for
        await clock.advance(59)
        assert place.attempts == []
        await clock.advance(1)
        await place.has(1)


async def test_a_list_with_an_item_that_cannot_be_kept_is_refused_whole(tmp_path: Path) -> None:
    place = Place()
    async with spool(place, tmp_path).opened() as live:
        with pytest.raises(NotKept, match=r"item 1 of the list cannot be kept: .*object") as caught:
            await live.accept([1, object(), 2])
        assert caught.value.index == 1
        await live.accept([3])
    assert place.items == [3]


async def test_as_many_keys_as_items_are_asked_for(tmp_path: Path) -> None:
    async with spool(Place(), tmp_path).opened() as live:
        with pytest.raises(ValueError, match="got 2 items and 1 key"):
            await live.accept([1, 2], keys=["a"])


async def test_a_closed_spool_accepts_nothing_and_wakes_who_waits(tmp_path: Path) -> None:
    place = Place(gated=True)
    async with spool(place, tmp_path, items=1).opened(flush=0) as live:
        await live.accept([1])
        waits = asyncio.create_task(live.accept([2]))
        await place.tried(1)
    with pytest.raises(SpoolClosed, match="'orders' is closed"):
        await waits
    with pytest.raises(SpoolClosed):
        await live.accept([3])


async def test_a_spool_that_is_not_open_has_no_state(tmp_path: Path) -> None:
    live = spool(Place(), tmp_path).opened()
    with pytest.raises(SpoolClosed, match="'orders' is closed"):
        await live.state()
    async with live:
        assert (await live.state()).items == 0
    with pytest.raises(SpoolClosed, match="'orders' is closed"):
        await live.state()


class Holding(SinkTarget[int]):
    """A target whose hold cannot be given back."""

    async def lock(self, run: str) -> AbstractAsyncContextManager[None]:
        return self._held()

    async def write(self, items: Sequence[int]) -> None:
        pass

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        return []

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        yield
        raise OSError("the pool is gone")


async def test_a_sink_that_cannot_give_back_its_hold_leaves_no_thread_and_no_open_file(
    tmp_path: Path,
) -> None:
    live = await spool(Holding(), tmp_path).opened().__aenter__()
    await live.accept([1])
    with pytest.raises(OSError, match="the pool is gone"):
        await live.__aexit__(None, None, None)
    assert [one.name for one in threading.enumerate() if one.name == "piko-flow spool orders"] == []
    assert files(tmp_path, "") == [tmp_path / "orders"]
    async with spool(Place(), tmp_path).opened() as again:
        assert (await again.state()).strange == {}


class Table(SinkTarget[int]):
    """A target whose lists are there as soon as they are written, or one that commits."""

    def __init__(self, *, acknowledges: bool) -> None:
        self.acknowledges = acknowledges
        self.steps: list[str] = []

    async def open(self, part: Part) -> None:
        await super().open(part)
        self.steps.append("open")

    async def write(self, items: Sequence[int]) -> None:
        if items[0] == 2 and self.steps.count("error") == 0:
            self.steps.append("error")
            raise OSError("it is away")
        self.steps.append(f"write {items[0]}")

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        self.steps.append("commit")
        return []

    async def abort(self) -> None:
        self.steps.append("abort")


@pytest.mark.parametrize(
    ("acknowledges", "steps"),
    [
        (True, ["open", "write 1", "error", "abort", "open", "write 2", "write 3", "abort"]),
        (
            False,
            [
                *("open", "write 1", "commit", "open", "error", "abort"),
                *("open", "write 2", "commit", "open", "write 3", "commit"),
            ],
        ),
    ],
)
async def test_each_list_is_committed_unless_the_target_acknowledges_what_it_writes(
    tmp_path: Path, acknowledges: bool, steps: list[str]
) -> None:
    table = Table(acknowledges=acknowledges)
    async with spool(table, tmp_path).opened() as live:
        for number in (1, 2, 3):
            await live.accept([number])
            await told(live, lambda state: state.items == 0)
    assert table.steps == steps


async def test_only_the_user_can_enter_the_folder_and_read_the_files(tmp_path: Path) -> None:
    async with spool(Place(), tmp_path / "new" / "place").opened() as live:
        await live.accept([1])
        (file,) = files(tmp_path)
        modes = [path.stat().st_mode for path in (live.folder, tmp_path / "new", file)]
        assert list(map(stat.S_IMODE, modes)) == [0o700, 0o700, 0o600]


async def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "orders"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(SpoolUnavailable, match=r"other users may write in it; .* chmod go-w"):
        async with spool(Place(), tmp_path).opened():
            raise AssertionError("it was opened")


async def test_by_default_the_folder_is_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    live = Spool(Place(), name="a/b").opened()
    assert live.folder == tmp_path / "piko-flow" / "spool" / "a%2fb"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    live = Spool(Place(), name="orders").opened()
    assert live.folder == tmp_path / "home" / ".local" / "state" / "piko-flow" / "spool" / "orders"


def test_a_user_without_a_home_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody(user: int) -> NoReturn:
        raise KeyError(user)

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert letter_folder(Settings()) is None
    with pytest.raises(SpoolRefused, match=r"this user has no home\. Give it folder="):
        Spool(Place(), name="orders").opened()
    assert spool(Place(), tmp_path).opened().folder == tmp_path / "orders"
