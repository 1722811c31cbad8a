"""The program of a worker process: receives functions and chunks of items, sends back results.

It is run by its path and imports only the standard library until a function asks for more, so that it
starts in milliseconds and never imports the user's `__main__`. It ends when its socket closes and, on Linux,
at once when the process that started it is gone.
"""

from __future__ import annotations

import _thread
import contextlib
import importlib.util
import mmap
import os
import pickle
import signal
import socket
import sys
import time
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any


def beside(name: str) -> Any:
    """The module in the file of this name beside this one.

    By path: its package would import Pydantic, and a folder on sys.path would put its names before others'.
    """
    path = __file__.removesuffix("program.py") + f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"piko_flow_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from piko_flow.dataflow.workers import transport
else:
    transport = beside("transport")


Function = Callable[[Any], Any]
# index, kind, the error's type, its message, its traceback, the error itself if it survives the journey
Failure = tuple[int, int, str, str, str, "bytes | None"]


class Worker:
    """One worker's side of the conversation; answers calls one after the other in the order they came."""

    def __init__(self, link: socket.socket, progress: memoryview) -> None:
        self._link, self._progress = link, progress
        self._incoming = transport.Incoming(link)
        self._packed: dict[int, transport.Frame] = {}
        self._functions: dict[int, Function] = {}
        self._results_by_value: set[int] = set()
        self._pickler_name = b""
        self._level = 0  # of log lines that the run takes
        self._lines: Any = None  # what sends them on, once anything here can log
        self._sending, self._sender = _thread.allocate_lock(), 0

    def serve(self) -> None:
        """Answer until the other side closes."""
        while (frame := self._next()) is not None:
            if frame.kind == transport.CALL:
                answer = self._answer(frame)
                flush_output()  # first: who has the answer may end this process
                self._send(answer)
            elif frame.kind == transport.LOAD:
                self._packed[frame.subject] = frame
            elif frame.kind == transport.FORGET:
                self._packed.pop(frame.subject, None)
                self._functions.pop(frame.subject, None)
                self._results_by_value.discard(frame.subject)
            elif frame.kind == transport.SETUP:
                sys.path[:], self._pickler_name, self._level = transport.unpack(frame)
                self._send(transport.Frame(transport.READY))

    def _next(self) -> transport.Frame | None:
        while (frame := self._incoming.next()) is None:
            try:
                if not self._incoming.receive():
                    return None
            except ConnectionError:
                return None
        return frame

    def _send(self, frame: transport.Frame) -> None:
        try:
            outgoing = self._written(frame)
        except OSError as error:  # no memory to lay the results in: say so for each item
            count = frame.subject
            frame = self._reply(frame.number, frame.seconds, [None] * count, fail_all(count, error))
            outgoing = self._written(frame)
        try:
            with self._sending:  # a thread of the function's may log meanwhile
                self._sender = _thread.get_ident()
                try:
                    sent = self._link.sendmsg([outgoing.data], outgoing.rights)
                    self._link.sendall(memoryview(outgoing.data)[sent:])
                finally:
                    self._sender = 0
        except ConnectionError:
            return  # nobody is left to tell; the next read ends the process
        finally:
            outgoing.close()

    def _listen(self) -> None:
        """Send on what is logged from now on, if anything here can log at all."""
        if self._lines is not None:
            self._lines.begin()
        elif "logging" in sys.modules:
            self._lines = beside("lines").listen(self._tell, self._level)

    def _tell(self, line: tuple[Any, ...]) -> None:
        if self._sender == _thread.get_ident():
            return  # logged by what is thrown away while a frame is sent, which another must not interrupt
        frame = transport.Frame(transport.LINE)
        frame.stream, frame.buffers = transport.pack(line)
        self._send(frame)

    def _written(self, frame: transport.Frame) -> transport.Outgoing:
        outgoing = transport.Outgoing(frame)
        try:
            for _ in outgoing.write():
                continue
        except OSError:
            outgoing.close()
            raise
        return outgoing

    def _answer(self, call: transport.Frame) -> transport.Frame:
        began = time.perf_counter()
        self._progress[transport.ITEM] = transport.LOADING
        self._progress[transport.CHUNK] = call.number
        try:
            function = self._function(call.subject)
        except BaseException as error:
            return self._refusal(transport.CANNOT_LOAD, call, error)
        self._listen()
        self._progress[transport.ITEM] = transport.UNPACKING
        try:
            items: list[Any] = transport.unpack(call)
        except BaseException as error:
            return self._refusal(transport.CANNOT_UNPACK, call, error)
        failures: list[Failure] = []
        numbered = self._numbered(items, failures) if call.flags & transport.APART else enumerate(items)
        results: list[Any] = [None] * len(items)
        if call.seconds:
            function = with_timer(function, call.seconds)
        with joined(call.trace):
            self._run(function, numbered, results, failures)
        if call.seconds:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._progress[transport.ITEM] = transport.PACKING
        reply = self._pack_results(call, results, failures)
        reply.seconds = time.perf_counter() - began
        return reply

    def _function(self, subject: int) -> Function:
        function = self._functions.get(subject)
        if function is None:
            function = self._functions[subject] = transport.unpack(self._packed[subject])
            del self._packed[subject]
        return function

    def _numbered(self, packed: list[bytes], failures: list[Failure]) -> Iterable[tuple[int, Any]]:
        """The items of a chunk that were packed one by one; those that cannot be loaded become failures."""
        for index, content in enumerate(packed):
            self._progress[transport.ITEM] = index  # loading it may be what ends this process
            try:
                item = transport.unpack_apart(content)
            except BaseException as error:
                failures.append(describe(index, transport.NOT_LOADED, error))
            else:
                yield index, item

    def _run(
        self,
        function: Function,
        numbered: Iterable[tuple[int, Any]],
        results: list[Any],
        failures: list[Failure],
    ) -> None:
        progress, place = self._progress, transport.ITEM
        remaining = iter(numbered)
        index = 0
        while True:
            # The loop goes on after a failure where it was: entering `try` for each item would cost more.
            try:
                for index, item in remaining:
                    progress[place] = index
                    results[index] = function(item)
                return
            except BaseException as error:
                failures.append(describe(index, transport.RAISED, error, self._survivor(error)))

    def _survivor(self, error: BaseException) -> bytes | None:
        """The error packed, if what comes out of it is the same error; else None."""
        if not isinstance(error, Exception):
            return None  # SystemExit and its like would end the one who receives them
        for pickler in (pickle.Pickler, self._by_value_pickler):
            with contextlib.suppress(Exception):  # what the journey would raise is a reason not to make it
                packed = transport.pack_apart(error, pickler)
                copy = transport.unpack_apart(packed)
                if type(copy) is type(error) and str(copy) == str(error):
                    return packed
        return None

    def _by_value_pickler(self, file: Any, **options: Any) -> Any:
        return pickle.loads(self._pickler_name)(file, **options)

    def _pack_results(
        self, call: transport.Frame, results: list[Any], failures: list[Failure]
    ) -> transport.Frame:
        """A reply in the fastest form that can carry the results."""
        if not call.flags & transport.APART:
            if call.subject not in self._results_by_value:
                try:
                    return self._reply(call.number, 0, results, failures)
                except Exception:
                    self._results_by_value.add(
                        call.subject
                    )  # their classes exist only here and in `__main__`
            try:
                return self._reply(call.number, 0, results, failures, flags=transport.BY_VALUE)
            except Exception:
                self._results_by_value.discard(call.subject)
        packed: list[bytes | None] = []
        for index, result in enumerate(results):
            try:
                packed.append(transport.pack_apart(result, self._by_value_pickler))
            except Exception as error:
                packed.append(None)
                failures.append(describe(index, refusal_of(result), error))
        return self._reply(call.number, 0, packed, failures, flags=transport.APART)

    def _reply(
        self, number: int, seconds: float, results: list[Any], failures: list[Failure], *, flags: int = 0
    ) -> transport.Frame:
        reply = transport.Frame(
            transport.REPLY, number=number, subject=len(results), seconds=seconds, flags=flags
        )
        pickler = self._by_value_pickler if flags & transport.BY_VALUE else pickle.Pickler
        reply.stream, reply.buffers = transport.pack((results, failures), pickler)
        return reply

    def _refusal(self, kind: int, call: transport.Frame, error: BaseException) -> transport.Frame:
        frame = transport.Frame(kind, number=call.number)
        frame.stream, frame.buffers = transport.pack(describe(0, kind, error))
        return frame


