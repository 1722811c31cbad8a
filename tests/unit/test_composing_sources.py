"""A source can be read again: what can be read only once, or is no list of items, is refused where it is written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.composing import Order, each_refusal, message, refused

SOURCES = """
Source('abc')
    Source 'str': a source reads a re-readable iterable, or a function that gives one; got str 'abc'. Give a list of items; to read a file, give a function or a file source
Source(b'abc')
    Source 'bytes': a source reads a re-readable iterable, or a function that gives one; got bytes b'abc'. Give a list of items; to read a file, give a function or a file source
Source(bytearray(b'a'))
    Source 'bytearray': a source reads a re-readable iterable, or a function that gives one; got bytearray bytearray(b'a'). Give a list of items; to read a file, give a function or a file source
Source(Order())
    Source 'Order': a source reads a re-readable iterable, or a function that gives one; got Order Order(total=0). Give a list, or a function that makes a fresh iterator each time
Source(Order)
    Source 'ModelMetaclass': a source reads a re-readable iterable, or a function that gives one; got the class Order. Give a list, or a function that makes a fresh iterator each time
Source(Refund)
    Source 'type': a source reads a re-readable iterable, or a function that gives one; got the class Refund. Give a list, or a function that makes a fresh iterator each time
Source(5)
    Source 'int': a source reads a re-readable iterable, or a function that gives one; got int 5. Give a list, or a function that makes a fresh iterator each time
Source(None)
    Source 'NoneType': a source reads a re-readable iterable, or a function that gives one; got None. Give a list, or a function that makes a fresh iterator each time
Source(Source([1]))
    Source 'Source': a source reads a re-readable iterable, or a function that gives one; got Source 'list'. Give a list, or a function that makes a fresh iterator each time
Source(numbers())
    Source 'generator': a source reads a re-readable iterable, or a function that gives one; got the generator object numbers, which can be read only once. Give the function itself, Source(numbers), or functools.partial for its arguments
Source(numbers_later())
    Source 'async_generator': a source reads a re-readable iterable, or a function that gives one; got the generator object numbers_later, which can be read only once. Give the function itself, Source(numbers_later), or functools.partial for its arguments
Source(text_later(1))
    Source 'coroutine': a source reads a re-readable iterable, or a function that gives one; got a call of the async function text_later. Give the function itself: Source(text_later)
Source(digits)
    Source 'digits': a source's function is called without arguments; digits: missing a required argument: 'number'. Fill its arguments with functools.partial, or give splits=
Source(numbers, splits=['a'])
    Source 'numbers': a source's function is called with one split; numbers: too many positional arguments
Source(partial(positive, 1))
    Source 'positive': a source's function gives an iterable of items; positive returns bool. Give a list, or make it a generator with yield
Source(partial(upper, 'a'))
    Source 'upper': a source's function gives an iterable of items; upper returns str. Give a list, or make it a generator with yield
Source([1], splits=[1])
    Source 'list': splits= needs a function that reads one split; got list [1]
Source(anything, splits='ab')
    Source 'anything': splits must be a sequence, or a function that gives one; got str
Source(anything, splits=upper)
    Source 'anything': the splits function is called with nothing; missing a required argument: 'word'
Source(numbers, max_items=3)
    Source 'numbers': max_items and max_age end the slices of an unbounded source; got the function numbers. Give an object with read(since) and position()
Source(Pages(), max_items=0)
    Source 'Pages': max_items must be a whole number of at least 1; got 0
Source(Pages(), max_age=-1)
    Source 'Pages': max_age must be a number of seconds or a timedelta above 0; got -1
Source([1], on='process')
    Source 'list': on must be "loop" or "thread"; got 'process'
Source(numbers_later, on='thread')
    Source 'numbers_later': on="thread" is for blocking sources; got an asynchronous one. Leave on= out
Source([1], on_error='skip')
    Source 'list': on_error of a source is for readers that can step over a broken piece; got on_error='skip'. Parse in a stage of its own, with on_error there
Source([1], uses={'client': client})
    Source 'list': uses= is for functions; got list [1]
Source(numbers, uses={'client': client})
    Source 'numbers': each name in uses= is a parameter of numbers; 'client' is not (it has: none)
"""


class Pages:
    """An unbounded source."""

    def read(self, since: Any) -> Iterator[Order]:
        yield Order()

    def position(self) -> int:
        return 1


SCOPE = vars()


@each_refusal(SOURCES)
def test_what_cannot_be_read_is_refused_where_it_is_written(code: str, said: str) -> None:
    error = refused(code, **SCOPE)
    assert message(error) == said
    assert error.where == "composed.py:1"


@pytest.mark.parametrize(
    "iterator",
    [
        iter([1]),
        zip([1], [2], strict=True),
        map(str, [1]),
        csv.reader(["a"]),
        io.StringIO("a"),
        reversed([1]),
    ],
    ids=lambda iterator: type(iterator).__name__,
)
def test_an_iterator_is_no_source_for_it_can_be_read_only_once(iterator: Any) -> None:
    said = message(refused("Source(iterator)", iterator=iterator))
    assert said.startswith(
        f"Source {type(iterator).__name__!r}: a source reads a re-readable iterable, or a function that gives one; got "
    )
    assert said.endswith(
        ", an iterator, which can be read only once. Give a list, or a function that makes a fresh iterator each time"
    )
