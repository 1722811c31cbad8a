"""The stages of random pipelines over small numbers, each with a plain-Python account of what it must give."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from pydantic import TypeAdapter

from piko_flow import Batch, CpuMap, Filter, FlatMap, Fold, Parse, Retry, Sink, Throttle, Transform
from piko_flow.testing import CollectingSink, turns

PRIME = 1009
Policy = Literal["fail", "skip", "dead_letter"]
Mode = Literal["plain", "waiting", "unordered", "keyed", "thread", "retried"]


class Refused(Exception):
    """What the functions of a program raise on the numbers that they do not like."""


@dataclass
class Expected:
    """What a program must do: by sink what arrives and whether in this order; what is lost; what may end the run."""

    sinks: dict[str, tuple[list[int], bool]] = field(default_factory=dict)
    dead: Counter[tuple[str, Any]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    fatal: set[tuple[str, Any]] = field(default_factory=set)

    def lose(self, name: str, policy: Policy, item: Any) -> None:
        """Note an item that fails in a stage."""
        if policy == "fail":
            self.fatal.add((name, item))
        elif policy == "skip":
            self.skipped[name] += 1
        else:
            self.dead[name, item] += 1


@dataclass(frozen=True)
class Step:
    """A stage of a program. It dislikes numbers that leave `remainder` when divided by `modulus`."""

    name: str
    mode: Mode = "plain"
    concurrency: int = 1
    policy: Policy = "fail"
    modulus: int = 0
    remainder: int = 0
    always_in_order: ClassVar[bool] = False

    def dislikes(self, number: int) -> bool:
        """Whether the stage fails on this number."""
        return self.modulus > 0 and number % self.modulus == self.remainder

    @property
    def keeps_order(self) -> bool:
        """Whether results leave in the order of their inputs."""
        return self.always_in_order or self.mode != "unordered"

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        """What comes out when these go in: all of them, unless the stage says otherwise."""
        return list(numbers)

    def liked(self, numbers: list[int], expected: Expected) -> list[int]:
        """These without the ones that the stage dislikes, which are lost."""
        for number in filter(self.dislikes, numbers):
            expected.lose(self.name, self.policy, number)
        return [number for number in numbers if not self.dislikes(number)]

    def build(self, mode: Mode | None = None) -> Any:
        """The stage; with `mode`, in that mode instead of its own."""
        raise NotImplementedError

    def options(self, mode: Mode) -> dict[str, Any]:
        """The options that a mode stands for."""
        options: dict[str, Any] = {"name": self.name, "on_error": self.policy}
        if mode in ("waiting", "unordered", "keyed", "thread"):
            options["concurrency"] = self.concurrency
        if mode == "unordered":
            options["ordered"] = False
        if mode == "keyed":
            options["key"] = _remainder_by_three
        if mode == "thread":
            options["on"] = "thread"
        if mode == "retried":
            options["retry"] = Retry(attempts=2, first=0)
        return options

    def in_mode(self, function: Callable[[int], Any], mode: Mode) -> Callable[[int], Any]:
        """The function as the mode calls it: asynchronous with delays, failing at first, or as it is."""
        if mode == "retried":
            return _failing_first(function)
        if mode in ("plain", "thread"):
            return function

        async def waiting(number: int) -> Any:
            await turns(number * 7 % 4)
            return function(number)

        return waiting


@dataclass(frozen=True)
class Mapping(Step):
    """Gives another number for each."""

    def once(self, number: int) -> int:
        """The stage's function."""
        if self.dislikes(number):
            raise Refused(number)
        return (number * 5 + 3) % PRIME

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        return [self.once(number) for number in self.liked(numbers, expected)]

    def build(self, mode: Mode | None = None) -> Any:
        mode = mode or self.mode
        return Transform(self.in_mode(self.once, mode), **self.options(mode))


@dataclass(frozen=True)
class Computing(Mapping):
    """The same on worker processes."""

    always_in_order = True

    def build(self, mode: Mode | None = None) -> Any:
        retry = Retry(attempts=2, first=0) if self.mode == "retried" else None
        return CpuMap(self.once, workers=2, retry=retry, on_error=self.policy, name=self.name)


@dataclass(frozen=True)
class Pacing(Step):
    """Lets so many pass at a time."""

    always_in_order = True

    def build(self, mode: Mode | None = None) -> Any:
        return Throttle(self.concurrency * 10, per=0.0001, name=self.name)


@dataclass(frozen=True)
class Keeping(Step):
    """Keeps the even ones."""

    def once(self, number: int) -> bool:
        """The stage's predicate."""
        if self.dislikes(number):
            raise Refused(number)
        return number % 2 == 0

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        return [number for number in self.liked(numbers, expected) if self.once(number)]

    def build(self, mode: Mode | None = None) -> Any:
        mode = mode or self.mode
        return Filter(self.in_mode(self.once, mode), **self.options(mode))


