"""Where Parse feeds a SQL sink and nothing else decides, rows pass as tuples: the table is the same as with models."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Annotated, Any

import pytest
from annotated_types import Gt
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sqlmodel import SQLModel

from piko_flow import Parse, RunReport, Sink, Source, StageFailed, run
from piko_flow.connectors.files import CsvSource
from piko_flow.connectors.sql import SqlSink
from piko_flow.dataflow.running.operators.garbage import fewer_collections
from piko_flow.dataflow.running.operators.plain_rows import is_plain, rows_by
from piko_flow.dataflow.running.operators.reader import LONGEST_CHUNK
from tests.unit.sql_by_hand import Tables


class Plain(BaseModel):
    id: Annotated[int, Gt(-1)]
    customer: str
    amount: Decimal = Decimal("1.5")
    placed_at: datetime | None = None


class Checked(Plain):
    @field_validator("customer")
    @classmethod
    def shout(cls, value: str) -> str:
        return value.upper()


class Kept(SqlSink[Plain]):
    """Notes of what types its items are."""

    seen: set[type] = set()  # noqa: RUF012  # emptied by each test

    async def write(self, items: Sequence[Any], /) -> None:
        self.seen.update(map(type, items))
        await super().write(items)


async def written(
    folder: Path, model: type[Plain], items: list[Any], *, on_error: Any = "dead_letter", **options: Any
) -> tuple[list[Any], set[type], RunReport]:
    """The orders that the items become, of what types they were when the sink took them, and the report."""
    tables = await Tables(f"sqlite+aiosqlite:///{folder / model.__name__}.db").make()
    Kept.seen = set()
    sink = Sink(Kept(model, table="orders", url=tables.url), batch=100, **options)
    report = await run(Source(items) >> Parse(model, on_error=on_error) >> sink)
    return await tables.orders("*"), Kept.seen, report


def order(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{number}",
        "customer": "ann",
        "amount": "2.25",
        "placed_at": "2026-03-02T12:00:00Z",
        **fields,
    }


async def test_rows_of_a_plain_model_pass_as_tuples_and_are_the_same_in_the_table(tmp_path: Path) -> None:
    items = [order(number, extra="left out") for number in range(1000)]
    rows, kinds, report = await written(tmp_path, Plain, items)
    assert kinds == {tuple}
    others, kinds, other = await written(tmp_path, Checked, items)
    assert kinds == {Checked}
    assert rows == [(*row[:1], row[1].lower(), *row[2:]) for row in others]
    assert [(one.received, one.emitted) for one in report.stages] == [(1000, 1000)] * 3
    assert [(one.received, one.emitted) for one in other.stages] == [(1000, 1000)] * 3


async def test_what_is_refused_is_settled_one_by_one_and_all_others_are_written(tmp_path: Path) -> None:
    broken = [
        order(7, id="seven"),
        order(8, id=-8),
        {"id": 9},
        "no json",
        b'{"id": 500, "customer": "json"}',
        5,
    ]
    items = [
        *(order(number) for number in range(300)),
        *broken,
        *(order(number) for number in range(300, 450)),
    ]
    rows, kinds, report = await written(tmp_path, Plain, items)
    assert kinds == {tuple, Plain}
    assert sorted(row[0] for row in rows) == [*range(450), 500]
    assert [letter.item for letter in report.dead_letters] == [
        one for one in broken if not isinstance(one, bytes)
    ]
    parse = report.stages[1]
    assert (parse.received, parse.emitted, parse.dead) == (456, 451, 5)


class Reciprocal(Plain):
    customer: Annotated[int, AfterValidator(lambda value: 10 // value)] | None  # type: ignore[assignment]


async def test_a_validator_that_fails_in_its_own_way_is_settled_as_the_stage_says(tmp_path: Path) -> None:
    assert is_plain(Reciprocal)
    items = [order(number, customer=number % 5) for number in range(1, 8)]
    rows, _, report = await written(tmp_path, Reciprocal, items)
    assert [letter.item for letter in report.dead_letters] == [items[4]]
    assert [letter.error_type for letter in report.dead_letters] == ["ZeroDivisionError"]
    assert sorted(row[0] for row in rows) == [1, 2, 3, 4, 6, 7]
    with pytest.raises(StageFailed, match="by zero") as caught:
        await written(tmp_path, Reciprocal, items, on_error="fail")
    assert (caught.value.stage, caught.value.item) == (report.stages[1].name, items[4])


class OneList:
    """Gives all of its items in one list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def read_chunks(self, split: Any, *, reject: Any) -> Iterator[list[Any]]:
        yield self.items


