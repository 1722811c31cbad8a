"""What a stage needs opened while it runs: clients, pools, connections."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Literal, NoReturn, Protocol, TypeVar, runtime_checkable
from weakref import WeakSet

from piko_flow.clock import monotonic
from piko_flow.dataflow.graph.origin import caller
from piko_flow.errors import CallCancelled, CallExited, PipelineError

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
    """Keeps the resources of scope "app" open across runs; an async context manager that closes them, last first.

    Each is entered and left in a task of its own. One that fails while it is open ends the runs that use it, and is
    opened anew for the next run. Closing takes at most `teardown` seconds for each.
    """

    def __init__(self, *, teardown: float = 30.0) -> None:
        self._entered, self._teardown = False, teardown
        self._hosts: dict[int, tuple[Resource[Any], ResourceHost]] = {}  # by what opens: it may be unhashable
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> ResourcePool:
        self._entered = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered = False
        failures = []
        while self._hosts:
            _, (_, host) = self._hosts.popitem()
            failure = await host.close(error, self._teardown)
            if failure is not None and failure is not error and host.failed_in is None:
                failures.append(failure)
        if failures and error is None:
            raise failures[0]

    async def get(self, resource: Resource[T], info: RunInfo, *, user: ResourceHost | None = None) -> T:
        """Give the opened resource, opened now if this is the first time; its failure later on is its user's, too.

        Raises RuntimeError outside the pool's block, where nothing would close it.
        """
        if not self._entered:
            raise RuntimeError(
                "the resource pool is not open: enter it with `async with`, and run inside the block"
            )
        key = id(resource.opens)
        async with self._opening:  # runs side by side may ask for it at the same time
            if key not in self._hosts or self._hosts[key][1].failed_in is not None:
                self._hosts[key] = resource, ResourceHost()
            host = self._hosts[key][1]
            try:
                opened: T = await host.open(resource, info)
            finally:
                if not host.names:  # it was not entered
                    await self._hosts.pop(key)[1].close(None, self._teardown)
        if user is not None:
            host.users.add(user)
        return opened


class ResourceHost:
    """Enters resources and leaves them again, all in one task of its own, so that they may hold task groups.

    A resource whose own task fails, or whose cancel scope ends, cancels the task that has entered it. That is this
    task, and nobody else cancels it: it takes that for the failure of the resource, calls `when_failed` of its own
    and of its `users`, and leaves the resources at once.
    """

    def __init__(self) -> None:
        self.failed_in: ResourceHost | None = (
            None  # the host whose resource has failed, this one or one that it uses
        )
        self.when_failed: Callable[[], object] | None = None
        self.users: WeakSet[ResourceHost] = WeakSet()
        self._held: dict[
            int, tuple[Any, Any]
        ] = {}  # by what opens it: the resource, so that its id stays, and its value
        self._task: asyncio.Task[None] | None = None
        self._requests: asyncio.Queue[_Request | None] = asyncio.Queue(1)
        self._turn = asyncio.Lock()
        self._entering = self._closing = False
        self._end: BaseException | None = None  # of the run, and what the leaving raised
        self._raised: BaseException | None = None

    async def open(self, resource: Any, info: RunInfo) -> Any:
        """Give the value of the resource, entered now if it is not open yet. Raises what entering it raises."""
        key = id(resource.opens if isinstance(resource, Resource) else resource)
        async with self._turn:  # two stages that use the same one must not both open it
            if key not in self._held:
                if self._task is None:
                    self._task = asyncio.create_task(self._serve(), name="resources")
                elif self.failed_in is not None or self._closing:
                    raise CallCancelled
                request = _Request(resource, info, asyncio.get_running_loop().create_future())
                await self._requests.put(request)
                self._held[key] = resource, await request.opened
            return self._held[key][1]

    def report_failure(self, host: ResourceHost) -> None:
        """Say that a resource of the host has failed while it was open."""
        self.failed_in = host
        if self.when_failed is not None:
            self.when_failed()
        for user in list(self.users):
            user.report_failure(host)

    async def failure(self, seconds: float) -> BaseException:
        """Give what the failed resource raised when it was left, which may take so many seconds."""
        host = self.failed_in
        if host is None or host._task is None or not await _ended(host._task, seconds):
            return CallCancelled()
        return CallCancelled() if host._raised is None else host._raised

    async def close(self, end: BaseException | None, seconds: float) -> BaseException | None:
        """Leave all that is open, last first; they see the error `end` of the run, if there is one.

        Gives what the leaving raised, which is `end` itself where they let it pass; a TimeoutError when they have
        not closed within so many seconds. Cancelling the caller changes nothing.
        """
        if self._task is None:
            return end
        self._closing, self._end = True, end
        if self._entering:
            self._task.cancel()  # nobody waits any more for what is being entered
        elif self._requests.empty():
            self._requests.put_nowait(None)
        if await _ended(self._task, seconds):
            return self._raised
        self._task.cancel()
        await _ended(self._task, 1.0)
        return TimeoutError(f"a resource did not close within {seconds:g} s")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is open, for messages."""
        held = (self.failed_in or self)._held.values()
        opens = [one.opens if isinstance(one, Resource) else one for one, _ in held]
        return tuple(getattr(one, "__name__", "") or type(one).__name__ for one in opens)

    async def _serve(self) -> None:
        """Enter what is asked for until the end, then leave all, and keep what the leaving raised.

        It is kept here and not as the result of the task, which may end cancelled with everything left: a task group
        that fails while its owner is being cancelled hands the cancellation on.
        """
        try:
            async with AsyncExitStack() as stack:
                await self._enter_all(stack)
            self._raised = self._end
        except (KeyboardInterrupt, SystemExit) as error:  # out of a task they would stop the event loop
            interrupted = isinstance(error, KeyboardInterrupt)
            self._raised = CallExited(getattr(error, "code", None), interrupted=interrupted)
        except BaseException as error:
            self._raised = error

    async def _enter_all(self, stack: AsyncExitStack) -> None:
        request: _Request | None = None
        try:
            while not self._closing and (request := await self._requests.get()) is not None:
                self._entering = True
                await self._enter(request, stack)
                self._entering = False
        except BaseException as error:
            if not self._closing:
                self.report_failure(self)
                raise
            if not isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._entering = False
            while request is not None:  # nobody is to wait for what will not be entered
                request.answer(CallCancelled())
                request = None if self._requests.empty() else self._requests.get_nowait()
        if self._end is not None:
            raise self._end

    async def _enter(self, request: _Request, stack: AsyncExitStack) -> None:
        if request.opened.done():
            return  # the stage that asked was cancelled
        try:
            value = await stack.enter_async_context(open_resource(request.resource, request.info))
        except Exception as error:
            request.answer(error)
        else:
            request.answer(None, value)


@dataclass(frozen=True)
class _Request:
    resource: Any
    info: RunInfo
    opened: asyncio.Future[Any]

    def answer(self, error: Exception | None, value: Any = None) -> None:
        """Give the value, or the error, to the stage that waits, if it still does."""
        if self.opened.done():
            return
        if error is None:
            self.opened.set_result(value)
        else:
            self.opened.set_exception(error)


async def _ended(task: asyncio.Task[Any], seconds: float) -> bool:
    """Wait until the task has ended, at most so long; the caller's cancellations do not count."""
    ends = monotonic() + seconds
    while not task.done() and (left := ends - monotonic()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=left)
    return task.done()


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
    uses: Mapping[str, Any], info: RunInfo, host: ResourceHost, pool: ResourcePool | None
) -> dict[str, Any]:
    """Open what a stage names, each resource once a run, and give it by name; closed when the host closes."""
    values: dict[str, Any] = {}
    for name, resource in uses.items():
        if pool is not None and isinstance(resource, Resource) and resource.scope == "app":
            values[name] = await pool.get(resource, info, user=host)
        else:
            values[name] = await host.open(resource, info)
    return values


def _takes_info(opens: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(opens).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )
