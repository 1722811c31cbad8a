"""Rows without a key: reading by key says so, wherever they lie, and loses none."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from piko_flow import Sink, Source, StageFailed, run
from piko_flow.connectors.sql import SqlChanges, SqlRefused, SqlSource
from tests.unit.sql_by_hand import MINUTE, NOON, Tables, ids

WINDOW = (NOON, NOON + 3 * MINUTE)
LATER = (NOON + 3 * MINUTE, NOON + 6 * MINUTE)


@pytest_asyncio.fixture
async def tables(database_url: str) -> Tables:
    """Six rows, one a minute from noon on; number 1 and 2 have no key."""
    made = await Tables(database_url).make()
    rows = [
        {"id": number, "word": None if number in (1, 2) else f"w{number}", "at": NOON + number * MINUTE}
        for number in range(6)
    ]
    await made.rows("CREATE TABLE nullable (id INTEGER, word VARCHAR(9), number INTEGER, at TIMESTAMP NULL)")
    await made.rows("INSERT INTO nullable (id, word, at) VALUES (:id, :word, :at)", *map(bare, rows))
    await made.rows("UPDATE nullable SET number = id WHERE word IS NOT NULL")
    return made


def bare(row: dict[str, Any]) -> dict[str, Any]:
    """The row with an instant as columns without zone take it."""
    return {**row, "at": row["at"].replace(tzinfo=None)}


async def refused(source: Source[Any]) -> None:
    """Run the source, which refuses rows without a key and says what to do."""
    with pytest.raises(StageFailed, match="each row has a value in its key") as caught:
        await run(source >> Sink(lambda row: None, name="nothing"))
    assert isinstance(caught.value.__cause__, SqlRefused)
    for told in ("is NULL", "would lose rows", "IS NOT NULL", "test_sql_keys.py:"):
        assert told in str(caught.value.__cause__)


@pytest.mark.parametrize("page", [1, 2, 4, 5, 5000])
@pytest.mark.parametrize("key", ["word", "number"])
async def test_a_row_without_a_key_fails_the_run(tables: Tables, key: str, page: int) -> None:
    await refused(SqlSource(tables.url, "nullable", key=key, page=page))


async def test_a_row_without_a_key_fails_a_run_in_ranges_before_any_is_read(tables: Tables) -> None:
    with pytest.raises(SqlRefused, match="there are rows whose number is NULL"):
        SqlSource(tables.url, "nullable", key="number", splits=2).resolve_splits()


@pytest.mark.parametrize("page", [1, 5000])
async def test_only_rows_that_are_asked_for_need_a_key(tables: Tables, page: int) -> None:
    def reading(window: Any) -> SqlSource[tuple[Any, ...]]:
        options: dict[str, Any] = {"key": "word", "window": window, "column": "at", "page": page}
        return SqlSource(tables.url, "nullable", rows=tuple, **options)

    await refused(reading(WINDOW))
    assert ids(await reading(LATER).collect()) == [3, 4, 5]
    select = "SELECT * FROM nullable WHERE word IS NOT NULL"
    chosen = SqlSource(tables.url, select, rows=tuple, key="word", page=page)
    assert ids(await chosen.collect()) == [0, 3, 4, 5]
    assert len(await SqlSource(tables.url, "nullable", rows=tuple, page=page).collect()) == 6


async def test_a_row_that_loses_its_key_while_pages_are_read_is_told(tables: Tables) -> None:
    await tables.rows("UPDATE nullable SET word = 'w' WHERE word IS NULL AND id = 1")
    await tables.rows("UPDATE nullable SET word = 'x' WHERE word IS NULL AND id = 2")
    source = SqlSource(tables.url, "nullable", rows=tuple, key="word", page=1, window=WINDOW, column="at")

    async def read() -> None:
        async for _ in source.items.read_chunks(None, reject=lambda payload, error: None):
            await tables.rows("UPDATE nullable SET word = NULL WHERE id = 1")

    with pytest.raises(SqlRefused, match="there are rows whose word is NULL"):
        await read()


async def test_changes_without_a_key_fail_the_slice(tables: Tables) -> None:
    changes = SqlChanges(tables.url, "nullable", column="at", key="word", rows=tuple)
    await refused(changes)
    await tables.rows("UPDATE nullable SET at = NULL WHERE word IS NULL")
    taken: list[tuple[Any, ...]] = []
    report = await run(changes >> Sink(taken.append))
    assert ids(taken) == [0, 3, 4, 5]
    late = bare({"id": 6, "at": NOON + 9 * MINUTE})
    await tables.rows("INSERT INTO nullable (id, at) VALUES (:id, :at)", late)
    with pytest.raises(StageFailed, match="there are rows whose word is NULL"):
        await run(changes >> Sink(taken.append), since=report.position)
