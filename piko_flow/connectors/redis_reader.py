"""Reading a stream from a position, entry by entry, and telling what was removed before it was read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from piko_flow.clock import monotonic
from piko_flow.connectors.redis_entries import StreamEntry, json_value
from piko_flow.connectors.redis_errors import BrokenEntry, EntriesLost
from piko_flow.connectors.redis_scripts import READ
from piko_flow.connectors.redis_server import RedisClient, RedisServer, log
from piko_flow.errors import shorten

BEFORE_ALL: Final = "0-0"
ID: Final = re.compile(r"\d+-\d+")
STEP: Final = 1.0  # seconds that one command waits, so that a connection that has died is noticed
MOST_BYTES: Final = 16 * 1024 * 1024  # of the entries that are asked for at once, besides the last
Start = Literal["first", "new"]
Lost = Literal["fail", "skip"]


class Found(NamedTuple):
    """What a server told: how many entries were ever added, are there, the ids at both ends, and those asked for."""

    added: int
    length: int
    first: str
    last: str
    there: bool
    more: bool
    entries: list[Any]


@dataclass
class RedisReader:
    """Gives the values of a stream's entries; `position` stands after the last one given.

    A position is the id of an entry and how many had been added to the stream by then, which tells how many were
    removed since.
    """

    server: RedisServer
    stream: str
    of: type[Any]
    field: str | None
    start: Start
    batch: int
    wait: float | None
    lost: Lost
    _id: str = BEFORE_ALL
    _added: int | None = None

    async def read(self, since: Any) -> AsyncIterator[Any]:
        """The values after the position, until `wait` seconds have passed without another.

        Raises RedisFailed, EntriesLost, BrokenEntry, and ValueError for what is no position.
        """
        self._id, self._added = (BEFORE_ALL, None) if since is None else _read_position(since)
        whole = self.of is StreamEntry
        async with self.server.open() as client:
            until: float | None = None
            while True:
                found = await self._ask(client)
                for place in range(0, len(found.entries), 2):
                    entry, value = found.entries[place].decode(), found.entries[place + 1]
                    item = _entry(entry, value) if whole else self._value(entry, value)
                    self._id, self._added = entry, (self._added or 0) + 1
                    yield item
                if found.more:
                    continue
                if found.entries:
                    # Those that were removed from between the others count as read.
                    self._added, until = found.added, None
                if until is None and self.wait is not None:
                    until = monotonic() + self.wait
                if not await self._another(client, until):
                    return

    def position(self) -> dict[str, Any] | None:
        """The position after the last value given; None while the stream has never been seen."""
        return None if self._added is None else {"id": self._id, "added": self._added}

    async def _ask(self, client: RedisClient) -> Found:
        """The entries that follow; none from a stream that is not there. Raises EntriesLost."""
        field = "" if self.field is None or self.of is StreamEntry else self.field
        told = await client.script(READ, [self.stream], [self._id, self.batch, field, MOST_BYTES])
        if not told:
            if self.start == "new" and self._added is None:
                self._added = 0  # so all that will come is new
            return Found(0, 0, "", BEFORE_ALL, False, False, [])
        added, length, first, last, there, more, entries = told
        found = Found(added, length, first.decode(), last.decode(), bool(there), bool(more), entries)
        self._compare(found, begins=self._added is None)
        return found

    def _compare(self, found: Found, *, begins: bool) -> None:
        """Know how many entries stand before those found. Raises EntriesLost unless that may be passed over."""
        if begins:
            if self.start == "new":
                self._id, self._added = found.last, found.added
                found.entries.clear()
            else:
                self._added = found.added - found.length
            return
        assert self._added is not None
        if found.there:
            return
        if _order(found.last) < _order(self._id):
            self._missed(f"it ends at {found.last}: it was made anew, or the server has lost its end")
            self._id, self._added = found.last, found.added
        elif not found.first or _order(found.first) > _order(self._id):
            unread = found.length
            removed = found.added - self._added - unread
            if removed > 0:
                self._missed(f"{removed:,} entries after it were removed before they were read")
            self._added = found.added - unread

    def _missed(self, reason: str) -> None:
        error = EntriesLost(self.stream, self._id, reason)
        if self.lost == "fail":
            raise error
        log.warning("%s", error)

    async def _another(self, client: RedisClient, until: float | None) -> bool:
        """Whether an entry came after the position before `until`; waits for it."""
        while True:
            left = STEP if until is None else min(until - monotonic(), STEP)
            if left <= 0:
                return False
            milliseconds = max(int(min(left, client.server.timeout / 2) * 1000), 1)
            wait = partial(client.redis.xread, {self.stream: self._id}, count=1, block=milliseconds)
            if await client.ask("wait for an entry", wait):
                return True

    def _value(self, entry: str, value: Any) -> Any:
        try:
            if self.field is None:
                found: Any = _entry(entry, value).texts()
            else:
                found = json_value(value) if type(value) is bytes else _entry(entry, value).json(self.field)
            if not isinstance(found, self.of):
                wanted = "a JSON object" if self.of is dict else f"JSON of type {self.of.__name__}"
                raise ValueError(f"it must hold {wanted}, got {shorten(found)}; of= takes another kind")
        except ValueError as error:
            raise BrokenEntry(self.stream, entry, str(error)) from None
        return found


def _entry(entry: str, fields: list[bytes]) -> StreamEntry:
    return StreamEntry(entry, dict(zip(fields[::2], fields[1::2], strict=True)))


def _order(entry: str) -> tuple[int, int]:
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number)


def _read_position(since: Any) -> tuple[str, int]:
    entry, added = (since.get("id"), since.get("added")) if isinstance(since, Mapping) else (None, None)
    if not isinstance(entry, str) or not isinstance(added, int) or ID.fullmatch(entry) is None:
        raise ValueError(
            f'a position of a stream is {{"id": "1700000000000-0", "added": 1}}, got {shorten(since)}'
        )
    return entry, added
