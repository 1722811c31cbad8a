"""What a stage needs opened while it runs: clients, pools, connections."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Literal, NoReturn, Protocol, TypeVar, runtime_checkable

from piko_flow.dataflow.graph.origin import caller
from piko_flow.errors import PipelineError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class RunInfo:
    """What a resource may know of the run that opens it; a bare pipeline has one too.

    `claim` grows each time that the run is taken up, by whatever process, so that what each has prepared is told apart.
    """

    run: str
    flow: str = ""
    attempt: int = 1
    window_start: datetime | None = None
    window_end: datetime | None = None
    claim: int = 1


@runtime_checkable
class Acquirable(Protocol[T_co]):
    """An object whose `acquire(info)` gives an async context manager."""

    def acquire(self, info: RunInfo) -> AbstractAsyncContextManager[T_co]: ...


@dataclass(frozen=True)
class Resource(Generic[T]):
    """A resource with a scope: opened for each run, or once for the application.

    `opens` is a function marked as async context manager (taking nothing, or the RunInfo), or an object
    with `acquire(info)`. With `scope="app"` the ResourcePool of the application keeps it open; a run
    without such a pool opens it for itself.
    """

    opens: Callable[..., AbstractAsyncContextManager[T]] | Acquirable[T]
    scope: Literal["run", "app"] = "run"

    def __post_init__(self) -> None:
        if self.scope not in ("run", "app"):
            _refuse('scope must be "run" or "app"', f"got {self.scope!r}")
        if not is_resource(self.opens):
            rule = "it opens an async context manager function or an object with acquire(info)"
            _refuse(rule, f"got {self.opens!r:.80}")


def _refuse(rule: str, got: str) -> NoReturn:
    raise PipelineError(what="Resource", where=str(caller()), rule=rule, got=got)


class ResourcePool:
    """Keeps the resources of scope "app" open across runs; an async context manager that closes them, last first."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._entered = False
        self._open: dict[int, tuple[Resource[Any], Any]] = {}  # by what opens: it may be unhashable
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> ResourcePool:
        await self._stack.__aenter__()
        self._entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered = False
        self._open.clear()
        await self._stack.__aexit__(kind, error, traceback)

    async def get(self, resource: Resource[T], info: RunInfo) -> T:
        """The opened resource, opened now if this is the first time it is asked for.

        Raises RuntimeError outside the pool's block, where nothing would close it.
        """
        if not self._entered:
            raise RuntimeError(
                "the resource pool is not open: enter it with `async with`, and run inside the block"
            )
        key = id(resource.opens)
        async with self._opening:  # runs side by side may ask for it at the same time
            if key not in self._open:
                opening = open_resource(resource, info)
                self._open[key] = resource, await self._stack.enter_async_context(opening)
            opened: T = self._open[key][1]
        return opened


def is_resource(value: Any) -> bool:
    """Whether `uses=` can take this value. Only its shape is looked at; nothing is opened."""
    if isinstance(value, (Resource, Acquirable)):
        return True
    return callable(value) and not inspect.iscoroutinefunction(value)


def open_resource(value: Any, info: RunInfo) -> AbstractAsyncContextManager[Any]:
    """The async context manager behind a resource. Raises TypeError when the function gives something else."""
    opens = value.opens if isinstance(value, Resource) else value
    if isinstance(opens, Acquirable):
        manager: Any = opens.acquire(info)
    else:
        manager = opens(info) if _takes_info(opens) else opens()
    if not hasattr(manager, "__aenter__"):
        raise TypeError(
            f"the resource {getattr(opens, '__name__', opens)!r} must give an async context manager, "
            f"it gave {type(manager).__name__}"
        )
    return manager  # type: ignore[no-any-return]  # checked by its method


async def open_all(
    uses: Mapping[str, Any],
    info: RunInfo,
    stack: AsyncExitStack,
    pool: ResourcePool | None,
    opened: dict[int, Any],
) -> dict[str, Any]:
    """Open what a stage names, each resource once a run, and give it by name; closed when `stack` closes."""
    values: dict[str, Any] = {}
    for name, resource in uses.items():
        if pool is not None and isinstance(resource, Resource) and resource.scope == "app":
            values[name] = await pool.get(resource, info)
            continue
        key = id(resource.opens if isinstance(resource, Resource) else resource)
        if key not in opened:
            opened[key] = await stack.enter_async_context(open_resource(resource, info))
        values[name] = opened[key]
    return values


def _takes_info(opens: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(opens).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )
