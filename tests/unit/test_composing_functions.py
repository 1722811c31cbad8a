"""A function that a stage cannot call with one item is refused where the stage is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from piko_flow.errors import StageTypeError
from tests.unit.composing import (
    Order,
    Refund,
    client,
    digits,
    digits_later,
    fetch,
    plus,
    positive,
    refusal,
    text,
    text_later,
    told,
)
from tests.unit.unchecked import CpuMap, Filter, FlatMap, Fold, Sink, Transform

ONE_ITEM = "its function is called with one item"
FILL = "Give other parameters a default, fill them with functools.partial, or name resources in uses="


def two(first: int, second: int) -> int:
    return first + second


def returns_awaitable(number: int) -> Awaitable[str]:
    return text_later(number)


async def plus_later(total: int, number: int) -> int:
    return total + number


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        pytest.param(
            lambda: Transform(5),
            ("Transform", "it needs a function of one item", "got int 5", ""),
            id="no function",
        ),
        pytest.param(
            lambda: Transform(Transform(text)),
            ("Transform", "it needs a function of one item", "got Transform 'text'", ""),
            id="a stage",
        ),
        pytest.param(
            lambda: Transform(two),
            ("Transform 'two'", ONE_ITEM, "two: missing a required argument: 'second'", FILL),
            id="two arguments",
        ),
        pytest.param(
            lambda: Transform(lambda: 1),
            ("Transform 'lambda'", ONE_ITEM, "lambda: too many positional arguments", FILL),
            id="no argument",
        ),
        pytest.param(
            lambda: Transform(Order),
            ("Transform 'Order'", ONE_ITEM, "Order: too many positional arguments", FILL),
            id="model",
        ),
        pytest.param(
            lambda: Transform(returns_awaitable),
            (
                "Transform 'returns_awaitable'",
                "its function is either async or returns a value",
                "returns_awaitable is a plain function that returns Awaitable",
                "Write it with async def",
            ),
            id="awaitable",
        ),
        pytest.param(
            lambda: Transform(digits),
            (
                "Transform 'digits'",
                "a Transform's function gives one item for each item",
                "got a generator function",
                "Use FlatMap for a function that gives several",
            ),
            id="generator",
        ),
        pytest.param(
            lambda: Filter(digits),
            (
                "Filter 'digits'",
                "a Filter's predicate gives true or false for an item",
                "got a generator function",
                "Use FlatMap for a function that gives several items",
            ),
            id="generator as predicate",
        ),
        pytest.param(
            lambda: FlatMap(positive),
            (
                "FlatMap 'positive'",
                "a FlatMap's function gives an iterable of items for each item",
                "positive returns bool",
                "Use Transform for a function that gives one item",
            ),
            id="no iterable",
        ),
        pytest.param(
            lambda: CpuMap(text_later),
            (
                "CpuMap 'text_later'",
                "CpuMap runs a plain function on other processes",
                "got an async function",
                "Use Transform for async functions",
            ),
            id="async on processes",
        ),
        pytest.param(
            lambda: CpuMap(digits_later),
            (
                "CpuMap 'digits_later'",
                "CpuMap's function gives one item for each item",
                "got a generator function",
                "Return a list and flatten it with FlatMap",
            ),
            id="async generator on processes",
        ),
        pytest.param(
            lambda: Sink(digits),
            (
                "Sink 'digits'",
                "a sink's function is called for what it does",
                "got a generator function",
                "",
            ),
            id="generator as sink",
        ),
    ],
)
def test_a_function_that_a_stage_cannot_call_is_refused(
    compose: Callable[[], object], expected: tuple[str, ...]
) -> None:
    assert tuple(told(refusal(compose)).values()) == expected


@pytest.mark.parametrize(
    ("compose", "rule", "got"),
    [
        pytest.param(
            lambda: Transform(text_later, uses={"client": client}),
            "each name in uses= is a parameter of text_later",
            "'client' is not (it has: none)",
            id="no parameter",
        ),
        pytest.param(
            lambda: Transform(fetch, uses={"klient": client}),
            "each name in uses= is a parameter of fetch",
            "'klient' is not (it has: client)",
            id="another name",
        ),
        pytest.param(
            lambda: Transform(fetch, uses={"number": client}),
            "each name in uses= is a parameter of fetch",
            "'number' is not (it has: client)",
            id="the item",
        ),
        pytest.param(
            lambda: Transform(fetch, uses={"client": 5}),
            "uses['client'] must be an async context manager function or an object with acquire(info)",
            "got int 5",
            id="no resource",
        ),
        pytest.param(
            lambda: Transform(fetch, uses=client),
            "uses must be a dict from parameter name to resource",
            f"got {client!r}",
            id="no dict",
        ),
        pytest.param(
            lambda: Transform(fetch),
            ONE_ITEM,
            "fetch: missing a required argument: 'client'",
            id="not filled",
        ),
    ],
)
def test_a_resource_that_does_not_fit_is_refused(compose: Callable[[], object], rule: str, got: str) -> None:
    error = refusal(compose)
    assert (error.rule, error.got[:100]) == (rule, got[:100])


def test_a_resource_or_a_partial_fills_what_is_missing() -> None:
    assert Transform(fetch, uses={"client": client}).options.uses == {"client": client}
    assert Transform(partial(two, 1)).name == "two"
    assert Transform(partial(fetch, client="a")).signature.takes is int
    assert Transform(Refund).gives(int) is Refund
    assert Transform(len).takes is Any


@pytest.mark.parametrize(
    ("compose", "rule", "got"),
    [
        (lambda: Fold(plus), "start must be a function", "got None"),
        (lambda: Fold(plus, start=0), "start must be a function", "got int 0"),
        (
            lambda: Fold(text, start=int),
            "step is called with the value and one item",
            "text: too many positional arguments",
        ),
        (
            lambda: Fold(plus, start=text),
            "start is called with nothing",
            "text: missing a required argument: 'number'",
        ),
        (lambda: Fold(plus_later, start=int), "Fold's step is a plain function", "got an async function"),
    ],
    ids=["no start", "value", "one argument", "start with argument", "async"],
)
def test_a_fold_needs_functions_that_go_round(compose: Callable[[], object], rule: str, got: str) -> None:
    error = refusal(compose)
    assert (error.rule, error.got) == (rule, got)


def test_what_a_fold_starts_with_fits_its_step() -> None:
    error = refusal(lambda: Fold(plus, start=str), StageTypeError)
    assert (error.rule, error.got) == ("its step takes the value as int", "str gives str")


def test_functions_that_are_not_ours_may_hide_their_parameters() -> None:
    assert Transform(print).signature.keywords is not None
    assert Transform("a".join).name == "join"
