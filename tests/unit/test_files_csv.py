"""CSV files: what is read, what is broken and where, what is written."""

from __future__ import annotations

import copy
import csv
import gzip
import io
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, computed_field

from piko_flow.connectors.csv_records import CsvDialect
from piko_flow.connectors.csv_source import CsvReader
from piko_flow.connectors.files import BrokenLine, CsvSink, CsvSource, OutputRefused
from piko_flow.dataflow.stages.sink import Part
from piko_flow.errors import ItemRejected, PipelineError
from tests.unit.files_by_hand import Read, read, written


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def rows_of(file: Path, content: bytes, **options: Any) -> Read:
    file.write_bytes(content)
    return read(CsvSource(file, **options))


def places(found: Read, file: Path) -> list[str]:
    """The line numbers and reasons of what was rejected."""
    return [message.removeprefix(f"{file}:") for _, message in found.broken]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b"a,b\r\n1,2\r\n3,4\r", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        (b"\xef\xbb\xbfa\n1", [{"a": "1"}]),
        (b"a,b\n\n1,2\n\r\n\n", [{"a": "1", "b": "2"}]),
        (b"a\n1\n\n2\n", [{"a": "1"}, {"a": "2"}]),
        (b'a\n""\n', [{"a": ""}]),
        (b'a,b\n"x, y","say ""hi"""\n', [{"a": "x, y", "b": 'say "hi"'}]),
        (b'a,b\n"1\n2",3\n', [{"a": "1\n2", "b": "3"}]),
        (b'a,b\n"1\r\n2",3\r\n', [{"a": "1\r\n2", "b": "3"}]),
        (b'a,b\n5" pipe,3\n', [{"a": '5" pipe', "b": "3"}]),
        (b",b\n1,2\n", [{"": "1", "b": "2"}]),
        ("a\n\u2028x\x85\x0b\x1c\n".encode(), [{"a": "\u2028x\x85\x0b\x1c"}]),
        (b"a,b\n", []),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_records_are_read_as_the_format_says(file: Path, content: bytes, rows: list[dict[str, str]]) -> None:
    found = rows_of(file, content)
    assert (found.items, found.broken) == (rows, [])


def test_names_delimiter_quote_and_encoding_can_be_given(file: Path) -> None:
    found = rows_of(
        file, 'é|"1\n'.encode("cp1252"), columns=["a", "b"], delimiter="|", quote=None, encoding="cp1252"
    )
    assert found.items == [{"a": "é", "b": '"1'}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_encodings_that_do_not_keep_ascii_are_read(file: Path, encoding: str) -> None:
    assert rows_of(file, "a,b\n1,ü\n".encode(encoding), encoding=encoding).items == [{"a": "1", "b": "ü"}]


@pytest.mark.parametrize(
    ("content", "rows", "payload", "reason"),
    [
        (b"a,b\n1,2\n3\n4,5\n", ["1", "4"], ["3"], "3: 2 columns need 2 fields, got 1: ['3']"),
        (b"a,b\n1,2,\n4,5\n", ["4"], ["1", "2", ""], "2: 2 columns need 2 fields, got 3"),
        (b'a,b\n"1\n2"\n4,5\n', ["4"], ["1\n2"], "2: 2 columns need 2 fields, got 1"),
        (b'a,b\n\n"x"y,2\n4,5\n', ["4"], '"x"y,2', "3: the quotes of a record must pair up"),
        (b"a,b\n1,2\n3,\xff\n4,5\n", ["1", "4"], b"3,\xff", "3: the byte 0xFF is not in the encoding"),
        (b"a,b\n1,2\n3,\0\n4,5\n", ["1", "4"], "3,\0", "3: a NUL character"),
        (b"a,b\n1,x\ry\n4,5\n", ["4"], "1,x\ry", "2: a carriage return outside quotes"),
        (b'a,b\n1,2\n3,"4\n5,6\n7,8', ["1", "5", "7"], '3,"4', "3: a quoted field is still open where"),
        (b'a,b\n1,"2\n3,4\n5,"6"\n', ["3", "5"], '1,"2', "2: the quotes of a record must pair up"),
    ],
)
def test_a_broken_record_is_rejected_with_its_line_and_the_others_are_given(
    file: Path, content: bytes, rows: list[str], payload: object, reason: str
) -> None:
    found = rows_of(file, content)
    assert [row["a"] for row in found.items] == rows
    assert [payload for payload, _ in found.broken] == [payload]
    assert places(found, file)[0].startswith(reason)


def test_rows_before_a_broken_one_are_given_before_it_is_rejected(file: Path) -> None:
    file.write_bytes(b"a,b\n1,2\n3\n")

    def fail(payload: object, error: Exception) -> None:
        raise error

    chunks = CsvReader(CsvDialect()).read_chunks(str(file), reject=fail)
    assert next(chunks) == [{"a": "1", "b": "2"}]
    with pytest.raises(BrokenLine) as caught:
        next(chunks)
    assert (caught.value.file, caught.value.line) == (str(file), 3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b,a\n1,2,3\n", "1: a header may name a column once, 'a' came more often"),
        (b'a,"b\n1,2\n', "1: the columns cannot be read: a quoted field is still open"),
        (b"a,\xff\n1,2\n", "1: the columns cannot be read: the byte 0xFF"),
    ],
)
def test_a_broken_header_fails_whatever_on_error_says(file: Path, content: bytes, reason: str) -> None:
    with pytest.raises(BrokenLine, match=reason):
        rows_of(file, content, on_error="skip")


def test_a_line_longer_than_allowed_is_rejected_and_not_held(file: Path) -> None:
    found = rows_of(file, b"a\nshort\n" + b"x" * 1_000_000 + b"\nlast\n", max_line=1000)
    assert [row["a"] for row in found.items] == ["short", "last"]
    assert found.broken[0][0] == "x" * 200
    assert places(found, file) == [
        "3: a line may have 1,000 bytes, this one has 1,000,000; raise max_line to read it"
    ]


def test_a_record_longer_than_allowed_is_rejected_and_reading_goes_on_behind_its_first_line(
    file: Path,
) -> None:
    found = rows_of(file, b'a,b\n1,"2\n' + b"3,4\n" * 1000, max_line=500)
    assert len(found.items) == 1000
    assert places(found, file) == ["2: a quoted field does not end within max_line=500 characters"]


def test_fields_longer_than_the_modules_own_limit_are_read(file: Path) -> None:
    long = "x,\n" * 100_000
    assert rows_of(file, f'a\n"{long}"\n'.encode()).items == [{"a": long}]


def test_lists_stay_small_and_lines_are_counted_across_blocks(file: Path) -> None:
    lines = [f'{number},"text\nmore"' if number % 7 else f"{number},text" for number in range(50_000)]
    lines[40_000] = "broken"
    found = rows_of(file, ("a,b\n" + "\n".join(lines)).encode())
    assert len(found.items) == 49_999
    assert max(found.sizes) <= 500
    assert places(found, file)[0].startswith(
        f"{sum(line.count(chr(10)) + 1 for line in lines[:40_000]) + 2}: "
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ",,"}, "delimiter must be one character"),
        ({"delimiter": "\n"}, "delimiter must be one character"),
        ({"quote": ""}, "quote must be one character"),
        ({"delimiter": '"'}, "delimiter and quote must differ"),
        ({"encoding": "utf-9"}, "encoding must be one that Python knows; got 'utf-9'"),
        ({"columns": "ab"}, "columns must be a list of different names; got 'ab'"),
        ({"columns": ["a", "a"]}, "columns must be a list of different names"),
        ({"columns": []}, "columns must be a list of different names"),
        ({"max_line": 0}, "max_line must be a whole number of at least 1; got 0"),
        ({"on_error": "ignore"}, 'on_error must be "fail", "skip" or "dead_letter"'),
    ],
)
def test_a_bad_option_is_refused_where_it_is_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        CsvSource("rows.csv", **options)
    assert "test_files_csv.py:" in caught.value.where


