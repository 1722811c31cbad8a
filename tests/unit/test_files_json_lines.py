"""JSON lines files: what is read, what is broken and where, what is written and what is never altered."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from piko_flow.connectors.files import JsonLinesSink, JsonLinesSource
from piko_flow.errors import ItemRejected, PipelineError
from tests.unit.files_by_hand import Read, read, written


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "values.jsonl"


def values_of(file: Path, content: bytes, **options: Any) -> Read:
    file.write_bytes(content)
    return read(JsonLinesSource(file, **options))


def test_lines_are_values_and_lines_of_white_space_are_not(file: Path) -> None:
    found = values_of(file, b'\xef\xbb\xbf{"a": 1}\r\n\n  \t\n{"b": [null, "\xc3\xa9"]}')
    assert (found.items, found.broken) == ([{"a": 1}, {"b": [None, "é"]}], [])
    assert values_of(file, b"").items == []


@pytest.mark.parametrize("number", [2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**40])
def test_whole_numbers_of_any_size_are_exact(file: Path, number: int) -> None:
    assert values_of(file, b'{"a": %d, "b": "12345678901234567890123"}' % number).items[0]["a"] == number


@pytest.mark.parametrize(
    ("line", "payload", "reason"),
    [
        (b'{"a": 1', '{"a": 1', "a line must hold one JSON value (unexpected end of data at column 8)"),
        (b'{"a": NaN}', '{"a": NaN}', "a line must hold one JSON value"),
        (b'{"a": 1e999}', '{"a": 1e999}', "a line must hold one JSON value"),
        (b'{"a": 1}{"b": 2}', '{"a": 1}{"b": 2}', "a line must hold one JSON value"),
        (b'{"a": "\xff"}', b'{"a": "\xff"}', "a line must hold one JSON value"),
        (b'{"a": "\0"}', '{"a": "\0"}', "a line must hold one JSON value"),
        (b'{"a": "\\ud800"}', '{"a": "\\ud800"}', "a line must hold one JSON value"),
        (b"[1, 2]", "[1, 2]", "a line must hold a JSON object, got [1, 2]"),
        (b"null", "null", "a line must hold a JSON object, got None"),
    ],
)
def test_a_broken_line_is_rejected_with_its_number_and_the_others_are_given(
    file: Path, line: bytes, payload: object, reason: str
) -> None:
    found = values_of(file, b'{"n": 1}\n\n%s\n{"n": 2}\n' % line)
    assert found.items == [{"n": 1}, {"n": 2}]
    ((rejected, message),) = found.broken
    assert rejected == payload
    assert message.startswith(f"{file}:3: ")
    assert reason in message


def test_a_line_longer_than_allowed_is_rejected_and_not_held(file: Path) -> None:
    found = values_of(file, b'{"n": 1}\n{"n": "%s"}\n{"n": 3}' % (b"x" * 5000), max_line=100)
    assert found.items == [{"n": 1}, {"n": 3}]
    assert found.broken[0][1] == (
        f"{file}:2: a line may have 100 bytes, this one has 5,009; raise max_line to read it"
    )


def test_other_kinds_of_values_are_read_on_request(file: Path) -> None:
    assert values_of(file, b'[1]\n"x"\n2', of=object).items == [[1], "x", 2]
    found = values_of(file, b"[1]\n{}\n[2]", of=list)
    assert found.items == [[1], [2]]
    assert "a line must hold a JSON list, got {}" in found.broken[0][1]
    with pytest.raises(PipelineError, match="of must be a class"):
        JsonLinesSource(file, of=3)  # type: ignore[call-overload]


def test_the_stage_knows_what_it_gives(file: Path) -> None:
    assert JsonLinesSource(file).gives(None) == dict[str, Any]
    assert JsonLinesSource(file, of=list).gives(None) is list


def test_gzip_members_are_read_one_after_the_other(tmp_path: Path) -> None:
    file = tmp_path / "values.jsonl.gz"
    members = gzip.compress(b'{"n": 1}\n{"n"') + gzip.compress(b"") + gzip.compress(b": 2}\n")
    assert values_of(file, members + b"\0" * 512).items == [{"n": 1}, {"n": 2}]
    assert values_of(file, b"").items == []


def test_data_that_grow_a_thousandfold_are_read_in_small_pieces(tmp_path: Path) -> None:
    file = tmp_path / "values.jsonl.gz"
    found = values_of(file, gzip.compress(b'{"n": 1}\n' * 1_000_000))
    assert len(found.items) == 1_000_000
    assert max(found.sizes) <= 500


# Writing.


class Level(IntEnum):
    HIGH = 3


class Order(BaseModel):
    id: int
    price: Decimal
    note: float | None = None


@dataclass
class Point:
    x: float
    _hidden: int = 1


class Pair(NamedTuple):
    a: int
    b: int


async def lines_of(tmp_path: Path, *items: object) -> list[str]:
    await written(JsonLinesSink(tmp_path / "out.jsonl"), items)
    return (tmp_path / "out.jsonl").read_text().splitlines()


async def test_values_are_written_without_loss(tmp_path: Path) -> None:
    odd_zone = timezone(timedelta(hours=1, seconds=28))
    lines = await lines_of(
        tmp_path,
        {"a": [1, 0.1, None, True, "é"], "b": {"c": ()}},
        Order(id=1, price=Decimal("1.10")),
        {"order": Order(id=2, price=Decimal(1)), "point": Point(0.5)},
        {"decimal": Decimal("1.10"), "level": Level.HIGH, "day": date(2024, 1, 2), "path": Path("a")},
        {"moment": datetime(2024, 1, 2, tzinfo=UTC), "odd": datetime(2024, 1, 2, tzinfo=odd_zone)},
        MappingProxyType({"count": np.int64(3), "share": np.float64(0.5), "small": np.float32(0.5)}),
        None,
        "text",
    )
    assert lines == [
        '{"a":[1,0.1,null,true,"é"],"b":{"c":[]}}',
        '{"id":1,"price":"1.10","note":null}',
        '{"order":{"id":2,"price":"1","note":null},"point":{"x":0.5,"_hidden":1}}',
        '{"decimal":"1.10","level":3,"day":"2024-01-02","path":"a"}',
        '{"moment":"2024-01-02T00:00:00+00:00","odd":"2024-01-02T00:00:00+01:00:28"}',
        '{"count":3,"share":0.5,"small":0.5}',
        "null",
        '"text"',
    ]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"a": [1, {"b": math.nan}]}, "a[1].b: JSON has no nan; write None or text"),
        ({"a": None, "b": math.inf}, "b: JSON has no inf"),
        ({"a": np.float64("nan")}, "a: JSON has no nan"),
        (Order(id=1, price=Decimal(1), note=math.nan), "note: JSON has no nan"),
        ({"o": Order(id=1, price=Decimal(1), note=-math.inf)}, "o.note: JSON has no -inf"),
        (Point(math.nan), "x: JSON has no nan"),
        ({"a": 2**64}, "a: a whole number must fit into 64 bits, got 18446744073709551616"),
        ({"a": b"x"}, "a: a value of type bytes cannot be written without loss"),
        ({"a": {1}}, "a: a value of type set cannot be written without loss"),
        ({"a": timedelta(1)}, "a: a value of type timedelta"),
        ({"a": np.zeros(2)}, "a: a value of type ndarray"),
        ({1: 2}, "a key must be text, got 1"),
        ({"a": {None: 2}}, "a: a key must be text, got None"),
        ({"a": "\ud800"}, "a: text must be Unicode"),
        ({"a": Pair(1, 2)}, "not JSON serializable: Pair"),
        (Order, "a value of type ModelMetaclass"),
        (object(), "a value of type object"),
    ],
)
async def test_what_json_cannot_hold_is_rejected_and_never_altered(
    tmp_path: Path, item: object, reason: str
) -> None:
    with pytest.raises(ItemRejected) as caught:
        await lines_of(tmp_path, {}, item)
    assert caught.value.index == 1
    assert reason in caught.value.reason


def json_values() -> st.SearchStrategy[Any]:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    one = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        text,
    )
    return st.recursive(
        one,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=8,
    )


@given(values=st.lists(json_values(), max_size=8), cuts=st.integers(1, 3), packed=st.booleans())
async def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], cuts: int, packed: bool
) -> None:
    file = tmp_path_factory.mktemp("trip") / ("values.jsonl.gz" if packed else "values.jsonl")
    units = [values[number::cuts] for number in range(cuts)]
    await written(JsonLinesSink(file), *units)
    found = read(JsonLinesSource(file, of=object))
    assert found.broken == []
    assert repr(found.items) == repr([value for unit in units for value in unit])


@given(content=st.binary(max_size=200) | st.text('{}[]",:1\n\r e-', max_size=40).map(str.encode))
def test_no_line_is_lost_in_silence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "values.jsonl"
    file.write_bytes(content)
    found = read(JsonLinesSource(file, of=object))
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert len(found.items) + len(found.broken) == len([line for line in lines if line.strip()])
