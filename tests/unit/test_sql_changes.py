"""A source of changes: slice by slice what is new or changed since, by a column that grows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from piko_flow import PipelineError, Sink, StageFailed, run
from piko_flow.connectors.sql import SqlChanges, SqlRefused
from tests.unit.sql_by_hand import MINUTE, NOON, Order, Tables, ids, order, orders

DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def tables(database_url: str) -> Tables:
    """Ten orders in each kind of database, one a minute from noon on."""
    made = await Tables(database_url).make()
    await made.fill(*orders(*range(10)))
    return made


async def slice_of(source: SqlChanges[Any], since: Any = None) -> tuple[list[int], Any, bool]:
    """The ids of one slice, its place as it is stored, and whether there may be more."""
    taken: list[Any] = []
    report = await run(source >> Sink(taken.append), since=since)
    return ids(taken), json.loads(json.dumps(report.position)), report.more


def changes(tables: Tables, **options: Any) -> SqlChanges[Any]:
    """The changes of orders, as tuples that begin with the id."""
    chosen = {"column": "placed_at", "key": "id", "columns": ["id", "customer"], **options}
    return SqlChanges(tables.url, "orders", rows=tuple, **chosen)


@pytest.mark.parametrize("by", [{}, {"column": "id", "key": None}, {"column": "id", "key": "id"}], ids=str)
@pytest.mark.parametrize("page", [1, 3, 5000])
async def test_slices_follow_each_other_without_gap_or_repetition(
    tables: Tables, by: dict[str, Any], page: int
) -> None:
    source, place, found = changes(tables, max_items=4, page=page, **by), None, []
    for expected in (4, 4, 2):
        taken, place, more = await slice_of(source, place)
        assert (len(taken), more) == (expected, expected == 4)
        found += taken
    assert found == list(range(10))


async def test_what_has_come_or_changed_since_is_given_by_the_next_slice(tables: Tables) -> None:
    source = changes(tables)
    _, place, _ = await slice_of(source)
    assert await slice_of(source, place) == ([], place, False)
    await tables.fill(order(99))
    await tables.rows("UPDATE orders SET placed_at = :at WHERE id = 3", {"at": NOON + 200 * MINUTE})
    taken, place, _ = await slice_of(source, place)
    assert taken == [99, 3]
    assert (await slice_of(source, place))[0] == []


async def test_rows_with_the_same_value_are_told_apart_by_key(tables: Tables) -> None:
    await tables.rows("UPDATE orders SET placed_at = :at", {"at": NOON})
    source, place, found = changes(tables, max_items=3, page=2), None, []
    for _ in range(4):
        taken, place, _ = await slice_of(source, place)
        found += taken
    assert found == list(range(10))


async def test_rows_are_left_until_they_are_so_late(tables: Tables) -> None:
    await tables.fill(order(49), order(50, placed_at=NOON + 300_000 * DAY))
    await tables.rows("UPDATE orders SET placed_at = CURRENT_TIMESTAMP WHERE id = 49")
    taken, place, more = await slice_of(changes(tables, late=3 * DAY))
    assert (taken, more) == (list(range(10)), False)
    assert (await slice_of(changes(tables), place))[0] == [49, 50]


async def test_rows_without_a_value_are_left_out(tables: Tables) -> None:
    await tables.rows("UPDATE orders SET placed_at = NULL WHERE id < 7")
    assert (await slice_of(changes(tables)))[0] == [7, 8, 9]
    assert (await slice_of(changes(tables, late=60)))[0] == [7, 8, 9]


async def test_rows_are_dicts_or_models(tables: Tables) -> None:
    source = SqlChanges(tables.url, "orders", column="id", rows=Order)
    taken: list[Order] = []
    await run(source >> Sink(taken.append))
    assert taken == orders(*range(10))
    rows: list[dict[str, Any]] = []
    await run(SqlChanges(tables.url, "orders", column="id") >> Sink(rows.append))
    assert [row["id"] for row in rows] == list(range(10))


async def test_a_select_is_read_too(tables: Tables) -> None:
    source = SqlChanges(
        tables.url,
        "SELECT id, customer FROM orders WHERE id > :least",
        values={"least": 6},
        rows=tuple,
        column="id",
    )
    assert (await slice_of(source))[0] == [7, 8, 9]


async def test_the_place_of_another_reading_is_refused(tables: Tables) -> None:
    _, place, _ = await slice_of(changes(tables, column="id", key=None))
    for wrong in (place, {"read": 3}, 7):
        with pytest.raises(StageFailed, match="a slice goes on where the one before it ended") as caught:
            await slice_of(changes(tables), wrong)
        assert isinstance(caught.value.__cause__, SqlRefused)


async def test_late_needs_a_time(tables: Tables) -> None:
    if tables.url.startswith("sqlite"):  # where a number is a time, too: seconds since 1970
        assert (await slice_of(changes(tables, column="id", late=60)))[0] == list(range(10))
        return
    with pytest.raises(StageFailed, match="late needs a column that is a time"):
        await slice_of(changes(tables, column="id", late=60))


async def test_a_slice_that_fails_says_no_place_and_is_read_again(tables: Tables) -> None:
    source, seen = changes(tables), list[int]()

    def explode(row: tuple[Any, ...]) -> None:
        seen.append(row[0])
        if len(seen) == 5:
            raise OSError("the line is dead")

    with pytest.raises(StageFailed, match="the line is dead"):
        await run(source >> Sink(explode))
    assert (await slice_of(source))[0] == list(range(10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "changes need the column that grows"),
        ({"column": "id", "late": 0}, "late must be a number of seconds"),
        ({"column": "id", "max_items": 0}, "max_items must be a whole number"),
        ({"column": "id", "on_error": "skip"}, "on_error of a source is for readers that can step over"),
        ({"column": "id", "rows": list}, "rows is dict, tuple or the class of a model"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        SqlChanges("sqlite:///x.db", "orders", **options)
    assert message in str(caught.value)
    assert "test_sql_changes.py:" in str(caught.value)