@pytest.mark.parametrize(("count", "kind"), [(LONGEST_CHUNK, tuple), (LONGEST_CHUNK + 1, Plain)])
async def test_a_list_longer_than_a_chunk_is_not_validated_at_once(
    tmp_path: Path, count: int, kind: type
) -> None:
    items: Any = OneList([order(number) for number in range(count)])
    rows, kinds, _ = await written(tmp_path, Plain, items)
    assert kinds == {kind}
    assert [row[0] for row in rows] == list(range(count))


async def test_defaults_are_filled_in(tmp_path: Path) -> None:
    rows, kinds, _ = await written(
        tmp_path, Plain, [{"id": 1, "customer": "ann"}, {"id": 2, "customer": "bob"}]
    )
    assert kinds == {Plain}
    assert [(row[0], Decimal(f"{row[2]}"), row[3]) for row in rows] == [
        (1, Decimal("1.5"), None),
        (2, Decimal("1.5"), None),
    ]


async def test_a_sink_that_settles_rows_is_given_models_so_that_dead_letters_name_them(
    tmp_path: Path,
) -> None:
    tables = await Tables(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}").make()
    sink = Sink(SqlSink(Plain, table="orders", url=tables.url), batch=100, on_error="dead_letter")
    report = await run(Source([order(1), order(1, customer="bob"), order(2)]) >> Parse(Plain) >> sink)
    (letter,) = report.dead_letters
    assert isinstance(letter.item, Plain)
    assert letter.item.customer == "bob"
    assert [row[0] for row in await tables.orders()] == [1, 2]


class Aliased(BaseModel):
    id: int = Field(validation_alias="number")


class Configured(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    id: str


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: int


class WithValidator(BaseModel):
    id: Annotated[int, AfterValidator(lambda value: value + 1)]


def larger(value: int, info: ValidationInfo) -> int:
    return value + int(info.data["id"])


class Within(BaseModel):
    id: int
    more: Annotated[int, AfterValidator(larger)] | None


class Whole(BaseModel):
    id: int

    @model_validator(mode="after")
    def look(self) -> Whole:
        return self


class Afterwards(BaseModel):
    id: int

    def model_post_init(self, context: Any) -> None:
        self.id += 1


class Rooted(RootModel[int]):
    pass


class Tabled(SQLModel):
    id: int


@pytest.mark.parametrize(
    "model",
    [
        Checked,
        Aliased,
        Configured,
        Forbidding,
        WithValidator,
        Within,
        Whole,
        Afterwards,
        Rooted,
        Tabled,
        int,
        None,
    ],
    ids=str,
)
def test_a_model_that_has_a_say_of_its_own_is_made(model: Any) -> None:
    assert not is_plain(model)


VALUES: list[Any] = [
    0, 1, -1, 1.0, 1.5, "1", " 1", "1.0", "x", "", True, None, b"1", Decimal("1.5"), [1], {"a": 1}, "nan", 10**30,
    date(2026, 3, 2), datetime(2026, 3, 2, tzinfo=UTC), "2026-03-02", "2026-03-02T12:00:00+05:30", 1772452800,
]  # fmt: skip


@pytest.mark.parametrize("field", list(Plain.model_fields))
def test_a_row_is_what_the_model_would_be_whatever_comes(field: str) -> None:
    rows = rows_by(Plain, tuple(Plain.model_fields))
    for value in VALUES:
        item = order(3, **{field: value})
        try:
            model = Plain.model_validate(item)
        except ValueError:
            assert rows([item]) is None, value
        else:
            assert rows([item]) == [tuple(getattr(model, name) for name in Plain.model_fields)], value


def test_models_of_one_field_are_rows_of_one_value() -> None:
    class One(BaseModel):
        id: int

    assert rows_by(One, ("id",))([{"id": "7"}, {"id": 8}]) == [(7,), (8,)]


async def test_collections_are_as_seldom_as_before_when_the_run_has_ended(tmp_path: Path) -> None:
    before = gc.get_threshold()
    met: list[int] = []

    def watched() -> Any:
        for number in range(3000):
            met.append(gc.get_threshold()[0])
            yield order(number)

    tables = await Tables(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}").make()
    sink = Sink(SqlSink(Plain, table="orders", url=tables.url), batch=100)
    await run(Source(watched) >> Parse(Plain) >> sink)
    assert max(met) > before[0]
    assert gc.get_threshold() == before


def test_collections_are_as_seldom_as_before_when_loops_of_several_threads_have_ended() -> None:
    before, threads = gc.get_threshold(), 8
    together = Barrier(threads)

    def loops() -> None:
        together.wait()
        for _ in range(2000):
            with fewer_collections():
                assert gc.get_threshold()[0] > before[0]

    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(loops) for _ in range(threads)]:
            each.result()
    assert gc.get_threshold() == before


