"""What an open spool has in stock: its files, how much waits in them, and room for more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

from piko_flow.clock import Clock
from piko_flow.connectors.spool_errors import BrokenSpool, SpoolClosed, SpoolUnavailable
from piko_flow.connectors.spool_file import Letter, Origin, Row, SpoolFile, create_file
from piko_flow.connectors.spool_folder import LeftFiles, make_private
from piko_flow.connectors.spool_items import Kept
from piko_flow.connectors.spool_reading import carry_over
from piko_flow.connectors.spool_shelf import Recent, Shelf
from piko_flow.connectors.spool_thread import SpoolThread
from piko_flow.counting import counted

log = logging.getLogger("piko_flow.spool")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait, dead letters included: items, and bytes of their JSON.

    `taken` says that somebody takes dead letters, so that room can be waited for that they have.
    """

    items: int
    bytes: int
    taken: bool


@dataclass(eq=False, slots=True)
class Settled:
    """What has become of lists of one file: `done` are their numbers, `rest` what stays of them, item by item
    with its origin, when it was accepted, its key and its tries."""

    done: list[Row]
    rest: list[tuple[Kept, Origin, float, str, int]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)


class Stock:
    """The files of one spool in one folder; belongs to the loop that opened it.

    Lists are taken in the order in which they were accepted, what dead processes left first.
    """

    def __init__(self, folder: Path, *, name: str, owner: str, bounds: Bounds, clock: Clock) -> None:
        self.folder, self.name = folder, name
        self._owner, self._bounds, self._clock = owner, bounds, clock
        self._left = LeftFiles(folder, owner=owner)
        self._thread = SpoolThread(name)
        self._room, self.arrived = asyncio.Event(), asyncio.Event()
        self._own: Shelf | None = None
        self.run: Final = f"spool-{uuid4().hex}"
        """The name of this opening."""
        self._mending = asyncio.Lock()
        self.shelves: list[Shelf] = []
        self.closed = False

    @property
    def is_open(self) -> bool:
        """Whether its files can be asked: from `open` to the end of `close`."""
        return self._thread.runs

    @property
    def items(self) -> int:
        """How many items wait."""
        return sum(shelf.items for shelf in self.shelves)

    @property
    def bytes(self) -> int:
        """How many bytes they take as JSON."""
        return sum(shelf.bytes for shelf in self.shelves)

    @property
    def failing_items(self) -> int:
        """How many of them have failed alone."""
        return sum(shelf.failing for shelf in self.shelves)

    @property
    def fresh(self) -> int:
        """How many of them have not."""
        return self.items - self.failing_items

    @property
    def dead_letters(self) -> int:
        """How many dead letters nobody has taken yet."""
        return sum(shelf.letters for shelf in self.shelves)

    @property
    def _letter_bytes(self) -> int:
        return sum(shelf.letter_bytes for shelf in self.shelves)

    @property
    def strange(self) -> dict[str, str]:
        """Files that are not used, and why."""
        return dict(self._left.strange)

    async def open(self) -> None:
        """Make the folder and a file of its own, and open what dead processes left. Raises SpoolUnavailable."""
        self._thread.start()
        try:
            await self._thread.read(lambda: make_private(self.folder))
            await self._thread.read(self._left.already_aside)
            await self.adopt()
            try:
                await self._renewed()
            except SpoolUnavailable as error:
                if not self.items:
                    raise
                log.warning("%s; the spool goes on with what was left, which makes room", error)
        except BaseException:
            await self.close()
            raise

    def refuse(self) -> None:
        """Accept nothing more; those who wait for room are told."""
        self.closed = True
        self._room.set()

    async def close(self) -> None:
        """Close the files; those that hold nothing are removed."""
        self.refuse()
        files = [shelf.file for shelf in self.shelves]

        def ended() -> None:
            for file in files:
                file.close()

        with suppress(SpoolClosed):  # it was closed before
            self._thread.read(ended)
        await self._thread.stop()

    async def adopt(self) -> None:
        """Open the files that dead processes have left by now."""
        known = {shelf.file.path for shelf in self.shelves}
        found = await self._thread.read(lambda: self._left.adopt(known))
        for file, holds in found:
            shelf = Shelf(file) if isinstance(holds, BrokenSpool) else Shelf.holding(file, holds)
            self.shelves.insert(len(self.shelves) - (self._own is not None), shelf)
            if isinstance(holds, BrokenSpool):
                await self.set_aside(holds)
                continue
            log.info("the spool %s goes on with %d items of an earlier process", self.name, holds.items)
            await self._drop_empty(shelf)
        if found:
            self.arrived.set()

    async def add(self, kept: Sequence[Kept], origin: Origin, keys: Sequence[str] | None) -> None:
        """Wait for room, then bring the lists to the disk, all or none.

        Raises SpoolClosed and SpoolUnavailable. Cancelling while it waits for room changes nothing; later it is open
        whether the lists were accepted.
        """
        items, size = sum(one.items for one in kept), sum(len(one.body) for one in kept)
        await self._wait_for_room(items, size)
        at = self._clock.now().timestamp()

        def added(file: SpoolFile) -> list[Row]:
            rows = []
            for one in kept:
                given = None if keys is None else tuple(map(str, keys[one.first : one.first + one.items]))
                rows.append(Row(file.add(one, origin, at, given), one, origin, at, given))
            return rows

        try:
            await self._added(added, items, size)
        except BrokenSpool as error:
            await self.set_aside(error)
            await self._added(added, items, size)

    async def _added(self, added: Callable[[SpoolFile], list[Row]], items: int, size: int) -> None:
        shelf = self._own if self.closed else self._own or await self._renewed()
        if self.closed or shelf is None:
            raise SpoolClosed(self.name)
        self._count(shelf, items, size)

        def counted(change: asyncio.Future[list[Row]]) -> None:
            if change.exception() is not None:
                self._count(shelf, -items, -size)
            else:
                for row in change.result():
                    shelf.recent.add(row)
            self.arrived.set()

        change = self._thread.change(shelf.file, lambda: added(shelf.file))
        change.add_done_callback(counted)
        await asyncio.shield(change)

    async def take(self, items: int, *, alike: bool = False) -> tuple[Shelf, list[Row]] | None:
        """The next lists, about so many items together, with `alike` of one origin; None where none waits."""
        for shelf in list(self.shelves):
            if shelf.items > shelf.failing:
                rows = await self._rows_of(shelf, items=items, alike=alike)
                if rows:
                    shelf.taken = rows[-1].number
                    return shelf, rows
        return None

    async def _rows_of(self, shelf: Shelf, *, items: int, alike: bool) -> list[Row]:
        found = shelf.recent.next(shelf.taken, items=items, alike=alike)
        if found is not None and sum(row.kept.items for row in found) < items:
            await self._thread.read(lambda: None)  # until what is being accepted is on the disk
            found = shelf.recent.next(shelf.taken, items=items, alike=alike)
        if found is None:
            found = await self._thread.read(
                partial(shelf.file.rows_after, shelf.taken, items=items, alike=alike)
            )
        return found

    async def failing(self, limit: int) -> tuple[Shelf, list[Row]] | None:
        """Items that failed alone before."""
        for shelf in self.shelves:
            if shelf.failing:
                return shelf, await self._thread.read(partial(shelf.file.failed_rows, limit=limit))
        return None

    async def settle(self, shelf: Shelf, settled: Settled, *, urgent: bool = True) -> None:
        """Remove lists, and keep what stays of them, in one transaction. Raises SpoolUnavailable.

        Where nothing stays the disk may be full: then the removal is made up for later. What is not urgent waits a
        moment for what is accepted meanwhile, so that both are one transaction.
        """
        numbers = [row.number for row in settled.done]
        owed = list(shelf.owed)

        def changed() -> None:
            shelf.file.remove([*numbers, *owed])
            for kept, origin, at, key, tries in settled.rest:
                shelf.file.add(kept, origin, at, [key], tries)
            for letter in settled.letters:
                shelf.file.add_letter(letter)

        try:
            await self._thread.change(shelf.file, changed, urgent=urgent)
            shelf.owed.difference_update(owed)
        except SpoolUnavailable:
            if settled.rest or settled.letters:
                raise
            shelf.owed.update(numbers)
        removed = settled.done
        shelf.failing += len(settled.rest) - sum(1 for row in removed if row.tries)
        self._count_letters(shelf, settled.letters, 1)
        rest = settled.rest
        self._count(
            shelf,
            len(rest) - sum(row.kept.items for row in removed),
            sum(len(kept.body) for kept, *_ in rest) - sum(len(row.kept.body) for row in removed),
        )
        await self._drop_empty(shelf)

    def put_back(self, shelf: Shelf, rows: Sequence[Row]) -> None:
        """Lists that were taken last are taken again the next time, as the file has them by then."""
        shelf.taken = rows[0].number - 1
        shelf.recent.forget()

    async def letters(self, limit: int) -> tuple[Shelf, list[Letter]] | None:
        """Dead letters that nobody has taken yet."""
        for shelf in self.shelves:
            if shelf.letters:
                return shelf, await self._thread.read(partial(shelf.file.letters, limit=limit))
        return None

    async def hand_over(self, shelf: Shelf, letters: Sequence[Letter]) -> None:
        """Forget dead letters that somebody has taken."""
        numbers = [letter.number for letter in letters]
        await self._thread.change(shelf.file, lambda: shelf.file.remove_letters(numbers))
        self._count_letters(shelf, letters, -1)
        await self._drop_empty(shelf)

    async def oldest(self) -> float | None:
        """When the oldest item that waits was accepted, in seconds since 1970."""
        times = []
        for shelf in list(self.shelves):
            if shelf.items:
                with suppress(BrokenSpool):  # who writes its items meets that too
                    times.append(await self._thread.read(shelf.file.oldest))
        return min((time for time in times if time is not None), default=None)

    def _count(self, shelf: Shelf, items: int, size: int) -> None:
        shelf.items, shelf.bytes = shelf.items + items, shelf.bytes + size
        if items < 0:
            self._room.set()

    def _count_letters(self, shelf: Shelf, letters: Sequence[Letter], sign: int) -> None:
        shelf.letters += sign * len(letters)
        shelf.letter_bytes += sign * sum(len(letter.kept.body) for letter in letters)
        self._room.set()

    async def _wait_for_room(self, items: int, size: int) -> None:
        """A list larger than the bounds is let in when nothing else waits, and dead letters leave any room.

        Raises SpoolUnavailable where they leave none, and nobody takes them.
        """
        while not self.closed and not self._fits(items, size):
            full = not self._fits(1 - self.items, 1 - self.bytes)  # of letters alone
            if full and not self._bounds.taken:
                raise SpoolUnavailable(
                    str(self.folder),
                    f"{counted(self.dead_letters, 'dead letter')} {'fills' if self.dead_letters == 1 else 'fill'} it",
                )
            if not full and not self.items:
                return
            self._room.clear()
            await self._room.wait()

    def _fits(self, items: int, size: int) -> bool:
        items, size = items + self.items + self.dead_letters, size + self.bytes + self._letter_bytes
        return items <= self._bounds.items and size <= self._bounds.bytes

    async def tidy(self) -> None:
        """Give up files whose removals the disk did not take, when nothing else is in them: that makes room."""
        for shelf in [one for one in self.shelves if one.owed]:
            await self._drop_empty(shelf)

    async def _drop_empty(self, shelf: Shelf) -> None:
        """Close a file that holds nothing more: one that was left, or one whose removals the disk does not take."""
        if shelf not in self.shelves:
            return
        if shelf.items or shelf.letters or (shelf is self._own and not shelf.owed):
            return
        if shelf is self._own:
            self._own = None
        self.shelves.remove(shelf)
        await self._thread.read(shelf.file.destroy)
        if self._own is None:
            with suppress(SpoolUnavailable):  # who accepts something tries it again, and tells
                await self._renewed()

    async def _renewed(self) -> Shelf:
        """A file for what is accepted from now on."""
        async with self._mending:
            if self._own is None:
                file = await self._thread.read(lambda: create_file(self.folder, owner=self._owner))
                self._own = Shelf(file, recent=Recent(after=0))
                self.shelves.append(self._own)
            return self._own

    async def set_aside(self, error: BrokenSpool) -> None:
        """Take a damaged file out of use; what can still be read of it goes on in another file.

        Raises SpoolUnavailable where that cannot be written.
        """
        async with self._mending:
            shelf = next((one for one in self.shelves if str(one.file.path) == error.file), None)
            if shelf is None:
                return
            log.error("the spool %s sets %s aside: %s", self.name, error.file, error.reason)
            own = shelf is self._own
            if own:
                self._own = None  # what is accepted from now on waits for the other file
            fresh = shelf
            try:
                file = await self._thread.read(lambda: create_file(self.folder, owner=self._owner))
                totals = await self._thread.change(file, lambda: carry_over(shelf.file, file))
                fresh = Shelf.holding(file, totals)
                self.shelves[self.shelves.index(shelf)] = fresh
            finally:
                if own:
                    self._own = fresh

            def aside() -> None:
                shelf.file.leave()
                self._left.set_aside(shelf.file.path, error.reason)

            await self._thread.read(aside)
        self._room.set()
        self.arrived.set()
