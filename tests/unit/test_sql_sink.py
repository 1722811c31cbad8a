"""A sink of another database: rows as they were given, replaced by key, swapped by window; poison is named."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from pydantic import BaseModel, SecretStr
from sqlmodel import Field, SQLModel

from piko_flow import RunReport, Sink, Source, StageFailed, run
from piko_flow.connectors.sql import DatabaseFailed, NoUniqueKey, SqlRefused, SqlSink, TooManyRows
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import ItemRejected
from tests.unit.sql_by_hand import MINUTE, NOON, Order, Tables, ids, order, orders

COLUMNS = ["id", "customer", "amount", "placed_at"]
WINDOW = Part("run", "unit-0", window_start=NOON, window_end=NOON + 10 * MINUTE)


@pytest_asyncio.fixture
async def tables(database_url: str) -> Tables:
    """The tables, empty, in each kind of database."""
    return await Tables(database_url).make()


async def write(items: Sequence[Any], target: SqlSink[Any], batch: int = 250, **options: Any) -> RunReport:
    """Run the items into the target."""
    return await run(Source(items) >> Sink(target, batch=batch, **options))


async def swap(target: SqlSink[Any], *units: Sequence[Any]) -> list[str]:
    """Write a part of the window for each list of items, and commit them on a fresh copy, the last one first."""
    receipts = []
    for number, items in enumerate(units):
        own = copy.copy(target)
        await own.open(replace(WINDOW, unit=f"unit-{number}", number=number, units=len(units)))
        await own.write(items)
        receipts.append(await own.prepare())
    return await copy.copy(target).commit(receipts[::-1])


def replacing(tables: Tables, **options: Any) -> SqlSink[Order]:
    """A sink that replaces orders by window."""
    return SqlSink(
        Order, table="orders", mode="replace_window", window_column="placed_at", url=tables.url, **options
    )


class Placed(SQLModel, table=True):
    """An order as its table has it."""

    __tablename__ = "orders"

    id: int = Field(primary_key=True)
    customer: str
    amount: Decimal
    placed_at: datetime


@dataclass
class Plain:
    id: int
    customer: str


@pytest.mark.parametrize(
    ("items", "model", "options"),
    [
        (orders(1, 2), [Order], {}),
        ([Placed(**one.model_dump()) for one in orders(1, 2)], [Placed], {}),
        ([one.model_dump() for one in orders(1, 2)], [], {"columns": COLUMNS}),
        ([tuple(one.model_dump().values()) for one in orders(1, 2)], [], {"columns": COLUMNS}),
        ([Plain(1, "ann"), Plain(2, "ann")], [Plain], {}),
        ([order(1), {"id": 2, "customer": "ann"}, (3, "b"), [4, "b"]], [], {"columns": COLUMNS[:2]}),
    ],
    ids=["models", "SQLModel", "dicts", "tuples", "dataclasses", "all kinds in one"],
)
async def test_models_dataclasses_dicts_and_tuples_become_rows(
    tables: Tables, items: list[Any], model: list[type], options: dict[str, Any]
) -> None:
    target = SqlSink(*model, table="orders", url=tables.url, **options)
    report = await write(items, target)
    assert (await tables.orders())[:2] == [(1, "ann"), (2, "ann")]
    assert len(await tables.orders()) == len(items)
    assert report.written[0].startswith("orders at ")
    assert report.written[0].endswith(f": {len(items)} rows")


class Mood(Enum):
    GOOD = "good"


class Detail(BaseModel):
    at: date
    price: Decimal


KINDS = ["id", "word", "share", "amount", "seen_at", "local_at", "born", "raw", "data"]
EAST = timezone(timedelta(hours=5, minutes=30))


async def test_values_are_written_without_loss(tables: Tables) -> None:
    moment = datetime(2026, 3, 2, 17, 30, 0, 123456, EAST)
    rows = [
        (1, "'\"\\%s :x ? é🦔\n", 0.1, Decimal("12345678901234.123456"), moment, NOON, date(2026, 3, 2), b"\x00\xff%", "x"),
        (2, Mood.GOOD, -1e-300, Decimal("-0.5"), NOON, NOON.replace(tzinfo=None), NOON.date(), bytearray(b"a"), None),
        (3, None, None, None, None, None, None, None, {"a": [1, Detail(at=NOON.date(), price=Decimal("1.50"))]}),
        (4, UUID(int=7), 1, Decimal(10**13), moment, moment, None, memoryview(b"b"), ["x"]),
    ]  # fmt: skip
    await write(rows, SqlSink(table="kinds", columns=KINDS, url=tables.url))
    found = await tables.rows("SELECT word, share, amount, raw, data FROM kinds ORDER BY id")
    first, second, third, fourth = found
    assert first[:2] == ("'\"\\%s :x ? é🦔\n", 0.1)
    assert [None if row[2] is None else Decimal(row[2]) for row in found] == [row[3] for row in rows]
    assert (bytes(first[3]), bytes(second[3]), bytes(fourth[3])) == (b"\x00\xff%", b"a", b"b")
    assert (second[0], second[1], fourth[0]) == ("good", -1e-300, str(UUID(int=7)))
    assert (third[4], fourth[4]) == ('{"a":[1,{"at":"2026-03-02","price":"1.50"}]}', '["x"]')


async def test_instants_are_kept_in_utc(tables: Tables) -> None:
    east, naive = datetime(2026, 3, 2, 17, 30, 0, 123456, EAST), datetime(2026, 3, 2, 12)
    rows = [(number, moment, moment) for number, moment in enumerate((east, naive, NOON))]
    await write(rows, SqlSink(table="kinds", columns=["id", "seen_at", "local_at"], url=tables.url))
    for column in ("seen_at", "local_at"):
        found = [row[0] for row in await tables.rows(f"SELECT {column} FROM kinds ORDER BY id")]
        moments = [datetime.fromisoformat(one) if isinstance(one, str) else one for one in found]
        kept = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in moments]
        assert kept == [east, NOON, NOON]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (SecretStr("hunter2"), "a SecretStr is not written in clear"),
        (object(), "a value of type object has no column to go to"),
        (Decimal("NaN"), "the decimal NaN is no number"),
        (time(12, tzinfo=UTC), "a time of day with a zone has no column to go to"),
    ],
)
async def test_a_value_without_a_lossless_form_is_refused(tmp_path: Path, value: object, reason: str) -> None:
    tables = await Tables(f"sqlite+aiosqlite:///{tmp_path}/x.db").make()
    target = SqlSink(table="kinds", columns=["id", "word"], url=tables.url)
    report = await write([(1, "fine"), (2, value), (3, "fine")], target, on_error="dead_letter")
    assert ids(await tables.rows("SELECT id FROM kinds ORDER BY id")) == [1, 3]
    (letter,) = report.dead_letters
    assert reason in letter.error
    assert "hunter2" not in letter.error


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"id": 1}, "it has no 'customer'; the columns are id, customer"),
        ((1, "ann", "more"), "a row has 2 values (id, customer), got 3"),
        (Plain.__new__(Plain), "the columns are id, customer"),
        (7, "the columns are id, customer"),
    ],
)
async def test_an_item_that_is_no_row_is_named(tmp_path: Path, item: object, reason: str) -> None:
    tables = await Tables(f"sqlite+aiosqlite:///{tmp_path}/x.db").make()
    target = SqlSink(table="orders", columns=["id", "customer"], url=tables.url)
    report = await write([(8, "ann"), item, (9, "ann")], target, on_error="dead_letter")
    assert ids(await tables.orders()) == [8, 9]
    assert reason in report.dead_letters[0].error


async def test_an_upsert_replaces_by_key_and_the_later_row_of_a_run_wins(tables: Tables) -> None:
    await tables.fill(*orders(1, 2, 3, customer="old"))
    target = SqlSink(Order, table="orders", key="id", url=tables.url)
    for batch in (1, 250):
        items = [order(2, "first"), order(4, f"new {batch}"), order(2, f"last {batch}")]
        await write(items, target, batch=batch)
        assert await tables.orders() == [(1, "old"), (2, f"last {batch}"), (3, "old"), (4, f"new {batch}")]


async def test_a_row_that_is_nothing_but_its_key_is_there_once(tables: Tables) -> None:
    await tables.rows("CREATE UNIQUE INDEX only_once ON places (id)")
    target = SqlSink(table="places", columns=["id"], key=["id"], url=tables.url)
    for _ in range(2):
        await write([(1,), (2,), (1,)], target)
    assert sorted(ids(await tables.rows("SELECT id FROM places"))) == [1, 2]


async def test_an_upsert_without_a_unique_index_is_refused_before_anything_is_written(tables: Tables) -> None:
    target = SqlSink(table="places", columns=["id", "name"], key="id", url=tables.url)
    with pytest.raises(StageFailed) as caught:
        await write([(1, "here")], target)
    assert isinstance(caught.value.__cause__, NoUniqueKey | DatabaseFailed)
    assert await tables.rows("SELECT id FROM places") == []


async def test_a_window_is_replaced_as_a_whole_and_what_is_outside_stays(tables: Tables) -> None:
    await tables.fill(*orders(-1, 0, 5, 9, 10, customer="old"))
    target = replacing(tables)
    assert target.replaces
    await swap(target, orders(3, customer="new"), orders(5, customer="new"))
    assert await tables.orders() == [(-1, "old"), (3, "new"), (5, "new"), (10, "old")]
    await swap(target, [])
    assert await tables.orders() == [(-1, "old"), (10, "old")]


async def test_nothing_is_replaced_before_the_commit(tables: Tables) -> None:
    await tables.fill(*orders(0, 5, customer="old"))
    target = replacing(tables)
    await target.open(WINDOW)
    await target.write(orders(3))
    assert not target.durable
    await target.prepare()
    await target.abort()
    assert await tables.orders() == [(0, "old"), (5, "old")]


async def test_a_window_is_replaced_in_the_order_of_the_units(tables: Tables) -> None:
    target = replacing(tables, key="id")
    await swap(target, [order(3, "first")], [order(3, "last")])
    assert await tables.orders() == [(3, "last")]


async def test_a_window_that_cannot_be_swapped_stays_as_it_was(tables: Tables) -> None:
    await tables.fill(*orders(0, 5, customer="old"))
    with pytest.raises(DatabaseFailed, match="could not replace a window of table orders"):
        await swap(replacing(tables), [order(3, "new"), order(3, "again")])
    assert await tables.orders() == [(0, "old"), (5, "old")]


async def test_a_row_outside_the_window_is_refused(tables: Tables) -> None:
    for number in (-1, 10):
        with pytest.raises(ItemRejected, match="is outside the window of the run") as caught:
            await swap(replacing(tables), [*orders(0, 9), order(number)])
        assert caught.value.index == 2
    await swap(replacing(tables), orders(0, 9))
    assert ids(await tables.orders()) == [0, 9]


async def test_a_window_of_more_rows_than_one_transaction_should_move_is_refused(tables: Tables) -> None:
    await tables.fill(order(0))
    for units in ([orders(1, 2, 3)], [orders(1, 2), orders(3)]):
        with pytest.raises(TooManyRows, match=r"a run may write 2 rows here \(max_rows\)"):
            await swap(replacing(tables, max_rows=2), *units)
    assert ids(await tables.orders()) == [0]


async def test_by_default_a_window_may_have_200_000_rows_and_a_larger_one_is_told_what_to_do() -> None:
    target = SqlSink(
        table="t", columns=["at"], mode="replace_window", window_column="at", url="sqlite:///t.db"
    )
    await target.open(WINDOW)
    await target.write([(NOON,)] * 200_000)
    advice = "Take smaller windows, or write by key to a database of its own"
    with pytest.raises(TooManyRows, match=rf"a run may write 200,000 rows here \(max_rows\).*{advice}"):
        await target.write([(NOON,)])


async def test_a_window_is_asked_for_where_it_is_replaced(tmp_path: Path) -> None:
    tables = await Tables(f"sqlite+aiosqlite:///{tmp_path}/x.db").make()
    with pytest.raises(StageFailed, match="replace_window needs a run that covers a window"):
        await write(orders(1), replacing(tables))


@pytest.mark.parametrize("poison", [[0], [249], [125], [0, 1, 2], [3, 100, 200, 248]], ids=str)
@pytest.mark.parametrize("key", [None, "id"], ids=["insert", "upsert"])
async def test_rows_that_the_database_refuses_are_dead_letters_and_all_others_are_written(
    tables: Tables, poison: list[int], key: str | None
) -> None:
    items = [(number, None if number in poison else "ann") for number in range(250)]
    target = SqlSink(table="orders", columns=["id", "customer"], key=key, url=tables.url)
    report = await write(items, target, on_error="dead_letter")
    assert [letter.item for letter in report.dead_letters] == [(number, None) for number in poison]
    assert ids(await tables.orders()) == [number for number in range(250) if number not in poison]


async def test_of_two_rows_with_one_key_in_a_batch_the_later_is_refused(tables: Tables) -> None:
    items = [(1, "first"), (2, "ann"), (1, "second"), (3, "ann")]
    target = SqlSink(table="orders", columns=["id", "customer"], url=tables.url)
    report = await write(items, target, on_error="dead_letter")
    assert [letter.item for letter in report.dead_letters] == [(1, "second")]
    assert await tables.orders() == [(1, "first"), (2, "ann"), (3, "ann")]


async def test_without_a_way_to_settle_it_poison_fails_the_run_and_its_batch_is_not_written(
    tables: Tables,
) -> None:
    target = SqlSink(table="orders", columns=["id", "customer"], url=tables.url)
    with pytest.raises(StageFailed) as caught:
        await write([(1, "ann"), (2, None)], target)
    assert caught.value.item == (2, None)
    assert await tables.orders() == []


async def test_a_table_that_is_not_there_fails_with_what_the_database_said(tables: Tables) -> None:
    target = SqlSink(table="nowhere", columns=["id"], url=tables.url)
    with pytest.raises(StageFailed, match="could not write to table nowhere at ") as caught:
        await write([(1,)], target)
    assert isinstance(caught.value.__cause__, DatabaseFailed)
    report = await write([(1,), (2,)], target, on_error="dead_letter")
    assert [(letter.item, letter.batch) for letter in report.dead_letters] == [([(1,), (2,)], True)]


@pytest.mark.parametrize(
    "url",
    ["mariadb://ann:hunter2@127.0.0.1:9/shop", "postgresql://ann:hunter2@127.0.0.1:9/shop"],
)
async def test_a_database_that_cannot_be_reached_is_told_without_its_password(url: str) -> None:
    target = SqlSink(table="orders", columns=["id"], url=url)
    with pytest.raises(StageFailed, match="could not connect at ") as caught:
        await write([(1,)], target)
    assert isinstance(caught.value.__cause__, DatabaseFailed)
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {target.url!r}"


async def test_without_url_a_run_of_no_application_is_refused() -> None:
    with pytest.raises(
        StageFailed, match="without url it writes to the database of the application"
    ) as caught:
        await write([(1,)], SqlSink(table="orders", columns=["id"]))
    assert isinstance(caught.value.__cause__, SqlRefused)


URL = "sqlite:///x.db"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([], {"url": URL}, "it needs the table to write to; got none"),
        ([Order], {"url": URL}, "it needs the table to write to"),
        ([], {"table": "orders", "url": URL}, "it needs the columns"),
        ([Order], {"table": "t", "columns": ["size"], "url": URL}, "columns are fields of Order"),
        ([Order], {"table": "t", "key": "size", "url": URL}, "key names columns that are written"),
        ([Order], {"table": "t", "mode": "merge", "url": URL}, "mode is one of insert, upsert, replace_window"),
        ([Order], {"table": "t", "mode": "upsert", "url": URL}, "an upsert needs the key"),
        ([Order], {"table": "t", "mode": "insert", "key": "id", "url": URL}, "an insert has no key"),
        ([Order], {"table": "t", "mode": "replace_window", "url": URL}, "belong together; got none"),
        ([Order], {"table": "t", "window_column": "placed_at", "url": URL}, "belong together"),
        ([Order], {"table": "t", "mode": "replace_window", "window_column": "x", "url": URL}, "is one that is written"),
        ([int], {"table": "t", "url": URL}, "its items are models, dataclasses, dicts or tuples"),
        ([order(1)], {"table": "t", "url": URL}, "its first argument is the class of its items"),
        ([Order], {"table": "t", "columns": ["id", "id"], "url": URL}, "columns are different names"),
        ([Order], {"table": "t", "in_memory": 0, "url": URL}, "in_memory must be a whole number of at least 1"),
        ([Order], {"table": "t", "max_rows": True, "url": URL}, "max_rows must be a whole number"),
        ([Order], {"table": "t", "url": 7}, "url is one of sqlite:///file.db"),
        ([Order], {"table": "t", "url": "oracle://x/y"}, "it begins with oracle"),
        ([Order], {"table": "t", "url": "sqlite://"}, "it names no file"),
        ([Order], {"table": "t", "url": "ann:hunter2@host"}, "this one cannot be read"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_where_it_is_written(
    arguments: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SqlRefused) as caught:
        SqlSink(*arguments, **options)
    assert message in str(caught.value)
    assert "test_sql_sink.py:" in caught.value.where
    assert "hunter2" not in str(caught.value)


async def test_a_part_that_is_aborted_has_no_connection_left(tables: Tables) -> None:
    target = SqlSink(table="orders", columns=["id", "customer"], url=tables.url)
    await target.open(Part("run", "unit-0"))
    await target.write([(1, "ann")])
    await target.abort()
    await target.abort()
    assert await tables.orders() == [(1, "ann")]


async def test_bound_to_a_database_it_writes_there_by_itself_also_where_the_ledger_is(tables: Tables) -> None:
    target = SqlSink(table="orders", columns=["id", "customer"], key="id")
    assert target.joins(tables.url)
    bound = target.bound_to(tables.url)
    assert not bound.joins(tables.url)
    await write([(1, "ann"), (2, "bob")], bound, batch=1)
    assert await tables.orders() == [(1, "ann"), (2, "bob")]


@pytest.mark.parametrize(
    ("url", "ledger", "same"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite:///./x.db", True),
        ("sqlite:///x.db", "sqlite+aiosqlite:///y.db", False),
        ("mariadb://a:b@localhost/shop", "mysql+asyncmy://c:***@127.0.0.1:3306/shop", True),
        ("mariadb://a:b@localhost/shop", "mysql+asyncmy://c:***@127.0.0.1:3307/shop", False),
        ("mariadb://a:b@db/shop", "mysql+asyncmy://a:***@db/mall", False),
        ("postgresql://a:b@db/shop", "mysql+asyncmy://a:***@db/shop", False),
        ("postgresql://a:b@db/shop", "postgresql+asyncpg://a:***@db:5432/shop", True),
    ],
)
def test_the_database_of_the_ledger_is_known_however_its_url_is_written(
    url: str, ledger: str, same: bool
) -> None:
    assert SqlSink(table="orders", columns=["id"], url=url).joins(ledger) is same
