"""A source of tables and SELECTs: every row once, in order, in pieces, within a window or a range of keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from piko_flow import PipelineError, Sink, StageFailed, Window, run
from piko_flow.connectors.sql import DatabaseFailed, SqlSource
from piko_flow.connectors.sql_query import KeyRange
from tests.unit.sql_by_hand import MINUTE, NOON, Order, Tables, ids, orders

COUNT = 23
ALL = range(COUNT)


@pytest_asyncio.fixture
async def tables(database_url: str) -> Tables:
    """Orders in each kind of database, one a minute from noon on."""
    made = await Tables(database_url).make()
    await made.fill(*orders(*ALL))
    return made


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'x.db'}"


class Own(SQLModel, registry=registry()):
    """The base of tables whose names other modules use too."""


class Placed(Own, table=True):
    __tablename__ = "orders"  # pyright: ignore[reportAssignmentType]  # as SQLModel wants it

    id: int = Field(primary_key=True)
    customer: str


async def test_rows_are_dicts_by_default(tables: Tables) -> None:
    found = await SqlSource(tables.url, "orders", key="id").collect()
    assert [row["id"] for row in found] == list(ALL)
    assert set(found[0]) == {"id", "customer", "amount", "placed_at"}


@pytest.mark.parametrize("key", [None, "id"])
@pytest.mark.parametrize("page", [1, 4, COUNT, 5000])
async def test_every_row_comes_once_and_in_order_whatever_the_page(
    tables: Tables, key: str | None, page: int
) -> None:
    source = SqlSource(
        tables.url, "orders", rows=tuple, columns=["customer", "id"], key=key, page=page, name="orders"
    )
    assert await source.collect() == [("ann", number) for number in ALL]


async def test_rows_become_models_whose_instants_are_in_utc(tables: Tables) -> None:
    found = await SqlSource(tables.url, "orders", rows=Order, key="id").collect()
    assert found == orders(*ALL)
    assert {one.placed_at.utcoffset() for one in found} == {timedelta(0)}
    assert isinstance(found[0].amount, Decimal)


class Strict(BaseModel):
    id: int = Field(lt=5)


async def test_a_row_that_the_model_refuses_is_settled(tables: Tables) -> None:
    source = SqlSource(tables.url, "orders", rows=Strict, key="id", page=3, on_error="dead_letter")
    taken: list[Strict] = []
    report = await run(source >> Sink(taken.append))
    assert [one.id for one in taken] == list(range(5))
    assert [letter.item["id"] for letter in report.dead_letters] == list(range(5, COUNT))
    with pytest.raises(StageFailed, match="less than 5"):
        await SqlSource(tables.url, "orders", rows=Strict, key="id").collect()


async def test_a_class_of_SQLModel_brings_table_columns_and_key(tables: Tables) -> None:  # noqa: N802
    source = SqlSource(tables.url, Placed, rows=tuple, page=5)
    assert await source.collect() == [(number, "ann") for number in ALL]
    assert source.items.query.order == ("id",)


@pytest.mark.parametrize("key", [None, "id"])
async def test_a_select_is_read_like_a_table(tables: Tables, key: str | None) -> None:
    select = "SELECT id, customer AS who FROM orders WHERE id >= :least AND customer LIKE :like AND id < :least + 9"
    source = SqlSource(tables.url, select, rows=tuple, key=key, values={"least": 7, "like": "%n%"}, page=2)
    assert sorted(await source.collect()) == [(number, "ann") for number in range(7, 16)]


async def test_the_values_of_a_select_may_be_instants(tables: Tables) -> None:
    select = "SELECT id FROM orders WHERE placed_at >= :start AND placed_at < :end"
    values = {"start": NOON + 3 * MINUTE, "end": NOON + 5 * MINUTE}
    assert await SqlSource(tables.url, select, rows=tuple, key="id", values=values).collect() == [(3,), (4,)]


@pytest.mark.parametrize("key", [None, "id"])
async def test_a_window_gives_the_rows_from_its_start_up_to_its_end(tables: Tables, key: str | None) -> None:
    for first, last in ((0, 5), (5, 9), (9, 400)):
        window = Window(NOON + first * MINUTE, NOON + last * MINUTE)
        source = SqlSource(
            tables.url,
            "orders",
            rows=tuple,
            columns=["id"],
            key=key,
            window=window,
            column="placed_at",
            page=2,
        )
        assert ids(await source.collect()) == list(range(first, min(last, COUNT)))


async def test_windows_tile_however_the_instants_are_kept_in_sqlite(tmp_path: Path) -> None:
    tables = await Tables(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}").make()
    for how in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "epoch"):
        await tables.rows("DROP TABLE IF EXISTS told")
        await tables.rows(
            f"CREATE TABLE told (id INTEGER PRIMARY KEY, at {'REAL' if how == 'epoch' else 'TEXT'})"
        )
        moments = [NOON + number * MINUTE for number in range(4)]
        kept = [one.timestamp() if how == "epoch" else one.strftime(how) for one in moments]
        await tables.rows(
            "INSERT INTO told VALUES (:id, :at)", *({"id": n, "at": at} for n, at in enumerate(kept))
        )
        for first in range(4):
            window = (moments[first], moments[first] + MINUTE)
            source = SqlSource(tables.url, "told", rows=tuple, key="id", window=window, column="at")
            assert ids(await source.collect()) == [first], how


async def test_rows_with_the_same_value_in_the_windows_column_are_paged_by_key(tables: Tables) -> None:
    await tables.rows("UPDATE orders SET placed_at = :at WHERE id < 9", {"at": NOON})
    window = (NOON, NOON + 11 * MINUTE)
    for page in (1, 2, 3, 9, 10):
        source = SqlSource(
            tables.url,
            "orders",
            rows=tuple,
            columns=["id"],
            key="id",
            window=window,
            column="placed_at",
            page=page,
        )
        assert await source.collect() == [(number,) for number in range(11)]


@pytest.mark.parametrize("splits", [1, 2, 3, 7, 40])
async def test_ranges_of_keys_are_units_that_together_give_every_row_once(
    tables: Tables, splits: int
) -> None:
    taken: list[int] = []
    source = SqlSource(tables.url, "orders", key="id", splits=splits)
    await run(source >> Sink(lambda row: taken.append(row["id"]), name="taken"))
    assert sorted(taken) == list(ALL)
    assert len(source.resolve_splits() or ()) == min(splits, -(-COUNT // -(-COUNT // splits)))


async def test_rows_beyond_the_keys_that_were_there_when_it_was_planned_are_read_too(tables: Tables) -> None:
    source = SqlSource(tables.url, "orders", rows=tuple, columns=["id"], key="id", splits=2)
    planned = source.resolve_splits()
    assert planned == [KeyRange(None, 12), KeyRange(12, None)]
    await tables.fill(*orders(-5, 1000))
    found: list[int] = []
    for split in planned:
        async for chunk in source.items.read_chunks(split, reject=lambda payload, error: None):
            found += ids(chunk)
    assert found == [-5, *ALL, 1000]


async def test_ranges_lie_in_the_window(tables: Tables) -> None:
    window = (NOON + 4 * MINUTE, NOON + 8 * MINUTE)
    source = SqlSource(tables.url, "orders", key="id", splits=2, window=window, column="placed_at")
    assert source.resolve_splits() == [KeyRange(None, 6), KeyRange(6, None)]


async def test_a_table_without_rows_gives_nothing(tables: Tables) -> None:
    await tables.rows("DELETE FROM orders")
    for options in ({}, {"key": "id"}, {"key": "id", "splits": 3}):
        assert await SqlSource(tables.url, "orders", **options).collect() == []


async def test_a_key_that_is_no_number_cannot_be_split(tables: Tables) -> None:
    source = SqlSource(tables.url, "orders", key="customer", splits=2)
    with pytest.raises(PipelineError, match="splits need a key that is a whole number"):
        await source.collect()


async def test_a_key_that_is_text_is_paged_by(tables: Tables) -> None:
    await tables.rows("UPDATE orders SET customer = :name || id", {"name": "c"}) if not tables.url.startswith(
        "mysql"
    ) else await tables.rows("UPDATE orders SET customer = CONCAT('c', id)")
    source = SqlSource(tables.url, "orders", rows=tuple, columns=["customer"], key="customer", page=4)
    assert await source.collect() == sorted((f"c{number}",) for number in ALL)


async def test_reading_in_pages_sees_what_is_written_behind_it(tables: Tables) -> None:
    source = SqlSource(tables.url, "orders", rows=tuple, columns=["id"], key="id", page=10)
    found: list[int] = []
    async for chunk in source.items.read_chunks(None, reject=lambda payload, error: None):
        found += ids(chunk)
        if len(found) == 10:
            await tables.fill(*orders(100))
    assert found == [*ALL, 100]


async def test_a_reader_that_stops_early_leaves_no_connection(tables: Tables) -> None:
    for key in (None, "id"):
        assert len(SqlSource(tables.url, "orders", key=key, page=2).take(3)) == 3
    await tables.rows("DROP TABLE orders")  # which waits for readers where it may


async def test_a_table_that_is_not_there_is_told(tables: Tables) -> None:
    with pytest.raises(StageFailed, match="could not read table nowhere at ") as caught:
        await SqlSource(tables.url, "nowhere", key="id").collect()
    assert isinstance(caught.value.__cause__, DatabaseFailed)


@pytest.mark.parametrize("what", ["selct id from orders", "delete from orders", "(select id from orders)"])
async def test_a_statement_that_is_no_select_is_told_to_be_taken_for_a_table(
    tables: Tables, what: str
) -> None:
    told = (
        rf"could not read the table named '{re.escape(what)}' \(what begins with neither SELECT nor WITH is a"
    )
    with pytest.raises(StageFailed, match=told):
        await SqlSource(tables.url, what).collect()
    assert len(await SqlSource(tables.url, "orders").collect()) == COUNT


@pytest.mark.parametrize(
    "options",
    [
        {"column": "placed", "window": (NOON, NOON + MINUTE)},
        {"column": "placed", "window": (NOON, NOON + MINUTE), "key": "id"},
        {"key": "number"},
        {"columns": ["id", "placed"]},
    ],
    ids=["window", "window with key", "key", "columns"],
)
async def test_a_column_that_is_not_there_fails_the_run_also_where_nothing_would_be_found(
    tables: Tables, options: dict[str, Any]
) -> None:
    await tables.make()
    with pytest.raises(StageFailed) as caught:
        await SqlSource(tables.url, "orders", **options).collect()
    assert isinstance(caught.value.__cause__, DatabaseFailed)


async def test_names_are_quoted_whatever_is_in_them(tables: Tables) -> None:
    mark = "`" if tables.url.startswith("mysql") else '"'
    await tables.rows(f"CREATE TABLE {mark}a b%{mark} ({mark}order{mark} INTEGER, {mark}x%%y{mark} INTEGER)")
    await tables.rows(f"INSERT INTO {mark}a b%{mark} VALUES (1, 2)")
    source = SqlSource(tables.url, "a b%", rows=tuple, columns=["x%%y", "order"], key="order")
    assert await source.collect() == [(2, 1)]


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        (7, {}, "it reads a table, a SQLModel class or a SELECT; got 7"),
        ("", {}, "it reads a table, a SQLModel class or a SELECT"),
        (Order, {}, "it reads a table, a SQLModel class or a SELECT"),
        ("orders", {"rows": list}, "rows is dict, tuple or the class of a model"),
        ("orders", {"rows": 3}, "rows is dict, tuple or the class of a model"),
        ("orders", {"window": (NOON, NOON + MINUTE)}, "a window needs the column that decides"),
        ("orders", {"column": "placed_at"}, "column belongs to a window"),
        ("orders", {"column": "placed_at", "window": "today"}, "window is a pair of datetimes"),
        ("orders", {"splits": 2}, "splits are ranges of a key"),
        ("orders", {"splits": 0, "key": "id"}, "splits must be a whole number"),
        ("orders", {"page": 0}, "page must be a whole number"),
        ("orders", {"pages": 3}, "pages"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_is_written(
    file: str, what: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        SqlSource(file, what, **options)
    assert message in str(caught.value)
    assert "test_sql_source.py:" in str(caught.value)


def test_the_password_is_in_no_message() -> None:
    with pytest.raises(PipelineError) as caught:
        SqlSource("oracle://ann:hunter2@host/x", "orders")
    assert "hunter2" not in str(caught.value)
    source = SqlSource("mariadb://ann:hunter2@host/x", "orders")
    assert "hunter2" not in f"{source!r} {source}"


async def test_instants_of_a_model_count_as_utc_where_the_database_keeps_no_zone(file: str) -> None:
    tables = await Tables(file.replace("sqlite:", "sqlite+aiosqlite:")).make()
    await tables.rows(
        "INSERT INTO kinds (id, seen_at, local_at) VALUES (1, '2026-03-02 12:00:00', '2026-03-02T12:00:00')"
    )

    class Seen(BaseModel):
        seen_at: datetime
        local_at: datetime | None = None

    (found,) = await SqlSource(file, "kinds", rows=Seen).collect()
    assert (found.seen_at, found.local_at) == (NOON, NOON)
    assert found.seen_at.tzinfo is not None
    assert found.seen_at.astimezone(UTC) == NOON
