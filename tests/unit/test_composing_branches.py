"""Route, Broadcast and Merge are made of what they can feed or read; each branch can be reached."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.composing import Order, Refund, Rush, plus, refusal, text_later
from tests.unit.unchecked import (
    Broadcast,
    Merge,
    On,
    Route,
    Sink,
    Source,
)


@pytest.mark.parametrize(
    ("compose", "rule", "got"),
    [
        (lambda: Route(), "a Route needs at least one branch", "got none"),
        (lambda: Route(Sink(print)), "a Route is made of On(type or predicate, branch)", "got Sink 'print'"),
        (lambda: Broadcast(Sink(print)), "a Broadcast needs at least two branches", "got 1"),
        (
            lambda: Broadcast(Sink(print), print),
            "a branch is a sink or a transform",
            "got the function print",
        ),
        (lambda: On(Order, Source([1])), "a branch is a sink or a transform", "got Source 'list'"),
        (lambda: Merge(Source([1])), "a Merge needs at least two sources", "got 1"),
        (lambda: Merge(Source([1]), Sink(print)), "a Merge is made of sources", "got Sink 'print'"),
        (
            lambda: On(list[int], Sink(print)),
            "a branch is chosen by isinstance, which knows no type arguments",
            "got list[int]",
        ),
        (
            lambda: On(Order | list[int], Sink(print)),
            "a branch is chosen by isinstance, which knows no type arguments",
            "got list[int]",
        ),
        (lambda: On(5, Sink(print)), "On takes a class or a predicate", "got int 5"),
        (
            lambda: On(text_later, Sink(print)),
            "On's predicate is a plain function",
            "the function text_later is async",
        ),
        (
            lambda: On(plus, Sink(print)),
            "its predicate is called with one item",
            "plus: missing a required argument: 'number'",
        ),
        (
            lambda: Route(On(Order, Sink(print)), On(Rush, Sink(print))),
            "a branch must be reachable: the first that matches wins",
            "On(Rush) comes after On(Order), which takes all of it",
        ),
        (
            lambda: Route(On(object, Sink(print)), On(Refund, Sink(print))),
            "a branch must be reachable: the first that matches wins",
            "On(Refund) comes after On(object), which takes all of it",
        ),
        (
            lambda: Route(On(Order | Refund, Sink(print)), On(Refund, Sink(print))),
            "a branch must be reachable: the first that matches wins",
            "On(Refund) comes after On(Order | Refund), which takes all of it",
        ),
        (
            lambda: Route(On(Order, Sink(print)), On(Refund, Sink(print)), On(Order | Refund, Sink(print))),
            "a branch must be reachable: the first that matches wins",
            "On(Order | Refund) comes after On(Order) and On(Refund), which take all of it",
        ),
        (
            lambda: Route(On(Order, Sink(print)), on_error="drop"),
            'on_error must be "fail", "skip" or "dead_letter"',
            "got 'drop'",
        ),
        (
            lambda: Route(On(Order, Sink(print)), on_eror="skip"),
            "an option of Route is one of name, on_error",
            "got on_eror=",
        ),
        (
            lambda: Broadcast(Sink(print), Sink(print), nam="x"),
            "an option of Broadcast is one of name",
            "got nam=",
        ),
    ],
)
def test_branches_that_cannot_be_are_refused(compose: Callable[[], object], rule: str, got: str) -> None:
    error = refusal(compose)
    assert (error.rule, error.got) == (rule, got)


def test_a_branch_for_some_classes_that_are_left_can_be_reached() -> None:
    route = Route(On(Order, Sink(print)), On(Order | Refund, Sink(print)), On(object, Sink(print)))
    assert route.labels == ("Order", "Order | Refund", "object")
