"""What an error that ends a run says of the sinks that had written at once, and of the items that failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from html import unescape
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from piko_flow import Broadcast, ErrorBudgetExceeded, Filter, Sink, Source, Transform, run, start
from piko_flow.connectors.spool import Spool
from piko_flow.connectors.sql import SqlSink
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.testing import CollectingSink, items, until
from tests.runs import error_of, failure, stopped

INVERSES: Any = Transform(lambda number: 1 / number, on_error="skip")


class Plain:
    """An object that has no more than `write`."""

    def write(self, rows: Sequence[object]) -> None: ...


class Holding(Plain):
    """One that makes what it has visible later."""

    def commit(self, receipts: Sequence[object]) -> None: ...


@pytest.mark.parametrize("engine", [None, SubprocessEngine()], ids=["local", "subprocess"])
async def test_a_run_over_its_budget_says_which_rows_are_in_another_database(
    engine: Any, tmp_path: Path
) -> None:
    shop = tmp_path / "shop.db"
    with closing(connect(shop)) as database:
        database.execute("create table totals (id integer primary key)")
    target: SqlSink[Any] = SqlSink(table="totals", columns=["id"], key="id", url=f"sqlite:///{shop}")
    rows = Source([{"id": 1}, {"id": 2}, {}]) >> Transform(lambda row: row["id"], on_error="skip")
    pipeline = rows >> Transform(lambda number: {"id": number}) >> Sink(target, batch=1)
    caught = await error_of(pipeline, ErrorBudgetExceeded, max_errors=0.1, engine=engine)
    assert "What sink 'totals' wrote at once is there; nothing else was committed" in str(caught)
    with closing(connect(shop)) as database:
        assert database.execute("select id from totals").fetchall() == [(1,), (2,)]


async def test_sinks_that_wrote_nothing_or_commit_later_are_not_named(tmp_path: Path) -> None:
    called: list[float] = []
    spool: Spool[float] = Spool(Plain(), name="late", folder=tmp_path)
    sinks: Any = (
        Sink(called.append),
        Sink(Plain()),
        Sink(Holding()),
        Sink(spool, name="late"),
        CollectingSink(),
    )
    caught = await error_of(
        Source([1, 0]) >> INVERSES >> Broadcast(*sinks), ErrorBudgetExceeded, max_errors=0.1
    )
    assert caught.uncommitted_writes == ("append", "Plain", "late")
    assert called == [1.0]
    caught = await error_of(
        Source([0, 0]) >> INVERSES >> Broadcast(*sinks),
        ErrorBudgetExceeded,
        match="Nothing was committed",
        max_errors=0.1,
    )
    assert caught.uncommitted_writes == ()


async def test_a_run_that_stops_at_an_item_names_all_that_may_have_written() -> None:
    called: list[float] = []
    fails: Any = Transform(lambda number: 1 / number)
    caught = await failure(Source([1, 0]) >> fails >> Sink(called.append))
    assert (called, caught.uncommitted_writes) == ([1.0], ("append",))


async def three_and_then_nothing() -> AsyncIterator[int]:
    for number in range(3):
        yield number
    await asyncio.Event().wait()


@pytest.mark.parametrize("stop", ["drain", "cancel"])
async def test_the_report_of_a_stopped_run_names_the_sinks_whose_writes_are_not_taken_back(stop: str) -> None:
    called: list[int] = []
    sinks = Broadcast(Sink(called.append), CollectingSink())
    async with start(Source(three_and_then_nothing) >> sinks) as active:
        await until(lambda: called == [0, 1, 2])
        getattr(active, stop)()
        report = await active.wait()
    outcome = {"drain": "drained", "cancel": "cancelled"}[stop]
    assert (report.outcome, report.uncommitted_writes) == (outcome, ("append",))
    head = f"was {outcome}, what sink 'append' wrote at once is there; nothing else was committed: "
    for told in (str(report), unescape(report._repr_html_())):
        assert head in " ".join(told.split())
    assert report.to_dict()["uncommitted_writes"] == ("append",)


async def test_a_drained_run_names_no_sink_that_got_nothing_and_one_that_succeeded_names_none() -> None:
    seen: list[int] = []

    def nobody(number: int) -> bool:
        seen.append(number)
        return False

    report = await stopped(
        Source(three_and_then_nothing) >> Filter(nobody) >> Sink(str), "drain", until(lambda: len(seen) == 3)
    )
    assert report.uncommitted_writes == ()
    assert "was drained, nothing was committed: 3 items" in str(report)
    assert (await run(items(3) >> Sink(str))).uncommitted_writes == ()


@pytest.mark.parametrize("engine", [None, SubprocessEngine()], ids=["local", "subprocess"])
@pytest.mark.parametrize("allowed", [0, 0.1])
async def test_a_run_over_its_budget_tells_which_item_failed_first(allowed: float, engine: Any) -> None:
    pipeline = Source([1, 0, 0]) >> dying("inverses") >> Sink(str)
    caught = await error_of(pipeline, ErrorBudgetExceeded, max_errors=allowed, engine=engine)
    error = caught
    assert list(error.stages) == ["inverses"]
    if engine is None or allowed:  # else who of two processes is the first to see it decides
        assert f"The first: stage 'inverses' ({error.where}): ZeroDivisionError: division by zero" in str(
            error
        )
        assert (error.stage, error.item) == ("inverses", 0)
    if engine is None:
        assert isinstance(error.__cause__, ZeroDivisionError)


async def test_items_that_failed_at_several_stages_are_told_by_stage() -> None:
    two: Any = Transform(lambda number: 1 / (number - 0.5), on_error="skip", name="two")
    caught = await error_of(
        Source([2, 1, 0, 0]) >> dying("zero") >> two >> Sink(str), ErrorBudgetExceeded, max_errors=0.5
    )
    assert "3 of 4 items were skipped or became dead letters at 'zero' (2), 'two' (1); " in str(caught)
    assert "The first: stage 'two' " in str(caught)


def dying(name: str) -> Any:
    """A stage at which zero becomes a dead letter."""

    def inverse(number: int) -> float:
        return 1 / number

    return Transform(inverse, on_error="dead_letter", name=name)
