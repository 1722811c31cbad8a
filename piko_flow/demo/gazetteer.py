"""A lookup service inside the process, and the client that the demo's enrichment asks.

The service stands in for a remote one without needing a network: each connection is a pair of sockets,
so questions and answers pass through the kernel and are waited for like any other asynchronous I/O,
but there is no port to be reached, no file to be left behind, and no delay that is not real.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from piko_flow.demo.model import LocatedReport, Report
from piko_flow.demo.places import Places, read_places

CONNECTIONS: Final = 8


class NearestPlace(BaseModel):
    """The service's answer: the nearest place and the distance to it in kilometres."""

    model_config = ConfigDict(frozen=True)

    place: str
    country: str
    place_lat: float
    place_long: float
    distance_km: float


class LookupService(asyncio.Protocol):
    """Answers each line `LAT LONG` with a line of JSON, in order, until the other side hangs up."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._unread = b""
        self._transport: asyncio.Transport | None = None
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every question that is complete; keep the rest until more arrives."""
        assert self._transport is not None
        *questions, self._unread = (self._unread + data).split(b"\n")
        self._transport.writelines(self._answer(question) for question in questions)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for the end of the service that this connection is over."""
        if not self.gone.done():
            self.gone.set_result(None)

    def hang_up(self) -> None:
        """Close at once; what was not answered stays so."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, question: bytes) -> bytes:
        lat, long = map(float, question.split())
        place, distance = self._places.nearest(lat, long)
        answer = {
            "place": place.name,
            "country": place.country,
            "place_lat": place.lat,
            "place_long": place.long,
            "distance_km": round(distance, 1),
        }
        return json.dumps(answer).encode() + b"\n"


class Connection:
    """One line to the service: one question at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far_end: LookupService
    ) -> None:
        self._reader, self._writer, self._far_end = reader, writer, far_end

    @classmethod
    async def open(cls, places: Places) -> Self:
        """Make a pair of sockets and put a service at the far end."""
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        try:
            reader, writer = await asyncio.open_connection(sock=near)
        except BaseException:
            near.close()
            far.close()
            raise
        try:
            _, far_end = await loop.create_connection(lambda: LookupService(places), sock=far)
        except BaseException:
            writer.transport.abort()
            far.close()
            raise
        return cls(reader, writer, far_end)

    async def ask(self, question: bytes) -> bytes:
        """Send a question and wait for its answer. After cancelling the connection is of no more use."""
        self._writer.write(question + b"\n")
        await self._writer.drain()
        answer = await self._reader.readline()
        if not answer.endswith(b"\n"):
            raise ConnectionError("the gazetteer hung up before it had answered")
        return answer

    def close(self) -> asyncio.Future[None]:
        """Close both ends at once; give the future that is done when the service has let go."""
        self._writer.transport.abort()
        self._far_end.hang_up()
        return self._far_end.gone


class Gazetteer:
    """Knows the nearest coastal place, for any number of callers over a bounded number of connections."""

    def __init__(self, places: Places, *, connections: int) -> None:
        self._places = places
        self._free = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False

    async def nearest(self, lat: float, long: float) -> NearestPlace:
        """Ask for the place nearest to a position in degrees; wait while all connections are busy.

        Cancelling gives up the connection in use, so nobody is handed the answer to another's question.
        Raises ConnectionError when the client is closed.
        """
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._connect()
            answered = False
            try:
                answer = await connection.ask(f"{lat} {long}".encode())
                answered = True
            finally:
                if answered:
                    self._idle.append(connection)
                else:
                    self._open.discard(connection)
                    connection.close()
        return NearestPlace.model_validate_json(answer)

    async def close(self) -> None:
        """Hang up everywhere at once, then wait until no connection is left. Open questions fail."""
        self._closed = True
        gone = [connection.close() for connection in self._open]
        self._open.clear()
        self._idle.clear()
        await asyncio.gather(*gone)

    async def _connect(self) -> Connection:
        connection = await Connection.open(self._places)
        if self._closed:
            await connection.close()
            raise ConnectionError("the gazetteer is closed")
        self._open.add(connection)
        return connection


@asynccontextmanager
async def gazetteer() -> AsyncIterator[Gazetteer]:
    """Open the service and a client for it; at the end, however it comes, both are gone."""
    client = Gazetteer(read_places(), connections=CONNECTIONS)
    try:
        yield client
    finally:
        await client.close()


async def locate(report: Report, *, gazetteer: Gazetteer) -> LocatedReport:
    """Add the nearest coastal place to a report."""
    found = await gazetteer.nearest(report.lat, report.long)
    return LocatedReport(**dict(report), **dict(found))
