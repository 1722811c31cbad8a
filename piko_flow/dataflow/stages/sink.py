"""Where items end: a function of one item, or an object that writes lists of them."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Concatenate, Generic, Protocol, TypeVar, overload

from typing_extensions import Unpack

from piko_flow.dataflow.graph.function import Signature, item_of, misfit, signature_of
from piko_flow.dataflow.stages.stage import In, SinkLike, describe
from piko_flow.dataflow.stages.stage_options import (
    GENERATORS,
    CallOptions,
    OnError,
    OptionValues,
    Seconds,
    check_call,
    check_names,
    checked_on_error,
    checked_options,
    checked_retry,
    keep_function,
    positive_seconds,
    whole,
)
from piko_flow.dataflow.stages.target_hooks import check_hooks
from piko_flow.errors import describe_error
from piko_flow.retry import Retry

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Part:
    """One unit's share of a sink in one attempt. `number` counts the units of the run from 0, `units` is how many."""

    run: str
    unit: str
    attempt: int = 1
    number: int = 0
    units: int = 1
    sink: str = ""
    flow: str = ""
    window_start: datetime | None = None
    window_end: datetime | None = None

    @property
    def token(self) -> str:
        """A text fit for a file name: of this attempt of this unit alone, the same for all its sinks."""
        return f"{self.run}-{self.number}-{self.attempt}"


@dataclass(frozen=True)
class Receipt:
    """What a part has prepared: all that `commit` needs, as JSON values in `data`, and the number of items."""

    part: Part
    items: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


class Transaction(Protocol):
    """The transaction in which a run ends, as a sink in the same database sees it."""

    dialect: str

    async def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> Any:
        """Execute a SQLAlchemy statement (or SQL text with named values) inside the transaction."""

    async def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Execute SQL text once for each row, by the driver's own `executemany`; gives how many rows it moved.

        The text has the driver's places: `?` for SQLite, `%s` for MySQL and MariaDB, `$1` for PostgreSQL.
        """
        ...

    def staged(self, part: Part) -> AsyncIterator[str]:
        """The texts that the part has staged, in the order of their chunks, one at a time."""
        ...


class Staging(Protocol):
    """Where what is written to the ledger's database waits for the transaction in which its run ends.

    `ledger` is the URL of that database, without password.
    """

    ledger: str

    async def add(self, part: Part, chunk: int, text: str) -> None:
        """Keep one more text of the part, in a transaction of its own; the same chunk again replaces it.

        Raises ClaimLost when the run is no longer this process's, StoreUnavailable when the store does not answer.
        """


class SinkTarget(Generic[T_contra]):
    """Base of the objects that a Sink writes through; only `write` must be written.

    The object a user makes is a description. For each part the run works on a shallow copy of it:
    `open(part)`, `write(items)` any number of times, then `prepare()` and later `commit(receipts)`, or
    `abort()`. What was written may become visible to others only by `commit`, which works from the
    receipts of all units alone, on the copy that `lock` was called on, which never opened a part, and must
    be repeatable: it may be called again after a crash. `sweep(live)` removes what parts other than the live
    ones left behind.

    A target that writes to the database where the application keeps its ledger can `joins` the transaction in
    which the run ends: `commit_in` is called there instead of `commit`, so that rows and ledger change together.
    """

    durable: bool = True
    """Whether what `prepare` leaves outlives this process; False means it is held in memory."""
    acknowledges: bool = False
    """Whether items are lasting and visible when `write` has returned, so that `commit` has nothing to add."""
    staging: Staging | None = None
    """Set by the run before `open` where the target joins the run's last transaction."""
    replaces: bool = False
    """Whether a commit replaces all that an earlier run wrote for the same window, so that dead letters are not
    replayed into it: some items alone would remove the others."""

    def row_fields(self, model: type) -> Sequence[str]:
        """The fields of a model whose values, as a tuple in this order, are as good to `write` as the model; none are."""
        return ()

    async def open(self, part: Part) -> None:
        """Begin a part."""
        self.part, self.items = part, 0

    async def write(self, items: Sequence[T_contra], /) -> None:
        """Write the items, in order. May raise ItemRejected to name the one that is to blame."""
        raise TypeError(f"{type(self).__name__} must define write(items)")

    async def prepare(self) -> Receipt:
        """Make what was written lasting, without making it visible."""
        return Receipt(self.part, self.items)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        """Make the prepared parts visible; gives a line for each place written to, for the report."""
        return []

    def joins(self, ledger: str) -> bool:
        """Whether it can commit in a transaction of the database with this URL (which has no password)."""
        return False

    async def commit_in(self, transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        """As `commit`, within the transaction in which the run ends; raising rolls all of it back."""
        raise TypeError(f"{type(self).__name__} joins a transaction, so it must define commit_in")

    async def abort(self) -> None:
        """Take back the part; called after a failure, a drain or a cancel. Must not raise when nothing was opened."""

    async def lock(self, run: str) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """Asked for before a run's first part; until it is closed, sweeps of other runs leave the run's parts alone."""
        return nullcontext()

    async def sweep(self, live: Collection[Part]) -> None:
        """Remove what earlier parts of this sink left behind, except those of `live` and of other runs that hold it."""


LIST_OPTIONS = ("retry", "timeout", "on_error")


class Writes(Protocol[T_contra]):
    """The least that a Sink can write through."""

    def write(self, items: Sequence[T_contra], /) -> Awaitable[None] | None: ...


class Sink(SinkLike[In], Generic[In]):
    """The end of a pipeline.

    `Sink(function)` calls it with one item at a time (`concurrency` in flight; the options are those of
    Transform): each item is written at least once. `Sink(target, batch=, within=)` writes lists of up to
    `batch` items, at the latest `within` seconds after the first, in order, one list at a time; what the
    target promises at commit is the target's.
    """

    function: Callable[..., Any] | None
    target: Any
    signature: Signature
    options: CallOptions
    batch: int
    within: float | None

    @overload
    def __init__(
        self: Sink[T],
        target: Writes[T],
        /,
        *,
        batch: int = ...,
        within: Seconds | None = ...,
        name: str | None = ...,
        retry: Retry | None = ...,
        timeout: Seconds | None = ...,
        on_error: OnError = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: Sink[T],
        function: Callable[[T], object],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    @overload
    def __init__(
        self: Sink[T],
        function: Callable[Concatenate[T, ...], object],
        /,
        *,
        name: str | None = ...,
        **options: Unpack[OptionValues],
    ) -> None: ...
    def __init__(
        self,
        target: Any,
        /,
        *,
        batch: int | None = None,
        within: Seconds | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        if hasattr(target, "write") and not isinstance(target, type):
            self._write_lists(target, batch, within, name, options)
            return
        keep_function(self, target, name)
        if isinstance(target, type) and hasattr(target, "write"):
            self.refuse(
                "a sink writes through an object",
                f"got {describe(target)}",
                f"Make one: {target.__name__}(...)",
            )
        if batch is not None or within is not None:
            self.refuse(
                "batch= and within= are for objects that write lists",
                "got a function",
                "Put Batch(...) before it, or give an object with write(items)",
            )
        if self.signature.shape in GENERATORS:
            self.refuse("a sink's function is called for what it does", "got a generator function")
        if "ordered" in options:
            self.refuse("a sink hands nothing on, so it has no order to keep", "got ordered=")
        values: OptionValues = options  # type: ignore[assignment]  # checked one by one below
        self._keep(
            target=None,
            batch=1,
            within=None,
            options=checked_options(self, values, is_async=self.signature.is_async),
        )
        check_call(self, target, self.options.uses)

    def _write_lists(
        self,
        target: Any,
        batch: int | None,
        within: Seconds | None,
        name: str | None,
        options: dict[str, Any],
    ) -> None:
        self._describe(name=name, fallback=getattr(target, "name", "") or type(target).__name__)
        if not callable(target.write):
            self.refuse("its write must be a method", f"got {target.write!r}")
        if isinstance(target, SinkTarget):
            check_hooks(self, target, SinkTarget)
        for option in options.keys() & OptionValues.__annotations__.keys() - set(LIST_OPTIONS):
            self.refuse(f"{option} is for function sinks", f"got {describe(target)}")
        check_names(self, options, (*LIST_OPTIONS, "batch", "within"))
        checked = CallOptions(
            retry=checked_retry(self, options.get("retry")),
            timeout=positive_seconds(self, "timeout", options.get("timeout")),
            on_error=checked_on_error(self, options.get("on_error", "fail")),
        )
        signature = signature_of(target.write)
        if checked.timeout is not None and not signature.is_async:
            self.refuse(
                "timeout cannot stop a plain write", f"got timeout={checked.timeout:g}", "Make write async"
            )
        if reason := misfit(target.write, 1):
            self.refuse("write is called with a list of items", f"{type(target).__name__}.write: {reason}")
        self._keep(
            function=None,
            target=target,
            signature=signature,
            options=checked,
            batch=whole(self, "batch", (1 if within is None else 500) if batch is None else batch),
            within=positive_seconds(self, "within", within),
        )

    def inputs(self) -> Iterator[tuple[str, Any]]:
        yield "it", self.takes
        if self.options.key is not None:
            yield "its key function", signature_of(self.options.key).takes

    @property
    def writes_to(self) -> object:
        return self if self.target is None else self.target

    @property
    def takes(self) -> Any:
        return self.signature.takes if self.target is None else item_of(self.signature.takes)

    @property
    def replaces(self) -> bool:
        """Whether what one run writes takes the place of all that another one wrote for the same window."""
        return bool(getattr(self.target, "replaces", False))

    @property
    def writes_at_once(self) -> bool:
        """Whether items are there as soon as they are written, so that a run that fails does not take them back."""
        if isinstance(self.target, SinkTarget):
            return self.target.acknowledges
        return self.target is None or not (hasattr(self.target, "commit") or hasattr(self.target, "abort"))

    def copy_target(self) -> SinkTarget[Any]:
        """A target of its own for one part, or for a commit; an object with `write` alone gets the rest.

        Raises TypeError for an object that cannot be copied.
        """
        try:
            return copy.copy(self.target) if isinstance(self.target, SinkTarget) else _WriteOnly(self.target)
        except Exception as error:  # copying runs code of the object's class
            raise TypeError(
                f"each unit writes through a copy of the {type(self.target).__name__}, which cannot be copied "
                f"({describe_error(error)}); give a function that writes, or a SinkTarget that opens it"
            ) from error


class _WriteOnly(SinkTarget[Any]):
    """Adds the methods of SinkTarget to an object that has `write` and maybe some others."""

    durable = False

    def __init__(self, inner: Any) -> None:
        self._inner = copy.copy(inner)

    async def open(self, part: Part) -> None:
        await super().open(part)
        await self._call("open", part)

    async def write(self, items: Sequence[Any], /) -> None:
        self.items += len(items)
        done = self._inner.write(items)
        if isinstance(done, Awaitable):
            await done

    async def prepare(self) -> Receipt:
        made = await self._call("prepare")
        return made if isinstance(made, Receipt) else Receipt(self.part, self.items)

    async def commit(self, receipts: Sequence[Receipt]) -> list[str]:
        return await self._call("commit", receipts) or []

    async def abort(self) -> None:
        await self._call("abort")

    async def sweep(self, live: Collection[Part]) -> None:
        await self._call("sweep", live)

    async def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._inner, method, None)
        if function is None:
            return None
        done = function(*arguments)
        return await done if isinstance(done, Awaitable) else done