# Writing.


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    id: int
    at: datetime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.id * 2


@dataclass
class Point:
    x: float
    name: str | None


async def content_of(tmp_path: Path, *units: list[Any], **options: Any) -> str:
    await written(CsvSink(tmp_path / "out.csv", **options), *units)
    return (tmp_path / "out.csv").read_bytes().decode()


async def test_dicts_models_and_dataclasses_are_rows(tmp_path: Path) -> None:
    assert await content_of(tmp_path, [{"a": 1, "b": "x"}, {"b": "y", "a": None}]) == "a,b\n1,x\n,y\n"
    order = Order(id=1, at=datetime(2024, 1, 2, tzinfo=UTC))
    assert await content_of(tmp_path, [order]) == "id,at,double\n1,2024-01-02T00:00:00Z,2\n"
    assert await content_of(tmp_path, [Point(0.1, None)]) == "x,name\n0.1,\n"


async def test_values_are_written_without_loss(tmp_path: Path) -> None:
    row = {
        "bool": True,
        "decimal": Decimal("1.10"),
        "float": 1e22,
        "date": date(2024, 1, 2),
        "moment": datetime(2024, 1, 2, 3, 4, 5, 6),
        "uuid": UUID(int=1),
        "enum": Colour.RED,
        "path": Path("a/b"),
        "big": 2**70,
        "nan": float("nan"),
    }
    assert (await content_of(tmp_path, [row])).splitlines()[1] == (
        "True,1.10,1e+22,2024-01-02,2024-01-02T03:04:05.000006,"
        "00000000-0000-0000-0000-000000000001,red,a/b,1180591620717411303424,nan"
    )


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"a": 1}, r"must have the columns a, b; this one lacks 'b'"),
        ({"a": 1, "b": 2, "c": 3}, r"must have the columns a, b; this one has 'c'"),
        ({"a": 1, "x": 2}, r"this one lacks 'b' and has 'x'"),
        ({"a": 1, "b": b"x"}, r"column 'b': a value of type bytes cannot be written without loss"),
        ({"a": 1, "b": ["x"]}, r"column 'b': a value of type list"),
        ({"a": 1, "b": Fraction(1, 3)}, r"column 'b': a value of type Fraction"),
        ({"a": "x\0", "b": 1}, r"column 'a': a text file cannot hold a NUL character, got 'x\\x00'"),
        ({"a": "\ud800", "b": 1}, r"column 'a': a text file cannot hold half of a surrogate pair"),
        ("text", r"a row is a dict, a model or a dataclass, got str"),
    ],
)
async def test_an_item_that_does_not_fit_is_rejected_and_nothing_of_its_batch_is_written(
    tmp_path: Path, item: object, reason: str
) -> None:
    good = {"a": 1, "b": 2}
    own = copy.copy(CsvSink(tmp_path / "out.csv"))
    await own.open(Part("run", "unit"))
    await own.write([good])
    with pytest.raises(ItemRejected, match=reason) as caught:
        await own.write([good, item])
    assert caught.value.index == 1
    await own.write([good])
    receipt = await own.prepare()
    await copy.copy(own).commit([receipt])
    assert (tmp_path / "out.csv").read_text() == "a,b\n1,2\n1,2\n"


async def test_columns_can_be_given_as_names_or_as_a_model(tmp_path: Path) -> None:
    assert await content_of(tmp_path, [], columns=["b", "a"]) == "b,a\n"
    assert await content_of(tmp_path, [{"a": 1, "b": 2}], columns=["b", "a"]) == "b,a\n2,1\n"
    assert await content_of(tmp_path, [], columns=Order) == "id,at,double\n"
    assert await content_of(tmp_path, [], columns=Point) == "x,name\n"
    assert await content_of(tmp_path, [{"a": 1}], header=False, delimiter=";") == "1\n"
    assert await content_of(tmp_path, []) == ""


