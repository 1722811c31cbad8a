"""Stages that call a function on each item: Transform, Filter, FlatMap, Parse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Never, overload

from typing_extensions import TypeVar, Unpack

from piko_flow.dataflow.graph.function import Signature, gives_items, item_of, signature_of, through
from piko_flow.dataflow.graph.typing import guarded, show
from piko_flow.dataflow.stages.source import Several
from piko_flow.dataflow.stages.stage import In, Keeping, Out, TransformLike, describe
from piko_flow.dataflow.stages.stage_options import (
    GENERATORS,
    CallOptions,
    OnError,
    OptionValues,
    check_call,
    check_names,
    checked_on_error,
    checked_options,
    keep_function,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from typing_extensions import TypeForm

# The default is for lambdas at the head of an open chain: without one mypy takes them for functions of Never.
I = TypeVar("I", default=Any)  # noqa: E741
O = TypeVar("O", default=Any)  # noqa: E741
T = TypeVar("T")


class CallStage(TransformLike[In, Out], Generic[In, Out]):
    """What the stages that call a user's function share: the function, its signature and its options."""

    function: Callable[..., Any]
    signature: Signature
    options: CallOptions
    _without: tuple[str, ...] = ()  # the options that this kind of stage does not have

    def _call(self, function: Any, name: str | None, values: OptionValues) -> None:
        role = "predicate" if isinstance(self, Filter) else "function"
        keep_function(self, function, name, role=role)
        is_async, without = self.signature.is_async, self._without
        self._keep(options=checked_options(self, values, is_async=is_async, without=without))
        check_call(self, function, self.options.uses, role=role)

    @property
    def takes(self) -> Any:
        return self.signature.takes

    def inputs(self) -> Iterator[tuple[str, Any]]:
        yield "it", self.takes
        if self.options.key is not None:
            yield "its key function", signature_of(self.options.key).takes


class Transform(CallStage[In, Out], Generic[In, Out]):
    """One item in, one item out, by a plain or an async function.

    A plain function runs inline, or on threads with `on="thread"`. `concurrency` bounds the items in
    flight and not yet handed on. Order: with `ordered=True` results leave in the order of their inputs,
    otherwise as they finish; with `key` items of one key run one at a time, in order. `timeout` (seconds)
    bounds one attempt, `retry` tries the same item again, `on_error` says what becomes of an item whose
    last attempt failed. Cancelling the run cancels the calls in flight.
    """

    # Each form comes twice: with `...` behind the item mypy infers neither lambdas nor generic functions.
    @overload
    def __init__(
        self: Transform[I, O],
        function: Callable[[I], Awaitable[O]],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: Transform[I, O],
        function: Callable[[I], O],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: Transform[I, O],
        function: Callable[Concatenate[I, ...], Awaitable[O]],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: Transform[I, O],
        function: Callable[Concatenate[I, ...], O],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    def __init__(self, function: Any, /, *, name: str | None = None, **options: Unpack[OptionValues]) -> None:
        self._call(function, name, options)
        if self.signature.shape in GENERATORS:
            self.refuse(
                "a Transform's function gives one item for each item",
                "got a generator function",
                "Use FlatMap for a function that gives several",
            )

    def gives(self, incoming: Any) -> Any:
        return through(self.signature, incoming, self.signature.returns)


class Filter(Keeping[In], CallStage[In, Out], Generic[In, Out]):
    """Keeps the items for which the predicate (plain or async) is true; the options are those of Transform.

    Order: what is kept keeps its order, unless `ordered=False`.
    """

    @overload
    def __init__(
        self: Filter[I, I],
        predicate: Callable[[I], object],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: Filter[I, I],
        predicate: Callable[Concatenate[I, ...], object],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    def __init__(
        self, predicate: Any, /, *, name: str | None = None, **options: Unpack[OptionValues]
    ) -> None:
        self._call(predicate, name, options)
        if self.signature.shape in GENERATORS:
            self.refuse(
                "a Filter's predicate gives true or false for an item",
                "got a generator function",
                "Use FlatMap for a function that gives several items",
            )

    def gives(self, incoming: Any) -> Any:
        promised = guarded(self.signature.returns)
        return super().gives(incoming) if promised is Any else promised


class FlatMap(CallStage[In, Out], Generic[In, Out]):
    """Any number of items out for each item in, by a generator, an async generator, or a function giving a list.

    Retried only while it has given nothing for the item. The options and the order are those of Transform;
    the items that one item gives stay together and in order.
    """

    _without = ("key",)

    @overload
    def __init__(
        self: FlatMap[I, O],
        function: Callable[[I], Iterable[O]],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: FlatMap[I, O],
        function: Callable[[I], Several[O]],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: FlatMap[I, O],
        function: Callable[Concatenate[I, ...], Several[O]],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    def __init__(self, function: Any, /, *, name: str | None = None, **options: Unpack[OptionValues]) -> None:
        self._call(function, name, options)
        returns = self.signature.returns
        if self.signature.shape in ("plain", "async") and not gives_items(returns):
            self.refuse(
                "a FlatMap's function gives an iterable of items for each item",
                f"{self.signature.name} returns {show(returns)}",
                "Use Transform for a function that gives one item",
            )

    def gives(self, incoming: Any) -> Any:
        return through(self.signature, incoming, item_of(self.signature.returns))


class Parse(TransformLike[Any, Out], Generic[Out]):
    """Validates each item (dict, or JSON as bytes or str) into a Pydantic model or any type Pydantic knows.

    Runs inline. Raises pydantic's ValidationError for the item, under `on_error`. Order is kept.
    """

    model: Any
    on_error: OnError

    @overload
    def __init__(
        self: Parse[T], model: TypeAdapter[T], /, *, on_error: OnError = ..., name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Parse[T], model: TypeForm[T], /, *, on_error: OnError = ..., name: str | None = ...
    ) -> None: ...
    def __init__(
        self, model: Any, /, *, on_error: OnError = "fail", name: str | None = None, **unknown: Never
    ) -> None:
        self._describe(name=name, fallback=f"parse_{getattr(model, '__name__', 'items').lower()}")
        check_names(self, unknown, ("on_error",))
        self._keep(model=model, on_error=checked_on_error(self, on_error))
        self._keep(adapter=self._adapter())

    adapter: Any

    def _adapter(self) -> Any:
        from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
        from pydantic.errors import PydanticUndefinedAnnotation

        if isinstance(self.model, TypeAdapter):
            return self.model
        try:
            return TypeAdapter(self.model)
        except (PydanticSchemaGenerationError, PydanticUserError, PydanticUndefinedAnnotation) as error:
            self.refuse(
                "Parse needs a Pydantic model or a type that Pydantic can validate",
                f"got {describe(self.model)} ({type(error).__name__})",
            )

    def gives(self, incoming: Any) -> Any:
        from pydantic import TypeAdapter

        return Any if isinstance(self.model, TypeAdapter) else self.model
