"""A spool that is open: it accepts, and writes in the background what it has accepted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from piko_flow.clock import Clock, SystemClock
from piko_flow.connectors.spool_attempts import Attempts
from piko_flow.connectors.spool_delivery import Delivery
from piko_flow.connectors.spool_errors import SpoolClosed
from piko_flow.connectors.spool_file import Origin
from piko_flow.connectors.spool_flusher import Flusher
from piko_flow.connectors.spool_items import ItemForms
from piko_flow.connectors.spool_letters import DeadLetters
from piko_flow.connectors.spool_models import Models
from piko_flow.connectors.spool_options import SpoolOptions
from piko_flow.connectors.spool_stock import Bounds, Stock
from piko_flow.connectors.spool_telling import Telling
from piko_flow.counting import counted
from piko_flow.tasks import uninterrupted

log = logging.getLogger("piko_flow.spool")


@dataclass(frozen=True, slots=True)
class SpoolState:
    """Where a spool stands.

    `items` wait, `bytes` long as JSON, the oldest for `age` seconds. `failing` is what the sink last failed with, empty
    while it takes what it gets. `failed_alone` of the items have failed alone, and are kept aside until it is clear whose
    fault it is. `dead_letters` nobody has taken yet. `unreadable` says why items of some model are kept without being
    written. `strange` are files that are not used, each with the reason. `written` counts since it was opened.
    """

    name: str
    folder: Path
    items: int
    bytes: int
    age: float
    written: int
    failing: str
    failed_alone: int
    dead_letters: int
    unreadable: str
    strange: dict[str, str]


class LiveSpool:
    """An open spool, as `Spool.opened` gives it; an async context manager.

    While it is entered, a task of its own writes what has been accepted. Leaving accepts nothing more, writes for up to
    `flush` seconds, and leaves the rest in the folder, for whoever opens it next. Belongs to the loop it is entered in.
    """

    def __init__(
        self,
        sink: Any,
        *,
        name: str,
        folder: Path,
        options: SpoolOptions,
        models: Sequence[type],
        owner: str = "",
        dead_letters: DeadLetters | None = None,
        flush: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name, self.folder = name, folder
        self._clock = clock or SystemClock()
        self._flush = options.flush if flush is None else flush
        self._forms = ItemForms(Models(models), most=options.batch)
        bounds = Bounds(options.items, options.bytes, taken=dead_letters is not None)
        self._stock = Stock(folder, name=name, owner=owner, bounds=bounds, clock=self._clock)
        self._delivery = Delivery(sink, name=name, timeout=options.timeout)
        self._attempts = Attempts(
            self._delivery,
            self._forms,
            options.retry,
            whole=options.whole,
            telling=Telling(name, waiting=lambda: self._stock.items, clock=self._clock),
            clock=self._clock,
        )
        self._flusher = Flusher(
            self._stock,
            self._attempts,
            self._forms,
            batch=options.batch,
            within=options.within,
            dead_letters=dead_letters,
            clock=self._clock,
        )
        self._task: asyncio.Task[None] | None = None

    async def accept(
        self, items: Sequence[Any], *, origin: Origin | None = None, keys: Sequence[str] | None = None
    ) -> None:
        """Return when the items are on the disk: from then on they are written, whatever becomes of this process.

        Waits while the spool is full, also of dead letters. `keys` name the items for sinks that must not write one twice.
        All are accepted or none: raises NotKept for an item that JSON cannot hold, SpoolUnavailable where the disk does
        not take them or dead letters that nobody takes fill the spool, SpoolClosed. Cancelling while it waits for room
        changes nothing; after that they may be accepted or not.
        """
        if self._stock.closed:
            raise SpoolClosed(self.name) from self._ended_by()
        if keys is not None and len(keys) != len(items):
            raise ValueError(
                f"a spool takes a key for each item: got {counted(len(items), 'item')} and {counted(len(keys), 'key')}"
            )
        if items:
            await self._stock.add(self._forms.encode(items), origin or Origin(), keys)

    def check(self, items: Sequence[Any]) -> None:
        """Raise the NotKept that `accept` would raise for these items; nothing is accepted."""
        self._forms.encode(items)

    async def state(self) -> SpoolState:
        """Where it stands now. Raises SpoolClosed when it is not open."""
        if not self._stock.is_open:
            raise SpoolClosed(self.name) from self._ended_by()
        oldest = await self._stock.oldest()
        return SpoolState(
            name=self.name,
            folder=self.folder,
            items=self._stock.items,
            bytes=self._stock.bytes,
            age=0.0 if oldest is None else max(self._clock.now().timestamp() - oldest, 0.0),
            written=self._attempts.items,
            failing=self._attempts.failing,
            failed_alone=self._stock.failing_items,
            dead_letters=self._stock.dead_letters,
            unreadable=self._flusher.unreadable,
            strange=self._stock.strange,
        )

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return self._stock.items

    async def __aenter__(self) -> LiveSpool:
        await self._stock.open()
        try:
            await self._delivery.open(self._stock.run)
        except BaseException:
            await self._stock.close()
            raise
        self._task = asyncio.create_task(self._flusher.run(), name=f"spool {self.name}")
        # Without this, who waits for room would do so for ever.
        self._task.add_done_callback(lambda _: self._stock.refuse())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        try:
            self._stock.refuse()
            self._flusher.draining = True
            self._stock.arrived.set()
            await asyncio.wait([self._task], timeout=self._flush)
        finally:
            await self._end(self._task)

    async def _end(self, task: asyncio.Task[None]) -> None:
        self._attempts.ending = True
        task.cancel()
        await uninterrupted(asyncio.wait([task]))
        try:
            await self._delivery.close()
        finally:
            self._tell_what_stays()
            await self._stock.close()
        error = self._ended_by()
        if error is not None:
            raise error

    def _tell_what_stays(self) -> None:
        if self._stock.items:
            log.warning(
                "the spool %s keeps %d items in %s%s",
                self.name,
                self._stock.items,
                self.folder,
                f"; its sink failed with {self._attempts.failing}" if self._attempts.failing else "",
            )

    def _ended_by(self) -> BaseException | None:
        """What ended the writing, where something did that is neither the sink's nor the disk's."""
        task = self._task
        return None if task is None or not task.done() or task.cancelled() else task.exception()
