"""Reading a stream of events as a program does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx


class Told(NamedTuple):
    """An event as it came."""

    id: str
    name: str
    data: Any


class Events:
    """The events of an open answer, in order."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> Told | None:
        """The next event; None after the last one."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line and "event" in fields:
                return Told(fields["id"], fields["event"], json.loads(fields["data"]))
            name, colon, value = line.partition(": ")
            if colon and name:
                fields[name] = value
        return None

    async def until(self, name: str) -> Told:
        """The first event of this name that comes."""
        while (found := await self.next()) is not None:
            if found.name == name:
                return found
        raise AssertionError(f"the stream ended without {name}")


@asynccontextmanager
async def events(
    client: httpx.AsyncClient, path: str = "/api/v1/events", **headers: str
) -> AsyncIterator[Events]:
    """A stream that is open while the block is."""
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)
