"""A SinkTarget whose methods a run could not call as they are meant is refused when composing."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any

import pytest

from piko_flow import Part, PipelineError, Receipt, Sink, SinkTarget, run
from piko_flow.testing import items


class Target(SinkTarget[int]):
    """Takes numbers and keeps none."""

    async def write(self, items: Sequence[int], /) -> None:
        self.items += len(items)


async def of_list(self: Any, receipts: Sequence[Receipt]) -> list[str]:
    return []


async def of_nothing(self: Any) -> None: ...


def plain_of_list(self: Any, given: Any) -> None: ...


def plain(self: Any) -> None: ...


async def joining(self: Any, ledger: str) -> bool:
    return False


async def gives_pieces(self: Any, given: Any) -> Any:
    yield given


MISSPELT = {
    "comit": ("commit", of_list),
    "commits": ("commit", of_list),
    "prepair": ("prepare", of_nothing),
    "aborts": ("abort", of_nothing),
    "sweeep": ("sweep", of_list),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_hook_is_refused_with_the_one_that_was_meant(name: str) -> None:
    hook, method = MISSPELT[name]
    meant: Any = type("Meant", (Target,), {name: method})
    said = rf"Sink 'Meant' \(.*\): .*; Meant.{name}, which nothing calls. Did you mean {hook}\?"
    with pytest.raises(PipelineError, match=said):
        Sink(meant())


WRONG = [
    (
        "write",
        plain_of_list,
        "write of a SinkTarget is awaited; .*.write is no async function. Write it with async def",
    ),
    ("prepare", plain, "prepare of a SinkTarget is awaited; "),
    ("commit", plain_of_list, "commit of a SinkTarget is awaited; "),
    ("abort", plain, "abort of a SinkTarget is awaited; "),
    ("sweep", plain_of_list, "sweep of a SinkTarget is awaited; "),
    ("open", plain_of_list, "open of a SinkTarget is awaited; "),
    ("lock", plain_of_list, "lock of a SinkTarget is awaited; "),
    ("write", gives_pieces, "write of a SinkTarget is awaited; "),
    ("commit", of_nothing, "commit is called with one argument; .*.commit: too many positional arguments"),
    ("joins", joining, "joins is not awaited; .*.joins is async. Write it with def joins"),
    ("abort", "no method", "its abort must be a method; got 'no method'"),
]


@pytest.mark.parametrize(("hook", "method", "said"), WRONG)
def test_a_hook_that_cannot_be_called_as_it_is_meant_is_refused(hook: str, method: Any, said: str) -> None:
    wrong: Any = type("Wrong", (Target,), {hook: method})
    with pytest.raises(PipelineError, match=rf"Sink 'Wrong' \(.*\): {said}"):
        Sink(wrong())


def noted(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    def called(self: Any, *given: Any) -> Awaitable[Any]:
        self.log.append(method.__name__)
        return method(self, *given)

    return called


class Delegating(Target):
    """Its hooks are plain functions that give what is awaited; its other methods look like hooks, and are none."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def prepare(self) -> Coroutine[Any, Any, Receipt]:
        self.log.append("prepare")
        return super().prepare()

    def sweep(self, live: Collection[Part]) -> Coroutine[Any, Any, None]:
        return super().sweep(live)

    commit = noted(SinkTarget.commit)  # type: ignore[assignment]  # as a decorator that is typed loosely gives it

    async def write_rows(self, rows: Sequence[int]) -> None:
        """Looks not enough like a hook."""

    def aborted(self) -> bool:
        """Nobody would await it."""
        return False

    async def opener(self) -> None:
        """Takes no part, so it cannot be `open`."""


async def test_a_hook_may_be_a_plain_function_that_gives_what_is_awaited() -> None:
    target = Delegating()
    await run(items(3) >> Sink(target, batch=3))
    assert target.log == ["prepare", "commit"]
