"""Logs, reports and what is shown live are kept with their runs; the newest runs of many flows: checks of all this."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

from piko_flow.store.ops_fitting import LINES
from piko_flow.store.ops_records import LogLine, RunDetail
from piko_flow.store.texts import TOLD
from piko_flow.testing.store_contract.scene import (
    START,
    Check,
    StoreUnderTest,
    end,
    ending,
    keep_log,
    keep_report,
    queue,
    start,
    wanted,
)

LINE: Final = LogLine(START, "WARNING", "orders.reading", "3 rows were late: 🦔", stage="read", attempt=2)
SECOND = timedelta(seconds=1)


async def lines_come_back_in_order_with_their_numbers(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        await keep_log(store, first.id, [LINE, replace(LINE, at=START - SECOND, stage="")])
        await keep_log(store, second.id, [replace(LINE, message="of another run")])
        await keep_log(other, first.id, [replace(LINE, message="third")])
        await keep_log(store, first.id, [])
        lines = await store.log(first.id)
        assert [line.number for line in lines] == [1, 2, 3]
        assert lines[0] == replace(LINE, number=1)
        assert lines[1] == replace(LINE, at=START - SECOND, stage="", number=2)
        assert await store.log(first.id, after=1) == lines[1:]
        assert await store.log(first.id, after=1, limit=1) == lines[1:2]
        assert [line.message for line in await store.log(second.id)] == ["of another run"]


async def where_logs_end_is_read_by_one_statement(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first, second, silent = await start(store, *(wanted(number) for number in range(3)))
        await keep_log(store, first.id, [LINE, LINE])
        await keep_log(store, second.id, [LINE])
        await keep_log(store, first.id, [LINE])
        before = store.statements
        found = await store.last_lines([first.id, second.id, silent.id, 999_999, first.id])
        assert store.statements == before + 1
        assert found == {first.id: 3, second.id: 1}
        assert await store.last_lines([]) == {}


async def lines_that_are_kept_at_once_get_different_numbers(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        [run] = await start(store, wanted(1))
        await asyncio.gather(*(keep_log(one, run.id, [LINE, LINE]) for one in (store, other, store, other)))
        assert [line.number for line in await store.log(run.id)] == list(range(1, 9))


async def a_run_that_is_gone_keeps_no_lines_and_no_report(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await keep_log(store, 999_999, [LINE])
        await keep_report(store, 999_999, 1, "{}")
        assert (await store.log(999_999), await store.reports(999_999)) == ([], {})


async def texts_of_lines_are_cut_to_their_columns(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        long = "🦔" * 20_000
        await keep_log(
            store, run.id, [LogLine(START, long, long, long, stage=long), replace(LINE, message="\0")]
        )
        cut, shown = await store.log(run.id)
        names = ("level", "logger", "message", "stage")
        assert [len(getattr(cut, name)) for name in names] == [TOLD[name] for name in names]
        assert shown.message == "\N{SYMBOL FOR NULL}"


async def the_log_of_a_run_has_a_bound(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        for _ in range(2):
            await keep_log(store, run.id, [replace(LINE, message="m")] * (LINES * 2 // 3))
        await keep_log(store, run.id, [LINE])
        assert [line.number for line in await store.log(run.id, after=LINES - 2)] == [LINES - 1, LINES]


async def reports_are_kept_by_attempt_and_replaced(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        first, second = await start(store, wanted(1), wanted(2))
        for attempt, text in ((2, '{"items": "🦔"}'), (1, "{}"), (2, '{"items": 2}')):
            await keep_report(store, first.id, attempt, text)
        assert await other.reports(first.id) == {1: "{}", 2: '{"items": 2}'}
        assert await store.reports(second.id) == {}


async def details_of_many_runs_are_kept_by_as_many_statements_as_those_of_one(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        runs = await start(store, *(wanted(number) for number in range(30)))
        line = replace(LINE, attempt=1)
        await store.keep_details([RunDetail(runs[0].id, lines=(line,))])
        sent = store.statements
        await store.keep_details([RunDetail(runs[0].id, 1, "{}", (line,))])
        for_one, sent = store.statements - sent, store.statements
        gone = RunDetail(999_999, 1, "{}", (line,))
        await store.keep_details([gone, *(RunDetail(run.id, 2, '"🦔"', (line, line)) for run in runs)])
        assert store.statements - sent == for_one
        for run in runs[1:]:
            assert await store.reports(run.id) == {2: '"🦔"'}
            assert [one.number for one in await store.log(run.id)] == [1, 2]
        assert await store.reports(runs[0].id) == {1: "{}", 2: '"🦔"'}
        assert [one.number for one in await store.log(runs[0].id)] == [1, 2, 3, 4]
        sent = store.statements
        await store.keep_details([])
        assert (store.statements - sent, await store.reports(999_999)) == (0, {})


async def of_details_of_one_run_that_come_together_each_is_kept(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        [run] = await start(store, wanted(1))
        says = [replace(LINE, message=message, number=place + 1) for place, message in enumerate("abc")]
        await store.keep_details(
            [
                RunDetail(run.id, 1, "1", (says[0],)),
                RunDetail(run.id, 2, "2", (says[1],)),
                RunDetail(run.id, 1, "3", (says[2],)),
            ]
        )
        assert await store.log(run.id) == says
        assert await store.reports(run.id) == {1: "3", 2: "2"}


async def what_a_replica_shows_replaces_all_that_it_showed_before(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.show_live("one", {1: '{"in": 1}', 2: "{}"})
        await other.show_live("two", {3: '{"in": "🦔"}'})
        await store.show_live("one", {2: '{"in": 2}'})
        found = await other.shown_live([1, 2, 3, 4])
        assert {run: text for run, (_, text) in found.items()} == {2: '{"in": 2}', 3: '{"in": "🦔"}'}
        assert all(at.tzinfo is not None for at, _ in found.values())
        assert set(await store.shown_live({3})) == {3}
        assert await store.shown_live([]) == {}
        await store.show_live("one", {})
        assert set(await store.shown_live([1, 2, 3])) == {3}


async def of_a_run_that_two_replicas_show_the_newest_is_told(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for replica in ("two", "one", "three"):
            await store.show_live(replica, {1: f'"{replica}"'})
        assert (await store.shown_live([1]))[1][1] == '"three"'


async def a_replica_that_leaves_takes_what_it_showed_with_it(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.show_live("one", {1: "{}"})
        await store.show_live("two", {2: "{}"})
        await store.leave("one")
        assert set(await store.shown_live([1, 2])) == {2}


async def details_go_with_their_run(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        gone, stays = await start(store, wanted(1), wanted(2))
        for run in (gone, stays):
            await keep_log(store, run.id, [LINE])
            await keep_report(store, run.id, 1, "{}")
        await store.show_live("one", {gone.id: "{}", stays.id: "{}"})
        await end(store, ending(gone))
        assert await store.prune(before=None, keep=0, limit=10) == 1
        assert (await store.log(gone.id), await store.reports(gone.id)) == ([], {})
        assert len(await store.log(stays.id)) == len(await store.reports(stays.id)) == 1
        assert set(await store.shown_live([gone.id, stays.id])) == {stays.id}


async def the_newest_runs_of_each_flow_are_read_by_one_statement(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        mail = await queue(store, *(wanted(number) for number in range(5)))
        orders = await queue(store, *(wanted(number, "orders") for number in range(2)))
        await end(store, ending((await start(store, wanted(9, "orders")))[0]))
        await queue(store, wanted(1, "Mail"))
        before = store.statements
        found = await store.recent_runs(["mail", "orders", "never"], 3)
        assert store.statements == before + 1
        assert [run.id for run in found["mail"]] == [run.id for run in reversed(mail[-3:])]
        assert [run.id for run in found["orders"]][1:] == [run.id for run in reversed(orders)]
        assert (set(found), found["mail"][0]) == ({"mail", "orders"}, mail[-1])
        assert found["orders"][0].end_time is not None
        assert await store.recent_runs([], 3) == {}
        assert await store.recent_runs(["mail"], 0) == {}


CHECKS: Final[tuple[Check, ...]] = (
    lines_come_back_in_order_with_their_numbers,
    where_logs_end_is_read_by_one_statement,
    lines_that_are_kept_at_once_get_different_numbers,
    a_run_that_is_gone_keeps_no_lines_and_no_report,
    texts_of_lines_are_cut_to_their_columns,
    the_log_of_a_run_has_a_bound,
    reports_are_kept_by_attempt_and_replaced,
    details_of_many_runs_are_kept_by_as_many_statements_as_those_of_one,
    of_details_of_one_run_that_come_together_each_is_kept,
    what_a_replica_shows_replaces_all_that_it_showed_before,
    of_a_run_that_two_replicas_show_the_newest_is_told,
    a_replica_that_leaves_takes_what_it_showed_with_it,
    details_go_with_their_run,
    the_newest_runs_of_each_flow_are_read_by_one_statement,
)
