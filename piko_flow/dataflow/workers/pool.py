"""A pool of worker processes that run plain functions on chunks of items, and how a chunk is packed for one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from piko_flow.dataflow.workers import transport
from piko_flow.dataflow.workers.errors import (
    NOBODY_AWAITS,
    CannotReturn,
    CannotSend,
    RemoteError,
    WorkerDied,
    WorkersCannotStart,
)
from piko_flow.dataflow.workers.interpreter import Death, check_count
from piko_flow.dataflow.workers.process import WorkerProcess
from piko_flow.dataflow.workers.shipping import CannotShip, Shipment, by_value_pickler
from piko_flow.dataflow.workers.suspects import Attempt, Form, judge
from piko_flow.dataflow.workers.trace_parent import trace_parent
from piko_flow.dataflow.workers.transport import Buffer, Frame
from piko_flow.errors import CoroutineReturned, describe_error, shorten

WAITING = 2  # chunks of a worker: one it works on, one that waits in its socket so that it never idles
QUICK_WORKER = 0.25  # seconds a chunk; behind slower workers none waits, because another may be free first
IDLE_WORKER_SECONDS = 1.0  # seconds for idle workers to end by themselves when the pool closes
FAILED_STARTS = 3  # in a row, before the pool gives up
SEARCHED = 256 * 1024  # bytes; a longer piece of a stream is one value's content and names no class


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call that waits for a worker; `workers` is how many may work for its function, None for any number."""

    place: asyncio.Future[WorkerProcess]
    function: int
    workers: int | None


@dataclass(slots=True)
class CallResult:
    """What became of the items of one call.

    `results` has one entry for each item, in order; where `errors` has the index it is None and means
    nothing. `seconds` is the time that workers spent on it.
    """

    results: list[Any]
    errors: dict[int, BaseException] = field(default_factory=dict)
    seconds: float = 0.0


