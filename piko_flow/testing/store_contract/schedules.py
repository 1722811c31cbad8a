"""Schedule rows and the digest over them: checks of ScheduleStore."""

from __future__ import annotations

import asyncio
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from piko_flow.store.batch import Batch, PlannedFires
from piko_flow.store.protocols import Store
from piko_flow.store.records import FlowRecord, ScheduleRecord
from piko_flow.testing.store_contract.raising import raises
from piko_flow.testing.store_contract.scene import (
    HOUR,
    START,
    Check,
    StoreUnderTest,
    end,
    ending,
    plan,
    schedule,
    shown,
    take,
)

EVERYTHING: Final = ScheduleRecord(
    flow="orders",
    schedule_type="date",
    schedule_expr='{"run_date": "2026-03-28 23:30:00"}',
    timezone="Europe/Berlin",
    enabled=False,
    misfire_grace=timedelta(seconds=17),
    coalesce=False,
    max_instances=3,
    jitter=timedelta(seconds=5),
    executor="io",
    concurrency_group="heavy",
    is_stateful=True,
    last_data_time=START,
    max_lookback_window=24,
    completed_at=START + HOUR,
    version=5,
    updated_at=START,
)
"""A row in which no column has its default."""


async def a_row_comes_back_as_it_was_written(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        assert await store.add_schedules([EVERYTHING]) == ["orders"]
        [row] = await store.schedules()
        assert replace(row, updated_at=START) == EVERYTHING
        assert row.updated_at is not None


async def a_row_without_more_has_the_defaults_of_the_server(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        [row] = await store.schedules()
        assert replace(row, updated_at=None) == schedule()


async def a_row_that_is_there_is_not_added_again(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(max_instances=2)])
        assert await store.add_schedules([schedule(), schedule("mail")]) == ["mail"]
        assert {row.flow: row.max_instances for row in await store.schedules()} == {"orders": 2, "mail": 1}


async def replicas_that_start_at_once_make_each_row_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        rows = [schedule(f"flow {number}") for number in range(20)]
        made = await asyncio.gather(store.add_schedules(rows), other.add_schedules(rows[::-1]))
        assert sorted([*made[0], *made[1]]) == sorted(row.flow for row in rows)
        assert len(await store.schedules()) == 20


async def a_row_that_is_set_counts_its_versions(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        first = await store.set_schedule(schedule(version=40))
        second = await store.set_schedule(schedule(enabled=False, version=40))
        assert (first.version, second.version) == (1, 2)
        assert await store.schedules() == [second]
        assert not second.enabled


async def setting_a_row_leaves_its_last_data_time(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.set_schedule(schedule(last_data_time=START))
        again = await store.set_schedule(schedule(last_data_time=START + HOUR))
        assert again.last_data_time == START
        assert await shown(store) == START


async def a_deleted_row_is_gone_and_what_is_known_of_its_windows_stays(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        [run] = await take(store, *await plan(store, 0, 1))
        await end(store, ending(run))
        assert await store.delete_schedule("orders")
        assert not await store.delete_schedule("orders")
        assert await store.schedules() == []
        assert (await store.states(["orders"]))["orders"].watermark == START + HOUR


async def equal_content_has_an_equal_digest_on_every_handle(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.add_schedules([schedule(), schedule("mail")])
        await store.set_config("orders", '{"a": 1}', schema_version=1, effective_from=None)
        first, second = await store.digest(), await other.digest()
        assert (first.schedules, first.configs) == (second.schedules, second.configs)
        assert second.now >= first.now
        assert first.now.tzinfo is UTC


async def a_change_of_any_column_changes_the_digest_and_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await stores.edit(EVERYTHING)
        unchanged = await _digest(store)
        seen = {unchanged}
        for column in fields(ScheduleRecord):
            if column.name in ("flow", "updated_at", "unreadable"):
                continue
            default = getattr(schedule(), column.name)
            await stores.edit(replace(EVERYTHING, **{column.name: default}))
            changed = await _digest(store)
            assert changed not in seen, f"{column.name} has changed, the digest has not"
            seen.add(changed)
        await stores.edit(EVERYTHING)
        assert await _digest(store) == unchanged


async def rows_that_come_and_go_change_the_digest(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        one = await _digest(store)
        await store.add_schedules([schedule("mail")])
        two = await _digest(store)
        await store.delete_schedule("orders")
        three = await _digest(store)
        assert len({one, two, three}) == 3


async def values_that_move_to_the_next_column_change_the_digest(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await stores.edit(replace(EVERYTHING, executor="ab", concurrency_group="c"))
        before = await _digest(store)
        await stores.edit(replace(EVERYTHING, executor="a", concurrency_group="bc"))
        assert await _digest(store) != before


async def what_the_store_writes_into_last_data_time_leaves_the_digest_as_it_is(
    stores: StoreUnderTest,
) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        first, second = await take(store, *await plan(store, 0, 2))
        await end(store, ending(first))
        before = await _digest(store)
        await end(store, ending(second))
        assert await shown(store) == START + 2 * HOUR
        assert await _digest(store) == before


async def what_a_person_writes_into_last_data_time_changes_the_digest(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        [run] = await take(store, *await plan(store, 0, 1))
        await end(store, ending(run))
        before = await _digest(store)
        [row] = await store.schedules()
        await stores.edit(replace(row, last_data_time=START + timedelta(microseconds=1)))
        assert await _digest(store) != before


async def a_digest_is_one_statement(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(f"flow {number}") for number in range(300)])
        before = store.statements
        await store.digest()
        assert store.statements - before == 1


async def a_flow_is_paused_once_and_resumed_once(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        assert await store.pause("orders", "by hand")
        assert not await other.pause("orders", "for another reason")
        assert await store.flows() == [FlowRecord("orders", paused="by hand")]
        assert await other.pause("orders", "")
        assert not await store.pause("orders", "")
        assert not any(flow.paused for flow in await store.flows())


async def what_is_known_of_some_flows_is_read_without_the_others(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        for flow in ("orders", "mail", "zoo"):
            await store.pause(flow, "by hand")
        every = await store.flows()
        before = store.statements
        assert await store.flows(["zoo", "nobody", "mail"]) == [one for one in every if one.flow != "orders"]
        assert store.statements - before == 1
        assert await store.flows([]) == []


async def a_pause_changes_the_digest_until_it_is_over(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        before = await _digest(store)
        await store.pause("orders", "by hand")
        assert await _digest(store) != before
        await store.pause("orders", "")
        assert await _digest(store) == before


async def refusals_are_kept_until_they_are_cleared(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.note_refusals({"orders": "no such zone: Europe/Berlim", "mail": "bad cron"})
        await store.note_refusals({"orders": "no such zone: Europe/Berlinn", "mail": ""})
        refused = {flow.flow: flow.refused for flow in await store.flows() if flow.refused}
        assert refused == {"orders": "no such zone: Europe/Berlinn"}


async def fires_that_have_become_rows_are_remembered_and_never_taken_back(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.write(Batch("one", planned=[PlannedFires("mail", START + HOUR, "hourly")]))
        await store.write(Batch("one", planned=[PlannedFires("mail", START, "daily")]))
        assert await store.flows() == [FlowRecord("mail", planned_until=START + HOUR, schedule="daily")]


async def a_date_that_was_dealt_with_is_noted_in_its_row(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule()])
        await store.complete("orders", START)
        await store.complete("not there", START)
        [row] = await store.schedules()
        assert (row.completed_at, row.version) == (START, 1)


async def moments_of_other_zones_come_back_in_utc_and_naive_ones_are_refused(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        kathmandu = timezone(timedelta(hours=5, minutes=45))
        await store.set_schedule(schedule(last_data_time=START.astimezone(kathmandu)))
        last = await shown(store)
        assert last == START
        assert last is not None
        assert last.tzinfo is UTC
        await raises(ValueError, store.set_schedule(schedule("mail", last_data_time=datetime(2026, 1, 1))))
        assert [row.flow for row in await store.schedules()] == ["orders"]


async def _digest(store: Store) -> str:
    return (await store.digest()).schedules


async def a_mark_is_another_one_when_its_row_or_its_pause_is(stores: StoreUnderTest) -> None:
    async with stores.open() as store, stores.open() as other:
        await store.add_schedules([schedule(), schedule("mail")])
        first = await store.schedule_marks()
        assert sorted(first) == ["mail", "orders"]
        assert await other.schedule_marks() == first
        await store.set_schedule(replace(schedule(), max_instances=7))
        second = await store.schedule_marks()
        assert (second["mail"], second["orders"] != first["orders"]) == (first["mail"], True)
        await store.pause("mail", "by hand")
        third = await store.schedule_marks()
        assert (third["orders"], third["mail"] != second["mail"]) == (second["orders"], True)
        await store.pause("mail", "")
        assert await store.schedule_marks() == second


async def rows_are_read_together_with_their_marks(stores: StoreUnderTest) -> None:
    async with stores.open() as store:
        await store.add_schedules([schedule(), schedule("mail"), schedule("zoo")])
        await store.pause("mail", "by hand")
        marks = await store.schedule_marks()
        found = await store.marked_schedules(["zoo", "mail", "nobody"])
        assert [(one.row.flow, one.paused) for one in found] == [("mail", "by hand"), ("zoo", "")]
        assert [one.mark for one in found] == [marks["mail"], marks["zoo"]]
        rows = {row.flow: row for row in await store.schedules()}
        assert [one.row for one in found] == [rows["mail"], rows["zoo"]]
        assert await store.marked_schedules([]) == []


CHECKS: Final[tuple[Check, ...]] = (
    a_row_comes_back_as_it_was_written,
    a_row_without_more_has_the_defaults_of_the_server,
    a_row_that_is_there_is_not_added_again,
    replicas_that_start_at_once_make_each_row_once,
    a_row_that_is_set_counts_its_versions,
    setting_a_row_leaves_its_last_data_time,
    a_deleted_row_is_gone_and_what_is_known_of_its_windows_stays,
    equal_content_has_an_equal_digest_on_every_handle,
    a_change_of_any_column_changes_the_digest_and_back,
    rows_that_come_and_go_change_the_digest,
    values_that_move_to_the_next_column_change_the_digest,
    what_the_store_writes_into_last_data_time_leaves_the_digest_as_it_is,
    what_a_person_writes_into_last_data_time_changes_the_digest,
    a_digest_is_one_statement,
    a_flow_is_paused_once_and_resumed_once,
    what_is_known_of_some_flows_is_read_without_the_others,
    a_pause_changes_the_digest_until_it_is_over,
    a_mark_is_another_one_when_its_row_or_its_pause_is,
    rows_are_read_together_with_their_marks,
    refusals_are_kept_until_they_are_cleared,
    fires_that_have_become_rows_are_remembered_and_never_taken_back,
    a_date_that_was_dealt_with_is_noted_in_its_row,
    moments_of_other_zones_come_back_in_utc_and_naive_ones_are_refused,
)
