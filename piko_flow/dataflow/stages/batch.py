"""Stages that gather or pace items: Batch, Fold, Throttle."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from piko_flow.dataflow.stages.function import Signature, name_of, signature_of
from piko_flow.dataflow.stages.options import Seconds, positive_seconds, whole
from piko_flow.dataflow.stages.stage import (
    Gathering,
    In,
    Keeping,
    Next,
    Out,
    SinkLike,
    TransformLike,
    describe,
)

T = TypeVar("T", default=Any)
N = TypeVar("N", default=object)
A = TypeVar("A")
K = TypeVar("K")
I = TypeVar("I")  # noqa: E741


class Batch(Gathering[T], TransformLike[T, list[T]], Generic[T]):
    """Lists of neighbouring items, in order.

    A list is handed on when it holds `count` items, or, with `weight` (a function from an item to a number),
    when its weights reach `count`; at the latest `within` seconds after its first item, and at the end of
    input. A list is never empty. When the run fails or is stopped, what it holds is dropped.
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
    ) -> None:
        self._describe(name=name, fallback="batch")
        if weight is not None and not callable(weight):
            self.refuse("weight must be a function from an item to a number", f"got {weight!r}")
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
    def __rshift__(self, other: TransformLike[list[N], Next]) -> TransformLike[N, Next]: ...
    def __rshift__(self, other: Any) -> Any:
        return super().__rshift__(other)

    def gives(self, incoming: Any) -> Any:
        return list if incoming is Any else list[incoming]


class Fold(TransformLike[In, Out], Generic[In, Out]):
    """One value from all items: `step(value, item)` gives the next value, `start()` the first.

    The value leaves at the end of input. With `key` there is a value for each key and pairs `(key, value)`
    leave, in the order in which the keys first came; more than `max_keys` keys fail with TooManyKeys.
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
        self, step: Any, /, *, start: Any, key: Any = None, max_keys: int = 100_000, name: str | None = None
    ) -> None:
        self._describe(name=name, fallback=name_of(step) if callable(step) else "fold")
        for option, value in (("step", step), ("start", start), ("key", key)):
            if not (callable(value) or (option == "key" and value is None)):
                self.refuse(f"{option} must be a function", f"{describe(value)} came")
        self._keep(
            step=step,
            start=start,
            key=key,
            max_keys=whole(self, "max_keys", max_keys),
            signature=signature_of(step),
        )
        if self.signature.is_async:
            self.refuse(
                "Fold's step is a plain function",
                "an async function came",
                "Do the waiting in a Transform before it",
            )

    def gives(self, incoming: Any) -> Any:
        returns = self.signature.returns
        return returns if self.key is None else types.GenericAlias(tuple, (Any, returns))


class Throttle(Keeping[T], TransformLike[T, T], Generic[T]):
    """Hands on at most `count` items in any span of `per` seconds (default 1); order is kept.

    Waiting items stay in the channel before it, so the sender is slowed down too.
    """

    count: int
    per: float

    def __init__(self, count: int, /, *, per: Seconds = 1.0, name: str | None = None) -> None:
        self._describe(name=name, fallback="throttle")
        self._keep(count=whole(self, "count", count), per=positive_seconds(self, "per", per))

    @overload
    def __rshift__(self, other: SinkLike[N]) -> SinkLike[N]: ...
    @overload
    def __rshift__(self, other: Gathering[N]) -> TransformLike[N, list[N]]: ...
    @overload
    def __rshift__(self, other: Keeping[N]) -> TransformLike[N, N]: ...
    @overload
    def __rshift__(self, other: TransformLike[N, Next]) -> TransformLike[N, Next]: ...
    def __rshift__(self, other: Any) -> Any:
        return super().__rshift__(other)