class WorkerPool:
    """Up to `workers` processes, started when there is work, all gone when the block is left.

    `spawned` and `replaced` count the processes started, and those that ended before the pool did.
    Belongs to the event loop it is entered in.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None:
            check_count("WorkerPool", "workers", workers, "Leave it out for one on each core")
        self.workers = workers or os.cpu_count() or 1
        self.spawned = self.replaced = 0
        self._running: list[WorkerProcess] = []
        self._waiting: deque[_Waiting] = deque()
        self._forms: WeakKeyDictionary[Shipment, Form] = WeakKeyDictionary()
        self._failed_starts = 0
        self._open = False
        self._context = copy_context()  # of workers, which outlive the run whose chunk starts them

    async def __aenter__(self) -> WorkerPool:
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for waiting in self._waiting:
            if not waiting.place.done():
                waiting.place.set_exception(_closed())
        running = list(self._running)
        try:
            for worker in running:
                if worker.idle:
                    worker.close()
                else:
                    worker.end()
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_WORKER_SECONDS):
                    for worker in running:
                        await worker.gone.wait()
        finally:
            for worker in running:
                worker.end()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run now."""
        return [worker.pid for worker in self._running]

    async def prove(self, shipment: Shipment) -> None:
        """Load the function on one worker. Raises CannotShip when it cannot be loaded there."""
        await self.call(shipment, [])

    async def call(
        self,
        shipment: Shipment,
        items: Sequence[Any],
        *,
        timeout: float | None = None,
        workers: int | None = None,
    ) -> CallResult:
        """Run the function on each item, in one worker as long as none dies, and say what became of each.

        An item's own failures are in `errors`: what the function raised, with the worker's traceback as a
        note (RemoteError where the error cannot travel); TimeoutError after `timeout` seconds; CannotSend;
        CannotReturn; WorkerDied for an item that ended its worker twice. When a worker dies the items that
        it held run again on another, so the function may meet an item more than once.

        With `workers` the call waits until fewer processes than that work for the shipment, whoever else calls
        the pool. Callers wait in the order of their calls; one that waits for its own limit lets those behind it
        go first. Items must not change until the call returns. Cancelling ends the worker that runs the items. Raises CannotShip when a worker cannot load the function,
        WorkersCannotStart, and OSError when the system has no room for processes or memory.
        """
        result = CallResult([None] * len(items))
        attempts = deque([Attempt(tuple(range(len(items))), self._forms.get(shipment, Form.PLAIN))])
        while attempts:
            attempt, call = _encode_items(items, attempts.popleft(), result.errors)
            if call is None:
                continue
            if attempt.form == Form.BY_VALUE:
                self._forms[shipment] = attempt.form
            call.seconds = timeout or 0.0
            call.subject = shipment.id
            call.trace = trace_parent.get()
            worker = await self._reserve(shipment.id, workers)
            answer = await worker.ask(shipment, call)
            if isinstance(answer, Death):
                attempts.extend(self._after_death(shipment, items, attempt, answer, timeout, result))
            elif again := _take(shipment, items, attempt, answer, result):
                attempts.append(again)
        return result

    async def _reserve(self, function: int, workers: int | None) -> WorkerProcess:
        """Wait for a worker that takes one more chunk for the function; a place there is promised then."""
        if not self._open:
            raise _closed()
        limit = workers if workers is not None and workers < self.workers else None
        place: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(place, function, limit))
        self._serve_waiting()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                place.result().promised.remove(function)
                self._serve_waiting()
            raise

    def _choose(self, call: _Waiting) -> WorkerProcess | None:
        """The worker for the call, a new one if that is better; None when all have enough."""
        workers = self._running
        if call.workers is not None:
            # A chunk that waits in a worker counts too: it may begin at any moment.
            its_own = [worker for worker in workers if worker.works_for(call.function)]
            workers = its_own if len(its_own) >= call.workers else workers
        least = min(workers, key=lambda worker: worker.load, default=None)
        if least is not None and least.load == 0:
            return least
        if workers is self._running and len(workers) < self.workers:
            return self._start()
        quick = [worker for worker in workers if worker.seconds < QUICK_WORKER and worker.load < WAITING]
        return min(quick, key=lambda worker: worker.load, default=None)

    def _start(self) -> WorkerProcess:
        worker = self._context.copy().run(WorkerProcess.start, self._changed)
        self.spawned += 1
        self._running.append(worker)
        return worker

    def _changed(self) -> None:
        for worker in [worker for worker in self._running if worker.gone.is_set()]:
            self._running.remove(worker)
            self.replaced += self._open
            if worker.ready:
                self._failed_starts = 0
            self._failed_starts += worker.failed_to_start
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        """Give workers to those who wait, in order; who waits for a limit of its own is passed over."""
        passed: deque[_Waiting] = deque()
        at_limit: set[int] = set()
        while self._waiting and self._open:
            call = self._waiting.popleft()
            if call.place.done():
                continue
            try:
                worker = None if call.function in at_limit else self._choose(call)
            except OSError as error:
                call.place.set_exception(error)
                continue
            if worker is not None:
                worker.promised.append(call.function)
                call.place.set_result(worker)
                continue
            passed.append(call)
            if call.workers is None:
                break
            at_limit.add(call.function)
        self._waiting.extendleft(reversed(passed))

    def _after_death(
        self,
        shipment: Shipment,
        items: Sequence[Any],
        attempt: Attempt,
        death: Death,
        timeout: float | None,
        result: CallResult,
    ) -> list[Attempt]:
        """Enter who is given up into the result; what to try again."""
        if not self._open:
            raise _closed()
        if death.fault is not None:
            raise death.fault
        if death.at is None and self._failed_starts >= FAILED_STARTS:
            raise WorkersCannotStart(sys.executable, death.cause)
        late = timeout is not None and (death.late or death.code == -signal.SIGALRM)
        verdict = judge(attempt, death.at, late=late)
        if verdict.function:
            reason = f"loading it ended the worker process with {death.cause}"
            raise CannotShip(stage=shipment.stage, where=shipment.where, culprits=(), reason=reason)
        for index in verdict.late:
            result.errors[index] = TimeoutError(
                f"no result after {timeout:g} seconds; its worker was replaced"
            )
        for index in verdict.guilty:
            result.errors[index] = WorkerDied(shorten(items[index]), death.cause, death.code)
        return verdict.again


def _take(
    shipment: Shipment, items: Sequence[Any], attempt: Attempt, reply: Frame, result: CallResult
) -> Attempt | None:
    """Enter a worker's reply into the result; what to try again in another form."""
    if reply.kind == transport.CANNOT_LOAD:
        reason, note = _describe_refusal(reply)
        refused = CannotShip(
            stage=shipment.stage,
            where=shipment.where,
            culprits=(),
            reason=f"a worker process could not load it: {reason}",
        )
        refused.add_note(note)
        raise refused
    result.seconds += reply.seconds
    return _decode_reply(items, attempt, reply, result.results, result.errors)


def _closed() -> RuntimeError:
    return RuntimeError(
        "the worker pool is not open: enter it with `async with` and call it inside the block"
    )


