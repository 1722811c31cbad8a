"""The thread on which a spool's files are read and written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from piko_flow.clock import monotonic
from piko_flow.connectors.spool_errors import SpoolClosed
from piko_flow.connectors.spool_file import SpoolFile
from piko_flow.tasks import uninterrupted

T = TypeVar("T")
_MOMENT: Final = 0.005  # seconds that a change which is not urgent waits for others


@dataclass(eq=False, slots=True)
class _Asked:
    """A piece of work, the file that it changes (None: it changes nothing), whether that is urgent, and who waits."""

    work: Callable[[], Any]
    file: SpoolFile | None
    urgent: bool
    waiter: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class SpoolThread:
    """Does one piece of work after the other; changes that wait together are one transaction of their file.

    A change is on the disk when its `change` returns; one that is not urgent waits a moment for another to join. Where
    a transaction of several fails, each is tried by itself, so that none fails for another's sake. Asking raises
    SpoolClosed outside of `start` and `stop`. `start` and `stop` are called on the loop of those who ask.
    """

    def __init__(self, spool: str) -> None:
        self._spool = spool
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name=f"piko-flow spool {self._spool}")
        self._thread.start()

    async def stop(self) -> None:
        """End when everything that was asked for is done, also where the caller is cancelled meanwhile."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._asked.put(None)
            await uninterrupted(asyncio.to_thread(thread.join))

    @property
    def runs(self) -> bool:
        """Whether it can be asked."""
        return self._thread is not None

    def read(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do what changes no file. Cancelling leaves it to be done."""
        return self._ask(work, None, urgent=False)

    def change(self, file: SpoolFile, work: Callable[[], T], *, urgent: bool = True) -> asyncio.Future[T]:
        """Change the file in a transaction. Cancelling leaves it open whether that is done."""
        return self._ask(work, file, urgent=urgent)

    def _ask(self, work: Callable[[], T], file: SpoolFile | None, *, urgent: bool) -> asyncio.Future[T]:
        if self._loop is None or self._thread is None:
            raise SpoolClosed(self._spool)
        asked = _Asked(work, file, urgent, self._loop.create_future())
        self._asked.put(asked)
        return asked.waiter

    def _work(self) -> None:
        held: list[_Asked] = []  # changes that are not urgent
        until, ended = 0.0, False
        while not ended:
            together, ended = self._waiting(until - monotonic() if held else None)
            changes = [asked for asked in together if asked.file is not None]
            if not held and changes:
                until = monotonic() + _MOMENT
            held += changes
            now = [asked for asked in together if asked.file is None]
            if ended or any(asked.urgent for asked in changes) or (held and monotonic() >= until):
                now, held = [*held, *now], []
            self._do(now)

    def _waiting(self, seconds: float | None) -> tuple[list[_Asked], bool]:
        """What is asked for by now, or comes first within so many seconds; and whether that is the end."""
        together: list[_Asked] = []
        try:
            one = self._asked.get(timeout=None if seconds is None else max(seconds, 0.0))
            while one is not None:
                together.append(one)
                one = self._asked.get_nowait()
        except Empty:
            return together, False
        return together, True

    def _do(self, together: list[_Asked]) -> None:
        changes: dict[int, list[_Asked]] = {}
        for asked in together:
            if asked.file is not None:
                changes.setdefault(id(asked.file), []).append(asked)
        for several in changes.values():
            _change(several)
        for asked in together:
            if asked.file is None:
                _attempt(asked)
        if together and self._loop is not None:
            self._loop.call_soon_threadsafe(_tell, together)


def _change(several: list[_Asked]) -> None:
    file = several[0].file
    assert file is not None
    try:
        with file.changing():
            for asked in several:
                asked.result = asked.work()
    except Exception as error:
        if len(several) == 1:
            several[0].error = error
            return
        for asked in several:
            _change([asked])


def _attempt(asked: _Asked) -> None:
    try:
        asked.result = asked.work()
    except Exception as error:
        asked.error = error


def _tell(together: list[_Asked]) -> None:
    for asked in together:
        if asked.waiter.done():  # whoever waited was cancelled
            continue
        if asked.error is not None:
            asked.waiter.set_exception(asked.error)
        else:
            asked.waiter.set_result(asked.result)
