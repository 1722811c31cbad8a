"""What one stage gives is compared with what the next one takes, wherever the joint lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from piko_flow.dataflow.stages.joints import outgoing
from piko_flow.errors import StageTypeError
from tests.unit.composing import (
    Order,
    Refund,
    anything,
    digits,
    first,
    is_refund,
    large,
    mixed,
    numbers,
    pair,
    plus,
    positive,
    refusal,
    same,
    save_number,
    save_order,
    save_rush,
    text,
    upper,
    without_places,
)
from tests.unit.unchecked import (
    Batch,
    Broadcast,
    CpuMap,
    Filter,
    FlatMap,
    Fold,
    Merge,
    On,
    Parse,
    Route,
    Sink,
    Source,
    Throttle,
    Transform,
)

ADVICE = "Change one of the two annotations, or put a Transform or Parse between them"
Item = TypeVar("Item")


def orders() -> list[Order]:
    return []


def by_total(order: Order) -> int:
    return order.total


def total(order: Order) -> int:
    return order.total


def reason(refund: Refund) -> str:
    return str(refund.amount)


def width(word: str) -> int:
    return len(word)


@pytest.mark.parametrize(
    ("compose", "what", "rule", "got"),
    [
        pytest.param(
            lambda: Source(numbers) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Source 'numbers' ({}) gives int",
            id="source",
        ),
        pytest.param(
            lambda: Source(numbers) >> Transform(text) >> CpuMap(text),
            "CpuMap 'text'",
            "it takes int",
            "Transform 'text' ({}) gives str",
            id="transform",
        ),
        pytest.param(
            lambda: Source(numbers) >> FlatMap(digits) >> Sink(save_number),
            "Sink 'save_number'",
            "it takes int",
            "FlatMap 'digits' ({}) gives str",
            id="flat map",
        ),
        pytest.param(
            lambda: Source(numbers) >> Batch(3) >> Sink(save_number),
            "Sink 'save_number'",
            "it takes int",
            "Batch ({}) gives list[int]",
            id="batch",
        ),
        pytest.param(
            lambda: Source(numbers) >> Throttle(3) >> Filter(anything) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Filter 'anything' ({}) gives int",
            id="filter without annotation",
        ),
        pytest.param(
            lambda: Source(numbers) >> Transform(same) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Transform 'same' ({}) gives int",
            id="generic identity",
        ),
        pytest.param(
            lambda: Source(numbers) >> Transform(pair) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Transform 'pair' ({}) gives tuple[int, int]",
            id="generic",
        ),
        pytest.param(
            lambda: Source(numbers) >> Batch(2) >> Transform(first) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Transform 'first' ({}) gives int",
            id="generic container",
        ),
        pytest.param(
            lambda: Source(numbers) >> Parse(Order) >> Transform(reason),
            "Transform 'reason'",
            "it takes Refund",
            "Parse 'parse_order' ({}) gives Order",
            id="parse",
        ),
        pytest.param(
            lambda: Source(mixed) >> Fold(plus, start=int),
            "Fold 'plus'",
            "it takes int",
            "Source 'mixed' ({}) gives Order | Refund",
            id="fold",
        ),
        pytest.param(
            lambda: Source(numbers) >> Fold(plus, start=int, key=positive) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Fold 'plus' ({}) gives tuple[bool, int]",
            id="keyed fold",
        ),
        pytest.param(
            lambda: Source(numbers) >> Transform(anything, key=by_total, on="thread"),
            "Transform 'anything'",
            "its key function takes Order",
            "Source 'numbers' ({}) gives int",
            id="key",
        ),
        pytest.param(
            lambda: Source(numbers) >> Batch(100, weight=width),
            "Batch",
            "its weight function takes str",
            "Source 'numbers' ({}) gives int",
            id="weight",
        ),
        pytest.param(
            lambda: Merge(Source(numbers), Source(mixed)) >> Transform(text),
            "Transform 'text'",
            "it takes int",
            "Merge ({}) gives int | Order | Refund",
            id="merge",
        ),
        pytest.param(
            lambda: Source(mixed) >> Broadcast(Sink(save_order), Sink(print)),
            "Sink 'save_order'",
            "it takes Order",
            "Source 'mixed' ({}) gives Order | Refund",
            id="broadcast",
        ),
        pytest.param(
            lambda: Source(orders) >> Broadcast(Transform(total), Transform(same)) >> Transform(upper),
            "Transform 'upper'",
            "it takes str",
            "Broadcast ({}) gives int | Order",
            id="reopened branches",
        ),
        pytest.param(
            lambda: Source(mixed) >> Route(On(Order, Sink(save_order)), On(object, Sink(save_number))),
            "Sink 'save_number'",
            "it takes int",
            "Source 'mixed' ({}) gives Refund",
            id="rest of a route",
        ),
        pytest.param(
            lambda: Source(orders) >> Route(On(Order, Sink(save_rush))),
            "Sink 'save_rush'",
            "it takes Rush",
            "Source 'orders' ({}) gives Order",
            id="branch of a route",
        ),
        pytest.param(
            lambda: On(Order, Transform(reason)),
            "Transform 'reason'",
            "it takes Refund",
            "On 'Order' ({}) gives Order",
            id="branch of a class",
        ),
        pytest.param(
            lambda: Source(mixed) >> Route(On(large, Sink(save_order)), On(object, Sink(print))),
            "On 'large'",
            "its predicate takes Order",
            "Source 'mixed' ({}) gives Order | Refund",
            id="predicate",
        ),
        pytest.param(
            lambda: Source(mixed) >> Route(On(is_refund, Sink(save_order)), On(object, Sink(print))),
            "Sink 'save_order'",
            "it takes Order",
            "On 'is_refund' ({}) gives Refund",
            id="type guard",
        ),
    ],
)
def test_a_joint_that_does_not_fit_names_both_stages_and_both_types(
    compose: Callable[[], object], what: str, rule: str, got: str
) -> None:
    error = refusal(compose, StageTypeError)
    assert (error.what, error.rule, error.advice) == (what, rule, ADVICE)
    assert without_places(error.got) == got
    assert str(error) == f"{what} ({error.where}): {rule}; {error.got}. {ADVICE}"


def test_an_open_chain_is_checked_where_it_is_used() -> None:
    cleaned = Filter(anything) >> Transform(text)
    assert (Source(numbers) >> cleaned).leaves()
    error = refusal(lambda: Source(orders) >> cleaned, StageTypeError, at=cleaned.parts[1].origin)
    assert (error.what, error.rule) == ("Transform 'text'", "it takes int")
    assert without_places(error.got) == "Filter 'anything' ({}) gives Order"


def test_an_open_chain_is_checked_inside_as_well() -> None:
    error = refusal(lambda: Transform(text) >> Transform(text), StageTypeError)
    assert without_places(error.got) == "Transform 'text' ({}) gives str"


def unresolvable(item: Order, client: Missing) -> Also:  # type: ignore[name-defined]  # noqa: F821  # on purpose
    return item


def test_what_cannot_be_resolved_means_anything_and_says_why() -> None:
    def client() -> None: ...

    stage = Transform(unresolvable, uses={"client": client})
    assert (stage.takes, stage.gives(Order)) == (Order, Any)
    assert "client: 'Missing' (NameError: name 'Missing' is not defined)" in stage.signature.unresolved
    assert "return: 'Also'" in stage.signature.unresolved
    assert Transform(text).signature.unresolved == ""
    assert refusal(lambda: Source(numbers) >> stage, StageTypeError, at=stage.origin).rule == "it takes Order"


class Chatty:
    """A callable object whose call is annotated."""

    def __call__(self, item: Item) -> list[Item]:
        return [item]


def of_words() -> Iterator[str]:
    yield "a"


@pytest.mark.parametrize(
    ("chain", "gives"),
    [
        (lambda: Source(numbers) >> Transform(Chatty()), list[int]),
        (lambda: Source(numbers) >> Transform(Chatty()) >> FlatMap(anything), Any),
        (lambda: Source(numbers) >> Transform(Chatty()) >> FlatMap(Chatty()), list[int]),
        (lambda: Source(of_words) >> Batch(2) >> Batch(2), list[list[str]]),
        (lambda: Source(of_words) >> Fold(anything_two, start=list), list),
        (lambda: Merge(Source(numbers), Source(of_words)), int | str),
        (lambda: Source(mixed) >> Route(On(Order, Transform(total)), On(Refund, Sink(print))), int),
        (
            lambda: Source(mixed) >> Route(On(Order, Transform(total)), On(Refund, Transform(reason))),
            int | str,
        ),
        (
            lambda: Source(mixed) >> Route(On(is_refund, Transform(reason)), On(object, Transform(total))),
            str | int,
        ),
        (lambda: Source(mixed) >> Filter(is_refund), Refund),
    ],
)
def test_types_flow_through_a_chain(chain: Callable[[], Any], gives: Any) -> None:
    assert outgoing(chain()) == gives


def anything_two(value, item):  # type: ignore[no-untyped-def]  # what is not annotated is what this is about
    return value
