"""An upsert replaces the row under its key, and that of no other unique index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from piko_flow import Sink, Source, StageFailed, run
from piko_flow.connectors.sql import NoUniqueKey, SqlSink
from tests.unit.sql_by_hand import Tables

CODE = "code VARCHAR(9) NOT NULL UNIQUE"


async def upsert(url: str, columns: Sequence[str], key: str | list[str], *rows: tuple[Any, ...]) -> None:
    """Write the rows into `goods` by the key."""
    await run(Source(rows) >> Sink(SqlSink(table="goods", columns=columns, key=key, url=url)))


@pytest.mark.parametrize(
    ("made", "columns", "key", "index"),
    [
        (
            "id INTEGER PRIMARY KEY, code VARCHAR(9) NOT NULL, UNIQUE other (code)",
            ["id", "code"],
            "id",
            "other",
        ),
        (
            "id INTEGER AUTO_INCREMENT PRIMARY KEY, code VARCHAR(9) NOT NULL UNIQUE",
            ["id", "code"],
            "code",
            "PRIMARY",
        ),
        ("id INTEGER PRIMARY KEY, code VARCHAR(9) DEFAULT 'a', UNIQUE other (code)", ["id"], "id", "other"),
        (
            "id INTEGER PRIMARY KEY, half INTEGER AS (id DIV 2) STORED, UNIQUE other (half)",
            ["id"],
            "id",
            "other",
        ),
        (
            "id INTEGER PRIMARY KEY, code VARCHAR(9), UNIQUE other (code)",
            ["id", "code"],
            ["id", "code"],
            "other",
        ),
    ],
    ids=["second", "primary", "default", "generated", "both of the key"],
)
async def test_mariadb_with_an_index_that_would_replace_rows_of_other_keys_is_refused(
    mariadb_url: str, made: str, columns: list[str], key: str | list[str], index: str
) -> None:
    tables = Tables(mariadb_url)
    await tables.rows(f"CREATE TABLE goods ({made})")
    with pytest.raises(StageFailed) as caught:
        await upsert(mariadb_url, columns, key, (1, "a")[: len(columns)])
    assert isinstance(caught.value.__cause__, NoUniqueKey)
    assert f"the unique index {index}, whatever their key" in str(caught.value)
    assert await tables.rows("SELECT * FROM goods") == []


@pytest.mark.parametrize(
    "made",
    [
        f"id INTEGER AUTO_INCREMENT PRIMARY KEY, {CODE}, size INTEGER",
        f"id VARCHAR(36) DEFAULT UUID() PRIMARY KEY, {CODE}, size INTEGER",
        f"id INTEGER UNIQUE, {CODE}, size INTEGER",
        f"id INTEGER DEFAULT 7, {CODE}, size INTEGER, UNIQUE (id, code)",
        f"id INTEGER DEFAULT 7, {CODE}, size INTEGER, UNIQUE (code, size)",
    ],
    ids=["numbered", "uuid", "null", "wider", "wider and written"],
)
async def test_mariadb_with_an_index_that_no_written_row_shares_is_written(
    mariadb_url: str, made: str
) -> None:
    tables = Tables(mariadb_url)
    await tables.rows(f"CREATE TABLE goods ({made})")
    for size in (1, 2):
        await upsert(mariadb_url, ["code", "size"], "code", ("a", size), ("b", 5), ("c", size))
    assert await tables.rows("SELECT code, size FROM goods ORDER BY code") == [("a", 2), ("b", 5), ("c", 2)]


async def test_a_row_that_is_like_one_of_another_key_replaces_it_nowhere(database_url: str) -> None:
    tables = Tables(database_url)
    await tables.rows("CREATE TABLE goods (id INTEGER PRIMARY KEY, code VARCHAR(9) UNIQUE)")
    await tables.rows("INSERT INTO goods VALUES (1, 'a')")
    target = SqlSink(table="goods", columns=["id", "code"], key="id", url=database_url)
    pipeline = Source([(2, "a"), (1, "b")]) >> Sink(target, on_error="dead_letter")
    if database_url.startswith("mysql"):
        with pytest.raises(StageFailed, match="the unique index code, whatever their key"):
            await run(pipeline)
        assert await tables.rows("SELECT * FROM goods") == [(1, "a")]
        return
    report = await run(pipeline)
    assert [letter.item for letter in report.dead_letters] == [(2, "a")]
    assert await tables.rows("SELECT * FROM goods") == [(1, "b")]
