"""What the tests of composing share: small functions and types, and how a refusal is looked at."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial  # noqa: F401  # the code of tables may use it
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import pytest
from pydantic import BaseModel, TypeAdapter  # noqa: F401  # the code of tables may use it
from typing_extensions import TypedDict, TypeIs

import piko_flow
from piko_flow import SinkTarget
from piko_flow.dataflow.graph.origin import Origin
from piko_flow.errors import PipelineError

T = TypeVar("T")

PUBLIC = {name: getattr(piko_flow, name) for name in piko_flow.__all__}


class Order(BaseModel):
    total: int = 0


class Rush(Order):
    """An order in a hurry."""


@dataclass(frozen=True)
class Refund:
    amount: int = 0


class Row(TypedDict):
    name: str


def numbers() -> Iterator[int]:
    yield 1


async def numbers_later() -> AsyncIterator[int]:
    yield 1


def mixed() -> Iterator[Order | Refund]:
    yield Order()


def perhaps() -> list[Order | None]:
    return [None]


def text(number: int) -> str:
    return str(number)


async def text_later(number: int) -> str:
    return str(number)


def upper(word: str) -> str:
    return word.upper()


def anything(item):  # type: ignore[no-untyped-def]  # what is not annotated is what these tests are about
    return item


def same(item: T) -> T:
    return item


def pair(item: T) -> tuple[T, T]:
    return item, item


def first(items: Sequence[T]) -> T:
    return items[0]


def digits(number: int) -> Iterator[str]:
    yield from str(number)


async def digits_later(number: int) -> AsyncIterator[str]:
    yield str(number)


def plus(total: int, number: int) -> int:
    return total + number


def positive(number: int) -> bool:
    return number > 0


def large(order: Order) -> bool:
    return order.total > 100


def is_refund(item: object) -> TypeIs[Refund]:
    return isinstance(item, Refund)


def is_rush(item: Order | Refund) -> TypeGuard[Rush]:
    return isinstance(item, Rush)


def save_order(order: Order) -> None: ...
def save_rush(rush: Rush) -> None: ...
def save_refund(refund: Refund) -> None: ...
def save_number(number: int) -> None: ...


@asynccontextmanager
async def client() -> AsyncIterator[str]:
    yield "client"


async def fetch(number: int, client: str) -> str:
    return client * number


class Numbers(SinkTarget[int]):
    """Takes whole numbers and keeps none."""

    async def write(self, items: Sequence[int], /) -> None: ...


def composed(code: str, **scope: Any) -> Any:
    """What the code gives; it may use all names of the package, of this file and of `scope`."""
    return eval(compile(code, "composed.py", "eval"), PUBLIC | globals() | scope)


def refused(code: str, kind: type[PipelineError] = PipelineError, **scope: Any) -> PipelineError:
    """The error of that very kind that the code raises."""
    with pytest.raises(kind) as caught:
        composed(code, **scope)
    assert type(caught.value) is kind
    return caught.value


def message(error: PipelineError) -> str:
    """What a refusal says, without the places that it names."""
    return re.sub(r" \(\S+\.py:\d+\)", "", str(error))


def each_refusal(table: str) -> pytest.MarkDecorator:
    """A case for each two lines: the code, and what its refusal says without places."""
    lines = [line for line in table.splitlines() if line]
    cases = [
        pytest.param(code, said.strip(), id=code) for code, said in zip(lines[::2], lines[1::2], strict=True)
    ]
    return pytest.mark.parametrize(("code", "said"), cases)


def refusal(
    compose: Callable[[], object], kind: type[PipelineError] = PipelineError, *, at: Origin | None = None
) -> PipelineError:
    """The error of that very kind that composing raises, after checking that it names a line of `compose` (or `at`)."""
    with pytest.raises(kind) as caught:
        compose()
    assert type(caught.value) is kind
    if at is not None:
        assert caught.value.where == str(at)
        return caught.value
    file, _, line = caught.value.where.rpartition(":")
    code = compose.__code__
    assert Path(file).name == Path(code.co_filename).name
    assert int(line) in {number for _, _, number in code.co_lines()}
    return caught.value


def told(error: PipelineError) -> dict[str, Any]:
    """The parts of a refusal without its place."""
    return {"what": error.what, "rule": error.rule, "got": error.got, "advice": error.advice}


def without_places(words: str) -> str:
    """The text with `({})` where a file and a line stood."""
    return re.sub(r"\(\S+\.py:\d+\)", "({})", words)
