"""What one stage gives is compared with what the next one takes, wherever the joint lies; a Route has a branch for everything."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Any, TypeVar

import pytest
from typing_extensions import TypeAliasType

from piko_flow import StageTypeError
from tests.unit.composing import (
    Order,
    Refund,
    Row,
    Rush,
    anything,
    client,
    composed,
    each_refusal,
    message,
    numbers,
    refused,
    text,
)
from tests.unit.unchecked import Filter, Source, Transform

ADVICE = "Change one of the two annotations, or put a Transform or Parse between them"
Item = TypeVar("Item")
Words = TypeAliasType("Words", list[str])


class Shape(abc.ABC):
    """A class that has no items of its own."""

    @abc.abstractmethod
    def area(self) -> float: ...


class Square(Shape):
    def area(self) -> float:
        return 1


class Probe:
    """What no other stage gives."""


class Chatty:
    """A callable object whose call is annotated."""

    def __call__(self, item: Item) -> list[Item]:
        return [item]


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


def orders() -> list[Order]:
    return []


def rushes() -> list[Rush]:
    return []


def shapes() -> list[Shape]:
    return [Square()]


def rows() -> list[Row]:
    return []


def everything() -> list[object]:
    return []


def unknown() -> list[Any]:
    return []


def words() -> Words:
    return ["a"]


async def words_later() -> list[str]:
    return []


def rows_of(client: str) -> list[str]:
    return [client]


def split_rows(number: int, client: str) -> list[str]:
    return [client * number]


def probe(item: Probe) -> None: ...


def total(order: Order) -> int:
    return order.total


def reason(refund: Refund) -> str:
    return str(refund.amount)


def width(word: str) -> int:
    return len(word)


def longer(value, item):  # type: ignore[no-untyped-def]  # what is not annotated is what this is about
    return value


def unresolvable(item: Order, client: Missing) -> Also:  # type: ignore[name-defined]  # noqa: F821  # on purpose
    return item


MISFITS = """
Source(numbers) >> Transform(upper)
    Transform 'upper': it takes str; Source 'numbers' gives int
Source(numbers) >> Transform(text) >> CpuMap(text)
    CpuMap 'text': it takes int; Transform 'text' gives str
Transform(text) >> Transform(text)
    Transform 'text': it takes int; Transform 'text' gives str
Source(numbers) >> FlatMap(digits) >> Sink(save_number)
    Sink 'save_number': it takes int; FlatMap 'digits' gives str
Source(numbers) >> Batch(3) >> Sink(save_number)
    Sink 'save_number': it takes int; Batch gives list[int]
Source(numbers) >> Throttle(3) >> Filter(anything) >> Transform(upper)
    Transform 'upper': it takes str; Filter 'anything' gives int
Source(numbers) >> Transform(same) >> Transform(upper)
    Transform 'upper': it takes str; Transform 'same' gives int
Source(numbers) >> Transform(pair) >> Transform(upper)
    Transform 'upper': it takes str; Transform 'pair' gives tuple[int, int]
Source(numbers) >> Batch(2) >> Transform(first) >> Transform(upper)
    Transform 'upper': it takes str; Transform 'first' gives int
Source(numbers) >> Parse(Order) >> Transform(reason)
    Transform 'reason': it takes Refund; Parse 'parse_order' gives Order
Source(mixed) >> Fold(plus, start=int)
    Fold 'plus': it takes int; Source 'mixed' gives Order | Refund
Source(numbers) >> Fold(plus, start=int, key=positive) >> Transform(upper)
    Transform 'upper': it takes str; Fold 'plus' gives tuple[bool, int]
Source(numbers) >> Transform(anything, key=total, on='thread')
    Transform 'anything': its key function takes Order; Source 'numbers' gives int
Source(numbers) >> Batch(100, weight=width)
    Batch: its weight function takes str; Source 'numbers' gives int
Merge(Source(numbers), Source(mixed)) >> Transform(text)
    Transform 'text': it takes int; Merge gives int | Order | Refund
Source(mixed) >> Broadcast(Sink(save_order), Sink(print))
    Sink 'save_order': it takes Order; Source 'mixed' gives Order | Refund
Source(orders) >> Broadcast(Transform(total), Transform(same)) >> Transform(upper)
    Transform 'upper': it takes str; Broadcast gives int | Order
Source(mixed) >> Route(On(Order, Sink(save_order)), On(object, Sink(save_number)))
    Sink 'save_number': it takes int; Source 'mixed' gives Refund
Source(orders) >> Route(On(Order, Sink(save_rush)))
    Sink 'save_rush': it takes Rush; Source 'orders' gives Order
On(Order, Transform(reason))
    Transform 'reason': it takes Refund; On 'Order' gives Order
Source(mixed) >> Route(On(large, Sink(save_order)), On(object, Sink(print)))
    On 'large': its predicate takes Order; Source 'mixed' gives Order | Refund
Source(mixed) >> Route(On(is_refund, Sink(save_order)), On(object, Sink(print)))
    Sink 'save_order': it takes Order; On 'is_refund' gives Refund
Source(numbers) >> Transform(unresolvable, uses={'client': client})
    Transform 'unresolvable': it takes Order; Source 'numbers' gives int
"""
MISSING = """
Source(mixed) >> Route(On(Order, Sink(save_order)))
    Source 'mixed' gives Order | Refund and no branch takes Refund. Add On(Refund, ...), or On(object, ...) last
Source(perhaps) >> Route(On(Order, Sink(save_order)))
    Source 'perhaps' gives Order | None and no branch takes None. Add On(type(None), ...), or On(object, ...) last
Source(orders) >> Route(On(Rush, Sink(save_order)))
    Source 'orders' gives Order and no branch takes Order. Add On(Order, ...), or On(object, ...) last
Source(everything) >> Route(On(Order, Sink(save_order)))
    Source 'everything' gives object and no branch takes object. Add On(object, ...) last
Merge(Source(numbers), Source(mixed)) >> Route(On(Order, Sink(print)), On(Refund, Sink(print)))
    Merge gives int | Order | Refund and no branch takes int. Add On(int, ...), or On(object, ...) last