@dataclass(frozen=True)
class Spreading(Step):
    """Gives up to three numbers for each; where it fails it has given one before."""

    def each(self, number: int) -> Iterator[int]:
        """The stage's generator."""
        for place in range(max(number % 4, int(self.dislikes(number)) * 2)):
            if place == 1 and self.dislikes(number):
                raise Refused(number)
            yield (number * 3 + place) % PRIME

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        given: list[int] = []
        for number in numbers:
            try:
                given.extend(self.each(number))  # keeps what came before an error
            except Refused:
                expected.lose(self.name, self.policy, number)
        return given

    async def waiting(self, number: int) -> AsyncIterator[int]:
        """The stage's generator, with delays."""
        for value in self.each(number):
            await turns(value % 3)
            yield value

    def build(self, mode: Mode | None = None) -> Any:
        mode = mode or self.mode
        if mode in ("keyed", "retried"):  # a FlatMap is not tried again once it has given something
            mode = "waiting"
        return FlatMap(self.each if mode in ("plain", "thread") else self.waiting, **self.options(mode))


@dataclass(frozen=True)
class Checking(Step):
    """Lets pass what is at least the remainder."""

    def dislikes(self, number: int) -> bool:
        return number < self.remainder

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        return self.liked(numbers, expected)

    always_in_order = True

    def build(self, mode: Mode | None = None) -> Any:
        adapter: TypeAdapter[int] = TypeAdapter(Annotated[int, Ge(self.remainder)])
        return Parse(adapter, name=self.name, on_error=self.policy)


@dataclass(frozen=True)
class Gathering(Step):
    """Makes lists and takes them apart again."""

    always_in_order = True

    def build(self, mode: Mode | None = None) -> Any:
        count = self.concurrency + 1
        batches: dict[Mode, Batch[int]] = {
            "waiting": Batch(count, within=3600.0, name=self.name),
            "keyed": Batch(count, weight=_one, name=self.name),
        }
        batch = batches.get(mode or self.mode) or Batch(count, name=self.name)
        return batch >> FlatMap(_each, name=f"{self.name}_apart")


@dataclass(frozen=True)
class Summing(Step):
    """Gives one sum at the end, or one for each remainder by three."""

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        if self.mode != "keyed":
            return [sum(numbers) % PRIME]
        groups: dict[int, int] = {}
        for number in numbers:
            groups[number % 3] = groups.get(number % 3, 0) + number
        return [key * 100 + total % 100 for key, total in groups.items()]

    always_in_order = True

    def build(self, mode: Mode | None = None) -> Any:
        if self.mode == "keyed":
            fold: Any = Fold(_plus, start=int, key=_remainder_by_three, name=self.name)
            return fold >> Transform(_joined, name=f"{self.name}_joined")
        return Fold(_plus, start=int, name=self.name) >> Transform(_small, name=f"{self.name}_small")


@dataclass(frozen=True)
class Ending(Step):
    """A sink: a function, or an object that takes lists."""

    lists: int = 0

    def expect(self, numbers: list[int], expected: Expected) -> list[int]:
        return list(numbers) if self.lists else self.liked(numbers, expected)

    def build_into(self, arrived: dict[str, list[int]], mode: Mode | None) -> Any:
        """The sink; what arrives is found in `arrived` under its name."""
        mode = mode or self.mode
        if self.lists:
            sink: CollectingSink[int] = CollectingSink(batch=self.lists, name=self.name)
            arrived[self.name] = sink.record.published
            return sink
        there = arrived[self.name] = []

        def take(number: int) -> None:
            if self.dislikes(number):
                raise Refused(number)
            there.append(number)

        options = self.options(mode)
        options.pop("ordered", None)
        return Sink(self.in_mode(take, mode), **options)


def _failing_first(function: Callable[[int], Any]) -> Callable[[int], Any]:
    """The function, but every second call for the same number fails, beginning with the first."""
    calls: Counter[int] = Counter()

    def flaky(number: int) -> Any:
        calls[number] += 1
        if calls[number] % 2:
            raise Refused("for now")
        return function(number)

    return flaky


def _remainder_by_three(number: int) -> int:
    return number % 3


def _plus(total: int, number: int) -> int:
    return total + number


def _joined(pair: tuple[int, int]) -> int:
    return pair[0] * 100 + pair[1] % 100


def _small(number: int) -> int:
    return number % PRIME


def _one(number: int) -> float:
    return 1.0


def _each(numbers: Sequence[int]) -> Sequence[int]:
    return numbers
