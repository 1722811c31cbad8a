"""Stages that call a function on each item: Transform, Filter, FlatMap, Parse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, TypeVar, overload

from typing_extensions import Unpack

from piko_flow.dataflow.stages.function import Signature, accepts_first, item_of, signature_of
from piko_flow.dataflow.stages.options import (
    CallOptions,
    OnError,
    OptionValues,
    checked_on_error,
    checked_options,
)
from piko_flow.dataflow.stages.source import Several
from piko_flow.dataflow.stages.stage import In, Keeping, Out, TransformLike, describe

if TYPE_CHECKING:
    from pydantic import TypeAdapter

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
T = TypeVar("T")


class CallStage(TransformLike[In, Out], Generic[In, Out]):
    """What the stages that call a user's function share: the function, its signature and its options."""

    function: Callable[..., Any]
    signature: Signature
    options: CallOptions

    def _call(self, function: Any, name: str | None, values: OptionValues) -> None:
        check_function(self, function, name)
        self._keep(options=checked_options(self, values, is_async=self.signature.is_async))
        check_uses(self, self.signature, self.options.uses)

    @property
    def takes(self) -> Any:
        return self.signature.takes


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
        if self.signature.shape in ("generator", "async_generator"):
            self.refuse(
                "a Transform's function gives one item for each item",
                "a generator function came",
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
        if self.signature.shape in ("generator", "async_generator"):
            self.refuse("a Filter's predicate gives true or false", "a generator function came")


class FlatMap(CallStage[In, Out], Generic[In, Out]):
    """Any number of items out for each item in, by a generator, an async generator, or a function giving a list.

    Retried only while it has given nothing for the item. The options and the order are those of Transform;
    the items that one item gives stay together and in order.
    """

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
        self: Parse[T], model: type[T], /, *, on_error: OnError = ..., name: str | None = ...
    ) -> None: ...
    @overload
    def __init__(
        self: Parse[Any], model: object, /, *, on_error: OnError = ..., name: str | None = ...
    ) -> None: ...
    def __init__(self, model: Any, /, *, on_error: OnError = "fail", name: str | None = None) -> None:
        self._describe(name=name, fallback=f"parse_{getattr(model, '__name__', 'items').lower()}")
        self._keep(model=model, on_error=checked_on_error(self, on_error))
        self._keep(adapter=self._adapter())

    adapter: Any

    def _adapter(self) -> Any:
        from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

        if isinstance(self.model, TypeAdapter):
            return self.model
        try:
            return TypeAdapter(self.model)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            self.refuse(
                "Parse needs a Pydantic model or a type that Pydantic can validate",
                f"{describe(self.model)} came ({type(error).__name__})",
            )

    def gives(self, incoming: Any) -> Any:
        from pydantic import TypeAdapter

        return Any if isinstance(self.model, TypeAdapter) else self.model


def check_function(stage: Any, function: Any, name: str | None, *, role: str = "function") -> None:
    """Store a stage's function, name and signature; refuse what cannot be called with one item."""
    if not callable(function):
        stage._describe(name=name, fallback=type(stage).__name__.lower())
        stage.refuse(f"it needs a {role} of one item", f"{describe(function)} came")
    signature = signature_of(function)
    stage._describe(name=name, fallback=signature.name)
    stage._keep(function=function, signature=signature)
    if not accepts_first(function) and not stage_takes_keywords(function):
        stage.refuse(f"its {role} is called with one item", f"{signature.name} takes no positional argument")


def stage_takes_keywords(function: Callable[..., Any]) -> bool:
    """Whether the function could take one item besides the keywords that resources fill."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


def check_uses(stage: Any, signature: Signature, uses: Mapping[str, Any]) -> None:
    """Refuse a resource that the function has no parameter for, and one that is not a resource."""
    from piko_flow.dataflow.stages.resource import is_resource

    for name, resource in uses.items():
        if signature.keywords is not None and name not in signature.keywords:
            taken = ", ".join(sorted(signature.keywords)) or "none"
            stage.refuse(
                f"each name in uses= is a parameter of {signature.name}", f"{name!r} is not (it has: {taken})"
            )
        if not is_resource(resource):
            stage.refuse(
                f"uses[{name!r}] must be an async context manager function or an object with acquire(info)",
                f"{describe(resource)} came",
                "Decorate the function with contextlib.asynccontextmanager",
            )


def through(signature: Signature, incoming: Any, outgoing: Any) -> Any:
    """The outgoing type, with a type variable that stands for the whole item replaced by what comes in."""
    if isinstance(outgoing, TypeVar):
        return incoming if outgoing is signature.takes else Any
    return outgoing