def csv_file(folder: Path, header: str, lines: list[str]) -> Path:
    file = folder / "orders.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("header", ["id,customer,amount,placed_at", "extra,placed_at,amount,customer,id"])
async def test_rows_of_a_csv_file_pass_without_dicts_whatever_the_order_of_its_columns(
    tmp_path: Path, header: str
) -> None:
    items = [order(number, extra="left out") for number in range(1200)]
    file = csv_file(tmp_path, header, [",".join(item[name] for name in header.split(",")) for item in items])
    tables: dict[type[Plain], list[Any]] = {}
    for model, kind in ((Plain, tuple), (Checked, Checked)):
        made = await Tables(f"sqlite+aiosqlite:///{tmp_path / model.__name__}.db").make()
        Kept.seen = set()
        sink = Sink(Kept(model, table="orders", url=made.url), batch=100)
        report = await run(CsvSource(file) >> Parse(model) >> sink)
        assert Kept.seen == {kind}
        assert [stage.received for stage in report.stages] == [1200, 1200, 1200]
        tables[model] = await made.orders("*")
    upper = [tuple(value.upper() if value == "ann" else value for value in row) for row in tables[Plain]]
    assert [tuple(row) for row in tables[Checked]] == upper
    assert len(upper) == 1200


async def test_a_broken_line_and_a_refused_value_of_a_csv_file_are_settled_alone(tmp_path: Path) -> None:
    lines = [f"{number},ann" for number in range(10)]
    lines[3] = "3,ann,one too many"
    lines[7] = "seven,ann"
    file = csv_file(tmp_path, "id,customer", lines)
    made = await Tables(f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}").make()
    source = CsvSource(file, on_error="dead_letter")
    sink = Sink(SqlSink(Plain, table="orders", url=made.url))
    report = await run(source >> Parse(Plain, on_error="dead_letter") >> sink)
    assert [letter.item for letter in report.dead_letters] == [
        ["3", "ann", "one too many"],
        {"id": "seven", "customer": "ann"},
    ]
    assert [row[0] for row in await made.orders("id")] == [0, 1, 2, 4, 5, 6, 8, 9]


async def test_a_csv_file_without_a_needed_column_is_told_as_with_models(tmp_path: Path) -> None:
    file = csv_file(tmp_path, "id,amount", ["1,2.5"])
    made = await Tables(f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}").make()
    sink = Sink(SqlSink(Plain, table="orders", url=made.url))
    with pytest.raises(StageFailed, match=r"customer\s+Field required"):
        await run(CsvSource(file) >> Parse(Plain) >> sink)