@pytest.mark.parametrize("columns", ["ab", [], ["a", "a"], [1], int, 5])
def test_columns_that_name_nothing_are_refused(columns: Any) -> None:
    with pytest.raises(OutputRefused, match="columns must be different names"):
        CsvSink("out.csv", columns=columns)


async def test_parts_are_joined_under_one_header_in_the_order_of_the_units(tmp_path: Path) -> None:
    units = [[], [{"a": 1, "b": 2}], [{"b": 4, "a": 3}], []]
    assert await content_of(tmp_path, *units) == "a,b\n1,2\n3,4\n"
    assert await content_of(tmp_path, *units, header=False) == "1,2\n3,4\n"
    assert await content_of(tmp_path, [], []) == ""
    await written(CsvSink(tmp_path / "out.csv.gz"), *units)
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == b"a,b\n1,2\n3,4\n"


async def test_units_that_do_not_agree_on_the_columns_are_rejected_before_anything_is_published(
    tmp_path: Path,
) -> None:
    with pytest.raises(ItemRejected, match=r"must have the columns a; this one lacks 'a' and has 'b'"):
        await written(CsvSink(tmp_path / "out.csv"), [{"a": 1}], [{"b": 2}])
    assert not (tmp_path / "out.csv").exists()


async def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [{"a": number, "b": "x" * number} for number in range(1000)]
    await written(CsvSink(tmp_path / "one.csv.gz"), rows)
    await written(CsvSink(tmp_path / "two.csv.gz"), rows)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()


def texts() -> st.SearchStrategy[str]:
    odd = st.text(st.sampled_from("\n\r\",\ufeff é|\x85\u2028;'\t"), max_size=6)
    return st.one_of(
        odd, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
    )


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    names = draw(st.lists(texts(), min_size=1, max_size=4, unique=True))
    return draw(st.lists(st.fixed_dictionaries({name: texts() for name in names}), min_size=1, max_size=8))


@given(rows=tables(), cuts=st.integers(1, 3), packed=st.booleans(), header=st.booleans())
async def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, str]],
    cuts: int,
    packed: bool,
    header: bool,
) -> None:
    file = tmp_path_factory.mktemp("trip") / ("rows.csv.gz" if packed else "rows.csv")
    units = [rows[number::cuts] for number in range(cuts)]
    await written(CsvSink(file, header=header), *units)
    found = read(CsvSource(file, columns=None if header else list(rows[0])))
    assert found.broken == []
    assert found.items == [row for unit in units for row in unit]


@given(
    rows=st.lists(st.lists(texts(), min_size=1, max_size=4), max_size=12), end=st.sampled_from(["\n", "\r\n"])
)
def test_files_of_the_csv_module_are_read_as_it_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    file = tmp_path_factory.mktemp("module") / "rows.csv"
    file.write_bytes(text.getvalue().encode())
    width = len(rows[0]) if rows else 1
    found = read(CsvSource(file, columns=[f"c{number}" for number in range(width)]))
    assert [[*row.values()] for row in found.items] == [row for row in rows if len(row) == width]
    assert len(found.broken) == len([row for row in rows if len(row) != width])


@given(content=st.binary(max_size=200) | st.text('ab",\n\r\0', max_size=60).map(str.encode))
def test_no_line_is_lost_in_silence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "rows.csv"
    file.write_bytes(content)
    found = read(CsvSource(file, columns=["a", "b"]))
    text = content.removeprefix(b"\xef\xbb\xbf")
    lines = text.removesuffix(b"\n").split(b"\n") if text else []
    spanned = sum("".join(row.values()).count("\n") for row in found.items)
    spanned += sum(line_breaks(payload) for payload, _ in found.broken)
    told = len(found.items) + len(found.broken) + spanned
    # An empty line is told of where it stands within quotes.
    assert len([line for line in lines if line.strip(b"\r")]) <= told <= len(lines)


def line_breaks(payload: Any) -> int:
    return payload.count(b"\n") if isinstance(payload, bytes) else "".join(payload).count("\n")
