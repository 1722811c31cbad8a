"""A function that gives a coroutine where nobody would await it fails its item, and the error says so."""

from __future__ import annotations

from typing import Any

import pytest

from piko_flow import Batch, CoroutineReturned, CpuMap, Sink, Source, StageFailed, Transform
from piko_flow.engines.subprocess import SubprocessEngine
from piko_flow.testing import CollectingSink, items
from tests.runs import failure


async def later(item: int) -> int:
    return item


def gives_later(item: Any) -> Any:
    return later(item)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (
            CpuMap(gives_later, workers=1),
            "the function of a CpuMap returned a coroutine.*; return a value, or use Transform",
        ),
        (CpuMap(lambda item: later(item), workers=1), "the function of a CpuMap returned a coroutine"),
        (Batch(2, weight=gives_later), "a plain function returned a coroutine"),
    ],
)
async def test_a_coroutine_of_a_plain_function_is_the_failure_of_its_item(stage: Any, said: str) -> None:
    caught = await failure(
        items(2) >> stage >> CollectingSink(), match=rf"on item 0: CoroutineReturned: {said}"
    )
    assert isinstance(caught.__cause__, CoroutineReturned)


@pytest.mark.parametrize("weight", ["heavy", None, -1, float("nan")])
async def test_a_weight_that_is_no_number_is_named(weight: Any) -> None:
    pipeline = items(2) >> Batch(2, weight=lambda item: weight) >> CollectingSink()
    await failure(
        pipeline, match=f"on item 0: ValueError: a weight must be a number of at least 0, got {weight!r}"
    )


def refuses(item: object) -> object:
    raise ValueError("nothing there")


async def refuses_later(item: object) -> object:
    raise ValueError("nothing there")


@pytest.mark.parametrize("function", [refuses, refuses_later])
async def test_an_item_that_is_none_is_named(function: Any) -> None:
    caught = await failure(
        Source([None]) >> Transform(function) >> CollectingSink(), match="failed on item None: ValueError"
    )
    assert (caught.item, caught.has_item) == (None, True)


def none() -> list[None]:
    return [None]


async def test_an_item_that_is_none_is_named_in_another_interpreter() -> None:
    pipeline = Source(none) >> Transform(refuses) >> Sink(str)
    caught = await failure(pipeline, match="failed on item None: ", engine=SubprocessEngine(1))
    assert caught.has_item


async def test_a_failure_that_is_about_no_item_names_none() -> None:
    def broken() -> list[int]:
        raise ValueError("no file")

    caught = await failure(Source(broken) >> CollectingSink(), match=r"failed: ValueError: no file")
    assert (caught.item, caught.has_item) == (None, False)
    assert isinstance(caught, StageFailed)
