"""The demo's SQLite target: all or nothing, repeatable, and nothing left behind."""

import copy
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import AwareDatetime, BaseModel

from piko_flow.dataflow.stages.sink import Part, Receipt
from piko_flow.demo.sqlite_target import ForeignDatabase, PartLost, SqliteTarget


class Gust(BaseModel):
    number: int
    station: str
    at: AwareDatetime
    speed: float | None


NOON = datetime(2021, 8, 29, 12, tzinfo=UTC)


def gust(number: int, *, speed: float | None = 1.5, station: str = "Grand Isle") -> Gust:
    return Gust(number=number, station=station, at=NOON, speed=speed)


@pytest.fixture
def target(tmp_path: Path) -> SqliteTarget[Gust]:
    return SqliteTarget(Gust, tmp_path / "gusts.sqlite", table="gusts", key="number")


def rows(target: SqliteTarget[Gust]) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(target.path)) as database:
        return database.execute("SELECT * FROM gusts ORDER BY number").fetchall()


def files(target: SqliteTarget[Gust]) -> list[str]:
    return sorted(file.name for file in target.path.parent.iterdir())


async def prepared(target: SqliteTarget[Gust], part: Part, *gusts: Gust) -> Receipt:
    own = copy.copy(target)
    await own.open(part)
    for one in gusts:
        await own.write([one])
    return await own.prepare()


async def test_rows_appear_with_the_commit_and_not_before(target: SqliteTarget[Gust]) -> None:
    receipt = await prepared(target, Part("r1", "all"), gust(2, speed=None), gust(1))
    assert not target.path.exists()
    (line,) = await target.commit([receipt])
    assert rows(target) == [
        (1, "Grand Isle", "2021-08-29T12:00:00Z", 1.5),
        (2, "Grand Isle", "2021-08-29T12:00:00Z", None),
    ]
    assert line == f"{target.path}: 2 rows into table gusts"
    assert files(target) == ["gusts.sqlite"]


async def test_columns_have_types_and_the_key_is_one(target: SqliteTarget[Gust]) -> None:
    await target.commit([await prepared(target, Part("r1", "all"), gust(1))])
    with closing(sqlite3.connect(target.path)) as database:
        columns = database.execute("SELECT name, type, pk FROM pragma_table_info('gusts')").fetchall()
    assert columns == [
        ("number", "INTEGER", 1),
        ("station", "TEXT", 0),
        ("at", "TEXT", 0),
        ("speed", "REAL", 0),
    ]


async def test_commit_works_from_receipts_of_several_parts_on_a_copy_that_opened_none(
    target: SqliteTarget[Gust],
) -> None:
    receipts = [
        await prepared(target, Part("r1", str(number), number=number, units=12), gust(number))
        for number in range(12)
    ]
    await copy.copy(target).commit(receipts)
    assert [row[0] for row in rows(target)] == list(range(12))


async def test_later_row_replaces_an_earlier_one_of_the_same_key(target: SqliteTarget[Gust]) -> None:
    await target.commit([await prepared(target, Part("r1", "all"), gust(1, speed=1.0), gust(1, speed=2.0))])
    assert [row[3] for row in rows(target)] == [2.0]
    (line,) = await target.commit([await prepared(target, Part("r2", "all"), gust(1, speed=3.0), gust(2))])
    assert [row[3] for row in rows(target)] == [3.0, 1.5]
    assert line.endswith("2 rows into table gusts")
    (line,) = await target.commit([await prepared(target, Part("r3", "all"), gust(3))])
    assert line.endswith("1 row into table gusts, which now has 3")


async def test_committing_again_changes_nothing(target: SqliteTarget[Gust]) -> None:
    receipt = await prepared(target, Part("r1", "all"), gust(1))
    await target.commit([receipt])
    before = rows(target)
    await target.commit([receipt])
    assert rows(target) == before


async def test_part_that_is_lost_fails_the_commit_and_leaves_the_target_as_it_was(
    target: SqliteTarget[Gust],
) -> None:
    await target.commit([await prepared(target, Part("r0", "all"), gust(0))])
    first = await prepared(target, Part("r1", "a", number=0, units=2), gust(1))
    second = await prepared(target, Part("r1", "b", number=1, units=2), gust(2))
    (target.path.parent / second.data["file"]).unlink()
    with pytest.raises(PartLost, match="r1-1-1"):
        await target.commit([first, second])
    assert [row[0] for row in rows(target)] == [0]


async def test_abort_removes_the_part_and_does_not_mind_that_none_was_opened(
    target: SqliteTarget[Gust],
) -> None:
    await copy.copy(target).abort()
    own = copy.copy(target)
    await own.open(Part("r1", "all"))
    await own.write([gust(1)])
    await own.abort()
    assert files(target) == []


async def test_sweep_removes_what_dead_parts_left_and_keeps_the_live(target: SqliteTarget[Gust]) -> None:
    await target.commit([await prepared(target, Part("r0", "all"), gust(0))])
    dead, live = Part("r1", "all"), Part("r2", "all")
    await prepared(target, dead, gust(1))
    receipt = await prepared(target, live, gust(2))
    (target.path.parent / ".other.sqlite-r1-0-1.part").touch()
    await target.sweep([live])
    assert files(target) == [".gusts.sqlite-r2-0-1.part", ".other.sqlite-r1-0-1.part", "gusts.sqlite"]
    await target.commit([receipt])
    assert [row[0] for row in rows(target)] == [0, 2]


async def test_sweep_where_nothing_is_does_nothing(target: SqliteTarget[Gust]) -> None:
    await target.sweep([])
    assert files(target) == []


async def test_foreign_file_is_refused_before_anything_is_written(target: SqliteTarget[Gust]) -> None:
    with closing(sqlite3.connect(target.path)) as database:
        database.execute("CREATE TABLE gusts (number)")
    content = target.path.read_bytes()
    with pytest.raises(ForeignDatabase, match=r"gusts\.sqlite exists and was not made by Piko Flow"):
        await target.open(Part("r1", "all"))
    await target.sweep([])
    assert target.path.read_bytes() == content
    assert files(target) == ["gusts.sqlite"]


def test_key_that_is_no_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="key must be a field of Gust, got 'id'"):
        SqliteTarget(Gust, tmp_path / "gusts.sqlite", table="gusts", key="id")
