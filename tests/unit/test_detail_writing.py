"""Details of runs wait for the store and are written together, in order, within bounds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

from piko_flow.control.runs import detail_writing
from piko_flow.control.runs.detail_writing import TOGETHER, TOGETHER_TEXT, DetailWriting
from piko_flow.errors import StoreUnavailable
from piko_flow.store.ops_records import RunDetail


class Kept:
    """A store that keeps what it is given, or is told to fail: `broken` are runs whose details it cannot keep."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.runs: list[int] = []
        self.shown: list[Mapping[int, str]] = []
        self.broken: set[int] = set()
        self.away = 0
        """How many questions get no answer."""
        self.meanwhile: Callable[[], None] = lambda: None

    async def ask(self, write: Callable[..., Awaitable[None]]) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable(what="keep", reason="away")
        await write(self)

    async def keep_details(self, details: Sequence[RunDetail]) -> None:
        self.asked.append([detail.run for detail in details])
        self.meanwhile()
        if self.broken & set(self.asked[-1]):
            raise ValueError("no")
        self.runs += self.asked[-1]

    async def show_live(self, replica: str, texts: Mapping[int, str]) -> None:
        self.shown.append(texts)


def writing_of(kept: Kept, *runs: int) -> DetailWriting:
    writing = DetailWriting(kept.ask, "one")
    for run in runs:
        writing.add(RunDetail(run, report="{}"))
    return writing


async def test_what_waits_is_asked_for_at_once_in_order_and_in_bounded_groups() -> None:
    kept, runs = Kept(), range(2 * TOGETHER + 1)
    await writing_of(kept, *runs).write()
    assert [len(asked) for asked in kept.asked] == [TOGETHER, TOGETHER, 1]
    assert kept.runs == list(runs)


async def test_long_reports_are_written_in_smaller_groups() -> None:
    kept = Kept()
    writing = writing_of(kept)
    for run in range(3):
        writing.add(RunDetail(run, report="x" * (TOGETHER_TEXT // 2 + 1)))
    await writing.write()
    assert kept.asked == [[0], [1], [2]]


async def test_one_that_cannot_be_kept_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    kept.broken = {2}
    writing = writing_of(kept, 1, 2, 3)
    await writing.write()
    assert (kept.runs, writing.waiting) == ([1, 3], False)
    assert len([one for one in caplog.records if one.levelno >= logging.ERROR]) == 1


async def test_while_the_store_is_away_all_waits_in_order() -> None:
    kept = Kept()
    writing = writing_of(kept, 1, 2)
    writing.show({1: "{}"})
    kept.away = 1
    await writing.write()
    assert (kept.runs, kept.shown, writing.waiting) == ([], [], True)
    writing.add(RunDetail(3, report="{}"))
    await writing.write()
    assert (kept.runs, kept.shown, writing.waiting) == ([1, 2, 3], [{1: "{}"}], False)


async def test_what_was_written_one_by_one_is_not_written_again_when_the_store_goes_away() -> None:
    kept = Kept()
    kept.broken = {3}

    def goes() -> None:
        kept.away = int(kept.asked[-1] == [1])

    kept.meanwhile = goes
    writing = writing_of(kept, 1, 2, 3)
    await writing.write()
    assert kept.runs == [1]
    kept.broken = set()
    await writing.write()
    assert kept.runs == [1, 2, 3]


async def test_who_is_cancelled_while_the_store_is_asked_loses_nothing() -> None:
    kept = Kept()
    writing, asked = writing_of(kept, 1, 2), asyncio.Event()

    async def never(_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    writing._ask = never
    task = asyncio.create_task(writing.write())
    await asked.wait()
    task.cancel()
    await asyncio.wait([task])
    writing._ask = kept.ask
    await writing.write()
    assert kept.runs == [1, 2]


@pytest.mark.parametrize("bound", ["MOST", "MOST_TEXT"])
async def test_where_too_many_wait_the_oldest_go_and_it_is_told(
    bound: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(detail_writing, bound, 2 if bound == "MOST" else 4)
    kept = Kept()
    await writing_of(kept, 1, 2, 3, 4).write()
    assert kept.runs == [3, 4]
    assert "2 lists of log lines or reports of runs were not kept" in caplog.text
