"""Functions and types that the right and the wrong uses are made of."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from typing_extensions import TypeIs

from piko_flow import SinkTarget

T = TypeVar("T")


class Order(BaseModel):
    total: int


class Rush(Order):
    """An order in a hurry."""


@dataclass
class Refund:
    amount: int


class Exactly(Generic[T]):
    """Takes a list of that type and, because lists are invariant, of no wider or narrower one."""

    def __init__(self, items: list[T]) -> None: ...


class Client:
    """What a resource gives."""


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    yield Client()


def numbers() -> Iterator[int]:
    yield 1


async def numbers_later() -> AsyncIterator[int]:
    yield 1


async def numbers_listed() -> list[int]:
    return [1]


def lines(path: str) -> Iterator[str]:
    yield path


def orders() -> list[Order]:
    return []


def mixed() -> Iterator[Order | Refund]:
    yield Refund(1)


def three_kinds() -> Iterator[Order | Refund | int]:
    yield 1


def eight_kinds() -> list[int | str | bytes | complex | range | Order | Refund | None]:
    return []


def text(number: int) -> str:
    return str(number)


async def text_later(number: int) -> str:
    return str(number)


def same(item: T) -> T:
    return item


async def same_later(item: T) -> T:
    return item


def twice(item: T) -> tuple[T, T]:
    return item, item


def with_client(number: int, *, client: Client) -> str:
    return str(number)


async def with_client_later(number: int, client: Client) -> str:
    return str(number)


def scaled(factor: float, number: int) -> float:
    return factor * number


class Doubling:
    """A callable object, and an object with methods."""

    def __call__(self, number: int) -> str:
        return str(number * 2)

    def half(self, number: int) -> float:
        return number / 2

    async def half_later(self, number: int) -> float:
        return number / 2


def positive(number: int) -> bool:
    return number > 0


async def positive_later(number: int) -> bool:
    return number > 0


def digits(number: int) -> Iterator[str]:
    yield from str(number)


async def digits_later(number: int) -> AsyncIterator[str]:
    yield str(number)


async def digits_listed(number: int) -> list[str]:
    return list(str(number))


def plus(total: int, number: int) -> int:
    return total + number


def parity(number: int) -> bool:
    return number % 2 == 0


def print_number(number: int) -> None: ...
def print_text(text: str) -> None: ...
async def print_later(text: str) -> None: ...
def save_numbers(numbers: list[int]) -> None: ...
def save_sequence(numbers: Sequence[int]) -> None: ...
def save_texts(texts: list[str]) -> None: ...
def save_anything(item: object) -> None: ...
def save_order(order: Order) -> None: ...
def save_refund(refund: Refund) -> None: ...
def save_both(item: Order | Refund) -> None: ...


def total(order: Order) -> int:
    return order.total


def reason(refund: Refund) -> str:
    return str(refund.amount)


def large(order: Order) -> bool:
    return order.total > 100


def is_refund(item: object) -> TypeIs[Refund]:
    return isinstance(item, Refund)


def untyped(item: Any) -> Any:
    return item


class Numbers(SinkTarget[int]):
    """A target for whole numbers."""

    async def write(self, items: Sequence[int], /) -> None: ...


class Texts:
    """A target that has no more than `write`."""

    async def write(self, items: Sequence[str], /) -> None: ...


class Pages:
    """An unbounded source read in slices."""

    def read(self, since: Any) -> Iterator[Order]:
        yield from ()

    def position(self) -> int:
        return 0