def _encode_items(
    items: Sequence[Any], attempt: Attempt, errors: dict[int, BaseException]
) -> tuple[Attempt, Frame | None]:
    """The attempt's items as a call, and the attempt as it is made: in this form, with these items.

    Items that cannot be packed become CannotSend in `errors`; None when that leaves none.
    """
    chosen = items if len(attempt.indices) == len(items) else [items[index] for index in attempt.indices]
    if attempt.form == Form.PLAIN:
        try:
            call = Frame(transport.CALL)
            call.stream, call.buffers = transport.pack(list(chosen))
            if not _names_main(call.stream):
                return attempt, call
        except Exception:
            return _encode_items(items, replace(attempt, form=Form.BY_VALUE), errors)
        attempt = replace(attempt, form=Form.BY_VALUE)
    if attempt.form == Form.BY_VALUE:
        try:
            call = Frame(transport.CALL, flags=transport.BY_VALUE)
            call.stream, call.buffers = transport.pack(list(chosen), by_value_pickler())
            return attempt, call
        except Exception:
            attempt = replace(attempt, form=Form.APART)
    return _encode_apart(items, attempt, errors)


def _encode_apart(
    items: Sequence[Any], attempt: Attempt, errors: dict[int, BaseException]
) -> tuple[Attempt, Frame | None]:
    packed: dict[int, bytes] = {}
    for index in attempt.indices:
        try:
            packed[index] = transport.pack_apart(items[index], by_value_pickler())
        except Exception as error:
            errors[index] = CannotSend(shorten(items[index]), describe_error(error))
    attempt = replace(attempt, indices=tuple(packed))
    if not packed:
        return attempt, None
    call = Frame(transport.CALL, flags=transport.APART)
    call.stream, call.buffers = transport.pack(list(packed.values()))
    return attempt, call


def _names_main(stream: list[Buffer]) -> bool:
    """Whether a class or function of `__main__` may be named, which no worker can import."""
    return any(len(piece) < SEARCHED and b"__main__" in bytes(piece) for piece in stream)


def _decode_reply(
    items: Sequence[Any],
    attempt: Attempt,
    reply: Frame,
    results: list[Any],
    errors: dict[int, BaseException],
) -> Attempt | None:
    """Enter what a worker replied under the items' own indices; what to try again in a slower form."""
    if reply.kind == transport.CANNOT_UNPACK:
        return _slower(items, attempt, reply, errors)
    try:
        values, failures = transport.unpack(reply)
    except Exception as error:
        if attempt.form != Form.APART:  # packed one by one, a result that cannot be loaded hides no other
            return replace(attempt, form=Form.APART)
        for index in attempt.indices:
            errors[index] = CannotReturn(shorten(items[index]), describe_error(error))
        return None
    for place, kind, name, message, trace, survivor in failures:
        index = attempt.indices[place]
        errors[index] = _failure(items[index], kind, name, message, trace, survivor)
    if not reply.flags & transport.APART:
        if len(values) == len(results):
            results[:] = values
            return None
        for index, value in zip(attempt.indices, values, strict=True):
            results[index] = value
        return None
    for index, packed in zip(attempt.indices, values, strict=True):
        if packed is not None and index not in errors:
            try:
                results[index] = transport.unpack_apart(packed)
            except Exception as error:
                errors[index] = CannotReturn(shorten(items[index]), describe_error(error))
    return None


def _describe_refusal(reply: Frame) -> tuple[str, str]:
    """Why a worker could not load something: in one line, and with its traceback."""
    _, _, name, message, trace, _ = transport.unpack(reply)
    return f"{name}: {message}", f"In the worker process:\n{trace}"


def _slower(
    items: Sequence[Any], attempt: Attempt, reply: Frame, errors: dict[int, BaseException]
) -> Attempt | None:
    """The attempt in the next form, for items that a worker could not load in this one."""
    if attempt.form != Form.APART:
        return replace(attempt, form=Form(attempt.form + 1))
    for index in attempt.indices:
        errors[index] = CannotSend(shorten(items[index]), _describe_refusal(reply)[0])
    return None


def _failure(
    item: object, kind: int, name: str, message: str, trace: str, survivor: bytes | None
) -> BaseException:
    if kind == transport.NOT_LOADED:
        return CannotSend(shorten(item), f"{name}: {message} (in the worker process)")
    if kind == transport.NOT_PACKED:
        return CannotReturn(shorten(item), f"{name}: {message}")
    if kind == transport.AWAITABLE:
        return CoroutineReturned(NOBODY_AWAITS)
    error: BaseException = RemoteError(name, message, trace)
    if survivor is not None:
        try:
            loaded = transport.unpack_apart(survivor)
            error = loaded if isinstance(loaded, Exception) else error
        except Exception as broken:
            error.add_note(f"The error itself could not be loaded here: {describe_error(broken)}")
    error.add_note(f"In the worker process:\n{trace}")
    return error
