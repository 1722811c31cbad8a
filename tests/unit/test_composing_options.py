"""Options and functions that a stage cannot work with are refused where the stage is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.composing import (
    Numbers,
    Order,
    digits,
    plus,
    positive,
    refusal,
    text,
    text_later,
)
from tests.unit.unchecked import Batch, CpuMap, Filter, FlatMap, Fold, Parse, Retry, Sink, Throttle, Transform

WHOLE = "must be a whole number of at least 1"
SECONDS = "must be a number of seconds or a timedelta above 0"


@pytest.mark.parametrize("bad", [0, -1, True, 1.5, "2"])
@pytest.mark.parametrize(
    ("option", "compose"),
    [
        ("concurrency", lambda bad: Transform(text_later, concurrency=bad)),
        ("concurrency", lambda bad: Sink(text_later, concurrency=bad)),
        ("count", lambda bad: Batch(bad)),
        ("count", lambda bad: Throttle(bad)),
        ("max_keys", lambda bad: Fold(plus, start=int, key=positive, max_keys=bad)),
        ("workers", lambda bad: CpuMap(text, workers=bad)),
        ("batch", lambda bad: Sink(Numbers(), batch=bad)),
    ],
    ids=["Transform", "Sink", "Batch", "Throttle", "Fold", "CpuMap", "target"],
)
def test_a_count_is_a_whole_number(option: str, compose: Callable[[Any], object], bad: object) -> None:
    error = refusal_of(compose, bad)
    assert (error["rule"], error["got"]) == (f"{option} {WHOLE}", f"got {bad!r}")


@pytest.mark.parametrize("bad", [0, -1, True, "1", float("nan"), timedelta(0)])
@pytest.mark.parametrize(
    ("option", "compose"),
    [
        ("timeout", lambda bad: Transform(text_later, timeout=bad)),
        ("timeout", lambda bad: CpuMap(text, timeout=bad)),
        ("timeout", lambda bad: Sink(Numbers(), timeout=bad)),
        ("within", lambda bad: Batch(3, within=bad)),
        ("within", lambda bad: Sink(Numbers(), within=bad)),
        ("per", lambda bad: Throttle(3, per=bad)),
    ],
    ids=["Transform", "CpuMap", "target", "Batch", "within of target", "Throttle"],
)
def test_a_time_is_above_zero(option: str, compose: Callable[[Any], object], bad: object) -> None:
    error = refusal_of(compose, bad)
    assert (error["rule"], error["got"]) == (f"{option} {SECONDS}", f"got {bad!r}")


@pytest.mark.parametrize("bad", [float("inf"), 1e12, 10**400, timedelta.max])
@pytest.mark.parametrize(
    "compose",
    [lambda bad: Transform(text_later, timeout=bad), lambda bad: CpuMap(text, timeout=bad)],
    ids=["Transform", "CpuMap"],
)
def test_a_time_is_no_longer_than_timers_take(compose: Callable[[Any], object], bad: object) -> None:
    assert refusal_of(compose, bad)["rule"] == "timeout is at most 100,000,000 seconds"


def refusal_of(compose: Callable[[Any], object], bad: object) -> dict[str, Any]:
    """What is told of a bad value; the place is checked by the other tests."""
    with pytest.raises(ValueError, match="got") as caught:
        compose(bad)
    assert f"{__file__.rpartition('/')[2]}:{compose.__code__.co_firstlineno}" in str(caught.value)
    return vars(caught.value)


def test_times_may_be_numbers_or_timedeltas() -> None:
    assert Transform(text_later, timeout=timedelta(minutes=1)).options.timeout == 60
    assert Batch(3, within=timedelta(milliseconds=1)).within == 0.001
    assert Throttle(3, per=2).per == 2


@pytest.mark.parametrize(
    ("compose", "rule", "got", "advice"),
    [
        pytest.param(
            lambda: Transform(text_later, concurency=3),
            "an option of Transform is one of concurrency, key, name, on, on_error, ordered, retry, timeout, uses",
            "got concurency=",
            "Did you mean concurrency=?",
            id="Transform",
        ),
        pytest.param(
            lambda: Filter(positive, lanes=1),
            "an option of Filter is one of concurrency, key, name, on, on_error, ordered, retry, timeout, uses",
            "got lanes=",
            "",
            id="Filter",
        ),
        pytest.param(
            lambda: FlatMap(digits, key=str),
            "an option of FlatMap is one of concurrency, name, on, on_error, ordered, retry, timeout, uses",
            "got key=",
            "",
            id="FlatMap",
        ),
        pytest.param(
            lambda: CpuMap(text, worker=2),
            "an option of CpuMap is one of name, on_error, ordered, retry, timeout, workers",
            "got worker=",
            "Did you mean workers=?",
            id="CpuMap",
        ),
        pytest.param(
            lambda: Batch(3, withing=1),
            "an option of Batch is one of name, weight, within",
            "got withing=",
            "Did you mean within=?",
            id="Batch",
        ),
        pytest.param(
            lambda: Parse(Order, on_eror="skip"),
            "an option of Parse is one of name, on_error",
            "got on_eror=",
            "Did you mean on_error=?",
            id="Parse",
        ),
        pytest.param(
            lambda: Sink(Numbers(), bach=3),
            "an option of Sink is one of batch, name, on_error, retry, timeout, within",
            "got bach=",
            "Did you mean batch=?",
            id="Sink",
        ),
        pytest.param(
            lambda: Fold(plus, strat=int),
            "an option of Fold is one of key, max_keys, name, start",
            "got strat=",
            "Did you mean start=?",
            id="Fold",
        ),
    ],
)
def test_an_unknown_option_names_the_one_that_was_meant(
    compose: Callable[[], object], rule: str, got: str, advice: str
) -> None:
    error = refusal(compose)
    assert (error.rule, error.got, error.advice) == (rule, got, advice)


@pytest.mark.parametrize(
    ("compose", "rule", "got", "advice"),
    [
        pytest.param(
            lambda: Transform(text, timeout=3),
            "timeout cannot stop a plain function that runs inline",
            "got timeout=3",
            'Make the function async, or give on="thread"',
            id="timeout inline",
        ),
        pytest.param(
            lambda: Transform(text, concurrency=3),
            "a plain function that runs inline works on one item at a time",
            "got concurrency=3",
            'Make the function async, give on="thread", or use CpuMap',
            id="concurrency inline",
        ),
        pytest.param(
            lambda: Transform(text_later, on="thread"),
            'on="thread" is for blocking functions',
            "got an async function",
            "Leave on= out",
            id="async on thread",
        ),
        pytest.param(
            lambda: Transform(text, on="process"),
            'on must be "loop" or "thread"',
            "got 'process'",
            "",
            id="on",
        ),
        pytest.param(
            lambda: Transform(text, on_error="ignore"),
            'on_error must be "fail", "skip" or "dead_letter"',
            "got 'ignore'",
            "",
            id="on_error",
        ),
        pytest.param(
            lambda: Transform(text, retry=3),
            "retry must be a Retry",
            "got 3",
            "Write retry=Retry(attempts=3)",
            id="retry",
        ),
        pytest.param(
            lambda: Transform(text_later, ordered="no"),
            "ordered must be True or False",
            "got 'no'",
            "",
            id="ordered",
        ),
        pytest.param(
            lambda: Transform(text_later, key="id"),
            "key must be a function of one item",
            "got 'id'",
            "",
            id="key",
        ),
        pytest.param(
            lambda: Transform(text_later, key=text_later),
            "key must be a plain function",
            "got an async function",
            "",
            id="async key",
        ),
        pytest.param(
            lambda: Transform(text, name=" "),
            "name must be a string that is not blank",
            "got ' '",
            "Leave it out to use the function's name",
            id="name",
        ),
        pytest.param(
            lambda: Batch(3, weight=plus),
            "weight is called with one item",
            "plus: missing a required argument: 'number'",
            "",
            id="weight",
        ),
        pytest.param(
            lambda: Sink(text, batch=3),
            "batch= and within= are for objects that write lists",
            "got a function",
            "Put Batch(...) before it, or give an object with write(items)",
            id="batch of a function",
        ),
        pytest.param(
            lambda: Sink(Numbers),
            "a sink writes through an object",
            "got the class Numbers",
            "Make one: Numbers(...)",
            id="class of a target",
        ),
        pytest.param(
            lambda: Parse(5),
            "Parse needs a Pydantic model or a type that Pydantic can validate",
            "got int 5 (PydanticSchemaGenerationError)",
            "",
            id="Parse",
        ),
    ],
)
def test_an_option_that_cannot_work_is_refused(
    compose: Callable[[], object], rule: str, got: str, advice: str
) -> None:
    error = refusal(compose)
    assert (error.rule, error.got, error.advice) == (rule, got, advice)


def test_a_retry_counts_whole_attempts() -> None:
    for bad in (0, True, 1.5):
        with pytest.raises(ValueError, match=r"attempts must be a whole number >= 1 .*, got"):
            Retry(bad)
    with pytest.raises(ValueError, match="first and limit must be >= 0 seconds, got 'soon' and 30"):
        Retry(first="soon")