def joined(trace: str) -> contextlib.AbstractContextManager[None]:
    """Where the function's code finds the span that it works for, if it has loaded OpenTelemetry."""
    if not trace or "opentelemetry.trace" not in sys.modules:
        return contextlib.nullcontext()
    from piko_flow.dataflow.workers import trace_parent

    return trace_parent.joined(trace)


def with_timer(function: Function, seconds: float) -> Function:
    """The function under a timer that ends this process, also inside C code, when one call takes longer."""

    def timed(item: Any) -> Any:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return function(item)

    return timed


def describe(index: int, kind: int, error: BaseException, survivor: bytes | None = None) -> Failure:
    """The error as text, its traceback from the user's first line on."""
    name = type(error).__qualname__
    if type(error).__module__ not in ("builtins", "__main__"):
        name = f"{type(error).__module__}.{name}"
    try:
        message = str(error)
    except Exception as unprintable:
        message = f"<its message raised {type(unprintable).__name__}>"
    try:
        import traceback  # a slow import, and only needed once something failed

        inner = error.__traceback__.tb_next if error.__traceback__ else None
        lines = "".join(traceback.format_exception(type(error), error, inner))
    except Exception as untraceable:  # a function may have used up the descriptors, or raise in __repr__
        lines = f"<the traceback could not be made: {type(untraceable).__name__}>\n"
    return index, kind, name, message[: transport.LONGEST_TEXT], lines[-transport.LONGEST_TEXT :], survivor


