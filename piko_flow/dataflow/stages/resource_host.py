"""Who enters the resources of a run or of an application, and leaves them again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

from piko_flow.dataflow.stages.resource import Resource, RunInfo, name_of, note_opening, open_resource
from piko_flow.errors import CallCancelled, CallExited
from piko_flow.known_names import unknown_options_refused
from piko_flow.tasks import CANCEL_GRACE_SECONDS, Shield

T = TypeVar("T")


@unknown_options_refused
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
                if not host.is_open:
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
        self._entering: Any = None  # the resource that is being entered
        self._unentered: list[Any] = []  # the resource that was being entered when this host failed
        self._closing = False
        self._changed: list[Any] = []  # the resources that did not let pass what they were left with
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
        if host is None or host._task is None or not await Shield(seconds).limit().wait(host._task):
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
        if self._entering is not None:
            self._task.cancel()  # nobody waits any more for what is being entered
        elif self._requests.empty():
            self._requests.put_nowait(None)
        if await Shield(seconds).limit().wait(self._task):
            return self._raised
        self._task.cancel()
        await Shield(CANCEL_GRACE_SECONDS).limit().wait(self._task)
        return TimeoutError(f"a resource did not close within {seconds:g} s")

    @property
    def is_open(self) -> bool:
        """Whether a resource was entered."""
        return bool(self._held)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the resources that may have failed, for messages: one where it is known, else all that are open.

        It is the one that raised something of its own when it was left, or the one that was being entered.
        """
        host = self.failed_in or self
        failed = [] if host.failed_in is None else host._changed or host._unentered
        return tuple(map(name_of, failed or [one for one, _ in host._held.values()]))

    @property
    def failed_while_opening(self) -> bool:
        """Whether the resource that has failed was being entered."""
        host = self.failed_in
        return host is not None and bool(host._unentered) and not host._changed

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
                self._entering = request.resource
                await self._enter(request, stack)
                self._entering = None
        except BaseException as error:
            if not self._closing:
                self._unentered = [] if self._entering is None else [self._entering]
                self.report_failure(self)
                raise
            if not isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._entering = None
            while request is not None:  # nobody is to wait for what will not be entered
                request.answer(CallCancelled())
                request = None if self._requests.empty() else self._requests.get_nowait()
        if self._end is not None:
            raise self._end

    async def _enter(self, request: _Request, stack: AsyncExitStack) -> None:
        if request.opened.done():
            return  # the stage that asked was cancelled
        try:
            manager = open_resource(request.resource, request.info)
            value = await stack.enter_async_context(_Watched(request.resource, manager, self._changed))
        except Exception as error:
            request.answer(error)
        else:
            request.answer(None, value)


class _Watched:
    """A context manager of a resource, which is added to `changed` when it is left and does not let pass the error."""

    def __init__(self, resource: Any, manager: AbstractAsyncContextManager[Any], changed: list[Any]) -> None:
        self._resource, self._manager, self._changed = resource, manager, changed

    async def __aenter__(self) -> Any:
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            swallowed = await self._manager.__aexit__(kind, error, trace)
        except BaseException as raised:
            if raised is not error and not isinstance(raised, asyncio.CancelledError):
                self._changed.append(self._resource)
            raise
        if swallowed and error is not None:
            self._changed.append(self._resource)
        return swallowed


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


async def open_all(
    uses: Mapping[str, Any], info: RunInfo, host: ResourceHost, pool: ResourcePool | None
) -> dict[str, Any]:
    """Open what a stage names, each resource once a run, and give it by name; closed when the host closes.

    An error has a note that names the resource which was being opened.
    """
    values: dict[str, Any] = {}
    for name, resource in uses.items():
        try:
            if pool is not None and isinstance(resource, Resource) and resource.scope == "app":
                values[name] = await pool.get(resource, info, user=host)
            else:
                values[name] = await host.open(resource, info)
        except Exception as error:
            note_opening(error, name, resource)
            raise
    return values
