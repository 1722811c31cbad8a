"""A plain function on worker processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Never

from typing_extensions import TypeVar

from piko_flow.dataflow.graph.function import Signature, through
from piko_flow.dataflow.stages.stage import In, Out, TransformLike
from piko_flow.dataflow.stages.stage_options import (
    GENERATORS,
    OnError,
    Seconds,
    check_call,
    check_names,
    checked_on_error,
    checked_retry,
    flag,
    keep_function,
    positive_seconds,
    whole,
)
from piko_flow.retry import Retry

# The default is for lambdas at the head of an open chain: without one mypy takes them for functions of Never.
I = TypeVar("I", default=Any)  # noqa: E741
O = TypeVar("O", default=Any)  # noqa: E741


class CpuMap(TransformLike[In, Out], Generic[In, Out]):
    """One item in, one item out, by a plain function that runs on up to `workers` processes.

    The function and the items travel to the processes and the results back, in chunks whose size adapts.
    Order: with `ordered=True` results leave in the order of their inputs, otherwise chunk by chunk as they
    finish. `timeout` (seconds) bounds one attempt at one item; the worker that exceeds it is replaced. A
    killed worker is replaced and its items tried again; an item that kills its worker each time fails with
    WorkerDied under `on_error`. `workers=None` means one for each core. Never do more than `workers` processes
    work for the stage in one run, also where stages and runs share a pool of more.
    """

    function: Callable[..., Any]
    signature: Signature
    workers: int | None
    ordered: bool
    retry: Retry | None
    timeout: float | None
    on_error: OnError

    def __init__(
        self: CpuMap[I, O],
        function: Callable[[I], O],
        /,
        *,
        workers: int | None = None,
        ordered: bool = True,
        retry: Retry | None = None,
        timeout: Seconds | None = None,
        on_error: OnError = "fail",
        name: str | None = None,
        **unknown: Never,
    ) -> None:
        keep_function(self, function, name)
        check_names(self, unknown, ("workers", "ordered", "retry", "timeout", "on_error"))
        if self.signature.shape == "async":
            self.refuse(
                "CpuMap runs a plain function on other processes",
                "got an async function",
                "Use Transform for async functions",
            )
        if self.signature.shape in GENERATORS:
            self.refuse(
                "CpuMap's function gives one item for each item",
                "got a generator function",
                "Return a list and flatten it with FlatMap",
            )
        check_call(self, function)
        self._keep(
            workers=None if workers is None else whole(self, "workers", workers),
            ordered=flag(self, "ordered", ordered),
            retry=checked_retry(self, retry),
            timeout=positive_seconds(self, "timeout", timeout),
            on_error=checked_on_error(self, on_error),
        )

    @property
    def takes(self) -> Any:
        return self.signature.takes

    def gives(self, incoming: Any) -> Any:
        return through(self.signature, incoming, self.signature.returns)
