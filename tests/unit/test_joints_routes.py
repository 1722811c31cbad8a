"""A Route has a branch for everything that comes; what fits or is not known composes."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import pytest

from piko_flow.errors import StageTypeError
from tests.unit.composing import (
    Order,
    Refund,
    Row,
    Rush,
    anything,
    is_refund,
    is_rush,
    large,
    mixed,
    numbers,
    perhaps,
    refusal,
    save_order,
    save_refund,
    save_rush,
    upper,
    without_places,
)
from tests.unit.unchecked import (
    Broadcast,
    Filter,
    Merge,
    On,
    Parse,
    Route,
    Sink,
    Source,
    Transform,
)


class Shape(abc.ABC):
    """A class that has no items of its own."""

    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1


def shapes() -> list[Shape]:
    return [Square()]


def orders() -> list[Order]:
    return []


def rushes() -> list[Rush]:
    return []


def rows() -> list[Row]:
    return []


def everything() -> list[object]:
    return []


def unknown() -> list[Any]:
    return []


def total(order: Order) -> int:
    return order.total


def reason(refund: Refund) -> str:
    return str(refund.amount)


@pytest.mark.parametrize(
    ("compose", "got", "advice"),
    [
        (
            lambda: Source(mixed) >> Route(On(Order, Sink(save_order))),
            "Source 'mixed' ({}) gives Order | Refund and no branch takes Refund",
            "Add On(Refund, ...), or On(object, ...) last",
        ),
        (
            lambda: Source(perhaps) >> Route(On(Order, Sink(save_order))),
            "Source 'perhaps' ({}) gives Order | None and no branch takes None",
            "Add On(type(None), ...), or On(object, ...) last",
        ),
        (
            lambda: Source(orders) >> Route(On(Rush, Sink(save_order))),
            "Source 'orders' ({}) gives Order and no branch takes Order",
            "Add On(Order, ...), or On(object, ...) last",
        ),
        (
            lambda: Source(everything) >> Route(On(Order, Sink(save_order))),
            "Source 'everything' ({}) gives object and no branch takes object",
            "Add On(object, ...) last",
        ),
        (
            lambda: (
                Merge(Source(numbers), Source(mixed))
                >> Route(On(Order, Sink(print)), On(Refund, Sink(print)))
            ),
            "Merge ({}) gives int | Order | Refund and no branch takes int",
            "Add On(int, ...), or On(object, ...) last",
        ),
    ],
    ids=["union", "None", "base class", "object", "merge"],
)
def test_a_missing_branch_is_named(compose: Callable[[], object], got: str, advice: str) -> None:
    error = refusal(compose, StageTypeError)
    assert (error.what, error.rule) == ("Route", "a Route has a branch for everything that comes")
    assert (without_places(error.got), error.advice) == (got, advice)


@pytest.mark.parametrize(
    "compose",
    [
        lambda: Source(mixed) >> Route(On(Order, Sink(save_order)), On(Refund, Sink(save_refund))),
        lambda: Source(mixed) >> Route(On(Order | Refund, Sink(print))),
        lambda: Source(mixed) >> Route(On((Order, Refund), Sink(print))),
        lambda: Source(mixed) >> Route(On(Order, Sink(save_order)), On(object, Sink(save_refund))),
        lambda: Source(mixed) >> Route(On(anything, Sink(save_order))),
        lambda: Source(mixed) >> Route(On(is_refund, Sink(save_refund)), On(Order, Sink(save_order))),
        lambda: Source(mixed) >> Route(On(is_refund, Sink(save_refund)), On(object, Sink(save_order))),
        lambda: Source(mixed) >> Route(On(is_rush, Sink(save_rush)), On(object, Sink(print))),
        lambda: Source(mixed) >> Route(On(Refund, Sink(save_refund)), On(large, Sink(save_order))),
        lambda: Source(rushes) >> Route(On(Order, Sink(save_rush))),
        lambda: Source(shapes) >> Route(On(Square, Sink(print))),
        lambda: Source(rows) >> Route(On(dict, Sink(print))),
        lambda: Source(unknown) >> Route(On(Order, Sink(save_rush))),
        lambda: Source([1]) >> Route(On(Order, Sink(save_order))),
        lambda: Source(perhaps) >> Route(On(type(None), Sink(print)), On(Order, Sink(save_order))),
        lambda: Source(mixed) >> Filter(is_refund) >> Transform(reason),
        lambda: Source(rushes) >> Transform(total),
        lambda: Source(mixed) >> Parse(Order) >> Transform(total),
        lambda: Source(anything_of, splits=[1]) >> Transform(upper),
        lambda: Source(orders) >> Broadcast(Transform(total), Transform(anything)) >> Transform(upper),
    ],
)
def test_what_fits_or_is_not_known_composes(compose: Callable[[], object]) -> None:
    compose()


def anything_of(split):  # type: ignore[no-untyped-def]  # what is not annotated is what this is about
    return [split]
