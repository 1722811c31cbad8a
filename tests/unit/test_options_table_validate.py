"""The option `validate` of a run: branches, sinks that write lists, and annotations of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from piko_flow import Broadcast, CpuMap, Sink, Source, Transform, run
from piko_flow.dataflow.running.unit_state import value_check
from piko_flow.testing import CollectingSink
from tests.runs import failure


class Plain:
    """A class that Pydantic knows nothing of."""


@dataclass
class Holding:
    """A dataclass with such a class inside."""

    plain: Plain


class Sized(Protocol):
    """What cannot be checked: a protocol without instances."""

    def size(self) -> int: ...


class Numbers:
    """A target that keeps the lists it is given."""

    def __init__(self) -> None:
        self.written: list[int] = []

    def write(self, items: Sequence[int]) -> None:
        self.written += items


class Shared(Numbers):
    """One whose parts all write into one list."""

    def __copy__(self) -> Shared:
        return self


def halved(number: float) -> float:
    return number / 2


def texts(count: int) -> Any:
    return [str(number) for number in range(count)]


async def test_what_one_branch_converts_the_other_does_not_see() -> None:
    converted: CollectingSink[float] = CollectingSink()
    other: CollectingSink[Any] = CollectingSink()
    branches: Any = Broadcast(CpuMap(halved, workers=1) >> converted, other)
    await run(Source(texts(2000)) >> branches, validate=True)
    assert other.items == texts(2000)
    assert converted.items == [number / 2 for number in range(2000)]


async def test_what_a_worker_s_stage_cannot_take_is_told_as_it_came() -> None:
    given: Any = ["1", "much", "3"]
    sink: CollectingSink[float] = CollectingSink()
    stage = CpuMap(halved, workers=1, on_error="dead_letter")
    report = await run(Source(given) >> stage >> sink, validate=True)
    assert sink.items == [0.5, 1.5]
    assert [letter.item for letter in report.dead_letters] == ["much"]


async def test_of_a_list_to_write_only_the_item_that_does_not_fit_is_a_dead_letter() -> None:
    given: Any = [1, "2", "much", 4]
    target = Shared()
    report = await run(
        Source(given) >> Sink(target, batch=10, on_error="dead_letter", name="sink"), validate=True
    )
    assert target.written == [1, 2, 4]
    assert [letter.item for letter in report.dead_letters] == ["much"]
    assert (report.stage("sink").emitted, report.stage("sink").dead) == (3, 1)


async def test_a_list_to_write_fails_at_the_item_that_does_not_fit() -> None:
    given: Any = [1, "much"]
    caught = await failure(Source(given) >> Sink(Numbers(), batch=10, name="sink"), validate=True)
    assert (caught.stage, caught.item) == ("sink", "much")


async def test_of_a_plain_class_an_instance_is_asked_for() -> None:
    def same(value: Plain) -> Plain:
        return value

    given: Any = [Plain(), "other"]
    sink: CollectingSink[Plain] = CollectingSink()
    report = await run(Source(given) >> Transform(same, on_error="dead_letter") >> sink, validate=True)
    assert sink.items == given[:1]
    assert [letter.item for letter in report.dead_letters] == ["other"]


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Plain, Plain(), 1),
        (list[Plain], [Plain()], [1]),
        (Plain | None, None, 1),
        (dict[str, Plain], {"a": Plain()}, {"a": 1}),
        (Holding, Holding(Plain()), {"plain": Plain()}),
    ],
)
def test_every_class_can_be_asked_for(annotation: Any, good: Any, bad: Any) -> None:
    check = value_check(annotation)
    assert check is not None
    assert check(good) == good
    with pytest.raises(ValueError, match="instance"):
        check(bad)


@pytest.mark.parametrize("annotation", [Any, Sized, "NoSuchName"])
def test_what_has_no_instances_is_not_checked(annotation: Any) -> None:
    assert value_check(annotation) is None
