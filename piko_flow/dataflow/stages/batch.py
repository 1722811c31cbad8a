"""Stages that gather items or limit their rate: Batch, Fold, Throttle."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any, Generic, Never, overload

from typing_extensions import TypeVar

from piko_flow.dataflow.graph.function import Signature, misfit, name_of, signature_of
from piko_flow.dataflow.graph.generics import substitute
from piko_flow.dataflow.graph.typing import compatible, show
from piko_flow.dataflow.stages.stage import (
    Gathering,
    In,
    Keeping,
    Out,
    SinkLike,
    TransformLike,
    describe,
)
from piko_flow.dataflow.stages.stage_options import (
    Seconds,
    check_names,
    check_side_function,
    positive_seconds,
    whole,
)
from piko_flow.errors import StageTypeError

T = TypeVar("T", default=Any)
N = TypeVar("N", default=object)
M = TypeVar("M", default=object)
A = TypeVar("A")
K = TypeVar("K")
I = TypeVar("I")  # noqa: E741


class Batch(Gathering[T], TransformLike[T, list[T]], Generic[T]):
    """Lists of neighbouring items, in order.

    A list is handed on when it holds `count` items, or, with `weight` (a function from an item to a number),
    when its weights reach `count`; at the latest `within` seconds after its first item, and at the end of
    input. A list is never empty. A weight is a number of at least 0; a list is also handed on when as many
    items in a row as a channel holds have added nothing to its weight. When the run fails or is stopped, what it holds is dropped.
    """

    count: int
    within: float | None
    weight: Callable[[Any], float] | None

    def __init__(
        self,
        count: int,
        /,
        *,
        within: Seconds | None = None,
        weight: Callable[[T], float] | None = None,
        name: str | None = None,
        **unknown: Never,
    ) -> None:
        self._describe(name=name, fallback="batch")
        check_names(self, unknown, ("within", "weight"))
        if weight is not None:
            check_side_function(self, "weight", weight)
        self._keep(
            count=whole(self, "count", count), within=positive_seconds(self, "within", within), weight=weight
        )

    # At the head of an open chain what follows tells what the lists hold.
    @overload
    def __rshift__(self, other: SinkLike[list[N]]) -> SinkLike[N]: ...
    @overload
    def __rshift__(self, other: Gathering[list[N]]) -> TransformLike[N, list[list[N]]]: ...
    @overload
    def __rshift__(self, other: Keeping[list[N]]) -> TransformLike[N, list[N]]: ...
    @overload
    def __rshift__(self, other: TransformLike[list[N], M]) -> TransformLike[N, M]: ...
    def __rshift__(self, other: Any) -> Any:
        return super().__rshift__(other)

    @property
    def takes(self) -> Any:
        return Any if self.weight is None else signature_of(self.weight).takes

    def inputs(self) -> Iterator[tuple[str, Any]]:
        yield "its weight function", self.takes

    def gives(self, incoming: Any) -> Any:
        return list if incoming is Any else list[incoming]


class Fold(TransformLike[In, Out], Generic[In, Out]):
    """One value from all items: `step(value, item)` gives the next value, `start()` the first.

    The value leaves at the end of input. With `key` there is a value for each key and pairs `(key, value)`
    leave, in the order in which the keys first came; more than `max_keys` keys (default 100,000) fail with
    TooManyKeys.
    A fold makes the run one unit.
    """

    step: Callable[[Any, Any], Any]
    start: Callable[[], Any]
    key: Callable[[Any], Any] | None
    max_keys: int
    signature: Signature

    @overload
    def __init__(
        self: Fold[I, A], step: Callable[[A, I], A], /, *, start: Callable[[], A], name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Fold[I, tuple[K, A]],
        step: Callable[[A, I], A],
        /,
        *,
        start: Callable[[], A],
        key: Callable[[I], K],
        max_keys: int = ...,
        name: str | None = ...,
    ) -> None: ...
    def __init__(
        self,
        step: Any,
        /,
        *,
        start: Any = None,
        key: Any = None,
        max_keys: int | None = None,
        name: str | None = None,
        **unknown: Never,
    ) -> None:
        self._describe(name=name, fallback=name_of(step) if callable(step) else "fold")
        check_names(self, unknown, ("start", "key", "max_keys"))
        self._check_functions(step, start)
        if max_keys is not None and key is None:
            self.refuse("max_keys bounds the values of a fold with key=", "got max_keys= without key=")
        if key is not None:
            check_side_function(self, "key", key)
        self._keep(
            step=step,
            start=start,
            key=key,
            max_keys=whole(self, "max_keys", 100_000 if max_keys is None else max_keys),
            signature=signature_of(step),
        )
        self._check_value()

    def _check_functions(self, step: Any, start: Any) -> None:
        for option, function, given in (("step", step, 2), ("start", start, 0)):
            if not callable(function):
                advice = (
                    "Give the function that makes the first value: start=int, start=list"
                    if given == 0
                    else ""
                )
                self.refuse(f"{option} must be a function", f"got {describe(function)}", advice)
            if signature_of(function).is_async:
                self.refuse(
                    f"Fold's {option} is a plain function",
                    "got an async function",
                    "Do the waiting in a Transform before it",
                )
            if reason := misfit(function, given):
                called = "the value and one item" if given else "nothing"
                self.refuse(f"{option} is called with {called}", f"{name_of(function)}: {reason}")

    def _check_value(self) -> None:
        """The value goes round: what `start` and `step` give comes to `step` again."""
        taken = self.signature.takes
        for giver, given in (
            (name_of(self.start), signature_of(self.start).returns),
            (name_of(self.step), self.signature.returns),
        ):
            if not compatible(given, taken):
                raise StageTypeError(
                    what=self.title,
                    where=str(self.origin),
                    rule=f"its step takes the value as {show(taken)}",
                    got=f"{giver} gives {show(given)}",
                    advice="Change one of the annotations, or start=",
                )

    @property
    def takes(self) -> Any:
        positional = self.signature.positional
        return positional[1] if len(positional) > 1 else Any

    def inputs(self) -> Iterator[tuple[str, Any]]:
        yield "it", self.takes
        if self.key is not None:
            yield "its key function", signature_of(self.key).takes

    def gives(self, incoming: Any) -> Any:
        returns = self.signature.returns
        value = signature_of(self.start).returns if returns is Any else returns
        value = substitute(value, {})
        if self.key is None:
            return value
        key = substitute(signature_of(self.key).returns, {})
        return types.GenericAlias(tuple, (key, value))


class Throttle(Keeping[T], TransformLike[T, T], Generic[T]):
    """Hands on at most `count` items in any span of `per` seconds (default 1); order is kept.

    Waiting items stay in the channel before it, so the sender is slowed down too. The units of a run share one
    limit where they share a process; under the SubprocessEngine each unit has a limit of its own.
    """

    count: int
    per: float

    def __init__(
        self, count: int, /, *, per: Seconds = 1.0, name: str | None = None, **unknown: Never
    ) -> None:
        self._describe(name=name, fallback="throttle")
        check_names(self, unknown, ("per",))
        if per is None:
            self.refuse("per must be a number of seconds or a timedelta above 0", "got None")
        self._keep(count=whole(self, "count", count), per=positive_seconds(self, "per", per))

    @overload
    def __rshift__(self, other: SinkLike[N]) -> SinkLike[N]: ...
    @overload
    def __rshift__(self, other: Gathering[N]) -> TransformLike[N, list[N]]: ...
    @overload
    def __rshift__(self, other: Keeping[N]) -> TransformLike[N, N]: ...
    @overload
    def __rshift__(self, other: TransformLike[N, M]) -> TransformLike[N, M]: ...
    def __rshift__(self, other: Any) -> Any:
        return super().__rshift__(other)
