"""Where items come from."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import timedelta
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    Never,
    NoReturn,
    Protocol,
    TypeVar,
    overload,
    runtime_checkable,
)

from typing_extensions import TypedDict, Unpack

from piko_flow.dataflow.graph.function import Signature, gives_items, item_of, misfit, signature_of
from piko_flow.dataflow.graph.generics import substitute
from piko_flow.dataflow.graph.typing import plain, show
from piko_flow.dataflow.stages.stage import Out, SourceLike, Stage, describe
from piko_flow.dataflow.stages.stage_options import (
    OnError,
    Seconds,
    Where,
    check_awaiting,
    check_names,
    check_uses,
    checked_on_error,
    checked_retry,
    checked_uses,
    positive_seconds,
    whole,
)
from piko_flow.retry import Retry

T = TypeVar("T")
S = TypeVar("S")
T_co = TypeVar("T_co", covariant=True)
Several = AsyncIterable[T] | Awaitable[Iterable[T]] | Iterable[T]
Splits = Sequence[S] | Callable[[], Sequence[S]]
Kind = Literal["iterable", "async_iterable", "function", "chunks", "slices"]


class Reject(Protocol):
    """Reports a piece of input that could not be read, with the error that names where it stands."""

    def __call__(self, payload: object, error: Exception) -> None: ...


@runtime_checkable
class ChunkReader(Protocol[T]):
    """A source that reads whole lists at once and can report a broken piece without ending the run.

    `read_chunks(split, reject=...)` gives lists of items, in order; `split` is None for a source without
    splits. What cannot be read goes to `reject(payload, error)`, which raises when the run is to fail.
    """

    def read_chunks(self, split: Any, *, reject: Reject) -> Iterator[list[T]]: ...


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that have the same columns: what a list of dicts holds, before any dict is made."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def dicts(self) -> list[dict[str, Any]]:
        """Each row as a dict from column to value."""
        columns = self.columns
        return [dict(zip(columns, row, strict=True)) for row in self.rows]


@runtime_checkable
class TableReader(Protocol):
    """A ChunkReader of dicts that can give the same as tables, for who does not need the dicts."""

    def read_tables(self, split: Any, *, reject: Reject) -> Iterator[Table]: ...


@runtime_checkable
class AsyncChunkReader(Protocol[T]):
    """As ChunkReader, for input that is waited for: `read_chunks` is an async generator of lists.

    It is closed when the run stops before its end, so what it has open is closed in its `finally`.
    """

    def read_chunks(self, split: Any, *, reject: Reject) -> AsyncIterator[list[T]]: ...


@runtime_checkable
class SliceReader(Protocol[T_co]):
    """An unbounded source read in slices, each a run of its own.

    `read(since)` gives items after the position `since` (None at the very beginning), `position()` the
    position after the last item given. It is in the report of a run, and the next run is
    given it as `since`.
    """

    def read(self, since: Any) -> AsyncIterable[T_co] | Iterable[T_co]: ...
    def position(self) -> Any: ...


OPTIONS = ("splits", "max_items", "max_age", "on_error", "retry", "on", "uses")


class SourceOptions(TypedDict, total=False):
    """The options that every source has, as users give them."""

    name: str | None
    retry: Retry | None
    on: Where
    uses: Mapping[str, Any] | None


class Source(SourceLike[Out], Generic[Out]):
    """Items from a re-readable iterable, an async iterable, or a function that gives one (sync or async).

    A plain function may give an async iterable; one that returns a coroutine fails with CoroutineReturned.
    A second attempt reads from the start, so what can be read only once (an iterator, a generator object)
    is refused. With `splits=` (a sequence, or a function called when the run is planned) the function is
    called with one split at a time and each split becomes a unit. A split says what it is: a plain value, a container,
    dataclass or Pydantic model of them, or an object with a text `split_id`; another is refused while planning. `on="thread"` reads a blocking iterable
    on a thread, and calls its function there. `retry` reads again only while nothing has been given or
    rejected. An unbounded source is an object with `read(since)` and `position()`; `max_items` and `max_age`
    (seconds) end its slice.
    Order: items leave as they are read.
    """

    @overload
    def __init__(
        self: Source[T],
        items: SliceReader[T],
        /,
        *,
        max_items: int | None = ...,
        max_age: Seconds | None = ...,
        **options: Unpack[SourceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Source[T],
        items: ChunkReader[T] | AsyncChunkReader[T],
        /,
        *,
        splits: Splits[Any] | None = ...,
        on_error: OnError = ...,
        **options: Unpack[SourceOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Source[T], items: Iterable[T] | AsyncIterable[T], /, **options: Unpack[SourceOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Source[T], items: Callable[..., Several[T]], /, **options: Unpack[SourceOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: Source[T],
        items: Callable[Concatenate[S, ...], Several[T]],
        /,
        *,
        splits: Splits[S],
        **options: Unpack[SourceOptions],
    ) -> None: ...
    def __init__(
        self,
        items: Any,
        /,
        *,
        splits: Any = None,
        max_items: int | None = None,
        max_age: float | timedelta | None = None,
        name: str | None = None,
        on_error: OnError = "fail",
        retry: Retry | None = None,
        on: Where = "loop",
        uses: Mapping[str, Any] | None = None,
        **unknown: Never,
    ) -> None:
        kind = kind_of(items)
        shape = signature_of(items, 0 if splits is None else 1) if kind == "function" else None
        self._describe(name=name, fallback=shape.name if shape else type(items).__name__)
        check_names(self, unknown, OPTIONS)
        self._keep(
            items=items,
            reads=kind,
            signature=shape,
            splits=splits,
            max_age=positive_seconds(self, "max_age", max_age),
            max_items=None if max_items is None else whole(self, "max_items", max_items),
            on_error=checked_on_error(self, on_error),
            retry=checked_retry(self, retry),
            on=on,
            uses=checked_uses(self, uses),
        )
        self._check()

    items: Any
    reads: Kind | None
    signature: Signature | None
    splits: Sequence[Any] | Callable[[], Sequence[Any]] | None
    max_items: int | None
    max_age: float | None
    on_error: OnError
    retry: Retry | None
    on: Where
    uses: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """ "Source", also for ready sources that subclass it: reports and runs find the sources by it."""
        return "Source"

    def gives(self, incoming: Any) -> Any:
        if self.signature is not None:
            return substitute(item_of(self.signature.returns), {})
        if self.reads not in ("chunks", "slices"):
            return substitute(item_of(type(self.items)), {})
        method = self.items.read_chunks if self.reads == "chunks" else self.items.read
        item = item_of(signature_of(method).returns)
        return substitute(item_of(item) if self.reads == "chunks" else item, {})

    @property
    def waits(self) -> bool:
        """Whether its lists are waited for."""
        return self.reads == "chunks" and inspect.isasyncgenfunction(self.items.read_chunks)

    def _check(self) -> None:
        if self.reads is None:
            self._refuse_items()
        if self.on not in ("loop", "thread"):
            self.refuse('on must be "loop" or "thread"', f"got {self.on!r}")
        is_async = self.waits or (self.signature is not None and self.signature.is_async)
        if self.on == "thread" and (self.reads == "async_iterable" or is_async):
            self.refuse('on="thread" is for blocking sources', "got an asynchronous one", "Leave on= out")
        if self.splits is not None:
            self._check_splits()
        if self.signature is not None:
            self._check_function(self.signature)
        elif self.uses:
            self.refuse("uses= is for functions", f"got {describe(self.items)}")
        if (self.max_items or self.max_age) and self.reads != "slices":
            self.refuse(
                "max_items and max_age end the slices of an unbounded source",
                f"got {describe(self.items)}",
                "Give an object with read(since) and position()",
            )
        if self.on_error != "fail" and self.reads != "chunks":
            self.refuse(
                "on_error of a source is for readers that can step over a broken piece",
                f"got on_error={self.on_error!r}",
                "Parse in a stage of its own, with on_error there",
            )

    def _refuse_items(self) -> NoReturn:
        got, advice = (
            describe(self.items),
            "Give a list, or a function that makes a fresh iterator each time",
        )
        if isinstance(self.items, (str, bytes, bytearray)):
            advice = "Give a list of items; to read a file, give a function or a file source"
        elif inspect.isgenerator(self.items) or inspect.isasyncgen(self.items):
            made = self.items.__name__
            got, advice = f"got the generator object {made}, which can be read only once", ""
            advice = f"Give the function itself, Source({made}), or functools.partial for its arguments"
        elif inspect.iscoroutine(self.items):
            made = self.items.__name__
            got, advice = f"a call of the async function {made}", f"Give the function itself: Source({made})"
            self.items.close()
        elif hasattr(self.items, "__next__") or hasattr(self.items, "__anext__"):
            got = f"got {describe(self.items)}, an iterator, which can be read only once"
        self.refuse(
            "a source reads a re-readable iterable, or a function that gives one",
            got if got.startswith("got ") else f"got {got}",
            advice,
        )

    def _check_function(self, signature: Signature) -> None:
        check_uses(self, signature, self.uses)
        check_awaiting(self, signature)
        given = 0 if self.splits is None else 1
        if reason := misfit(self.items, given, self.uses):
            self.refuse(
                "a source's function is called with one split"
                if given
                else "a source's function is called without arguments",
                f"{signature.name}: {reason}",
                "" if given else "Fill its arguments with functools.partial, or give splits=",
            )
        shown = plain(signature.returns)
        text = isinstance(shown, type) and issubclass(shown, (str, bytes, bytearray))
        if signature.shape in ("plain", "async") and (text or not gives_items(shown)):
            self.refuse(
                "a source's function gives an iterable of items",
                f"{signature.name} returns {show(signature.returns)}",
                "Give a list, or make it a generator with yield",
            )

    def _check_splits(self) -> None:
        if self.reads not in ("function", "chunks"):
            self.refuse("splits= needs a function that reads one split", f"got {describe(self.items)}")
        if isinstance(self.splits, (str, bytes)) or not (
            callable(self.splits) or isinstance(self.splits, Sequence)
        ):
            self.refuse(
                "splits must be a sequence, or a function that gives one", f"got {type(self.splits).__name__}"
            )
        if callable(self.splits) and (reason := misfit(self.splits, 0)):
            self.refuse("the splits function is called with nothing", reason)

    def resolve_splits(self) -> list[Any] | None:
        """The splits as of now, calling the function if there is one; None for a source without splits."""
        if self.splits is None:
            return None
        found = self.splits() if callable(self.splits) else self.splits
        if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
            self.refuse("the splits function must give a sequence", f"it gave {type(found).__name__}")
        return list(found)


def kind_of(items: Any) -> Kind | None:
    """How such a value can be read again and again; None for what cannot be a source."""
    if isinstance(items, (str, bytes, bytearray)) or hasattr(type(items), "model_fields"):
        return None
    if hasattr(items, "__next__") or hasattr(items, "__anext__"):
        return None
    if isinstance(items, type):
        readable = hasattr(items, "__iter__") or hasattr(items, "__aiter__")
        return "function" if readable and not hasattr(items, "model_fields") else None
    if not isinstance(items, Stage):
        if hasattr(items, "read_chunks"):
            return "chunks"
        if hasattr(items, "read") and hasattr(items, "position"):
            return "slices"
        if hasattr(items, "__aiter__"):
            return "async_iterable"
        if hasattr(items, "__iter__"):
            return "iterable"
    return "function" if callable(items) and not isinstance(items, Stage) else None