"""
GIVES = {
    "Source(numbers)": "int",
    "Source(numbers_later)": "int",
    "Source(range(3))": "int",
    "Source(Pages())": "Order",
    "Source(Lines())": "str",
    "Source(Lines)": "str",
    "Source(words)": "str",
    "Source(words_later)": "str",
    "Source(partial(digits, 12))": "str",
    "Source(digits, splits=[1, 2])": "str",
    "Source(rows_of, uses={'client': client})": "str",
    "Source(split_rows, splits=[1], uses={'client': client})": "str",
    "Source(numbers) >> Transform(Chatty())": "list[int]",
    "Source(numbers) >> Transform(Chatty()) >> FlatMap(Chatty())": "list[int]",
    "Source(numbers) >> Transform(partial(fetch, client='a'))": "str",
    "Source(numbers) >> Transform(Refund)": "Refund",
    "Source(words) >> Batch(2) >> Batch(2)": "list[list[str]]",
    "Source(words) >> Fold(longer, start=list)": "list",
    "Merge(Source(numbers), Source(words))": "int | str",
    "Source(mixed) >> Filter(is_refund)": "Refund",
    "Source(mixed) >> Route(On(Order, Transform(total)), On(Refund, Sink(print)))": "int",
    "Source(mixed) >> Route(On(Order, Transform(total)), On(Refund, Transform(reason)))": "int | str",
    "Source(mixed) >> Route(On(is_refund, Transform(reason)), On(object, Transform(total)))": "str | int",
    "Source(orders) >> Transform(unresolvable, uses={'client': client})": "",
    "Source([1])": "",
    "Source(numbers) >> Transform(Chatty()) >> FlatMap(anything)": "",
}
FITS = """
Source(mixed) >> Route(On(Order, Sink(save_order)), On(Refund, Sink(save_refund)))
Source(mixed) >> Route(On(Order | Refund, Sink(print)))
Source(mixed) >> Route(On((Order, Refund), Sink(print)))
Source(mixed) >> Route(On(Order, Sink(save_order)), On(object, Sink(save_refund)))
Source(mixed) >> Route(On(anything, Sink(save_order)))
Source(mixed) >> Route(On(is_refund, Sink(save_refund)), On(Order, Sink(save_order)))
Source(mixed) >> Route(On(is_refund, Sink(save_refund)), On(object, Sink(save_order)))
Source(mixed) >> Route(On(is_rush, Sink(save_rush)), On(object, Sink(print)))
Source(mixed) >> Route(On(Refund, Sink(save_refund)), On(large, Sink(save_order)))
Source(mixed) >> Route(On(Order, Sink(print)), On(Order | Refund, Sink(print)), On(object, Sink(print)))
Source(rushes) >> Route(On(Order, Sink(save_rush)))
Source(shapes) >> Route(On(Square, Sink(print)))
Source(rows) >> Route(On(dict, Sink(print)))
Source(unknown) >> Route(On(Order, Sink(save_rush)))
Source([1]) >> Route(On(Order, Sink(save_order)))
Source(perhaps) >> Route(On(type(None), Sink(print)), On(Order, Sink(save_order)))
Source(mixed) >> Filter(is_refund) >> Transform(reason)
Source(rushes) >> Transform(total)
Source(mixed) >> Parse(Order) >> Transform(total)
Source(anything, splits=[1]) >> Transform(upper)
Source(numbers) >> Transform(partial(plus, 1)) >> Transform(text)
Source(numbers) >> Transform(print)
Source(words) >> Transform("a".join)
Source(orders) >> Broadcast(Transform(total), Transform(anything)) >> Transform(upper)
"""
SCOPE = vars()


@each_refusal(MISFITS)
def test_a_joint_that_does_not_fit_names_both_stages_and_both_types(code: str, said: str) -> None:
    assert message(refused(code, StageTypeError, **SCOPE)) == f"{said}. {ADVICE}"


@each_refusal(MISSING)
def test_a_branch_that_is_missing_is_named(code: str, said: str) -> None:
    assert (
        message(refused(code, StageTypeError, **SCOPE))
        == f"Route: a Route has a branch for everything that comes; {said}"
    )


@pytest.mark.parametrize("code", FITS.strip().splitlines())
def test_what_fits_or_is_not_known_composes(code: str) -> None:
    composed(code, **SCOPE)


@pytest.mark.parametrize(("code", "given"), GIVES.items(), ids=GIVES)
def test_what_a_chain_gives_is_known_from_annotations(code: str, given: str) -> None:
    if given:
        assert refused(f"{code} >> Sink(probe)", StageTypeError, **SCOPE).got.endswith(f" gives {given}")
    else:
        composed(f"{code} >> Sink(probe)", **SCOPE)


def test_an_open_chain_is_checked_where_it_is_used_and_both_lines_are_named() -> None:
    stage = Transform(text)
    cleaned = Filter(anything) >> stage
    assert Source(numbers) >> cleaned
    with pytest.raises(StageTypeError) as caught:
        Source(orders) >> cleaned
    assert caught.value.where == str(stage.origin)
    assert caught.value.got == f"Filter 'anything' ({cleaned.parts[0].origin}) gives Order"


def test_what_cannot_be_resolved_says_why() -> None:
    stage = Transform(unresolvable, uses={"client": client})
    assert "client: 'Missing' (NameError: name 'Missing' is not defined)" in stage.signature.unresolved
    assert "return: 'Also'" in stage.signature.unresolved
    assert Transform(text).signature.unresolved == ""