def refusal_of(result: Any) -> int:
    """Why a result cannot be packed: it would have to be awaited, or it is of a kind that cannot travel."""
    if not hasattr(type(result), "__await__"):
        return transport.NOT_PACKED
    if hasattr(result, "cr_await"):
        result.close()  # else it is said to never have been awaited
    return transport.AWAITABLE


def fail_all(count: int, error: BaseException) -> list[Failure]:
    """The same failure to return anything, for each item of a chunk."""
    return [describe(index, transport.NOT_PACKED, error) for index in range(count)]


def flush_output() -> None:
    """Hand on what functions printed, so that a worker that is killed later does not take it along."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # closed, or never there: then there is nothing to hand on


def follow_the_parent() -> None:
    """Ask the kernel to end this process when the thread that started it ends, in C code or not.

    Only Linux offers this. Elsewhere a worker notices the closed socket when it has finished its chunk.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG


def main(link_file: int, progress_file: int) -> None:
    """Serve on the inherited descriptors until the other side closes."""
    follow_the_parent()
    for sent_to_all in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent_to_all, signal.SIG_IGN)  # it reaches the whole group; the run decides
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Names that functions look up in `__main__` must not be found in this file.
    sys.modules["__main__"] = types.ModuleType("__main__")
    link = socket.socket(fileno=link_file)
    link.set_inheritable(False)
    os.register_at_fork(
        after_in_child=link.close
    )  # else a child of the function could outlive the link's end
    progress = memoryview(mmap.mmap(progress_file, transport.PROGRESS_SIZE)).cast("I")
    os.close(progress_file)
    Worker(link, progress).serve()


if __name__ == "__main__":
    own_module = sys.modules["__main__"]  # holds the names of this file while it runs
    main(*map(int, sys.argv[1:3]))
