"""Parquet files: rows with their types, by batches, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from piko_flow.connectors import extras
from piko_flow.connectors.files import MissingExtra, OutputRefused, ParquetSink, ParquetSource
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import ItemRejected, PipelineError
from tests.unit.files_by_hand import hidden, names, prepared, read, written


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    id: int
    price: Decimal
    at: datetime
    colour: Colour


ROWS = [
    {
        "id": number,
        "text": None if number % 3 else f"n{number}",
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "tags": ["x"],
    }
    for number in range(1200)
]


async def test_rows_come_back_with_their_types(tmp_path: Path) -> None:
    lines = await written(ParquetSink(tmp_path / "rows.parquet"), ROWS)
    assert lines[0].startswith(f"{tmp_path / 'rows.parquet'}: 1,200 rows, ")
    found = read(ParquetSource(tmp_path / "rows.parquet"))
    assert found.items == ROWS
    assert found.sizes == [500, 500, 200]
    assert read(ParquetSource(tmp_path / "*.parquet", columns=["text", "id"])).items[3] == {
        "text": "n3",
        "id": 3,
    }


async def test_models_keep_the_types_of_their_fields(tmp_path: Path) -> None:
    order = Order(id=1, price=Decimal("1.10"), at=datetime(2024, 1, 1), colour=Colour.RED)
    await written(ParquetSink(tmp_path / "rows.parquet"), [order])
    assert read(ParquetSource(tmp_path / "rows.parquet")).items == [
        {"id": 1, "price": Decimal("1.10"), "at": datetime(2024, 1, 1), "colour": "red"}
    ]


async def test_a_schema_decides_where_it_is_given(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.float64()), ("b", pa.string())])
    await written(ParquetSink(tmp_path / "rows.parquet", schema=schema), [{"b": None, "a": 1}])
    assert pq.read_schema(tmp_path / "rows.parquet") == schema
    assert read(ParquetSource(tmp_path / "rows.parquet")).items == [{"a": 1.0, "b": None}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.date32(), datetime(2024, 1, 2, 3)),
        (pa.timestamp("us"), datetime(2024, 1, 2, tzinfo=UTC)),
        (pa.timestamp("us", "UTC"), datetime(2024, 1, 2)),
        (pa.timestamp("s"), datetime(2024, 1, 2, 3, 4, 5, 6)),
        (pa.struct([("a", pa.int64())]), {"a": 1, "b": 2}),
        (pa.list_(pa.int8()), [1, 1.5]),
        (pa.int8(), 300),
        (pa.string(), b"x"),
        (pa.decimal128(5, 2), Decimal("1.234")),
    ],
)
async def test_a_value_that_its_type_would_alter_is_rejected(
    tmp_path: Path, kind: Any, value: object
) -> None:
    sink = ParquetSink(tmp_path / "rows.parquet", schema=pa.schema([("a", kind)]))
    with pytest.raises(ItemRejected, match="column 'a': "):
        await written(sink, [{"a": None}, {"a": value}])


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (pa.float32(), 0.1, pytest.approx(0.1)),
        (pa.float64(), float("nan"), pytest.approx(float("nan"), nan_ok=True)),
        (pa.struct([("a", pa.int64()), ("b", pa.int64())]), {"a": 1}, {"a": 1, "b": None}),
        (pa.map_(pa.string(), pa.int64()), {"x": 1}, [("x", 1)]),
        (
            pa.list_(pa.float64()),
            np.array([0.5, float("nan")]),
            pytest.approx([0.5, float("nan")], nan_ok=True),
        ),
        (pa.list_(pa.int64()), (1, 2), [1, 2]),
        (pa.int64(), np.int32(5), 5),
        (pa.decimal128(5, 2), Decimal("1.2"), Decimal("1.20")),
        (pa.timestamp("ms"), datetime(2024, 1, 2, 3, 4, 5, 6000), datetime(2024, 1, 2, 3, 4, 5, 6000)),
        (pa.date32(), date(2024, 1, 2), date(2024, 1, 2)),
        (pa.binary(), b"x", b"x"),
    ],
)
async def test_a_value_that_only_looks_different_is_kept(
    tmp_path: Path, kind: Any, value: object, kept: object
) -> None:
    await written(ParquetSink(tmp_path / "rows.parquet", schema=pa.schema([("a", kind)])), [{"a": value}])
    assert read(ParquetSource(tmp_path / "rows.parquet")).items[0]["a"] == kept


async def test_a_file_without_rows_is_a_file(tmp_path: Path) -> None:
    await written(ParquetSink(tmp_path / "none.parquet"), [])
    await written(ParquetSink(tmp_path / "typed.parquet", schema=pa.schema([("a", pa.int64())])), [])
    found = read(ParquetSource([tmp_path / "none.parquet", tmp_path / "typed.parquet"]))
    assert (found.items, found.broken) == ([], [])
    assert pq.read_schema(tmp_path / "typed.parquet").names == ["a"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"a": 1}, "a row must have the columns ['a', 'b'], got ['a']"),
        ({"a": 1, "b": "x", "c": 1}, "a row must have the columns ['a', 'b'], got ['a', 'b', 'c']"),
        ({"a": "one", "b": "x"}, "column 'a': "),
        ({"a": 1.5, "b": "x"}, "column 'a': int64 cannot hold 1.5 without loss"),
        ({"a": 2**70, "b": "x"}, "column 'a': "),
        ({"a": 1, "b": "\ud800"}, "column 'b': "),
        ([1], "a row is a dict, a model or a dataclass, got list"),
    ],
)
@pytest.mark.parametrize("schema", [None, pa.schema([("a", pa.int64()), ("b", pa.string())])])
async def test_an_item_that_does_not_fit_is_rejected(
    tmp_path: Path, item: Any, reason: str, schema: Any
) -> None:
    sink = ParquetSink(tmp_path / "rows.parquet", schema=schema)
    batches: Sequence[Any] = [[{"a": 1, "b": "x"}], [{"a": 2, "b": None}, item]]
    with pytest.raises(ItemRejected) as caught:
        await prepared(sink, Part("run", "unit"), *batches)
    assert caught.value.index == 1
    assert reason in caught.value.reason
    assert names(tmp_path) == []


@pytest.mark.parametrize("value", [None, [], {"x": None}])
async def test_a_column_without_a_value_needs_a_schema(tmp_path: Path, value: object) -> None:
    with pytest.raises(OutputRefused, match=r"there is no value in b\. Give schema="):
        await written(ParquetSink(tmp_path / "rows.parquet"), [{"a": 1, "b": value}])


async def test_several_units_need_a_file_each(tmp_path: Path) -> None:
    with pytest.raises(
        OutputRefused, match=r"the run has 2 units. Put \{unit\} into the name: .*rows-\{unit\}.parquet"
    ):
        await written(ParquetSink(tmp_path / "rows.parquet"), [], [])
    lines = await written(ParquetSink(tmp_path / "rows-{unit}.parquet"), ROWS[:600], ROWS[600:])
    assert lines[0].startswith(f"{tmp_path / 'rows-{unit}.parquet'}: 2 files, 1,200 rows, ")
    assert read(ParquetSource(tmp_path / "rows-*.parquet")).items == ROWS


async def test_many_rows_become_row_groups(tmp_path: Path) -> None:
    batch = [{"id": number} for number in range(10_000)]
    receipt = await prepared(ParquetSink(tmp_path / "rows.parquet"), Part("run", "unit"), *[batch] * 15)
    await ParquetSink(tmp_path / "rows.parquet").commit([receipt])
    assert pq.ParquetFile(tmp_path / "rows.parquet").metadata.num_row_groups == 3
    assert len(read(ParquetSource(tmp_path / "rows.parquet")).items) == 150_000


async def test_an_aborted_part_leaves_nothing(tmp_path: Path) -> None:
    sink = ParquetSink(tmp_path / "rows.parquet")
    await sink.open(Part("run", "unit"))
    for _ in range(8):
        await sink.write([{"id": number} for number in range(10_000)])
    assert hidden(tmp_path)
    await sink.abort()
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no Parquet at all", b"PAR1 xxxxxxxxxxxxxxxxxxxx PAR1"])
def test_a_file_that_is_not_parquet_is_broken(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "rows.parquet"
    file.write_bytes(content)
    found = read(ParquetSource(file))
    assert [payload for payload, _ in found.broken] == [str(file)]
    assert found.broken[0][1].startswith(f"{file}: ")


async def test_columns_must_be_in_the_file(tmp_path: Path) -> None:
    await written(ParquetSink(tmp_path / "rows.parquet"), [{"a": 1}])
    found = read(ParquetSource(tmp_path / "rows.parquet", columns=["a", "b"]))
    assert found.broken[0][1].endswith("columns 'b' must exist; the file has ['a']")
    with pytest.raises(PipelineError, match="columns must be a list of different names"):
        ParquetSource("rows.parquet", columns=["a", "a"])


async def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing(name: str) -> None:
        return None

    monkeypatch.setattr(extras, "find_spec", find_nothing)
    advice = r"test_files_parquet.py:\d+\): it needs pyarrow; it is not installed. .*pip install 'piko-flow\[parquet\]'"
    with pytest.raises(MissingExtra, match=advice):
        ParquetSource(tmp_path / "rows.parquet").resolve_splits()
    with pytest.raises(MissingExtra, match=advice):
        await ParquetSink(tmp_path / "rows.parquet").open(Part("run", "unit"))


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(OutputRefused, match="schema must be a pyarrow schema; got 5"):
        ParquetSink("rows.parquet", schema=5)
