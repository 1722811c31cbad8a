"""A source can be read again: what can be read only once, or is no list of items, is refused where it is written."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from typing_extensions import TypeAliasType

from tests.unit.composing import (
    Order,
    Refund,
    anything,
    client,
    digits,
    numbers,
    numbers_later,
    positive,
    refusal,
    text_later,
    upper,
)
from tests.unit.unchecked import Source

RULE = "a source reads a re-readable iterable, or a function that gives one"
FRESH = "Give a list, or a function that makes a fresh iterator each time"
TEXT = "Give a list of items; to read a file, give a function or a file source"


class Pages:
    """An unbounded source."""

    def read(self, since: Any) -> Iterator[Order]:
        yield Order()

    def position(self) -> int:
        return 1


class Lines:
    """A re-readable iterable whose items have a known type."""

    def __iter__(self) -> Iterator[str]:
        yield "a"


@pytest.mark.parametrize(
    ("items", "got", "advice"),
    [
        pytest.param("abc", "got str 'abc'", TEXT, id="str"),
        pytest.param(b"abc", "got bytes b'abc'", TEXT, id="bytes"),
        pytest.param(bytearray(b"a"), "got bytearray bytearray(b'a')", TEXT, id="bytearray"),
        pytest.param(Order(), "got Order Order(total=0)", FRESH, id="model"),
        pytest.param(Order, "got the class Order", FRESH, id="model class"),
        pytest.param(Refund, "got the class Refund", FRESH, id="class of no iterable"),
        pytest.param(5, "got int 5", FRESH, id="number"),
        pytest.param(None, "got None", FRESH, id="nothing"),
        pytest.param(Source([1]), "got Source 'list'", FRESH, id="source"),
        pytest.param(
            numbers(),
            "got the generator object numbers, which can be read only once",
            "Give the function itself, Source(numbers), or functools.partial for its arguments",
            id="generator object",
        ),
        pytest.param(
            numbers_later(),
            "got the generator object numbers_later, which can be read only once",
            "Give the function itself, Source(numbers_later), or functools.partial for its arguments",
            id="async generator object",
        ),
        pytest.param(
            text_later(1),
            "got a call of the async function text_later",
            "Give the function itself: Source(text_later)",
            id="coroutine",
        ),
    ],
)
def test_what_cannot_be_read_again_is_refused(items: Any, got: str, advice: str) -> None:
    error = refusal(lambda: Source(items))
    assert (error.rule, error.got, error.advice) == (RULE, got, advice)


@pytest.mark.parametrize(
    "items",
    [
        iter([1]),
        zip([1], [2], strict=True),
        map(str, [1]),
        csv.reader(["a"]),
        io.StringIO("a"),
        reversed([1]),
    ],
    ids=lambda items: type(items).__name__,
)
def test_an_iterator_is_refused(items: Any) -> None:
    error = refusal(lambda: Source(items))
    assert (error.rule, error.advice) == (RULE, FRESH)
    assert error.got.endswith(", an iterator, which can be read only once")


@pytest.mark.parametrize(
    ("compose", "rule", "got"),
    [
        pytest.param(
            lambda: Source(digits),
            "a source's function is called without arguments",
            "digits: missing a required argument: 'number'",
            id="argument",
        ),
        pytest.param(
            lambda: Source(numbers, splits=["a"]),
            "a source's function is called with one split",
            "numbers: too many positional arguments",
            id="no split",
        ),
        pytest.param(
            lambda: Source(partial(positive, 1)),
            "a source's function gives an iterable of items",
            "positive returns bool",
            id="no iterable",
        ),
        pytest.param(
            lambda: Source(partial(upper, "a")),
            "a source's function gives an iterable of items",
            "upper returns str",
            id="text",
        ),
        pytest.param(
            lambda: Source([1], splits=[1]),
            "splits= needs a function that reads one split",
            "got list [1]",
            id="split list",
        ),
        pytest.param(
            lambda: Source(anything, splits="ab"),
            "splits must be a sequence, or a function that gives one",
            "got str",
            id="split text",
        ),
        pytest.param(
            lambda: Source(anything, splits=upper),
            "the splits function is called with nothing",
            "missing a required argument: 'word'",
            id="splits function",
        ),
        pytest.param(
            lambda: Source(numbers, max_items=3),
            "max_items and max_age end the slices of an unbounded source",
            "got the function numbers",
            id="bounded",
        ),
        pytest.param(
            lambda: Source(Pages(), max_items=0),
            "max_items must be a whole number of at least 1",
            "got 0",
            id="max_items",
        ),
        pytest.param(
            lambda: Source(Pages(), max_age=-1),
            "max_age must be a number of seconds or a timedelta above 0",
            "got -1",
            id="max_age",
        ),
        pytest.param(
            lambda: Source([1], on="process"),
            'on must be "loop" or "thread"',
            "got 'process'",
            id="on",
        ),
        pytest.param(
            lambda: Source(numbers_later, on="thread"),
            'on="thread" is for blocking sources',
            "got an asynchronous one",
            id="async on thread",
        ),
        pytest.param(
            lambda: Source([1], on_error="skip"),
            "on_error of a source is for readers that can step over a broken piece",
            "got on_error='skip'",
            id="on_error",
        ),
        pytest.param(
            lambda: Source([1], uses={"client": client}), "uses= is for functions", "got list [1]", id="uses"
        ),
        pytest.param(
            lambda: Source(numbers, uses={"client": client}),
            "each name in uses= is a parameter of numbers",
            "'client' is not (it has: none)",
            id="unknown resource",
        ),
        pytest.param(
            lambda: Source(numbers, split=[1]),
            "an option of Source is one of max_age, max_items, name, on, on_error, retry, splits, uses",
            "got split=",
            id="unknown option",
        ),
    ],
)
def test_a_source_that_cannot_be_read_as_asked_is_refused(
    compose: Callable[[], object], rule: str, got: str
) -> None:
    error = refusal(compose)
    assert error.what.startswith("Source ")
    assert (error.rule, error.got) == (rule, got)


@pytest.mark.parametrize(
    ("source", "item"),
    [
        (lambda: Source(numbers), int),
        (lambda: Source(numbers_later), int),
        (lambda: Source(Pages()), Order),
        (lambda: Source(Lines()), str),
        (lambda: Source(Lines), str),
        (lambda: Source(range(3)), int),
        (lambda: Source([1]), Any),
        (lambda: Source(partial(digits, 12)), str),
        (lambda: Source(digits, splits=[1, 2]), str),
    ],
)
def test_what_a_source_gives_is_read_from_annotations(source: Callable[[], Any], item: Any) -> None:
    assert source().gives(Any) == item


def rows_of(client: str) -> list[str]:
    return [client]


def split_rows(number: int, client: str) -> list[str]:
    return [client * number]


async def rows_later() -> list[str]:
    return []


def test_a_resource_fills_a_parameter() -> None:
    assert Source(rows_of, uses={"client": client}).gives(Any) is str
    assert Source(split_rows, splits=[1], uses={"client": client}).gives(Any) is str


Words = TypeAliasType("Words", list[str])


def words() -> Words:
    return ["a"]


def test_an_alias_is_looked_through() -> None:
    assert Source(words).gives(Any) is str


def test_an_async_function_may_give_a_list() -> None:
    assert Source(rows_later).gives(Any) is str
